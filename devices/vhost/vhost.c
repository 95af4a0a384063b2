// SPDX-License-Identifier: GPL-2.0-only
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>

#include "host/log.h"
#include "mm/memory.h"
#include "util.h"
#include "vhost_kind.h"

#define FEATURE(bit) (UINT64_C(1) << (bit))

/* The bits that are not a device's own: of rings, of transports, and between a vhost and nidus. */
#define SHARED_FEATURES ((FEATURE(50) - 1) & ~(FEATURE(24) - 1))

/* What nidus's own rings have, so that a queue can be handed over and taken back. */
#define RING_FEATURES                                                     \
	(FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_RING_F_EVENT_IDX) | \
	 FEATURE(VIRTIO_RING_F_INDIRECT_DESC))

_Static_assert(sizeof(struct vhost_table) ==
		       sizeof(struct vhost_memory) + sizeof(struct vhost_memory_region),
	       "the kernel's struct");

uint64_t vhost_offer(uint64_t features, uint64_t own)
{
	return features & ((own & ~SHARED_FEATURES) | RING_FEATURES);
}

int vhost_lose(struct vhost_kind *kind, int err, const char *format, ...)
{
	char why[128];
	va_list args;

	if (atomic_exchange(&kind->vhost.lost, true))
		return err;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	log_error("%s: %s", kind->name, why);
	if (kind->attached)
		event_notify(&kind->gone);
	return err;
}

static void gone(struct event_notifier *notifier)
{
	struct vhost *vhost = &container_of(notifier, struct vhost_kind, gone)->vhost;

	/* What has been renewed before its end was told is not at its end any more. */
	if (vhost->ended && atomic_load(&vhost->lost))
		vhost->ended(vhost->owner);
}

void vhost_end(struct vhost_kind *kind)
{
	if (!atomic_exchange(&kind->vhost.lost, true) && kind->attached)
		event_notify(&kind->gone);
}

int vhost_attach(struct vhost_kind *kind, struct event_loop *loop)
{
	int err = event_notifier_create(&kind->gone, loop, gone);

	if (err < 0)
		return err;
	kind->attached = true;
	if (atomic_load(&kind->vhost.lost))
		event_notify(&kind->gone);
	return 0;
}

void vhost_detach(struct vhost_kind *kind)
{
	kind->attached = false;
	event_notifier_destroy(&kind->gone);
}

struct vhost_table vhost_table(const struct memory *memory)
{
	return (struct vhost_table){
		.count = 1,
		.guest = memory->base,
		.size = memory->size,
		.host = (uintptr_t)memory_at(memory, memory->base, memory->size),
	};
}

void vhost_settings(union vhost_setting settings[VHOST_SETTINGS], unsigned int index,
		    const struct vhost_ring *ring)
{
	settings[VHOST_NUM].state = (struct vhost_vring_state){ index, ring->size };
	settings[VHOST_ADDR].addr = (struct vhost_vring_addr){
		.index = index,
		.desc_user_addr = ring->desc,
		.used_user_addr = ring->used,
		.avail_user_addr = ring->avail,
	};
	settings[VHOST_BASE].state = (struct vhost_vring_state){ index, ring->base };
	settings[VHOST_CALL].file = (struct vhost_vring_file){ index, ring->call };
	settings[VHOST_KICK].file = (struct vhost_vring_file){ index, ring->kick };
}
