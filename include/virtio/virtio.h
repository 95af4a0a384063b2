/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio device (virtio 1.3): what all devices and both transports have in common: status,
 * features, queues, and who may touch them when.
 *
 * Registers are accessed by vCPU threads, under virtio.lock. A queue belongs to its worker, the
 * thread of the event loop that its kicks go to, which holds virtio_queue.lock while it works.
 * To stop a queue (reset) a vCPU thread takes that lock too, so that when a driver sees a reset
 * done, nothing of the device touches guest memory any more. Order: virtio.lock, then
 * virtio_queue.lock.
 */
#ifndef NIDUS_VIRTIO_H
#define NIDUS_VIRTIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/iommu.h"
#include "host/event.h"
#include "mm/memory.h"
#include "state/state.h"
#include "virtio/virtqueue.h"

struct virtio;

struct virtio_queue {
	struct virtio *virtio;
	unsigned int index;
	struct event_notifier kick; /* in the worker's loop; what the driver's doorbell rings */

	/* Registers. Once the queue runs the driver's changes to them are ignored. */
	struct virtqueue_layout layout;
	uint16_t size_max;
	bool ready;

	/*
	 * Somebody is about to stop the queue, or waits for the lock to do so. Who sees it begins
	 * nothing any more. Any thread.
	 */
	atomic_bool stopping;
	pthread_mutex_t lock; /* the worker's, and of who starts or stops the queue */
	struct virtqueue ring;
};

static inline bool virtio_queue_stopping(const struct virtio_queue *queue)
{
	return atomic_load_explicit(&queue->stopping, memory_order_relaxed);
}

/* What a device is made of. */
struct virtio_ops {
	const char *name;
	uint32_t device_id; /* virtio 1.3, 5 */

	/* Device configuration: size bytes at offset, which lie inside. virtio.lock held for
	 * writes. */
	uint32_t config_size;
	void (*config_read)(struct virtio *virtio, uint32_t offset, void *value, uint32_t size);
	/* NULL: writes are ignored. */
	void (*config_write)(struct virtio *virtio, uint32_t offset, const void *value,
			     uint32_t size);

	/*
	 * Whether what the driver accepts of what was offered goes together; if not it gets no
	 * FEATURES_OK. virtio.lock held. NULL: all does.
	 */
	bool (*acceptable)(const struct virtio *virtio);
	/*
	 * DRIVER_OK: features are settled, and no queue has started yet; and after that the reset:
	 * none runs any more. virtio.lock held. NULL: nothing is to be done.
	 */
	void (*begin)(struct virtio *virtio);
	void (*end)(struct virtio *virtio);

	/* The queue's worker, its lock held: the driver has kicked, or the queue has started. */
	void (*process)(struct virtio_queue *queue);

	/*
	 * The queue is about to stop, its lock held: returns when nothing is in flight, the lock
	 * given up and taken again meanwhile if need be. NULL where process() leaves nothing
	 * behind.
	 */
	void (*drain)(struct virtio_queue *queue);
	/*
	 * The queue pauses, and process() finds no more chains: the same, with all results given
	 * back. NULL likewise.
	 */
	void (*settle)(struct virtio_queue *queue);

	/*
	 * Behind an IOMMU, with virtio.lock: what the device has of it besides its queues, as
	 * the endpoint's revoke(). NULL: nothing.
	 */
	void (*revoke)(struct virtio *virtio, bool all);

	/* As struct device_ops has it, of what is the device's own; NULL likewise. */
	const char *(*unsaved)(const struct virtio *virtio);
	void (*save)(struct virtio *virtio, struct state_writer *writer, uint64_t index);
	/* After begin(), where the driver had come to that, and before its queues start. */
	void (*restore)(struct virtio *virtio, struct state_reader *reader, uint64_t index);
	void (*destroy)(struct virtio *virtio);
};

/* How a device reaches its driver. Any thread. */
struct virtio_transport {
	void (*queue_interrupt)(struct virtio_transport *transport, unsigned int queue);
	void (*config_interrupt)(struct virtio_transport *transport);
	/* Before that, and without it: reads of configuration say something else. Or NULL. */
	void (*config_changed)(struct virtio_transport *transport);
	/*
	 * Lends the eventfd that interrupts for a queue, for somebody else to raise, without a way
	 * through nidus; -1: there is none, at least not now. loop waits for what comes while the
	 * driver has it masked. The queue's lock is held. NULL, both: there never is one.
	 */
	int (*queue_lend)(struct virtio_transport *transport, unsigned int queue,
			  struct event_loop *loop);
	/* Gives it back, when it is raised no more; before loop ends. */
	void (*queue_return)(struct virtio_transport *transport, unsigned int queue);
};

/* The head of every device's private struct. */
struct virtio {
	const struct virtio_ops *ops;
	const struct memory *memory;
	struct virtio_transport *transport; /* set by the transport that takes the device */
	/* Feature bits of the device, which may take some back before it hands itself out. */
	uint64_t offered;
	/* Behind an IOMMU: how many segments a chain can have; the device may have set it. */
	unsigned int segments_max;
	/* Of it, or NULL; drivers have to accept VIRTIO_F_ACCESS_PLATFORM. */
	struct iommu_endpoint *endpoint;

	pthread_mutex_t lock; /* guards what the driver can set */
	uint64_t accepted; /* feature bits that the driver wants */
	_Atomic uint8_t status;
	atomic_uint config_generation;

	bool paused; /* no queue may touch guest memory */
	bool rests; /* likewise, whatever the driver wants */

