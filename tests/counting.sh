# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh disable=SC2034,SC2154
#
# Guests that say "count N" with the next number each time, wherever they go on, or other words with numbers; and what is
# done to them. For board
# tests, after tests/lib.sh.

# tell COMMAND ARGUMENT...: what it says goes to $messages; its status is $told.
tell() {
	nidus "$@" >>"$messages" 2>&1
	told=$?
}

# last_number WORD FILE: N of the last "WORD N" in FILE, whatever comes after it. The last line does not count: while the
# guest writes it, "stable 2" may be the beginning of "stable 21".
last_number() {
	tr -d '\r' <"$2" | sed '$d' | sed -n "s/^$1 \([0-9]*\)\( .*\)\{0,1\}$/\1/p" | tail -n 1
}

# last_count FILE
last_count() {
	last_number count "$1"
}

# in_order FILE...: each number is one more than that before it, over all files, and there are some; the last line may be
# cut off, and what is cut off at the end of one file is in the next.
in_order() {
	cat "$@" | tr -d '\r' | sed '$d' | sed -n 's/^count \([0-9]*\)$/\1/p' |
		awk 'NR > 1 && $1 != last + 1 { wrong = 1; print "after " last " came " $1 } { last = $1 }
			END { exit wrong || NR == 0 }'
}
