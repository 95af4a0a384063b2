/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest in a file: its state (state.h) and its RAM. docs/snapshots.md has the format.
 *
 *   offset 0          struct snapshot_header, in a page of its own
 *   ram_at            RAM as it is, a hole where it is zeroes, or not in this file
 *   ranges_at         which parts of it are in this file, struct snapshot_range
 *   state_at          the state, records one after another
 *
 * The header is written last. A file comes from anybody, so all that it says is checked here, and
 * in state by who reads that.
 *
 * An increment has of RAM what was written to since another snapshot of the same guest was made,
 * its base, which may be one itself: what is in none of them is zeroes.
 */
#ifndef NIDUS_SNAPSHOT_H
#define NIDUS_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "mm/dirty.h"
#include "mm/lazy.h"
#include "mm/memory.h"
#include "state/state.h"

#define SNAPSHOT_MAGIC	 "nidusnap"
#define SNAPSHOT_VERSION 2
#define SNAPSHOT_PAGE	 4096 /* bytes: what ranges and places are a multiple of */

/* Random; all zeroes: none. */
struct snapshot_id {
	uint8_t bytes[16];
};

struct snapshot_header {
	char magic[8];
	uint32_t version;
	uint32_t zero;
	uint64_t state_at, state_size; /* bytes */
	uint64_t ram_gpa, ram_size;
	uint64_t ram_at;
	uint64_t ranges_at, range_count;
	struct snapshot_id id, base; /* base: none where all of RAM is here */
};

/* Offsets from the beginning of RAM. */
struct snapshot_range {
	uint64_t start, size; /* bytes */
};

bool snapshot_id_is_none(const struct snapshot_id *id);
bool snapshot_id_equals(const struct snapshot_id *one, const struct snapshot_id *other);

/* Reading. */

struct snapshot {
	const char *path; /* the caller's */
	int fd;
	uint64_t file_size; /* bytes */
	struct snapshot_header header;
	void *state;
	struct snapshot_range *ranges; /* ascending, apart from each other */
	uint64_t bytes; /* of all ranges */
	const uint8_t *ram; /* RAM as the file has it, ram_size bytes, to be read within ranges */
	struct snapshot *base; /* snapshot_join()'s; NULL: none */
};

/*
 * Opens path, and reads all but RAM, which is mapped: a file that is cut afterwards is a fault of
 * who reads that (SIGBUS). Errors: -errno, said; nothing is open then.
 */
int snapshot_open(struct snapshot *snapshot, const char *path);
void snapshot_close(struct snapshot *snapshot);

/* The id of the snapshot that path is, no more. Errors: -errno, said. */
int snapshot_identify(const char *path, struct snapshot_id *id);

/*
 * Finds the bases of an increment, and theirs, among count others, which outlive it. Errors:
 * -errno, said: one is missing, is of no use, or of another guest.
 */
int snapshot_join(struct snapshot *snapshot, struct snapshot *others, unsigned int count);

/*
 * Into RAM of that size, which is all zeroes and no vCPU has seen, with what the bases have; what
 * is written there is cleaned to the Point of Coherency. Errors: -errno, said.
 */
int snapshot_load(const struct snapshot *snapshot, const struct memory *memory);

/* The same, when it is touched. */
struct snapshot_source {
	struct lazy_source source;
	const struct snapshot *snapshot;
};

/*
 * source is the caller's, until lazy_end(); the rest as lazy_begin() has it. Errors: -errno;
 * -EINVAL, said: RAM is of another size; others, not said: then snapshot_load() may still.
 */
int snapshot_load_lazily(struct snapshot_source *source, const struct snapshot *snapshot,
			 struct lazy *lazy, int fd, const struct memory *memory,
			 struct verdict *verdict);

/*
 * Writing, piece by piece, by a thread that has other things to do. RAM may be written to
 * meanwhile: it is gone over as often as wanted, and what was there last is what counts.
 */

struct snapshot_writer {
	int fd, pagemap_fd; /* the caller's */
	const struct memory *memory;
	struct snapshot_header header;
	struct page_map has; /* what of RAM is in the file */
	const struct dirty_log *log; /* what of RAM is gone over now; NULL: what was ever touched */
	uint64_t at; /* how far that is */
	uint64_t bytes; /* of all ranges */
	uint8_t *buffer; /* of RAM that is read from its file */
};

/*
 * fd: an empty file. pagemap_fd: /proc/PID/pagemap of this process, by which it is known what of
 * RAM was touched. base: the file is to be an increment, or NULL. Errors of all: -errno, not said.
 */
int snapshot_write_begin(struct snapshot_writer *writer, int fd, int pagemap_fd,
			 const struct memory *memory, const struct snapshot_id *base);
/*
 * Goes over RAM: over what log has taken, or, where it is NULL, over all that was ever touched;
 * snapshot_write_some() some MiB a time, until it returns 0.
 */
void snapshot_write_pass(struct snapshot_writer *writer, const struct dirty_log *log);
int snapshot_write_some(struct snapshot_writer *writer);
/* Nobody has written to RAM since the last pass began. The file is whole then, but not on stable
 * storage yet. */
int snapshot_write_finish(struct snapshot_writer *writer, const struct state_writer *state);
/* In any case. */
void snapshot_write_end(struct snapshot_writer *writer);

#endif
