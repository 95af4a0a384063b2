// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Most of a bank is padding, zeroes or ones, so its content is written down as
 * runs of pages, of which those that have the same byte all over are that byte.
 */
#include "flash_state.h"

#include <string.h>

#define PAGE KIB(4)

struct chips_state {
	uint64_t size; /* bytes of content */
	uint64_t window;
	uint32_t wanted;
	uint8_t mode, step, status, window_known;
	uint8_t locked[FLASH_BLOCKS];
	uint8_t buffer[FLASH_BUFFER_SIZE];
};

/* So many pages; runs follow each other from the beginning to the end of the content. */
struct content_run {
	uint32_t pages;
	uint8_t uniform; /* all bytes are value; else they follow */
	uint8_t value;
	uint16_t zero;
};

static bool is_uniform(const uint8_t *page)
{
	return memcmp(page, page + 1, PAGE - 1) == 0;
}

/* How many pages from the first on are like it. */
static uint32_t run_length(const uint8_t *page, uint32_t left)
{
	const bool uniform = is_uniform(page);
	uint32_t pages = 1;

	while (pages < left) {
		const uint8_t *next = page + (uint64_t)pages * PAGE;

		if (is_uniform(next) != uniform || (uniform && *next != *page))
			break;
		pages++;
	}
	return pages;
}

static void save_content(struct state_writer *writer, const uint8_t *content, uint64_t size)
{
	struct content_run run;

	for (uint64_t at = 0; at < size; at += (uint64_t)run.pages * PAGE) {
		const uint8_t *page = content + at;

		run = (struct content_run){
			.pages = run_length(page, (size - at) / PAGE),
			.uniform = is_uniform(page),
		};
		if (run.uniform)
			run.value = *page;
		state_add(writer, &run, sizeof(run));
		if (!run.uniform)
			state_add(writer, page, (uint64_t)run.pages * PAGE);
	}
}

void flash_state_save(struct state_writer *writer, uint64_t index, const struct flash_chips *chips)
{
	struct chips_state state = {
		.size = chips->size,
		.window = chips->window,
		.wanted = chips->wanted,
		.mode = chips->mode,
		.step = chips->step,
		.status = chips->status,
		.window_known = chips->window_known,
	};

	for (unsigned int i = 0; i < FLASH_BLOCKS; i++)
		state.locked[i] = chips->locked[i];
	memcpy(state.buffer, chips->buffer, sizeof(state.buffer));
	state_put(writer, "flash", index, &state, sizeof(state));
	state_begin(writer, "flash-content", index);
	save_content(writer, chips->content, chips->size);
	state_end(writer);
}

/* What of it no commands could have brought about, or NULL. */
static const char *impossible(const struct chips_state *state, const struct flash_chips *chips)
{
	if (state->size != chips->size)
		return "is of another size than the guest's";
	if (state->mode > FLASH_QUERY || state->step > FLASH_CONFIRM ||
	    state->wanted > FLASH_BUFFER_SIZE || (state->step == FLASH_DATA && state->wanted == 0))
		return "is amid a command that there is not";
	if (state->window % FLASH_BUFFER_SIZE != 0 || state->window >= FLASH_BANK_SIZE)
		return "has a buffer for what is no flash";
	return NULL;
}

/* A run that has its bytes: into the content, or whether they are there already. */
static bool restore_run(uint8_t *content, const struct content_run *run, const uint8_t *bytes,
			bool fresh)
{
	for (uint64_t i = 0; i < run->pages; i++) {
		uint8_t *page = content + i * PAGE;
		const uint8_t *from = bytes + i * PAGE;
		const bool same = run->uniform ? *page == run->value && is_uniform(page)
					       : memcmp(page, from, PAGE) == 0;

		if (same)
			continue;
		if (!fresh)
			return false;
		if (run->uniform)
			memset(page, run->value, PAGE);
		else
			memcpy(page, from, PAGE);
	}
	return true;
}

static const char *restore_content(const struct flash_chips *chips, const uint8_t *record,
				   size_t left, bool fresh)
{
	uint64_t at = 0;

	while (at < chips->size) {
		const struct content_run *run = (const struct content_run *)record;
		uint64_t size, bytes;

		if (left < sizeof(*run))
			return "ends too early";
		size = (uint64_t)run->pages * PAGE;
		bytes = run->uniform ? 0 : size;
		if (size == 0 || size > chips->size - at || bytes > left - sizeof(*run))
			return "has more than there is room for, or less than it says";
		if (!restore_run(chips->content + at, run, record + sizeof(*run), fresh))
			return "is not what is in the file that was given for it; give one as it "
			       "was when the guest was saved, or one that is not there yet";
		at += size;
		record += sizeof(*run) + bytes;
		left -= sizeof(*run) + bytes;
	}
	return left == 0 ? NULL : "does not end";
}

void flash_state_restore(struct state_reader *reader, uint64_t index, struct flash_chips *chips,
			 bool fresh)
{
	const uint8_t *content = NULL;
	struct chips_state state;
	size_t size = 0;
	const char *why;

	if (state_get(reader, "flash", index, &state, sizeof(state)))
		content = state_take(reader, "flash-content", index, &size);
	if (!content)
		return;
	why = impossible(&state, chips);
	if (!why)
		why = restore_content(chips, content, size, fresh);
	if (why) {
		state_refuse(reader, "flash", index, why);
		return;
	}
	chips->mode = state.mode;
	chips->step = state.step;
	chips->status = state.status & FLASH_STATUS_ERRORS;
	chips->window = state.window;
	chips->window_known = state.window_known;
	chips->wanted = state.wanted;
	for (unsigned int i = 0; i < FLASH_BLOCKS; i++)
		chips->locked[i] = state.locked[i];
	memcpy(chips->buffer, state.buffer, sizeof(state.buffer));
}
