/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every kind of vhost is made of: how it is lost, and what the kernel and vhost-user are told
 * by the same structs.
 */
#ifndef NIDUS_VHOST_KIND_H
#define NIDUS_VHOST_KIND_H

#include <linux/vhost_types.h>

#include "vhost.h"

/* The head of every kind's private struct. */
struct vhost_kind {
	struct vhost vhost;
	const char *name; /* for messages */
	bool attached;
	struct event_notifier gone; /* in the loop while it is attached */
};

/*
 * The features that are offered to drivers, of those that a kind has; own: the bits of a device's
 * own that may be among them.
 */
uint64_t vhost_offer(uint64_t features, uint64_t own);

/*
 * It cannot be used any more; says why, the first time only, and has ended() called in the loop.
 * Any thread. Returns err.
 */
int vhost_lose(struct vhost_kind *kind, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same without a word, where the other side has left: what that means is ended()'s to say. */
void vhost_end(struct vhost_kind *kind);

/* Of attach() and detach(): that ended() can be called. */
int vhost_attach(struct vhost_kind *kind, struct event_loop *loop);
void vhost_detach(struct vhost_kind *kind);

/*
 * Guest memory as one region: struct vhost_memory, and what VHOST_USER_SET_MEM_TABLE carries, which
 * are the same but for the last member.
 */
struct vhost_table {
	uint32_t count, padding;
	uint64_t guest, size, host;
	uint64_t offset; /* in the file; the kernel has flags here, of which there are none */
};

struct vhost_table vhost_table(const struct memory *memory);

/* What is to be told of a ring before it runs, in this order. */
enum vhost_what { VHOST_NUM, VHOST_ADDR, VHOST_BASE, VHOST_CALL, VHOST_KICK, VHOST_SETTINGS };

union vhost_setting {
	struct vhost_vring_state state; /* VHOST_NUM, VHOST_BASE */
	struct vhost_vring_addr addr; /* VHOST_ADDR */
	struct vhost_vring_file file; /* VHOST_CALL, VHOST_KICK */
};

/* index: as whom it is told to numbers the ring. */
void vhost_settings(union vhost_setting settings[VHOST_SETTINGS], unsigned int index,
		    const struct vhost_ring *ring);

#endif
