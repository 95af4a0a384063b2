// SPDX-License-Identifier: GPL-2.0-only
#include "inspect/inspect.h"

#include "arm/sysreg.h"

#define SYS_VTTBR_EL2 ARM64_SYS_REG(3, 4, 2, 1, 0)
#define VTTBR_VMID    BITS(63, 48)

int inspect_begin(struct inspect *inspect, const struct vcpu *vcpu)
{
	*inspect = (struct inspect){
		.vcpu_fd = vcpu->fd,
		.memory = vcpu->env->memory,
		.sve = cpu_model_has(vcpu->env->model, KVM_ARM_VCPU_SVE),
		.cached = INSPECT_REGIMES,
	};
	inspect->el2 = kvm_get_reg(vcpu->fd, SYS_VTTBR_EL2, &inspect->vttbr) >= 0;
	return regime_read_state(&inspect->now, vcpu->fd);
}

static enum inspect_role role_of(const struct inspect *inspect, unsigned int el)
{
	const uint64_t hcr = inspect->now.hcr;

	if (!inspect->el2)
		return INSPECT_GUEST;
	if (el == 2)
		return INSPECT_HYPERVISOR;
	/* With TGE what is below EL2 has no stage 2, whatever VM says. */
	return hcr & (HCR_VM | HCR_DC) && !(hcr & HCR_TGE) ? INSPECT_INSIDE : INSPECT_HOST;
}

void inspect_where(const struct inspect *inspect, struct inspect_where *where)
{
	*where = (struct inspect_where){
		.el = field_get(PSTATE_EL, inspect->now.pstate),
		.level = 1,
		.aarch32 = inspect->now.pstate & PSTATE_NRW,
	};
	/* The modes of AArch32 that are not User are EL1's: KVM has none at EL2. */
	if (where->aarch32)
		where->el = (inspect->now.pstate & 0xf) != 0;
	where->role = role_of(inspect, where->el);
	if (where->role != INSPECT_INSIDE)
		return;
	where->level = 2;
	where->vmid = field_get(VTTBR_VMID, inspect->vttbr);
	where->virtual_el2 = where->el == 1 && inspect->now.hcr & HCR_NV;
}

const char *inspect_role_name(enum inspect_role role)
{
	static const char *const name[] = {
		[INSPECT_GUEST] = "guest",
		[INSPECT_HYPERVISOR] = "hypervisor",
		[INSPECT_HOST] = "hypervisor's host",
		[INSPECT_INSIDE] = "guest inside",
	};

	return name[role];
}
