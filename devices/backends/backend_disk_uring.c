// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The ring's own descriptor is readable while there are completions, so the
 * event loop waits for that one, and an owner that reaps right after submit() is not woken for what
 * is done already. What the page cache has does not come to the ring (disk_at_once()).
 *
 * Neither ring can overflow: the submission ring has as many entries as there are requests, and the
 * completion ring twice as many. Requests that the kernel refuses to take are carried out at once,
 * so that each one comes to its end whatever becomes of the ring.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "disk.h"
#include "host/log.h"
#include "host/ring.h"
#include "util.h"

struct uring {
	struct disk_engine engine;
	struct event_loop *loop;
	struct event_source source;
	struct io_uring ring;
};

static int make_ring(struct io_uring *ring, unsigned int depth)
{
	static const uint8_t operations[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC };

	return ring_create(ring, depth, operations, ARRAY_SIZE(operations), NULL, 0);
}

static bool uring_supported(void)
{
	struct io_uring ring;
	int err = make_ring(&ring, 1);

	if (err == 0)
		io_uring_queue_exit(&ring);
	return err == 0 || disk_lacks_descriptors(err);
}

static void uring_ready(struct event_source *source, uint32_t events)
{
	struct uring *uring = container_of(source, struct uring, source);

	(void)events;
	uring->engine.ready(&uring->engine);
}

static int uring_create(struct disk_engine **engine, unsigned int depth)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int err;

	if (!uring)
		return -ENOMEM;
	err = make_ring(&uring->ring, depth);
	if (disk_lacks_descriptors(err))
		log_error("io_uring: %s", log_reason(-err));
	if (err < 0) {
		free(uring);
		return err;
	}
	uring->source = (struct event_source){ uring->ring.ring_fd, uring_ready };
	*engine = &uring->engine;
	return 0;
}

static int uring_attach(struct disk_engine *engine, struct event_loop *loop)
{
	struct uring *uring = container_of(engine, struct uring, engine);

	uring->loop = loop;
	return event_add(loop, &uring->source, EPOLLIN);
}

static void uring_detach(struct disk_engine *engine)
{
	struct uring *uring = container_of(engine, struct uring, engine);

	event_remove(uring->loop, &uring->source);
}

static void uring_start(struct disk_engine *engine, struct disk_request *request)
{
	struct uring *uring = container_of(engine, struct uring, engine);
	struct io_uring_sqe *sqe;

	if (disk_at_once(engine, request))
		return;
	if (!disk_fits(engine, request)) {
		disk_carry_out(engine, request);
		return;
	}
	sqe = io_uring_get_sqe(&uring->ring);
	if (request->operation == DISK_READ)
		io_uring_prep_readv(sqe, engine->fd, request->segments, disk_piece(request),
				    request->offset);
	else if (request->operation == DISK_WRITE)
		io_uring_prep_writev(sqe, engine->fd, request->segments, disk_piece(request),
				     request->offset);
	else
		io_uring_prep_fsync(sqe, engine->fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(sqe, request);
}

/*
 * What the kernel has not taken leaves the ring again and is carried out here. Without a polling
 * thread of the kernel's, it looks at the tail only while we are in io_uring_enter(2).
 */
static void carry_out_rest(struct uring *uring)
{
	struct io_uring_sq *sq = &uring->ring.sq;
	const unsigned int first = *sq->khead, end = sq->sqe_tail;

	sq->sqe_head = first;
	sq->sqe_tail = first;
	*sq->ktail = first;
	for (unsigned int i = first; i != end; i++) {
		const struct io_uring_sqe *sqe = &sq->sqes[i & sq->ring_mask];

		disk_carry_out(&uring->engine, (struct disk_request *)(uintptr_t)sqe->user_data);
	}
}

/* #syscalls worker: io_uring_enter */
static void uring_submit(struct disk_engine *engine)
{
	static struct log_limit limit;
	struct uring *uring = container_of(engine, struct uring, engine);
	int got = 0;

	while (io_uring_sq_ready(&uring->ring) > 0 && (got >= 0 || got == -EINTR))
		got = io_uring_submit(&uring->ring);
	if (io_uring_sq_ready(&uring->ring) == 0)
		return;
	if (got != -EAGAIN && got != -EBUSY)
		log_guest(&limit, "disk %s: io_uring: %s", engine->disk->path, strerror(-got));
	carry_out_rest(uring);
}

static void uring_reap(struct disk_engine *engine)
{
	struct uring *uring = container_of(engine, struct uring, engine);
	struct io_uring_cqe *cqe;
	unsigned int head, count = 0;

	io_uring_for_each_cqe(&uring->ring, head, cqe)
	{
		struct disk_request *request = io_uring_cqe_get_data(cqe);

		if (disk_continue(engine, request, cqe->res))
			uring_start(engine, request);
		count++;
	}
	io_uring_cq_advance(&uring->ring, count);
	uring_submit(engine);
}

static void uring_destroy(struct disk_engine *engine)
{
	struct uring *uring = container_of(engine, struct uring, engine);

	io_uring_queue_exit(&uring->ring);
	free(uring);
}

const struct disk_engine_ops disk_uring_ops = {
	.name = "io_uring",
	.supported = uring_supported,
	.create = uring_create,
	.attach = uring_attach,
	.detach = uring_detach,
	.start = uring_start,
	.submit = uring_submit,
	.reap = uring_reap,
	.destroy = uring_destroy,
};
