// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flash memory that is saved, and goes on in another device, in the midst of what its guest does.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake_kvm.h"
#include "flash/flash.h"
#include "memmap.h"
#include "unit.h"
#include "util.h"

#define BANK_1 FLASH_BANK_SIZE
#define READY  0x00800080u

/* Where what it is about begins in the record "flash", struct chips_state. */
#define AT_SIZE	  0
#define AT_WINDOW 8
#define AT_WANTED 16
#define AT_MODE	  20
#define AT_STEP	  21

static struct flash_store stores[FLASH_BANKS], others[FLASH_BANKS];
static struct device *flash, *other;
static struct state_writer writer;
static struct state_reader reader;
static char path[300];

static void put_at(struct device *device, uint64_t offset, uint32_t value)
{
	struct mmio_access mmio = { .offset = BANK_1 + offset, .size = 4, .write = true };

	mmio.value = value;
	assert_int_equal(device->ops->access(device, &mmio), MMIO_DONE);
}

static uint32_t get_at(struct device *device, uint64_t offset)
{
	struct mmio_access mmio = { .offset = offset, .size = 4 };

	assert_int_equal(device->ops->access(device, &mmio), MMIO_DONE);
	return mmio.value;
}

static void make(struct device **device, struct flash_store *both, const char *file)
{
	struct flash_store *const each[] = { &both[0], &both[1] };

	assert_int_equal(flash_store_create(&both[0]), 0);
	assert_int_equal(flash_store_open(&both[1], file, FLASH_NEW_SIZE), 0);
	flash_store_fill(&both[0], FLASH_BLOCK_SIZE);
	assert_int_equal(flash_create(device, 3, each), 0);
}

static int begin(void **state)
{
	snprintf(path, sizeof(path), "%s/vars", scratch_begin());
	fake_kvm_reset();
	fake_kvm.capability[KVM_CAP_READONLY_MEM] = true;
	catch_begin(state);
	make(&flash, stores, NULL);
	memcpy(stores[0].content + 100, "code", 4);
	state_writer_create(&writer);
	return 0;
}

static void destroy(struct device **device, struct flash_store *both)
{
	if (*device)
		(*device)->ops->destroy(*device);
	*device = NULL;
	for (unsigned int i = 0; i < FLASH_BANKS; i++)
		if (both[i].content)
			flash_store_close(&both[i]);
}

static int finish(void **state)
{
	destroy(&flash, stores);
	destroy(&other, others);
	state_writer_destroy(&writer);
	scratch_end();
	return catch_end(state);
}

#define state_test(function) cmocka_unit_test_setup_teardown(function, begin, finish)

static void save(void)
{
	flash->ops->save(flash, &writer);
	assert_int_equal(writer.err, 0);
}

/* Into one whose variables are in a file, or are forgotten with it. */
static void restore(const char *file)
{
	make(&other, others, file);
	state_reader_create(&reader, writer.bytes, writer.size);
	other->ops->restore(other, &reader);
}

static void goes_on(void)
{
	restore(NULL);
	assert_int_equal(reader.err, 0);
	state_done(&reader);
	assert_int_equal(reader.err, 0);
}

static void what_is_in_it_is_there(void **state)
{
	put_at(flash, 0x4000, 0x40);
	put_at(flash, 0x4000, 0x12345678);
	put_at(flash, 0, 0xff);
	memset(stores[1].content + 0x8000, 0, 0x10000);
	save();
	/* What is the same all over takes no room. */
	assert_true(writer.size < KIB(20));
	goes_on();
	assert_int_equal(get_at(other, BANK_1 + 0x4000), 0x12345678);
	for (unsigned int i = 0; i < FLASH_BANKS; i++) {
		assert_int_equal(others[i].size, stores[i].size);
		assert_memory_equal(others[i].content, stores[i].content, stores[i].size);
	}
}

static void a_buffer_that_is_half_full_is_filled(void **state)
{
	put_at(flash, 0x1000, 0xe8);
	put_at(flash, 0x1000, 1); /* two writes */
	put_at(flash, 0x1004, 0x11223344);
	save();
	goes_on();
	put_at(other, 0x1008, 0x55667788);
	put_at(other, 0x1000, 0xd0);
	assert_int_equal(get_at(other, BANK_1), READY);
	put_at(other, 0, 0xff);
	assert_int_equal(get_at(other, BANK_1 + 0x1004), 0x11223344);
	assert_int_equal(get_at(other, BANK_1 + 0x1008), 0x55667788);
}

