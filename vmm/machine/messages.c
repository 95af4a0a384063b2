// SPDX-License-Identifier: GPL-2.0-only
#include <sys/epoll.h>

#include "host/log.h"
#include "machine/messages.h"

static void messages_ready(struct event_source *source, uint32_t events)
{
	(void)source;
	(void)events;
	log_flush();
}

/* By edges: whether standard error is lost is for write(2) to say. */
void messages_start(struct messages *messages, struct event_loop *loop)
{
	messages->loop = loop;
	messages->source = (struct event_source){ .fd = log_keep(), .ready = messages_ready };
	if (messages->source.fd < 0)
		return;
	/* What cannot be waited for, a regular file, takes everything at once. */
	if (event_add(loop, &messages->source, EPOLLOUT | EPOLLET) < 0) {
		messages->source.fd = -1;
		log_keep_no_more();
	}
}

void messages_stop(struct messages *messages)
{
	if (messages->source.fd >= 0)
		event_remove(messages->loop, &messages->source);
	log_keep_no_more();
}
