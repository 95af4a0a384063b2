#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# ring: long
#
# The demos show what they promise, and what docs/ has of them is what they say, numbers apart. (make demo itself is run on
# a machine that has nothing, by fresh.sh.)

set -uo pipefail
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# words FILE: what people have written for people, which is what a demo ends with.
words() {
	tr -d '\r' <"$1" | sed -n '/^To try next:/,$p'
}

# check NAME PATTERN WHAT
check() {
	if tests/"$1" >"$output" 2>&1 && grep -qE "$2" "$output" && diff <(words "$output") <(words "docs/$1.txt"); then
		echo "ok - $1: $3"
	else
		echo "not ok - $1: $3"
		tail -n 60 "$output"
	fi
}

check demo-nest '^  at level 3: [0-9.]+ ' "three levels, and what an exit costs on each"
check demo-xen 'DOM1: this is domU1' "Xen starts two domains"
