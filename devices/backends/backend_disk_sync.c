// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "disk.h"

static bool sync_supported(void)
{
	return true;
}

static int sync_create(struct disk_engine **engine, unsigned int depth)
{
	(void)depth;
	*engine = calloc(1, sizeof(**engine));
	return *engine ? 0 : -ENOMEM;
}

static int sync_attach(struct disk_engine *engine, struct event_loop *loop)
{
	(void)engine;
	(void)loop;
	return 0;
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
	.attach = sync_attach,
	.detach = sync_nothing,
	.start = disk_carry_out,
	.submit = sync_nothing,
	.reap = sync_nothing,
	.destroy = sync_destroy,
};
