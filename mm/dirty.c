// SPDX-License-Identifier: GPL-2.0-only
#include "mm/dirty.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/kvm.h"
#include "host/log.h"
#include "mm/memslot.h"
#include "written.h"

static int log_slot(const struct dirty_log *log, bool on)
{
	const struct memory *memory = log->memory;

	return memslot_log(log->vm_fd, MEMSLOT_RAM, memory->base, memory->host, memory->size, on);
}

/*
 * All pages are to fault when they are written to next. KVM makes shadow stage 2 read-only as well,
 * but leaves writable what CPUs have cached of it.
 */
static int protect(const struct dirty_log *log)
{
	int err = log_slot(log, true);

	if (err < 0 || !log->shadowed)
		return err;
	err = memslot_unmap_nested(log->vm_fd, log->memory->host, log->taken.page_size);
	if (err < 0)
		log_slot(log, false);
	return err;
}

/* Both bitmaps, or neither. */
static int make_maps(struct dirty_log *log, uint64_t page_size)
{
	struct memory *memory = log->memory;
	struct memory_written *written = NULL;
	int err = page_map_create(&log->taken, page_size, memory->size);

	if (err == 0)
		written =
			calloc(1, sizeof(*written) + log->taken.words * sizeof(written->words[0]));
	if (!written) {
		page_map_destroy(&log->taken);
		log_error("log of what is written to RAM: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	written->page_size = page_size;
	memory->written = written;
	return 0;
}

static void forget_maps(struct dirty_log *log)
{
	free(log->memory->written);
	log->memory->written = NULL;
	page_map_destroy(&log->taken);
	log->memory = NULL;
}

/* KVM's log is not to protect pages when it is read: they are all protected when it begins anew. */
static int protect_as_a_whole(int vm_fd)
{
	const int err = kvm_enable_with(vm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
					KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);

	if (err < 0)
		log_error("log of what is written to RAM: %s", strerror(-err));
	return err;
}

int dirty_log_begin(struct dirty_log *log, int vm_fd, struct memory *memory, bool shadowed)
{
	int err = shadowed ? protect_as_a_whole(vm_fd) : 0;

	*log = (struct dirty_log){ .vm_fd = vm_fd };
	if (err < 0)
		return err;
	log->memory = memory;
	log->shadowed = shadowed;
	err = make_maps(log, sysconf(_SC_PAGESIZE));
	if (err < 0) {
		log->memory = NULL;
		return err;
	}
	err = protect(log);
	if (err < 0)
		forget_maps(log);
	return err;
}

void dirty_log_end(struct dirty_log *log)
{
	if (!log->memory)
		return;
	/* Without it the guest goes on as well, if slower. */
	log_slot(log, false);
	forget_maps(log);
}

/* again: pages are protected for the next time. */
static int take(struct dirty_log *log, bool again)
{
	struct memory_written *written = log->memory->written;
	struct page_map *taken = &log->taken;
	int err = kvm_get_dirty_log(log->vm_fd, MEMSLOT_RAM, taken->word);

	if (err == 0 && log->shadowed && again) {
		log_slot(log, false);
		err = protect(log);
	}
	if (err < 0) {
		log_error("log of what is written to RAM: %s", strerror(-err));
		return err;
	}
	for (uint64_t i = 0; i < taken->words; i++)
		if (atomic_load_explicit(&written->words[i], memory_order_relaxed) != 0)
			taken->word[i] |= atomic_exchange_explicit(&written->words[i], 0,
								   memory_order_acquire);
	return 0;
}

int dirty_log_take(struct dirty_log *log)
{
	return take(log, true);
}

int dirty_log_take_last(struct dirty_log *log)
{
	return take(log, false);
}

void dirty_log_return(struct dirty_log *log, const struct page_map *other)
{
	const struct memory *memory = log->memory;
	struct memory_range part;

	for (uint64_t at = 0; page_map_next(&log->taken, at, &part); at = part.start + part.size)
		memory_wrote_to(memory, memory->host + part.start, part.size);
	for (uint64_t at = 0; page_map_next(other, at, &part); at = part.start + part.size)
		memory_wrote_to(memory, memory->host + part.start, part.size);
}
