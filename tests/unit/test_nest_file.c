// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nest/nest.h"
#include "packed.h"
#include "util.h"

static struct nest nest;
static const char *directory;
static char path[128];

static int begin(void **state)
{
	directory = scratch_begin();
	snprintf(path, sizeof(path), "%s/nest", directory);
	nest_create(&nest);
	return catch_begin(state);
}

static int finish(void **state)
{
	nest_destroy(&nest);
	scratch_end();
	return catch_end(state);
}

static void make_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void read_text(const char *text)
{
	make_file(path, text);
	assert_int_equal(nest_read_file(&nest, path), 0);
	assert_silent();
}

/* One line is said: where, and what is wrong. */
static void assert_refused(const char *text, unsigned int line, const char *message)
{
	char begin[256];
	const char *all;

	nest_destroy(&nest);
	nest_create(&nest);
	make_file(path, text);
	assert_true(nest_read_file(&nest, path) < 0);
	snprintf(begin, sizeof(begin), "nidus: error: %s, line %u: ", path, line);
	all = said();
	if (strncmp(all, begin, strlen(begin)) != 0 || !strstr(all, message) ||
	    strchr(all, '\n') != all + strlen(all) - 1)
		fail_msg("of \"%s\" was expected \"%s...%s\", but said was:\n%s", text, begin,
			 message, all);
	log_error("no subject is left");
	assert_string_equal(said(), "nidus: error: no subject is left\n");
}

/* What is understood. */

static void one_bare_level(void **state)
{
	read_text("levels = ( { } );");
	assert_int_equal(nest.depth, 1);
	assert_packed(&nest, 1, "options", "[]");
	assert_int_equal(nest.levels[0].time_limit, 120);
}

static void settings_outside_hold_for_all_levels(void **state)
{
	read_text("# A comment\n"
		  "kernel = \"/boot/Image\";\n"
		  "memory = \"256M\"; // another\n"
		  "time-limit = 30;\n"
		  "\n"
		  "levels = (\n"
		  "	{ memory = 1024; cpus = 2; console: \"serial\" },\n"
		  "	{\n"
		  "		/* one\n"
		  "		   more */\n"
		  "		kernel = \"/boot/\" \"other\"\n"
		  "		command = \"cat /proc/cpuinfo\";\n"
		  "		time-limit = 10\n"
		  "	}\n"
		  ");\n"
		  "options = \"--rng\";\n");
	assert_int_equal(nest.depth, 2);
	assert_packed(&nest, 1, "kernel", "0");
	assert_packed(&nest, 2, "kernel", "1");
	assert_string_equal(nest.sources.words[0], "/boot/Image");
	assert_string_equal(nest.sources.words[1], "/boot/other");
	/* Those after the list hold as well; a level's own come last and so count. */
	assert_packed(&nest, 1, "options",
		      "[\"--mem\",\"256M\",\"--rng\",\"--mem\",\"1024\",\"--cpus\",\"2\","
		      "\"--console\",\"serial\"]");
	assert_packed(&nest, 2, "options", "[\"--mem\",\"256M\",\"--rng\"]");
	assert_packed(&nest, 1, "command", "[]");
	assert_packed(&nest, 2, "command", "[\"cat\",\"/proc/cpuinfo\"]");
	assert_int_equal(nest.levels[0].time_limit, 30);
	assert_int_equal(nest.levels[1].time_limit, 10);
}

static void several_values_in_brackets(void **state)
{
	read_text("levels = ( {\n"
		  "	disk = [ \"/a\", \"/b,ro\" ];\n"
		  "	file = ( \"/c\", \"/d:/e\" );\n"
		  "	options = [ \"--name x\", \"--rng\" ];\n"
		  "	cpus = [ 2 ];\n"
		  "} );\n");
	assert_packed(&nest, 1, "options",
		      "[\"--disk\",\"/a\",\"--disk\",\"/b,ro\",\"--name\",\"x\",\"--rng\","
		      "\"--cpus\",\"2\"]");
	assert_packed(&nest, 1, "files",
		      "[{\"source\":0,\"path\":\"/bin/c\"},{\"source\":1,\"path\":\"/e\"}]");
}

static void numbers_of_all_kinds(void **state)
{
	read_text("levels = ( { memory = [ 0x100, 0x200 ];\n"
		  "	options = ( 2147483647, 3000000000L, -1, 0x7fffffffffffffffL ); } );\n");
	assert_packed(&nest, 1, "options",
		      "[\"--mem\",\"256\",\"--mem\",\"512\",\"2147483647\",\"3000000000\",\"-1\","
		      "\"9223372036854775807\"]");
}

