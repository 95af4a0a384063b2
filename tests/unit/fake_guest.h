/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In place of vmm/host/kvm.c, vmm/vcpu/vcpu.c, arm/translate/translate.c and arm/cpu/cpu.c, for
 * what emulates instructions: a vCPU whose registers are memory, and a guest whose addresses are
 * physical ones, but for pages of it that say no or are somewhere else. Included once, by the test
 * itself.
 */
#ifndef FAKE_GUEST_H
#define FAKE_GUEST_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "kvm_series.h"
#include "mm/cache.h"
#include "translate/translate.h"

#define FAKE_PAGE 4096

static struct {
	uint32_t word; /* at the PC */
	enum translate_result fetch;
	struct regime regime;
	bool sve;

	uint64_t x[31], sp_el0, sp_el1, sp_el2, pc, pstate;
	uint8_t vector[32][256], predicate[16][32];
	uint64_t zcr_el1, zcr_el2, lengths[KVM_ARM64_SVE_VLS_WORDS];
	bool has_el2;
	unsigned int writes; /* of registers */
	uint64_t refused; /* the id of a register that KVM does not give */

	bool device; /* stage 1 says Device memory */
	/* The page from this address on does not translate, but for unprivileged accesses if so. */
	uint64_t absent;
	bool present_unprivileged;
	enum translate_result absent_result;
	uint64_t read_only; /* writes to this page fail like that, too */
	/* The page from this address on is there. */
	uint64_t moved, moved_to;

	/* What the other vCPUs have done at the latest before they are paused; NULL: nothing. */
	void (*meanwhile)(void);
	bool paused;
	unsigned int pauses;
} guest;

struct vcpu;
void vcpu_pause_others(struct vcpu *vcpu);
void vcpu_resume_others(struct vcpu *vcpu);

void vcpu_pause_others(struct vcpu *vcpu)
{
	(void)vcpu;
	if (guest.paused)
		abort();
	if (guest.meanwhile)
		guest.meanwhile();
	guest.paused = true;
	guest.pauses++;
}

void vcpu_resume_others(struct vcpu *vcpu)
{
	(void)vcpu;
	if (!guest.paused)
		abort();
	guest.paused = false;
}

static void *guest_register(uint64_t id)
{
	for (unsigned int n = 0; n < 31; n++)
		if (id == KVM_CORE_REG(regs.regs[0]) + 2 * n)
			return &guest.x[n];
	for (unsigned int n = 0; n < 32; n++) {
		const uint64_t v = KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |
				   (KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]) + 4 * n);

		if (guest.sve ? id == KVM_REG_ARM64_SVE_ZREG(n, 0) : id == v)
			return guest.vector[n];
	}
	for (unsigned int n = 0; n < 16; n++)
		if (guest.sve && id == KVM_REG_ARM64_SVE_PREG(n, 0))
			return guest.predicate[n];
	if (id == KVM_REG_ARM64_SVE_VLS)
		return guest.lengths;
	return id == KVM_CORE_REG(regs.sp)	    ? &guest.sp_el0
	       : id == KVM_CORE_REG(sp_el1)	    ? &guest.sp_el1
	       : id == KVM_CORE_REG(regs.pc)	    ? &guest.pc
	       : id == KVM_CORE_REG(regs.pstate)    ? &guest.pstate
	       : id == ARM64_SYS_REG(3, 0, 1, 2, 0) ? &guest.zcr_el1
	       : !guest.has_el2			    ? NULL
	       : id == ARM64_SYS_REG(3, 4, 1, 2, 0) ? &guest.zcr_el2
	       : id == ARM64_SYS_REG(3, 6, 4, 1, 0) ? &guest.sp_el2
						    : NULL;
}

static size_t guest_register_size(uint64_t id)
{
	return 1 << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

int kvm_get_reg(int vcpu_fd, uint64_t id, void *value)
{
	(void)vcpu_fd;
	if (!guest_register(id) || id == guest.refused)
		return -ENOENT;
	memcpy(value, guest_register(id), guest_register_size(id));
	return 0;
}

int kvm_set_reg(int vcpu_fd, uint64_t id, const void *value)
{
	(void)vcpu_fd;
	if (!guest_register(id) || id == guest.refused)
		return -ENOENT;
	memcpy(guest_register(id), value, guest_register_size(id));
	guest.writes++;
	return 0;
}

bool cpu_model_has(const struct cpu_model *model, unsigned int feature)
{
	(void)model;
	return feature == KVM_ARM_VCPU_SVE && guest.sve;
}

uint64_t cache_zero_size(void)
{
	return 64;
}

int kvm_check(int fd, unsigned int capability)
{
	(void)fd, (void)capability;
	return 0;
}

int kvm_enable(int vm_fd, unsigned int capability)
{
	(void)vm_fd, (void)capability;
	return -EINVAL;
}

int regime_read(struct regime *regime, int vcpu_fd)
{
	(void)vcpu_fd;
	*regime = guest.regime;
	regime->pc = guest.pc;
	regime->pstate = guest.pstate;
	return 0;
}

int regime_read_state(struct regime *regime, int vcpu_fd)
{
	return regime_read(regime, vcpu_fd);
}

enum translate_result translate_fetch(const struct regime *regime, const struct memory *memory,
				      uint32_t *word)
{
	(void)regime, (void)memory;
	*word = guest.word;
	return guest.fetch;
}

enum translate_result translate(const struct regime *regime, const struct memory *memory,
				uint64_t va, enum translate_access access, bool unprivileged,
				struct translation *translation)
{
	(void)regime, (void)memory;
	if (guest.absent && va - guest.absent < FAKE_PAGE &&
	    !(unprivileged && guest.present_unprivileged))
		return guest.absent_result;
	if (guest.read_only && va - guest.read_only < FAKE_PAGE && access == TRANSLATE_WRITE)
		return guest.absent_result;
	*translation = (struct translation){
		.gpa = guest.moved && va - guest.moved < FAKE_PAGE ? guest.moved_to + va % FAKE_PAGE
								   : va,
		.size = FAKE_PAGE - va % FAKE_PAGE,
		.device = guest.device,
	};
	return TRANSLATE_DONE;
}

enum translate_result translate_insn_at(const struct memory *memory, uint64_t gpa, uint32_t *word)
{
	(void)memory, (void)gpa;
	*word = guest.word;
	return guest.fetch;
}

/* What translate() says, as KVM puts it. */
int kvm_translate(int vcpu_fd, struct kvm_arm_translation *answer)
{
	const bool unprivileged = answer->flags & KVM_ARM_TRANSLATE_UNPRIVILEGED;
	struct translation translation = { 0 };

	(void)vcpu_fd;
	switch (translate(NULL, NULL, answer->linear_address, TRANSLATE_READ, unprivileged,
			  &translation)) {
	case TRANSLATE_DONE:
		answer->valid = 1;
		answer->physical_address = translation.gpa;
		answer->perms = KVM_ARM_TRANSLATE_READ | KVM_ARM_TRANSLATE_EXEC;
		if (translate(NULL, NULL, answer->linear_address, TRANSLATE_WRITE, unprivileged,
			      &translation) == TRANSLATE_DONE)
			answer->perms |= KVM_ARM_TRANSLATE_WRITE;
		answer->attr = translation.device ? 0x04 : 0xff;
		answer->shift = 12;
		return 0;
	case TRANSLATE_AGAIN:
		answer->fault = 0x07; /* a translation fault at level 3 */
		return 0;
	default:
		answer->fault = 0x17; /* an external abort of the walk there */
		return 0;
	}
}

#endif
