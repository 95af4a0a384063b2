// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers by KVM's numbers (Documentation/virt/kvm/api.rst, KVM_SET_ONE_REG). Those of EL1 that
 * an exception leaves behind are numbered with the core, all others as MRS encodes them.
 */
#include <errno.h>
#include <string.h>

#include "arm/sysreg.h"
#include "inspect/inspect.h"
#include "util.h"

#define SYS(op0, op1, crn, crm, op2) (uint16_t) ARM64_SYS_REG(op0, op1, crn, crm, op2)
#define CORE(member)		     (uint16_t) KVM_REG_ARM_CORE_REG(member)

#define SYS_SP_EL2 ARM64_SYS_REG(3, 6, 4, 1, 0)

/* Op0, the two highest bits, is 2 or 3 in every number of a system register. */
#define NUMBER_SYSTEM BITS(15, 14)

#define Z_BYTES 256

static const struct {
	char name[18];
	uint16_t number;
} system_registers[] = {
	{ "SP_EL0", CORE(regs.sp) },
	{ "TPIDR_EL0", SYS(3, 3, 13, 0, 2) },
	{ "TPIDRRO_EL0", SYS(3, 3, 13, 0, 3) },
	/* KVM has the numbers of the next register and of CNTVCT_EL0 the other way round. */
	{ "CNTV_CVAL_EL0", SYS(3, 3, 14, 0, 2) },
	{ "CNTV_CTL_EL0", SYS(3, 3, 14, 3, 1) },

	{ "SCTLR_EL1", SYS(3, 0, 1, 0, 0) },
	{ "CPACR_EL1", SYS(3, 0, 1, 0, 2) },
	{ "TTBR0_EL1", SYS(3, 0, 2, 0, 0) },
	{ "TTBR1_EL1", SYS(3, 0, 2, 0, 1) },
	{ "TCR_EL1", SYS(3, 0, 2, 0, 2) },
	{ "TCR2_EL1", SYS(3, 0, 2, 0, 3) },
	{ "MAIR_EL1", SYS(3, 0, 10, 2, 0) },
	{ "SPSR_EL1", CORE(spsr[0]) },
	{ "ELR_EL1", CORE(elr_el1) },
	{ "SP_EL1", CORE(sp_el1) },
	{ "ESR_EL1", SYS(3, 0, 5, 2, 0) },
	{ "FAR_EL1", SYS(3, 0, 6, 0, 0) },
	{ "PAR_EL1", SYS(3, 0, 7, 4, 0) },
	{ "VBAR_EL1", SYS(3, 0, 12, 0, 0) },
	{ "CONTEXTIDR_EL1", SYS(3, 0, 13, 0, 1) },
	{ "TPIDR_EL1", SYS(3, 0, 13, 0, 4) },
	{ "CNTKCTL_EL1", SYS(3, 0, 14, 1, 0) },
	{ "MDSCR_EL1", SYS(2, 0, 0, 2, 2) },
	{ "MIDR_EL1", SYS(3, 0, 0, 0, 0) },
	{ "MPIDR_EL1", SYS(3, 0, 0, 0, 5) },
	{ "ID_AA64PFR0_EL1", SYS(3, 0, 0, 4, 0) },
	{ "ID_AA64MMFR0_EL1", SYS(3, 0, 0, 7, 0) },
	{ "ID_AA64MMFR1_EL1", SYS(3, 0, 0, 7, 1) },
	{ "ID_AA64MMFR2_EL1", SYS(3, 0, 0, 7, 2) },

	{ "SCTLR_EL2", SYS(3, 4, 1, 0, 0) },
	{ "HCR_EL2", SYS(3, 4, 1, 1, 0) },
	{ "MDCR_EL2", SYS(3, 4, 1, 1, 1) },
	{ "CPTR_EL2", SYS(3, 4, 1, 1, 2) },
	{ "HCRX_EL2", SYS(3, 4, 1, 2, 2) },
	{ "HFGRTR_EL2", SYS(3, 4, 1, 1, 4) },
	{ "HFGWTR_EL2", SYS(3, 4, 1, 1, 5) },
	{ "HFGITR_EL2", SYS(3, 4, 1, 1, 6) },
	{ "TTBR0_EL2", SYS(3, 4, 2, 0, 0) },
	{ "TTBR1_EL2", SYS(3, 4, 2, 0, 1) },
	{ "TCR_EL2", SYS(3, 4, 2, 0, 2) },
	{ "TCR2_EL2", SYS(3, 4, 2, 0, 3) },
	{ "VTTBR_EL2", SYS(3, 4, 2, 1, 0) },
	{ "VTCR_EL2", SYS(3, 4, 2, 1, 2) },
	{ "VNCR_EL2", SYS(3, 4, 2, 2, 0) },
	{ "SPSR_EL2", SYS(3, 4, 4, 0, 0) },
	{ "ELR_EL2", SYS(3, 4, 4, 0, 1) },
	{ "SP_EL2", SYS(3, 6, 4, 1, 0) },
	{ "ESR_EL2", SYS(3, 4, 5, 2, 0) },
	{ "FAR_EL2", SYS(3, 4, 6, 0, 0) },
	{ "HPFAR_EL2", SYS(3, 4, 6, 0, 4) },
	{ "MAIR_EL2", SYS(3, 4, 10, 2, 0) },
	{ "VBAR_EL2", SYS(3, 4, 12, 0, 0) },
	{ "CONTEXTIDR_EL2", SYS(3, 4, 13, 0, 1) },
	{ "TPIDR_EL2", SYS(3, 4, 13, 0, 2) },
	{ "CNTVOFF_EL2", SYS(3, 4, 14, 0, 3) },
	{ "CNTHCTL_EL2", SYS(3, 4, 14, 1, 0) },
	{ "VPIDR_EL2", SYS(3, 4, 0, 0, 0) },
	{ "VMPIDR_EL2", SYS(3, 4, 0, 0, 5) },
};

