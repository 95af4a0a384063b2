/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest in a file: its state (state.h) and its RAM. docs/snapshots.md has the format.
 *
 *   offset 0          struct snapshot_header, in a page of its own
 *   then              the state, records one after another
 *   ram_at            RAM as it is, a hole where it is zeroes or was never touched
 *   ranges_at         which parts of it are no holes, struct snapshot_range
 *
 * The header is written last. A file comes from anybody, so all that it says is checked here, and
 * in state by who reads that.
 */
#ifndef NIDUS_SNAPSHOT_H
#define NIDUS_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "mm/memory.h"
#include "state/state.h"

#define SNAPSHOT_MAGIC	 "nidusnap"
#define SNAPSHOT_VERSION 1
#define SNAPSHOT_PAGE	 4096 /* bytes: what ranges and places are a multiple of */

struct snapshot_header {
	char magic[8];
	uint32_t version;
	uint32_t zero;
	uint64_t state_at, state_size; /* bytes */
	uint64_t ram_gpa, ram_size;
	uint64_t ram_at;
	uint64_t ranges_at, range_count;
};

/* Offsets from the beginning of RAM. */
struct snapshot_range {
	uint64_t start, size; /* bytes */
};

/* Reading. */

struct snapshot {
	const char *path; /* the caller's */
	int fd;
	struct snapshot_header header;
	void *state;
	struct snapshot_range *ranges; /* ascending, apart from each other */
	uint64_t bytes; /* of all ranges */
};

/* Opens path, and reads all but RAM. Errors: -errno, said; nothing is open then. */
int snapshot_open(struct snapshot *snapshot, const char *path);
void snapshot_close(struct snapshot *snapshot);

/*
 * Into RAM of that size, which is all zeroes and no vCPU has seen; what is written there is cleaned
 * to the Point of Coherency. Errors: -errno, said.
 */
int snapshot_load(const struct snapshot *snapshot, const struct memory *memory);

/* Writing, piece by piece, by a thread that has other things to do. */

struct snapshot_writer {
	int fd, pagemap_fd; /* the caller's */
	const struct memory *memory;
	struct snapshot_header header;
	struct snapshot_range *ranges;
	uint64_t room; /* of ranges */
	uint64_t at; /* how far RAM is written */
	uint64_t bytes; /* of all ranges */
	uint8_t *buffer; /* of RAM that is read from its file */
};

/*
 * fd: an empty file. pagemap_fd: /proc/PID/pagemap of this process, by which it is known what of
 * RAM was touched. Nobody writes to RAM until the end. Errors of all: -errno, not said.
 */
int snapshot_write_begin(struct snapshot_writer *writer, int fd, int pagemap_fd,
			 const struct memory *memory, const struct state_writer *state);
/* Some MiB more. 0: that was all, and the file is whole, but not on stable storage yet. */
int snapshot_write_some(struct snapshot_writer *writer);
/* In any case. */
void snapshot_write_end(struct snapshot_writer *writer);

#endif
