// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arm/devtree.h"
#include "fake_kvm.h"
#include "flash/flash.h"
#include "memmap.h"
#include "mm/memslot.h"
#include "unit.h"
#include "util.h"

#define BANK_1	    FLASH_BANK_SIZE
#define READY	    0x00800080u
#define BLOCK_BYTES 0x40000

static struct flash_store stores[FLASH_BANKS];
static struct device *flash;
static char path[300];

static enum mmio_result access_flash(uint64_t offset, unsigned int size, bool write,
				     uint64_t *value)
{
	struct mmio_access mmio = {
		.offset = offset,
		.size = size,
		.write = write,
		.value = *value,
	};
	enum mmio_result result = flash->ops->access(flash, &mmio);

	*value = mmio.value;
	return result;
}

/* To and from bank 1, at an offset in it, 32 bits wide. */
static void put(uint64_t offset, uint32_t value)
{
	uint64_t wide = value;

	assert_int_equal(access_flash(BANK_1 + offset, 4, true, &wide), MMIO_DONE);
}

static uint32_t get(uint64_t offset)
{
	uint64_t wide = 0;

	assert_int_equal(access_flash(BANK_1 + offset, 4, false, &wide), MMIO_DONE);
	return wide;
}

static void make_device(bool firmware)
{
	struct flash_store *both[] = { firmware ? &stores[0] : NULL, &stores[1] };

	assert_int_equal(flash_create(&flash, 3, both), 0);
}

static int begin(void **state)
{
	snprintf(path, sizeof(path), "%s/vars", scratch_begin());
	fake_kvm_reset();
	fake_kvm.capability[KVM_CAP_READONLY_MEM] = true;
	catch_begin(state);
	assert_int_equal(flash_store_create(&stores[0]), 0);
	memcpy(stores[0].content, "code", 4);
	flash_store_fill(&stores[0], 4);
	assert_int_equal(flash_store_open(&stores[1], path, FLASH_NEW_SIZE), 0);
	make_device(true);
	fake_kvm.journal[0] = '\0';
	return 0;
}

static int finish(void **state)
{
	if (flash)
		flash->ops->destroy(flash);
	flash = NULL;
	for (unsigned int i = 0; i < FLASH_BANKS; i++)
		flash_store_close(&stores[i]);
	scratch_end();
	return catch_end(state);
}

#define flash_test(function) cmocka_unit_test_setup_teardown(function, begin, finish)

/* What is in the file, at an offset. */
static uint32_t kept(uint64_t offset)
{
	uint32_t value = 0;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &value, sizeof(value), offset), sizeof(value));
	close(fd);
	return value;
}

/* Commands. */

static void says_what_it_is(void **state)
{
	put(0x55 * 4, 0x00980098);
	assert_int_equal(get(0x10 * 4), 0x00510051); /* Q */
	assert_int_equal(get(0x11 * 4), 0x00520052); /* R */
	assert_int_equal(get(0x12 * 4), 0x00590059); /* Y */
	assert_int_equal(get(0x13 * 4), 0x00010001); /* Intel's commands */
	/* Two chips make up the bank, and their blocks make up the chips. */
	assert_int_equal(2 * (UINT64_C(1) << (get(0x27 * 4) & 0xff)), FLASH_BANK_SIZE);
	assert_int_equal(((get(0x2d * 4) & 0xff) + 1) * ((get(0x30 * 4) & 0xff) << 8) * 256,
			 FLASH_BANK_SIZE / 2);
	assert_int_equal(2 * ((get(0x30 * 4) & 0xff) << 8) * 256, BLOCK_BYTES);
	assert_int_equal(get(0x31 * 4), 0x00500050); /* P, of the table that 0x15 tells of */
	assert_int_equal(get(0x15 * 4), 0x00310031);
	assert_int_equal(get(0x1000), 0);
	put(0, 0x00900090);
	assert_int_equal(get(0), 0x00890089);
	assert_int_equal(get(4), 0x00180018);
	put(0, 0x00ff00ff);
	assert_int_equal(get(0), 0xffffffff);
}

