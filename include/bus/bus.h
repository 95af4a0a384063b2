/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bus: which device answers at which guest physical address.
 *
 * Devices are added while the machine is built; bus_freeze() sorts them, and from then on nothing
 * changes, so that vCPU threads look devices up without a lock.
 */
#ifndef NIDUS_BUS_H
#define NIDUS_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "state/state.h"

struct devtree;

/* One access of a vCPU to a device. */
struct mmio_access {
	uint64_t offset; /* from the device's base, in bytes */
	uint64_t value; /* written, or to be filled in: zero-extended, little-endian guest view */
	uint8_t size; /* 1, 2, 4 or 8 bytes */
	bool write;
};

enum mmio_result {
	MMIO_DONE, /* the device did what was asked */
	MMIO_BAD, /* the device knows no such access */
	MMIO_UNCLAIMED, /* no device answers there */
};

struct device;

struct device_ops {
	const char *name;
	/*
	 * Called by vCPU threads, several at a time; mmio->offset and size lie inside the device.
	 * Returns MMIO_DONE or MMIO_BAD.
	 */
	enum mmio_result (*access)(struct device *device, struct mmio_access *mmio);
	/* Adds the device's node to the tree that is being built. */
	void (*describe)(const struct device *device, struct devtree *tree);
	/* The specification's name of the register at offset, or NULL. */
	const char *(*register_name)(uint64_t offset);
	/* NULL, or: the device that its accesses at gpa are for now, one behind it, or NULL. */
	struct device *(*behind)(struct device *device, uint64_t gpa);

	/*
	 * What follows is called while no vCPU is in the guest. While it rests the device does
	 * nothing to guest memory and raises no interrupt, and what it had begun has come to its
	 * end. NULL: it never does anything by itself.
	 */
	void (*rest)(struct device *device, bool rest);
	/* NULL, or: why the device cannot be saved as it is, a part of a sentence, or NULL. */
	const char *(*unsaved)(const struct device *device);
	/* Its state, while it rests, and into a new one; NULL: it has none. */
	void (*save)(struct device *device, struct state_writer *writer);
	void (*restore)(struct device *device, struct state_reader *reader);

	void (*destroy)(struct device *device);
};

/* The head of every device's private struct. */
struct device {
	const struct device_ops *ops;
	uint64_t base; /* guest physical address */
	uint64_t size; /* bytes */
};

#define BUS_DEVICES_MAX 64

struct bus {
	struct device *device[BUS_DEVICES_MAX]; /* in the order in which they were added */
	struct device *sorted[BUS_DEVICES_MAX]; /* by base, once frozen */
	unsigned int count;
	bool frozen;
};

/* Empty, nothing allocated. */
void bus_create(struct bus *bus);
/* Destroys the devices on it, the last added first. */
void bus_destroy(struct bus *bus);

/*
 * Takes over device, also when it fails. Errors, said: -EEXIST where it overlaps another, -ENOSPC,
 * -EBUSY once frozen, -EINVAL for a range that is empty or wraps.
 */
int bus_add(struct bus *bus, struct device *device);
void bus_freeze(struct bus *bus);

/*
 * The device whose range holds gpa, or the one behind it there, if any; or NULL. Frozen bus, any
 * thread.
 */
struct device *bus_find(const struct bus *bus, uint64_t gpa);

/*
 * One access of size bytes at gpa, frozen bus, any thread. What is not answered reads as all ones
 * and ignores writes; the log says so, a few times.
 */
enum mmio_result bus_access(const struct bus *bus, uint64_t gpa, struct mmio_access *mmio);

/*
 * All devices, as struct device_ops has it, in ascending order of address. bus_unsaved(): why
 * the first that cannot be saved cannot, or NULL.
 */
void bus_rest(const struct bus *bus, bool rest);
const char *bus_unsaved(const struct bus *bus);
void bus_save(const struct bus *bus, struct state_writer *writer);
void bus_restore(const struct bus *bus, struct state_reader *reader);

/* Has every device add its node, in ascending order of address. */
void bus_describe(const struct bus *bus, struct devtree *tree);

#endif
