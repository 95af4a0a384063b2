// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Bytes are taken from the driver's buffers as they come and are a line when
 * its end comes; a line that may pass is offered on. While that is not taken the line's end is left
 * in the driver's buffers, so that the device waits for room as it would without a relay, and
 * nothing is kept here that nobody would come back for.
 *
 * A level has each thing to say once. So what a guest can have passed on is bounded, and after
 * REFUSED_MAX other lines it is not listened to any more.
 *
 * The caller's lock, that of the transmit queue, guards all of it.
 */
#include "nest_relay.h"

#include <string.h>

#include "host/log.h"
#include "util.h"

#define REFUSED_MAX 100

static struct nest_relay *relay_of(struct sink *sink)
{
	return container_of(sink, struct nest_relay, sink);
}

/* Whether this is a report that the guest may make, and has not made yet. */
static bool may_pass(struct nest_relay *relay, const json_t *report)
{
	enum nest_report_kind kind;
	unsigned int level;

	if (!nest_report_about(report, &level, &kind) || level > relay->depth ||
	    !nest_report_may(relay->level, level, kind) || relay->passed[level - 1] & 1u << kind)
		return false;
	relay->passed[level - 1] |= 1u << kind;
	if (kind == NEST_REPORT_READY && level == relay->depth && relay->ready)
		relay->ready(relay);
	return true;
}

/* The line has ended: it is to go out, or is dropped. */
static void line_end(struct nest_relay *relay)
{
	static struct log_limit limit;
	struct nest_line *line = &relay->line;
	json_t *report;
	bool passes;

	if (line->size == 0)
		return;
	report = relay->refused < REFUSED_MAX ? nest_line_report(line) : NULL;
	passes = may_pass(relay, report);
	json_decref(report);
	if (passes) {
		line->text[line->size++] = '\n';
		relay->whole = true;
		return;
	}
	line->size = 0;
	if (relay->refused < REFUSED_MAX) {
		relay->refused++;
		log_guest(&limit, "a line that level %u reports is not for it to say: dropped",
			  relay->level);
	}
}

static struct iovec rest_of(const struct nest_relay *relay)
{
	const struct nest_line *line = &relay->line;

	return (struct iovec){ (char *)line->text + relay->sent, line->size - relay->sent };
}

/* Two ways for the line that goes out. True when all of it is gone. */

static bool line_offer(struct nest_relay *relay)
{
	while (relay->sent < relay->line.size) {
		const struct iovec rest = rest_of(relay);
		const size_t taken = relay->out->offer(relay->out, &rest, 1);

		if (taken == 0)
			return false;
		relay->sent += taken;
	}
	return true;
}

static bool line_keep(struct nest_relay *relay)
{
	const struct iovec rest = rest_of(relay);

	relay->out->keep(relay->out, &rest, 1);
	return true;
}

/* Whether the byte is taken. */
static bool take_byte(struct nest_relay *relay, char byte, bool (*line_go)(struct nest_relay *))
{
	/* The byte that ended a line is still the driver's, and may have changed: it ended it. */
	if (!relay->whole && byte != '\n') {
		nest_line_add(&relay->line, byte);
		return true;
	}
	if (!relay->whole)
		line_end(relay);
	if (!relay->whole)
		return true;
	if (!line_go(relay))
		return false;
	relay->whole = false;
	relay->sent = relay->line.size = 0;
	return true;
}

/* Returns how many bytes are taken. */
static size_t take_bytes(struct nest_relay *relay, const struct iovec *segments, unsigned int count,
			 bool (*line_go)(struct nest_relay *))
{
	size_t taken = 0;

	for (unsigned int i = 0; i < count; i++) {
		const char *bytes = segments[i].iov_base;

		for (size_t j = 0; j < segments[i].iov_len; j++, taken++) {
			/* Once: what is looked at has to be what is kept. */
			const char byte = __atomic_load_n(&bytes[j], __ATOMIC_RELAXED);

			if (!take_byte(relay, byte, line_go))
				return taken;
		}
	}
	return taken;
}

static size_t relay_offer(struct sink *sink, const struct iovec *segments, unsigned int count)
{
	return take_bytes(relay_of(sink), segments, count, line_offer);
}

static void relay_keep(struct sink *sink, const struct iovec *segments, unsigned int count)
{
	take_bytes(relay_of(sink), segments, count, line_keep);
}

static void relay_room(void *opaque)
{
	struct nest_relay *relay = opaque;

	if (relay->sink.room)
		relay->sink.room(relay->sink.device);
}

void nest_relay_init(struct nest_relay *relay, struct sink *out, unsigned int level,
		     unsigned int depth)
{
	memset(relay, 0, offsetof(struct nest_relay, line.text));
	relay->sink = (struct sink){ .offer = relay_offer, .keep = relay_keep };
	relay->out = out;
	relay->level = level;
	relay->depth = depth;
	out->room = relay_room;
	out->device = relay;
}