/* As U-Boot does, which takes the bank for a chip of 16 bits. */
static void takes_halfwords_and_bytes(void **state)
{
	uint64_t value = 0x98;

	assert_int_equal(access_flash(BANK_1 + 0x154, 2, true, &value), MMIO_DONE);
	assert_int_equal(access_flash(BANK_1 + 0x40, 2, false, &value), MMIO_DONE);
	assert_int_equal(value, 'Q');
	assert_int_equal(access_flash(BANK_1 + 0x40, 1, false, &value), MMIO_DONE);
	assert_int_equal(value, 'Q');
	assert_int_equal(access_flash(BANK_1 + 0x41, 1, false, &value), MMIO_DONE);
	assert_int_equal(value, 0);
	value = 0x40;
	assert_int_equal(access_flash(BANK_1, 2, true, &value), MMIO_DONE);
	value = 0x1234;
	assert_int_equal(access_flash(BANK_1 + 0x102, 2, true, &value), MMIO_DONE);
	put(0, 0xff);
	assert_int_equal(get(0x100), 0x1234ffff);
	/* Two words at once are two writes: a command and what it programs. */
	value = UINT64_C(0x5555666600400040);
	assert_int_equal(access_flash(BANK_1 + 0x200, 8, true, &value), MMIO_DONE);
	put(0, 0xff);
	assert_int_equal(get(0x204), 0x55556666);
	assert_int_equal(access_flash(BANK_1 + 0x200, 8, false, &value), MMIO_DONE);
	assert_true(value == UINT64_C(0x55556666ffffffff));
	assert_int_equal(access_flash(BANK_1 + 0x202, 4, false, &value), MMIO_BAD);
	assert_int_equal(access_flash(BANK_1 + 1, 2, true, &value), MMIO_BAD);
}

static void programs_and_erases(void **state)
{
	put(0x100, 0x00400040);
	assert_int_equal(get(0), READY);
	put(0x100, 0xf0f0f0f0);
	assert_int_equal(get(0x100), READY);
	put(0, 0x00ff00ff);
	assert_int_equal(get(0x100), 0xf0f0f0f0);
	assert_int_equal(kept(0x100), 0xf0f0f0f0);
	/* Ones stay zeroes. */
	put(0x100, 0x00100010);
	put(0x100, 0x0fff0fff);
	put(0, 0x00ff00ff);
	assert_int_equal(get(0x100), 0x00f000f0);
	assert_int_equal(kept(0x100), 0x00f000f0);
	/* A whole block, and none but that. */
	put(BLOCK_BYTES, 0x00400040);
	put(BLOCK_BYTES, 0x11111111);
	put(BLOCK_BYTES - 4, 0x00400040);
	put(BLOCK_BYTES - 4, 0x22222222);
	put(0x80, 0x00200020);
	put(0x80, 0x00d000d0);
	assert_int_equal(get(0), READY);
	put(0, 0x00ff00ff);
	assert_int_equal(get(0x100), 0xffffffff);
	assert_int_equal(get(BLOCK_BYTES - 4), 0xffffffff);
	assert_int_equal(get(BLOCK_BYTES), 0x11111111);
	assert_int_equal(kept(0x100), 0xffffffff);
	assert_int_equal(kept(BLOCK_BYTES - 4), 0xffffffff);
	assert_int_equal(kept(BLOCK_BYTES), 0x11111111);
	assert_silent();
}

static void programs_a_buffer(void **state)
{
	put(0x1000, 0x00e800e8);
	assert_int_equal(get(0x1000), READY);
	put(0x1000, 0x00030003);
	/* In any order, and not the whole window. */
	put(0x1010, 4);
	put(0x1004, 1);
	put(0x1008, 2);
	put(0x100c, 3);
	put(0, 0x00ff00ff); /* no confirmation */
	assert_int_equal(get(0), READY | 0x00300030);
	put(0, 0x00500050);
	put(0, 0x00ff00ff);
	assert_int_equal(get(0x1004), 0xffffffff);

	put(0x1000, 0x00e800e8);
	put(0x1000, 0x00010001);
	put(0x1010, 4);
	put(0x1004, 1);
	put(0x1000, 0x00d000d0);
	assert_int_equal(get(0), READY);
	put(0, 0x00ff00ff);
	assert_int_equal(get(0x1000), 0xffffffff);
	assert_int_equal(get(0x1004), 1);
	assert_int_equal(get(0x1008), 0xffffffff);
	assert_int_equal(get(0x1010), 4);
	assert_int_equal(kept(0x1004), 1);
	assert_int_equal(kept(0x1010), 4);
}

