// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bytes of a debugger's client, however they are cut up, to a target that answers as the input
 * says.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "gdb/gdb.h"

#define REGISTERS 124

static unsigned int inserted;
static volatile uint8_t sum;
static bool present;

static bool next_thread(void *target, struct gdb_thread *thread)
{
	if (thread->process == 0)
		*thread = (struct gdb_thread){ 1, 0 };
	return ++thread->thread < 4 && present;
}

static void thread_name(void *target, struct gdb_thread thread, struct gdb_text *text)
{
	gdb_text_add(text, "vCPU %d", thread.thread);
}

static int attach(void *target, int process)
{
	return process == 1 ? 0 : -ESRCH;
}

static void describe(void *target, struct gdb_text *text)
{
	for (unsigned int i = 0; i < 200; i++)
		gdb_text_add(text, "<reg name=\"x%u\" bitsize=\"64\"/>#$}*", i);
}

static unsigned int register_count(void *target)
{
	return REGISTERS;
}

static unsigned int watchpoint_count(void *target)
{
	return 4;
}

static unsigned int get_register(void *target, struct gdb_thread thread, unsigned int n,
				 uint8_t value[GDB_REGISTER], bool *known)
{
	MUST(n < REGISTERS && thread.process >= 1);
	memset(value, n, GDB_REGISTER);
	*known = n % 7 != 0;
	return n < 34 ? 8 : n < 68 ? 16 : 4;
}

static int set_register(void *target, struct gdb_thread thread, unsigned int n,
			const uint8_t value[GDB_REGISTER])
{
	MUST(n < REGISTERS);
	return n % 5 == 0 ? -ENOENT : 0;
}

static size_t read_memory(void *target, struct gdb_thread thread, uint64_t address, void *data,
			  size_t size)
{
	size = address % 3 ? size : size / 2;
	memset(data, 'm', size);
	return size;
}

static size_t write_memory(void *target, struct gdb_thread thread, uint64_t address,
			   const void *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum += ((const uint8_t *)data)[i];
	return address % 3 ? size : size / 2;
}

static int change(void *target, struct gdb_thread thread, enum gdb_point kind, uint64_t address,
		  uint64_t size)
{
	MUST(kind <= GDB_WATCH_ACCESS);
	return inserted++ % 4 ? 0 : -ENOSPC;
}

static void act(void *target, struct gdb_thread thread, enum gdb_action action)
{
}

static void resume(void *target)
{
}

static void monitor(void *target, struct gdb_thread thread, const char *line, struct gdb_text *text)
{
	for (size_t i = 0; i < strlen(line); i++)
		gdb_text_add(text, "%s", line);
}

static void told(void *target)
{
}

static const struct gdb_ops ops = {
	.next_thread = next_thread,
	.thread_name = thread_name,
	.attach = attach,
	.describe = describe,
	.register_count = register_count,
	.watchpoint_count = watchpoint_count,
	.get_register = get_register,
	.set_register = set_register,
	.read = read_memory,
	.write = write_memory,
	.insert = change,
	.remove = change,
	.act = act,
	.resume = resume,
	.monitor = monitor,
	.interrupted = told,
	.kill = told,
	.gone = told,
};

/* Packets have to have a sum: what stands between line ends is given one. */
static size_t frame(char *to, const uint8_t *body, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum = 0;

	to[0] = '$';
	for (size_t i = 0; i < size; i++)
		sum += to[1 + i] = body[i];
	to[1 + size] = '#';
	to[2 + size] = digits[sum >> 4];
	to[3 + size] = digits[sum & 0xf];
	return size + 4;
}

static void give(struct gdb *gdb, const char *data, size_t size)
{
	while (size > 0 && gdb->connected) {
		const size_t taken = gdb_take(gdb, data, size);

		MUST(taken > 0);
		MUST(gdb->out_used < sizeof(gdb->out) - 4);
		gdb->out_used = 0;
		data += taken;
		size -= taken;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct gdb_stop stop = { .thread = { 1, 1 }, .signal = GDB_SIGTRAP };
	static struct gdb gdb;
	static char packet[2 * GDB_PACKET + 4];

	if (size == 0)
		return 0;
	present = data[0] & 1;
	gdb_create(&gdb, &ops, NULL);
	gdb_connect(&gdb, &stop);
	if (data[0] & 2)
		give(&gdb, (const char *)data + 1, size - 1);
	for (size_t at = 1; at < size && !(data[0] & 2);) {
		const uint8_t *const end = memchr(data + at, '\n', size - at);
		size_t length = end ? (size_t)(end - data) - at : size - at;

		if (length > 2 * GDB_PACKET)
			length = 2 * GDB_PACKET;
		give(&gdb, packet, frame(packet, data + at, length));
		at += length + 1;
		if (data[0] & 4)
			gdb_stopped(&gdb, &stop);
		gdb.out_used = 0;
	}
	gdb_disconnect(&gdb);
	return 0;
}