	struct virtio_queue *queues;
	unsigned int queue_count;
};

/* For devices. */

/*
 * loops: of each queue's worker. Bits that every device offers are added to features. Errors:
 * -errno, said. virtio_fini() once no vCPU runs and no worker's loop turns.
 */
int virtio_init(struct virtio *virtio, const struct virtio_ops *ops, const struct memory *memory,
		struct event_loop *const *loops, uint64_t features, unsigned int queue_count,
		uint16_t queue_size);
void virtio_fini(struct virtio *virtio);

/*
 * Stops all queues, as a reset does, and returns when nothing is in flight: for destroy() of a
 * device with workers, which still turn.
 */
void virtio_stop(struct virtio *virtio);

/* The queue's worker: shows the driver what was pushed, and interrupts it if it wants that. */
void virtio_publish(struct virtio_queue *queue);

/* The second half of virtio_publish(), for callers that let some time pass before it. */
void virtio_interrupt(struct virtio_queue *queue);

/*
 * The same from a timer, for a queue whose driver looks at the used ring by itself before long, and
 * then does not want the interrupt any more. virtio has not to be initialized yet; loop is that of
 * the queue's worker. Errors: -errno, said.
 */
struct virtio_late_interrupt {
	struct event_timer timer;
	struct virtio *virtio;
	unsigned int queue;
};

int virtio_late_interrupt_create(struct virtio_late_interrupt *late, struct virtio *virtio,
				 unsigned int queue, struct event_loop *loop);
void virtio_late_interrupt_destroy(struct virtio_late_interrupt *late);
/* Any thread. Replaces one that has not come yet. */
void virtio_interrupt_late(struct virtio_late_interrupt *late, uint64_t nanoseconds);

/*
 * A turn of a queue, in its process(): pops chains and has handle() work on each, which gives it
 * back with virtqueue_push(), now or later, or calls virtqueue_break(). What was pushed is for the
 * caller to publish, who may have more to push.
 *
 * After as many chains as the queue has entries other events get their turn, so that a guest cannot
 * keep the worker to itself; the queue's next turn comes after them. handle() returns false to end
 * the turn: because it has enough to do, or has put the chain back with virtqueue_unpop() for want
 * of room. The queue is then left as it is, with kicks off, until the device notifies it. Where the
 * driver has broken the queue it is asked for a reset.
 */
void virtio_serve(struct virtio_queue *queue,
		  bool (*handle)(struct virtio_queue *queue, struct virtqueue_chain *chain));

/* The driver broke a rule: the device asks for a reset (virtio 1.3, 2.1.1). Any thread. */
void virtio_needs_reset(struct virtio *virtio);

/* The same where the driver has done nothing wrong, and nothing is said. */
void virtio_ask_for_reset(struct virtio *virtio);

/* The device configuration has changed. Any thread. */
void virtio_config_changed(struct virtio *virtio);

/* The same where the driver has changed it by a command, and is not told. */
void virtio_config_replaced(struct virtio *virtio);

static inline bool virtio_has(const struct virtio *virtio, unsigned int feature)
{
	return virtio->accepted >> feature & 1;
}

/* For transports: a driver's accesses, virtio.lock held. */

void virtio_set_status(struct virtio *virtio, uint8_t status);
void virtio_set_features(struct virtio *virtio, unsigned int word, uint32_t bits);
uint32_t virtio_get_features(const struct virtio *virtio, unsigned int word);
void virtio_queue_set_ready(struct virtio_queue *queue, bool ready);
/* Half of the address of a queue that is open: its low or high 32 bits. */
void virtio_queue_set_address(struct virtio_queue *queue, enum virtqueue_part part, bool high,
			      uint32_t bits);
/*
 * Pauses all queues, or has them go on. Once they pause nothing of the device touches guest memory:
 * what was in flight has come to its end and was given back. Kicks meanwhile are made up for.
 */
void virtio_pause(struct virtio *virtio, bool pause);
/* The same for one queue; it goes on when the device does not pause either. */
void virtio_queue_pause(struct virtio_queue *queue, bool pause);
/*
 * The same for all queues, for who saves the device; and there is no interrupt meanwhile. In the
 * end what is owed comes.
 */
void virtio_rest(struct virtio *virtio, bool rest);
/*
 * The device's state, records "virtio", "virtio-queues" and its own, with that index: while it
 * rests, and into a new one whose transport is restored. virtio_unsaved(): why it cannot be, a part
 * of a sentence, or NULL.
 */
const char *virtio_unsaved(const struct virtio *virtio);
void virtio_save(struct virtio *virtio, struct state_writer *writer, uint64_t index);
void virtio_restore(struct virtio *virtio, struct state_reader *reader, uint64_t index);
/*
 * All addresses of its driver's are for endpoint to translate from now on; before there is a
 * driver. The endpoint outlives it. Errors: -errno, said; it can only be destroyed then.
 */
int virtio_put_behind(struct virtio *virtio, struct iommu_endpoint *endpoint);
/* For the endpoint's revoke(). A queue whose rings have gone is broken, and a reset asked for. */
void virtio_revoke(struct virtio *virtio, bool all);
/* Whether the driver may still change the queue's size and addresses. */
bool virtio_queue_open(const struct virtio_queue *queue);
void virtio_config_read(struct virtio *virtio, uint64_t offset, uint64_t *value, uint32_t size);
void virtio_config_write(struct virtio *virtio, uint64_t offset, uint64_t value, uint32_t size);

#endif