static int inspect_set(struct inspect *inspect, uint64_t id, const void *value)
{
	int err = kvm_set_reg(inspect->vcpu_fd, id, value);

	/* It may be one of those that are known already. */
	inspect->cached = INSPECT_REGIMES;
	if (err < 0)
		return err;
	if (inspect->el2)
		kvm_get_reg(inspect->vcpu_fd, ARM64_SYS_REG(3, 4, 2, 1, 0), &inspect->vttbr);
	return regime_read_state(&inspect->now, inspect->vcpu_fd);
}

static uint64_t core_id(const struct inspect *inspect, unsigned int n)
{
	const uint64_t pstate = inspect->now.pstate;
	const unsigned int el = field_get(PSTATE_EL, pstate);

	switch (n) {
	case INSPECT_SP:
		if (!(pstate & PSTATE_SP) || pstate & PSTATE_NRW || el == 0)
			return KVM_CORE_REG(regs.sp);
		return el == 1 ? KVM_CORE_REG(sp_el1) : SYS_SP_EL2;
	case INSPECT_PC:
		return KVM_CORE_REG(regs.pc);
	case INSPECT_CPSR:
		return KVM_CORE_REG(regs.pstate);
	default:
		return KVM_CORE_REG(regs.regs[0]) + 2 * n;
	}
}

int inspect_core(const struct inspect *inspect, unsigned int n, uint64_t *value)
{
	return kvm_get_reg(inspect->vcpu_fd, core_id(inspect, n), value);
}

int inspect_set_core(struct inspect *inspect, unsigned int n, uint64_t value)
{
	return inspect_set(inspect, core_id(inspect, n), &value);
}

static uint64_t vector_id(const struct inspect *inspect, unsigned int n)
{
	if (inspect->sve)
		return KVM_REG_ARM64_SVE_ZREG(n, 0);
	return KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |
	       (KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]) + 4 * n);
}

int inspect_vector(const struct inspect *inspect, unsigned int n, uint8_t value[16])
{
	uint8_t z[Z_BYTES];
	int err = kvm_get_reg(inspect->vcpu_fd, vector_id(inspect, n), z);

	if (err >= 0)
		memcpy(value, z, 16);
	return err;
}

int inspect_set_vector(struct inspect *inspect, unsigned int n, const uint8_t value[16])
{
	uint8_t z[Z_BYTES];
	int err = kvm_get_reg(inspect->vcpu_fd, vector_id(inspect, n), z);

	if (err < 0)
		return err;
	memcpy(z, value, 16);
	return kvm_set_reg(inspect->vcpu_fd, vector_id(inspect, n), z);
}

static uint64_t fp_status_id(bool control)
{
	return KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_CORE |
	       (control ? KVM_REG_ARM_CORE_REG(fp_regs.fpcr) : KVM_REG_ARM_CORE_REG(fp_regs.fpsr));
}

int inspect_fp_status(const struct inspect *inspect, bool control, uint32_t *value)
{
	return kvm_get_reg(inspect->vcpu_fd, fp_status_id(control), value);
}

int inspect_set_fp_status(struct inspect *inspect, bool control, uint32_t value)
{
	return kvm_set_reg(inspect->vcpu_fd, fp_status_id(control), &value);
}

unsigned int inspect_system_count(void)
{
	return ARRAY_SIZE(system_registers);
}

const char *inspect_system_name(unsigned int i)
{
	return system_registers[i].name;
}

unsigned int inspect_system_el(unsigned int i)
{
	const char *name = system_registers[i].name;

	return name[strlen(name) - 1] - '0';
}

static uint64_t system_id(unsigned int i)
{
	const uint16_t number = system_registers[i].number;

	return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | number |
	       (number & NUMBER_SYSTEM ? KVM_REG_ARM64_SYSREG : KVM_REG_ARM_CORE);
}

int inspect_system(const struct inspect *inspect, unsigned int i, uint64_t *value)
{
	return kvm_get_reg(inspect->vcpu_fd, system_id(i), value);
}

int inspect_set_system(struct inspect *inspect, unsigned int i, uint64_t value)
{
	return inspect_set(inspect, system_id(i), &value);
}
