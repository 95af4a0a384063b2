// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation: the archive is a list of pieces, in their order. A piece is either some
 * bytes of `text`, which holds all headers, names and padding one after another, or a whole file.
 * Consecutive headers are one piece.
 */
#include "boot/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/file.h"
#include "host/log.h"
#include "mm/load.h"
#include "util.h"

#define ALIGNMENT    4
#define HEADER_SIZE  110
#define TRAILER	     "TRAILER!!!"
#define MODE_MASK    07777
#define PLAIN_MODE   0644
#define FOLDER_MODE  0755
#define CONSOLE_MODE 0600

struct piece {
	char *source; /* the file's name for messages; NULL: bytes of text */
	int fd;
	size_t offset; /* in text */
	uint64_t size;
};

struct path {
	char *name;
	bool directory;
};

struct archive {
	char *text;
	size_t text_size;
	struct piece *pieces;
	unsigned int count;
	struct path *paths; /* of all entries */
	unsigned int path_count;
	uint64_t size;
};

struct archive *archive_create(void)
{
	return calloc(1, sizeof(struct archive));
}

void archive_destroy(struct archive *archive)
{
	if (!archive)
		return;
	for (unsigned int i = 0; i < archive->count; i++) {
		if (!archive->pieces[i].source)
			continue;
		close(archive->pieces[i].fd);
		free(archive->pieces[i].source);
	}
	for (unsigned int i = 0; i < archive->path_count; i++)
		free(archive->paths[i].name);
	free(archive->paths);
	free(archive->pieces);
	free(archive->text);
	free(archive);
}

static int archive_complain(const char *path, int err)
{
	log_error("initramfs, %s: %s", path, strerror(-err));
	return err;
}

/* Pieces. */

static struct piece *archive_add_piece(struct archive *archive)
{
	struct piece *pieces =
		reallocarray(archive->pieces, archive->count + 1, sizeof(*archive->pieces));

	if (!pieces)
		return NULL;
	archive->pieces = pieces;
	pieces[archive->count] = (struct piece){ .fd = -1, .offset = archive->text_size };
	return &pieces[archive->count++];
}

static int archive_append(struct archive *archive, const void *data, size_t size)
{
	struct piece *last = archive->count ? &archive->pieces[archive->count - 1] : NULL;
	char *text;

	if (size == 0)
		return 0;
	text = realloc(archive->text, archive->text_size + size);
	if (!text)
		return -ENOMEM;
	archive->text = text;
	if (!last || last->source)
		last = archive_add_piece(archive);
	if (!last)
		return -ENOMEM;
	memcpy(text + archive->text_size, data, size);
	archive->text_size += size;
	archive->size += size;
	last->size += size;
	return 0;
}

static int archive_pad(struct archive *archive)
{
	static const char zeroes[ALIGNMENT];

	return archive_append(archive, zeroes, -archive->size % ALIGNMENT);
}

/* Entries. */

struct entry {
	const char *name; /* as it stands in the archive: without the slash that it begins with */
	unsigned int mode; /* type and permissions */
	uint64_t size;
	unsigned int major, minor;
};

static int archive_add_header(struct archive *archive, const struct entry *entry)
{
	const size_t name_size = strlen(entry->name) + 1;
	char header[HEADER_SIZE + 1];
	int err;

	/* Inode numbers tell hard links; ours are all different. */
	snprintf(header, sizeof(header),
		 "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", archive->path_count,
		 entry->mode, 0, 0, 1, 0, (unsigned int)entry->size, 0, 0, entry->major,
		 entry->minor, (unsigned int)name_size, 0);
	err = archive_append(archive, header, HEADER_SIZE);
	if (err == 0)
		err = archive_append(archive, entry->name, name_size);
	return err < 0 ? err : archive_pad(archive);
}

static const struct path *archive_find(const struct archive *archive, const char *name)
{
	for (unsigned int i = 0; i < archive->path_count; i++)
		if (strcmp(archive->paths[i].name, name) == 0)
			return &archive->paths[i];
	return NULL;
}

static int archive_note(struct archive *archive, const char *name, bool directory)
{
	struct path *paths =
		reallocarray(archive->paths, archive->path_count + 1, sizeof(*archive->paths));

	if (!paths)
		return -ENOMEM;
	archive->paths = paths;
	paths[archive->path_count] = (struct path){ strdup(name), directory };
	if (!paths[archive->path_count].name)
		return -ENOMEM;
	archive->path_count++;
	return 0;
}

static int archive_add(struct archive *archive, const char *path, struct entry entry)
{
	int err = archive_note(archive, path, S_ISDIR(entry.mode));

	entry.name = path + 1;
	return err < 0 ? err : archive_add_header(archive, &entry);
}

/* Whether a path is one that can be made: from the root, and only downwards. */
static bool is_plain(const char *path)
{
	if (*path != '/')
		return false;
	while (*path) {
		size_t length = strcspn(++path, "/");

		if (length == 0 || strncmp(path, ".", length) == 0 ||
		    (length == 2 && strncmp(path, "..", length) == 0))
			return false;
		path += length;
	}
	return true;
}

