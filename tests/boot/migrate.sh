# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh disable=SC2086,SC2119
# images: small
# files: tests/counting.sh tests/migrate.sh build/programs/breaker
# board: --mem 3G --timeout 1500
. tests/lib.sh
# shellcheck source=tests/counting.sh
. tests/counting.sh
# shellcheck source=tests/migrate.sh
. tests/migrate.sh

begin "a guest moves by a Unix socket, and counts on there with the next number"
start --cpus 2
receive
tell migrate wren "unix:$move"
expect [ "$told" = 0 ]
expect_line '^Guest wren moved to unix:.*: [0-9]+ MiB in [0-9]+ rounds, paused for [0-9]+ ms'
moved
expect [ ! -e "$move" ]
end

begin "it moves on by TCP, and by commands"
mv "$again" "$scratch/first"
ip link set lo up
nidus restore --from tcp:127.0.0.1:4711 --name third </dev/null >"$again" 2>"$said" &
there=$!
for _ in $(seq 100); do
	! grep -q ':1267 .* 0A ' /proc/net/tcp || break
	usleep 50000
done
tell migrate nest tcp:127.0.0.1:4711
expect [ "$told" = 0 ]
ended $pid
expect [ "$status" = 0 ]
pid=$there
goes_on "$again"
mv "$again" "$scratch/second"
mkfifo "$scratch/to" "$scratch/from"
# busybox's cat has the kernel move what it reads from a socket, and not all of it gets there.
nidus restore --from "exec:cat $scratch/to & tee /dev/null >$scratch/from" --name wren </dev/null >"$again" 2>"$said" &
there=$!
tell migrate third "exec:cat $scratch/from & tee /dev/null >$scratch/to"
expect [ "$told" = 0 ]
ended $pid
expect [ "$status" = 0 ]
pid=$there
goes_on "$again"
expect in_order "$console" "$scratch/first" "$scratch/second" "$again"
tell stop wren
ended $pid
expect [ "$status" = 0 ]
expect_nothing_left
end

begin "a guest on PCI moves, and its disk with it"
truncate -s 16M "$disk"
still=$counts
# shellcheck disable=SC2016	# for the guest's shell
counts='i=0; while :; do i=$((i + 1)); echo block $i | dd of=/dev/vda bs=512 seek=$i conv=sync,fsync 2>/dev/null;
	dd if=/dev/vda bs=512 skip=$i count=1 2>/dev/null | grep -q ^block.$i && echo count $i; done'
start --cpus 2 --disk "$disk"
receive --disk "$disk"
tell migrate wren "unix:$move"
expect [ "$told" = 0 ]
moved
nidus run --kernel "$NIDUS_KERNEL" --disk "$disk" </dev/null >/dev/null 2>>"$messages"
expect [ $? = 2 ]
expect_line 'disk: a nidus uses it already'
end

begin "nobody has a disk twice, whatever is known of the other side"
mv "$again" "$scratch/first"
# The guest's own nidus has the other one.
said=$scratch/said.there
# The commitment does not get there.
nidus restore --from "unix:$move" --name wren --disk "$disk" </dev/null >"$again" 2>"$said" &
there=$!
await "$move"
through -1 16
tell migrate nest "unix:$cut"
rm "$cut"
expect [ "$told" = 3 ]
expect_line 'the guest is paused: it was given to the other side, which has not said that it runs there'
ended $there
expect [ "$status" = 3 ]
expect [ "$(wc -l <"$said")" = 1 ]
expect [ ! -s "$again" ]
nidus stat nest >/dev/null
expect [ $? = 0 ]
tell resume nest
expect [ "$told" = 0 ]
goes_on "$scratch/first"
# It does, and the answer does not.
nidus restore --from "unix:$move" --name wren --disk "$disk" </dev/null >"$again" 2>"$said" &
there=$!
await "$move"
through -1 23
tell migrate nest "unix:$cut"
rm "$cut"
expect [ "$told" = 3 ]
goes_on "$again"
tell resume nest
expect [ "$told" = 3 ]
expect_line 'the guest stays paused: somebody else has its disks'
goes_on "$again"
tell stop nest
ended $pid
pid=$there
goes_on "$again"
expect in_order "$console" "$scratch/first" "$again"
tell stop wren
ended $pid
expect_nothing_left
counts=$still
end

begin "a guest goes on where its move breaks off, at any byte"
start --cpus 2
for seed in $(seq 12); do
	cut_at "$(chance "$seed" $((8 << 20)))" -1
	expect [ "$told" = 3 ]
	here
done
expect_line 'wren: the guest cannot be moved: the other side has gone'
# When all but its last word is there.
cut_at -1 7
expect [ "$told" = 3 ]
here
end

begin "who does not read keeps no guest from running, and is given up"
receive
through $((1 << 20)) -1 hold
tell migrate wren "unix:$cut" --timeout 3
expect [ "$told" = 3 ]
expect_line 'wren: the guest cannot be moved: the other side took too long'
kill -KILL $relay
rm -f "$cut"
here
# Or by who has asked.
receive
through $((1 << 20)) -1 hold
timeout 2 nidus migrate wren "unix:$cut" 2>>"$messages"
goes_on "$console"
kill -TERM $there
ended $there
expect [ "$status" = 143 ]
kill -KILL $relay
rm -f "$cut"
goes_on "$console"
moves_and_ends
end

begin "what does not go is said, and the guest goes on"
start
receive --disk "$disk"
tell migrate wren "unix:$move"
expect [ "$told" = 3 ]
ended $there
expect [ "$status" = 2 ]
expect grep -q 'has 0 disks and 0 networks, and was given 1 and 0' "$said"
tell migrate wren "unix:$move"
expect [ "$told" = 3 ]
expect_line 'unix:.*move: No such file or directory'
tell migrate wren elsewhere
expect [ "$told" = 2 ]
expect_line 'elsewhere: must be unix:PATH, tcp:ADDRESS:PORT or exec:COMMAND'
tell migrate wren 'exec:head -c 100000 >/dev/null'
expect [ "$told" = 3 ]
tell restore --from 'exec:head -c 100 /dev/zero'
expect [ "$told" = 3 ]
expect_line 'what comes is no guest of nidus'
tell restore
expect [ "$told" = 2 ]
expect_line 'restore takes a file that snapshot has made, or --from'
goes_on "$console"
expect in_order "$console"
tell stop wren
ended $pid
expect_nothing_left
end

begin "a guest that not all threads are there for goes on where it was"
know_users
start --cpus 2 --disk "$disk"
chmod 666 /dev/kvm "$disk"
chmod 777 "$scratch"
touch "$again" "$said"
chmod 666 "$again" "$said"
# One for the program itself, two for the disk, and one for a vCPU.
su nobody -s /bin/sh -c "ulimit -u 4; exec nidus restore --from unix:$move --disk $disk" </dev/null >"$again" 2>"$said" &
there=$!
await "$move"
tell migrate wren "unix:$move"
expect [ "$told" = 3 ]
expect_line 'wren: the guest cannot be moved: the other side cannot run it'
ended $there
expect [ "$status" = 3 ]
expect grep -q 'thread of vCPU 0: ' "$said"
expect [ ! -s "$again" ]
goes_on "$console"
expect in_order "$console"
moves_and_ends --disk "$disk"
end

begin "a nest moves with all its levels, while the innermost writes to its memory"
nidus nest --time-limit 900 --kernel "$NIDUS_KERNEL" --depth 2 --cpus 2 --file /bin/busybox --name wren \
	-- busybox sh -c "$counts" </dev/null >"$console" 2>"$messages" &
pid=$!
wait_for '^count 3' "$console"
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
