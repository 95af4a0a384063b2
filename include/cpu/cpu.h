/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest's CPUs are: features, initialization and registers, in the order that KVM wants
 * (Documentation/virt/kvm/api.rst, KVM_ARM_VCPU_INIT and KVM_ARM_VCPU_FINALIZE).
 */
#ifndef NIDUS_CPU_H
#define NIDUS_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "host/kvm.h"

/* What the user asked for. */
struct cpu_wishes {
	bool pmu;
	bool nested; /* an EL2, so that the guest can be a hypervisor */
	bool e2h0; /* an EL2 without VHE, nested alone being one with it */
	bool no_lpa2; /* 48 bits of address: firmware may hang where it finds FEAT_LPA2 */
	unsigned int sve_max_vl; /* bits, 0: as long as the host's */
	const struct nested_kernel *kernel; /* with nested: the host's */
};

/* What all CPUs of a machine have in common. */
struct cpu_model {
	struct kvm_vcpu_init init;
	struct cpu_wishes wishes;
};

/*
 * Everything that the host offers and a guest can use without asking (SVE, pointer authentication),
 * and what was wished for. -ENOTSUP, said, for a wish that the host cannot grant.
 */
int cpu_model_create(struct cpu_model *model, int vm_fd, const struct cpu_wishes *wishes);
bool cpu_model_has(const struct cpu_model *model, unsigned int feature);

/*
 * KVM_ARM_VCPU_INIT and what must follow at once, the first time. off: the vCPU waits for PSCI
 * CPU_ON. Errors: -errno, said.
 */
int cpu_init(const struct cpu_model *model, int vcpu_fd, bool off);

/*
 * All registers of a vCPU that ran before as at its start, but for its timers, which count and
 * fire on, and may be what is to wake it. What was finalized stays so. Errors: -errno, said.
 */
int cpu_reset(const struct cpu_model *model, int vcpu_fd);

/* The PMU's interrupt, after the GIC's initialization. Errors: -errno, said. */
int cpu_init_pmu(int vcpu_fd);

/* Where a vCPU starts: program counter and X0, both guest physical. Errors: -errno, said. */
int cpu_set_entry(int vcpu_fd, uint64_t pc, uint64_t x0);

/* One system register, for descriptions and messages. Errors: -errno. */
int cpu_get_mpidr(int vcpu_fd, uint64_t *mpidr);
int cpu_get_pc(int vcpu_fd, uint64_t *pc);

/*
 * Whether the CPU has stage-1 pages of page_size bytes (ID_AA64MMFR0_EL1.TGran4, 16, 64); true
 * where the register cannot be read.
 */
bool cpu_has_granule(int vcpu_fd, uint32_t page_size);

/* General purpose register Xn, n from 0 to 30. Errors: -errno. */
int cpu_get_x(int vcpu_fd, unsigned int n, uint64_t *value);
int cpu_set_x(int vcpu_fd, unsigned int n, uint64_t value);

#endif
