// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. What comes is read to where it belongs, pages into RAM: first a frame, then,
 * when that has been found good, as many bytes as it says. A connection that ends before the
 * commitment has come whole is an error, wherever it is cut.
 */
#include "migration/migration_receive.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/log.h"
#include "mm/cache.h"
#include "state/state.h"

/* What one call takes, roughly. */
#define TAKE_MAX MIB(4)

#define STATE_ROOM KIB(64)

static int refuse(const struct migration_receiver *receiver, const char *why)
{
	log_error("%s: %s", receiver->from, why);
	return -EPROTO;
}

static void want(struct migration_receiver *receiver, unsigned int wants, void *to, size_t size)
{
	receiver->wants = wants;
	receiver->to = to;
	receiver->missing = size;
}

static void want_frame(struct migration_receiver *receiver)
{
	want(receiver, MIGRATION_WANTS_FRAME, &receiver->frame, sizeof(receiver->frame));
}

static int take_header(struct migration_receiver *receiver)
{
	const struct migration_header *header = &receiver->header;

	if (memcmp(header->magic, MIGRATION_MAGIC, sizeof(header->magic)) != 0)
		return refuse(receiver, "what comes is no guest of nidus");
	if (header->version != MIGRATION_VERSION) {
		log_error("%s: what comes is of version %" PRIu32 ", and this nidus knows %d",
			  receiver->from, header->version, MIGRATION_VERSION);
		return -EPROTO;
	}
	want_frame(receiver);
	receiver->wants = MIGRATION_WANTS_GUEST;
	return 1;
}

static int take_guest(struct migration_receiver *receiver)
{
	const struct migration_frame *frame = &receiver->frame;

	if (frame->kind != MIGRATION_GUEST || frame->at != 0 || frame->size == 0 ||
	    frame->size > sizeof(receiver->guest) || frame->size % 8 != 0)
		return refuse(receiver, "what comes does not begin with what the guest is");
	receiver->guest_size = frame->size;
	want(receiver, MIGRATION_WANTS_BODY, receiver->guest, frame->size);
	return 1;
}

static int complain_range(const struct migration_receiver *receiver)
{
	return refuse(receiver, "what comes has a part of RAM that makes no sense");
}

/* The place of what a frame is about, or NULL. */
static uint8_t *place(const struct migration_receiver *receiver)
{
	const struct migration_frame *frame = &receiver->frame;
	const struct memory *memory = receiver->memory;

	if (frame->size == 0 || frame->size > MIGRATION_BODY_MAX ||
	    frame->size % MIGRATION_PAGE != 0 || frame->at % MIGRATION_PAGE != 0 ||
	    frame->at > memory->size)
		return NULL;
	return memory_at(memory, memory->base + frame->at, frame->size);
}

static int take_pages(struct migration_receiver *receiver)
{
	uint8_t *host = place(receiver);

	if (!host)
		return complain_range(receiver);
	want(receiver, MIGRATION_WANTS_BODY, host, receiver->frame.size);
	return 1;
}

/* Those that are so already are left alone, as they may not be there. */
static int take_zeroes(struct migration_receiver *receiver)
{
	uint8_t *host = place(receiver);

	if (!host)
		return complain_range(receiver);
	for (uint64_t at = 0; at < receiver->frame.size; at += MIGRATION_PAGE) {
		if (all_zeroes(host + at, MIGRATION_PAGE))
			continue;
		memset(host + at, 0, MIGRATION_PAGE);
		cache_clean_bytes(host + at, MIGRATION_PAGE);
	}
	want_frame(receiver);
	return 1;
}

static int take_state(struct migration_receiver *receiver)
{
	const struct migration_frame *frame = &receiver->frame;
	uint8_t *state = receiver->state;
	size_t room = receiver->state_room ? receiver->state_room : STATE_ROOM;

	if (frame->at != receiver->state_size || frame->size == 0 ||
	    frame->size > MIGRATION_BODY_MAX ||
	    receiver->state_size + frame->size > STATE_MAX(receiver->memory->size))
		return refuse(receiver, "what comes has a piece of the state that makes no sense");
	while (room < receiver->state_size + frame->size)
		room *= 2;
	if (room != receiver->state_room) {
		state = realloc(receiver->state, room);
		if (!state) {
			log_error("%s: %s", receiver->from, strerror(ENOMEM));
			return -ENOMEM;
		}
		receiver->state = state;
		receiver->state_room = room;
	}
	want(receiver, MIGRATION_WANTS_BODY, state + receiver->state_size, frame->size);
	return 1;
}

static int take_end(struct migration_receiver *receiver)
{
	const struct migration_frame *frame = &receiver->frame;

	if (frame->size != 0 || frame->at != receiver->page_bytes || receiver->state_size == 0 ||
	    receiver->state_size % 8 != 0)
		return refuse(receiver, "what comes ends before all of the guest is there");
	cache_sync();
	want(receiver, MIGRATION_WANTS_NOTHING, NULL, 0);
	return 0;
}

