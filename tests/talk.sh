# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh disable=SC2034,SC2154
#
# What tests are written with that type to their guests, beside tests/lib.sh, which is sourced before.
#
#   talk_to nidus run ...       runs in the background, as $pid; its console and messages are kept
#   hear 'login:'               until that is on the console, after what was heard last
#   type 'root'                 a line
#   hang_up                     until it has ended by itself; sets status

# talk_to COMMAND...: whose standard input are lines to come.
talk_to() {
	rm -f "$scratch/keys"
	mkfifo "$scratch/keys"
	exec 4<>"$scratch/keys"
	: >"$console"
	heard=0
	"$@" <"$scratch/keys" >"$console" 2>"$messages" &
	pid=$!
}

# hear REGEX [SECONDS]: it is a complaint when it does not come so soon (120), or the guest ends without it.
hear() {
	left=$((${2:-120} * 10))
	while ! tail -c +$((heard + 1)) "$console" | grep -aEq -- "$1"; do
		if [ $((left -= 1)) -lt 0 ] || ! kill -0 "$pid" 2>/dev/null; then
			complain "never heard: $1"
			return 1
		fi
		usleep 100000
	done
	heard=$(wc -c <"$console")
}

# type TEXT: as a terminal sends it.
type() {
	printf '%s\r' "$1" >&4
}

# hang_up: what has not ended by itself within a minute is killed.
hang_up() {
	left=600
	while kill -0 "$pid" 2>/dev/null && [ $((left -= 1)) -ge 0 ]; do
		usleep 100000
	done
	kill -KILL "$pid" 2>/dev/null && complain "it does not end"
	wait "$pid" 2>/dev/null
	status=$?
	exec 4>&-
	pid=
}
