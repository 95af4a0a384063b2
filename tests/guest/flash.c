// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flash memory, as firmware uses it: what it says of itself, programming, erasing, reading while it
 * has commands. Started with "keep" it is a store instead, of records that are never to be lost
 * once it has said so, and writes until somebody stops it.
 */
#include "tree.h"

#define BANK_0	    UINT64_C(0)
#define BANK	    UINT64_C(0x04000000)
#define BLOCK_SIZE  UINT64_C(0x40000)
#define READY	    0x00800080u
#define BUFFER_SIZE 128 /* bytes at a time: EDK2's */

static void command(uint64_t offset, uint32_t value)
{
	write32(BANK + offset, value | value << 16);
}

static uint32_t status(void)
{
	command(0, 0x70);
	return read32(BANK);
}

static void erase(uint64_t offset)
{
	command(offset, 0x20);
	command(offset, 0xd0);
}

static void program(uint64_t offset, uint32_t value)
{
	command(offset, 0x40);
	write32(BANK + offset, value);
}

static void program_buffer(uint64_t offset, const uint32_t *words, unsigned int count)
{
	command(offset, 0xe8);
	command(offset, count - 1);
	for (unsigned int i = 0; i < count; i++)
		write32(BANK + offset + 4 * i, words[i]);
	command(offset, 0xd0);
}

static void as_memory(void)
{
	command(0, 0xff);
}

static void test_query(void)
{
	command(0x55 * 4, 0x98);
	report_equal(read32(BANK + 0x10 * 4), 0x00510051, "each chip answers a query");
	report_equal(read16(BANK + 0x11 * 4), 'R', "also by halves");
	report_equal(read8(BANK + 0x12 * 4), 'Y', "and by bytes");
	as_memory();
}

static void test_words(void)
{
	uint32_t first, second;

	program(0x104, 0x12345678);
	report_equal(status(), READY, "programming succeeds");
	as_memory();
	report_equal(read32(BANK + 0x104), 0x12345678, "what was programmed is there");
	command(0, 0x90);
	/* An access that KVM cannot describe. */
	__asm__ volatile("ldp %w0, %w1, [%2]" : "=r"(first), "=r"(second) : "r"(BANK));
	report(first == 0x00890089 && second == 0x00180018, "a pair is read by one instruction");
	as_memory();
	program(0x104, 0xffff0000);
	as_memory();
	report_equal(read32(BANK + 0x104), 0x12340000, "ones stay zeroes");
	erase(0x2000);
	report_equal(status(), READY, "erasing succeeds");
	as_memory();
	report_equal(read32(BANK + 0x104), 0xffffffff, "and is of the whole block");
}

static void test_buffer(void)
{
	uint32_t words[BUFFER_SIZE / 4];
	bool same = true;

	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = 0x01010101 * i;
	program_buffer(0x400, words, ARRAY_SIZE(words));
	report_equal(status(), READY, "programming a buffer succeeds");
	as_memory();
	/* Often enough that it is memory again. */
	for (unsigned int round = 0; round < 4; round++)
		for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
			same &= read32(BANK + 0x400 + 4 * i) == words[i];
	report(same, "all of it is there");
	erase(0);
	as_memory();
}

static void test_errors(void)
{
	command(0, 0x20);
	command(0, 0x40);
	report_equal(status(), READY | 0x00300030, "an erase that is not confirmed is an error");
	command(0, 0x50);
	program(0x03fffffc, 0);
	report_equal(status(), READY | 0x00120012, "what is not there is locked");
	command(0, 0x50);
	report_equal(status(), READY, "errors are cleared");
	as_memory();
	report_equal(read32(BANK + 0x03fffffc), 0xffffffff, "and erased");
}

