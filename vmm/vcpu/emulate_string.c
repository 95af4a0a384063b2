// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Memory copy and set (Arm ARM, C6.2, CPYP to SETE) come as three
 * instructions, prologue, main and epilogue, and keep their state in three registers, in one of two
 * ways that the CPU chooses (option A, PSTATE.C 0, or B, 1). Where main or epilogue comes here,
 * PSTATE.C tells the CPU's way. The prologue has no way yet: here it takes option A, and where the
 * CPU's is B, and the prologue did not get to the end, main takes the exception that is made for
 * such a change of CPU (Memory Copy and Memory Set exception), from which the guest's kernel goes
 * back to the prologue.
 *
 * Each exit gets on by EMULATE_STRING_MAX bytes; then the guest runs on where it is: main and
 * epilogue are executed again until nothing remains, and fault again.
 */
#include <string.h>

#include "arm/sysreg.h"
#include "emulate.h"
#include "mm/cache.h"

#define COPY_SIZE_MAX	 UINT64_C(0x007fffffffffffff) /* of CPY */
#define FORWARD_SIZE_MAX INT64_MAX /* of CPYF and SET */
#define ADDRESS_BITS	 (UINT64_MAX >> 8) /* those that decide the direction */

/* What remains: upwards from to and from, or, backward, downwards to below them. */
struct string {
	uint64_t to, from, remaining;
	bool backward, option_b;
};

static uint64_t saturate(uint64_t size, uint64_t max)
{
	return size > max ? max : size;
}

/* Overlapping with the source below is copied from the end. */
static bool goes_backward(const struct string *string)
{
	const uint64_t to = string->to & ADDRESS_BITS, from = string->from & ADDRESS_BITS;

	return from < to && from + string->remaining > to;
}

static void string_prologue(struct string *string, const struct insn *insn)
{
	string->remaining = saturate(
		string->remaining,
		insn->class == INSN_COPY && !insn->forward_only ? COPY_SIZE_MAX : FORWARD_SIZE_MAX);
	if (insn->class == INSN_SET || insn->forward_only || !goes_backward(string))
		return;
	string->backward = true;
	string->to += string->remaining;
	string->from += string->remaining;
}

/* From the registers of option A, which have one end and a distance. */
static void string_option_a(struct string *string)
{
	string->backward = (int64_t)string->remaining > 0;
	string->to += string->remaining;
	string->from += string->remaining;
	if (!string->backward)
		string->remaining = -string->remaining;
}

static void string_begin(struct emulation *emulation, struct string *string)
{
	const struct insn *insn = &emulation->insn;
	struct registers *registers = &emulation->registers;

	*string = (struct string){
		.to = registers_x(registers, insn->rt),
		.from = insn->class == INSN_COPY ? registers_x(registers, insn->rs) : 0,
		.remaining = registers_x(registers, insn->rn),
	};
	if (insn->stage == INSN_PROLOGUE) {
		string_prologue(string, insn);
	} else if (registers->pstate & PSTATE_C) {
		string->option_b = true;
		string->backward = registers->pstate & PSTATE_N;
	} else {
		string_option_a(string);
	}
}

static void string_end(struct emulation *emulation, const struct string *string)
{
	const struct insn *insn = &emulation->insn;
	struct registers *registers = &emulation->registers;
	uint64_t distance = 0, remaining = string->remaining;

	if (!string->option_b) {
		distance = string->backward ? -remaining : remaining;
		remaining = -distance;
	}
	registers_set_x(registers, insn->rt, string->to + distance);
	if (insn->class == INSN_COPY)
		registers_set_x(registers, insn->rs, string->from + distance);
	registers_set_x(registers, insn->rn, remaining);
	if (insn->stage == INSN_PROLOGUE)
		registers_set_flags(registers, 0);
	if (insn->stage == INSN_PROLOGUE || string->remaining == 0)
		registers_advance(registers);
}

/* The largest step that is aligned on both sides. */
static unsigned int step_size(const struct string *string, uint64_t most)
{
	unsigned int size = 8;

	while (size > most || (string->to | string->from) % size != 0)
		size /= 2;
	return size;
}

static void string_move(struct string *string, uint64_t bytes)
{
	const uint64_t distance = string->backward ? -bytes : bytes;

	string->to += distance;
	string->from += distance;
	string->remaining -= bytes;
}

