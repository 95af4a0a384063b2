// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registers that control a vCPU's translation. Those of EL1 and EL2 differ in Op1 alone, so
 * one table serves both. KVM has no ONE_REG for what a vCPU was not given; whatever such a register
 * would turn on is off.
 */
#include <errno.h>

#include "host/kvm.h"
#include "util.h"
#include "walk.h"

#define SYS_REG(op1, crn, crm, op2) ARM64_SYS_REG(3, op1, crn, crm, op2)

#define SYS_ID_AA64MMFR_EL1(n) SYS_REG(0, 0, 7, n)
#define SYS_POR_EL0	       SYS_REG(3, 10, 2, 4)
#define SYS_SCTLR_EL2	       SYS_REG(4, 1, 0, 0)
#define SYS_HCR_EL2	       SYS_REG(4, 1, 1, 0)
#define SYS_HCRX_EL2	       SYS_REG(4, 1, 2, 2)
#define SYS_VTTBR_EL2	       SYS_REG(4, 2, 1, 0)
#define SYS_VTCR_EL2	       SYS_REG(4, 2, 1, 2)

#define OP1_EL1 0
#define OP1_EL2 4

struct wanted {
	uint64_t id;
	uint64_t *value;
};

static int regime_get_all(int vcpu_fd, const struct wanted *wanted, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int err = kvm_get_reg(vcpu_fd, wanted[i].id, wanted[i].value);

		if (err == -ENOENT)
			*wanted[i].value = 0;
		else if (err < 0)
			return err;
	}
	return 0;
}

static bool regime_has_el2(int vcpu_fd)
{
	uint64_t hcr;

	return kvm_get_reg(vcpu_fd, SYS_HCR_EL2, &hcr) >= 0;
}

/* Which regime translates at the vCPU's exception level: D8.1.2. */
static enum regime_kind regime_kind_of(const struct regime *regime)
{
	const unsigned int el = field_get(PSTATE_EL, regime->pstate);
	const bool e2h = regime->hcr & HCR_E2H, tge = regime->hcr & HCR_TGE;

	if (el == 2)
		return e2h ? REGIME_EL20 : REGIME_EL2;
	return el == 0 && e2h && tge ? REGIME_EL20 : REGIME_EL10;
}

static unsigned int regime_op1(const struct regime *regime)
{
	return regime->kind == REGIME_EL10 ? OP1_EL1 : OP1_EL2;
}

int regime_read_state(struct regime *regime, int vcpu_fd)
{
	const struct wanted wanted[] = {
		{ KVM_CORE_REG(regs.pc), &regime->pc },
		{ KVM_CORE_REG(regs.pstate), &regime->pstate },
		{ SYS_HCR_EL2, &regime->hcr },
	};
	struct wanted sctlr = { .value = &regime->sctlr };
	int err = regime_get_all(vcpu_fd, wanted, ARRAY_SIZE(wanted));

	if (err < 0)
		return err;
	regime->kind = regime_kind_of(regime);
	sctlr.id = SYS_REG(regime_op1(regime), 1, 0, 0);
	return regime_get_all(vcpu_fd, &sctlr, 1);
}

static int regime_get_stage1(struct regime *regime, int vcpu_fd)
{
	const unsigned int op1 = regime_op1(regime);
	const struct wanted wanted[] = {
		{ SYS_REG(op1, 2, 0, 0), &regime->ttbr[0] },
		{ SYS_REG(op1, 2, 0, 1), &regime->ttbr[1] },
		{ SYS_REG(op1, 2, 0, 2), &regime->tcr },
		{ SYS_REG(op1, 2, 0, 3), &regime->tcr2 },
		{ SYS_REG(op1, 10, 2, 0), &regime->mair },
		{ SYS_REG(op1, 10, 2, 2), &regime->pire0 },
		{ SYS_REG(op1, 10, 2, 3), &regime->pir },
		{ SYS_REG(op1, 10, 2, 4), &regime->por },
	};

	return regime_get_all(vcpu_fd, wanted, ARRAY_SIZE(wanted));
}

/* All but the state, for the regime of that kind. */
static int regime_read_rest(struct regime *regime, int vcpu_fd)
{
	uint64_t hcrx;
	const struct wanted wanted[] = {
		{ SYS_REG(regime_op1(regime), 1, 0, 0), &regime->sctlr },
		{ SYS_ID_AA64MMFR_EL1(0), &regime->mmfr0 },
		{ SYS_ID_AA64MMFR_EL1(1), &regime->mmfr1 },
		{ SYS_ID_AA64MMFR_EL1(2), &regime->mmfr2 },
		{ SYS_ID_AA64MMFR_EL1(3), &regime->mmfr3 },
		{ SYS_POR_EL0, &regime->por_el0 },
		{ SYS_HCRX_EL2, &hcrx },
		{ SYS_SCTLR_EL2, &regime->sctlr_el2 },
		{ SYS_VTTBR_EL2, &regime->vttbr },
		{ SYS_VTCR_EL2, &regime->vtcr },
	};
	int err = regime_get_all(vcpu_fd, wanted, ARRAY_SIZE(wanted));

	if (err >= 0)
		err = regime_get_stage1(regime, vcpu_fd);
	if (err < 0)
		return err;

	/* A guest hypervisor decides whether its guest has a TCR2_EL1. */
	if (regime->kind == REGIME_EL10 && regime_has_el2(vcpu_fd) && !(hcrx & HCRX_TCR2EN))
		regime->tcr2 = 0;
	return 0;
}

int regime_read(struct regime *regime, int vcpu_fd)
{
	int err = regime_read_state(regime, vcpu_fd);

	if (err < 0)
		return err;
	regime->stage2 = regime->kind == REGIME_EL10 && regime->hcr & (HCR_VM | HCR_DC);
	return regime_read_rest(regime, vcpu_fd);
}

int regime_read_other(struct regime *regime, int vcpu_fd, bool el2, bool stage2)
{
	int err = regime_read_state(regime, vcpu_fd);

	if (err < 0)
		return err;
	if (el2 && !regime_has_el2(vcpu_fd))
		return -ENOENT;
	regime->pstate = field_set(PSTATE_EL, regime->pstate, el2 ? 2 : 1);
	/* Which the hypervisor sets anew whenever it enters or leaves its guest. */
	regime->hcr &= ~(HCR_TGE | HCR_DC);
	regime->kind = regime_kind_of(regime);
	regime->stage2 = stage2;
	return regime_read_rest(regime, vcpu_fd);
}
