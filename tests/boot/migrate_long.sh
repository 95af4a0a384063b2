# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh disable=SC2086,SC2119
# ring: long
# images: small
# files: tests/counting.sh tests/migrate.sh build/programs/breaker
# board: --mem 3G --timeout 7200
. tests/lib.sh
# shellcheck source=tests/counting.sh
. tests/counting.sh
# shellcheck source=tests/migrate.sh
. tests/migrate.sh

begin "a guest goes on where its move breaks off, at 200 places"
start --cpus 2
for seed in $(seq 180); do
	cut_at "$(chance "$seed" $((24 << 20)))" -1
	expect [ "$told" = 3 ]
	here
done
# Before it is ready, and with all of it but the last bytes of its last word.
for back in $(seq 15) 15 15 15 15 15; do
	cut_at -1 "$back"
	expect [ "$told" = 3 ]
	here
done
moves_and_ends
end

begin "where it was given away, and nobody knows, it runs at one place, and its owner decides"
for back in $(seq 16 31); do
	start --cpus 2
	cut_at -1 "$back"
	expect [ "$told" = 3 ]
	if [ "$back" = 16 ]; then
		ended $there
		expect [ "$status" = 3 ]
		expect [ ! -s "$again" ]
		tell resume wren
		expect [ "$told" = 0 ]
		goes_on "$console"
		expect in_order "$console"
	else
		goes_on "$again"
		expect in_order "$console" "$again"
		tell stop nest
		ended $there
	fi
	tell stop wren
	ended $pid
	expect [ "$status" = 0 ]
done
expect_nothing_left
end

begin "a nest goes on where its move breaks off"
nidus nest --time-limit 3600 --kernel "$NIDUS_KERNEL" --depth 2 --cpus 2 --file /bin/busybox --name wren \
	-- busybox sh -c "$counts" </dev/null >"$console" 2>"$messages" &
pid=$!
wait_for '^count 3' "$console"
for seed in $(seq 10); do
	cut_at "$(chance "$seed" $((80 << 20)))" -1
	expect [ "$told" = 3 ]
	here
done
receive
tell migrate wren "unix:$move"
expect [ "$told" = 0 ]
wait $pid
pid=$there
goes_on "$again"
expect in_order "$console" "$again"
tell stop nest
ended $pid
expect_nothing_left
end