/* Makes the next batch: pieces of source and destination that belong together, one by one. */
static void string_add(struct emulation *emulation, struct string ahead)
{
	struct elements *elements = &emulation->elements, *source = &emulation->source;

	elements_clear(elements);
	elements_clear(source);
	while (ahead.remaining > 0 && elements->bytes < ELEMENTS_BYTES_MAX) {
		const uint64_t room = ELEMENTS_BYTES_MAX - elements->bytes;
		const unsigned int size =
			step_size(&ahead, ahead.remaining < room ? ahead.remaining : room);
		const uint64_t below = ahead.backward ? size : 0;

		if (emulation->insn.class == INSN_COPY)
			elements_add(source, ahead.from - below, size);
		elements_add(elements, ahead.to - below, size);
		string_move(&ahead, size);
	}
}

/* The first failure counts. */
static enum translate_result string_translate(struct emulation *emulation)
{
	struct elements *elements = &emulation->elements, *source = &emulation->source;
	const struct insn *insn = &emulation->insn;
	enum translate_result read = TRANSLATE_DONE, written;

	if (insn->class == INSN_COPY)
		read = elements_translate(source, TRANSLATE_READ, insn->read_unprivileged);
	written = elements_translate(elements, TRANSLATE_WRITE, insn->unprivileged);
	return read != TRANSLATE_DONE && source->translated <= elements->translated ? read
										    : written;
}

/* What comes before a fault is carried out; a source that has no destination is not. */
static void string_cut(struct emulation *emulation)
{
	struct elements *elements = &emulation->elements, *source = &emulation->source;
	unsigned int count = elements->translated;

	if (emulation->insn.class == INSN_COPY && source->translated < count)
		count = source->translated;
	elements_cut(elements, count);
	elements_cut(source, count);
}

static enum emulate_result string_batch(struct emulation *emulation, struct string *string)
{
	struct elements *elements = &emulation->elements, *source = &emulation->source;
	enum emulate_result result;

	string_add(emulation, *string);
	result = emulate_translate(emulation, string_translate);
	string_cut(emulation);
	if (emulation->insn.class == INSN_COPY) {
		elements_ram(source, false);
		elements_bus(source, false);
		memcpy(elements->data, source->data, elements->bytes);
	} else {
		memset(elements->data,
		       registers_x(&emulation->registers, emulation->insn.rs) & 0xff,
		       elements->bytes);
	}
	elements_ram(elements, true);
	emulate_release(emulation);
	elements_bus(elements, true);
	string_move(string, elements->bytes);
	return result;
}

/* Progress is no failure: a fault of the rest comes up at the next try. */
static enum emulate_result emulate_string(struct emulation *emulation)
{
	struct string string;
	uint64_t size;
	enum emulate_result result = EMULATE_DONE;

	/* Read here, so that all that can fail has failed before the first byte. */
	registers_x(&emulation->registers, emulation->insn.rs);
	string_begin(emulation, &string);
	if (emulation->registers.error < 0)
		return EMULATE_ERROR;
	size = string.remaining;
	while (string.remaining > 0 && size - string.remaining < EMULATE_STRING_MAX &&
	       result == EMULATE_DONE)
		result = string_batch(emulation, &string);
	if (string.remaining == size && result != EMULATE_DONE)
		return result;
	string_end(emulation, &string);
	return EMULATE_DONE;
}

enum emulate_result emulate_copy(struct emulation *emulation)
{
	return emulate_string(emulation);
}

enum emulate_result emulate_set(struct emulation *emulation)
{
	return emulate_string(emulation);
}

/* DC ZVA: a block of DCZID_EL0.BS, which is aligned and so within a page. */
enum emulate_result emulate_zero(struct emulation *emulation)
{
	struct elements *elements = &emulation->elements;
	const uint64_t size = cache_zero_size();
	const uint64_t start = registers_x(&emulation->registers, emulation->insn.rt) & -size;
	enum emulate_result result = EMULATE_DONE;

	if (emulation->registers.error < 0)
		return EMULATE_ERROR;
	memset(elements->data, 0, sizeof(elements->data));
	for (uint64_t done = 0; done < size && result == EMULATE_DONE; done += elements->bytes) {
		const uint64_t rest = size - done;

		elements_clear(elements);
		elements_add(elements, start + done,
			     rest < ELEMENTS_BYTES_MAX ? rest : ELEMENTS_BYTES_MAX);
		result = emulate_carry_out(emulation);
	}
	return result;
}
