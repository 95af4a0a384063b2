// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. As long as the chips of a bank read as what is in them, the bank is a
 * read-only memory slot: reads, and instructions, take no exit, and writes come here as commands.
 * A command that has reads mean something else takes the slot away, and then each access comes.
 *
 * Taking a slot and giving it back costs the host as much as some dozen exits, and firmware that
 * writes to flash sends its commands in bursts, with few reads of the content in between. So the
 * slot comes back only when the content has been read by exits for a while.
 *
 * Behind what a bank has content for, it is erased and locked, and has no slot.
 */
#include "flash/flash.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "arm/devtree.h"
#include "flash_chips.h"
#include "flash_state.h"
#include "host/log.h"
#include "memmap.h"
#include "mm/memslot.h"

/* So many reads of content after a command, and the slot is back. */
#define READS_UNTIL_SLOT 8

#define WORD_BYTES 4 /* of a bank */

struct flash_bank {
	struct flash_store *store; /* NULL: there is no such bank */
	struct flash_chips chips;
	enum memslot_id slot;
	bool has_slot;
	unsigned int reads; /* of content, by exits, since the last write */
};

struct flash {
	struct device device;
	int vm_fd;
	bool slots; /* the host has what they take */

	pthread_mutex_t lock; /* guards the banks */
	struct flash_bank banks[FLASH_BANKS];
};

static uint64_t bank_gpa(const struct flash_bank *bank)
{
	return FLASH_BASE + FLASH_BANK_SIZE * (bank->slot - MEMSLOT_FLASH);
}

static int bank_give_slot(const struct flash *flash, struct flash_bank *bank)
{
	int err = memslot_add(flash->vm_fd, bank->slot, bank_gpa(bank), bank->store->content,
			      bank->store->size);

	bank->has_slot = err == 0;
	return err;
}

/* After an access; errors are said, and leave what is slower. */
static void bank_settle(const struct flash *flash, struct flash_bank *bank)
{
	const bool is_memory = flash_chips_are_memory(&bank->chips);

	if (bank->has_slot && !is_memory)
		bank->has_slot = memslot_remove(flash->vm_fd, bank->slot) < 0;
	else if (!bank->has_slot && is_memory && flash->slots && bank->reads >= READS_UNTIL_SLOT)
		bank_give_slot(flash, bank);
}

static void bank_read(struct flash_bank *bank, uint64_t offset, struct mmio_access *mmio)
{
	mmio->value = 0;
	for (unsigned int i = 0; i < mmio->size; i++)
		mmio->value |= (uint64_t)flash_chips_read(&bank->chips, offset + i) << 8 * i;
	bank->reads++;
}

/* What is wider than the bank comes as two writes. */
static void bank_write(struct flash_bank *bank, uint64_t offset, const struct mmio_access *mmio)
{
	const unsigned int size = mmio->size < WORD_BYTES ? mmio->size : WORD_BYTES;

	bank->reads = 0;
	for (unsigned int i = 0; i < mmio->size; i += size) {
		const struct flash_change change =
			flash_chips_write(&bank->chips, offset + i, mmio->value >> 8 * i, size);

		if (change.end > 0 && flash_store_write(bank->store, change.start, change.end) < 0)
			flash_chips_fail(&bank->chips);
	}
}

static enum mmio_result flash_access(struct device *device, struct mmio_access *mmio)
{
	struct flash *flash = container_of(device, struct flash, device);
	struct flash_bank *bank = &flash->banks[mmio->offset / FLASH_BANK_SIZE];
	const uint64_t offset = mmio->offset % FLASH_BANK_SIZE;

	/* What is not aligned would take two turns of the bus. */
	if (!bank->store || offset % mmio->size != 0)
		return MMIO_BAD;
	pthread_mutex_lock(&flash->lock);
	if (mmio->write)
		bank_write(bank, offset, mmio);
	else
		bank_read(bank, offset, mmio);
	bank_settle(flash, bank);
	pthread_mutex_unlock(&flash->lock);
	return MMIO_DONE;
}

