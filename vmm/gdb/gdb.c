// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets: $ body # two digits of a checksum, with + and - as acknowledgements until the client
 * asks for none. An answer is put together in place behind what is still to be sent.
 */
#include "gdb.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

#define INTERRUPT	 0x03
#define ACKNOWLEDGED_MAX 16

static const char digits[] = "0123456789abcdef";

/* 16: it is none. */
static unsigned int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

void gdb_text_add(struct gdb_text *text, const char *format, ...)
{
	char piece[256];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(piece, sizeof(piece), format, args);
	va_end(args);
	if (size >= (int)sizeof(piece))
		size = sizeof(piece) - 1;
	for (int i = 0; i < size; i++, text->length++)
		if (text->length >= text->skip && text->length - text->skip < text->room)
			text->to[text->length - text->skip] = piece[i];
}

/* Answers. */

static void put(struct gdb *gdb, char c)
{
	if (gdb->out_used < sizeof(gdb->out))
		gdb->out[gdb->out_used++] = c;
}

void gdb_begin(struct gdb *gdb)
{
	gdb->sum = 0;
	put(gdb, '$');
}

static void add(struct gdb *gdb, char c)
{
	gdb->sum += c;
	put(gdb, c);
}

void gdb_add(struct gdb *gdb, const char *format, ...)
{
	char text[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (const char *c = text; *c; c++)
		add(gdb, *c);
}

void gdb_add_hex(struct gdb *gdb, const void *data, size_t size)
{
	const uint8_t *const bytes = data;

	for (size_t i = 0; i < size; i++) {
		add(gdb, digits[bytes[i] >> 4]);
		add(gdb, digits[bytes[i] & 0xf]);
	}
}

void gdb_add_binary(struct gdb *gdb, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		const bool escaped = strchr("$#}*", data[i]);

		if (escaped)
			add(gdb, '}');
		add(gdb, escaped ? data[i] ^ 0x20 : data[i]);
	}
}

void gdb_add_thread(struct gdb *gdb, struct gdb_thread thread)
{
	gdb_add(gdb, "p%x.%x", thread.process, thread.thread);
}

void gdb_end(struct gdb *gdb)
{
	const uint8_t sum = gdb->sum;

	put(gdb, '#');
	put(gdb, digits[sum >> 4]);
	put(gdb, digits[sum & 0xf]);
}

void gdb_answer(struct gdb *gdb, const char *text)
{
	gdb_begin(gdb);
	gdb_add(gdb, "%s", text);
	gdb_end(gdb);
}

void gdb_answer_error(struct gdb *gdb, int err)
{
	char text[8] = "OK";

	if (err < 0)
		snprintf(text, sizeof(text), "E%02x", -err & 0xff);
	gdb_answer(gdb, text);
}

void gdb_answer_stop(struct gdb *gdb)
{
	const struct gdb_stop *stop = &gdb->stop;

	gdb_begin(gdb);
	gdb_add(gdb, "T%02xthread:", stop->signal);
	gdb_add_thread(gdb, stop->thread);
	gdb_add(gdb, ";");
	/* Watchpoints were always told; breakpoints are to who has asked. */
	if (stop->reason && strstr(stop->reason, "watch"))
		gdb_add(gdb, "%s:%llx;", stop->reason, (unsigned long long)stop->address);
	else if (stop->reason && gdb->names_reasons)
		gdb_add(gdb, "%s:;", stop->reason);
	gdb_end(gdb);
}

/* Reading. */

bool gdb_read_number(const char **text, uint64_t *value)
{
	const char *c = *text;

	for (*value = 0; digit(*c) < 16; c++) {
		if (*value >> 60)
			return false;
		*value = *value << 4 | digit(*c);
	}
	if (c == *text)
		return false;
	*text = c;
	return true;
}

bool gdb_read_char(const char **text, char wanted)
{
	if (**text != wanted)
		return false;
	++*text;
	return true;
}

bool gdb_read_hex(const char **text, void *data, size_t size)
{
	uint8_t *const bytes = data;
	const char *c = *text;

	for (size_t i = 0; i < size; i++, c += 2) {
		if (digit(c[0]) > 15 || digit(c[1]) > 15)
			return false;
		bytes[i] = digit(c[0]) << 4 | digit(c[1]);
	}
	*text = c;
	return true;
}

