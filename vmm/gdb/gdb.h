/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the protocol's parts have in common: reading a packet's text, and writing an answer.
 */
#ifndef NIDUS_GDB_PARTS_H
#define NIDUS_GDB_PARTS_H

#include "gdb/gdb.h"

/* An answer: begun, appended to, ended. No answer is longer than gdb->out has room for. */
void gdb_begin(struct gdb *gdb);
void gdb_add(struct gdb *gdb, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gdb_add_hex(struct gdb *gdb, const void *data, size_t size);
/* As binary data of X packets and qXfer answers is escaped. */
void gdb_add_binary(struct gdb *gdb, const char *data, size_t size);
void gdb_add_thread(struct gdb *gdb, struct gdb_thread thread);
void gdb_end(struct gdb *gdb);

/* An answer of a word, formatted. */
void gdb_answer(struct gdb *gdb, const char *text);
/* OK, or what is wrong. */
void gdb_answer_error(struct gdb *gdb, int err);
void gdb_answer_stop(struct gdb *gdb);

/*
 * Readers go on at *text and leave it behind what they have read; false: it is something else.
 */
bool gdb_read_number(const char **text, uint64_t *value);
bool gdb_read_char(const char **text, char wanted);
/* pPROCESS.THREAD, or THREAD of the first process. */
bool gdb_read_thread(const char **text, struct gdb_thread *thread);
/* Hexadecimal digits, two a byte; exactly size bytes. */
bool gdb_read_hex(const char **text, void *data, size_t size);

/* A packet that is complete, its end marked by a zero byte. */
void gdb_packet(struct gdb *gdb, char *packet, size_t size);
/*
 * c, C, s and S, which count for the thread of Hc: alone if it is one, and else all go on, a step
 * being the general thread's.
 */
void gdb_move(struct gdb *gdb, const char *packet);
/* Those that begin with q, Q or v; false: unknown. */
bool gdb_query(struct gdb *gdb, const char *packet);
/* Whether a thread is one that thread stands for. */
bool gdb_thread_matches(struct gdb_thread pattern, struct gdb_thread thread);
/* The first thread that pattern stands for; false: there is none. */
bool gdb_find_thread(struct gdb *gdb, struct gdb_thread pattern, struct gdb_thread *thread);

#endif
