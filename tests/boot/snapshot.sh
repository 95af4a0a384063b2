# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --mem 4G --timeout 1200
. tests/lib.sh

snap=$scratch/snap
again=$scratch/again

# start NAME OPTION...: a Linux guest that counts, in the background, as $pid, once it has counted to 5.
# shellcheck disable=SC2016	# for the guest's shell
counts='i=0; while :; do i=$((i + 1)); echo count $i; usleep 20000; done'
start() {
	rm -f "$snap"
	nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --mem 128M --name "$@" \
		--params "console=ttyAMA0 quiet -- sh -c \"$counts\"" </dev/null >"$console" 2>"$messages" &
	pid=$!
	wait_for '^count 5' "$console"
}

# tell COMMAND ARGUMENT...: what it says goes to $messages; its status is $told.
tell() {
	nidus "$@" >>"$messages" 2>&1
	told=$?
}

# last_count FILE: of whole lines.
last_count() {
	tr -d '\r' <"$1" | sed '$d' | sed -n 's/^count \([0-9]*\)$/\1/p' | tail -n 1
}

# in_order FILE...: each number is one more than that before it, over all files; the last line may be cut off.
in_order() {
	cat "$@" | tr -d '\r' | sed '$d' | sed -n 's/^count \([0-9]*\)$/\1/p' |
		awk 'NR > 1 && $1 != last + 1 { wrong = 1; print "after " last " came " $1 } { last = $1 } END { exit wrong }'
}

# rounds N OPTION...: wren, in the background, is saved, ended and restored N times, and counts on. Options are restore's.
rounds() {
	left=$1
	shift
	consoles=$console
	while [ "$left" -gt 0 ]; do
		tell snapshot wren "$snap" --stop
		expect [ "$told" = 0 ]
		wait $pid
		there=$(last_count "${consoles##* }")
		consoles="$consoles $scratch/console-$left"
		nidus restore "$snap" --name wren "$@" </dev/null >"$scratch/console-$left" 2>>"$messages" &
		pid=$!
		wait_for "^count $((there + 10))" "$scratch/console-$left" || break
		left=$((left - 1))
	done
	expect [ "$left" = 0 ]
	tell stop wren
	wait $pid
	# shellcheck disable=SC2086	# names without blanks
	expect in_order $consoles
}

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

begin "so it does ten times"
start wren --cpus 2
rounds 10
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

# increments: three, each while the guest counts, the last with its end; only what has changed is in them.
increments() {
	tell snapshot wren "$scratch/base" --track
	expect [ "$told" = 0 ]
	tell snapshot wren "$scratch/first" --base "$scratch/base"
	expect [ "$told" = 0 ]
	usleep 300000
	tell snapshot wren "$scratch/second" --base "$scratch/first"
	expect [ "$told" = 0 ]
	usleep 300000
	tell snapshot wren "$snap" --base "$scratch/second" --stop
	expect [ "$told" = 0 ]
	wait $pid
}

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
# shellcheck disable=SC2016	# for the guest's shell
counts='i=0; while :; do i=$((i + 1)); echo block $i | dd of=/dev/vda bs=512 seek=$i conv=sync,fsync 2>/dev/null;
	dd if=/dev/vda bs=512 skip=$i count=1 2>/dev/null | grep -q ^block.$i && echo count $i; done'
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

begin "a guest on PCI, its disk at work, goes on ten times"
truncate -s 16M "$scratch/disk"
# shellcheck disable=SC2016	# for the guest's shell
counts='i=0; while :; do i=$((i + 1)); echo block $i | dd of=/dev/vda bs=512 seek=$i conv=sync,fsync 2>/dev/null;
	dd if=/dev/vda bs=512 skip=$i count=1 2>/dev/null | grep -q ^block.$i && echo count $i; done'