static void flash_describe(const struct device *device, struct devtree *tree)
{
	const struct flash *flash = container_of(device, struct flash, device);
	uint32_t cells[4 * FLASH_BANKS];
	unsigned int count = 0;

	for (unsigned int i = 0; i < FLASH_BANKS; i++) {
		const struct flash_bank *bank = &flash->banks[i];

		if (!bank->store)
			continue;
		cells[count++] = bank_gpa(bank) >> 32;
		cells[count++] = bank_gpa(bank);
		cells[count++] = FLASH_BANK_SIZE >> 32;
		cells[count++] = (uint32_t)FLASH_BANK_SIZE;
	}
	devtree_begin_at(tree, "flash", cells[1]);
	devtree_string(tree, "compatible", "cfi-flash");
	devtree_cells(tree, "reg", cells, count);
	devtree_u32(tree, "bank-width", WORD_BYTES);
	devtree_end(tree);
}

static const char *flash_register_name(uint64_t offset)
{
	return offset < FLASH_BANK_SIZE ? "bank 0" : "bank 1";
}

static void flash_destroy(struct device *device)
{
	struct flash *flash = container_of(device, struct flash, device);

	for (unsigned int i = 0; i < FLASH_BANKS; i++)
		if (flash->banks[i].store)
			flash_store_sync(flash->banks[i].store);
	pthread_mutex_destroy(&flash->lock);
	free(flash);
}

static void flash_save(struct device *device, struct state_writer *writer)
{
	struct flash *flash = container_of(device, struct flash, device);

	for (unsigned int i = 0; i < FLASH_BANKS; i++)
		if (flash->banks[i].store) {
			flash_store_sync(flash->banks[i].store);
			flash_state_save(writer, i, &flash->banks[i].chips);
		}
}

static void bank_restore(const struct flash *flash, struct flash_bank *bank, unsigned int index,
			 struct state_reader *reader)
{
	struct flash_store *store = bank->store;
	int err;

	flash_state_restore(reader, index, &bank->chips, store->fresh);
	if (reader->err < 0)
		return;
	err = store->fresh ? flash_store_write(store, 0, store->size) : 0;
	if (err < 0)
		state_fail_read(reader, err);
	store->fresh = false;
	bank_settle(flash, bank);
}

static void flash_restore(struct device *device, struct state_reader *reader)
{
	struct flash *flash = container_of(device, struct flash, device);

	for (unsigned int i = 0; i < FLASH_BANKS; i++)
		if (flash->banks[i].store)
			bank_restore(flash, &flash->banks[i], i, reader);
}

static const struct device_ops flash_ops = {
	.name = "flash",
	.access = flash_access,
	.describe = flash_describe,
	.register_name = flash_register_name,
	.save = flash_save,
	.restore = flash_restore,
	.destroy = flash_destroy,
};

static int bank_create(const struct flash *flash, struct flash_bank *bank)
{
	const struct flash_store *store = bank->store;

	flash_chips_init(&bank->chips, store->content, store->size, store->read_only);
	return flash->slots ? bank_give_slot(flash, bank) : 0;
}

int flash_create(struct device **created, int vm_fd, struct flash_store *const stores[FLASH_BANKS])
{
	struct flash *flash;
	int err = 0;

	if (stores[0] && !memslot_can_be_read_only(vm_fd)) {
		log_error("firmware: this host's KVM has no read-only memory for it to run in");
		return -ENOTSUP;
	}
	flash = calloc(1, sizeof(*flash));
	if (!flash) {
		log_error("flash: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	flash->device = (struct device){
		.ops = &flash_ops,
		.base = FLASH_BASE,
		.size = FLASH_BANKS * FLASH_BANK_SIZE,
	};
	flash->vm_fd = vm_fd;
	flash->slots = memslot_can_be_read_only(vm_fd);
	pthread_mutex_init(&flash->lock, NULL);
	for (unsigned int i = 0; i < FLASH_BANKS && err == 0; i++) {
		flash->banks[i] = (struct flash_bank){
			.store = stores[i],
			.slot = MEMSLOT_FLASH + i,
		};
		if (stores[i])
			err = bank_create(flash, &flash->banks[i]);
	}
	if (err < 0)
		flash_destroy(&flash->device);
	else
		*created = &flash->device;
	return err;
}
