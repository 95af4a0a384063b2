// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "arm/sysreg.h"
#include "cpu/cpu.h"
#include "cpu/nested.h"
#include "host/log.h"
#include "memmap.h"
#include "util.h"

#define SYS_MPIDR_EL1	     ARM64_SYS_REG(3, 0, 0, 0, 5)
#define SYS_ID_AA64MMFR0_EL1 ARM64_SYS_REG(3, 0, 0, 7, 0)

/* Registers of the core are numbered in 32-bit words; X0 to X30 are two words each. */
#define CORE_REG_X(n) (KVM_CORE_REG(regs.regs[0]) + 2 * (n))

#define SVE_VQ_BITS 128

static void model_add(struct cpu_model *model, unsigned int feature)
{
	model->init.features[feature / 32] |= 1u << feature % 32;
}

bool cpu_model_has(const struct cpu_model *model, unsigned int feature)
{
	return model->init.features[feature / 32] & 1u << feature % 32;
}

int cpu_model_create(struct cpu_model *model, int vm_fd, const struct cpu_wishes *wishes)
{
	int err;

	*model = (struct cpu_model){ .wishes = *wishes };
	err = kvm_preferred_target(vm_fd, &model->init);
	if (err < 0) {
		log_error("KVM_ARM_PREFERRED_TARGET: %s", strerror(-err));
		return err;
	}

	model_add(model, KVM_ARM_VCPU_PSCI_0_2);
	if (kvm_check(vm_fd, KVM_CAP_ARM_SVE) > 0)
		model_add(model, KVM_ARM_VCPU_SVE);
	/* KVM takes both kinds of keys or none. */
	if (kvm_check(vm_fd, KVM_CAP_ARM_PTRAUTH_ADDRESS) > 0 &&
	    kvm_check(vm_fd, KVM_CAP_ARM_PTRAUTH_GENERIC) > 0) {
		model_add(model, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
		model_add(model, KVM_ARM_VCPU_PTRAUTH_GENERIC);
	}
	if (wishes->pmu)
		model_add(model, KVM_ARM_VCPU_PMU_V3);
	if (wishes->nested)
		model_add(model, KVM_ARM_VCPU_HAS_EL2);
	if (wishes->e2h0)
		model_add(model, KVM_ARM_VCPU_HAS_EL2_E2H0);

	if (wishes->pmu && kvm_check(vm_fd, KVM_CAP_ARM_PMU_V3) <= 0) {
		log_error("--pmu: this host has no PMU that KVM can give to a guest");
		return -ENOTSUP;
	}
	if (wishes->sve_max_vl && !cpu_model_has(model, KVM_ARM_VCPU_SVE)) {
		log_error("--sve-max-vl: this host has no SVE");
		return -ENOTSUP;
	}
	return wishes->nested ? nested_check(vm_fd, wishes->kernel, wishes->e2h0) : 0;
}

/* Takes the vector lengths above max_vl bits from the set that KVM offers. */
static int cpu_limit_sve(int vcpu_fd, unsigned int max_vl)
{
	uint64_t lengths[KVM_ARM64_SVE_VLS_WORDS];
	bool left = false;
	int err = kvm_get_reg(vcpu_fd, KVM_REG_ARM64_SVE_VLS, lengths);

	if (err < 0)
		return err;
	for (unsigned int word = 0; word < KVM_ARM64_SVE_VLS_WORDS; word++) {
		for (unsigned int bit = 0; bit < 64; bit++)
			if ((word * 64 + bit + 1) * SVE_VQ_BITS > max_vl)
				lengths[word] &= ~BIT(bit);
		left |= lengths[word] != 0;
	}
	if (!left) {
		log_error("--sve-max-vl %u: this host has no vector length that short", max_vl);
		return -ENOTSUP;
	}
	return kvm_set_reg(vcpu_fd, KVM_REG_ARM64_SVE_VLS, lengths);
}

static int cpu_finalize_sve(const struct cpu_model *model, int vcpu_fd)
{
	int err = 0;

	if (model->wishes.sve_max_vl)
		err = cpu_limit_sve(vcpu_fd, model->wishes.sve_max_vl);
	return err < 0 ? err : kvm_vcpu_finalize(vcpu_fd, KVM_ARM_VCPU_SVE);
}

/*
 * Takes FEAT_LPA2 from the CPU, and physical addresses of more than 48 bits with it
 * (ID_AA64MMFR0_EL1, Arm ARM D24.2.77). A host that has fields of this register fixed keeps them.
 */
static void cpu_hide_lpa2(int vcpu_fd)
{
	uint64_t mmfr0;

	if (kvm_get_reg(vcpu_fd, SYS_ID_AA64MMFR0_EL1, &mmfr0) < 0)
		return;
	mmfr0 = sysreg_without_lpa2(mmfr0);
	kvm_set_reg(vcpu_fd, SYS_ID_AA64MMFR0_EL1, &mmfr0);
}

static int complain(int err)
{
	/* -ENOTSUP: a wish that cannot be granted, already said. */
	if (err < 0 && err != -ENOTSUP)
		log_error("initializing a vCPU: %s", strerror(-err));
	return err;
}

int cpu_init(const struct cpu_model *model, int vcpu_fd, bool off)
{
	struct kvm_vcpu_init init = model->init;
	int err;

	if (off)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	err = kvm_vcpu_init(vcpu_fd, &init);
	if (err >= 0 && cpu_model_has(model, KVM_ARM_VCPU_SVE))
		err = cpu_finalize_sve(model, vcpu_fd);
	if (err >= 0 && model->wishes.no_lpa2)
		cpu_hide_lpa2(vcpu_fd);
	return complain(err);
}

int cpu_reset(const struct cpu_model *model, int vcpu_fd)
{
	/* Compare values before the controls that enable them. */
	static const uint64_t timer[] = {
		KVM_REG_ARM_TIMER_CVAL,
		KVM_REG_ARM_PTIMER_CVAL,
		KVM_REG_ARM_TIMER_CTL,
		KVM_REG_ARM_PTIMER_CTL,
	};
	uint64_t value[ARRAY_SIZE(timer)];
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(timer) && err >= 0; i++)
		err = kvm_get_reg(vcpu_fd, timer[i], &value[i]);
	if (err >= 0)
		err = kvm_vcpu_init(vcpu_fd, &model->init);
	for (size_t i = 0; i < ARRAY_SIZE(timer) && err >= 0; i++)
		err = kvm_set_reg(vcpu_fd, timer[i], &value[i]);
	return complain(err);
}