static void long_and_strange_strings(void **state)
{
	char *text = malloc(MIB(1)), *end = text;

	end += sprintf(end, "levels = ( { params = \"");
	memset(end, 'a', KIB(512));
	sprintf(end + KIB(512), " \\\"b\\\" \\\\ \xc3\xa4\"; } );");
	read_text(text);
	end = nest.levels[0].params;
	assert_int_equal(strlen(end), KIB(512) + strlen(" \"b\" \\ \xc3\xa4"));
	assert_string_equal(end + KIB(512), " \"b\" \\ \xc3\xa4");
	free(text);
}

static void eight_levels(void **state)
{
	read_text("levels = ( {}, {}, {}, {}, {}, {}, {}, {} );");
	assert_int_equal(nest.depth, 8);
}

static void what_is_set_before_stays(void **state)
{
	assert_int_equal(0, nest_set(&nest, 0, "kernel", "/of/an/option"));
	assert_int_equal(0, nest_set(&nest, 0, "time-limit", "5"));
	read_text("kernel = \"/of/the/file\"; levels = ( {}, { time-limit = 7; } );");
	assert_int_equal(nest.levels[0].time_limit, 5);
	assert_int_equal(nest.levels[1].time_limit, 7);
	assert_packed(&nest, 1, "kernel", "1");
}

static void pipes_can_be_read(void **state)
{
	int ends[2];
	char name[64];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "levels = ({});", 14), 14);
	close(ends[1]);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", ends[0]);
	assert_int_equal(nest_read_file(&nest, name), 0);
	assert_silent();
	close(ends[0]);
	assert_int_equal(nest.depth, 1);
}

/* Mistakes. */

static void missing_file(void **state)
{
	assert_true(nest_read_file(&nest, path) < 0);
	assert_said("/nest: No such file or directory");
}

static void directory_is_no_file(void **state)
{
	char expected[256];

	snprintf(expected, sizeof(expected), "error: %s: ", directory);
	assert_true(nest_read_file(&nest, directory) < 0);
	assert_said(expected);
}

static void unreadable_file(void **state)
{
	const uid_t user = geteuid();
	bool good;

	make_file(path, "levels = ({});");
	assert_int_equal(chmod(path, 0), 0);
	/* Nothing is unreadable to root. */
	if (user == 0 && seteuid(65534) < 0)
		skip();
	good = nest_read_file(&nest, path) == 0;
	assert_int_equal(seteuid(user), 0);
	assert_false(good);
	assert_said("/nest: Permission denied");
}

static void syntax_errors(void **state)
{
	assert_refused("levels = ( { }", 1, "syntax error");
	assert_refused("\nkernel = ;\nlevels = ( {} );", 2, "syntax error");
	assert_refused("\n\nkernel = \"open", 3, "");
	assert_refused("\n\n\n= 1", 4, "syntax error");
	assert_refused("levels = ( {\nmemory = 1;\nmemory = 2; } );", 3, "duplicate setting");
	assert_refused("levels = ( {} );\nlevels = ( {} );", 2, "duplicate setting");
	assert_refused("levels = ( { disk = [\n\"/a\",\n1 ]; } );", 3, "");
	assert_refused("\x7f"
		       "ELF\x02\x01",
		       1, "syntax error");
}

static void unknown_keys(void **state)
{
	assert_refused("levels = (\n{ kernel = \"x\";\nRAM = 1; } );", 3,
		       "RAM: a level has no such thing");
	assert_refused("\nlevel = ( {} );\nlevels = ( {} );", 2, "level: ");
	assert_refused("levels = ( { levels = ( {} );\n } );", 1, "levels: ");
	assert_refused("depth = 3;\nlevels = ( {} );", 1, "depth: a level has no such thing");
}

static void wrong_types(void **state)
{
	assert_refused("levels = ( {\nmemory = true; } );", 2,
		       "memory: must be a string or a number");
	assert_refused("levels = ( {\nmemory = 1.5; } );", 2,
		       "memory: must be a string or a number");
	assert_refused("levels = (\n{\nmemory = { size = 1; }; } );", 3,
		       "memory: must be a string or a number");
	assert_refused("levels = ( { disk = ( \"/a\",\n( \"/b\" ) ); } );", 2,
		       "disk: must be a string or a number");
	assert_refused("levels = ( { disk = ( \"/a\",\n{ path = \"/b\"; } ); } );", 2,
		       "disk: must be a string or a number");
	assert_refused("kernel = \"k\";\nrng = true;\nlevels = ( {} );", 2,
		       "rng: must be a string or a number");
}

