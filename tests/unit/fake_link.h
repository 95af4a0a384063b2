/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A link that keeps what it is sent, and has frames to receive that a test puts there. It calls the
 * device by the loops of the pairs, as links do. A frame of so many bytes counts from its seed on.
 */
#ifndef FAKE_LINK_H
#define FAKE_LINK_H

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "host/event.h"
#include "host/iov.h"
#include "link.h"
#include "util.h"

#define FAKE_FRAMES 64

struct fake_frame {
	uint32_t bytes;
	uint8_t seed;
};

struct fake_pair {
	struct event_notifier turn;
	struct fake_link *fake;
	unsigned int index;
	struct fake_frame frames[FAKE_FRAMES]; /* a ring */
	unsigned int first, last;
	bool listens;
	unsigned int listen_calls;
	unsigned int full; /* how many more times send() has no room */
	unsigned int sent; /* frames */
	uint32_t sent_bytes; /* of the last one, in sent_frame */
	uint8_t sent_frame[LINK_FRAME_MAX];
	void (*on_send)(void); /* what the driver does meanwhile */
};

struct fake_link {
	struct link link;
	pthread_mutex_t lock; /* guards frames, listens and full */
	bool attached;
	int attach_error;
	uint64_t accepted;
	unsigned int accept_calls, filter_calls;
	unsigned int pairs_used;
	struct link_filter filter;
	struct fake_pair pairs[LINK_PAIRS_MAX];
};

static inline struct fake_link *fake_of(struct link *link)
{
	return container_of(link, struct fake_link, link);
}

static inline bool fake_has_frames(struct fake_pair *pair)
{
	bool has;

	pthread_mutex_lock(&pair->fake->lock);
	has = pair->listens && pair->first != pair->last;
	pthread_mutex_unlock(&pair->fake->lock);
	return has;
}

static inline void fake_turn(struct event_notifier *notifier)
{
	struct fake_pair *pair = container_of(notifier, struct fake_pair, turn);
	struct link *link = &pair->fake->link;

	if (!fake_has_frames(pair))
		return;
	link->arrived(link->device, pair->index);
	if (fake_has_frames(pair))
		event_notify(notifier);
}

static inline int fake_attach(struct link *link, struct event_loop *main_loop,
			      struct event_loop *const *loops)
{
	struct fake_link *fake = fake_of(link);

	(void)main_loop;
	if (fake->attach_error)
		return fake->attach_error;
	for (unsigned int i = 0; i < link->pairs; i++)
		if (event_notifier_create(&fake->pairs[i].turn, loops[i], fake_turn) < 0)
			return -EIO;
	fake->attached = true;
	return 0;
}

static inline void fake_detach(struct link *link)
{
	struct fake_link *fake = fake_of(link);

	for (unsigned int i = 0; i < link->pairs; i++)
		event_notifier_destroy(&fake->pairs[i].turn);
	fake->attached = false;
}

static inline void fake_accept(struct link *link, uint64_t features)
{
	fake_of(link)->accepted = features;
	fake_of(link)->accept_calls++;
}

static inline void fake_use_pairs(struct link *link, unsigned int pairs)
{
	fake_of(link)->pairs_used = pairs;
}

static inline void fake_filter(struct link *link, const struct link_filter *filter)
{
	fake_of(link)->filter = *filter;
	fake_of(link)->filter_calls++;
}

static inline int fake_send(struct link *link, unsigned int index, const struct iovec *frame,
			    unsigned int count)
{
	struct fake_pair *pair = &fake_of(link)->pairs[index];

	if (pair->full > 0) {
		pair->full--;
		return -EAGAIN;
	}
	pair->sent_bytes = iov_length(frame, count);
	iov_read(frame, count, 0, pair->sent_frame, sizeof(pair->sent_frame));
	pair->sent++;
	counter_add(&link->counts[index].sent, 1);
	if (pair->on_send)
		pair->on_send();
	return 0;
}

/* Byte i of a frame. */
static inline uint8_t fake_byte(struct fake_frame frame, uint32_t i)
{
	return i < LINK_HEADER ? 0 : (uint8_t)(frame.seed + i * 7 + (i >> 8));
}

static inline int64_t fake_receive(struct link *link, unsigned int index,
				   const struct iovec *segments, unsigned int count)
{
	static __thread uint8_t bytes[LINK_FRAME_MAX];
	struct fake_link *fake = fake_of(link);
	struct fake_pair *pair = &fake->pairs[index];
	struct fake_frame frame = { 0 };

	if (count > LINK_SEGMENTS_MAX)
		__builtin_trap();
	pthread_mutex_lock(&fake->lock);
	if (pair->first != pair->last)
		frame = pair->frames[pair->first++ % FAKE_FRAMES];
	pthread_mutex_unlock(&fake->lock);
	if (frame.bytes == 0)
		return 0;
	for (uint32_t i = 0; i < frame.bytes; i++)
		bytes[i] = fake_byte(frame, i);
	if (iov_write(segments, count, 0, bytes, frame.bytes) < frame.bytes) {
		counter_add(&link->counts[index].receive_dropped, 1);
		return -EMSGSIZE;
	}
	counter_add(&link->counts[index].received, 1);
	return frame.bytes;
}

static inline void fake_listen(struct link *link, unsigned int index, bool wanted)
{
	struct fake_link *fake = fake_of(link);
	struct fake_pair *pair = &fake->pairs[index];

	pthread_mutex_lock(&fake->lock);
	pair->listens = wanted;
	pair->listen_calls++;
	pthread_mutex_unlock(&fake->lock);
	if (wanted)
		event_notify(&pair->turn);
}

static inline void fake_link_create(struct fake_link *fake, uint64_t features, unsigned int pairs)
{
	static const struct link_ops ops = {
		.name = "fake",
		.attach = fake_attach,
		.detach = fake_detach,
		.accept = fake_accept,
		.use_pairs = fake_use_pairs,
		.filter = fake_filter,
		.send = fake_send,
		.receive = fake_receive,
		.listen = fake_listen,
	};

	memset(fake, 0, sizeof(*fake));
	fake->link.ops = &ops;
	fake->link.features = features;
	fake->link.pairs = pairs;
	memcpy(fake->link.mac, "\x02\x11\x22\x33\x44\x55", LINK_ADDRESS);
	atomic_store(&fake->link.up, true);
	pthread_mutex_init(&fake->lock, NULL);
	fake->pairs_used = 1;
	fake->filter.promiscuous = true;
	for (unsigned int i = 0; i < LINK_PAIRS_MAX; i++) {
		fake->pairs[i].fake = fake;
		fake->pairs[i].index = i;
	}
}

/* A frame of so many bytes, header included, for the device to receive. */
static inline void fake_arrive(struct fake_link *fake, unsigned int index, uint32_t bytes,
			       uint8_t seed)
{
	struct fake_pair *pair = &fake->pairs[index];

	pthread_mutex_lock(&fake->lock);
	pair->frames[pair->last++ % FAKE_FRAMES] = (struct fake_frame){ bytes, seed };
	pthread_mutex_unlock(&fake->lock);
	event_notify(&pair->turn);
}

static inline unsigned int fake_left(struct fake_link *fake, unsigned int index)
{
	return fake->pairs[index].last - fake->pairs[index].first;
}

#endif
