/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which pages of guest RAM were written to since one asked last: by vCPUs and by what KVM does for
 * them, which KVM logs (KVM_MEM_LOG_DIRTY_PAGES), and by nidus itself, which says so by
 * memory_wrote(). While a log is kept, each first write to a page costs the guest a fault, and what
 * was mapped in blocks is mapped in pages.
 *
 * What writes to RAM behind both is not seen: vhost's back ends, and memory_discard().
 */
#ifndef NIDUS_DIRTY_H
#define NIDUS_DIRTY_H

#include "mm/page_map.h"

struct dirty_log {
	int vm_fd; /* the caller's */
	struct memory *memory; /* NULL: no log is kept */
	bool shadowed; /* as dirty_log_begin() has it */
	struct page_map taken; /* by dirty_log_take(); pages of the host's size */
};

/*
 * RAM is the whole of MEMSLOT_RAM of the VM. Nobody writes to it meanwhile: vCPUs and devices rest.
 * The loop's thread, as all that follows. shadowed: the guest is a hypervisor. KVM then goes
 * through all shadow stage 2 tables for each 64 pages that it protects again, so RAM is protected
 * as a whole, which takes that nobody writes to it. Errors: -errno, said; no log is kept then.
 */
int dirty_log_begin(struct dirty_log *log, int vm_fd, struct memory *memory, bool shadowed);

/* vCPUs and devices rest. May come without a log. */
void dirty_log_end(struct dirty_log *log);

static inline bool dirty_log_is_kept(const struct dirty_log *log)
{
	return log->memory != NULL;
}

/*
 * Takes what became dirty since the last time, or the beginning, in place of what was taken then.
 * Others may write meanwhile, unless the log is shadowed; what they have written by the time of the
 * call is in this one, or, what a device still writes for a request, in a later one. Errors:
 * -errno, said; what was taken is of no use then, nor is the log.
 */
int dirty_log_take(struct dirty_log *log);
/* The same for the last time: the log ends before anybody writes again. For less, if shadowed. */
int dirty_log_take_last(struct dirty_log *log);

/* As if what was taken, or is in other, had been written to just now: it is taken next time. */
void dirty_log_return(struct dirty_log *log, const struct page_map *other);

/* The number of bytes that were taken. */
static inline uint64_t dirty_log_bytes(const struct dirty_log *log)
{
	return page_map_bytes(&log->taken);
}

/* The first part of RAM that was taken, from an offset on: page_map_next(). */
static inline bool dirty_log_next(const struct dirty_log *log, uint64_t at,
				  struct memory_range *part)
{
	return page_map_next(&log->taken, at, part);
}

#endif