/* A burst of everything at everywhere; it ends, and nothing else does. */
static void test_noise(void)
{
	uint32_t seed = 1;

	for (unsigned int i = 0; i < 20000; i++) {
		const uint64_t offset = (seed = seed * 1664525 + 1013904223) >> 6;

		switch (seed >> 28 & 3) {
		case 0:
			write8(BANK + offset, seed);
			break;
		case 1:
			write16(BANK + (offset & ~UINT64_C(1)), seed >> 8);
			break;
		case 2:
			write32(BANK + (offset & ~UINT64_C(3)), seed >> 4);
			break;
		default:
			read64(BANK + (offset & ~UINT64_C(7)));
		}
	}
	for (unsigned int i = 0; i < 2; i++)
		command(0, 0xff);
	command(0, 0x50);
	report_equal(status(), READY, "after 20000 senseless accesses it is ready");
	as_memory();
}

/*
 * The store: two blocks, of which one is filled with records while the other is old. A record has
 * its state, which is programmed last, its number, and content that follows from that.
 */

#define RECORD_WORDS 32
#define RECORDS	     (BLOCK_SIZE / 4 / RECORD_WORDS)
#define FREE	     0xffffffff
#define COMPLETE     0xfffffffe

static uint64_t record_at(unsigned int block, unsigned int index)
{
	return block * BLOCK_SIZE + index * RECORD_WORDS * 4;
}

static uint32_t content(uint32_t number, unsigned int word)
{
	return (number + 1) * 2654435761u ^ word * 40503u;
}

static bool is_whole(uint64_t offset)
{
	const uint32_t number = read32(BANK + offset + 4);

	for (unsigned int i = 2; i < RECORD_WORDS; i++)
		if (read32(BANK + offset + 4 * i) != content(number, i))
			return false;
	return true;
}

/* Where the next record goes, and its number. */
struct place {
	unsigned int block, index;
	uint32_t number;
};

static struct place look(void)
{
	struct place next = { 0, 0, 1 };
	unsigned int torn = 0;

	for (unsigned int block = 0; block < 2; block++) {
		for (unsigned int i = 0; i < RECORDS; i++) {
			const uint64_t offset = record_at(block, i);

			if (read32(BANK + offset) != COMPLETE)
				continue;
			torn += !is_whole(offset);
			if (read32(BANK + offset + 4) >= next.number)
				next = (struct place){ block, i + 1,
						       read32(BANK + offset + 4) + 1 };
		}
	}
	put("found ");
	put_number(next.number - 1);
	put(", torn ");
	put_number(torn);
	put("\n");
	return next;
}

/* Behind a record that is complete there may be one that is not. */
static bool is_free(uint64_t offset)
{
	for (unsigned int i = 0; i < RECORD_WORDS; i++)
		if (read32(BANK + offset + 4 * i) != FREE)
			return false;
	return true;
}

static void write_record(uint64_t offset, uint32_t number)
{
	uint32_t words[RECORD_WORDS];

	words[0] = FREE;
	words[1] = number;
	for (unsigned int i = 2; i < RECORD_WORDS; i++)
		words[i] = content(number, i);
	program_buffer(offset, words, RECORD_WORDS);
	program(offset, COMPLETE);
	if (status() != READY) {
		put("failed\n");
		power_off();
	}
	as_memory();
}

static void __attribute__((noreturn)) keep(void)
{
	struct place next = look();

	for (;; next.index++) {
		if (next.index >= RECORDS) {
			next.block = !next.block;
			next.index = 0;
			erase(next.block * BLOCK_SIZE);
			as_memory();
		}
		if (!is_free(record_at(next.block, next.index)))
			continue;
		write_record(record_at(next.block, next.index), next.number);
		put("kept ");
		put_number(next.number++);
		put("\n");
	}
}

int main(void)
{
	const char *params = tree_find("chosen", 0, "bootargs");

	if (params && text_equal(params, "keep"))
		keep();
	report(tree_find("flash@", 0, "bank-width") != NULL, "the device tree tells of it");
	test_query();
	test_words();
	test_buffer();
	test_errors();
	test_noise();
	done("flash");
}
