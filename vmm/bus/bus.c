// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus.h"
#include "host/log.h"

void bus_create(struct bus *bus)
{
	*bus = (struct bus){ 0 };
}

void bus_destroy(struct bus *bus)
{
	while (bus->count > 0) {
		struct device *device = bus->device[--bus->count];

		device->ops->destroy(device);
	}
}

static bool overlap(const struct device *a, const struct device *b)
{
	return a->base < b->base + b->size && b->base < a->base + a->size;
}

static int bus_check(const struct bus *bus, const struct device *device)
{
	if (bus->frozen)
		return -EBUSY;
	if (bus->count == BUS_DEVICES_MAX)
		return -ENOSPC;
	if (device->size == 0 || device->base + device->size < device->base)
		return -EINVAL;
	for (unsigned int i = 0; i < bus->count; i++)
		if (overlap(device, bus->device[i]))
			return -EEXIST;
	return 0;
}

int bus_add(struct bus *bus, struct device *device)
{
	int err = bus_check(bus, device);

	if (err < 0) {
		log_error("%s does not fit on the bus at 0x%" PRIx64 ", 0x%" PRIx64 " bytes",
			  device->ops->name, device->base, device->size);
		device->ops->destroy(device);
		return err;
	}
	bus->device[bus->count++] = device;
	return 0;
}

static int by_base(const void *left, const void *right)
{
	const struct device *const *a = left, *const *b = right;

	return ((*a)->base > (*b)->base) - ((*a)->base < (*b)->base);
}

void bus_freeze(struct bus *bus)
{
	memcpy(bus->sorted, bus->device, sizeof(bus->sorted));
	qsort(bus->sorted, bus->count, sizeof(bus->sorted[0]), by_base);
	bus->frozen = true;
}

static struct device *find(const struct bus *bus, uint64_t gpa)
{
	unsigned int low = 0, high = bus->count;

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;
		struct device *device = bus->sorted[middle];

		if (gpa < device->base)
			high = middle;
		else if (gpa - device->base >= device->size)
			low = middle + 1;
		else
			return device;
	}
	return NULL;
}

struct device *bus_find(const struct bus *bus, uint64_t gpa)
{
	struct device *device = find(bus, gpa), *behind = NULL;

	if (device && device->ops->behind)
		behind = device->ops->behind(device, gpa);
	return behind ? behind : device;
}

enum mmio_result bus_access(const struct bus *bus, uint64_t gpa, struct mmio_access *mmio)
{
	static struct log_limit unclaimed, bad;
	const char *const verb = mmio->write ? "wrote" : "read";
	struct device *device = find(bus, gpa);
	enum mmio_result result = MMIO_UNCLAIMED;

	if (device && mmio->size <= device->size - (gpa - device->base)) {
		mmio->offset = gpa - device->base;
		result = device->ops->access(device, mmio);
		if (result == MMIO_DONE)
			return result;
		log_guest(&bad,
			  "guest %s %u bytes of %s at 0x%" PRIx64 ", which has no such register",
			  verb, mmio->size, device->ops->name, mmio->offset);
	} else {
		log_guest(&unclaimed, "guest %s %u bytes at 0x%" PRIx64 ", where nothing is", verb,
			  mmio->size, gpa);
	}
	if (!mmio->write)
		mmio->value = UINT64_MAX;
	return result;
}

void bus_describe(const struct bus *bus, struct devtree *tree)
{
	for (unsigned int i = 0; i < bus->count; i++)
		bus->sorted[i]->ops->describe(bus->sorted[i], tree);
}

void bus_rest(const struct bus *bus, bool rest)
{
	for (unsigned int i = 0; i < bus->count; i++)
		if (bus->sorted[i]->ops->rest)
			bus->sorted[i]->ops->rest(bus->sorted[i], rest);
}

const char *bus_unsaved(const struct bus *bus)
{
	const char *why = NULL;

	for (unsigned int i = 0; i < bus->count && !why; i++)
		if (bus->sorted[i]->ops->unsaved)
			why = bus->sorted[i]->ops->unsaved(bus->sorted[i]);
	return why;
}

void bus_save(const struct bus *bus, struct state_writer *writer)
{
	for (unsigned int i = 0; i < bus->count; i++)
		if (bus->sorted[i]->ops->save)
			bus->sorted[i]->ops->save(bus->sorted[i], writer);
}

void bus_restore(const struct bus *bus, struct state_reader *reader)
{
	for (unsigned int i = 0; i < bus->count; i++)
		if (bus->sorted[i]->ops->restore)
			bus->sorted[i]->ops->restore(bus->sorted[i], reader);
}
