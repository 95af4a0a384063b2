/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file that nidus writes, once or more often, whether it is confined by then or not.
 */
#ifndef NIDUS_WRITTEN_H
#define NIDUS_WRITTEN_H

#include <stddef.h>

#include "children/porter.h"
#include "host/file.h"

struct written {
	struct file_place place; /* path NULL: nobody wants to have it written */
	int kept[2];
	struct porter_service service;
};

/* Finds the place; path may be NULL. Errors: those of file_find(); there is nothing to close then.
 */
int written_open(struct written *written, struct porter *porter, const char *path);
void written_close(struct written *written);

/* file_write(), if there is to be such a file. */
int written_write(struct written *written, const void *data, size_t size);

#endif
