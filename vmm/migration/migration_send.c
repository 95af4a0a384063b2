// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. RAM is sent from where it lies while the guest may write to it: whoever does
 * is in the log of the next round. So a page is looked at once for whether it is zeroes, and what
 * becomes of it afterwards does not matter. The first time zeroes are left out, for that is what
 * the other side begins with.
 *
 * RAM that has a file may have pages that are in no table of this process, so all of it is looked
 * at the first time, and it is read through the file: to read what was never written brings no page
 * about.
 */
#include "migration/migration_send.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/iov.h"
#include "util.h"

/* What one call sends, and what it looks at for zeroes. */
#define SEND_MAX MIB(1)
#define LOOK_MAX MIB(16)

/* What RAM is asked for at a time, for whether it was touched. */
#define SCAN MIB(512)

static void *ram(const struct migration_sender *sender, uint64_t offset, uint64_t size)
{
	return memory_at(sender->memory, sender->memory->base + offset, size);
}

static void queue_frame(struct migration_sender *sender, enum migration_kind kind, uint64_t at,
			uint32_t size, const void *body)
{
	sender->frame = (struct migration_frame){ .kind = kind, .size = size, .at = at };
	sender->segments[1] = (struct iovec){ &sender->frame, sizeof(sender->frame) };
	sender->segments[2] = (struct iovec){ (void *)body, body ? size : 0 };
	sender->rest = &sender->segments[1];
	sender->rest_count = 2;
}

int migration_send_begin(struct migration_sender *sender, int fd, int pagemap_fd,
			 const struct memory *memory, const struct state_writer *guest)
{
	*sender = (struct migration_sender){
		.fd = fd,
		.pagemap_fd = pagemap_fd,
		.memory = memory,
		.sends = MIGRATION_SENDS_TOUCHED,
		.header = {
			.magic = MIGRATION_MAGIC,
			.version = MIGRATION_VERSION,
			.ram_gpa = memory->base,
			.ram_size = memory->size,
		},
	};
	if (guest->err < 0)
		return guest->err;
	if (guest->size > sizeof(sender->guest))
		return -EMSGSIZE;
	if (memory->fd >= 0) {
		sender->buffer = malloc(MIGRATION_BODY_MAX);
		if (!sender->buffer)
			return -ENOMEM;
		sender->part_end = memory->size;
	}
	memcpy(sender->guest, guest->bytes, guest->size);
	queue_frame(sender, MIGRATION_GUEST, 0, guest->size, sender->guest);
	sender->segments[0] = (struct iovec){ &sender->header, sizeof(sender->header) };
	sender->rest = sender->segments;
	sender->rest_count = 3;
	return 0;
}

void migration_send_end(struct migration_sender *sender)
{
	free(sender->buffer);
	sender->buffer = NULL;
	sender->sends = MIGRATION_SENDS_NOTHING;
}

void migration_send_dirty(struct migration_sender *sender, const struct dirty_log *log)
{
	sender->log = log;
	sender->sends = MIGRATION_SENDS_DIRTY;
	sender->at = sender->part_end = 0;
}

void migration_send_last(struct migration_sender *sender, const struct dirty_log *log,
			 struct state_writer *state)
{
	migration_send_dirty(sender, log);
	sender->last = true;
	sender->state = state;
}

void migration_send_commit(struct migration_sender *sender)
{
	queue_frame(sender, MIGRATION_COMMIT, 0, 0, NULL);
}

/* Parts of RAM. */

/* Where the next one begins, which becomes at. 1, 0: there is none; -errno. */
static int next_touched(struct migration_sender *sender)
{
	const uint64_t size = sender->memory->size;
	const uintptr_t start = (uintptr_t)ram(sender, 0, size);
	const struct file_region *region;

	while (sender->region == sender->region_count) {
		const uint64_t end = size - sender->at < SCAN ? size : sender->at + SCAN;
		uintptr_t at = start + sender->at;
		int count;

		if (sender->at == size || sender->memory->fd >= 0)
			return 0;
		count = file_touched(sender->pagemap_fd, &at, start + end, sender->regions,
				     FILE_REGIONS_MAX);
		if (count < 0)
			return count;
		sender->at = at - start;
		sender->region = 0;
		sender->region_count = count;
	}
	region = &sender->regions[sender->region++];
	sender->at = region->start - start;
	sender->part_end = region->end - start;
	return 1;
}

static int next_part(struct migration_sender *sender)
{
	struct memory_range part;

	if (sender->sends == MIGRATION_SENDS_TOUCHED)
		return next_touched(sender);
	if (!dirty_log_next(sender->log, sender->at, &part))
		return 0;
	sender->at = part.start;
	sender->part_end = part.start + part.size;
	return 1;
}

