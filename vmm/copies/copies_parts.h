/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the sources of copies share: copies.c knows what each is to be, copies_watch.c starts them
 * and has their processes, copies_output.c what their consoles say.
 */
#ifndef NIDUS_COPIES_PARTS_H
#define NIDUS_COPIES_PARTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "copies/copies.h"
#include "host/event.h"
#include "host/stream.h"

/* One of them, before it lives. */
struct copy_plan {
	char **words; /* NULL: there is no plan */
	char name[NAME_MAX + 1];
	struct config config;
};

/* Errors: -errno, said; there is nothing to drop then. */
int copies_plan(struct copy_plan *plan, const struct copies *copies, unsigned int number);
void copies_drop(struct copy_plan *plan);

/* copies_watch.c: as copies_run(), when it is known that the plans are good. */
enum status copies_watch(const struct copies *copies);

/* Where lines of all copies go: standard output, without waiting for who reads it. */

/* More than this, and nobody should add to it. */
#define COPIES_OUTPUT_FULL 65536
/* What one call of copies_output_take() takes: each byte may be a line, with a name in front. */
#define COPIES_PIECE	256
#define COPIES_LINE_MAX 1024 /* bytes; what is longer is cut into several */

struct copies_output {
	struct event_loop *loop;
	struct stream stream;
	struct event_source source;
	bool waits; /* the source is in the loop */
	bool lost; /* which was said */
	/* It can be added to again, or is lost (-errno): the loop's thread. */
	void (*changed)(struct copies_output *output, int err);
	size_t start, used; /* of bytes: what is to be written */
	char bytes[COPIES_OUTPUT_FULL + COPIES_PIECE * (NAME_MAX + sizeof(": \n")) +
		   COPIES_LINE_MAX];
};

/* A copy's line that has no end yet. */
struct copies_line {
	const char *name;
	size_t used;
	char bytes[COPIES_LINE_MAX];
};

/* Errors: -errno, said. */
int copies_output_open(struct copies_output *output, struct event_loop *loop);
void copies_output_close(struct copies_output *output);
static inline bool copies_output_is_full(const struct copies_output *output)
{
	return output->used > COPIES_OUTPUT_FULL;
}
/* What a copy's console says, COPIES_PIECE bytes at most. What there is no room for is dropped. */
void copies_output_take(struct copies_output *output, struct copies_line *line, const char *bytes,
			size_t size);
/* It has come to its end: so does its line. The same. */
void copies_output_end(struct copies_output *output, struct copies_line *line);
/* Writes what can be written at once, and the rest later. */
void copies_output_write(struct copies_output *output);

#endif
