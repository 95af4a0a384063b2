/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's side of split virtqueues, by hand: it does what a test says, right or wrong. Rings
 * lie in RAM that the test has created; the numbers are those of virtio 1.3, 2.7.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include <linux/virtio_ring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "mm/memory.h"
#include "virtio/virtqueue.h"

#define NEXT	 VRING_DESC_F_NEXT
#define WRITE	 VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

struct driver {
	const struct memory *memory;
	struct virtqueue_layout layout;
	uint16_t avail_idx; /* what the device was told */
	uint16_t seen; /* used entries taken */
};

/* A queue whose three parts have a page each, from gpa on, zeroed. */
static inline struct driver driver_create(const struct memory *memory, uint64_t gpa, uint16_t size)
{
	struct driver driver = {
		.memory = memory,
		.layout = { gpa, gpa + 0x1000, gpa + 0x2000, size },
	};

	memset(memory_at(memory, gpa, 0x3000), 0, 0x3000);
	return driver;
}

/*
 * A queue whose available index and used flags are the same two bytes: without the event index,
 * each time the device turns kicks on or off it changes what is available. One chain, head 0.
 */
static inline struct driver driver_create_overlapping(const struct memory *memory, uint64_t gpa,
						      uint16_t size, struct vring_desc chain)
{
	struct driver driver = driver_create(memory, gpa, size);

	driver.layout.avail = gpa + 0x1002;
	driver.layout.used = gpa + 0x1004;
	memcpy(memory_at(memory, gpa, sizeof(chain)), &chain, sizeof(chain));
	return driver;
}

static inline struct vring_desc *driver_table(const struct driver *driver)
{
	return memory_at(driver->memory, driver->layout.desc, 0x1000);
}

static inline struct vring_avail *driver_avail(const struct driver *driver)
{
	return memory_at(driver->memory, driver->layout.avail, 0x1000);
}

static inline struct vring_used *driver_used(const struct driver *driver)
{
	return memory_at(driver->memory, driver->layout.used, 0x1000);
}

static inline uint16_t *driver_used_event(const struct driver *driver)
{
	return &driver_avail(driver)->ring[driver->layout.size];
}

static inline uint16_t *driver_avail_event(const struct driver *driver)
{
	return (uint16_t *)(void *)&driver_used(driver)->ring[driver->layout.size];
}

static inline void driver_desc(const struct driver *driver, unsigned int index, uint64_t addr,
			       uint32_t len, uint16_t flags, uint16_t next)
{
	driver_table(driver)[index] = (struct vring_desc){ addr, len, flags, next };
}

/* Makes the chain that begins at head available. */
static inline void driver_offer(struct driver *driver, uint16_t head)
{
	struct vring_avail *avail = driver_avail(driver);

	avail->ring[driver->avail_idx++ % driver->layout.size] = head;
	__atomic_store_n(&avail->idx, driver->avail_idx, __ATOMIC_RELEASE);
}

/*
 * Another vCPU that takes the next chain back and gives it again, all the time. A device that never
 * comes back from its turn ends the test by SIGALRM.
 */
struct driver_toggler {
	pthread_t thread;
	atomic_bool stop;
	uint16_t *idx;
	uint16_t first;
};

static inline void *driver_toggle(void *opaque)
{
	struct driver_toggler *toggler = opaque;

	for (uint16_t odd = 0; !atomic_load(&toggler->stop); odd ^= 1)
		__atomic_store_n(toggler->idx, toggler->first + odd, __ATOMIC_SEQ_CST);
	return NULL;
}

static inline void driver_toggle_begin(struct driver_toggler *toggler, const struct driver *driver)
{
	toggler->idx = &driver_avail(driver)->idx;
	toggler->first = driver->avail_idx;
	atomic_init(&toggler->stop, false);
	alarm(120);
	pthread_create(&toggler->thread, NULL, driver_toggle, toggler);
}

static inline void driver_toggle_end(struct driver_toggler *toggler)
{
	atomic_store(&toggler->stop, true);
	pthread_join(toggler->thread, NULL);
	alarm(0);
}

/* The next entry of the used ring; false when the device has published none. */
static inline bool driver_take(struct driver *driver, uint32_t *head, uint32_t *written)
{
	const struct vring_used *used = driver_used(driver);
	const struct vring_used_elem *elem = &used->ring[driver->seen % driver->layout.size];

	if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == driver->seen)
		return false;
	driver->seen++;
	*head = elem->id;
	*written = elem->len;
	return true;
}

/* The next one is head, with so many bytes written. */
#define assert_taken(driver, head, written)                                      \
	do {                                                                     \
		uint32_t taken_head_, taken_written_;                            \
                                                                                 \
		assert_true(driver_take(driver, &taken_head_, &taken_written_)); \
		assert_int_equal(taken_head_, head);                             \
		assert_int_equal(taken_written_, written);                       \
	} while (0)

#define assert_none_taken(driver)                                                 \
	do {                                                                      \
		uint32_t taken_head_, taken_written_;                             \
                                                                                  \
		assert_false(driver_take(driver, &taken_head_, &taken_written_)); \
	} while (0)

#endif