static void what_is_no_sequence_is_an_error(void **state)
{
	static const struct {
		uint32_t offset[4], value[4];
		unsigned int count;
	} cases[] = {
		{ { 0, 0 }, { 0x20, 0x40 }, 2 }, /* erase, not confirmed */
		{ { 0, 0 }, { 0x60, 0x02 }, 2 }, /* neither locked nor unlocked */
		{ { 0, 0 }, { 0xe8, 0x400 }, 2 }, /* more than the buffer has */
		{ { 0, 0, 0, 0x800 }, { 0xe8, 1, 0, 0 }, 4 }, /* out of its window */
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned int k = 0; k < cases[i].count; k++)
			put(cases[i].offset[k], cases[i].value[k]);
		assert_int_equal(get(0), READY | 0x00300030);
		/* It stays until it is cleared. */
		put(0, 0x70);
		assert_int_equal(get(0), READY | 0x00300030);
		put(0, 0x50);
		put(0, 0x70);
		assert_int_equal(get(0), READY);
		put(0, 0xff);
	}
	for (uint64_t offset = 0; offset < FLASH_NEW_SIZE; offset += 0x100)
		assert_int_equal(get(offset), 0xffffffff);
}

static void locked_blocks_stay_as_they_are(void **state)
{
	put(0x100, 0x60);
	put(0x100, 0x01);
	put(0, 0x90);
	assert_int_equal(get(8), 0x00010001);
	assert_int_equal(get(BLOCK_BYTES + 8), 0);
	put(0x100, 0x40);
	put(0x100, 0);
	assert_int_equal(get(0), READY | 0x00120012);
	put(0, 0x50);
	put(0x100, 0x20);
	put(0x100, 0xd0);
	assert_int_equal(get(0), READY | 0x00220022);
	put(0, 0x50);
	put(0x100, 0x60);
	put(0x100, 0xd0);
	put(0x100, 0x40);
	put(0x100, 7);
	put(0, 0xff);
	assert_int_equal(get(0x100), 7);
}

static void behind_its_end_a_bank_is_erased_and_locked(void **state)
{
	assert_int_equal(get(FLASH_NEW_SIZE), 0xffffffff);
	assert_int_equal(get(FLASH_BANK_SIZE - 4), 0xffffffff);
	put(FLASH_NEW_SIZE, 0x40);
	put(FLASH_NEW_SIZE, 0);
	assert_int_equal(get(0), READY | 0x00120012);
	put(FLASH_BANK_SIZE - 4, 0x50);
	put(FLASH_BANK_SIZE - 4, 0x20);
	put(FLASH_BANK_SIZE - 4, 0xd0);
	assert_int_equal(get(0), READY | 0x00220022);
	put(0, 0xff);
	assert_int_equal(get(FLASH_NEW_SIZE), 0xffffffff);
}

static void firmware_cannot_be_written_to(void **state)
{
	uint64_t value = 0x40;

	assert_int_equal(access_flash(0, 4, true, &value), MMIO_DONE);
	value = 0;
	assert_int_equal(access_flash(0, 4, true, &value), MMIO_DONE);
	assert_int_equal(access_flash(0, 4, false, &value), MMIO_DONE);
	assert_int_equal(value, READY | 0x00120012);
	assert_memory_equal(stores[0].content, "code\xff", 5);
	assert_int_equal(stores[0].size, BLOCK_BYTES);
}

/* Slots. */

