/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GDB's remote serial protocol (Debugging with GDB, appendix E), apart from what is debugged and
 * from what carries it: packets in, packets out, and a target that is a struct of functions. All
 * stops at once, or nothing does; the client's processes are the levels of a nest, its threads
 * vCPUs.
 *
 * The client may be anybody: a packet is as long as the buffer at most, and input is taken only
 * while there is room for an answer. Everything here is for the thread that turns the event loop.
 */
#ifndef NIDUS_GDB_H
#define NIDUS_GDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GDB_PACKET   4096 /* bytes between $ and # */
#define GDB_REGISTER 256 /* bytes of the longest register */

/* Both from 1 on; 0: any of them, -1: all. */
struct gdb_thread {
	int process, thread;
};

enum gdb_action { GDB_STAY, GDB_CONTINUE, GDB_STEP };

/* As Z packets number them. */
enum gdb_point {
	GDB_BREAK_SOFTWARE,
	GDB_BREAK_HARDWARE,
	GDB_WATCH_WRITE,
	GDB_WATCH_READ,
	GDB_WATCH_ACCESS,
};

/* Why all has stopped. */
struct gdb_stop {
	struct gdb_thread thread;
	unsigned int signal;
	const char *reason; /* "swbreak", "watch" and so on, or NULL */
	uint64_t address; /* of a watchpoint */
};

#define GDB_SIGINT  2
#define GDB_SIGTRAP 5

/*
 * A text of which a part is wanted, what is between skip and skip + room; length: of the whole, as
 * it is appended to.
 */
struct gdb_text {
	char *to;
	size_t room, skip, length;
};

void gdb_text_add(struct gdb_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * What is debugged. But for interrupted() and gone() all is called only while it is stopped.
 * Errors: -errno.
 */
struct gdb_ops {
	/* The thread after that one, {0, 0} being before the first; false: there is none. */
	bool (*next_thread)(void *target, struct gdb_thread *thread);
	void (*thread_name)(void *target, struct gdb_thread thread, struct gdb_text *text);
	/* Lets the client have a process that it names; -ESRCH: there can be none. */
	int (*attach)(void *target, int process);
	/* The target description, XML, whose registers are numbered from 0 on without a gap. */
	void (*describe)(void *target, struct gdb_text *text);
	unsigned int (*register_count)(void *target);
	/* In the target's byte order; returns its size. *known: it has a value at present. */
	unsigned int (*get_register)(void *target, struct gdb_thread thread, unsigned int n,
				     uint8_t value[GDB_REGISTER], bool *known);
	int (*set_register)(void *target, struct gdb_thread thread, unsigned int n,
			    const uint8_t value[GDB_REGISTER]);
	/* How many bytes from the beginning there were. */
	size_t (*read)(void *target, struct gdb_thread thread, uint64_t address, void *data,
		       size_t size);
	size_t (*write)(void *target, struct gdb_thread thread, uint64_t address, const void *data,
			size_t size);
	unsigned int (*watchpoint_count)(void *target); /* how many there may be */
	/* The process of thread counts. */
	int (*insert)(void *target, struct gdb_thread thread, enum gdb_point kind, uint64_t address,
		      uint64_t size);
	int (*remove)(void *target, struct gdb_thread thread, enum gdb_point kind, uint64_t address,
		      uint64_t size);
	/* What each thread is to do, then all of it at once; gdb_stopped() tells of the end. */
	void (*act)(void *target, struct gdb_thread thread, enum gdb_action action);
	void (*resume)(void *target);
	/* A line of the user's, and what he is told. */
	void (*monitor)(void *target, struct gdb_thread thread, const char *line,
			struct gdb_text *text);
	void (*interrupted)(void *target);
	void (*kill)(void *target);
	/* The client has let go, or has gone: of it nothing is left in what was debugged. */
	void (*gone)(void *target);
};

struct gdb {
	const struct gdb_ops *ops;
	void *target;

	bool connected, running;
	bool acknowledges, names_reasons;
	struct gdb_thread general; /* of Hg */
	struct gdb_thread moved; /* of Hc; all zero: none alone */
	struct gdb_thread listed; /* the last that a client was told of */
	struct gdb_stop stop; /* the last one */

	enum { GDB_IDLE, GDB_BODY, GDB_SUM1, GDB_SUM2 } state;
	uint8_t sum, sum_wanted;
	size_t used; /* of packet */
	bool too_long;
	char packet[GDB_PACKET + 1];

	/* To be sent; input waits while there is something. */
	size_t out_used, out_sent;
	char out[2 * GDB_PACKET + 64];
};

void gdb_create(struct gdb *gdb, const struct gdb_ops *ops, void *target);

/* A client has come, to what stands already, as stop says; it has gone, by whatever way. */
void gdb_connect(struct gdb *gdb, const struct gdb_stop *stop);
void gdb_disconnect(struct gdb *gdb);

/*
 * Takes what a client has sent, and returns how much of it: less than all where an answer has to be
 * sent first.
 */
size_t gdb_take(struct gdb *gdb, const char *data, size_t size);

/* For the target: all have stopped; it has ended for good. */
void gdb_stopped(struct gdb *gdb, const struct gdb_stop *stop);
void gdb_exited(struct gdb *gdb, unsigned int status);

#endif
