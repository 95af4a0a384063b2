// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "disk.h"

static bool sync_supported(void)
{
	return true;
}

static int sync_create(struct disk_engine **engine, struct event_loop *loop, unsigned int depth)
{
	(void)loop;
	(void)depth;
	*engine = calloc(1, sizeof(**engine));
	return *engine ? 0 : -ENOMEM;
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
	.start = disk_carry_out,
	.submit = sync_nothing,
	.reap = sync_nothing,
	.destroy = sync_destroy,
};
