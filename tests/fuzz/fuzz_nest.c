// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest may say of a nest, and what may stand in a nest file: after the first byte, which
 * tells them apart, reports in lines, reports that are right but for some of their members, or the
 * file.
 */
#include <sanitizer/lsan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "file.h"
#include "fuzz.h"
#include "nest_summary.h"
#include "util.h"

#define DEPTH 3

/* libconfig 1.5 loses memory when a syntax error ends a string. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

/* In place of vmm/file.c: what nest_summary_write() writes. */
int file_replace(const char *path, const void *data, size_t size)
{
	json_t *object = json_loadb(data, size, 0, NULL);

	(void)path;
	MUST(json_array_size(json_object_get(object, "levels")) == DEPTH);
	json_decref(object);
	return 0;
}

/* The next line as it is. */
static json_t *load_report(struct input *input)
{
	const uint8_t *end = memchr(input->data, '\n', input->size);
	const size_t line = end ? (size_t)(end - input->data) : input->size;
	json_t *report = json_loadb((const char *)input->data, line, 0, NULL);

	input->data += end ? line + 1 : line;
	input->size -= end ? line + 1 : line;
	return report;
}

static json_t *make_string(struct input *input)
{
	size_t size = take(input, 1);
	json_t *string;

	if (size > input->size)
		size = input->size;
	/* Reading JSON, jansson refuses strings with a NUL in them. */
	string = json_stringn((const char *)input->data, strnlen((const char *)input->data, size));
	input->data += size;
	input->size -= size;
	return string;
}

/* NULL for what JSON does not have. */
static json_t *make_value(struct input *input)
{
	switch (take(input, 1) % 6) {
	case 0:
		return json_integer(take(input, 1));
	case 1:
		return json_integer(take(input, 8));
	case 2:
		return json_null();
	case 3:
		return json_pack("{s{sIso*}}", "exits", "total", (json_int_t)take(input, 8), "wfx",
				 make_string(input));
	default:
		return make_string(input);
	}
}

static json_t *make_report(struct input *input)
{
	static const char *const kinds[] = { "begun", "up", "command", "ended" };
	static const char *const members[] = {
		"level", "is", "linux", "cpus", "memory", "by", "status", "console", "stats",
	};
	const uint64_t level = take(input, 1) % 16, kind = take(input, 1) % 4;
	const uint64_t odd = take(input, 2);
	json_t *report =
		json_pack("{sIsssssisisssi}", "level", (json_int_t)level, "is", kinds[kind],
			  "linux", "6.1", "cpus", 1, "memory", 1, "by", "shutdown", "status", 0);

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (odd >> i & 1)
			json_object_set_new(report, members[i], make_value(input));
	return report;
}

static void take_all(struct nest_summary *summary, json_t *(*next)(struct input *input),
		     struct input *input)
{
	while (input->size > 0) {
		json_t *report = next(input);

		nest_summary_take(summary, report);
		json_decref(report);
	}
}

static void check_summary(const struct nest_summary *summary)
{
	for (unsigned int i = 0; i < NEST_LEVELS_MAX; i++) {
		const struct nest_level *level = &summary->level[i];

		MUST(i < DEPTH || !level->begun);
		MUST(level->begun <= level->up || !level->up);
		MUST(level->begun || (!level->up && !level->ended));
		MUST(!level->up == !level->up_report);
		MUST(!level->ended == !level->ended_report);
		MUST(level->up || !level->command_report);
		MUST(i >= DEPTH || level->ended || !nest_summary_good(summary));
	}
}

static void take_reports(json_t *(*next)(struct input *input), struct input *input)
{
	FILE *const real_stderr = stderr;
	struct nest_summary summary;
	struct nest nest;
	char *text = NULL;
	size_t text_size = 0;

	MUST(nest_create(&nest) == 0);
	for (unsigned int level = 1; level <= DEPTH; level++)
		MUST(nest_add_level(&nest));
	MUST(nest_set(&nest, 2, "command", "true"));
	nest_summary_create(&summary, &nest);

	stderr = open_memstream(&text, &text_size);
	MUST(stderr);
	take_all(&summary, next, input);
	check_summary(&summary);
	nest_summary_print(&summary);
	fclose(stderr);
	stderr = real_stderr;
	for (size_t i = 0; i < text_size; i++)
		MUST(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
	free(text);

	nest_summary_write(&summary, "a file", 0);
	nest_summary_destroy(&summary);
	nest_destroy(&nest);
}

static void check_level(const struct nest *nest, unsigned int level)
{
	struct nest_words words = { .argc = 0 };
	struct config config;

	MUST(nest_time_limit(nest, level) >= 1 && nest_time_limit(nest, level) <= 86400);
	MUST(json_is_array(nest_command(nest, level)));
	if (nest_configure(nest, level, &config, &words)) {
		MUST(config.kernel && *config.kernel);
		MUST(config.params == words.params && strlen(config.params) < sizeof(words.params));
		MUST(!config.initrd && !config.initramfs && !config.report);
		MUST(level >= nest_depth(nest) || config.nested);
		MUST(!config.e2h0 || level + 1 == nest_depth(nest));
		MUST(!words.argv[words.argc]);
	}
	nest_release(&words);
}

static void read_file(const struct input *input)
{
	int fd = memfd_create("nest", MFD_CLOEXEC);
	struct nest nest;
	char path[64];

	MUST(fd >= 0 && write(fd, input->data, input->size) == (ssize_t)input->size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	MUST(nest_create(&nest) == 0);
	if (nest_read_file(&nest, path)) {
		char *text = json_dumps(nest.levels, 0);

		MUST(text);
		free(text);
		MUST(nest_depth(&nest) >= 1 && nest_depth(&nest) <= NEST_LEVELS_MAX);
		for (unsigned int level = 1; level <= nest_depth(&nest); level++)
			check_level(&nest, level);
	}
	nest_destroy(&nest);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char include[] = "@include";
	struct input input = { data, size };

	switch (take(&input, 1) % 3) {
	case 0:
		take_reports(load_report, &input);
		break;
	case 1:
		take_reports(make_report, &input);
		break;
	case 2:
		/* Whatever lies about on this machine is not to be read. */
		if (!memmem(data, size, include, strlen(include)))
			read_file(&input);
		break;
	}
	return 0;
}
