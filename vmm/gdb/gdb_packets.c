// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets of one letter: registers, memory, breakpoints, threads.
 */
#include <errno.h>
#include <string.h>

#include "gdb.h"
#include "util.h"

#define MEMORY_MAX (GDB_PACKET / 2)

/* Takes the room of a register, as digits. False: there is not so much. */
static bool take_room(size_t *room, unsigned int size)
{
	if (*room < 2 * size)
		return false;
	*room -= 2 * size;
	return true;
}

/* False: it has no room. */
static bool add_register(struct gdb *gdb, unsigned int n, size_t *room)
{
	uint8_t value[GDB_REGISTER];
	bool known = false;
	const unsigned int size =
		gdb->ops->get_register(gdb->target, gdb->general, n, value, &known);

	if (!take_room(room, size))
		return false;
	if (known)
		gdb_add_hex(gdb, value, size);
	for (unsigned int i = 0; i < size && !known; i++)
		gdb_add(gdb, "xx");
	return true;
}

/* As many as a packet holds; a client asks for the others one by one. */
static void get_registers(struct gdb *gdb)
{
	size_t room = GDB_PACKET;

	gdb_begin(gdb);
	for (unsigned int n = 0; n < gdb->ops->register_count(gdb->target); n++)
		if (!add_register(gdb, n, &room))
			break;
	gdb_end(gdb);
}

/* One register out of a packet; what is unknown (xx) stays as it is. 1: it has no room there. */
static int set_register(struct gdb *gdb, const char **text, unsigned int n, size_t *room)
{
	uint8_t value[GDB_REGISTER], old[GDB_REGISTER];
	bool known = false;
	const unsigned int size = gdb->ops->get_register(gdb->target, gdb->general, n, old, &known);

	if (!take_room(room, size))
		return 1;
	if (**text == 'x' && strlen(*text) >= 2 * size) {
		*text += 2 * size;
		return 0;
	}
	if (!gdb_read_hex(text, value, size))
		return -EINVAL;
	if (known && memcmp(old, value, size) == 0)
		return 0;
	return gdb->ops->set_register(gdb->target, gdb->general, n, value);
}

static void set_registers(struct gdb *gdb, const char *text)
{
	size_t room = GDB_PACKET;
	int err = 0;

	/*
	 * Those that cannot be set are told of by nothing but their value afterwards. There are as
	 * many as g has told of.
	 */
	for (unsigned int n = 0; n < gdb->ops->register_count(gdb->target); n++) {
		err = set_register(gdb, &text, n, &room);
		if (err == -EINVAL || err > 0)
			break;
	}
	gdb_answer_error(gdb, err == -EINVAL || *text ? -EINVAL : 0);
}

static bool read_register_number(struct gdb *gdb, const char **text, uint64_t *n)
{
	return gdb_read_number(text, n) && *n < gdb->ops->register_count(gdb->target);
}

static void get_register(struct gdb *gdb, const char *text)
{
	size_t room = GDB_PACKET;
	uint64_t n;

	if (!read_register_number(gdb, &text, &n)) {
		gdb_answer_error(gdb, -EINVAL);
		return;
	}
	gdb_begin(gdb);
	add_register(gdb, n, &room);
	gdb_end(gdb);
}

static void set_one_register(struct gdb *gdb, const char *text)
{
	size_t room = GDB_PACKET;
	int err = -EINVAL;
	uint64_t n;

	if (read_register_number(gdb, &text, &n) && gdb_read_char(&text, '='))
		err = set_register(gdb, &text, n, &room);
	gdb_answer_error(gdb, err);
}

/* ADDRESS,LENGTH */
static bool read_range(const char **text, uint64_t *address, uint64_t *size)
{
	return gdb_read_number(text, address) && gdb_read_char(text, ',') &&
	       gdb_read_number(text, size);
}

static void read_memory(struct gdb *gdb, const char *text)
{
	uint8_t data[MEMORY_MAX];
	uint64_t address, size;

	if (!read_range(&text, &address, &size)) {
		gdb_answer_error(gdb, -EINVAL);
		return;
	}
	if (size > sizeof(data))
		size = sizeof(data);
	size = gdb->ops->read(gdb->target, gdb->general, address, data, size);
	if (size == 0) {
		gdb_answer_error(gdb, -EFAULT);
		return;
	}
	gdb_begin(gdb);
	gdb_add_hex(gdb, data, size);
	gdb_end(gdb);
}

/* Takes the escapes out of what is left of a packet, in place; returns how long it is then. */
static size_t unescape(char *data, const char *end)
{
	char *to = data;

	for (const char *from = data; from < end; from++)
		*to++ = *from == '}' && from + 1 < end ? *++from ^ 0x20 : *from;
	return to - data;
}

