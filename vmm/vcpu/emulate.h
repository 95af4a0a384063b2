/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An instruction that accesses a device in a way that the CPU does not describe to KVM
 * (ESR_ELx.ISV is 0) is carried out here. docs/emulation.md says what is emulated, what is refused,
 * and why.
 */
#ifndef NIDUS_EMULATE_H
#define NIDUS_EMULATE_H

#include <stdbool.h>

#include "arm/insn.h"
#include "arm/registers.h"
#include "elements.h"

enum emulate_result {
	EMULATE_DONE, /* registers and PC are those behind it, or those of its progress */
	EMULATE_AGAIN, /* nothing was done: the guest's tables are changing, run it again */
	EMULATE_ABORT, /* nothing was done: the guest is to get an external abort */
	EMULATE_ERROR, /* KVM refused a register */
};

struct vcpu;

/*
 * Emulates the instruction that the vCPU stands at. class: its class, INSN_NONE where it is not
 * known. Work is bounded: EMULATE_STRING_MAX bytes, or one instruction of any other class. Called
 * by the vCPU's own thread, outside KVM_RUN. Registers are written when all of it is done; a device
 * keeps what was written to it before a register could not be.
 */
enum emulate_result emulate(struct vcpu *vcpu, enum insn_class *class);

/* The most bytes that one exit of memory copy and set carries out. */
#define EMULATE_STRING_MAX 4096

/* The rest is for emulate.c and emulate_*.c alone. */

struct emulation {
	struct vcpu *vcpu;
	uint64_t reported; /* the guest physical address at which the CPU took its fault */
	uint32_t word; /* the instruction */
	bool alone; /* the other vCPUs are paused */
	struct lookup lookup;
	struct registers registers;
	struct elements elements;
	struct elements source; /* of memory copy */
	struct insn insn;
	bool big_endian; /* data of the current exception level */
};

/*
 * Translates what was added to elements and source, by translate(), such that it may be used until
 * emulate_release(), with the other vCPUs paused if it has to be; translate() is called once or
 * twice. Whatever comes out, emulate_release() has to follow, after the last access to RAM. What
 * goes on the bus is better done after it, as a device may take its time.
 */
enum emulate_result emulate_translate(struct emulation *emulation,
				      enum translate_result (*translate)(struct emulation *));
void emulate_release(struct emulation *emulation);
/* All of it, for an instruction that only loads or only stores. */
enum emulate_result emulate_carry_out(struct emulation *emulation);
/* The result of an instruction whose translation has this result. */
enum emulate_result emulate_from(enum translate_result result);
/* Turns the bytes of an element between memory's order and least significant byte first. */
void emulate_order(const struct emulation *emulation, uint8_t *element, unsigned int size);
/* Base register, with the offset that is added before the access. */
uint64_t emulate_address(struct emulation *emulation);
/* After the access: writes the base register, where the instruction does. */
void emulate_write_back(struct emulation *emulation);

enum emulate_result emulate_structure(struct emulation *emulation);
enum emulate_result emulate_sve(struct emulation *emulation);
enum emulate_result emulate_zero(struct emulation *emulation);
enum emulate_result emulate_copy(struct emulation *emulation);
enum emulate_result emulate_set(struct emulation *emulation);

#endif
