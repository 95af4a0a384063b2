#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: tests/host/gdb.sh [SCENARIO...]
#
# Without SCENARIO, all but those of gdb_long.sh. NIDUS_GDB is another GDB than the one that is installed.
#
# Distributions' GDB on this machine debugs kernels on the board, and kernels in their guests (gdb.py): by a port of the
# board, to which `relay` there connects nidus's socket. On an arm64 machine with KVM the socket is the same for both.

set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

gdb=${NIDUS_GDB:-$(command -v gdb-multiarch || command -v gdb)} || {
	echo "not ok - GDB is there"
	exit
}
kernel=$(guest-images/kernel small)
initrd=$(guest-images/initramfs small)
export NIDUS_PORT=$work/port
wanted=("$@")
limit=700 # seconds for the debugger; what is around it has some more

wants() {
	((${#wanted[@]} == 0)) || [[ " ${wanted[*]} " == *" $1 "* ]]
}

# Whether a debugger may come to $NIDUS_PLACE: the socket, or with NIDUS_NAME a command where the guest is on this machine.
is_there() {
	export NIDUS_PLACE=$NIDUS_PORT
	[[ ! -S $NIDUS_PORT ]] || return 0
	[[ -n ${NIDUS_NAME-} ]] && build/nidus list 2>/dev/null | grep -q "$NIDUS_NAME" || return 1
	NIDUS_PLACE="| build/nidus debug --gdb $NIDUS_NAME"
}

# with_lldb: what it is told, and behind #> what is to come of it, in that order, is all in a file of its commands.
with_lldb() {
	timeout "$limit" lldb --no-lldbinit --batch -o "target create ${kernel%/*}/vmlinux" \
		-o "process connect --plugin gdb-remote unix-connect://$NIDUS_PLACE" -s tests/host/lldb.in </dev/null \
		>"$work/lldb" 2>&1
	cat "$work/lldb"
	awk 'BEGIN { n = at = 0 }
		NR == FNR { if (sub(/^#> /, "")) wanted[n++] = $0; next }
		!/^\(lldb\)/ && at < n && $0 ~ wanted[at] { at++ }
		END { print n && at == n ? "ok - LLDB debugs a guest" : "not ok - of LLDB no line matches " wanted[at] }' \
		tests/host/lldb.in "$work/lldb"
}

# debug SCENARIO OPTION... -- COMMAND...: with these of tests/board/run; the command's debugger listens at $NIDUS_SOCKET.
debug() {
	local options=() board tries status=0 scenario=$1

	guest_status=
	shift
	wants "$scenario" || return 0
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	rm -f "$NIDUS_PORT"
	# shellcheck disable=SC2016	# for the shell there
	tests/board/run --timeout $((limit + 200)) --port "$NIDUS_PORT" --file build/programs --file "$kernel" --file "$initrd" \
		"${options[@]}" -- sh -c '
			export NIDUS_SOCKET=$NIDUS_PORT
			if [ ! -e "$NIDUS_PORT" ] && [ -d /sys/class/virtio-ports ]; then
				NIDUS_SOCKET=/tmp/gdb
				if [ -n "$NIDUS_NAME" ]; then
					mkdir -p /run
					{
						until nidus list | grep -q "$NIDUS_NAME"; do sleep 0.2; done
						exec build/programs/relay nidus.port nidus debug --gdb "$NIDUS_NAME"
					} &
				else
					build/programs/relay nidus.port /tmp/gdb &
				fi
			fi
			limit=$1
			shift
			eval "exec timeout -s KILL $limit $*"
		' sh $((limit + 100)) "$@" </dev/null >"$work/guest" 2>&1 &
	board=$!
	for ((tries = 0; tries < 300; tries++)); do
		! is_there || break
		sleep 0.1
	done
	if [[ $scenario == lldb ]]; then
		with_lldb
	else
		NIDUS_SCENARIO=$scenario timeout "$limit" "$gdb" -q -nx -batch -ex "file ${kernel%/*}/vmlinux" \
			-x tests/host/gdb.py </dev/null
	fi >"$work/gdb" 2>&1 || [[ $scenario == lost ]] || echo "not ok - the debugger of $scenario ended" >>"$work/gdb"
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
	own=("nidus nest -k $kernel --depth 1 -p nokaslr --time-limit $limit --file build/programs/debug"
		'--gdb-wait --gdb unix:$NIDUS_SOCKET')
	NIDUS_NAME=wren debug attached -- "nidus run --no-reboot -k $kernel -i $initrd -p 'console=ttyAMA0 nokaslr'" \
		'--name wren --gdb-wait'
	after "a guest that a debugger has come to by its name runs on" '^nidus guest: up'
	NIDUS_PAYLOAD=build/guest/el2_stuck.elf NIDUS_NAME=wren debug stuck --file build/guest/el2_stuck.bin -- \
		"nidus run --nested --name wren build/guest/el2_stuck.bin"
	after "a nest that hangs can be ended"
	debug lldb -- "nidus run --no-reboot --cpus 2 -k $kernel -i $initrd -p 'console=ttyAMA0 nokaslr'" \
		'--gdb-wait --gdb unix:$NIDUS_SOCKET'
	after "a guest that LLDB debugged runs on to its end" '^nidus guest: up, 2 CPUs'
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
	debug nest -- "nidus nest -k $kernel --depth 2 --cpus 2 -p nokaslr --time-limit $limit" '--gdb-wait --gdb unix:$NIDUS_SOCKET'
	after "a nest that was debugged runs on to its end" '^ +2 .* shutdown'
	debug processes -- "nidus nest -k $kernel --depth 2 -p nokaslr --time-limit $limit" \
		'--gdb-wait --gdb unix:$NIDUS_SOCKET'
	after "so does one whose levels were processes" '^ +2 .* shutdown'
}

((${#wanted[@]})) || exit 0
limit=3000

if wants steps; then
	export NIDUS_TRACE=$work/trace NIDUS_PAYLOAD=build/guest/el2_steps.elf
	for e2h0 in "" --e2h0; do
		payload=(nidus run --nested ${e2h0:+"$e2h0"} build/guest/el2_steps.bin)
		tests/board/run --smp 1 --timeout 600 --trace "$NIDUS_TRACE" --trace-range 0x40080000+0x10000 \
			--file build/guest -- "${payload[@]}" >/dev/null
		debug steps --file build/guest -- "${payload[*]} --gdb-wait" "--gdb unix:\$NIDUS_SOCKET"
		after "a hypervisor that was stepped runs on to its end${e2h0:+, without VHE}" '^el2_steps: all'
	done
fi

if wants own; then
	debian=$(guest-images/kernel debian)
	mkdir "$work/root"
	cp -r "$(guest-images/program probes)"/{breakpoint_test_arm64,ftrace} "$work/root"
	cat >"$work/root/probes.sh" <<-'END'
		mount -t tracefs nodev /sys/kernel/tracing
		/breakpoint_test_arm64
		cd /ftrace && sh ./ftracetest test.d/kprobe
	END
	# shellcheck source=guest-images/lib.sh
	(. guest-images/lib.sh && cat "$(guest-images/initramfs debian)" && pack "$work/root") >"$work/initrd"
	debug own --file "$debian" --file "$work/initrd" -- "nidus run --mem 512M --no-reboot -k $debian -i $work/initrd" \
		"-p 'console=ttyAMA0 quiet -- sh /probes.sh' --gdb-wait --gdb unix:\$NIDUS_SOCKET"
	after "Linux's breakpoints, single steps, watchpoints and kprobes work while a debugger is idle" \
		'^# Totals: pass:2[0-9][0-9] fail:0 xfail:0 xpass:0 skip:0 error:0' '^# of passed: +2[0-9]' '^# of failed: +0'
fi
