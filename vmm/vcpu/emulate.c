// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Every class does the same in the same order: registers are read; the
 * elements that the instruction accesses are translated, all of them; they are carried out
 * (emulate_memory.c); results go to a copy of the registers, which is written at the end. So
 * whatever is refused or has to be tried again has left no trace.
 */
#include <string.h>

#include "arm/sysreg.h"
#include "emulate.h"
#include "vcpu/vcpu.h"

#define SP 31

void emulate_order(const struct emulation *emulation, uint8_t *element, unsigned int size)
{
	for (unsigned int i = 0; i < size / 2 && emulation->big_endian; i++) {
		uint8_t byte = element[i];

		element[i] = element[size - 1 - i];
		element[size - 1 - i] = byte;
	}
}

/* Rm, extended and shifted. */
static uint64_t register_offset(struct emulation *emulation)
{
	const struct insn *insn = &emulation->insn;
	uint64_t value = registers_x(&emulation->registers, insn->rm);

	if (insn->extend == INSN_UXTW)
		value = (uint32_t)value;
	if (insn->extend == INSN_SXTW)
		value = (int64_t)(int32_t)value;
	return value << insn->shift;
}

uint64_t emulate_address(struct emulation *emulation)
{
	const struct insn *insn = &emulation->insn;
	const uint64_t base = registers_x_or_sp(&emulation->registers, insn->rn);

	switch (insn->addressing) {
	case INSN_OFFSET:
	case INSN_PRE_INDEX:
		return base + (int64_t)insn->offset;
	case INSN_REGISTER:
		return base + register_offset(emulation);
	default:
		return base;
	}
}

void emulate_write_back(struct emulation *emulation)
{
	const struct insn *insn = &emulation->insn;
	struct registers *registers = &emulation->registers;
	uint64_t base;

	if (insn->addressing == INSN_OFFSET || insn->addressing == INSN_REGISTER)
		return;
	base = registers_x_or_sp(registers, insn->rn);
	if (insn->addressing == INSN_POST_REGISTER)
		base += registers_x(registers, insn->rm);
	else
		base += (int64_t)insn->offset;
	registers_set_x_or_sp(registers, insn->rn, base);
}

/* Values of general registers, in the bytes of an element and back. */

static uint64_t from_element(struct emulation *emulation, uint8_t *element, unsigned int size)
{
	uint64_t value = 0;

	emulate_order(emulation, element, size);
	memcpy(&value, element, size);
	return value;
}

static void to_element(struct emulation *emulation, uint8_t *element, unsigned int size,
		       uint64_t value)
{
	memcpy(element, &value, size);
	emulate_order(emulation, element, size);
}

static uint64_t sign_extend(uint64_t value, unsigned int bytes)
{
	const uint64_t sign = UINT64_C(1) << (8 * bytes - 1);

	return (value ^ sign) - sign;
}

static void load_general(struct emulation *emulation, unsigned int n, uint8_t *element)
{
	const struct insn *insn = &emulation->insn;
	uint64_t value = from_element(emulation, element, insn->bytes);

	if (insn->sign)
		value = sign_extend(value, insn->bytes);
	if (!insn->wide)
		value = (uint32_t)value;
	registers_set_x(&emulation->registers, n, value);
}

static void load_register(struct emulation *emulation, unsigned int n, uint8_t *element)
{
	if (!emulation->insn.vector) {
		load_general(emulation, n, element);
		return;
	}
	emulate_order(emulation, element, emulation->insn.bytes);
	memcpy(registers_new_vector(&emulation->registers, n), element, emulation->insn.bytes);
}

static void store_register(struct emulation *emulation, unsigned int n, uint8_t *element)
{
	const unsigned int bytes = emulation->insn.bytes;

	if (!emulation->insn.vector) {
		to_element(emulation, element, bytes, registers_x(&emulation->registers, n));
		return;
	}
	memcpy(element, registers_vector(&emulation->registers, n), bytes);
	emulate_order(emulation, element, bytes);
}

/* One register, two, or eight: elements side by side. */
static enum emulate_result emulate_registers(struct emulation *emulation, const uint8_t *list,
					     unsigned int count)
{
	const struct insn *insn = &emulation->insn;
	const uint64_t va = emulate_address(emulation);
	uint8_t *data = emulation->elements.data;
	enum emulate_result result;

	for (unsigned int i = 0; i < count; i++) {
		elements_add(&emulation->elements, va + i * insn->bytes, insn->bytes);
		if (insn->store)
			store_register(emulation, list[i], &data[i * insn->bytes]);
	}
	if (emulation->registers.error < 0)
		return EMULATE_ERROR;
	result = emulate_carry_out(emulation);
	if (result != EMULATE_DONE)
		return result;
	for (unsigned int i = 0; i < count && insn->load; i++)
		load_register(emulation, list[i], &data[i * insn->bytes]);
	emulate_write_back(emulation);
	return EMULATE_DONE;
}