static int take_frame(struct migration_receiver *receiver)
{
	switch (receiver->frame.kind) {
	case MIGRATION_PAGES:
		return take_pages(receiver);
	case MIGRATION_ZEROES:
		return take_zeroes(receiver);
	case MIGRATION_STATE:
		return take_state(receiver);
	case MIGRATION_END:
		return take_end(receiver);
	default:
		return refuse(receiver, "what comes has something in it that this nidus does not "
					"know");
	}
}

static int take_body(struct migration_receiver *receiver)
{
	const struct migration_frame *frame = &receiver->frame;

	want_frame(receiver);
	if (frame->kind == MIGRATION_GUEST) {
		/* Where it goes on there has to be RAM. */
		receiver->to = NULL;
		return 0;
	}
	if (frame->kind == MIGRATION_STATE) {
		receiver->state_size += frame->size;
	} else {
		receiver->page_bytes += frame->size;
		cache_clean_bytes(place(receiver), frame->size);
	}
	return 1;
}

static int take_commit(struct migration_receiver *receiver)
{
	const struct migration_frame *frame = &receiver->frame;

	if (frame->kind != MIGRATION_COMMIT || frame->size != 0 || frame->at != 0)
		return refuse(receiver, "what comes is no commitment");
	want(receiver, MIGRATION_WANTS_NOTHING, NULL, 0);
	return 0;
}

/* All that was missing is there. */
static int take(struct migration_receiver *receiver)
{
	switch (receiver->wants) {
	case MIGRATION_WANTS_HEADER:
		return take_header(receiver);
	case MIGRATION_WANTS_GUEST:
		return take_guest(receiver);
	case MIGRATION_WANTS_FRAME:
		return take_frame(receiver);
	case MIGRATION_WANTS_BODY:
		return take_body(receiver);
	case MIGRATION_WANTS_COMMIT:
		return take_commit(receiver);
	case MIGRATION_WANTS_NOTHING:
		break;
	}
	return 0;
}

/* Bytes, 0: none for now. #syscalls loop: recvmsg sendmsg */
static ssize_t receive(const struct migration_receiver *receiver)
{
	struct iovec room = { receiver->to, receiver->missing };
	struct msghdr message = { .msg_iov = &room, .msg_iovlen = 1 };
	const ssize_t got = recvmsg(receiver->fd, &message, MSG_DONTWAIT);

	if (got > 0)
		return got;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got == 0)
		log_error("%s: the connection ended before the guest had come", receiver->from);
	else
		log_error("%s: %s", receiver->from, strerror(errno));
	return -ECONNRESET;
}

int migration_receive_some(struct migration_receiver *receiver)
{
	uint64_t taken = 0;
	int more = 1;

	while (more > 0 && taken < TAKE_MAX) {
		const ssize_t got = receive(receiver);

		if (got <= 0)
			return got < 0 ? (int)got : 1;
		receiver->to += got;
		receiver->missing -= got;
		taken += got;
		if (receiver->missing > 0)
			continue;
		more = take(receiver);
		/* Zeroes are work as well. */
		taken += receiver->frame.size;
	}
	return more;
}

int migration_receive_begin(struct migration_receiver *receiver, int fd, const char *from)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	int more = 1;

	*receiver = (struct migration_receiver){ .fd = fd, .from = from };
	want(receiver, MIGRATION_WANTS_HEADER, &receiver->header, sizeof(receiver->header));
	while (more > 0) {
		poll(&poller, 1, -1);
		more = migration_receive_some(receiver);
	}
	return more;
}

void migration_receive_end(struct migration_receiver *receiver)
{
	free(receiver->state);
	receiver->state = NULL;
}

int migration_receive_into(struct migration_receiver *receiver, const struct memory *memory)
{
	if (receiver->header.ram_gpa != memory->base || receiver->header.ram_size != memory->size)
		return refuse(receiver, "what comes has RAM of another size, or at another place");
	receiver->memory = memory;
	want_frame(receiver);
	return 0;
}

/* It is short, and nothing was sent before it that the other side has not taken. */
static int say(const struct migration_receiver *receiver, enum migration_kind kind)
{
	struct migration_frame frame = { .kind = kind };
	struct iovec segment = { &frame, sizeof(frame) };
	const struct msghdr message = { .msg_iov = &segment, .msg_iovlen = 1 };
	const ssize_t sent = sendmsg(receiver->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

	return sent == sizeof(frame) ? 0 : sent < 0 ? -errno : -EIO;
}

int migration_receive_ready(struct migration_receiver *receiver)
{
	const int err = say(receiver, MIGRATION_READY);

	if (err < 0)
		log_error("%s: %s", receiver->from, strerror(-err));
	want_frame(receiver);
	receiver->wants = MIGRATION_WANTS_COMMIT;
	return err;
}

void migration_receive_tell(struct migration_receiver *receiver, bool runs)
{
	say(receiver, runs ? MIGRATION_RUNS : MIGRATION_FAILED);
}
