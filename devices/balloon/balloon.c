// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A page that the driver puts into the balloon is given back to the host at
 * once, and is memory again when somebody touches it. So there is nothing to be done for one that
 * is taken out, nor to remember which are in: who uses a page that it has given has one of zeroes,
 * and whatever the driver names is RAM of the guest's own, or left alone. How much is in the
 * balloon is the driver's to say (actual), and matters to nobody here.
 *
 * To take memory from a guest takes the host's kernel its time, so the queues have a thread of
 * their own. It works on a chain at a time, of a bounded number of pages.
 *
 * The driver's buffer for statistics stays here until somebody asks for new ones: to give it back
 * is the question.
 *
 * Queues: by the specification they have numbers of their own, but Linux numbers those that it uses
 * one after the other, and the two differ in that of reported pages, where there is no queue of
 * free page hints. Each number is that of one queue for either, so both are served.
 */
#include "balloon/balloon.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "host/clock.h"
#include "host/counter.h"
#include "host/iov.h"
#include "host/log.h"
#include "host/worker.h"
#include "util.h"

/* virtio 1.3, 5.5.2. */
enum { INFLATE, DEFLATE, THIRD, FOURTH, REPORTING, QUEUES };

/* Linux takes no fewer for its reports. */
#define QUEUE_SIZE 64

/*
 * Pages of a chain that are looked at: Linux puts no more than 256 into one, and others 1024. What
 * is behind them stays the guest's.
 */
#define PAGES_MAX 1024

#define FEATURE(bit) (UINT64_C(1) << (bit))
#define FEATURES                                                                         \
	(FEATURE(VIRTIO_BALLOON_F_STATS_VQ) | FEATURE(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) | \
	 FEATURE(VIRTIO_BALLOON_F_REPORTING))

/* Up to what has a meaning with these. */
#define CONFIG_SIZE offsetof(struct virtio_balloon_config, free_page_hint_cmd_id)

/* By tag (virtio 1.3, 5.5.6.3, and what Linux has added). */
static const char *const statistics[BALLOON_STATISTICS] = {
	"swapped_in_bytes", "swapped_out_bytes",   "major_faults",	  "minor_faults",
	"free_bytes",	    "total_bytes",	   "available_bytes",	  "cache_bytes",
	"huge_pages",	    "huge_pages_failed",   "out_of_memory_kills", "stalled_allocations",
	"scanned_pages",    "scanned_pages_while", "reclaimed_pages",	  "reclaimed_pages_while",
};

struct balloon {
	struct virtio virtio;
	struct worker worker; /* of all queues */
	atomic_uint target, actual; /* pages of BALLOON_PAGE */
	counter inflated, reported; /* bytes, by the worker */

	/* The worker's, with the lock of the queue of statistics. */
	bool holds; /* the driver's buffer */
	uint16_t held; /* its head */
	atomic_bool asked; /* for new ones */

	pthread_mutex_t told_lock; /* of what the driver has told last; nothing is taken under it */
	struct balloon_state told;
};

static struct balloon *balloon_of(const struct virtio *virtio)
{
	return container_of(virtio, struct balloon, virtio);
}

/* Pages. */

/* NULL: it is no RAM. */
static void *page_at(const struct memory *memory, uint64_t page)
{
	return memory_at(memory, page * BALLOON_PAGE, BALLOON_PAGE);
}

/*
 * How many of these pages, one at least, are next to each other in RAM, from the lowest up or from
 * the highest down. They are given back together: it is cheaper, and the host's pages may be larger
 * than these.
 */
static size_t run_of(const struct memory *memory, const uint32_t *pages, size_t count)
{
	const uint64_t first = pages[0];
	size_t up = 1, down = 1;

	while (up < count && pages[up] == first + up && page_at(memory, pages[up]))
		up++;
	while (down < count && pages[down] + down == first && page_at(memory, pages[down]))
		down++;
	return up > down ? up : down;
}

/* Returns how many bytes the host has got of it. */
static uint64_t discard_pages(const struct memory *memory, const uint32_t *pages, size_t count)
{
	static struct log_limit limit;
	uint64_t bytes = 0;
	size_t run;

	for (size_t i = 0; i < count; i += run) {
		const uint32_t first = pages[i], *last;

		run = 1;
		if (!page_at(memory, first)) {
			log_guest(&limit,
				  "virtio-balloon: its driver gives page 0x%x, which is no RAM",
				  first);
			continue;
		}
		run = run_of(memory, pages + i, count - i);
		last = &pages[i + run - 1];
		bytes += memory_discard(memory, page_at(memory, *last < first ? *last : first),
					run * BALLOON_PAGE);
	}
	return bytes;
}

