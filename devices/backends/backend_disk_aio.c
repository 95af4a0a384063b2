// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Linux AIO is asynchronous with O_DIRECT; what goes by way of the page cache
 * is done when io_submit(2) returns. That call stops at the first request that the kernel does not
 * take; such a one is carried out right there.
 */
#include <errno.h>
#include <libaio.h>
#include <stdlib.h>

#include "disk.h"
#include "util.h"

#define BATCH 32

struct aio {
	struct disk_engine engine;
	struct event_notifier completed; /* the kernel's to notify */
	io_context_t context;
	struct iocb *iocbs; /* one for each slot */
	struct iocb **started; /* not submitted yet */
	unsigned int started_count;
};

static bool aio_supported(void)
{
	io_context_t context = NULL;

	if (io_setup(1, &context) < 0)
		return false;
	io_destroy(context);
	return true;
}

static void aio_completed(struct event_notifier *notifier)
{
	struct aio *aio = container_of(notifier, struct aio, completed);

	aio->engine.ready(&aio->engine);
}

static void aio_free(struct aio *aio)
{
	free(aio->started);
	free(aio->iocbs);
	free(aio);
}

static struct aio *aio_allocate(unsigned int depth)
{
	struct aio *aio = calloc(1, sizeof(*aio));

	if (!aio)
		return NULL;
	aio->iocbs = calloc(depth, sizeof(*aio->iocbs));
	aio->started = calloc(depth, sizeof(struct iocb *));
	if (aio->iocbs && aio->started)
		return aio;
	aio_free(aio);
	return NULL;
}

static int aio_create(struct disk_engine **engine, unsigned int depth)
{
	struct aio *aio = aio_allocate(depth);
	int err;

	if (!aio)
		return -ENOMEM;
	err = io_setup(depth, &aio->context);
	if (err < 0) {
		aio_free(aio);
		return err;
	}
	*engine = &aio->engine;
	return 0;
}

static int aio_attach(struct disk_engine *engine, struct event_loop *loop)
{
	struct aio *aio = container_of(engine, struct aio, engine);

	return event_notifier_create(&aio->completed, loop, aio_completed);
}

static void aio_detach(struct disk_engine *engine)
{
	event_notifier_destroy(&container_of(engine, struct aio, engine)->completed);
}

static void aio_start(struct disk_engine *engine, struct disk_request *request)
{
	struct aio *aio = container_of(engine, struct aio, engine);
	struct iocb *iocb = &aio->iocbs[request->slot];

	if (disk_at_once(engine, request))
		return;
	if (!disk_fits(engine, request)) {
		disk_carry_out(engine, request);
		return;
	}
	if (request->operation == DISK_READ)
		io_prep_preadv(iocb, engine->fd, request->segments, disk_piece(request),
			       request->offset);
	else if (request->operation == DISK_WRITE)
		io_prep_pwritev(iocb, engine->fd, request->segments, disk_piece(request),
				request->offset);
	else
		io_prep_fdsync(iocb, engine->fd);
	io_set_eventfd(iocb, aio->completed.source.fd);
	iocb->data = request;
	aio->started[aio->started_count++] = iocb;
}

/* #syscalls worker: io_submit */
static void aio_submit(struct disk_engine *engine)
{
	struct aio *aio = container_of(engine, struct aio, engine);
	unsigned int first = 0;

	while (first < aio->started_count) {
		int got = io_submit(aio->context, aio->started_count - first, aio->started + first);

		if (got > 0) {
			first += got;
		} else if (got != -EINTR) {
			disk_carry_out(engine, aio->started[first]->data);
			first++;
		}
	}
	aio->started_count = 0;
}

/* #syscalls worker: io_getevents */
static void aio_reap(struct disk_engine *engine)
{
	struct aio *aio = container_of(engine, struct aio, engine);
	struct timespec at_once = { 0 };
	struct io_event events[BATCH];
	int got;

	do {
		got = io_getevents(aio->context, 0, BATCH, events, &at_once);
		for (int i = 0; i < got; i++) {
			struct disk_request *request = events[i].data;

			if (disk_continue(engine, request, (long)events[i].res))
				aio_start(engine, request);
		}
	} while (got == BATCH || got == -EINTR);
	aio_submit(engine);
}

/* #syscalls loop: io_destroy */
static void aio_destroy(struct disk_engine *engine)
{
	struct aio *aio = container_of(engine, struct aio, engine);

	io_destroy(aio->context);
	aio_free(aio);
}

const struct disk_engine_ops disk_aio_ops = {
	.name = "aio",
	.supported = aio_supported,
	.create = aio_create,
	.attach = aio_attach,
	.detach = aio_detach,
	.start = aio_start,
	.submit = aio_submit,
	.reap = aio_reap,
	.destroy = aio_destroy,
};
