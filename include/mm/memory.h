/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest RAM: one range of guest physical addresses (GPA), one mapping of it in nidus (HVA).
 *
 * memory_at() is the only way from a guest address to a host one, and it always takes a length.
 * What nidus writes before the first vCPU runs goes through the load calls: they remember the
 * ranges, so that exactly those can be cleaned to the Point of Coherency (poc.h), and they end when
 * memory_seal() is called.
 */
#ifndef NIDUS_MEMORY_H
#define NIDUS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum memory_backing { MEMORY_ANON, MEMORY_MEMFD, MEMORY_HUGETLBFS };

struct memory_range {
	uint64_t start; /* GPA */
	uint64_t size; /* bytes */
};

/* A nameless file of RAM's size, which is mapped as RAM as often as wanted, once at a time. */
struct memory_file {
	int fd;
	uint64_t page_size; /* bytes: what its memory comes in */
};

/*
 * In memory, of the kernel's own 2 MiB pages (huge) or of those that it likes; or on a hugetlbfs
 * mount. Errors: -errno, said; nothing is to be closed then. -EINVAL that the size is no multiple
 * of the pages. memory_file_close(): no RAM is mapped.
 */
int memory_file_create(struct memory_file *file, uint64_t size, bool huge);
int memory_file_on_mount(struct memory_file *file, uint64_t size, const char *path);
void memory_file_close(struct memory_file *file);

#define MEMORY_TOUCHED_MAX 24

struct load_ring;
struct memory_written;

struct memory {
	uint64_t base; /* GPA, a multiple of 2 MiB */
	uint64_t size; /* bytes */
	uint8_t *host; /* HVA of base, congruent to it modulo 2 MiB or the file's page size */

	void *reserved; /* the mapping that host lies in; what surrounds RAM is inaccessible */
	uint64_t reserved_size;
	/*
	 * The file that it is mapped from, at offset 0, for others who are to map it too; open as
	 * long as RAM is there. -1: it is anonymous.
	 */
	int fd;
	struct load_ring *ring; /* load_ring_create()'s, or NULL; the owner's */
	/* What the load calls have written, sorted and disjoint. */
	struct memory_range touched[MEMORY_TOUCHED_MAX];
	unsigned int touched_count;
	bool sealed;
	struct memory_written *written; /* dirty.h's; NULL: no log is kept */
};

/*
 * Maps RAM, all zeroes. file, which outlives it: what it is made of, of the same size, or NULL with
 * MEMORY_ANON. Opens nothing. Errors: -errno, said; nothing is left mapped. -ENOMEM is that the
 * host does not give the memory, whatever its reason.
 */
int memory_create(struct memory *memory, uint64_t base, uint64_t size, enum memory_backing backing,
		  const struct memory_file *file);
/*
 * After every descriptor that holds the VM is closed. Pages of a file are given back even where
 * somebody else still maps it. May come twice, or after memory_create() has failed.
 */
void memory_destroy(struct memory *memory);

/*
 * Makes [gpa, gpa + length) of RAM, rounded to 2 MiB, of huge pages now, for which the host may not
 * do so by itself when it is touched. Before a vCPU runs. Advice only: all works as well without.
 */
void memory_collapse(const struct memory *memory, uint64_t gpa, uint64_t length);

/*
 * The host address of [gpa, gpa + length), or NULL unless all of it is RAM. Valid until
 * memory_destroy(). Any thread. Guests change what lies there at any moment.
 */
void *memory_at(const struct memory *memory, uint64_t gpa, uint64_t length);

/*
 * To be called by who has written length bytes, at least one, at host, which is memory_at()'s, once
 * they are there: for who keeps a log of such writes (dirty.h). Any thread.
 */
void memory_wrote_to(const struct memory *memory, const void *host, uint64_t length);
static inline void memory_wrote(const struct memory *memory, const void *host, uint64_t length)
{
	if (__builtin_expect(memory->written != NULL, false))
		memory_wrote_to(memory, host, length);
}

/*
 * Gives the host's pages that lie in [host, host + length) with all of theirs back to the host;
 * host is memory_at()'s. What was there reads as zeroes from then on, for all who map RAM, and
 * takes memory again when it is touched. Not of RAM of huge pages that were set aside: those would
 * not come back for certain. A worker, while vCPUs run. Returns how many bytes it were, 0 where the
 * host refuses.
 */
uint64_t memory_discard(const struct memory *memory, void *host, uint64_t length);

/*
 * Load calls: write RAM and record it. Errors: -EFAULT outside RAM, -EBUSY once sealed, -ENOSPC
 * with too many ranges. Nothing is said.
 */
int memory_load(struct memory *memory, uint64_t gpa, const void *data, uint64_t length);

/* Records the range and returns its place, for a caller that fills it before the next load call. */
int memory_load_at(struct memory *memory, uint64_t gpa, uint64_t length, void **host);

/* No load call works after this: the first vCPU is about to run. */
void memory_seal(struct memory *memory);

#endif
