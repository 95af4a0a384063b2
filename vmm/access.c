// SPDX-License-Identifier: GPL-2.0-only
#include <stdatomic.h>
#include <string.h>

#include "access.h"

#define BUS_BYTES 8 /* that the bus takes at a time */

void access_begin(struct access *access, const struct lookup *lookup, const struct bus *bus,
		  struct counters *counters)
{
	access->lookup = lookup;
	access->bus = bus;
	access->counters = counters;
	access->last.size = 0;
	access_clear(access);
}

void access_clear(struct access *access)
{
	access->count = access->bytes = 0;
}

/* Where va is, of what the last translation or a new one has to say. */
static enum translate_result access_translate(struct access *access, uint64_t va,
					      enum translate_access kind, bool unprivileged)
{
	enum translate_result result;

	if (va - access->last_va < access->last.size && kind == access->last_kind &&
	    unprivileged == access->last_unprivileged)
		return TRANSLATE_DONE;
	result = lookup(access->lookup, va, kind, unprivileged, &access->last);
	if (result != TRANSLATE_DONE)
		access->last.size = 0;
	access->last_va = va;
	access->last_kind = kind;
	access->last_unprivileged = unprivileged;
	return result;
}

/* The largest piece that begins at va. */
static unsigned int piece_size(uint64_t va, unsigned int size)
{
	unsigned int piece = BUS_BYTES;

	while (piece > size || va % piece != 0)
		piece /= 2;
	return piece;
}

enum translate_result access_add(struct access *access, uint64_t va, unsigned int size,
				 enum translate_access kind, bool unprivileged)
{
	const bool aligned = va % (size < BUS_BYTES ? size : BUS_BYTES) == 0;

	if (size > ACCESS_BYTES_MAX - access->bytes)
		return TRANSLATE_FAIL;
	while (size > 0) {
		const unsigned int piece = piece_size(va, size);
		enum translate_result result = access_translate(access, va, kind, unprivileged);

		if (result != TRANSLATE_DONE)
			return result;
		if (access->last.device && !aligned)
			return TRANSLATE_FAIL;
		access->piece[access->count++] = (struct access_piece){
			.gpa = access->last.gpa + (va - access->last_va),
			.size = piece,
		};
		access->bytes += piece;
		va += piece;
		size -= piece;
	}
	return TRANSLATE_DONE;
}

bool access_in_ram(const struct access *access)
{
	for (unsigned int i = 0; i < access->count; i++)
		if (memory_at(access->lookup->memory, access->piece[i].gpa, access->piece[i].size))
			return true;
	return false;
}

/* Single accesses, for guests look on. */

static uint64_t ram_read(const void *place, unsigned int size)
{
	switch (size) {
	case 1:
		return atomic_load((const _Atomic uint8_t *)place);
	case 2:
		return atomic_load((const _Atomic uint16_t *)place);
	case 4:
		return atomic_load((const _Atomic uint32_t *)place);
	default:
		return atomic_load((const _Atomic uint64_t *)place);
	}
}

static void ram_write(void *place, unsigned int size, uint64_t value)
{
	switch (size) {
	case 1:
		atomic_store((_Atomic uint8_t *)place, value);
		break;
	case 2:
		atomic_store((_Atomic uint16_t *)place, value);
		break;
	case 4:
		atomic_store((_Atomic uint32_t *)place, value);
		break;
	default:
		atomic_store((_Atomic uint64_t *)place, value);
	}
}

static void piece_carry_out(struct access *access, const struct access_piece *piece,
			    struct mmio *mmio)
{
	void *place = memory_at(access->lookup->memory, piece->gpa, piece->size);

	mmio->size = piece->size;
	if (place && mmio->write) {
		ram_write(place, piece->size, mmio->value);
	} else if (place) {
		mmio->value = ram_read(place, piece->size);
	} else {
		counters_access(access->counters, piece->gpa, mmio->write);
		bus_access(access->bus, piece->gpa, mmio);
	}
}

void access_read(struct access *access)
{
	uint8_t *data = access->data;

	for (unsigned int i = 0; i < access->count; i++) {
		const struct access_piece *piece = &access->piece[i];
		struct mmio mmio = { .write = false };

		piece_carry_out(access, piece, &mmio);
		memcpy(data, &mmio.value, piece->size);
		data += piece->size;
	}
}

void access_write(struct access *access)
{
	const uint8_t *data = access->data;

	for (unsigned int i = 0; i < access->count; i++) {
		const struct access_piece *piece = &access->piece[i];
		struct mmio mmio = { .write = true };

		memcpy(&mmio.value, data, piece->size);
		piece_carry_out(access, piece, &mmio);
		data += piece->size;
	}
}
