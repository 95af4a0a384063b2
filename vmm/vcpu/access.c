// SPDX-License-Identifier: GPL-2.0-only
#include <stdatomic.h>
#include <string.h>

#include "access.h"

#define BUS_BYTES  8 /* that the bus takes at a time */
#define PAGE_BYTES 4096 /* the smallest page */

void access_begin(struct access *access, const struct lookup *lookup, const struct bus *bus,
		  struct counters *counters)
{
	access->lookup = lookup;
	access->bus = bus;
	access->counters = counters;
	access_clear(access);
	access_forget(access);
}

void access_clear(struct access *access)
{
	access->count = access->bytes = access->translated = 0;
}

void access_forget(struct access *access)
{
	access->last.size = 0;
	access->translated = 0;
}

/* The largest piece that begins at va. */
static unsigned int piece_size(uint64_t va, unsigned int size)
{
	unsigned int piece = BUS_BYTES;

	while (piece > size || va % piece != 0)
		piece /= 2;
	return piece;
}

void access_add(struct access *access, uint64_t va, unsigned int size)
{
	const bool aligned = va % (size < BUS_BYTES ? size : BUS_BYTES) == 0;

	if (size > ACCESS_BYTES_MAX - access->bytes)
		return;
	access->bytes += size;
	while (size > 0) {
		const unsigned int piece = piece_size(va, size);

		access->piece[access->count++] = (struct access_piece){
			.va = va,
			.size = piece,
			.aligned = aligned,
		};
		va += piece;
		size -= piece;
	}
}

/* Where va is, of what the last translation or a new one has to say. */
static enum translate_result access_look_up(struct access *access, uint64_t va,
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

enum translate_result access_translate(struct access *access, enum translate_access kind,
				       bool unprivileged)
{
	access->translated = 0;
	while (access->translated < access->count) {
		struct access_piece *piece = &access->piece[access->translated];
		enum translate_result result =
			access_look_up(access, piece->va, kind, unprivileged);

		if (result != TRANSLATE_DONE)
			return result;
		if (access->last.device && !piece->aligned)
			return TRANSLATE_FAIL;
		piece->gpa = access->last.gpa + (piece->va - access->last_va);
		access->translated++;
	}
	return TRANSLATE_DONE;
}

void access_cut(struct access *access, unsigned int count)
{
	while (access->count > count)
		access->bytes -= access->piece[--access->count].size;
}

static void *piece_in_ram(const struct access *access, const struct access_piece *piece)
{
	return memory_at(access->lookup->memory, piece->gpa, piece->size);
}

bool access_in_ram(const struct access *access)
{
	for (unsigned int i = 0; i < access->count; i++)
		if (piece_in_ram(access, &access->piece[i]))
			return true;
	return false;
}

bool access_in_page(const struct access *access, uint64_t gpa)
{
	for (unsigned int i = 0; i < access->count; i++)
		if (access->piece[i].gpa / PAGE_BYTES != gpa / PAGE_BYTES)
			return false;
	return true;
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

void access_ram(struct access *access, bool write)
{
	uint8_t *data = access->data;

	for (unsigned int i = 0; i < access->count; i++) {
		const unsigned int size = access->piece[i].size;
		void *place = piece_in_ram(access, &access->piece[i]);
		uint64_t value = 0;

		if (place && write) {
			memcpy(&value, data, size);
			ram_write(place, size, value);
		} else if (place) {
			value = ram_read(place, size);
			memcpy(data, &value, size);
		}
		data += size;
	}
}

void access_bus(struct access *access, bool write)
{
	uint8_t *data = access->data;

	for (unsigned int i = 0; i < access->count; i++) {
		const struct access_piece *piece = &access->piece[i];
		struct mmio mmio = { .write = write, .size = piece->size };

		if (!piece_in_ram(access, piece)) {
			if (write)
				memcpy(&mmio.value, data, piece->size);
			counters_access(access->counters, piece->gpa, write);
			bus_access(access->bus, piece->gpa, &mmio);
			if (!write)
				memcpy(data, &mmio.value, piece->size);
		}
		data += piece->size;
	}
}
