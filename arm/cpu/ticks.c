// SPDX-License-Identifier: GPL-2.0-only
#include "cpu/ticks.h"

#include "host/kvm.h"

int ticks_read(int vcpu_fd, uint64_t *ticks)
{
	return kvm_get_reg(vcpu_fd, KVM_REG_ARM_TIMER_CNT, ticks);
}

int ticks_set(int vcpu_fd, uint64_t ticks)
{
	return kvm_set_reg(vcpu_fd, KVM_REG_ARM_TIMER_CNT, &ticks);
}
