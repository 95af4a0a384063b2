// SPDX-License-Identifier: GPL-2.0-only
#include "boot/firmware.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/unpack.h"
#include "host/file.h"
#include "host/log.h"
#include "mm/load.h"
#include "util.h"

/* What is read at a time. Where all of it is zeroes it is padding. */
#define PART_SIZE 0x10000

/* As much as tells whether a file is packed. */
#define HEAD_SIZE 4096

static int complain(const char *path, int err, const char *complaint)
{
	log_error("firmware %s: %s", path, complaint);
	return err;
}

struct source {
	int fd;
	struct unpack *unpack; /* NULL: it is not packed */
	uint64_t offset; /* then */
};

/* Bytes, fewer than size only at the end, or -errno. */
static int64_t source_read(struct source *source, uint8_t *part, uint64_t size)
{
	uint64_t done = 0;

	if (source->unpack)
		return unpack_read(source->unpack, part, size);
	while (done < size) {
		ssize_t got = file_pread(source->fd, part + done, size - done, source->offset);

		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return -errno;
		done += got > 0 ? got : 0;
		source->offset += got > 0 ? got : 0;
	}
	return done;
}

static int copy(struct source *source, const char *path, uint8_t *content, uint64_t room,
		uint64_t *size)
{
	uint8_t *part = malloc(PART_SIZE);
	int64_t got = part ? PART_SIZE : -ENOMEM;

	*size = 0;
	while (got == PART_SIZE) {
		got = source_read(source, part, PART_SIZE);
		if (got > 0 && (uint64_t)got > room - *size) {
			log_error("firmware %s: is larger than the %" PRIu64
				  " MiB of a bank of flash",
				  path, room >> 20);
			free(part);
			return -EFBIG;
		}
		if (got > 0)
			load_sparse(content + *size, part, got);
		*size += got > 0 ? got : 0;
	}
	free(part);
	if (got < 0)
		return complain(path, got,
				source->unpack ? unpack_complaint(got) : log_reason(-got));
	return *size > 0 ? 0 : complain(path, -ENODATA, "is empty");
}

static int open_source(struct source *source, const char *path)
{
	uint8_t head[HEAD_SIZE];
	struct packed packed;
	const char *complaint;
	struct stat st;
	ssize_t got;

	if (file_stat(source->fd, &st) < 0)
		return complain(path, -errno, log_reason(errno));
	if (!S_ISREG(st.st_mode))
		return complain(path, -EINVAL, "is not a regular file");
	got = file_pread(source->fd, head, sizeof(head), 0);
	if (got < 0)
		return complain(path, -errno, log_reason(errno));
	complaint = unpack_parse(head, got, st.st_size, &packed);
	if (complaint)
		return complain(path, -ENOEXEC, complaint);
	if (packed.format == PACKED_NOT)
		return 0;
	source->unpack = unpack_open(&packed, source->fd);
	return source->unpack ? 0 : complain(path, -ENOMEM, strerror(ENOMEM));
}

int firmware_read(const char *path, uint8_t *content, uint64_t room, uint64_t *size)
{
	struct source source = { .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
	int err;

	if (source.fd < 0)
		return complain(path, -errno, log_reason(errno));
	err = open_source(&source, path);
	if (err == 0)
		err = copy(&source, path, content, room, size);
	if (source.unpack)
		unpack_close(source.unpack);
	close(source.fd);
	return err;
}
