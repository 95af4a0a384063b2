/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest's state is written down as, and read from again: records one after another, each a
 * name, an index and bytes, in memory. Who writes a record defines what its bytes are, a struct of
 * fixed size for the most part, in the byte order of the machine, which is little-endian.
 * docs/snapshots.md has them all.
 *
 * Records are read in the order in which they were written, so that none is left out. What is read
 * comes from a file, and so from anybody: a reader is told by these functions that a record is
 * there and how long it is, and checks what is in it.
 *
 * Both sides keep the first error, and do nothing after it: their users ask for it in the end.
 */
#ifndef NIDUS_STATE_H
#define NIDUS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

/*
 * Bytes that the state of a guest with so much RAM has at most, with room to spare: what grows with
 * RAM is tags of memory, less than a sixteenth of it.
 */
#define STATE_MAX(ram_size) (MIB(64) + (ram_size) / 16)

#define STATE_NAME 16 /* bytes of a name, filled up with zeroes */

struct state_record {
	char name[STATE_NAME];
	uint64_t index;
	uint64_t size; /* bytes that follow, then zeroes up to a multiple of 8 */
};

struct state_writer {
	uint8_t *bytes;
	size_t size, room;
	size_t open; /* where the record that is being written begins */
	int err; /* 0, or -errno, said */
};

void state_writer_create(struct state_writer *writer);
void state_writer_destroy(struct state_writer *writer);

void state_put(struct state_writer *writer, const char *name, uint64_t index, const void *bytes,
	       size_t size);
/* The same piece by piece: state_begin(), state_add() as often as wanted, state_end(). */
void state_begin(struct state_writer *writer, const char *name, uint64_t index);
void state_add(struct state_writer *writer, const void *bytes, size_t size);
void state_end(struct state_writer *writer);
/* err: -errno, said by the caller. */
void state_fail_write(struct state_writer *writer, int err);

struct state_reader {
	const uint8_t *bytes; /* aligned to 8 */
	size_t size, at;
	int err; /* 0, or -errno, said */
};

/* bytes stay the caller's, and outlive it. */
void state_reader_create(struct state_reader *reader, const void *bytes, size_t size);

/*
 * The next record's bytes, which has to be of that name and index; NULL and an error if it is not.
 * Aligned to 8.
 */
const void *state_take(struct state_reader *reader, const char *name, uint64_t index, size_t *size);
/* The same into a struct, which has to be of the record's size; false, and bytes are untouched. */
bool state_get(struct state_reader *reader, const char *name, uint64_t index, void *bytes,
	       size_t size);
/* Whether the next record is of that name. */
bool state_is_next(const struct state_reader *reader, const char *name);
/* Leaves out the next record, whatever it is; false: there is none. */
bool state_skip(struct state_reader *reader);
/* Leaves out what comes before a record of that name, or all. */
void state_seek(struct state_reader *reader, const char *name);
/* That all has been read. */
void state_done(struct state_reader *reader);

/* What a record says cannot be: -EINVAL, said with its name and why. */
void state_refuse(struct state_reader *reader, const char *name, uint64_t index, const char *why);
/* err: -errno, said by the caller. */
void state_fail_read(struct state_reader *reader, int err);

#endif
