// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "log.h"

static bool sync_supported(void)
{
	return true;
}

static struct disk_engine *sync_create(const struct disk *disk, struct event_loop *loop,
				       unsigned int depth)
{
	struct disk_engine *engine = calloc(1, sizeof(*engine));

	(void)loop;
	(void)depth;
	if (!engine) {
		log_error("disk %s: %s", disk->path, strerror(ENOMEM));
		return NULL;
	}
	engine->ops = &disk_sync_ops;
	engine->disk = disk;
	return engine;
}

static void sync_start(struct disk_engine *engine, struct disk_request *request)
{
	disk_carry_out(engine->disk, request);
}

/* A request is done when start() returns, so there is never anything left. */
static void sync_nothing(struct disk_engine *engine)
{
	(void)engine;
}

static void sync_destroy(struct disk_engine *engine)
{
	free(engine);
}

const struct disk_engine_ops disk_sync_ops = {
	.name = "sync",
	.supported = sync_supported,
	.create = sync_create,
	.start = sync_start,
	.submit = sync_nothing,
	.reap = sync_nothing,
	.destroy = sync_destroy,
};
