# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# files: tests/counting.sh tests/snapshot.sh
# images: small
# board: --mem 3G --timeout 900
. tests/lib.sh
# shellcheck source=tests/counting.sh
. tests/counting.sh
# shellcheck source=tests/snapshot.sh
. tests/snapshot.sh

begin "a bare-metal guest goes on in the midst of a line"
nidus run --kernel build/guest/busy.bin --mem 64M --cpus 2 --name wren </dev/null >"$console" 2>"$messages" &
wait_for '^still busy' "$console"
tell snapshot wren "$snap" --stop
expect [ "$told" = 0 ]
wait $!
nidus restore "$snap" --name wren </dev/null >"$again" 2>>"$messages" &
wait_for '^still busy' "$again"
tell stop wren
wait $!
expect [ "$(cat "$console" "$again" | tr -d '\r' | sort -u | head -n 3 | grep -c '^still busy$')" = 1 ]
# What was cut off in the end is all that there may be besides.
expect [ "$(cat "$console" "$again" | tr -d '\r' | sed '$d' | sort -u | wc -l)" = 1 ]
expect_nothing_left
end

begin "Linux goes on after a snapshot, and from it, with the next number"
start wren --cpus 2
tell snapshot wren "$snap"
expect [ "$told" = 0 ]
there=$(last_count "$console")
usleep 500000
expect [ "$(last_count "$console")" -gt "$there" ]
tell snapshot wren "$snap" --stop
expect [ "$told" = 0 ]
wait $pid
expect in_order "$console"
nidus restore "$snap" --name wren </dev/null >"$again" 2>>"$messages" &
pid=$!
there=$(last_count "$console")
wait_for "^count $((there + 20))" "$again"
tell stop wren
wait $pid
expect in_order "$console" "$again"
expect_nothing_left
end

begin "so it does 16 times"
start wren --cpus 2
rounds 16
expect_nothing_left
end

begin "two copies run at the same time, from one file"
nidus restore "$snap" --name one </dev/null >"$scratch/one" 2>>"$messages" &
one=$!
nidus restore "$snap" --name two </dev/null >"$scratch/two" 2>>"$messages" &
pid=$!
wait_for "^count $((there + 10))" "$scratch/one"
wait_for "^count $((there + 10))" "$scratch/two"
tell stop --all
wait $pid $one
expect in_order "$scratch/one"
expect in_order "$scratch/two"
expect_nothing_left
end

begin "increments have what has changed, and all of them together are the guest"
start wren --cpus 2
increments
for file in "$scratch/first" "$scratch/second" "$snap"; do
	expect [ "$(du -k "$file" | cut -f 1)" -lt 4096 ]
done
nidus restore "$snap" --base "$scratch/base" --base "$scratch/second" --base "$scratch/first" --name wren \
	</dev/null >"$again" 2>>"$messages" &
pid=$!
there=$(last_count "$console")
wait_for "^count $((there + 20))" "$again"
expect in_order "$console" "$again"
tell snapshot wren "$scratch/third" --base "$snap"
expect [ "$told" = 3 ]
expect_line 'what it has written since that base is not known; a base is made with --track'
tell snapshot wren "$snap" --base "$snap"
expect [ "$told" = 2 ]
expect_line 'snap: is the base, without which an increment is of no use'
tell stop wren
wait $pid
tell restore "$snap" --base "$scratch/base" --base "$scratch/second"
expect [ "$told" = 2 ]
expect_line 'first: has what has changed since another snapshot|second: has what has changed since another snapshot'
tell restore "$scratch/base" --base "$snap"
expect [ "$told" = 2 ]
expect_line 'snap: is no base of that snapshot'
expect_nothing_left
end

begin "a guest that writes to its disk and to memory without a pause has increments as well"
truncate -s 16M "$scratch/disk"
counts=$counting_by_disk
start wren --cpus 2 --disk "$scratch/disk"
increments
nidus restore "$snap" --base "$scratch/base" --base "$scratch/second" --base "$scratch/first" --name wren \
	--disk "$scratch/disk" </dev/null >"$again" 2>>"$messages" &
pid=$!
there=$(last_count "$console")
wait_for "^count $((there + 20))" "$again"
tell stop wren
wait $pid
expect in_order "$console" "$again"
expect_nothing_left
end

begin "a guest with a balloon and flash memory goes on, and has increments"
counts=$counting
start wren --balloon --flash "$scratch/flash"
rounds 2 --flash "$scratch/flash"
nidus restore "$snap" --name wren --flash "$scratch/flash" </dev/null >"$again" 2>>"$messages" &
pid=$!
wait_for '^count' "$again"
tell balloon wren 1M
expect [ "$told" = 0 ]
tell snapshot wren "$scratch/track" --track
expect [ "$told" = 0 ]
tell snapshot wren "$scratch/first" --base "$scratch/track"
expect [ "$told" = 0 ]
tell stop wren
wait $pid
expect_nothing_left
end

begin "a guest on PCI, its disk at work, goes on 16 times"
truncate -s 16M "$scratch/disk"
counts=$counting_by_disk
start wren --cpus 2 --disk "$scratch/disk"
rounds 16 --disk "$scratch/disk"
expect_nothing_left
end

begin "what does not go with a snapshot is said"
tell restore "$snap"
expect [ "$told" = 2 ]
expect_line 'has 1 disks and 0 networks, and was given 0 and 0'
truncate -s 8M "$scratch/small"
tell restore "$snap" --disk "$scratch/small"
expect [ "$told" = 2 ]
expect_line 'small: has 16384 sectors, and the guest.s had 32768'
tell restore "$snap" --disk "$scratch/disk" --report "$scratch/report"
expect [ "$told" = 2 ]
expect_line 'has no port for reports'
head -c 100000 "$snap" >"$scratch/cut"
tell restore "$scratch/cut" --disk "$scratch/disk"
expect [ "$told" = 2 ]
expect_line 'cut: has a header that makes no sense'
tell restore "$NIDUS_INITRD"
expect [ "$told" = 2 ]
expect_line 'is no snapshot of nidus'
tell snapshot wren "$snap"
expect [ "$told" = 2 ]
expect_line 'wren: no guest that runs has that name'
expect_nothing_left
end

begin "a file that cannot be written is none, and the guest goes on"
counts=$counting
start wren
mkdir "$scratch/full"
mount -t tmpfs -o size=1M none "$scratch/full"
tell snapshot wren "$scratch/full/snap" --stop
expect [ "$told" = 3 ]
expect_line 'wren: the guest cannot be saved: No space left on device'
expect [ -z "$(ls -A "$scratch/full")" ]
umount "$scratch/full"
there=$(last_count "$console")
usleep 500000
expect [ "$(last_count "$console")" -gt "$there" ]
tell stop wren
wait $pid
expect in_order "$console"
expect_nothing_left
end
