#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: tests/host/gdb.sh [SCENARIO...]
#
# Distributions' GDB on this machine debugs kernels on the board, and kernels in their guests (gdb.py): by a port of the
# board, to which `relay` there connects nidus's socket. On an arm64 machine with KVM the socket is the same for both.

set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

gdb=$(command -v gdb-multiarch || command -v gdb) || {
	echo "not ok - GDB is there"
	exit
}
kernel=$(guest-images/kernel small)
initrd=$(guest-images/initramfs small)
export NIDUS_PORT=$work/port
wanted=("$@")

# debug SCENARIO OPTION... -- COMMAND...: with these of tests/board/run; the command's debugger listens at $NIDUS_SOCKET.
debug() {
	local options=() board tries status=0 scenario=$1

	guest_status=
	shift
	((${#wanted[@]} == 0)) || [[ " ${wanted[*]} " == *" $scenario "* ]] || return 0
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	rm -f "$NIDUS_PORT"
	# shellcheck disable=SC2016	# for the shell there
	tests/board/run --timeout 900 --port "$NIDUS_PORT" --file build/programs --file "$kernel" --file "$initrd" \
		"${options[@]}" -- sh -c '
			export NIDUS_SOCKET=$NIDUS_PORT
			if [ ! -e "$NIDUS_PORT" ] && [ -d /sys/class/virtio-ports ]; then
				NIDUS_SOCKET=/tmp/gdb
				build/programs/relay nidus.port /tmp/gdb &
			fi
			eval "exec timeout -s KILL 800 $*"
		' sh "$@" </dev/null >"$work/guest" 2>&1 &
	board=$!
	for ((tries = 0; tries < 300; tries++)); do
		[[ ! -S $NIDUS_PORT ]] || break
		sleep 0.1
	done
	NIDUS_SCENARIO=$scenario timeout 600 "$gdb" -q -nx -batch -ex "file ${kernel%/*}/vmlinux" -x tests/host/gdb.py \
		</dev/null >"$work/gdb" 2>&1 || [[ $scenario == lost ]] ||
		echo "not ok - the debugger of $scenario ended" >>"$work/gdb"
	wait $board || status=$?
	grep -E -A30 '^(not )?ok - ' "$work/gdb" | grep -E '^(not ok|ok) - |^    ' || echo "not ok - $scenario was debugged"
	if grep -q '^not ok' "$work/gdb"; then
		tail -n 40 "$work/gdb" | sed 's/^/    gdb: /'
		tail -n 20 "$work/guest" | sed 's/^/    guest: /'
	fi
	guest_status=$status
}

# after NAME PATTERN...: what must have come of the guest.
after() {
	local name=$1 pattern
	shift
	[[ -n $guest_status ]] || return 0
	for pattern; do
		if ! grep -Eq -- "$pattern" "$work/guest"; then
			echo "not ok - $name: no line matches $pattern"
			sed 's/^/    guest: /' "$work/guest"
			return
		fi
	done
	((guest_status == 0)) && echo "ok - $name" || echo "not ok - $name: status $guest_status"
}

# shellcheck disable=SC2016	# for the shell there
{
	debug plain -- "nidus run --no-reboot --cpus 2 -k $kernel -i $initrd -p 'console=ttyAMA0 nokaslr'" \
		'--gdb-wait --gdb unix:$NIDUS_SOCKET'
	after "a guest that was debugged runs on to its end" '^nidus guest: up, 2 CPUs'
	own=("nidus nest -k $kernel --depth 1 -p nokaslr --time-limit 800 --file build/programs/debug"
		'--gdb-wait --gdb unix:$NIDUS_SOCKET')
	debug idle -- "${own[@]}" -- debug
	after "a guest debugs itself while its debugger is idle" '^debug: 100 steps, 100 hits'
	debug armed -- "${own[@]}" -- debug brk
	after "a guest's own BRK reaches it while its debugger has breakpoints" '^debug: 100 breakpoints'
	debug resets --file build/guest/reset.bin -- "nidus run --cpus 2 --mem 64M build/guest/reset.bin" \
		'--gdb-wait --gdb unix:$NIDUS_SOCKET'
	after "a debugger ends nidus"
	debug lost -- "nidus run --no-reboot -k $kernel -i $initrd -p 'console=ttyAMA0 nokaslr'" \
		'--gdb-wait --gdb unix:$NIDUS_SOCKET'
	after "a guest whose debugger has got lost runs on, and finds none of its breakpoints" '^nidus guest: up'
	debug nest -- "nidus nest -k $kernel --depth 2 --cpus 2 -p nokaslr --time-limit 800" '--gdb-wait --gdb unix:$NIDUS_SOCKET'
	after "a nest that was debugged runs on to its end" '^ +2 .* shutdown'
	debug processes -- "nidus nest -k $kernel --depth 2 -p nokaslr --time-limit 800" \
		'--gdb-wait --gdb unix:$NIDUS_SOCKET'
	after "so does one whose levels were processes" '^ +2 .* shutdown'
}