static bool inflate(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct balloon *balloon = balloon_of(queue->virtio);
	const struct memory *memory = queue->virtio->memory;
	uint32_t pages[PAGES_MAX]; /* little-endian, as both sides are */
	const size_t count =
		iov_read(chain->out, chain->out_count, 0, pages, sizeof(pages)) / sizeof(pages[0]);

	counter_add(&balloon->inflated, discard_pages(memory, pages, count));
	virtqueue_push(&queue->ring, chain->head, 0);
	return true;
}

static bool deflate(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	virtqueue_push(&queue->ring, chain->head, 0);
	return true;
}

/* The segments themselves are the free pages. They are less than 4 GiB together. */
static bool report(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct balloon *balloon = balloon_of(queue->virtio);
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < chain->in_count; i++)
		bytes += memory_discard(queue->virtio->memory, chain->in[i].iov_base,
					chain->in[i].iov_len);
	counter_add(&balloon->reported, bytes);
	virtqueue_push(&queue->ring, chain->head, 0);
	return true;
}

/* Statistics. */

static void forget(struct balloon *balloon)
{
	pthread_mutex_lock(&balloon->told_lock);
	balloon->told = (struct balloon_state){ .moment = 0 };
	pthread_mutex_unlock(&balloon->told_lock);
}

static void note_statistics(struct balloon *balloon, const struct virtqueue_chain *chain)
{
	/* Of those that are not known there may be as many again. */
	struct virtio_balloon_stat list[2 * BALLOON_STATISTICS];
	const size_t count =
		iov_read(chain->out, chain->out_count, 0, list, sizeof(list)) / sizeof(list[0]);
	struct balloon_state told = { .moment = clock_ns() };

	for (size_t i = 0; i < count; i++) {
		if (list[i].tag >= BALLOON_STATISTICS)
			continue;
		told.has[list[i].tag] = true;
		told.statistics[list[i].tag] = list[i].val;
	}
	pthread_mutex_lock(&balloon->told_lock);
	balloon->told = told;
	pthread_mutex_unlock(&balloon->told_lock);
}

static void give_back(struct balloon *balloon, struct virtio_queue *queue)
{
	if (balloon->holds)
		virtqueue_push(&queue->ring, balloon->held, 0);
	balloon->holds = false;
}

static bool take_statistics(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct balloon *balloon = balloon_of(queue->virtio);

	note_statistics(balloon, chain);
	/* There is to be one buffer (virtio 1.3, 5.5.6.3). */
	give_back(balloon, queue);
	balloon->holds = true;
	balloon->held = chain->head;
	atomic_store(&balloon->asked, false);
	return true;
}

static void talk(struct virtio_queue *queue)
{
	struct balloon *balloon = balloon_of(queue->virtio);

	virtio_serve(queue, take_statistics);
	if (!queue->ring.paused && balloon->holds && atomic_exchange(&balloon->asked, false))
		give_back(balloon, queue);
}

/* The device. */

/* Which of them it is, by its number. */
static bool is_statistics(const struct virtio_queue *queue)
{
	return queue->index == THIRD && virtio_has(queue->virtio, VIRTIO_BALLOON_F_STATS_VQ);
}

static bool is_reporting(const struct virtio_queue *queue)
{
	if (!virtio_has(queue->virtio, VIRTIO_BALLOON_F_REPORTING))
		return false;
	return queue->index == REPORTING || queue->index == FOURTH ||
	       (queue->index == THIRD && !is_statistics(queue));
}

static void balloon_process(struct virtio_queue *queue)
{
	if (queue->index == INFLATE)
		virtio_serve(queue, inflate);
	else if (queue->index == DEFLATE)
		virtio_serve(queue, deflate);
	else if (is_statistics(queue))
		talk(queue);
	else if (is_reporting(queue))
		virtio_serve(queue, report);
	else
		virtqueue_kicks_off(&queue->ring);
	virtio_publish(queue);
}

static void balloon_drain(struct virtio_queue *queue)
{
	if (is_statistics(queue))
		balloon_of(queue->virtio)->holds = false;
}

/* For who saves it; the driver takes it for a question, and brings the buffer back. */
static void balloon_settle(struct virtio_queue *queue)
{
	if (!is_statistics(queue) || !queue->virtio->rests)
		return;
	give_back(balloon_of(queue->virtio), queue);
	virtio_publish(queue);
}

/* What a driver has said goes with it. */
static void balloon_end(struct virtio *virtio)
{
	struct balloon *balloon = balloon_of(virtio);

	atomic_store(&balloon->actual, 0);
	forget(balloon);
}

static void balloon_config_read(struct virtio *virtio, uint32_t offset, void *value, uint32_t size)
{
	struct balloon *balloon = balloon_of(virtio);
	const struct virtio_balloon_config config = {
		.num_pages = atomic_load(&balloon->target),
		.actual = atomic_load(&balloon->actual),
	};

	memcpy(value, (const char *)&config + offset, size);
}

