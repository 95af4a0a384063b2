// SPDX-License-Identifier: GPL-2.0-only
/*
 * Structures of Advanced SIMD (Arm ARM, C7.2, LD1 to ST4) and contiguous loads and stores of SVE
 * (C8.2).
 */
#include <string.h>

#include "emulate.h"

#define VECTORS 32u /* a register's number counts modulo it */

/* One element of a structure, in which register and at which byte of it. */
struct place {
	uint8_t n, byte;
};

/* The elements in the order in which they lie in memory. Returns how many. */
static unsigned int structure_places(const struct insn *insn, struct place *places)
{
	const unsigned int rounds = insn->registers / insn->structure;
	const unsigned int lanes = insn->single ? 1 : insn->lanes;
	unsigned int count = 0;

	for (unsigned int round = 0; round < rounds; round++)
		for (unsigned int lane = 0; lane < lanes; lane++)
			for (unsigned int i = 0; i < insn->structure; i++)
				places[count++] = (struct place){
					.n = (insn->rt + round + i) % VECTORS,
					.byte = (insn->index + lane) * insn->bytes,
				};
	return count;
}

/* The registers as they are before elements come in: a single lane leaves the others alone. */
static void structure_clear(struct emulation *emulation, uint8_t vector[4][16])
{
	const struct insn *insn = &emulation->insn;

	memset(vector, 0, 4 * 16);
	for (unsigned int i = 0; i < insn->registers && insn->single && !insn->replicate; i++)
		memcpy(vector[i], registers_vector(&emulation->registers, (insn->rt + i) % VECTORS),
		       16);
}

static void structure_load(struct emulation *emulation, const struct place *places,
			   unsigned int count)
{
	const struct insn *insn = &emulation->insn;
	uint8_t *data = emulation->elements.data;
	uint8_t vector[4][16];

	structure_clear(emulation, vector);
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *element = &data[i * insn->bytes];
		uint8_t *registered = vector[(places[i].n - insn->rt) % VECTORS];
		const unsigned int copies = insn->replicate ? insn->lanes : 1;

		emulate_order(emulation, element, insn->bytes);
		for (unsigned int copy = 0; copy < copies; copy++)
			memcpy(&registered[places[i].byte + copy * insn->bytes], element,
			       insn->bytes);
	}
	for (unsigned int i = 0; i < insn->registers; i++)
		memcpy(registers_new_vector(&emulation->registers, (insn->rt + i) % VECTORS),
		       vector[i], 16);
}

static void structure_store(struct emulation *emulation, const struct place *places,
			    unsigned int count)
{
	const unsigned int bytes = emulation->insn.bytes;

	for (unsigned int i = 0; i < count; i++) {
		uint8_t *element = &emulation->elements.data[i * bytes];

		memcpy(element,
		       &registers_vector(&emulation->registers, places[i].n)[places[i].byte],
		       bytes);
		emulate_order(emulation, element, bytes);
	}
}

enum emulate_result emulate_structure(struct emulation *emulation)
{
	const struct insn *insn = &emulation->insn;
	const uint64_t va = emulate_address(emulation);
	struct place places[4 * 16];
	const unsigned int count = structure_places(insn, places);
	enum emulate_result result;

	for (unsigned int i = 0; i < count; i++)
		elements_add(&emulation->elements, va + i * insn->bytes, insn->bytes);
	if (insn->store)
		structure_store(emulation, places, count);
	if (emulation->registers.error < 0)
		return EMULATE_ERROR;
	result = emulate_carry_out(emulation);
	if (result != EMULATE_DONE)
		return result;
	if (insn->load)
		structure_load(emulation, places, count);
	emulate_write_back(emulation);
	return EMULATE_DONE;
}

/* SVE. */

static unsigned int vector_length(struct emulation *emulation)
{
	return registers_vector_length(&emulation->registers,
				       emulation->lookup.regime.kind != REGIME_EL10);
}