static void is_memory_until_it_is_sent_a_command(void **state)
{
	char expected[200];

	put(0, 0x70);
	snprintf(expected, sizeof(expected), "set_memory_region %d 0 0x0 0x0\n", MEMSLOT_FLASH + 1);
	assert_string_equal(fake_kvm.journal, expected);
	get(0);
	put(0, 0x50);
	put(0, 0xff);
	assert_string_equal(fake_kvm.journal, expected);
	/* Back when it is read for a while, and not when commands come in between. */
	for (unsigned int i = 0; i < 7; i++)
		get(4 * i);
	put(0, 0x90);
	put(0, 0xff);
	for (unsigned int i = 0; i < 7; i++)
		get(4 * i);
	assert_string_equal(fake_kvm.journal, expected);
	get(0);
	snprintf(expected, sizeof(expected),
		 "set_memory_region %d 0 0x0 0x0\nset_memory_region %d %lu 0x4000000 0x100000\n",
		 MEMSLOT_FLASH + 1, MEMSLOT_FLASH + 1, KVM_MEM_READONLY);
	assert_string_equal(fake_kvm.journal, expected);
}

static void each_bank_has_a_slot_of_its_content(void **state)
{
	char expected[200];

	flash->ops->destroy(flash);
	fake_kvm.journal[0] = '\0';
	make_device(true);
	snprintf(expected, sizeof(expected),
		 "set_memory_region %d %lu 0x0 0x40000\n"
		 "set_memory_region %d %lu 0x4000000 0x100000\n",
		 MEMSLOT_FLASH, KVM_MEM_READONLY, MEMSLOT_FLASH + 1, KVM_MEM_READONLY);
	assert_string_equal(fake_kvm.journal, expected);
	assert_int_equal((uintptr_t)stores[0].content % MIB(2), 0);
}

static void host_without_read_only_memory(void **state)
{
	struct flash_store *both[] = { &stores[0], &stores[1] };
	struct device *other;

	fake_kvm.capability[KVM_CAP_READONLY_MEM] = false;
	assert_int_equal(flash_create(&other, 3, both), -ENOTSUP);
	assert_said("has no read-only memory");
	flash->ops->destroy(flash);
	fake_kvm.journal[0] = '\0';
	make_device(false);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(get(0), 0xffffffff);
	assert_string_equal(fake_kvm.journal, "");
}

static void a_slot_that_fails_fails_the_device(void **state)
{
	struct flash_store *both[] = { &stores[0], &stores[1] };
	struct device *other;

	fake_kvm.fails = "set_memory_region";
	fake_kvm.error = -EEXIST;
	assert_int_equal(flash_create(&other, 3, both), -EEXIST);
	assert_said("memory slot");
}

static void a_bank_that_is_not_there_does_not_answer(void **state)
{
	uint64_t value = 0;

	flash->ops->destroy(flash);
	make_device(false);
	assert_int_equal(access_flash(0, 4, false, &value), MMIO_BAD);
	assert_int_equal(access_flash(BANK_1, 4, false, &value), MMIO_DONE);
}

/* What is in it outlives the device, what it was told does not. */
static void a_new_device_has_what_the_old_one_had(void **state)
{
	put(0, 0x40);
	put(0, 5);
	put(0, 0x98);
	flash->ops->destroy(flash);
	make_device(true);
	assert_int_equal(get(0), 5);
}

static void is_in_the_tree(void **state)
{
	static const uint32_t both[] = { 0, 0, 0, FLASH_BANK_SIZE, 0, BANK_1, 0, FLASH_BANK_SIZE };
	struct devtree tree;
	const fdt32_t *reg;
	int node, size;

	assert_int_equal(devtree_create(&tree, MIB(1)), 0);
	flash->ops->describe(flash, &tree);
	assert_true(devtree_finish(&tree) > 0);
	node = fdt_path_offset(tree.blob, "/flash@0");
	assert_string_equal(fdt_getprop(tree.blob, node, "compatible", NULL), "cfi-flash");
	reg = fdt_getprop(tree.blob, node, "reg", &size);
	assert_int_equal(size, sizeof(both));
	for (unsigned int i = 0; i < ARRAY_SIZE(both); i++)
		assert_int_equal(fdt32_ld(reg + i), both[i]);
	assert_int_equal(fdt32_ld(fdt_getprop(tree.blob, node, "bank-width", NULL)), 4);
	devtree_destroy(&tree);
	assert_string_equal(flash->ops->register_name(BANK_1 + 4), "bank 1");
}