static bool read_id(const char **text, int *id)
{
	const bool all = gdb_read_char(text, '-');
	uint64_t value;

	if (!gdb_read_number(text, &value) || value > INT32_MAX)
		return false;
	*id = all ? -1 : (int)value;
	return true;
}

bool gdb_read_thread(const char **text, struct gdb_thread *thread)
{
	*thread = (struct gdb_thread){ .process = 1, .thread = -1 };
	if (!gdb_read_char(text, 'p'))
		return read_id(text, &thread->thread);
	if (!read_id(text, &thread->process))
		return false;
	return !gdb_read_char(text, '.') || read_id(text, &thread->thread);
}

/* Threads. */

bool gdb_thread_matches(struct gdb_thread pattern, struct gdb_thread thread)
{
	return (pattern.process <= 0 || pattern.process == thread.process) &&
	       (pattern.thread <= 0 || pattern.thread == thread.thread);
}

bool gdb_find_thread(struct gdb *gdb, struct gdb_thread pattern, struct gdb_thread *thread)
{
	*thread = (struct gdb_thread){ 0 };
	while (gdb->ops->next_thread(gdb->target, thread))
		if (gdb_thread_matches(pattern, *thread))
			return true;
	return false;
}

/* Clients. */

void gdb_create(struct gdb *gdb, const struct gdb_ops *ops, void *target)
{
	*gdb = (struct gdb){ .ops = ops, .target = target };
}

void gdb_connect(struct gdb *gdb, const struct gdb_stop *stop)
{
	gdb_create(gdb, gdb->ops, gdb->target);
	gdb->connected = true;
	gdb->acknowledges = true;
	gdb->stop = *stop;
	gdb->general = stop->thread;
}

void gdb_disconnect(struct gdb *gdb)
{
	if (!gdb->connected)
		return;
	gdb->connected = false;
	gdb->out_used = gdb->out_sent = 0;
	gdb->ops->gone(gdb->target);
}

/* A packet while all runs: a client that waits for a stop has no business sending one. */
static void finish(struct gdb *gdb)
{
	const bool good = gdb->sum == gdb->sum_wanted && !gdb->too_long;

	if (gdb->acknowledges)
		put(gdb, good ? '+' : '-');
	gdb->packet[gdb->used] = '\0';
	if (!good)
		return;
	if (gdb->running)
		gdb_answer(gdb, "E.it runs; only an interrupt stops it");
	else
		gdb_packet(gdb, gdb->packet, gdb->used);
}

static void take_body(struct gdb *gdb, char c)
{
	if (c == '#') {
		gdb->state = GDB_SUM1;
		return;
	}
	gdb->sum += c;
	if (gdb->used < GDB_PACKET)
		gdb->packet[gdb->used++] = c;
	else
		gdb->too_long = true;
}

static void take(struct gdb *gdb, char c)
{
	switch (gdb->state) {
	case GDB_IDLE:
		if (c == INTERRUPT && gdb->running)
			gdb->ops->interrupted(gdb->target);
		if (c != '$')
			return;
		gdb->state = GDB_BODY;
		gdb->sum = gdb->used = 0;
		gdb->too_long = false;
		return;
	case GDB_BODY:
		take_body(gdb, c);
		return;
	case GDB_SUM1:
		gdb->sum_wanted = digit(c) << 4;
		gdb->state = GDB_SUM2;
		return;
	case GDB_SUM2:
		gdb->sum_wanted |= digit(c);
		gdb->state = GDB_IDLE;
		finish(gdb);
	}
}

size_t gdb_take(struct gdb *gdb, const char *data, size_t size)
{
	size_t taken = 0;

	/* Packets that have no answer are acknowledged one after the other. */
	while (taken < size && gdb->connected && gdb->out_used < ACKNOWLEDGED_MAX)
		take(gdb, data[taken++]);
	return taken;
}

void gdb_stopped(struct gdb *gdb, const struct gdb_stop *stop)
{
	gdb->stop = *stop;
	gdb->general = stop->thread;
	if (!gdb->connected || !gdb->running)
		return;
	gdb->running = false;
	gdb_answer_stop(gdb);
}

void gdb_exited(struct gdb *gdb, unsigned int status)
{
	if (!gdb->connected || !gdb->running)
		return;
	gdb->running = false;
	gdb_begin(gdb);
	gdb_add(gdb, "W%02x;process:1", status);
	gdb_end(gdb);
}