start wren --cpus 2 --disk "$scratch/disk"
rounds 10 --disk "$scratch/disk"
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
# shellcheck disable=SC2016	# for the guest's shell
counts='i=0; while :; do i=$((i + 1)); echo count $i; usleep 20000; done'
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

# nested CPUS MEMORY...: the same as start, for a nest with a level of each MEMORY, whose innermost counts.
nested() {
	cpus=$1
	shift
	rm -f "$snap"
	echo "cpus = $cpus; kernel = \"$NIDUS_KERNEL\"; time-limit = 900; levels = (" >"$scratch/nest"
	separator=
	for memory in "$@"; do
		echo "$separator { memory = \"$memory\"; file = \"/bin/busybox\"; }" >>"$scratch/nest"
		separator=,
	done
	echo ");" >>"$scratch/nest"
	nidus nest "$scratch/nest" --name wren -- busybox sh -c "$counts" </dev/null >"$console" 2>"$messages" &
	pid=$!
	wait_for '^count 5' "$console"
}

begin "a nest of two with two vCPUs, counting, goes on ten times"
# shellcheck disable=SC2016	# for the shell inside
counts='i=0; while :; do i=$((i + 1)); echo count $i; busybox usleep 20000; done'
nested 2 768M 256M
rounds 10
expect_nothing_left
end

begin "so does one with four vCPUs"
nested 4 768M 256M
rounds 10
expect_nothing_left
end

begin "so does a nest of three"
nested 1 1280M 768M 256M
rounds 10
expect_nothing_left
end

begin "a nest has increments"
nested 2 768M 256M
increments
nidus restore "$snap" --base "$scratch/base" --base "$scratch/second" --base "$scratch/first" --name wren \
	</dev/null >"$again" 2>>"$messages" &
pid=$!
there=$(last_count "$console")
wait_for "^count $((there + 20))" "$again"
tell stop wren
wait $pid
expect in_order "$console" "$again"
expect_nothing_left
end

# nest OPTION...: nidus nest; what it says is in $messages.
nest() {
	timeout -s KILL 200 nidus nest "$@" </dev/null >"$console" 2>"$messages"
	status=$?
}

begin "a nest of two is saved when all levels are up, and runs a command each time"
nest --kernel "$NIDUS_KERNEL" --depth 2 --cpus 2 --file /bin/busybox --save "$snap"
expect_status 0
expect_line '^level 2: up after '
expect_line 'the nest is saved to .*: [0-9]+ MiB of RAM'
# shellcheck disable=SC2016	# for the shell inside
nest --from "$snap" -- busybox sh -c 'echo so deep: $((6 * 7))'
expect_status 0
expect_line '^so deep: 42'
nest --from "$snap" -- busybox sh -c 'exit 3'
expect_status 1
expect_line 'level 2 had its command end with status 3'
expect_nothing_left
end

begin "two of them at the same time"
nidus nest --from "$snap" -- busybox cat /proc/interrupts </dev/null >"$scratch/one" 2>"$messages" &
one=$!
nidus nest --from "$snap" -- busybox sh -c 'sleep 1; busybox uname -a' </dev/null >"$scratch/two" 2>"$messages" &
wait $one
expect [ $? = 0 ]
wait $!
expect [ $? = 0 ]
expect grep -Eq '^ *[0-9]+: +[1-9][0-9]* .*arch_timer' "$scratch/one"
expect grep -q '^Linux ' "$scratch/two"
expect_nothing_left
end

begin "what makes no sense of a nest and a snapshot is said"
nest --from "$snap"
expect_status 2
expect_line 'give a command for the innermost level'
nest --from "$snap" --depth 2 -- true
expect_status 2
expect_line 'what the nest is was saved with it'
nest --kernel "$NIDUS_KERNEL" --depth 2 --save "$scratch/no/such/snap"
expect_status 2
expect_line 'no/such/snap: No such file'
nest --from "$NIDUS_INITRD" -- true
expect_status 2
expect_line 'is no snapshot of nidus'
expect_nothing_left
end
