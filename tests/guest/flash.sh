# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# board: --timeout 400
. tests/lib.sh

vars=$scratch/vars

begin "flash memory takes Intel's commands"
guest --kernel build/guest/flash.bin --mem 64M --flash "$vars" --stats "$scratch/stats"
expect_status 0
expect_line '^flash: all [0-9]+ checks hold$'
expect [ ! -s "$messages" ]
expect [ "$(wc -c <"$vars")" = 1048576 ]
end

# last WORD: the last number that stands behind it, of lines that are whole.
last() {
	sed -n "s/^$1 \([0-9]*\)\(,.*\)\?\r\?$/\1/p" "$console" | tail -n 1
}

# A record counts as kept once the guest has said so, which a kill may keep us from seeing, but not the other way round.
begin "100 kills while variables are written lose none and tear none"
round=0
acknowledged=0
while [ $((round += 1)) -le 100 ]; do
	moment=$(($(od -An -tu2 -N2 /dev/urandom) % 250))
	interrupted KILL "wait_for '^found' '$console'; usleep $((moment * 1000))" \
		nidus run --kernel build/guest/flash.bin --mem 64M --flash "$vars" --params keep
	found=$(last found)
	if [ "${found:-0}" -lt "$acknowledged" ] || ! grep -q ', torn 0' "$console"; then
		complain "round $round: $acknowledged had been acknowledged, but: $(grep ^found "$console")"
		break
	fi
	kept=$(last kept)
	acknowledged=${kept:-$found}
done
expect [ "$acknowledged" -gt 200 ]
end

# A file of holes on a file system that has no room for them.
begin "a full disk is an error for the guest, and no end"
mkdir "$scratch/small"
mount -t tmpfs -o size=64k none "$scratch/small"
truncate -s 1M "$scratch/small/vars"
guest --kernel build/guest/flash.bin --mem 64M --flash "$scratch/small/vars"
expect_status 0
expect_line 'No space left on device; the guest is told that it has failed'
expect_line '^not ok - erasing succeeds: 0xb000b0'
umount "$scratch/small"
end

begin "one nidus at a time"
nidus run --kernel build/guest/flash.bin --mem 64M --flash "$vars" --params keep >"$scratch/first" 2>/dev/null </dev/null &
pid=$!
wait_for '^found' "$scratch/first"
guest --kernel build/guest/flash.bin --mem 64M --flash "$vars"
expect_status 2
expect_one_message
expect_line 'a nidus uses it already'
kill -KILL $pid
wait $pid 2>/dev/null
pid=
end
