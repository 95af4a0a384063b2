// SPDX-License-Identifier: GPL-2.0-only
/*
 * An exception that the guest would have taken, had KVM not been told to take it first: the
 * registers as taking it would leave them (Arm ARM, AArch64.TakeException).
 */
#include <errno.h>

#include "arm/sysreg.h"
#include "debugger.h"

#define SYS_REG(op1, crn, crm, op2) ARM64_SYS_REG(3, op1, crn, crm, op2)

/* op1: 0 for EL1, 4 for EL2 */
#define SYS_SCTLR(op1)	SYS_REG(op1, 1, 0, 0)
#define SYS_ESR(op1)	SYS_REG(op1, 5, 2, 0)
#define SYS_VBAR(op1)	SYS_REG(op1, 12, 0, 0)
#define SYS_MDCR_EL2	SYS_REG(4, 1, 1, 1)
#define SYS_MMFR1	SYS_REG(0, 0, 7, 1)
#define SYS_PFR1	SYS_REG(0, 0, 4, 1)
#define MDCR_TDE	BIT(8)
#define SCTLR_SPAN	BIT(23)
#define SCTLR_DSSBS	BIT(44)
#define PFR1_MTE	BITS(11, 8)
#define PSTATE_DAIF	BITS(9, 6)
#define PSTATE_SSBS	BIT(12)
#define PSTATE_DIT	BIT(24)
#define PSTATE_TCO	BIT(25)
#define VECTOR_SPX	0x200
#define VECTOR_LOWER_32 0x600
#define MTE2		2

static uint64_t get(const struct inspect *inspect, uint64_t id)
{
	uint64_t value = 0;

	kvm_get_reg(inspect->vcpu_fd, id, &value);
	return value;
}

static bool goes_to_el2(const struct inspect *inspect, const struct inspect_where *where)
{
	return inspect->el2 && (where->el == 2 || inspect->now.hcr & HCR_TGE ||
				get(inspect, SYS_MDCR_EL2) & MDCR_TDE);
}

static uint64_t vector(const struct inspect *inspect, const struct inspect_where *where,
		       unsigned int target)
{
	if (where->el < target)
		return where->aarch32 ? VECTOR_LOWER_32 : VECTOR_LOWER;
	return inspect->now.pstate & PSTATE_SP ? VECTOR_SPX : 0;
}

static uint64_t pstate_at(const struct inspect *inspect, unsigned int target, unsigned int op1)
{
	const uint64_t old = inspect->now.pstate, sctlr = get(inspect, SYS_SCTLR(op1));
	const bool has_pan = get(inspect, SYS_MMFR1) & MMFR1_PAN;
	const bool sets_pan =
		target == 1 || (inspect->now.hcr & HCR_E2H && inspect->now.hcr & HCR_TGE);
	uint64_t new = old &(PSTATE_NZCV | PSTATE_DIT | PSTATE_PAN);

	if (has_pan && sets_pan && !(sctlr & SCTLR_SPAN))
		new |= PSTATE_PAN;
	if (field_get(PFR1_MTE, get(inspect, SYS_PFR1)) >= MTE2)
		new |= PSTATE_TCO;
	if (sctlr & SCTLR_DSSBS)
		new |= PSTATE_SSBS;
	return field_set(PSTATE_EL, new | PSTATE_DAIF | PSTATE_SP, target);
}

int debugger_inject(struct inspect *inspect, const struct inspect_where *where, uint64_t esr)
{
	const unsigned int target = goes_to_el2(inspect, where) ? 2 : 1;
	const unsigned int op1 = target == 2 ? 4 : 0;
	const uint64_t pc = get(inspect, SYS_VBAR(op1)) + vector(inspect, where, target);
	const uint64_t pstate = pstate_at(inspect, target, op1);
	const struct {
		uint64_t id;
		const uint64_t *value;
	} set[] = {
		{ target == 2 ? SYS_ELR_EL2 : KVM_CORE_REG(elr_el1), &inspect->now.pc },
		{ target == 2 ? SYS_SPSR_EL2 : KVM_CORE_REG(spsr[0]), &inspect->now.pstate },
		{ SYS_ESR(op1), &esr },
		{ KVM_CORE_REG(regs.pc), &pc },
		{ KVM_CORE_REG(regs.pstate), &pstate },
	};
	int err = 0;

	for (unsigned int i = 0; i < sizeof(set) / sizeof(set[0]) && err >= 0; i++)
		err = kvm_set_reg(inspect->vcpu_fd, set[i].id, set[i].value);
	return err;
}