/* All but actual stays as it is. */
static void balloon_config_write(struct virtio *virtio, uint32_t offset, const void *value,
				 uint32_t size)
{
	struct balloon *balloon = balloon_of(virtio);
	struct virtio_balloon_config config = { .actual = atomic_load(&balloon->actual) };

	memcpy((char *)&config + offset, value, size);
	atomic_store(&balloon->actual, config.actual);
}

static void balloon_destroy(struct virtio *virtio)
{
	struct balloon *balloon = balloon_of(virtio);

	virtio_stop(virtio);
	worker_stop(&balloon->worker);
	virtio_fini(virtio);
	worker_destroy(&balloon->worker);
	pthread_mutex_destroy(&balloon->told_lock);
	free(balloon);
}

/* State. */

struct balloon_record {
	uint32_t target, actual; /* pages */
};

static void balloon_save(struct virtio *virtio, struct state_writer *writer, uint64_t index)
{
	struct balloon *balloon = balloon_of(virtio);
	const struct balloon_record record = {
		.target = atomic_load(&balloon->target),
		.actual = atomic_load(&balloon->actual),
	};

	state_put(writer, "balloon", index, &record, sizeof(record));
}

static void balloon_restore(struct virtio *virtio, struct state_reader *reader, uint64_t index)
{
	struct balloon *balloon = balloon_of(virtio);
	struct balloon_record record;

	if (!state_get(reader, "balloon", index, &record, sizeof(record)))
		return;
	if (record.target > virtio->memory->size / BALLOON_PAGE) {
		state_refuse(reader, "balloon", index, "is to be larger than the guest's RAM");
		return;
	}
	atomic_store(&balloon->target, record.target);
	atomic_store(&balloon->actual, record.actual);
}

static const struct virtio_ops balloon_ops = {
	.name = "virtio-balloon",
	.device_id = VIRTIO_ID_BALLOON,
	.config_size = CONFIG_SIZE,
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
	.end = balloon_end,
	.process = balloon_process,
	.drain = balloon_drain,
	.settle = balloon_settle,
	.save = balloon_save,
	.restore = balloon_restore,
	.destroy = balloon_destroy,
};

int balloon_create(struct virtio **created, const struct memory *memory)
{
	struct balloon *balloon = calloc(1, sizeof(*balloon));
	struct event_loop *loops[QUEUES];
	int err;

	if (!balloon) {
		log_error("virtio-balloon: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = worker_create(&balloon->worker);
	if (err < 0)
		goto free_balloon;
	for (unsigned int i = 0; i < QUEUES; i++)
		loops[i] = &balloon->worker.loop;
	err = virtio_init(&balloon->virtio, &balloon_ops, memory, loops, FEATURES, QUEUES,
			  QUEUE_SIZE);
	if (err < 0)
		goto destroy_worker;
	pthread_mutex_init(&balloon->told_lock, NULL);
	err = worker_start(&balloon->worker, "balloon");
	if (err < 0)
		goto fini_virtio;
	*created = &balloon->virtio;
	return 0;

fini_virtio:
	pthread_mutex_destroy(&balloon->told_lock);
	virtio_fini(&balloon->virtio);
destroy_worker:
	worker_destroy(&balloon->worker);
free_balloon:
	free(balloon);
	return err;
}

/* Who has it. */

void balloon_set_target(struct virtio *virtio, uint64_t bytes)
{
	atomic_store(&balloon_of(virtio)->target, bytes / BALLOON_PAGE);
	virtio_config_changed(virtio);
}

void balloon_look(struct virtio *virtio, struct balloon_state *state)
{
	struct balloon *balloon = balloon_of(virtio);
	const uint64_t given = (uint64_t)atomic_load(&balloon->actual) * BALLOON_PAGE;
	const uint64_t most = virtio->memory->size;

	pthread_mutex_lock(&balloon->told_lock);
	*state = balloon->told;
	pthread_mutex_unlock(&balloon->told_lock);
	state->driver = atomic_load(&virtio->status) & VIRTIO_CONFIG_S_DRIVER_OK;
	state->target = (uint64_t)atomic_load(&balloon->target) * BALLOON_PAGE;
	state->given = given < most ? given : most;
	state->inflated = counter_read(&balloon->inflated);
	state->reported = counter_read(&balloon->reported);
}

void balloon_ask(struct virtio *virtio)
{
	atomic_store(&balloon_of(virtio)->asked, true);
	event_notify(&virtio->queues[THIRD].kick);
}

const char *balloon_statistic_name(unsigned int statistic)
{
	return statistics[statistic];
}
