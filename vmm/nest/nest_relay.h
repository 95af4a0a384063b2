/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reports of a level's guest on their way out: stands between its port and what takes them, and
 * passes on the lines that this guest may say, each as it is.
 *
 * So a guest can say what it likes about itself and the levels inside it, and nothing about the
 * levels around it. How it ended itself and what it cost is for the nidus that runs it to tell.
 */
#ifndef NIDUS_NEST_RELAY_H
#define NIDUS_NEST_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "nest/nest.h"
#include "nest_report.h"
#include "sink.h"

struct nest_relay {
	struct sink sink; /* for the device */
	struct sink *out;
	unsigned int level; /* whose guest it is that speaks */
	unsigned int depth; /* of the nest */
	uint8_t passed[NEST_LEVELS_MAX]; /* by level, a bit for each kind of report */
	unsigned int refused; /* lines */
	/* The innermost level has said that it waits for its command; or NULL. */
	void (*ready)(struct nest_relay *relay);
	bool whole; /* the line has ended and goes out */
	size_t sent; /* of it */
	struct nest_line line; /* last: little of it is ever touched */
};

/* level: whose guest speaks; depth: of the nest. out belongs to the relay from now on. */
void nest_relay_init(struct nest_relay *relay, struct sink *out, unsigned int level,
		     unsigned int depth);

#endif
