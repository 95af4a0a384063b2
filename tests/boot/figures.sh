# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --icount
# files: tests/boot/figures
. tests/lib.sh

# What a plain boot costs the host, beside the best figure so far, on a board that counts
# instructions: one vCPU, 512 MiB, serial console, quiet, page cache warm.

best() {
	sed -n "s/^$1 //p" tests/boot/figures
}

plain_boot() {
	icnt nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --mem 512 --kaslr-seed 1 \
		--params "console=ttyAMA0 quiet" "$@" </dev/null >"$console" 2>"$messages"
	status=$?
}

plain_boot
plain_boot
host=$(sed -n 's/^ICNT host //p' "$console")
user=$(sed -n 's/^ICNT host_user //p' "$console")
begin "a plain boot costs the host $host instructions ($user in user space), $(best host_instructions) at best"
expect_status 0
expect_line '^nidus guest: up'
expect [ "$host" -gt 0 ]
expect [ "$host" -le $(($(best host_instructions) * 102 / 100)) ]
end

plain_boot --stats "$scratch/stats"
exits=$(sed -n '/^  "exits"/,/}/s/.*"total": \([0-9]*\).*/\1/p' "$scratch/stats")
begin "a plain boot exits to user space $exits times, $(best user_exits) at best"
expect_status 0
expect [ "$exits" -le "$(best user_exits)" ]
end

# Two sizes of RAM cleaned whole: what a line more costs nidus.
clean_all() {
	icnt nidus run --kernel "$NIDUS_KERNEL" --mem "$1" --cache-clean all --no-reboot --stats "$scratch/stats" \
		--params "console=ttyAMA0 quiet panic=-1" </dev/null >"$console" 2>"$messages"
	user=$(sed -n 's/^ICNT host_user //p' "$console")
	lines=$(sed -n 's/.*"lines": \([0-9]*\).*/\1/p' "$scratch/stats")
}

clean_all 64
small_user=$user small_lines=$lines
clean_all 192
begin "cleaning $((lines - small_lines)) lines more costs $((user - small_user)) instructions, at most 4 a line"
expect [ "$((lines - small_lines))" = $((128 * 1024 * 1024 / 64)) ]
expect [ "$((user - small_user))" -le $((4 * (lines - small_lines))) ]
end