/* Files. */

static void write_file(const char *name, uint64_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void files_of_a_wrong_size_are_refused(void **state)
{
	static const uint64_t sizes[] = { 0, 1, BLOCK_BYTES - 1, BLOCK_BYTES + 1,
					  FLASH_BANK_SIZE + BLOCK_BYTES };
	struct flash_store store;
	char name[400];

	snprintf(name, sizeof(name), "%s.other", path);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		write_file(name, sizes[i]);
		assert_int_equal(flash_store_open(&store, name, FLASH_NEW_SIZE), -EINVAL);
		assert_said("should have a multiple of 256K, 64M at most");
	}
	write_file(name, FLASH_BANK_SIZE);
	assert_int_equal(flash_store_open(&store, name, FLASH_NEW_SIZE), 0);
	assert_int_equal(store.size, FLASH_BANK_SIZE);
	assert_int_equal(store.content[FLASH_BANK_SIZE - 1], 0);
	flash_store_close(&store);
}

static void what_is_no_file_is_refused(void **state)
{
	struct flash_store store;
	char name[400];

	assert_int_equal(flash_store_open(&store, "/dev/null", FLASH_NEW_SIZE), -EINVAL);
	assert_said("/dev/null: is not a regular file");
	snprintf(name, sizeof(name), "%s.missing/vars", path);
	assert_int_equal(flash_store_open(&store, name, FLASH_NEW_SIZE), -ENOENT);
	said();
}

static void one_user_at_a_time(void **state)
{
	struct flash_store store;

	assert_int_equal(flash_store_open(&store, path, FLASH_NEW_SIZE), -EBUSY);
	assert_said("a nidus uses it already");
}

static void a_file_is_made_where_there_is_none(void **state)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, FLASH_NEW_SIZE);
	assert_int_equal(kept(0), 0xffffffff);
	assert_int_equal(kept(FLASH_NEW_SIZE - 4), 0xffffffff);
}

static void without_a_file_it_is_forgotten(void **state)
{
	struct flash_store store;

	assert_int_equal(flash_store_open(&store, NULL, FLASH_NEW_SIZE), 0);
	assert_int_equal(store.size, FLASH_NEW_SIZE);
	assert_int_equal(store.content[0], 0xff);
	assert_int_equal(flash_store_write(&store, 0, 4), 0);
	flash_store_sync(&store);
	flash_store_close(&store);
	assert_silent();
}

/* As on a disk that is full: the file takes nothing any more. */
static void what_cannot_be_kept_is_an_error(void **state)
{
	const int fd = open(path, O_RDONLY);

	assert_int_equal(dup2(fd, stores[1].fd), stores[1].fd);
	close(fd);
	put(0, 0x40);
	put(0, 0);
	assert_int_equal(get(0), READY | 0x00300030);
	assert_said("the guest is told that it has failed");
	assert_int_equal(kept(0), 0xffffffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		flash_test(says_what_it_is),
		flash_test(takes_halfwords_and_bytes),
		flash_test(programs_and_erases),
		flash_test(programs_a_buffer),
		flash_test(what_is_no_sequence_is_an_error),
		flash_test(locked_blocks_stay_as_they_are),
		flash_test(behind_its_end_a_bank_is_erased_and_locked),
		flash_test(firmware_cannot_be_written_to),
		flash_test(is_memory_until_it_is_sent_a_command),
		flash_test(each_bank_has_a_slot_of_its_content),
		flash_test(host_without_read_only_memory),
		flash_test(a_slot_that_fails_fails_the_device),
		flash_test(a_bank_that_is_not_there_does_not_answer),
		flash_test(a_new_device_has_what_the_old_one_had),
		flash_test(is_in_the_tree),
		flash_test(files_of_a_wrong_size_are_refused),
		flash_test(what_is_no_file_is_refused),
		flash_test(one_user_at_a_time),
		flash_test(a_file_is_made_where_there_is_none),
		flash_test(without_a_file_it_is_forgotten),
		flash_test(what_cannot_be_kept_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
