#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# ring: long
#
# On a Debian 13 with nothing installed: a user who may use sudo sees the demo, and lint and the unit tests pass. What is
# made there is kept in the cache, as kernels take long.

set -uo pipefail
cache=${NIDUS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nidus}/fresh-trixie
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# check TEXT PATTERN COMMAND...: COMMAND succeeds and prints a line that matches.
check() {
	local text=$1 pattern=$2

	shift 2
	if tests/fresh --user --cache "$cache" trixie "$@" >"$output" 2>&1 && grep -q "$pattern" "$output"; then
		echo "ok - on Debian 13, $text"
	else
		echo "not ok - on Debian 13, $text"
		tail -n 60 "$output"
	fi
}

check "make demo boots a guest" "^A Linux guest was booted by nidus" make demo
# shellcheck disable=SC2016	# for the shell there
check "lint is clean and the unit tests pass" "^[1-9][0-9]* passed, 0 failed" \
	sh -c 'guest-images/setup && make lint unit && tests/run $(basename -s .c tests/unit/test_*.c)'
