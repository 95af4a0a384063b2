# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh disable=SC2034,SC2154
#
# Guests that count, and are saved and restored meanwhile: for board tests, after tests/lib.sh and tests/counting.sh.

snap=$scratch/snap
again=$scratch/again

# What the guest's shell does, without double quotes in it: on its console, through its disk, innermost in a nest.
# shellcheck disable=SC2016
{
	counting='i=0; while :; do i=$((i + 1)); echo count $i; usleep 20000; done'
	counting_by_disk='i=0; while :; do i=$((i + 1)); echo block $i | dd of=/dev/vda bs=512 seek=$i conv=sync,fsync 2>/dev/null;
		dd if=/dev/vda bs=512 skip=$i count=1 2>/dev/null | grep -q ^block.$i && echo count $i; done'
	counting_inside='i=0; while :; do i=$((i + 1)); echo count $i; busybox usleep 20000; done'
	counting_busily='i=0; while :; do i=$((i + 1)); echo count $i; done'
}
counts=$counting

# first_life: there is no snapshot yet, and one console.
first_life() {
	rm -f "$snap"
	consoles=$console
	life=0
}

# start NAME OPTION...: a Linux guest that counts, in the background, as $pid, once it has counted to 5.
start() {
	first_life
	nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --mem 128M --name "$@" \
		--params "console=ttyAMA0 quiet -- sh -c \"$counts\"" </dev/null >"$console" 2>"$messages" &
	pid=$!
	wait_for '^count 5' "$console"
}

# go_on OPTION...: wren, in the background, is saved, ended and restored, and counts on; its output is in one more of
# $consoles. Options are restore's. False when it does not.
go_on() {
	tell snapshot wren "$snap" --stop
	expect [ "$told" = 0 ]
	wait "$pid"
	there=$(last_count "${consoles##* }")
	life=$((life + 1))
	consoles="$consoles $scratch/console-$life"
	nidus restore "$snap" --name wren "$@" </dev/null >"$scratch/console-$life" 2>>"$messages" &
	pid=$!
	wait_for "^count $((there + 10))" "$scratch/console-$life"
}

# ends_in_order: wren ends, and all its lives together have counted without a gap.
ends_in_order() {
	tell stop wren
	wait "$pid"
	# shellcheck disable=SC2086	# names without blanks
	expect in_order $consoles
}

# rounds N OPTION...: wren goes on N times.
rounds() {
	left=$1
	shift
	while [ "$left" -gt 0 ]; do
		go_on "$@" || break
		left=$((left - 1))
	done
	expect [ "$left" = 0 ]
	ends_in_order
}

# caught WHERE: wren is paused while its vCPU 0 is there, in words of nidus debug.
caught() {
	for _ in $(seq 500); do
		tell pause wren
		nidus debug wren 2>>"$messages" | grep -q "^vCPU 0: on, at $1" && return
		tell resume wren
	done
	return 1
}

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
	wait "$pid"
}

# nested CPUS MEMORY...: the same as start, for a nest with a level of each MEMORY, whose innermost counts.
nested() {
	cpus=$1
	shift
	first_life
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
