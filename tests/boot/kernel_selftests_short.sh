# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# kernel: series-test
# programs: selftests
# board: --timeout 600
# files: tests/boot/kernel_selftests.sh

# The selftests of kernel/ that take a few seconds each.
# shellcheck disable=SC2034	# it is sourced
selftests="nested_blocks nested_mmu_notifier nested_relax nested_switch nested_sysregs nisv_insn translate trap_tlbi"

# shellcheck source=tests/boot/kernel_selftests.sh
. tests/boot/kernel_selftests.sh