static void values_that_are_refused(void **state)
{
	assert_refused("levels = ( {\n\ntime-limit = 0; } );", 3, "time-limit 0: must be");
	assert_refused("levels = ( {\ntime-limit = \"soon\"; } );", 2, "time-limit soon: must be");
	assert_refused("levels = ( {\ntime-limit = 4294967297L; } );", 2, "time-limit 4294967297");
	assert_refused("\ntime-limit = -1;\nlevels = ( {} );", 2, "time-limit -1: must be");
	assert_refused("levels = ( { params = \"\xff\"; } );", 1, "params: must be UTF-8");
}

static void empty_strings(void **state)
{
	assert_refused("levels = ( {\nkernel = \"\"; } );", 2, "kernel: has no value");
	assert_refused("levels = ( { file = [ \"/a\",\n\"\" ]; } );", 2, "file: has no value");
	assert_refused("\nparams = \"\";\nlevels = ( {} );", 2, "params: has no value");
}

static void levels_that_are_none(void **state)
{
	assert_refused("\nlevels = ( );", 2, "has no levels");
	assert_refused("\nlevels = { };", 2, "has no levels");
	assert_refused("\nlevels = [ ];", 2, "has no levels");
	assert_refused("\n\nlevels = [ 1 ];", 3, "has no levels");
	assert_refused("\n\nlevels = 2;", 3, "has no levels");
	assert_refused("levels = \"x\";", 1, "has no levels");
	assert_refused("levels = ( {},\n3 );", 2, "a level is a group");
	assert_refused("levels = (\n(\n{} ) );", 2, "a level is a group");
	assert_refused("levels = ( {},\n\"x\" );", 2, "a level is a group");
}

static void nine_levels(void **state)
{
	assert_refused("levels = ( {}, {}, {}, {}, {}, {}, {}, {},\n{ } );", 2,
		       "no more than 8 levels");
}

/* There is no line to name then. */
static void file_without_levels(void **state)
{
	char expected[256];

	snprintf(expected, sizeof(expected), "error: %s: has no levels", path);
	make_file(path, "");
	assert_true(nest_read_file(&nest, path) < 0);
	assert_said(expected);
	make_file(path, "kernel = \"x\";\n");
	assert_true(nest_read_file(&nest, path) < 0);
	assert_said(expected);
}

/* It is named where the mistake is. */
static void included_files(void **state)
{
	char text[512], expected[512], other[256];

	snprintf(other, sizeof(other), "%s/other", directory);
	snprintf(text, sizeof(text), "\n\n\n@include \"%s\"\nlevels = ( {} );", other);
	make_file(path, text);

	make_file(other, "cpus = 2;");
	assert_int_equal(nest_read_file(&nest, path), 0);
	assert_silent();
	assert_packed(&nest, 1, "options", "[\"--cpus\",\"2\"]");

	make_file(other, "\ncpus = ;");
	assert_true(nest_read_file(&nest, path) < 0);
	snprintf(expected, sizeof(expected), "error: %s, line 2: syntax error", other);
	assert_said(expected);
	make_file(other, "\ncpus = true;");
	assert_true(nest_read_file(&nest, path) < 0);
	snprintf(expected, sizeof(expected), "error: %s, line 2: cpus: must be", other);
	assert_said(expected);

	assert_int_equal(unlink(other), 0);
	assert_true(nest_read_file(&nest, path) < 0);
	snprintf(expected, sizeof(expected), "error: %s, line 4: cannot open include file", path);
	assert_said(expected);
}

/* The line of a file with a long name is still said. */
static void long_names(void **state)
{
	char name[512] = "", link[640];
	bool good;

	while (strlen(name) < 250)
		strcat(name, "n");
	snprintf(link, sizeof(link), "%s/%s", directory, name);
	make_file(link, "\n\nlevels = ( { RAM = 1; } );");
	good = nest_read_file(&nest, link) == 0;
	assert_false(good);
	assert_said("line 3: RAM: a level has no such thing");
	assert_int_equal(unlink(link), 0);
}

#define on_file(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_file(one_bare_level),
		on_file(settings_outside_hold_for_all_levels),
		on_file(several_values_in_brackets),
		on_file(numbers_of_all_kinds),
		on_file(long_and_strange_strings),
		on_file(eight_levels),
		on_file(what_is_set_before_stays),
		on_file(pipes_can_be_read),
		on_file(missing_file),
		on_file(directory_is_no_file),
		on_file(unreadable_file),
		on_file(syntax_errors),
		on_file(unknown_keys),
		on_file(wrong_types),
		on_file(values_that_are_refused),
		on_file(empty_strings),
		on_file(levels_that_are_none),
		on_file(nine_levels),
		on_file(file_without_levels),
		on_file(included_files),
		on_file(long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
