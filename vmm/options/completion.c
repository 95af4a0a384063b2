// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation: three functions of bash are printed. Two are made of the tables:
 * _nidus_argument says what an option takes, _nidus_word what a subcommand takes by itself, by
 * setting `words`, `files` and `options`. _nidus, which knows no option, finds out where the cursor
 * is. For bash "=" parts words, so "--console=serial" is three of them.
 */
#include "options/completion.h"

static const char head[] = "# bash completion for nidus and lkvm: nidus help --completion bash\n\n";

static const char argument_begin[] =
	"# _nidus_argument COMMAND OPTION: what the option takes; fails if it takes nothing.\n"
	"_nidus_argument()\n"
	"{\n"
	"\tcase \"$1 $2\" in\n";

static const char argument_end[] = "\t*) return 1 ;;\n"
				   "\tesac\n"
				   "}\n\n";

static const char word_begin[] = "# _nidus_word COMMAND: its options, and what it takes besides.\n"
				 "_nidus_word()\n"
				 "{\n"
				 "\tcase $1 in\n";

static const char word_end[] =
	"\tesac\n"
	"}\n"
	"\n"
	"_nidus()\n"
	"{\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"\tlocal words='' files='' options=''\n"
	"\n"
	"\tif [[ $current == = ]]; then\n"
	"\t\tcurrent=''\n"
	"\telif [[ $before == = ]]; then\n"
	"\t\tbefore=${COMP_WORDS[COMP_CWORD - 2]}\n"
	"\tfi\n"
	"\tif ((COMP_CWORD == 1)); then\n"
	"\t\twords=$_nidus_commands\n"
	"\telif ! _nidus_argument \"${COMP_WORDS[1]}\" \"$before\"; then\n"
	"\t\t_nidus_word \"${COMP_WORDS[1]}\"\n"
	"\t\t[[ $current != -* ]] || words=$options files=''\n"
	"\tfi\n"
	"\tmapfile -t COMPREPLY < <(\n"
	"\t\t[[ -z $words ]] || compgen -W \"$words\" -- \"$current\"\n"
	"\t\t[[ -z $files ]] || compgen \"$files\" -- \"$current\"\n"
	"\t)\n"
	"\t[[ -z $files ]] || compopt -o filenames 2>/dev/null\n"
	"}\n"
	"\n"
	"complete -F _nidus nidus lkvm\n";

/* What is set where a word is to be a name. */
static const char *setting_of(enum option_names names)
{
	switch (names) {
	case OPTION_NAMES_FILE:
		return " files=-f";
	case OPTION_NAMES_DIRECTORY:
		return " files=-d";
	case OPTION_NAMES_COMMAND:
		return " words=$_nidus_commands";
	case OPTION_NAMES_NOTHING:
		break;
	}
	return "";
}

static void print_argument(FILE *stream, const char *command, const struct option_row *row)
{
	const struct option_choice *choice = row->choices;

	if (row->letter)
		fprintf(stream, "\t'%s -%c' | ", command, row->letter);
	else
		fputc('\t', stream);
	fprintf(stream, "'%s --%s')%s", command, row->name, setting_of(row->names));
	if (choice)
		fprintf(stream, " words='%s", choice->word);
	while (choice && (++choice)->word)
		fprintf(stream, " %s", choice->word);
	fprintf(stream, "%s ;;\n", choice ? "'" : "");
}

static void print_name(FILE *stream, const char *command, const struct option_row *row)
{
	(void)command;
	fprintf(stream, "--%s ", row->name);
}

static void print_taking(FILE *stream, const char *command, const struct option_row *row)
{
	if (row->argument)
		print_argument(stream, command, row);
}

/* Calls print for all options that are listed. */
static void each_row(FILE *stream, const struct options *options,
		     void (*print)(FILE *stream, const char *command, const struct option_row *row))
{
	for (size_t i = 0; i < options->group_count; i++)
		for (size_t j = 0; j < options->groups[i].count; j++)
			if (options->groups[i].rows[j].kind != OPTION_KIND_REFUSED)
				print(stream, options->command, &options->groups[i].rows[j]);
}

void completion_print_bash(FILE *stream, const struct options *const *commands, size_t count)
{
	fputs(head, stream);
	fputs("_nidus_commands='", stream);
	for (size_t i = 0; i < count; i++)
		fprintf(stream, "%s%s", i > 0 ? " " : "", commands[i]->command);
	fputs("'\n\n", stream);

	fputs(argument_begin, stream);
	for (size_t i = 0; i < count; i++)
		each_row(stream, commands[i], print_taking);
	fputs(argument_end, stream);

	fputs(word_begin, stream);
	for (size_t i = 0; i < count; i++) {
		fprintf(stream, "\t%s)%s options='", commands[i]->command,
			setting_of(commands[i]->names));
		each_row(stream, commands[i], print_name);
		fputs("--help' ;;\n", stream);
	}
	fputs(word_end, stream);
}
