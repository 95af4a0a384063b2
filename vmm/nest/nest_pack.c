// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation: level N's initramfs has each file that a level inside it needs, once, as
 * NEST_DIRECTORY/NUMBER, and those that are for level N itself at the places named. So nidus in
 * level N packs that of N + 1 from what it finds in its own.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot.h"
#include "host/log.h"
#include "init/init.h"
#include "nest/nest.h"
#include "nest_plan.h"
#include "root/root.h"

static bool level_uses(const struct nest_level *level, unsigned int source)
{
	if (level->kernel == (int)source || level->hypervisor == (int)source)
		return true;
	for (unsigned int i = 0; i < level->file_count; i++)
		if (level->files[i].source == source)
			return true;
	return false;
}

/* Whether the file is for a level inside this one. */
static bool is_carried(const struct nest *nest, unsigned int level, unsigned int source)
{
	for (unsigned int inner = level + 1; inner <= nest->depth; inner++)
		if (level_uses(&nest->levels[inner - 1], source))
			return true;
	return false;
}

static int pack_plan(struct archive *archive, const struct nest *nest, unsigned int level)
{
	json_t *plan = nest_plan_pack(nest, level);
	char *text = plan ? json_dumps(plan, JSON_COMPACT) : NULL;
	int err;

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
	int err = 0;

	for (unsigned int i = 0; i < nest->sources.count && err == 0; i++) {
		char path[64];

		nest_plan_path(path, sizeof(path), i);
		if (is_carried(nest, level, i))
			err = archive_add_file(archive, path, nest->sources.words[i]);
	}
	return err;
}

/* Whether a root from outside has something else over a file at path. */
static bool is_hidden(const char *path)
{
	return strncmp(path, "/run/", 5) == 0 || strncmp(path, "/tmp/", 5) == 0;
}

/* The same for the innermost level whose root is a directory: it lies over that. */
static int pack_over_root(struct archive *archive, const char *path, const char *source)
{
	char place[PATH_MAX];

	/* What is no path from the root is refused as it stands. */
	if (*path != '/')
		return archive_add_file(archive, path, source);
	if (is_hidden(path)) {
		log_error("file %s: with a root /run and /tmp are empty", path);
		return -EINVAL;
	}
	if ((size_t)snprintf(place, sizeof(place), NEST_OWN "%s", path) >= sizeof(place)) {
		log_error("file %s: %s", path, strerror(ENAMETOOLONG));
		return -ENAMETOOLONG;
	}
	return archive_add_file(archive, place, source);
}

static int pack_own(struct archive *archive, const struct nest *nest, unsigned int level)
{
	const struct nest_level *own = &nest->levels[level - 1];
	const bool over_root = nest->root && level == nest->depth;
	int err = over_root ? archive_add_directory(archive, NEST_OWN) : 0;

	for (unsigned int i = 0; i < own->file_count && err == 0; i++) {
		const char *source = nest->sources.words[own->files[i].source];

		err = over_root ? pack_over_root(archive, own->files[i].path, source)
				: archive_add_file(archive, own->files[i].path, source);
	}
	return err;
}

static int pack_all(struct archive *archive, const struct nest *nest, unsigned int level)
{
	int err = pack_plan(archive, nest, level);

	if (err == 0)
		err = pack_carried(archive, nest, level);
	if (err == 0)
		err = pack_own(archive, nest, level);
	return err < 0 ? err : archive_finish(archive);
}

int nest_pack(const struct nest *nest, unsigned int level, struct archive **archive)
{
	int err = init_pack(archive);

	if (err < 0)
		return err;
	err = pack_all(*archive, nest, level);
	if (err < 0) {
		archive_destroy(*archive);
		*archive = NULL;
	}
	return err;
}

int nest_unpack(struct nest *nest, unsigned int *level)
{
	json_error_t error;
	json_t *plan = json_load_file(NEST_PLAN, 0, &error);
	const int err = nest_plan_unpack(nest, level, plan);

	if (err == -ENOMEM)
		log_error(NEST_PLAN ": %s", strerror(ENOMEM));
	else if (err < 0)
		log_error(NEST_PLAN ": %s", plan ? "is no plan of a nest" : error.text);
	json_decref(plan);
	return err;
}

/* Whether kernel and archive can be read, and find room in the RAM of a level. */
static int check_files(const struct config *config, const struct archive *archive)
{
	struct boot_files files;
	struct boot boot;
	int err = boot_files_open(&files, config->kernel, NULL, archive);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < config->module_count && err == 0; i++)
		err = boot_files_add_module(&files, config->modules[i].path);
	if (err == 0)
		err = boot_parse(&boot, &files);
	if (err == 0)
		err = boot_place(&boot, 0, config->mem_size);
	boot_files_close(&files);
	return err;
}

/* Whether level 1 has all that is to be handed on. */
static int check_passthrough(const struct nest *nest, const struct config *config)
{
	for (unsigned int i = 0; i < nest->passthrough.count; i++) {
		const char *name = nest->passthrough.words[i];
		const bool disk = name[0] == 'd';
		const unsigned int count = disk ? config->disk_count : config->network_count;

		if ((unsigned int)(name[strlen(name) - 1] - '0') < count)
			continue;
		log_error("passthrough %s: there are %u %s to hand on; give level 1 more of them "
			  "(%s)",
			  name, count, disk ? "disks" : "networks",
			  disk ? "disk = \"FILE\"" : "net = \"mode=...\" outside of the levels");
		return -EINVAL;
	}
	return 0;
}

static int check_level(const struct nest *nest, unsigned int level)
{
	struct nest_words words = { 0 };
	struct archive *archive = NULL;
	struct config config;
	int err = nest_configure(nest, level, &config, &words);

	if (err == 0 && level == 1)
		err = check_passthrough(nest, &config);
	if (err == 0)
		err = nest_pack(nest, level, &archive);
	if (err == 0)
		err = check_files(&config, archive);
	archive_destroy(archive);
	nest_release(&words);
	return err;
}

int nest_check(const struct nest *nest)
{
	int err = nest->root ? root_check(nest->root) : 0;

	/* From the innermost: by then all that a level carries for others has been found good. */
	for (unsigned int level = nest->depth; level > 0 && err == 0; level--) {
		char subject[32];

		snprintf(subject, sizeof(subject), "level %u", level);
		log_set_subject(subject);
		err = check_level(nest, level);
		log_set_subject("");
	}
	return err;
}