static void write_memory(struct gdb *gdb, char *packet, size_t packet_size, bool binary)
{
	const char *text = packet + 1;
	uint8_t data[MEMORY_MAX];
	uint64_t address, size;
	const void *from = data;
	bool good = read_range(&text, &address, &size) && gdb_read_char(&text, ':');

	if (good && binary) {
		good = unescape((char *)text, packet + packet_size) == size;
		from = text;
	} else if (good) {
		good = size <= sizeof(data) && gdb_read_hex(&text, data, size);
	}
	if (!good)
		gdb_answer_error(gdb, -EINVAL);
	else if (gdb->ops->write(gdb->target, gdb->general, address, from, size) != size)
		gdb_answer_error(gdb, -EFAULT);
	else
		gdb_answer(gdb, "OK");
}

/* Ztype,address,kind: kind is the size in bytes of an instruction or of what is watched. */
static void point(struct gdb *gdb, const char *text, bool insert)
{
	uint64_t kind, address, size;

	if (!gdb_read_number(&text, &kind) || !gdb_read_char(&text, ',') ||
	    !read_range(&text, &address, &size))
		gdb_answer_error(gdb, -EINVAL);
	else if (kind > GDB_WATCH_ACCESS)
		gdb_answer(gdb, "");
	else if (insert)
		gdb_answer_error(gdb,
				 gdb->ops->insert(gdb->target, gdb->general, kind, address, size));
	else
		gdb_answer_error(gdb,
				 gdb->ops->remove(gdb->target, gdb->general, kind, address, size));
}

static void select_thread(struct gdb *gdb, const char *text)
{
	const bool general = *text == 'g';
	struct gdb_thread pattern, thread;

	text++;
	if (!gdb_read_thread(&text, &pattern) || !gdb_find_thread(gdb, pattern, &thread)) {
		gdb_answer_error(gdb, -ESRCH);
		return;
	}
	if (!general)
		gdb->moved = pattern.thread > 0 ? thread : (struct gdb_thread){ 0 };
	else if (!gdb_thread_matches(pattern, gdb->general))
		gdb->general = thread;
	gdb_answer(gdb, "OK");
}

static void is_alive(struct gdb *gdb, const char *text)
{
	struct gdb_thread pattern, thread;

	gdb_answer_error(gdb,
			 gdb_read_thread(&text, &pattern) && gdb_find_thread(gdb, pattern, &thread)
				 ? 0
				 : -ESRCH);
}

static void detach(struct gdb *gdb)
{
	gdb_answer(gdb, "OK");
	/* What is to be sent still is; the target goes on already. */
	gdb->connected = false;
	gdb->ops->gone(gdb->target);
}

/* The thread that a packet about registers is for, taken off its end: ;thread:ID; */
static bool take_thread(struct gdb *gdb, char *packet, struct gdb_thread *thread)
{
	char *const suffix = strstr(packet, ";thread:");
	struct gdb_thread pattern;
	const char *text;

	*thread = gdb->general;
	if (!suffix)
		return true;
	*suffix = '\0';
	text = suffix + strlen(";thread:");
	return gdb_read_thread(&text, &pattern) && gdb_read_char(&text, ';') &&
	       gdb_find_thread(gdb, pattern, thread);
}

static void registers_packet(struct gdb *gdb, char *packet)
{
	const struct gdb_thread general = gdb->general;
	const char *const rest = packet + 1;

	if (!take_thread(gdb, packet, &gdb->general))
		gdb_answer_error(gdb, -ESRCH);
	else if (packet[0] == 'g')
		get_registers(gdb);
	else if (packet[0] == 'G')
		set_registers(gdb, rest);
	else if (packet[0] == 'p')
		get_register(gdb, rest);
	else
		set_one_register(gdb, rest);
	gdb->general = general;
}

void gdb_packet(struct gdb *gdb, char *packet, size_t size)
{
	const char *const rest = packet + 1;

	switch (packet[0]) {
	case '?':
		gdb_answer_stop(gdb);
		return;
	case '!':
		gdb_answer(gdb, "OK");
		return;
	case 'g':
	case 'G':
	case 'p':
	case 'P':
		registers_packet(gdb, packet);
		return;
	case 'm':
		read_memory(gdb, rest);
		return;
	case 'M':
	case 'X':
		write_memory(gdb, packet, size, packet[0] == 'X');
		return;
	case 'Z':
	case 'z':
		point(gdb, rest, packet[0] == 'Z');
		return;
	case 'H':
		select_thread(gdb, rest);
		return;
	case 'c':
	case 'C':
	case 's':
	case 'S':
		gdb_move(gdb, packet);
		return;
	case 'T':
		is_alive(gdb, rest);
		return;
	case 'D':
		detach(gdb);
		return;
	case 'k':
		gdb->ops->kill(gdb->target);
		return;
	default:
		/* An empty answer is that it is not supported. */
		if (!strchr("qQv", packet[0]) || !packet[0] || !gdb_query(gdb, packet))
			gdb_answer(gdb, "");
	}
}
