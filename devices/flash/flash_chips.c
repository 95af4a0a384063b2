// SPDX-License-Identifier: GPL-2.0-only
#include "flash_chips.h"

#include <string.h>

/* Commands; JEP137 has no names for their numbers, data sheets have these. */
enum flash_command {
	PROGRAM_ALTERNATE = 0x10,
	BLOCK_ERASE = 0x20,
	PROGRAM_WORD = 0x40,
	CLEAR_STATUS = 0x50,
	LOCK_SETUP = 0x60,
	READ_STATUS = 0x70,
	READ_ID = 0x90,
	READ_QUERY = 0x98,
	SUSPEND = 0xb0,
	CONFIRM = 0xd0, /* erase, unlock, program what is in the buffer, resume */
	PROGRAM_BUFFER = 0xe8,
	READ_ARRAY = 0xff,
};

#define LOCK_BLOCK 0x01 /* after LOCK_SETUP */

/* The status register. */
#define STATUS_LOCKED	     0x02
#define STATUS_PROGRAM_ERROR 0x10
#define STATUS_ERASE_ERROR   0x20
#define STATUS_READY	     0x80
/* Both errors: what was written is no command. */
#define STATUS_SEQUENCE (STATUS_PROGRAM_ERROR | STATUS_ERASE_ERROR)

_Static_assert((STATUS_LOCKED | STATUS_SEQUENCE) == FLASH_STATUS_ERRORS, "all of them");

#define MANUFACTURER 0x89 /* Intel */
#define DEVICE	     0x18

#define LANE_BYTES 2 /* of one chip */
#define WORD_BYTES 4 /* of both */

/*
 * What QUERY reads (JESD68.01, 2), one byte a word of a chip. Sizes are powers of two: 2^25 bytes a
 * chip, 2^10 a buffer; 255 + 1 blocks of 512 * 256 bytes. Times are what hardware would say.
 */
static const struct {
	uint8_t word; /* of the first */
	uint8_t count;
	const char *bytes;
} query[] = {
	{ 0x10, 7, "QRY\x01\x00\x31\x00" }, /* command set 1, its table at 0x31 */
	{ 0x1b, 12, "\x45\x55\x00\x00\x07\x07\x0a\x00\x04\x04\x04\x00" }, /* volts, times */
	{ 0x27, 5, "\x19\x01\x00\x0a\x00" }, /* size, 16 bits wide, buffer */
	{ 0x2c, 5, "\x01\xff\x00\x00\x02" }, /* blocks, all of one size */
	{ 0x31, 5, "PRI10" }, /* nothing optional */
};

void flash_chips_init(struct flash_chips *chips, uint8_t *content, uint64_t size, bool read_only)
{
	*chips = (struct flash_chips){ .content = content, .size = size, .read_only = read_only };
}

static bool is_locked(const struct flash_chips *chips, uint64_t offset)
{
	return chips->read_only || offset >= chips->size ||
	       chips->locked[offset / FLASH_BLOCK_SIZE];
}

static uint16_t read_id(const struct flash_chips *chips, uint64_t offset)
{
	switch (offset % FLASH_BLOCK_SIZE / WORD_BYTES) {
	case 0:
		return MANUFACTURER;
	case 1:
		return DEVICE;
	case 2:
		return is_locked(chips, offset);
	default:
		return 0;
	}
}

static uint16_t read_query(uint64_t word)
{
	if (word == 0)
		return MANUFACTURER;
	if (word == 1)
		return DEVICE;
	for (unsigned int i = 0; i < ARRAY_SIZE(query); i++)
		if (word >= query[i].word && word - query[i].word < query[i].count)
			return (uint8_t)query[i].bytes[word - query[i].word];
	return 0;
}

/* What one chip says, and so does the other. */
static uint16_t read_lane(const struct flash_chips *chips, uint64_t offset)
{
	if (chips->mode == FLASH_STATUS)
		return STATUS_READY | chips->status;
	if (chips->mode == FLASH_ID)
		return read_id(chips, offset);
	return read_query(offset / WORD_BYTES);
}

uint8_t flash_chips_read(const struct flash_chips *chips, uint64_t offset)
{
	if (chips->mode != FLASH_ARRAY)
		return read_lane(chips, offset) >> 8 * (offset % LANE_BYTES);
	return offset < chips->size ? chips->content[offset] : 0xff;
}

/* Programming only ever turns ones to zeroes. */
static struct flash_change program(struct flash_chips *chips, uint64_t offset, const uint8_t *bytes,
				   uint64_t count)
{
	if (is_locked(chips, offset)) {
		chips->status |= STATUS_PROGRAM_ERROR | STATUS_LOCKED;
		return (struct flash_change){ 0, 0 };
	}
	for (uint64_t i = 0; i < count; i++)
		chips->content[offset + i] &= bytes[i];
	return (struct flash_change){ offset, offset + count };
}

