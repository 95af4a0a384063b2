// SPDX-License-Identifier: GPL-2.0-only
#include <stdatomic.h>
#include <string.h>

#include "elements.h"

#define BUS_BYTES  8 /* the most that the bus takes at a time */
#define PAGE_BYTES 4096 /* the smallest page */

void elements_begin(struct elements *elements, const struct lookup *lookup, const struct bus *bus,
		    struct counters *counters)
{
	elements->lookup = lookup;
	elements->bus = bus;
	elements->counters = counters;
	elements_clear(elements);
	elements_forget(elements);
}

void elements_clear(struct elements *elements)
{
	elements->count = elements->bytes = elements->translated = 0;
}

void elements_forget(struct elements *elements)
{
	elements->last.size = 0;
	elements->translated = 0;
}

/* The largest piece that begins at va. */
static unsigned int piece_size(uint64_t va, unsigned int size)
{
	unsigned int piece = BUS_BYTES;

	while (piece > size || va % piece != 0)
		piece /= 2;
	return piece;
}

void elements_add(struct elements *elements, uint64_t va, unsigned int size)
{
	const bool aligned = va % (size < BUS_BYTES ? size : BUS_BYTES) == 0;

	if (size > ELEMENTS_BYTES_MAX - elements->bytes)
		return;
	elements->bytes += size;
	while (size > 0) {
		const unsigned int piece = piece_size(va, size);

		elements->piece[elements->count++] = (struct element_piece){
			.va = va,
			.size = piece,
			.aligned = aligned,
		};
		va += piece;
		size -= piece;
	}
}

/* Translates va, by the last translation where it holds for it. */
static enum translate_result elements_look_up(struct elements *elements, uint64_t va,
					      enum translate_access kind, bool unprivileged)
{
	enum translate_result result;

	if (va - elements->last_va < elements->last.size && kind == elements->last_kind &&
	    unprivileged == elements->last_unprivileged)
		return TRANSLATE_DONE;
	result = lookup(elements->lookup, va, kind, unprivileged, &elements->last);
	if (result != TRANSLATE_DONE)
		elements->last.size = 0;
	elements->last_va = va;
	elements->last_kind = kind;
	elements->last_unprivileged = unprivileged;
	return result;
}

enum translate_result elements_translate(struct elements *elements, enum translate_access kind,
					 bool unprivileged)
{
	elements->translated = 0;
	while (elements->translated < elements->count) {
		struct element_piece *piece = &elements->piece[elements->translated];
		enum translate_result result =
			elements_look_up(elements, piece->va, kind, unprivileged);

		if (result != TRANSLATE_DONE)
			return result;
		if (elements->last.device && !piece->aligned)
			return TRANSLATE_FAIL;
		piece->gpa = elements->last.gpa + (piece->va - elements->last_va);
		elements->translated++;
	}
	return TRANSLATE_DONE;
}

void elements_cut(struct elements *elements, unsigned int count)
{
	while (elements->count > count)
		elements->bytes -= elements->piece[--elements->count].size;
}

static void *piece_in_ram(const struct elements *elements, const struct element_piece *piece)
{
	return memory_at(elements->lookup->memory, piece->gpa, piece->size);
}

bool elements_in_ram(const struct elements *elements)
{
	for (unsigned int i = 0; i < elements->count; i++)
		if (piece_in_ram(elements, &elements->piece[i]))
			return true;
	return false;
}

bool elements_in_page(const struct elements *elements, uint64_t gpa)
{
	for (unsigned int i = 0; i < elements->count; i++)
		if (elements->piece[i].gpa / PAGE_BYTES != gpa / PAGE_BYTES)
			return false;
	return true;
}

/* Each is one access: other vCPUs may be looking at the same memory. */

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

void elements_ram(struct elements *elements, bool write)
{
	uint8_t *data = elements->data;

	for (unsigned int i = 0; i < elements->count; i++) {
		const unsigned int size = elements->piece[i].size;
		void *place = piece_in_ram(elements, &elements->piece[i]);
		uint64_t value = 0;

		if (place && write) {
			memcpy(&value, data, size);
			ram_write(place, size, value);
			memory_wrote(elements->lookup->memory, place, size);
		} else if (place) {
			value = ram_read(place, size);
			memcpy(data, &value, size);
		}
		data += size;
	}
}

void elements_bus(struct elements *elements, bool write)
{
	uint8_t *data = elements->data;

	for (unsigned int i = 0; i < elements->count; i++) {
		const struct element_piece *piece = &elements->piece[i];
		struct mmio_access mmio = { .write = write, .size = piece->size };

		if (!piece_in_ram(elements, piece)) {
			if (write)
				memcpy(&mmio.value, data, piece->size);
			counters_access(elements->counters, piece->gpa, write);
			bus_access(elements->bus, piece->gpa, &mmio);
			if (!write)
				memcpy(data, &mmio.value, piece->size);
		}
		data += piece->size;
	}
}