static int archive_add_parent(struct archive *archive, const char *path)
{
	const struct path *there = archive_find(archive, path);

	if (there)
		return there->directory ? 0 : -ENOTDIR;
	return archive_add(archive, path, (struct entry){ .mode = S_IFDIR | FOLDER_MODE });
}

/* The directories that lead to path. */
static int archive_add_parents(struct archive *archive, const char *path)
{
	char parent[PATH_MAX];
	int err = 0;

	for (const char *end = strchr(path + 1, '/'); end && err == 0; end = strchr(end + 1, '/')) {
		memcpy(parent, path, end - path);
		parent[end - path] = '\0';
		err = archive_add_parent(archive, parent);
	}
	return err;
}

/* What every kind of entry begins with. */
static int archive_begin(struct archive *archive, const char *path)
{
	int err = 0;

	if (!is_plain(path))
		err = -EINVAL;
	else if (strlen(path) >= PATH_MAX)
		err = -ENAMETOOLONG;
	else if (archive_find(archive, path))
		err = -EEXIST;
	if (err == 0)
		err = archive_add_parents(archive, path);
	return err < 0 ? archive_complain(path, err) : 0;
}

static int archive_end(const char *path, int err)
{
	return err < 0 ? archive_complain(path, err) : 0;
}

int archive_add_directory(struct archive *archive, const char *path)
{
	int err = archive_begin(archive, path);

	if (err < 0)
		return err;
	return archive_end(
		path, archive_add(archive, path, (struct entry){ .mode = S_IFDIR | FOLDER_MODE }));
}

int archive_add_device(struct archive *archive, const char *path, unsigned int major,
		       unsigned int minor)
{
	const struct entry entry = {
		.mode = S_IFCHR | CONSOLE_MODE,
		.major = major,
		.minor = minor,
	};
	int err = archive_begin(archive, path);

	return err < 0 ? err : archive_end(path, archive_add(archive, path, entry));
}

int archive_add_text(struct archive *archive, const char *path, const void *data, size_t size)
{
	int err = archive_begin(archive, path);

	if (err < 0)
		return err;
	err = archive_add(archive, path,
			  (struct entry){ .mode = S_IFREG | PLAIN_MODE, .size = size });
	if (err == 0)
		err = archive_append(archive, data, size);
	if (err == 0)
		err = archive_pad(archive);
	return archive_end(path, err);
}

static int open_regular(const char *source, struct stat *st)
{
	int fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int err = fd < 0 || file_stat(fd, st) < 0 ? -errno : 0;

	if (err == 0 && S_ISREG(st->st_mode))
		return fd;
	log_error("%s: %s", source, err < 0 ? log_reason(-err) : "is not a regular file");
	if (fd >= 0)
		close(fd);
	return err < 0 ? err : -EINVAL;
}

/* The piece takes over fd. */
static int archive_append_file(struct archive *archive, const char *source, int fd, uint64_t size)
{
	struct piece *piece;
	char *name = strdup(source);

	piece = name ? archive_add_piece(archive) : NULL;
	if (!piece) {
		free(name);
		close(fd);
		return -ENOMEM;
	}
	*piece = (struct piece){ .source = name, .fd = fd, .size = size };
	archive->size += size;
	return archive_pad(archive);
}

int archive_add_file(struct archive *archive, const char *path, const char *source)
{
	struct stat st;
	int fd, err = archive_begin(archive, path);

	if (err < 0)
		return err;
	fd = open_regular(source, &st);
	if (fd < 0)
		return fd;
	/* The format has eight hexadecimal digits for the size. */
	err = st.st_size > UINT32_MAX ? -EFBIG : 0;
	if (err == 0)
		err = archive_add(archive, path,
				  (struct entry){ .mode = S_IFREG | (st.st_mode & MODE_MASK),
						  .size = st.st_size });
	if (err == 0)
		err = archive_append_file(archive, source, fd, st.st_size);
	else
		close(fd);
	return archive_end(path, err);
}

int archive_finish(struct archive *archive)
{
	return archive_end(TRAILER,
			   archive_add_header(archive, &(struct entry){ .name = TRAILER }));
}

uint64_t archive_size(const struct archive *archive)
{
	return archive->size;
}

int archive_load(const struct archive *archive, struct memory *memory, uint64_t gpa)
{
	for (unsigned int i = 0; i < archive->count; i++) {
		const struct piece *piece = &archive->pieces[i];
		int err;

		if (piece->source)
			err = load_file(memory, gpa, piece->fd, piece->size);
		else
			err = memory_load(memory, gpa, archive->text + piece->offset, piece->size);
		if (err < 0) {
			log_error("initramfs, %s: %s", piece->source ? piece->source : "headers",
				  err == -ENODATA ? "ended while it was being read"
						  : strerror(-err));
			return err;
		}
		gpa += piece->size;
	}
	return 0;
}