static enum emulate_result emulate_plain(struct emulation *emulation)
{
	const uint8_t list[] = { emulation->insn.rt, emulation->insn.rt2 };

	return emulate_registers(emulation, list, emulation->insn.class == INSN_PAIR ? 2 : 1);
}

/* Whether the access has to be aligned, whatever the memory. */
static enum emulate_result emulate_ordered(struct emulation *emulation)
{
	if (emulate_address(emulation) % emulation->insn.bytes != 0)
		return EMULATE_ABORT;
	return emulate_plain(emulation);
}

static enum emulate_result emulate_ldst64b(struct emulation *emulation)
{
	const struct insn *insn = &emulation->insn;
	uint8_t list[8];

	if (emulate_address(emulation) % 64 != 0)
		return EMULATE_ABORT;
	/* A status of all ones says that the device does not take such a store. */
	if (insn->load && insn->store) {
		registers_set_x(&emulation->registers, insn->rs, UINT64_MAX);
		return EMULATE_DONE;
	}
	for (unsigned int i = 0; i < 8; i++)
		list[i] = insn->rt + i;
	return emulate_registers(emulation, list, 8);
}

/* Read and write in one. */

static uint64_t atomic_result(enum insn_operation operation, uint64_t old, uint64_t operand,
			      unsigned int bytes)
{
	const int64_t a = sign_extend(old, bytes), b = sign_extend(operand, bytes);

	switch (operation) {
	case INSN_ADD:
		return old + operand;
	case INSN_CLR:
		return old & ~operand;
	case INSN_EOR:
		return old ^ operand;
	case INSN_SET_BITS:
		return old | operand;
	case INSN_SMAX:
		return a > b ? old : operand;
	case INSN_SMIN:
		return a < b ? old : operand;
	case INSN_UMAX:
		return old > operand ? old : operand;
	case INSN_UMIN:
		return old < operand ? old : operand;
	default:
		return operand;
	}
}

/* An access that reads and writes needs both rights. */
static enum translate_result translate_both(struct emulation *emulation)
{
	enum translate_result result =
		elements_translate(&emulation->elements, TRANSLATE_READ, false);

	return result == TRANSLATE_DONE
		       ? elements_translate(&emulation->elements, TRANSLATE_WRITE, false)
		       : result;
}

/* Translates the elements of a read and a write in one, which have to be on the bus. */
static enum emulate_result add_both(struct emulation *emulation, unsigned int count)
{
	const unsigned int bytes = emulation->insn.bytes;
	const uint64_t va = emulate_address(emulation);
	enum emulate_result result;

	if (emulation->registers.error < 0)
		return EMULATE_ERROR;
	if (va % (count * bytes) != 0)
		return EMULATE_ABORT;
	for (unsigned int i = 0; i < count; i++)
		elements_add(&emulation->elements, va + i * bytes, bytes);
	result = emulate_translate(emulation, translate_both);
	/* On RAM the CPU does it by itself. */
	if (result == EMULATE_DONE && elements_in_ram(&emulation->elements))
		result = EMULATE_AGAIN;
	emulate_release(emulation);
	return result;
}

static uint64_t low_bytes(uint64_t value, unsigned int bytes)
{
	return bytes == 8 ? value : value & ((UINT64_C(1) << 8 * bytes) - 1);
}

static enum emulate_result emulate_atomic(struct emulation *emulation)
{
	const struct insn *insn = &emulation->insn;
	const uint64_t operand =
		low_bytes(registers_x(&emulation->registers, insn->rs), insn->bytes);
	uint8_t *data = emulation->elements.data;
	enum emulate_result result = add_both(emulation, 1);
	uint64_t old;

	if (result != EMULATE_DONE || emulation->registers.error < 0)
		return result;
	elements_bus(&emulation->elements, false);
	old = from_element(emulation, data, insn->bytes);
	to_element(emulation, data, insn->bytes,
		   atomic_result(insn->operation, old, operand, insn->bytes));
	elements_bus(&emulation->elements, true);
	registers_set_x(&emulation->registers, insn->rt, old);
	return EMULATE_DONE;
}

static enum emulate_result emulate_cas(struct emulation *emulation)
{
	const struct insn *insn = &emulation->insn;
	struct registers *registers = &emulation->registers;
	const unsigned int count = insn->pair ? 2 : 1, bytes = insn->bytes;
	uint8_t *data = emulation->elements.data;
	enum emulate_result result = add_both(emulation, count);
	uint64_t wanted[2], old[2], new[2];
	bool same = true;

