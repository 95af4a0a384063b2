// SPDX-License-Identifier: GPL-2.0-only
#include "mm/dirty.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/kvm.h"
#include "host/log.h"
#include "mm/memslot.h"
#include "util.h"

#define WORD_BITS 64

/* nidus's own part of it, which any thread may add to. */
struct memory_written {
	uint64_t page_size; /* bytes */
	_Atomic uint64_t words[];
};

/* One bit after the other is as good as any: a device writes few pages at a time. */
void memory_wrote_to(const struct memory *memory, const void *host, uint64_t length)
{
	struct memory_written *written = memory->written;
	const uint64_t offset = (const uint8_t *)host - memory->host;
	uint64_t page = offset / written->page_size;
	const uint64_t last = (offset + length - 1) / written->page_size;

	for (; page <= last; page++)
		atomic_fetch_or_explicit(&written->words[page / WORD_BITS],
					 UINT64_C(1) << page % WORD_BITS, memory_order_release);
}

static int log_slot(const struct dirty_log *log, bool on)
{
	const struct memory *memory = log->memory;

	return memslot_log(log->vm_fd, MEMSLOT_RAM, memory->base, memory->host, memory->size, on);
}

int dirty_log_begin(struct dirty_log *log, int vm_fd, struct memory *memory)
{
	const uint64_t page_size = sysconf(_SC_PAGESIZE);
	const uint64_t pages = align_up(memory->size, page_size) / page_size;
	struct memory_written *written;
	int err;

	*log = (struct dirty_log){
		.vm_fd = vm_fd,
		.memory = memory,
		.page_size = page_size,
		.words = align_up(pages, WORD_BITS) / WORD_BITS,
	};
	log->taken = calloc(log->words, sizeof(*log->taken));
	written = calloc(1, sizeof(*written) + log->words * sizeof(written->words[0]));
	if (log->taken && written) {
		written->page_size = page_size;
		memory->written = written;
		err = log_slot(log, true);
		if (err == 0)
			return 0;
	} else {
		err = -ENOMEM;
		log_error("log of what is written to RAM: %s", strerror(-err));
	}
	memory->written = NULL;
	free(written);
	free(log->taken);
	log->memory = NULL;
	return err;
}

void dirty_log_end(struct dirty_log *log)
{
	if (!log->memory)
		return;
	/* Without it the guest goes on as well, if slower. */
	log_slot(log, false);
	free(log->memory->written);
	log->memory->written = NULL;
	free(log->taken);
	log->memory = NULL;
}

int dirty_log_take(struct dirty_log *log)
{
	struct memory_written *written = log->memory->written;
	const int err = kvm_get_dirty_log(log->vm_fd, MEMSLOT_RAM, log->taken);

	if (err < 0) {
		log_error("log of what is written to RAM: %s", strerror(-err));
		return err;
	}
	for (uint64_t i = 0; i < log->words; i++)
		if (atomic_load_explicit(&written->words[i], memory_order_relaxed) != 0)
			log->taken[i] |= atomic_exchange_explicit(&written->words[i], 0,
								  memory_order_acquire);
	return 0;
}

uint64_t dirty_log_bytes(const struct dirty_log *log)
{
	uint64_t pages = 0;

	for (uint64_t i = 0; i < log->words; i++)
		pages += __builtin_popcountll(log->taken[i]);
	return pages * log->page_size;
}

/* The first page from page on whose bit is as wanted, or the number of all bits. */
static uint64_t find(const struct dirty_log *log, uint64_t page, bool set)
{
	while (page < log->words * WORD_BITS) {
		const uint64_t word = log->taken[page / WORD_BITS];
		const uint64_t left = (set ? word : ~word) >> page % WORD_BITS;

		if (left != 0)
			return page + __builtin_ctzll(left);
		page = align_down(page, WORD_BITS) + WORD_BITS;
	}
	return log->words * WORD_BITS;
}

bool dirty_log_next(const struct dirty_log *log, uint64_t at, struct memory_range *part)
{
	const uint64_t first = find(log, at / log->page_size, true);
	uint64_t end = find(log, first, false) * log->page_size;

	part->start = first * log->page_size;
	if (part->start >= log->memory->size)
		return false;
	if (end > log->memory->size)
		end = log->memory->size;
	if (part->start < at)
		part->start = at;
	part->size = end - part->start;
	return true;
}
