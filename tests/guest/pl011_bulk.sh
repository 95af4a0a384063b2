# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# ring: long
# board: --timeout 900
. tests/lib.sh

options="--no-reboot --console serial --kernel build/guest/pl011.bin --mem 64M"

begin "100 KB come from a pipe, complete and in order"
head -c 102400 /dev/urandom | tr '\001' x >"$scratch/random"
{
	until grep -q ready "$console"; do
		usleep 20000
	done
	cat "$scratch/random"
} | {
	# shellcheck disable=SC2086	# words
	timeout -s KILL 300 nidus run $options --params "count 102400" >"$console" 2>"$messages"
	echo $? >"$scratch/status"
}
status=$(cat "$scratch/status")
expect_status 0
expect_line '^pl011: all [0-9]+ checks hold$'
sum=$(gzip -c <"$scratch/random" | tail -c 8 | od -An -tx4 -N4 | tr -d ' ' | sed 's/^0*//')
expect_line "^sum: 0x$sum\$"
end

begin "a slow reader gets 1 MB"
{
	# shellcheck disable=SC2086
	timeout -s KILL 600 nidus run $options --params "flood 1048593" </dev/null 2>"$messages"
	echo $? >"$scratch/status"
} | {
	sleep 2
	sort | uniq -c >"$scratch/lines"
}
status=$(cat "$scratch/status")
expect_status 0
expect grep -Eqx ' *15197 the quick .* till EOL' "$scratch/lines"
expect [ "$(wc -l <"$scratch/lines")" = 1 ]
end
