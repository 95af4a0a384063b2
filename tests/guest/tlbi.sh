# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

# A kernel that counts TLBIs is one that traps them if asked (tests/boot/kernel_tlbi.sh).
debugfs=/sys/kernel/debug
[ -d $debugfs/kvm ] || mount -t debugfs debugfs $debugfs

for policy in all precise precise,shareable; do
	begin "a stock kernel that cannot trap TLBIs is told so ($policy)"
	if [ -e $debugfs/kvm/tlbi_all ]; then
		skip "this kernel can"
		continue
	fi
	guest --kernel build/guest/timer.bin --mem 64M --trap-tlbi $policy
	expect_status 3
	expect_one_message
	expect_line "^nidus: error: --trap-tlbi: this host's KVM cannot"
	expect [ ! -s "$console" ]
	expect_nothing_left
	end
done

begin "guests run with --trap-tlbi off"
guest --kernel build/guest/timer.bin --mem 64M --trap-tlbi off
expect_status 0
end
