# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# kernel: series-debug
# programs: selftests
# board: --mem 5G --timeout 7200
# files: tests/boot/kernel_selftests.sh
# ring: kernel-long

# A host that watches its locks and its memory: nothing that it has to report, and it watches to the end.

# shellcheck source=tests/boot/kernel_selftests.sh
. tests/boot/kernel_selftests.sh

begin "a nest of two levels with two vCPUs each"
nidus nest --kernel "$NIDUS_KERNEL" --depth 2 --cpus 2 --time-limit 3600 >"$console" 2>"$messages"
status=$?
expect_status 0
expect_line '^level 2: up after '
expect_no_report
end

begin "the kernel has looked for errors all the time"
dmesg >"$console"
expect_line 'KernelAddressSanitizer initialized'
expect grep -Eq 'debug_locks: +1' /proc/lockdep_stats
end
