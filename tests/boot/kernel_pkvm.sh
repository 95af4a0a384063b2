# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# kernel: series-test
# programs: selftests
# board: --no-nested --append kvm-arm.mode=protected --timeout 600
# files: build/programs tests/boot/kernel_selftests.sh
# ring: kernel

# Where KVM's hypervisor protects itself from the kernel, stage 2 of an ordinary VM is the hypervisor's as well. What
# would have to touch it is refused, and the rest works.

# It is the hypervisor that invalidates TLBs here.
# shellcheck disable=SC2034	# it is sourced
selftests=nisv_insn

# shellcheck source=tests/boot/kernel_selftests.sh
. tests/boot/kernel_selftests.sh

begin "KVM protects itself from the kernel"
dmesg >"$console"
expect_line 'kvm.*: Protected hVHE mode initialized|kvm.*: Protected nVHE mode initialized'
end

begin "KVM_CAP_ARM_RECOVER_BLOCKS and KVM_CAP_ARM_TRAP_TLBI are refused there"
build/programs/capability 0x4e440006 0x4e440005 0x4e440004 >"$console" 2>"$messages"
expect_line '^capability 0x4e440006: check 0, enable 22$'
expect_line '^capability 0x4e440005: check 0, enable 22$'
expect_line '^capability 0x4e440004: check 1, '
expect_no_report
end
