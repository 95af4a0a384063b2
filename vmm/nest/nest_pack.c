// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation: level N's initramfs has each file that a level inside it needs, once, as
 * NEST_DIRECTORY/NUMBER, and those that are for level N itself at the places named. So nidus in
 * level N packs that of N + 1 from what it finds in its own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot.h"
#include "host/log.h"
#include "nest/nest.h"
#include "util.h"

#define NEST_DIRECTORY "/nest"
#define NEST_PLAN      NEST_DIRECTORY "/plan"

/* /dev/console, which the kernel opens for init as its input and output. */
#define CONSOLE_MAJOR 5
#define CONSOLE_MINOR 1

static bool level_uses(const json_t *level, size_t source)
{
	const json_t *kernel = json_object_get(level, "kernel");
	json_t *file;
	size_t i;

	if (json_is_integer(kernel) && json_integer_value(kernel) == (json_int_t)source)
		return true;
	json_array_foreach (json_object_get(level, "files"), i, file)
		if (json_integer_value(json_object_get(file, "source")) == (json_int_t)source)
			return true;
	return false;
}

/* Whether the file is for a level inside this one. */
static bool is_carried(const struct nest *nest, unsigned int level, size_t source)
{
	for (unsigned int inner = level + 1; inner <= nest_depth(nest); inner++)
		if (level_uses(json_array_get(nest->levels, inner - 1), source))
			return true;
	return false;
}

static void path_of(char *path, size_t size, size_t source)
{
	snprintf(path, size, NEST_DIRECTORY "/%zu", source);
}

static int pack_plan(struct archive *archive, const struct nest *nest, unsigned int level)
{
	json_t *sources = json_array(), *plan;
	char *text;
	int err;

	for (size_t i = 0; i < json_array_size(nest->sources); i++) {
		char path[64];

		path_of(path, sizeof(path), i);
		json_array_append_new(sources, json_string(path));
	}
	plan = json_pack("{sisosO}", "level", level, "sources", sources, "levels", nest->levels);
	text = plan ? json_dumps(plan, JSON_COMPACT) : NULL;
	json_decref(plan);
	if (!text) {
		log_error("the plan of a nest: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = archive_add_text(archive, NEST_PLAN, text, strlen(text));
	free(text);
	return err;
}

static int pack_carried(struct archive *archive, const struct nest *nest, unsigned int level)
{
	json_t *source;
	size_t i;
	int err = 0;

	json_array_foreach (nest->sources, i, source) {
		char path[64];

		path_of(path, sizeof(path), i);
		if (err == 0 && is_carried(nest, level, i))
			err = archive_add_file(archive, path, json_string_value(source));
	}
	return err;
}

static int pack_own(struct archive *archive, const struct nest *nest, unsigned int level)
{
	const json_t *files = json_object_get(json_array_get(nest->levels, level - 1), "files");
	json_t *file;
	size_t i;
	int err = 0;

	json_array_foreach (files, i, file) {
		const json_t *source = json_array_get(
			nest->sources, json_integer_value(json_object_get(file, "source")));

		if (err == 0)
			err = archive_add_file(archive,
					       json_string_value(json_object_get(file, "path")),
					       json_string_value(source));
	}
	return err;
}

static int pack_root(struct archive *archive)
{
	static const char *const directories[] = { "/dev", "/proc", "/sys", "/tmp" };
	int err = archive_add_file(archive, "/init", "/proc/self/exe");

	for (size_t i = 0; i < ARRAY_SIZE(directories) && err == 0; i++)
		err = archive_add_directory(archive, directories[i]);
	if (err == 0)
		err = archive_add_device(archive, "/dev/console", CONSOLE_MAJOR, CONSOLE_MINOR);
	return err;
}

struct archive *nest_pack(const struct nest *nest, unsigned int level)
{
	struct archive *archive = archive_create();
	int err;

	if (!archive) {
		log_error("initramfs: %s", strerror(ENOMEM));
		return NULL;
	}
	err = pack_root(archive);
	if (err == 0)
		err = pack_plan(archive, nest, level);
	if (err == 0)
		err = pack_carried(archive, nest, level);
	if (err == 0)
		err = pack_own(archive, nest, level);
	if (err == 0)
		err = archive_finish(archive);
	if (err == 0)
		return archive;
	archive_destroy(archive);
	return NULL;
}

int nest_unpack(struct nest *nest, unsigned int *level)
{
	json_error_t error;
	json_t *plan = json_load_file(NEST_PLAN, 0, &error);
	int number = 0;

	*nest = (struct nest){ 0 };
	if (plan &&
	    json_unpack_ex(plan, &error, 0, "{sisOsO}", "level", &number, "sources", &nest->sources,
			   "levels", &nest->levels) == 0 &&
	    json_is_array(nest->sources) && json_is_array(nest->levels) && number > 0 &&
	    (size_t)number <= json_array_size(nest->levels)) {
		*level = number;
		json_decref(plan);
		return 0;
	}
	log_error(NEST_PLAN ": %s", plan ? "is no plan of a nest" : error.text);
	json_decref(plan);
	nest_destroy(nest);
	return -EINVAL;
}

static bool check_level(const struct nest *nest, unsigned int level)
{
	struct nest_words words;
	struct config config;
	struct archive *archive = NULL;
	struct boot boot;
	bool good = nest_configure(nest, level, &config, &words);

	if (good)
		archive = nest_pack(nest, level);
	good = good && archive && boot_open(&boot, config.kernel, NULL) == 0;
	if (good) {
		boot_use_archive(&boot, archive);
		good = boot_place(&boot, 0, config.mem_size) == 0;
		boot_close(&boot);
	}
	archive_destroy(archive);
	nest_release(&words);
	return good;
}

bool nest_check(const struct nest *nest)
{
	/* From the innermost: what each level carries and is told has been found good by then. */
	for (unsigned int level = nest_depth(nest); level > 0; level--) {
		char subject[32];
		bool good;

		snprintf(subject, sizeof(subject), "level %u", level);
		log_set_subject(subject);
		good = check_level(nest, level);
		log_set_subject("");
		if (!good)
			return false;
	}
	return true;
}
