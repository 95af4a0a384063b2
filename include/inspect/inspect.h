/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A look into a vCPU that rests (holds.h): its registers by the Arm ARM's names, at which exception
 * level and in which guest of a nest it is, memory as it or another translation regime sees it, and
 * who called whom. Nothing here runs the vCPU or waits for it. Any thread, one at a time for each
 * struct. Errors: -errno, nothing is said.
 */
#ifndef NIDUS_INSPECT_H
#define NIDUS_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "translate/translate.h"
#include "vcpu/vcpu.h"

/* Whose addresses are meant. */
enum inspect_regime {
	INSPECT_NOW, /* of the exception level that the vCPU is at */
	INSPECT_EL1, /* EL1&0, stage 1 alone: what it gives is taken for physical */
	INSPECT_EL1_STAGE2, /* EL1&0 and stage 2, of the guest inside */
	INSPECT_EL2, /* EL2, or EL2&0 with HCR_EL2.E2H */
	INSPECT_STAGE2, /* stage 2 alone: intermediate physical addresses of the guest inside */
	INSPECT_PHYSICAL, /* guest physical, as the vCPU's machine has it */
	INSPECT_REGIMES,
};

struct inspect {
	int vcpu_fd;
	const struct memory *memory;
	bool el2; /* the vCPU has one */
	bool sve;
	struct regime now; /* its state alone, see regime_read_state() */
	uint64_t vttbr; /* 0 without EL2 */

	/* The last regime that was asked for; INSPECT_REGIMES: none yet. */
	enum inspect_regime cached;
	struct regime regime;
};

/*
 * For as long as the vCPU rests and its registers are set by nobody else; it holds nothing. The
 * vCPU's machine outlives it.
 */
int inspect_begin(struct inspect *inspect, const struct vcpu *vcpu);

/* Where in a nest a vCPU is. */
enum inspect_role {
	INSPECT_GUEST, /* of a machine without EL2 */
	INSPECT_HYPERVISOR, /* at EL2 */
	INSPECT_HOST, /* what the hypervisor runs below itself without a stage 2: its own host */
	INSPECT_INSIDE, /* in the hypervisor's guest, or in one deeper inside */
};

struct inspect_where {
	unsigned int el; /* the exception level, 0 to 2 */
	enum inspect_role role;
	unsigned int level; /* of a nest: 2 inside, else 1 */
	uint16_t vmid; /* inside: by which the hypervisor tells its guests apart */
	bool virtual_el2; /* inside: at what that guest takes for EL2 (HCR_EL2.NV) */
	bool aarch32;
};

void inspect_where(const struct inspect *inspect, struct inspect_where *where);
/* A role in a word or two. */
const char *inspect_role_name(enum inspect_role role);

/* Registers of the core by number: X0 to X30, then these. SP is the one in use. */
enum { INSPECT_SP = 31, INSPECT_PC, INSPECT_CPSR, INSPECT_CORE };

int inspect_core(const struct inspect *inspect, unsigned int n, uint64_t *value);
int inspect_set_core(struct inspect *inspect, unsigned int n, uint64_t value);

#define INSPECT_VECTORS 32

/* V0 to V31, 16 bytes, the least significant first. Setting leaves the rest of a Z register. */
int inspect_vector(const struct inspect *inspect, unsigned int n, uint8_t value[16]);
int inspect_set_vector(struct inspect *inspect, unsigned int n, const uint8_t value[16]);

/*
 * SVE: the length of its vectors in bytes, the longest that the vCPU may have, and 0 where it has
 * none; and its registers by number, Z0 to Z31, then these. Of a Z as many bytes count, of others
 * an eighth, the least significant first.
 */
enum { INSPECT_P = 32, INSPECT_FFR = 48, INSPECT_SVE };
#define INSPECT_SVE_BYTES 256

unsigned int inspect_sve_length(const struct inspect *inspect);
int inspect_sve(const struct inspect *inspect, unsigned int n, uint8_t value[INSPECT_SVE_BYTES]);
int inspect_set_sve(const struct inspect *inspect, unsigned int n,
		    const uint8_t value[INSPECT_SVE_BYTES]);
/* How long its vectors are now, in bytes, by ZCR_EL1 and ZCR_EL2. */
int inspect_sve_length_now(const struct inspect *inspect, uint64_t *length);

/* FPSR, or FPCR. */
int inspect_fp_status(const struct inspect *inspect, bool control, uint32_t *value);
int inspect_set_fp_status(struct inspect *inspect, bool control, uint32_t value);

/*
 * System registers of EL0 to EL2, by their place in a list; el: the exception level in the name.
 * inspect_system() is -ENOENT for one that the vCPU does not have.
 */
unsigned int inspect_system_count(void);
const char *inspect_system_name(unsigned int i);
unsigned int inspect_system_el(unsigned int i);
int inspect_system(const struct inspect *inspect, unsigned int i, uint64_t *value);
int inspect_set_system(struct inspect *inspect, unsigned int i, uint64_t value);

/*
 * Where an address of that regime leads, whatever an access there would be allowed to do.
 * TRANSLATE_AGAIN: nowhere. Errors of KVM are TRANSLATE_FAIL, as is a regime that is not there.
 */
enum translate_result inspect_translate(struct inspect *inspect, enum inspect_regime regime,
					uint64_t address, struct translation *translation);

/*
 * Copies from or to RAM, without regard to permissions; how many bytes from the beginning there
 * were. What is written may be instructions: all vCPUs of the machine rest.
 */
size_t inspect_read(struct inspect *inspect, enum inspect_regime regime, uint64_t address,
		    void *data, size_t size);
size_t inspect_write(struct inspect *inspect, enum inspect_regime regime, uint64_t address,
		     const void *data, size_t size);
/* The same for guest physical addresses, of RAM as a whole or not at all. */
bool inspect_write_physical(const struct memory *memory, uint64_t gpa, const void *data,
			    size_t size);

/*
 * The PC and the return addresses in the frame records that X29 leads to, without pointer
 * authentication's bits; at most max, and how many.
 */
unsigned int inspect_backtrace(struct inspect *inspect, uint64_t *pc, unsigned int max);

#endif
