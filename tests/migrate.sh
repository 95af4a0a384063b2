# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh disable=SC2034,SC2154
#
# What tests of moves are written with, beside tests/lib.sh and tests/counting.sh, which are sourced before: a Linux guest
# that counts, whose files change all the time and have to be what they were, as $pid; one that waits for it, as $there;
# and their consoles, $console and $again.

PATH=$PWD/build/programs:$PATH
again=$scratch/again
said=$scratch/said # by who waits
move=$scratch/move
cut=$scratch/cut
disk=$scratch/disk

# shellcheck disable=SC2016	# for the guest's shell
counts='i=0; dd if=/dev/urandom of=/a bs=64k count=8 2>/dev/null; md5sum /a >/sum; while md5sum -c -s /sum; do
	cp /a /b; mv /b /a; i=$((i + 1)); echo count $i; usleep 20000; done'

# start OPTION...: the guest, once it has counted to 5.
start() {
	nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --mem 96M --name wren "$@" \
		--params "console=ttyAMA0 quiet -- sh -c \"$counts\"" </dev/null >"$console" 2>"$messages" &
	pid=$!
	wait_for '^count 5' "$console"
}

# await FILE: until it is there.
await() {
	for _ in $(seq 600); do
		[ ! -e "$1" ] || return 0
		usleep 50000
	done
	complain "there is no $1"
}

# receive OPTION...: who waits for a guest, at $move.
# shellcheck disable=SC2120	# there may be none
receive() {
	nidus restore --from "unix:$move" --name nest "$@" </dev/null >"$again" 2>"$said" &
	there=$!
	await "$move"
}

# ended PID: its status is $status. It is killed where it does not end.
ended() {
	(sleep 120 && kill -KILL "$1") 2>/dev/null &
	killer=$!
	wait "$1"
	status=$?
	kill $killer 2>/dev/null
}

# goes_on FILE: whoever writes it counts.
goes_on() {
	reached=$(last_count "$1")
	wait_for "^count $((${reached:-0} + 3))" "$1"
}

# here: the guest goes on here alone, and who waited for it has ended with one line and a status that is not 0.
here() {
	ended "$there"
	expect [ $status != 0 ]
	expect [ "$(wc -l <"$said")" = 1 ]
	expect [ ! -s "$again" ]
	goes_on "$console"
	expect in_order "$console"
}

# moved: it has gone, and counts on there.
moved() {
	ended "$pid"
	expect [ $status = 0 ]
	pid=$there
	goes_on "$again"
	expect in_order "$console" "$again"
}

# moves_and_ends OPTION...: it moves to who has these options, counts on there, and is ended.
moves_and_ends() {
	receive "$@"
	tell migrate wren "unix:$move"
	expect [ "$told" = 0 ]
	moved
	tell stop nest
	ended "$pid"
	expect_nothing_left
}

# through THERE BACK [hold]: who moves the guest to $cut does so by way of a relay that passes as many bytes and no more.
through() {
	breaker "$cut" "$move" "$@" &
	relay=$!
	await "$cut"
}

# chance SEED MAX: a number that looks random, below MAX.
chance() {
	awk -v seed="$1" -v max="$2" 'BEGIN { srand(seed); rand(); printf "%d", int(rand() * max) }'
}

# cut_at THERE BACK: the move breaks off there; its status is $told.
cut_at() {
	receive
	through "$1" "$2"
	tell migrate wren "unix:$cut"
	wait $relay
	rm -f "$cut"
}