	for (unsigned int i = 0; i < count; i++) {
		wanted[i] = low_bytes(registers_x(registers, insn->rs + i), bytes);
		new[i] = registers_x(registers, insn->rt + i);
	}
	if (result != EMULATE_DONE || registers->error < 0)
		return result;
	elements_bus(&emulation->elements, false);
	for (unsigned int i = 0; i < count; i++) {
		old[i] = from_element(emulation, &data[i * bytes], bytes);
		same &= old[i] == wanted[i];
		to_element(emulation, &data[i * bytes], bytes, new[i]);
	}
	if (same)
		elements_bus(&emulation->elements, true);
	for (unsigned int i = 0; i < count; i++)
		registers_set_x(registers, insn->rs + i, old[i]);
	return EMULATE_DONE;
}

static enum emulate_result emulate_prefetch(struct emulation *emulation)
{
	(void)emulation;
	return EMULATE_DONE;
}

/* Classes without a function are refused. */
static enum emulate_result (*const emulators[INSN_CLASSES])(struct emulation *emulation) = {
	[INSN_PREFETCH] = emulate_prefetch,
	[INSN_SINGLE] = emulate_plain,
	[INSN_PAIR] = emulate_plain,
	[INSN_ORDERED] = emulate_ordered,
	[INSN_CAS] = emulate_cas,
	[INSN_ATOMIC] = emulate_atomic,
	[INSN_STRUCTURE] = emulate_structure,
	[INSN_SVE] = emulate_sve,
	[INSN_ZERO] = emulate_zero,
	[INSN_COPY] = emulate_copy,
	[INSN_SET] = emulate_set,
	[INSN_LDST64B] = emulate_ldst64b,
};

static bool reads_and_writes(enum insn_class class)
{
	return class == INSN_CAS || class == INSN_ATOMIC;
}

static enum emulate_result carry_out(struct vcpu *vcpu, struct emulation *emulation)
{
	const enum insn_class class = emulation->insn.class;
	enum emulate_result result;

	if (!emulators[class])
		return EMULATE_ABORT;
	/* The barriers of an instruction that acquires or releases: the bus has no order of its
	 * own. */
	atomic_thread_fence(memory_order_seq_cst);
	if (reads_and_writes(class))
		pthread_mutex_lock(&vcpu->env->read_modify_write);
	result = emulators[class](emulation);
	if (reads_and_writes(class))
		pthread_mutex_unlock(&vcpu->env->read_modify_write);
	atomic_thread_fence(memory_order_seq_cst);
	return result;
}

/* Memory copy and set advance the PC themselves, when nothing remains. */
static bool moves_on_by_itself(enum insn_class class)
{
	return class == INSN_COPY || class == INSN_SET;
}

static int begin(struct vcpu *vcpu, struct emulation *emulation)
{
	const struct vcpu_env *env = vcpu->env;
	const struct regime *regime = &emulation->lookup.regime;
	int err = lookup_begin(&emulation->lookup, vcpu->fd, env->lookup_by_kvm, env->memory);

	if (err < 0)
		return err;
	emulation->vcpu = vcpu;
	emulation->reported = vcpu->run->arm_nisv.fault_ipa;
	emulation->alone = false;
	registers_begin(&emulation->registers, vcpu->fd,
			cpu_model_has(env->model, KVM_ARM_VCPU_SVE), regime->pc, regime->pstate);
	elements_begin(&emulation->elements, &emulation->lookup, env->bus, &vcpu->counters);
	elements_begin(&emulation->source, &emulation->lookup, env->bus, &vcpu->counters);
	emulation->big_endian = regime->sctlr & (regime->pstate & PSTATE_EL ? SCTLR_EE : SCTLR_E0E);
	return 0;
}

enum emulate_result emulate(struct vcpu *vcpu, enum insn_class *class)
{
	struct emulation emulation;
	enum emulate_result result;

	*class = INSN_NONE;
	if (begin(vcpu, &emulation) < 0)
		return EMULATE_ERROR;
	result = emulate_from(lookup_fetch(&emulation.lookup, vcpu->run, &emulation.word));
	if (result != EMULATE_DONE)
		return result;
	if (emulation.lookup.regime.pstate & PSTATE_NRW)
		return EMULATE_ABORT;
	insn_decode(emulation.word, &emulation.insn);
	*class = emulation.insn.class;
	result = carry_out(vcpu, &emulation);
	if (emulation.registers.error < 0)
		return EMULATE_ERROR;
	if (result != EMULATE_DONE)
		return result;
	if (!moves_on_by_itself(*class))
		registers_advance(&emulation.registers);
	return registers_commit(&emulation.registers) < 0 ? EMULATE_ERROR : EMULATE_DONE;
}
