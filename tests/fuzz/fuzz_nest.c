// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest may say of a nest, what may stand in a nest file, and in the plan that a level
 * finds: after the first byte, which tells them apart, reports in lines, reports that are right but
 * for some of their members, the file, or the plan. Reports come as those of level 1's guest do,
 * through the relay of its port, and whatever they are, the time limit stays and the end of level 1
 * is what its nidus says.
 */
#include <sanitizer/lsan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "host/file.h"
#include "util.h"
#include "vmm/nest/nest_plan.h"
#include "vmm/nest/nest_relay.h"
#include "vmm/nest/nest_summary.h"

#define DEPTH 3

/* libconfig 1.5 loses memory when a syntax error ends a string. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

/* In place of vmm/host/file.c: what nest_summary_write() writes. */
int file_replace(const char *path, const void *data, size_t size)
{
	json_t *object = json_loadb(data, size, 0, NULL);

	(void)path;
	MUST(json_array_size(json_object_get(object, "levels")) == DEPTH);
	json_decref(object);
	return 0;
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

/* What has come through the relay, as level 0 reads it. */
struct outside {
	struct sink sink;
	struct nest_summary *summary;
	struct nest_line line;
	size_t room; /* what is taken at once */
};

static void hear(struct nest_summary *summary, const struct nest_line *line)
{
	json_t *report = nest_line_report(line);

	/* Nothing passes but what is a report. */
	MUST(report);
	nest_summary_take(summary, report);
	json_decref(report);
}

static size_t out_take(struct outside *outside, const struct iovec *segments, size_t max)
{
	const char *bytes = segments[0].iov_base;
	size_t i;

	for (i = 0; i < segments[0].iov_len && i < max; i++) {
		if (bytes[i] != '\n') {
			nest_line_add(&outside->line, bytes[i]);
			continue;
		}
		hear(outside->summary, &outside->line);
		outside->line.size = 0;
	}
	return i;
}

static size_t out_offer(struct sink *sink, const struct iovec *segments, unsigned int count)
{
	struct outside *outside = container_of(sink, struct outside, sink);

	MUST(count == 1);
	return out_take(outside, segments, outside->room);
}

static void out_keep(struct sink *sink, const struct iovec *segments, unsigned int count)
{
	struct outside *outside = container_of(sink, struct outside, sink);

	MUST(count == 1);
	out_take(outside, segments, SIZE_MAX);
}

/* As a port with a driver that writes as much at once as it pleases. */
static void say(struct sink *sink, const char *text, size_t size, size_t piece)
{
	while (size > 0) {
		const size_t length = size < piece ? size : piece;
		const struct iovec segment = { (char *)text, length };
		const size_t taken = sink->offer(sink, &segment, 1);

		MUST(taken <= length);
		if (taken == 0) {
			sink->keep(sink, &segment, 1);
			text += length;
			size -= length;
		}
		text += taken;
		size -= taken;
	}
}

static void say_report(struct sink *sink, json_t *report, size_t piece)
{
	char *text = json_dumps(report, JSON_COMPACT);

	MUST(text);
	say(sink, text, strlen(text), piece);
	say(sink, "\n", 1, piece);
	free(text);
}

static void say_all(struct sink *sink, bool lines, struct input *input)
{
	const size_t piece = take(input, 1) + 1;

	if (lines)
		say(sink, (const char *)input->data, input->size, piece);
	while (!lines && input->size > 0) {
		json_t *report = make_report(input);

		say_report(sink, report, piece);
		json_decref(report);
	}
}

static void check_summary(const struct nest_summary *summary)
{
	for (unsigned int i = 0; i < NEST_LEVELS_MAX; i++) {
		const struct nest_progress *level = &summary->level[i];

		MUST(i < DEPTH || !level->begun);
		MUST(level->begun <= level->up || !level->up);
		MUST(level->begun || (!level->up && !level->ended));
		MUST(!level->up == !level->up_report);
		MUST(!level->ended == !level->ended_report);
		MUST(level->up || !level->command_report);
		MUST(i >= DEPTH || level->ended || !nest_summary_good(summary));
	}
}

/* By the nidus that runs level 1. */
static void tell(struct nest_summary *summary, json_t *report)
{
	MUST(report);
	MUST(nest_summary_take(summary, report));
	json_decref(report);
}

/* The guest of level 1 speaks, and then it ends well, or crashes. */
static void live(struct nest_summary *summary, bool lines, struct input *input)
{
	static struct nest_relay relay;
	static struct outside outside;
	const int status = take(input, 1) & 1;
	uint64_t begun;
	unsigned int level;

	outside.sink = (struct sink){ .offer = out_offer, .keep = out_keep };
	outside.summary = summary;
	outside.room = take(input, 1);
	outside.line.size = 0;
	nest_relay_init(&relay, &outside.sink, 1, DEPTH);
	nest_summary_started(summary);
	tell(summary, json_pack("{siss}", "level", 1, "is", "begun"));
	begun = summary->level[0].begun;
	say_all(&relay.sink, lines, input);
	say(&relay.sink, "\n", 1, 1);
	check_summary(summary);

	MUST(summary->level[0].begun == begun && !summary->level[0].ended);
	MUST(nest_summary_deadline(summary, &level) <=
	     summary->started + UINT64_C(1000000000) * summary->nest->levels[0].time_limit);
	tell(summary,
	     json_pack("{sisssssssi}", "level", 1, "is", "ended", "by",
		       status ? "crashed" : "shutdown", "stats", "ours", "status", status));
	nest_summary_gone(summary, status);
	MUST(!status || !nest_summary_good(summary));
	MUST(strcmp(json_string_value(json_object_get(summary->level[0].ended_report, "stats")),
		    "ours") == 0);
}

static void take_reports(bool lines, struct input *input)
{
	FILE *const real_stderr = stderr;
	struct nest_summary summary;
	struct nest nest;
	char *text = NULL;
	size_t text_size = 0;

	nest_create(&nest);
	for (unsigned int level = 1; level <= DEPTH; level++)
		MUST(nest_add_level(&nest) == 0);
	MUST(nest_set(&nest, 2, "command", "true") == 0);
	nest_summary_create(&summary, &nest);

	stderr = open_memstream(&text, &text_size);
	MUST(stderr);
	live(&summary, lines, input);
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

static void check_level(const struct nest *nest, unsigned int number)
{
	const struct nest_level *level = &nest->levels[number - 1];
	struct nest_words words = { 0 };
	struct config config;

	MUST(level->time_limit >= 1 && level->time_limit <= NEST_TIME_LIMIT_MAX);
	MUST(level->kernel < (int)nest->sources.count);
	for (unsigned int i = 0; i < level->file_count; i++)
		MUST(level->files[i].source < nest->sources.count && level->files[i].path);
	if (nest_configure(nest, number, &config, &words) == 0) {
		MUST(config.kernel && *config.kernel);
		MUST(config.params == words.params && strlen(config.params) < sizeof(words.params));
		MUST(!config.initrd && !config.initramfs && !config.report);
		MUST(number >= nest->depth || config.nested);
		MUST(!config.e2h0 || number + 1 == nest->depth);
		MUST(!words.list.words[words.list.count]);
	}
	nest_release(&words);
}

static void check_nest(const struct nest *nest)
{
	MUST(nest->depth >= 1 && nest->depth <= NEST_LEVELS_MAX);
	for (unsigned int level = 1; level <= nest->depth; level++)
		check_level(nest, level);
}

/* Whatever can be unpacked is the same when it has gone one level further. */
static void check_way(const struct nest *nest, unsigned int level)
{
	json_t *plan = nest_plan_pack(nest, level), *again;
	unsigned int level_again;
	struct nest inner;

	MUST(plan && nest_plan_unpack(&inner, &level_again, plan) == 0 && level_again == level);
	again = nest_plan_pack(&inner, level);
	MUST(json_equal(plan, again));
	json_decref(plan);
	json_decref(again);
	nest_destroy(&inner);
}

static void read_plan(const struct input *input)
{
	json_t *plan = json_loadb((const char *)input->data, input->size, 0, NULL);
	unsigned int level;
	struct nest nest;

	if (nest_plan_unpack(&nest, &level, plan) == 0) {
		MUST(level >= 1 && level <= nest.depth);
		check_nest(&nest);
		check_way(&nest, level);
		nest_destroy(&nest);
	}
	json_decref(plan);
}

static void read_file(const struct input *input)
{
	int fd = memfd_create("nest", MFD_CLOEXEC);
	struct nest nest;
	char path[64];

	MUST(fd >= 0 && write(fd, input->data, input->size) == (ssize_t)input->size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	nest_create(&nest);
	if (nest_read_file(&nest, path) == 0) {
		json_t *plan = nest_plan_pack(&nest, 1);

		MUST(plan);
		json_decref(plan);
		check_nest(&nest);
	}
	nest_destroy(&nest);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char include[] = "@include";
	struct input input = { data, size };
	const uint64_t what = take(&input, 1) % 4;

	switch (what) {
	case 0:
	case 1:
		take_reports(what == 0, &input);
		break;
	case 2:
		/* Whatever lies about on this machine is not to be read. */
		if (!memmem(data, size, include, strlen(include)))
			read_file(&input);
		break;
	case 3:
		read_plan(&input);
		break;
	}
	return 0;
}
