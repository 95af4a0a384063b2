/* SPDX-License-Identifier: GPL-2.0-only */
/* What drivers of virtio devices have in common, whatever the transport (virtio 1.3, 2.1, 2.7). */
#ifndef VIRTIO_H
#define VIRTIO_H

#include "guest.h"

/* The status as a driver leaves it after each step. */
#define STATUS_DRIVER	   3
#define STATUS_FEATURES_OK 11
#define STATUS_DRIVER_OK   15
#define STATUS_NEEDS_RESET 64 /* the device's */

/* Flags of descriptors. */
#define NEXT	 1
#define WRITE	 2
#define INDIRECT 4

/* A queue of one entry. */
struct small_queue {
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} desc;
	struct {
		uint16_t flags, idx, ring[1], used_event;
	} avail;
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[1];
		uint16_t avail_event;
	} used __attribute__((aligned(4)));
};

#endif
