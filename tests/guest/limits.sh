# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

# What the host allows this process: where that is too little, the host is to blame, and says how to get more.

kernel=build/guest/off.bin
truncate -s 1M "$scratch/disk"

# within LIMIT OPTION...: a guest that may have so many files open, and no more. Shells need some themselves.
within() {
	# shellcheck disable=SC2016	# the inner shell's
	timeout -s KILL 60 sh -c 'ulimit -n "$0" && exec nidus run --no-reboot "$@"' "$@" --kernel $kernel \
		</dev/null >"$console" 2>"$messages"
	status=$?
}

begin "whatever a process with few descriptors gets stuck on, the host is to blame"
failures=0
for files in $(seq 4 40); do
	within "$files" --disk "$scratch/disk" --stats "$scratch/stats" --dump-dtb "$scratch/dtb" \
		--report "$scratch/report" --rng
	[ "$status" != 0 ] || continue
	failures=$((failures + 1))
	[ "$status" = 3 ] || complain "with $files descriptors: exit status $status"
	expect_one_message
	grep -q 'Too many open files; raise the limit of this process (ulimit -n)' "$messages" ||
		complain "with $files descriptors: $(cat "$messages")"
	expect_nothing_left
done
expect [ $failures -gt 10 ]
end

begin "with 16 of them a disk is not to blame"
within 16 --disk "$scratch/disk"
expect_status 3
end

begin "an ordinary limit is raised as far as the user may"
(
	ulimit -S -n 32 || exit 99
	set --
	for i in 1 2 3 4 5 6 7 8; do
		truncate -s 1M "$scratch/disk$i"
		set -- "$@" --disk "$scratch/disk$i"
	done
	guest --kernel $kernel --cpus 4 "$@"
	exit "$status"
)
status=$?
expect_status 0
expect [ ! -s "$messages" ]
end
