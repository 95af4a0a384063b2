// SPDX-License-Identifier: GPL-2.0-only
#include "options/help.h"

#include <string.h>

#define INDENT 30
#define WIDTH  80

/* Up to the end of text's line; all lines but the first, which has begun, are indented. */
static const char *print_wrapped(FILE *stream, const char *text, int indent)
{
	int column = indent;

	while (*text && *text != '\n') {
		int word = strcspn(text, " \n");

		if (column + word >= WIDTH) {
			fprintf(stream, "\n%*s", indent, "");
			column = indent;
		}
		fprintf(stream, "%s%.*s", column > indent ? " " : "", word, text);
		column += word + 1;
		text += word + strspn(text + word, " ");
	}
	fputc('\n', stream);
	return *text ? text + 1 : text;
}

void help_text(FILE *stream, const char *text)
{
	while (*text)
		text = print_wrapped(stream, text, 0);
}

static void print_row(FILE *stream, const struct option_row *row)
{
	char letter[] = "    ";
	char left[INDENT];

	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	snprintf(left, sizeof(left), "%s--%s%s%s", letter, row->name, row->argument ? " " : "",
		 row->argument ? row->argument : "");
	fprintf(stream, "  %-*s", INDENT - 2, left);
	print_wrapped(stream, row->help, INDENT);
}

void help_options(FILE *stream, const struct options *options)
{
	for (size_t i = 0; i < options->group_count; i++) {
		const struct option_group *group = &options->groups[i];

		for (size_t j = 0; j < group->count; j++)
			if (group->rows[j].kind != OPTION_KIND_REFUSED)
				print_row(stream, &group->rows[j]);
	}
}