/* LDR and STR: bytes of the register, in that order whatever the endianness, 8 or 2 at a time. */
static enum emulate_result sve_whole(struct emulation *emulation, unsigned int length)
{
	const struct insn *insn = &emulation->insn;
	struct registers *registers = &emulation->registers;
	const bool predicate = insn->sve == INSN_SVE_P;
	const unsigned int bytes = predicate ? length / 8 : length, step = predicate ? 2 : 8;
	const uint64_t va = registers_x_or_sp(registers, insn->rn) + (int64_t)insn->offset * bytes;
	uint8_t *data = emulation->elements.data;
	enum emulate_result result;

	for (unsigned int i = 0; i < bytes; i += step)
		elements_add(&emulation->elements, va + i, step);
	if (insn->store)
		memcpy(data,
		       predicate ? registers_predicate(registers, insn->rt)
				 : registers_vector(registers, insn->rt),
		       bytes);
	if (registers->error < 0)
		return EMULATE_ERROR;
	result = emulate_carry_out(emulation);
	if (result == EMULATE_DONE && insn->load)
		memcpy(predicate ? registers_new_predicate(registers, insn->rt)
				 : registers_new_vector(registers, insn->rt),
		       data, bytes);
	return result;
}

/* A predicate has a bit for each byte of the vector; an element goes by its lowest. */
static bool is_active(const uint8_t *predicate, unsigned int byte)
{
	return predicate[byte / 8] >> byte % 8 & 1;
}

/* The first element's address: what is added to the base counts in elements of memory. */
static uint64_t sve_address(struct emulation *emulation, unsigned int length)
{
	const struct insn *insn = &emulation->insn;

	if (insn->addressing == INSN_REGISTER)
		return emulate_address(emulation);
	return registers_x_or_sp(&emulation->registers, insn->rn) +
	       (int64_t)insn->offset * (length / insn->lane) * insn->bytes;
}

static void sve_load(struct emulation *emulation, unsigned int length, const uint8_t *active)
{
	const struct insn *insn = &emulation->insn;
	uint8_t *element = emulation->elements.data;
	uint8_t *vector = registers_new_vector(&emulation->registers, insn->rt);

	for (unsigned int byte = 0; byte < length; byte += insn->lane) {
		if (!is_active(active, byte))
			continue;
		emulate_order(emulation, element, insn->bytes);
		memcpy(&vector[byte], element, insn->bytes);
		if (insn->sign && element[insn->bytes - 1] & 0x80)
			memset(&vector[byte + insn->bytes], 0xff, insn->lane - insn->bytes);
		element += insn->bytes;
	}
}

static void sve_store(struct emulation *emulation, unsigned int length, const uint8_t *active)
{
	const struct insn *insn = &emulation->insn;
	uint8_t *element = emulation->elements.data;
	const uint8_t *vector = registers_vector(&emulation->registers, insn->rt);

	for (unsigned int byte = 0; byte < length; byte += insn->lane) {
		if (!is_active(active, byte))
			continue;
		memcpy(element, &vector[byte], insn->bytes);
		emulate_order(emulation, element, insn->bytes);
		element += insn->bytes;
	}
}

static enum emulate_result sve_elements(struct emulation *emulation, unsigned int length)
{
	const struct insn *insn = &emulation->insn;
	const uint8_t *active = registers_predicate(&emulation->registers, insn->pg);
	uint64_t va = sve_address(emulation, length);
	enum emulate_result result;

	for (unsigned int byte = 0; byte < length; byte += insn->lane) {
		if (is_active(active, byte))
			elements_add(&emulation->elements, va, insn->bytes);
		va += insn->bytes;
	}
	if (insn->store)
		sve_store(emulation, length, active);
	if (emulation->registers.error < 0)
		return EMULATE_ERROR;
	result = emulate_carry_out(emulation);
	if (result == EMULATE_DONE && insn->load)
		sve_load(emulation, length, active);
	return result;
}

enum emulate_result emulate_sve(struct emulation *emulation)
{
	const unsigned int length = vector_length(emulation);

	if (length == 0)
		return EMULATE_ABORT;
	if (emulation->registers.error < 0)
		return EMULATE_ERROR;
	return emulation->insn.sve == INSN_SVE_ELEMENTS ? sve_elements(emulation, length)
							: sve_whole(emulation, length);
}
