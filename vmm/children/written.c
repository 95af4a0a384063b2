// SPDX-License-Identifier: GPL-2.0-only
#include "children/written.h"

#include "util.h"

static int written_serve(struct porter_service *service, const void *request, size_t size,
			 struct porter_reply *reply)
{
	(void)reply;
	return file_write(&container_of(service, struct written, service)->place, request, size);
}

int written_open(struct written *written, struct porter *porter, const char *path)
{
	int err;

	*written = (struct written){ .service = { .serve = written_serve } };
	if (!path)
		return 0;
	err = file_find(&written->place, path);
	if (err < 0) {
		written->place.path = NULL;
		return err;
	}
	written->kept[0] = written->place.directory;
	written->kept[1] = written->place.special;
	written->service.keep = written->kept;
	written->service.keep_count = ARRAY_SIZE(written->kept);
	porter_offer(porter, &written->service);
	return 0;
}

void written_close(struct written *written)
{
	if (!written->place.path)
		return;
	porter_withdraw(&written->service);
	file_release(&written->place);
}

int written_write(struct written *written, const void *data, size_t size)
{
	struct porter_reply reply;

	return written->place.path ? porter_ask(&written->service, data, size, &reply) : 0;
}
