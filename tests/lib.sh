# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# What board tests (tests/guest/*.sh, tests/boot/*.sh) are written with. They run as root on an Arm
# machine with /dev/kvm, emulated or real, in a POSIX shell that may be busybox's. Their output is
# read by tests/run: a line "ok - NAME", "not ok - NAME" or "skip - NAME: WHY" for each test, and for
# a failure what is wrong and the guest's console.
#
#   begin "what must hold"
#   guest --kernel ... --params ...     runs nidus; console, messages and status are kept
#   expect_status 0
#   expect_line 'regular expression'    in console or messages
#   end

scratch=$(mktemp -d)
# Where guests with a name have their sockets: the board has no place for them.
export XDG_RUNTIME_DIR="$scratch"
failed=0
# A failure is told by the exit status as well, in case its line gets lost.
finish() {
	code=$?
	rm -rf "$scratch"
	[ $failed = 0 ] || code=1
	exit $code
}
trap finish EXIT
console=$scratch/console
messages=$scratch/messages
: >"$console"
: >"$messages"

begin() {
	name=$1
	complaints=
}

complain() {
	complaints="$complaints
    $*"
}

end() {
	if [ -z "$complaints" ]; then
		echo "ok - $name"
		return
	fi
	failed=1
	echo "
not ok - $name$complaints"
	tail -n 60 "$console" | sed 's/^/    console: /'
	sed 's/^/    message: /' "$messages"
}

# skip WHY: instead of end.
skip() {
	echo "skip - $name: $1"
}

# know_users: root and nobody are known by name, to a board that knows nobody. A machine keeps its own.
know_users() {
	[ ! -e /etc/passwd ] || return 0
	mkdir -p /etc
	printf '%s\n' root:x:0:0::/:/bin/sh nobody:x:65534:65534::/:/bin/sh >/etc/passwd
}

# guest OPTION...: nidus run with these options; for no more than $limit seconds, without a reset.
guest() {
	timeout -s KILL "${limit:-60}" nidus run --no-reboot "$@" \
		<"${input:-/dev/null}" >"$console" 2>"$messages"
	status=$?
}

# interrupted SIGNAL WHEN COMMAND...: COMMAND gets a signal when the shell has done WHEN. It runs in
# the foreground: what a shell starts in the background ignores SIGINT for good. Its console, messages
# and status are kept.
interrupted() {
	rm -f "$scratch/interrupted"
	{
		until [ -s "$scratch/interrupted" ]; do
			usleep 1000
		done
		eval "$2"
		kill -"$1" "$(cat "$scratch/interrupted")" 2>/dev/null
	} &
	killer=$!
	shift 2
	# What the shell itself says of a process that was killed is no message of COMMAND's.
	# shellcheck disable=SC2016	# for the inner shell
	{
		(sh -c 'echo $$ >"$0.new" && mv "$0.new" "$0" && exec "$@"' \
			"$scratch/interrupted" "$@" </dev/null >"$console" 2>"$messages")
		status=$?
	} 2>/dev/null
	wait $killer
	rm -f "$scratch/interrupted"
}

# linux OPTION... [-- COMMAND]: the same with the test kernel and initramfs.
linux() {
	options=
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	# shellcheck disable=SC2086	# options have no blanks in them
	guest --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" $options \
		--params "console=ttyAMA0 panic=-1 ${params-} $*"
}

# linux_shell OPTION... -- TEXT: the same with a shell that runs $prelude and TEXT, without double quotes in them.
linux_shell() {
	shell_options=
	while [ "$1" != -- ]; do
		shell_options="$shell_options $1"
		shift
	done
	# shellcheck disable=SC2086	# options have no blanks in them
	linux $shell_options -- sh -c "\"${prelude-}$2\""
}

expect_status() {
	[ "$status" = "$1" ] || complain "exit status $status instead of $1"
}

expect_line() {
	grep -Eq -- "$1" "$console" "$messages" || complain "no line matches: $1"
}

refuse_line() {
	if grep -Eq -- "$1" "$console" "$messages"; then
		complain "a line matches: $1"
	fi
}

# What a failing nidus says is one line.
expect_one_message() {
	[ "$(wc -l <"$messages")" = 1 ] || complain "not one line of message, but $(wc -l <"$messages")"
}

expect() {
	"$@" || complain "not so: $*"
}

# What the board's kernel says when it finds fault with itself.
expect_no_report() {
	dmesg | grep -E 'WARNING: |BUG: |INFO: |kernel BUG at|corruption' >"$scratch/reports" || return 0
	complain "the kernel reports: $(head -n 1 "$scratch/reports")"
	dmesg | tail -n 60 >"$console"
}

# ram_owner: the process of the nidus that has its guest's RAM in a memfd.
ram_owner() {
	grep -l memfd:guest-ram /proc/[0-9]*/maps | sed 's,/proc/\([0-9]*\)/maps,\1,'
}

# wait_for REGEX FILE [COUNT]: until so many lines of FILE match (1). It is a complaint when they do not within five
# minutes, or when the guest in the background, $pid, has ended without them.
wait_for() {
	for _ in $(seq 3000); do
		alive=yes
		[ -z "${pid-}" ] || kill -0 "$pid" 2>/dev/null || alive=no
		matches=$(grep -cs "$1" "$2")
		[ "${matches:-0}" -lt "${3:-1}" ] || return 0
		[ $alive = yes ] || break
		usleep 100000
	done
	complain "${3:-1} lines were to match, and ${matches:-0} do: $1"
	return 1
}

# What a nidus that has ended must not leave: processes of ours, files beside those named.
expect_nothing_left() {
	for process in /proc/[0-9]*; do
		if grep -qx 'Name:	nidus' "$process/status" && grep -qx "PPid:	$$" "$process/status"; then
			complain "a nidus is still there: $process"
		fi
	done 2>/dev/null
	set -- "$scratch"/*.[0-9]*
	[ ! -e "$1" ] || complain "left behind: $*"
}
