# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh disable=SC2034,SC2154
#
# What tests of devices that others serve are written with, beside tests/lib.sh, which is sourced before: a directory,
# $dir, a guest that has our programs, as far as they were brought along, and the daemons.

PATH=$NIDUS_VIRTIOFSD:$NIDUS_STORAGE:$PATH
limit=200
initrd=$scratch/initrd
{
	cat "$NIDUS_INITRD"
	(cd build/programs && for program in fs reader tree vsock; do
		[ ! -e $program ] || echo $program
	done | cpio -o -H newc 2>/dev/null)
} >"$initrd"
dir=$scratch/dir
mkdir "$dir"

# start OPTION... -- TEXT: a guest in the background, as $pid, whose shell runs TEXT, which has no double quotes.
start() {
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	: >"$console"
	# shellcheck disable=SC2086	# options have no blanks in them
	nidus run ${once---no-reboot} --kernel "$NIDUS_KERNEL" --initrd "$initrd" --stats "$scratch/stats" $options \
		--params "console=ttyAMA0 panic=-1 quiet -- sh -c \"$2\"" </dev/null >"$console" 2>"$messages" &
	pid=$!
}

finished() {
	wait_for '^nidus guest: over' "$console"
	wait "$pid"
	status=$?
	pid=
	expect_status 0
}

run() {
	start "$@"
	finished
}

over='echo nidus guest: over'
mnt='mkdir -p /mnt; mount -t virtiofs shared /mnt'

# daemons: the processes of those that nidus starts.
daemons() {
	grep -lE '/libexec/(virtiofsd|qemu-storage-daemon)' /proc/[0-9]*/cmdline 2>/dev/null | cut -d / -f 3
}

expect_no_daemons() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ -n "$(daemons)" ] || break
		usleep 100000
	done
	expect [ -z "$(daemons)" ]
	expect [ -z "$(ls -d /tmp/nidus-* 2>/dev/null)" ]
}