static void so_is_an_erasure_confirmed(void **state)
{
	put_at(flash, 0, 0x40);
	put_at(flash, 0, 0);
	put_at(flash, 0, 0x20);
	save();
	goes_on();
	put_at(other, 0, 0xd0);
	put_at(other, 0, 0xff);
	assert_int_equal(get_at(other, BANK_1), 0xffffffff);
}

static void locks_and_errors_stay(void **state)
{
	put_at(flash, FLASH_BLOCK_SIZE, 0x60);
	put_at(flash, FLASH_BLOCK_SIZE, 0x01);
	put_at(flash, FLASH_BLOCK_SIZE, 0x40);
	put_at(flash, FLASH_BLOCK_SIZE, 0);
	save();
	goes_on();
	assert_int_equal(get_at(other, BANK_1), READY | 0x00120012);
	put_at(other, 0, 0x50);
	put_at(other, FLASH_BLOCK_SIZE, 0x40);
	put_at(other, FLASH_BLOCK_SIZE, 0);
	assert_int_equal(get_at(other, BANK_1), READY | 0x00120012);
}

static void its_slots_are_as_its_modes(void **state)
{
	put_at(flash, 0, 0x90);
	save();
	fake_kvm.journal[0] = '\0';
	goes_on();
	assert_string_equal(fake_kvm.journal, "set_memory_region 4 2 0x0 0x40000\n"
					      "set_memory_region 5 2 0x4000000 0x100000\n"
					      "set_memory_region 5 0 0x0 0x0\n");
	assert_int_equal(get_at(other, BANK_1), 0x00890089);
}

static void a_new_file_has_it(void **state)
{
	uint32_t kept = 0;
	FILE *file;

	put_at(flash, 0x2000, 0x40);
	put_at(flash, 0x2000, 0xcafe0123);
	save();
	restore(path);
	assert_int_equal(reader.err, 0);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0x2000, SEEK_SET), 0);
	assert_int_equal(fread(&kept, 1, sizeof(kept), file), sizeof(kept));
	fclose(file);
	assert_int_equal(kept, 0xcafe0123);

	/* And by now it is a file as it was then. */
	destroy(&other, others);
	restore(path);
	assert_int_equal(reader.err, 0);
}

static void a_file_of_others_is_not_written_to(void **state)
{
	make(&other, others, path);
	put_at(other, 0, 0x40);
	put_at(other, 0, 0x01020304);
	destroy(&other, others);
	save();
	restore(path);
	assert_int_equal(reader.err, -EINVAL);
	assert_said("flash (0x1) is not what is in the file that was given for it");
	put_at(other, 0, 0xff);
	assert_int_equal(get_at(other, BANK_1), 0x01020304);
}

/* The records of bank 0, with a byte, or bytes, of another value. */
static void refuses(size_t at, const void *bytes, size_t size)
{
	state_writer_destroy(&writer);
	state_writer_create(&writer);
	save();
	memcpy(writer.bytes + at, bytes, size);
	restore(NULL);
	assert_int_equal(reader.err, -EINVAL);
	assert_said("flash (0x0)");
	destroy(&other, others);
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint64_t value;
		size_t size;
	} wrong[] = {
		{ AT_SIZE, 0, 8 },	   { AT_SIZE, KIB(512), 8 }, { AT_WINDOW, 2, 8 },
		{ AT_WINDOW, MIB(64), 8 }, { AT_WANTED, 2049, 4 },   { AT_MODE, 4, 1 },
		{ AT_STEP, 7, 1 },	   { AT_STEP, 5, 1 }, /* data, of which none is wanted */
	};
	const uint32_t lengths[] = { 0, 2, 64, 65, UINT32_MAX };
	size_t content;

	save();
	state_reader_create(&reader, writer.bytes, writer.size);
	state_skip(&reader);
	content = reader.at + sizeof(struct state_record);
	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++)
		refuses(sizeof(struct state_record) + wrong[i].at, &wrong[i].value, wrong[i].size);
	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++)
		refuses(content, &lengths[i], sizeof(lengths[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		state_test(what_is_in_it_is_there),
		state_test(a_buffer_that_is_half_full_is_filled),
		state_test(so_is_an_erasure_confirmed),
		state_test(locks_and_errors_stay),
		state_test(its_slots_are_as_its_modes),
		state_test(a_new_file_has_it),
		state_test(a_file_of_others_is_not_written_to),
		state_test(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
