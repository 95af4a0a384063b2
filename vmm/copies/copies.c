// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each copy is to be: the command line with its number in it, and its name. All of them are
 * looked at before the first one starts, for what is wrong with one would be found when others run.
 */
#include "copies/copies.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copies_parts.h"
#include "host/log.h"
#include "util.h"

#define NUMBER "{}"

/* The command line. */

/* Returns its bytes, with the end. to: NULL, or where they go. */
static size_t put_word(char *to, const char *word, unsigned int number)
{
	size_t used = 0;

	while (*word) {
		const bool is_number = strncmp(word, NUMBER, strlen(NUMBER)) == 0;
		char piece[12] = { *word };
		size_t size = 1;

		if (is_number)
			size = snprintf(piece, sizeof(piece), "%u", number);
		if (to)
			memcpy(to + used, piece, size);
		word += is_number ? strlen(NUMBER) : 1;
		used += size;
	}
	if (to)
		to[used] = '\0';
	return used + 1;
}

char **copies_words(int argc, char **argv, unsigned int number)
{
	size_t size = (argc + 1) * sizeof(char *);
	char **words, *at;

	for (int i = 0; i < argc; i++)
		size += put_word(NULL, argv[i], number);
	words = malloc(size);
	if (!words) {
		log_error("the command line: %s", strerror(ENOMEM));
		return NULL;
	}
	at = (char *)(words + argc + 1);
	for (int i = 0; i < argc; i++) {
		words[i] = at;
		at += put_word(at, argv[i], number);
	}
	words[argc] = NULL;
	return words;
}

/* The name. */

/* Whether what was given has the number in it: the name is one of the words, or the end of one. */
static bool is_numbered(const struct copy_plan *plan, const struct copies *copies)
{
	const char *name = plan->config.name;

	for (int i = 0; i < copies->argc && name; i++)
		if (name >= plan->words[i] && name <= plan->words[i] + strlen(plan->words[i]))
			return strstr(copies->argv[i], NUMBER);
	return false;
}

/* What was given; or that of the file, without its ending. */
static void put_name(struct copy_plan *plan, const struct copies *copies, unsigned int number)
{
	const char *given = plan->config.name;
	char path[PATH_MAX], *base;

	if (is_numbered(plan, copies)) {
		snprintf(plan->name, sizeof(plan->name), "%s", given);
		return;
	}
	snprintf(path, sizeof(path), "%s", given ? given : copies->path);
	base = given ? path : basename(path);
	if (!given && strrchr(base, '.') > base)
		*strrchr(base, '.') = '\0';
	snprintf(plan->name, sizeof(plan->name), "%.*s-%u", NAME_MAX - 16, base, number);
}

int copies_plan(struct copy_plan *plan, const struct copies *copies, unsigned int number)
{
	struct options_words words;
	int err = -ENOMEM;

	plan->words = copies_words(copies->argc, copies->argv, number);
	if (plan->words)
		err = config_parse_restore(&plan->config, copies->argc, plan->words, &words);
	if (err == 0) {
		put_name(plan, copies, number);
		plan->config.name = plan->name;
		return 0;
	}
	copies_drop(plan);
	return err;
}

void copies_drop(struct copy_plan *plan)
{
	free(plan->words);
	plan->words = NULL;
}

/* What only one can have. */

static const struct {
	const char *option;
	size_t member; /* const char * */
} own[] = {
	{ "report", offsetof(struct config, report) },
	{ "control", offsetof(struct config, control) },
	{ "pidfile", offsetof(struct config, pidfile) },
	{ "stats", offsetof(struct config, stats_file) },
	{ "flash", offsetof(struct config, flash) },
	{ "gdb", offsetof(struct config, gdb) },
};

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static int check_texts(const struct config *a, const struct config *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		const char *text = *(const char *const *)((const char *)a + own[i].member);

		if (!same(text, *(const char *const *)((const char *)b + own[i].member)))
			continue;
		log_error("--%s %s: copies cannot have the same one; " NUMBER
			  " in it stands for the number of each",
			  own[i].option, text);
		return -EINVAL;
	}
	return 0;
}

static int check_disks(const struct config *a, const struct config *b)
{
	for (unsigned int i = 0; i < a->disk_count; i++) {
		const struct config_disk *disk = &a->disks[i];

		if (disk->read_only || !same(disk->path, b->disks[i].path))
			continue;
		log_error("--disk %s: copies cannot write to the same one; give each a disk of its "
			  "own (" NUMBER " in the path stands for its number), or have them only "
			  "read it (ro)",
			  disk->path);
		return -EINVAL;
	}
	return 0;
}

static bool forwards_the_same(const struct config_network *a, const struct config_network *b)
{
	bool found = false;

	for (unsigned int i = 0; i < a->forward_count; i++)
		found |= same(a->forward[i], b->forward[i]);
	return found;
}

/* The word of it that only one can have, or NULL. */
static const char *shared_word(const struct config_network *a, const struct config_network *b)
{
	if (same(a->tapif, b->tapif))
		return "tapif";
	if (a->fd >= 0 && a->fd == b->fd)
		return "fd";
	if (a->guest_mac.given &&
	    memcmp(a->guest_mac.byte, b->guest_mac.byte, sizeof(a->guest_mac.byte)) == 0)
		return "guest_mac";
	return forwards_the_same(a, b) ? "forward" : NULL;
}

static int check_networks(const struct config *a, const struct config *b)
{
	for (unsigned int i = 0; i < a->network_count; i++) {
		const char *word = shared_word(&a->networks[i], &b->networks[i]);

		if (!word)
			continue;
		log_error("--network %s=...: copies cannot have the same one; " NUMBER
			  " in it stands for the number of each",
			  word);
		return -EINVAL;
	}
	return 0;
}

/* Of the first and another one, which differ in nothing but their numbers. */
static int check_both(const struct config *first, const struct config *other)
{
	int err = check_texts(first, other);

	if (err == 0)
		err = check_disks(first, other);
	return err == 0 ? check_networks(first, other) : err;
}

static int check_one(const struct copies *copies, const struct copy_plan *first,
		     unsigned int number)
{
	static struct copy_plan plan;
	int err = copies_plan(&plan, copies, number);

	if (err < 0)
		return err;
	err = check_both(&first->config, &plan.config);
	copies_drop(&plan);
	return err;
}

static int check_all(const struct copies *copies)
{
	static struct copy_plan first;
	int err = copies_plan(&first, copies, 1);

	if (err < 0)
		return err;
	for (unsigned int number = 2; number <= copies->count && err == 0; number++)
		err = check_one(copies, &first, number);
	if (err == 0)
		err = copies->complete(&first.config, copies->snapshot);
	copies_drop(&first);
	return err;
}

enum status copies_run(const struct copies *copies)
{
	const int err = check_all(copies);

	return err < 0 ? status_of_error(err, STATUS_USAGE) : copies_watch(copies);
}