int cpu_init_pmu(int vcpu_fd)
{
	const int intid = GIC_PPI_BASE + PMU_PPI;
	int err = kvm_set_attr(vcpu_fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &intid);

	if (err >= 0)
		err = kvm_set_attr(vcpu_fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT,
				   NULL);
	if (err < 0)
		log_error("PMU of a vCPU: %s", strerror(-err));
	return err;
}

int cpu_set_entry(int vcpu_fd, uint64_t pc, uint64_t x0)
{
	int err = kvm_set_reg(vcpu_fd, KVM_CORE_REG(regs.pc), &pc);

	if (err >= 0)
		err = cpu_set_x(vcpu_fd, 0, x0);
	if (err < 0)
		log_error("setting a vCPU's registers: %s", strerror(-err));
	return err;
}

int cpu_get_mpidr(int vcpu_fd, uint64_t *mpidr)
{
	return kvm_get_reg(vcpu_fd, SYS_MPIDR_EL1, mpidr);
}

int cpu_get_pc(int vcpu_fd, uint64_t *pc)
{
	return kvm_get_reg(vcpu_fd, KVM_CORE_REG(regs.pc), pc);
}

bool cpu_has_granule(int vcpu_fd, uint32_t page_size)
{
	uint64_t mmfr0;

	if (kvm_get_reg(vcpu_fd, SYS_ID_AA64MMFR0_EL1, &mmfr0) < 0)
		return true;
	switch (page_size) {
	case KIB(4):
		return sysreg_has_granule(mmfr0, 1, 12, false);
	case KIB(16):
		return sysreg_has_granule(mmfr0, 1, 14, false);
	case KIB(64):
		return sysreg_has_granule(mmfr0, 1, 16, false);
	default:
		return true;
	}
}

int cpu_get_x(int vcpu_fd, unsigned int n, uint64_t *value)
{
	return kvm_get_reg(vcpu_fd, CORE_REG_X(n), value);
}

int cpu_set_x(int vcpu_fd, unsigned int n, uint64_t value)
{
	return kvm_set_reg(vcpu_fd, CORE_REG_X(n), &value);
}