static struct flash_change program_value(struct flash_chips *chips, uint64_t offset, uint32_t value,
					 unsigned int size)
{
	const uint8_t bytes[] = { value, value >> 8, value >> 16, value >> 24 };

	return program(chips, offset, bytes, size);
}

static struct flash_change erase(struct flash_chips *chips, uint64_t offset)
{
	const uint64_t start = align_down(offset, FLASH_BLOCK_SIZE);

	if (is_locked(chips, offset)) {
		chips->status |= STATUS_ERASE_ERROR | STATUS_LOCKED;
		return (struct flash_change){ 0, 0 };
	}
	memset(chips->content + start, 0xff, FLASH_BLOCK_SIZE);
	return (struct flash_change){ start, start + FLASH_BLOCK_SIZE };
}

static void count(struct flash_chips *chips, uint16_t less_one)
{
	if (less_one >= FLASH_BUFFER_SIZE / LANE_BYTES) {
		chips->status |= STATUS_SEQUENCE;
		return;
	}
	memset(chips->buffer, 0xff, sizeof(chips->buffer));
	chips->window_known = false;
	chips->wanted = less_one + 1;
	chips->step = FLASH_DATA;
}

/* The first data says where the buffer's window lies; the rest comes in any order. */
static void take_data(struct flash_chips *chips, uint64_t offset, uint32_t value, unsigned int size)
{
	if (!chips->window_known)
		chips->window = align_down(offset, FLASH_BUFFER_SIZE);
	chips->window_known = true;
	if (offset - chips->window >= FLASH_BUFFER_SIZE) {
		chips->status |= STATUS_SEQUENCE;
		return;
	}
	for (unsigned int i = 0; i < size; i++)
		chips->buffer[offset - chips->window + i] = value >> 8 * i;
	chips->step = --chips->wanted > 0 ? FLASH_DATA : FLASH_CONFIRM;
}

/* What has come of the buffer; the rest of it, all ones, would program nothing. */
static struct flash_change program_buffer(struct flash_chips *chips)
{
	uint64_t start = 0, end = FLASH_BUFFER_SIZE;

	while (start < end - 1 && chips->buffer[start] == 0xff)
		start++;
	while (end > start + 1 && chips->buffer[end - 1] == 0xff)
		end--;
	return program(chips, chips->window + start, chips->buffer + start, end - start);
}

static void lock(struct flash_chips *chips, uint64_t offset, uint8_t way)
{
	if (way != LOCK_BLOCK && way != CONFIRM)
		chips->status |= STATUS_SEQUENCE;
	else
		chips->locked[offset / FLASH_BLOCK_SIZE] = way == LOCK_BLOCK;
}

static struct flash_change confirm(struct flash_chips *chips, uint64_t offset, uint8_t value,
				   enum flash_step what)
{
	if (value == CONFIRM)
		return what == FLASH_ERASE ? erase(chips, offset) : program_buffer(chips);
	chips->status |= STATUS_SEQUENCE;
	return (struct flash_change){ 0, 0 };
}

static void command(struct flash_chips *chips, uint8_t value)
{
	static const enum flash_step next[256] = {
		[PROGRAM_ALTERNATE] = FLASH_PROGRAM, [PROGRAM_WORD] = FLASH_PROGRAM,
		[BLOCK_ERASE] = FLASH_ERASE,	     [LOCK_SETUP] = FLASH_LOCK,
		[PROGRAM_BUFFER] = FLASH_COUNT,
	};

	chips->step = next[value];
	switch (value) {
	case READ_ID:
		chips->mode = FLASH_ID;
		break;
	case READ_QUERY:
		chips->mode = FLASH_QUERY;
		break;
	case CLEAR_STATUS:
		chips->status = 0;
		break;
	case READ_STATUS:
	case SUSPEND: /* nothing is ever under way */
	case CONFIRM:
		chips->mode = FLASH_STATUS;
		break;
	default:
		chips->mode = chips->step == FLASH_COMMAND ? FLASH_ARRAY : FLASH_STATUS;
		break;
	}
}

struct flash_change flash_chips_write(struct flash_chips *chips, uint64_t offset, uint32_t value,
				      unsigned int size)
{
	const enum flash_step step = chips->step;

	chips->step = FLASH_COMMAND;
	switch (step) {
	case FLASH_COMMAND:
		command(chips, value);
		break;
	case FLASH_PROGRAM:
		return program_value(chips, offset, value, size);
	case FLASH_LOCK:
		lock(chips, offset, value);
		break;
	case FLASH_COUNT:
		count(chips, value);
		break;
	case FLASH_DATA:
		take_data(chips, offset, value, size);
		break;
	case FLASH_ERASE:
	case FLASH_CONFIRM:
		return confirm(chips, offset, value, step);
	}
	return (struct flash_change){ 0, 0 };
}

void flash_chips_fail(struct flash_chips *chips)
{
	chips->status |= STATUS_SEQUENCE;
}