/* What follows in the part, a frame of it at most, or NULL, and *err. */
static const uint8_t *look(const struct migration_sender *sender, uint64_t *size, int *err)
{
	const uint64_t left = sender->part_end - sender->at;

	*size = left < MIGRATION_BODY_MAX ? left : MIGRATION_BODY_MAX;
	if (!sender->buffer)
		return ram(sender, sender->at, *size);
	*err = file_pread_all(sender->memory->fd, sender->buffer, *size, sender->at);
	return *err < 0 ? NULL : sender->buffer;
}

/* How much from its beginning on is zeroes, or else is not; whole pages. */
static uint64_t run(const uint8_t *bytes, uint64_t size, bool zeroes)
{
	uint64_t at = 0;

	while (at < size && all_zeroes(bytes + at, MIGRATION_PAGE) == zeroes)
		at += MIGRATION_PAGE;
	return at;
}

/* A frame of RAM, or none, of *looked bytes more. 1, 0: the round is over; -errno. */
static int next_pages(struct migration_sender *sender, uint64_t *looked)
{
	const uint8_t *bytes;
	uint64_t size;
	bool zeroes;
	int err = 0;

	if (sender->at == sender->part_end) {
		err = next_part(sender);
		if (err <= 0)
			return err;
	}
	bytes = look(sender, &size, &err);
	if (!bytes)
		return err;
	zeroes = all_zeroes(bytes, MIGRATION_PAGE);
	size = MIGRATION_PAGE + run(bytes + MIGRATION_PAGE, size - MIGRATION_PAGE, zeroes);
	if (!zeroes)
		queue_frame(sender, MIGRATION_PAGES, sender->at, size, bytes);
	else if (sender->sends == MIGRATION_SENDS_DIRTY)
		queue_frame(sender, MIGRATION_ZEROES, sender->at, size, NULL);
	sender->page_bytes += zeroes ? 0 : size;
	sender->at += size;
	*looked += size;
	return 1;
}

/* The state. */

static int next_state(struct migration_sender *sender)
{
	const uint64_t left = sender->state->size - sender->at;
	const uint64_t size = left < MIGRATION_BODY_MAX ? left : MIGRATION_BODY_MAX;

	if (size == 0)
		return 0;
	queue_frame(sender, MIGRATION_STATE, sender->at, size, sender->state->bytes + sender->at);
	sender->at += size;
	return 1;
}

/* What is to be sent next. 1, 0: nothing; -errno. */
static int next(struct migration_sender *sender, uint64_t *looked)
{
	int more = 0;

	if (sender->sends == MIGRATION_SENDS_TOUCHED || sender->sends == MIGRATION_SENDS_DIRTY) {
		more = next_pages(sender, looked);
		if (more != 0)
			return more;
		sender->at = 0;
		sender->sends = sender->last ? MIGRATION_SENDS_STATE : MIGRATION_SENDS_NOTHING;
	}
	if (sender->sends == MIGRATION_SENDS_STATE) {
		more = next_state(sender);
		if (more == 0)
			sender->sends = MIGRATION_SENDS_END;
	}
	if (sender->sends == MIGRATION_SENDS_END) {
		queue_frame(sender, MIGRATION_END, sender->page_bytes, 0, NULL);
		sender->sends = MIGRATION_SENDS_NOTHING;
		more = 1;
	}
	return more;
}

static bool is_sent(const struct migration_sender *sender)
{
	return iov_length(sender->rest, sender->rest_count) == 0;
}

/* 1: some of it; 0: the socket has no room. #syscalls loop: sendmsg recvmsg */
static int push(struct migration_sender *sender)
{
	const struct msghdr message = {
		.msg_iov = sender->rest,
		.msg_iovlen = sender->rest_count,
	};
	const ssize_t done = sendmsg(sender->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (done < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (done < 0)
		return -errno;
	sender->sent += done;
	iov_advance(&sender->rest, &sender->rest_count, done);
	return 1;
}

int migration_send_some(struct migration_sender *sender)
{
	const uint64_t before = sender->sent;
	uint64_t looked = 0;
	int more = 1;

	while (more > 0 && looked < LOOK_MAX && sender->sent - before < SEND_MAX) {
		if (is_sent(sender))
			more = next(sender, &looked);
		if (more > 0 && !is_sent(sender) && (more = push(sender)) == 0)
			return 1;
	}
	return more;
}

int migration_send_answer(struct migration_sender *sender)
{
	struct iovec room = {
		sender->answer + sender->answered,
		sizeof(sender->answer) - sender->answered,
	};
	struct msghdr message = { .msg_iov = &room, .msg_iovlen = 1 };
	const ssize_t got = recvmsg(sender->fd, &message, MSG_DONTWAIT);
	struct migration_frame frame;

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (got == 0)
		return -EPIPE;
	sender->answered += got;
	if (sender->answered < sizeof(sender->answer))
		return 0;
	sender->answered = 0;
	memcpy(&frame, sender->answer, sizeof(frame));
	if (frame.kind < MIGRATION_READY || frame.kind > MIGRATION_FAILED || frame.size != 0)
		return -EPROTO;
	return (int)frame.kind;
}
