// SPDX-License-Identifier: GPL-2.0-only
#include "state/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "util.h"

#define ROOM_MIN KIB(16)
#define ALIGN	 8

/* Writing. */

void state_writer_create(struct state_writer *writer)
{
	*writer = (struct state_writer){ 0 };
}

void state_writer_destroy(struct state_writer *writer)
{
	free(writer->bytes);
	*writer = (struct state_writer){ 0 };
}

void state_fail_write(struct state_writer *writer, int err)
{
	if (writer->err == 0)
		writer->err = err;
}

/* Where so many bytes more go, or NULL. */
static uint8_t *grow(struct state_writer *writer, size_t more)
{
	size_t room = writer->room ? writer->room : ROOM_MIN;
	uint8_t *bytes = writer->bytes;

	if (writer->err < 0)
		return NULL;
	while (room - writer->size < more)
		room *= 2;
	if (room != writer->room) {
		bytes = realloc(writer->bytes, room);
		if (!bytes) {
			log_error("the guest's state: %s", strerror(ENOMEM));
			writer->err = -ENOMEM;
			return NULL;
		}
		writer->bytes = bytes;
		writer->room = room;
	}
	bytes += writer->size;
	writer->size += more;
	return bytes;
}

void state_begin(struct state_writer *writer, const char *name, uint64_t index)
{
	struct state_record record = { .index = index };

	memcpy(record.name, name, strnlen(name, STATE_NAME));
	writer->open = writer->size;
	state_add(writer, &record, sizeof(record));
}

void state_add(struct state_writer *writer, const void *bytes, size_t size)
{
	uint8_t *to = grow(writer, size);

	if (to && size > 0)
		memcpy(to, bytes, size);
}

void state_end(struct state_writer *writer)
{
	struct state_record *record;
	size_t size, filling;
	uint8_t *end;

	if (writer->err < 0)
		return;
	record = (struct state_record *)(writer->bytes + writer->open);
	size = writer->size - writer->open - sizeof(*record);
	record->size = size;
	filling = align_up(size, ALIGN) - size;
	end = grow(writer, filling);
	if (end)
		memset(end, 0, filling);
}

void state_put(struct state_writer *writer, const char *name, uint64_t index, const void *bytes,
	       size_t size)
{
	state_begin(writer, name, index);
	state_add(writer, bytes, size);
	state_end(writer);
}

/* Reading. */

void state_reader_create(struct state_reader *reader, const void *bytes, size_t size)
{
	*reader = (struct state_reader){ .bytes = bytes, .size = size };
}

void state_fail_read(struct state_reader *reader, int err)
{
	if (reader->err == 0)
		reader->err = err;
}

/* The next record, all of which is there, or NULL. */
static const struct state_record *next(const struct state_reader *reader)
{
	const struct state_record *record =
		(const struct state_record *)(reader->bytes + reader->at);
	const size_t left = reader->size - reader->at;

	if (reader->err < 0 || left < sizeof(*record) || record->size > left - sizeof(*record) ||
	    align_up(record->size, ALIGN) > left - sizeof(*record))
		return NULL;
	return record;
}

static bool is_named(const struct state_record *record, const char *name)
{
	return strncmp(record->name, name, STATE_NAME) == 0;
}

bool state_is_next(const struct state_reader *reader, const char *name)
{
	const struct state_record *record = next(reader);

	return record && is_named(record, name);
}

const void *state_take(struct state_reader *reader, const char *name, uint64_t index, size_t *size)
{
	const struct state_record *record = next(reader);

	if (reader->err < 0)
		return NULL;
	if (!record || !is_named(record, name) || record->index != index) {
		log_error("snapshot: has no %s (0x%" PRIx64 ") where there has to be one", name,
			  index);
		reader->err = -EINVAL;
		return NULL;
	}
	reader->at += sizeof(*record) + align_up(record->size, ALIGN);
	*size = record->size;
	return record + 1;
}

bool state_get(struct state_reader *reader, const char *name, uint64_t index, void *bytes,
	       size_t size)
{
	size_t is;
	const void *from = state_take(reader, name, index, &is);

	if (!from)
		return false;
	if (is != size) {
		state_refuse(reader, name, index, "is of another size");
		return false;
	}
	memcpy(bytes, from, size);
	return true;
}

bool state_skip(struct state_reader *reader)
{
	const struct state_record *record = next(reader);

	if (record)
		reader->at += sizeof(*record) + align_up(record->size, ALIGN);
	return record != NULL;
}

void state_seek(struct state_reader *reader, const char *name)
{
	while (!state_is_next(reader, name) && state_skip(reader))
		;
}

void state_done(struct state_reader *reader)
{
	if (reader->err == 0 && reader->at != reader->size) {
		log_error("snapshot: has more than this nidus knows of the guest");
		reader->err = -EINVAL;
	}
}

void state_refuse(struct state_reader *reader, const char *name, uint64_t index, const char *why)
{
	if (reader->err < 0)
		return;
	log_error("snapshot: %s (0x%" PRIx64 ") %s", name, index, why);
	reader->err = -EINVAL;
}
