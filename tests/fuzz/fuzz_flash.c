// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any sequence of accesses to two banks of flash memory, of which the second has content for a part
 * only. What is locked never changes, what is not erased never gains a one, and a bank that is
 * memory reads as what is in it.
 */
#include <string.h>

#include "flash/flash.h"
#include "fuzz.h"
#include "host/kvm.h"
#include "memmap.h"
#include "mm/memslot.h"

#define SIZE (2 * FLASH_BLOCK_SIZE)

static uint8_t code[FLASH_BLOCK_SIZE], content[SIZE], before[SIZE];
static bool slot[FLASH_BANKS];

/* In place of vmm/host/kvm.c. */

int kvm_check(int fd, unsigned int capability)
{
	return 1;
}

int kvm_set_memory_region(int vm_fd, const struct kvm_userspace_memory_region *region)
{
	const unsigned int bank = region->slot - MEMSLOT_FLASH;

	MUST(bank < FLASH_BANKS);
	MUST(slot[bank] == (region->memory_size == 0));
	slot[bank] = region->memory_size > 0;
	return 0;
}

/* Whether one block only was erased, or nothing has gained a one. */
static void check_change(void)
{
	unsigned int erased = 0;

	for (uint64_t start = 0; start < SIZE; start += FLASH_BLOCK_SIZE) {
		bool gained = false, erases = true;

		if (memcmp(content + start, before + start, FLASH_BLOCK_SIZE) == 0)
			continue;
		for (uint64_t i = start; i < start + FLASH_BLOCK_SIZE; i++) {
			gained |= content[i] & ~before[i];
			erases &= content[i] == 0xff;
		}
		MUST(!gained || erases);
		erased += erases;
		memcpy(before + start, content + start, FLASH_BLOCK_SIZE);
	}
	MUST(erased <= 1);
}

static const uint8_t commands[] = { 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90,
				    0x98, 0xb0, 0xd0, 0xe8, 0xff, 0x01 };

static void one_access(struct device *flash, struct input *input)
{
	const uint8_t kind = take(input, 1);
	const unsigned int bank = kind & 1;
	const uint64_t offset = (kind & 2 ? take(input, 3) : take(input, 1) * 4) % (2 * SIZE);
	struct mmio_access mmio = {
		.offset = bank * FLASH_BANK_SIZE + offset,
		.size = 1 << (kind >> 2 & 3),
		.write = kind & 0x10,
	};
	const bool was_memory = slot[bank];
	enum mmio_result result;

	if (mmio.write)
		mmio.value = kind & 0x20 ? commands[take(input, 1) % sizeof(commands)]
					 : take(input, mmio.size);
	result = flash->ops->access(flash, &mmio);
	MUST((result == MMIO_BAD) == (offset % mmio.size != 0));
	if (mmio.write)
		check_change();
	else if (result == MMIO_DONE && was_memory && bank == 1 && offset < SIZE)
		MUST(memcmp(&mmio.value, content + offset, mmio.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t untouched[sizeof(code)];
	struct flash_store first = {
		.fd = -1, .read_only = true, .content = code, .size = sizeof(code)
	};
	struct flash_store second = { .fd = -1, .content = content, .size = SIZE };
	struct flash_store *const stores[] = { &first, &second };
	struct input input = { data, size };
	struct device *flash;

	memset(slot, 0, sizeof(slot));
	memset(content, 0xff, SIZE);
	memset(before, 0xff, SIZE);
	MUST(flash_create(&flash, 3, stores) == 0);
	while (input.size > 0)
		one_access(flash, &input);
	MUST(memcmp(code, untouched, sizeof(code)) == 0);
	flash->ops->destroy(flash);
	return 0;
}
