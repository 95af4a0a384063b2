# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# kernel: debian
# board: --mte
# files: tests/counting.sh
. tests/lib.sh
# shellcheck source=tests/counting.sh
. tests/counting.sh

# What is saved of memory with tags.

input=$scratch/input
again=$scratch/again
snap=$scratch/snap
move=$scratch/move

begin "tags of memory are saved, restored and moved, those of pages of zeroes included"
if ! grep -qw mte /proc/cpuinfo; then
	skip "no memory tagging"
else
	mkfifo "$input"
	nidus run --kernel build/guest/tags.bin --mem 64M --mte --name wren <"$input" >"$console" 2>"$messages" &
	pid=$!
	exec 3>"$input"
	wait_for '^tagged' "$console"
	tell snapshot wren "$snap" --track
	expect [ "$told" = 0 ]
	tell snapshot wren "$snap.2" --base "$snap" --stop
	expect [ "$told" = 0 ]
	wait $pid

	# An increment, which has no page of its own but all tags; from there to another process; and on.
	nidus restore --from "unix:$move" --name there <"$input" >"$again" 2>>"$messages" &
	there=$!
	nidus restore "$snap.2" --base "$snap" --name wren </dev/null >/dev/null 2>>"$messages" &
	pid=$!
	for _ in $(seq 100); do
		[ ! -e "$move" ] || [ ! -e "$XDG_RUNTIME_DIR/nidus/wren.sock" ] || break
		usleep 100000
	done
	tell migrate wren "unix:$move"
	expect [ "$told" = 0 ]
	wait $pid
	echo go >&3
	exec 3>&-
	pid=$there
	wait_for '^tags:' "$again"
	wait $there
	expect grep -q '^tags: all 2 checks hold' "$again"
	end
fi

begin "tags of memory that is a file's are refused, and a guest without memory tagging has none"
if ! grep -qw mte /proc/cpuinfo; then
	skip "no memory tagging"
else
	nidus run --kernel build/guest/busy.bin --mem 64M --mte --mem-backing memfd --name wren </dev/null >"$console" 2>"$messages" &
	pid=$!
	wait_for '^still busy' "$console"
	tell snapshot wren "$snap"
	expect [ "$told" = 3 ]
	expect_line "the guest cannot be saved: it has memory tagging, and RAM that is a file's"
	tell stop wren
	wait $pid
	end
fi
