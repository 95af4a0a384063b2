/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What goes over a connection when a running guest moves to another nidus; docs/migration.md has
 * how both sides come to an agreement. All of it is little-endian.
 *
 *   source  struct migration_header, then frames: GUEST, PAGES and ZEROES, round after round,
 *           STATE, END, and when the other side is READY, COMMIT
 *   target  frames: READY, then RUNS or FAILED
 *
 * A frame is followed by as many bytes as it says, but for ZEROES. Who reads it believes nothing.
 */
#ifndef NIDUS_MIGRATION_H
#define NIDUS_MIGRATION_H

#include <stdint.h>

#include "util.h"

#define MIGRATION_MAGIC	  "nidusmov"
#define MIGRATION_VERSION 1
#define MIGRATION_PAGE	  4096 /* bytes: what places and sizes in RAM are a multiple of */

#define MIGRATION_GUEST_MAX KIB(4) /* of the record "guest" */
#define MIGRATION_BODY_MAX  KIB(256) /* of any other frame, zeroes included */

struct migration_header {
	char magic[8];
	uint32_t version;
	uint32_t zero;
	uint64_t ram_gpa, ram_size; /* bytes */
};

enum migration_kind {
	/* Of the source. */
	MIGRATION_GUEST = 1, /* what the machine is to be: the state's record of that name */
	MIGRATION_PAGES, /* at: offset in RAM */
	MIGRATION_ZEROES, /* at: offset in RAM; size: of what is zeroes, and does not follow */
	MIGRATION_STATE, /* at: where in the state, which comes from its beginning to its end */
	MIGRATION_END, /* at: bytes of all PAGES together; from now on nothing changes */
	MIGRATION_COMMIT, /* the guest is the target's */

	/* Of the target. */
	MIGRATION_READY = 16, /* all is there, and the guest would run */
	MIGRATION_RUNS, /* it does */
	MIGRATION_FAILED, /* it never will, though it was committed */
};

struct migration_frame {
	uint32_t kind;
	uint32_t size; /* bytes */
	uint64_t at;
};

#endif
