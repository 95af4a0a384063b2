/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is in a bank of flash memory, for all lives of a guest, and the file that it is kept in.
 */
#ifndef NIDUS_FLASH_STORE_H
#define NIDUS_FLASH_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "memmap.h"
#include "util.h"

/* Of a bank that is made where there was none. UEFI takes three blocks, U-Boot one. */
#define FLASH_NEW_SIZE MIB(1)

struct flash_store {
	const char *path; /* the caller's; NULL: it is forgotten with nidus */
	int fd; /* has the lock; -1: nothing is written */
	bool read_only; /* for the guest */
	bool fresh; /* nothing is in it yet that somebody knows: it may be filled */
	bool unsynced; /* written since the last flash_store_sync() */
	/* HVA, congruent to a bank's GPA modulo 2 MiB; NULL unless the store is open. */
	uint8_t *content;
	uint64_t size; /* bytes, a multiple of FLASH_BLOCK_SIZE, FLASH_BANK_SIZE at most */
	void *reserved;
};

/*
 * Opens, locks and reads a file of whole blocks, and makes one of size bytes that is erased where
 * there is none. path NULL: one without a file. Errors: -errno, said.
 */
int flash_store_open(struct flash_store *store, const char *path, uint64_t size);

/*
 * One that the guest may only read, and that is filled by who asks: content has room for
 * FLASH_BANK_SIZE bytes of zeroes, of which flash_store_fill() then says how many there are; what
 * is missing of a block is as if erased. Errors: -errno, said.
 */
int flash_store_create(struct flash_store *store);
void flash_store_fill(struct flash_store *store, uint64_t bytes);

/*
 * Has the file have [start, end) of content, which has changed. It is in the host's page cache then
 * and outlives nidus, however that ends. One thread at a time. Errors: -errno, said a few times.
 */
int flash_store_write(struct flash_store *store, uint64_t start, uint64_t end);

/* Waits until the host's disk has all that was written. Errors are said. */
void flash_store_sync(struct flash_store *store);

/* No slot refers to content any more. */
void flash_store_close(struct flash_store *store);

#endif
