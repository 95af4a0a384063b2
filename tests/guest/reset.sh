# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

stats=$scratch/stats
options="--kernel build/guest/reset.bin --mem 64M --cpus 2"

expect_lives() {
	expect [ "$(grep -c '^life: ram=0x0 .* second=0x1$' "$console")" "$1" "$2" ]
	# The last may have been cut off.
	expect [ "$(grep ' second=0x1$' "$console" | sort -u | wc -l)" = 1 ]
}

begin "a reset makes RAM, vCPUs, GIC and devices new, again and again"
# shellcheck disable=SC2086	# words
nidus run $options --stats "$stats" --name reset </dev/null >"$console" 2>"$messages" &
tries=0
until [ "$(wc -l <"$console")" -ge 8 ] || [ $((tries += 1)) -gt 600 ]; do
	usleep 50000
done
kill -TERM $!
wait $!
status=$?
expect_status 143
expect_lives -ge 8
expect [ ! -s "$messages" ]
lives=$(wc -l <"$console")
resets=$(sed -n 's/.*"resets": \([0-9]*\).*/\1/p' "$stats")
# The last life may have ended before it could print.
expect [ "$resets" -ge $((lives - 1)) ]
expect [ "$resets" -le "$lives" ]
expect grep -q '"outcome": "killed"' "$stats"
expect_nothing_left
end

begin "with --no-reboot a reset is the end"
# shellcheck disable=SC2086
guest $options --stats "$stats"
expect_status 0
expect_lives -eq 1
expect grep -q '"resets": 0' "$stats"
expect grep -q '"outcome": "reset"' "$stats"
end

begin "so it is for who calls nidus by the name of lkvm"
ln -s "$(command -v nidus)" "$scratch/lkvm"
# shellcheck disable=SC2086
timeout -s KILL 60 "$scratch/lkvm" run $options </dev/null >"$console" 2>"$messages"
status=$?
expect_status 0
expect_lives -eq 1
end
