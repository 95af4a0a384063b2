// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation: three functions of bash are printed. Two are made of the tables:
 * _nidus_argument says what an option takes, _nidus_word what a subcommand takes by itself, by
 * setting `words`, `files` and `options`. _nidus, which knows no option, finds out where the cursor
 * is. For bash "=" parts words, so "--console=serial" is three of them.
 *
 * zsh has a function for all of that, _arguments, which wants a word for each option: what it is
 * called, in brackets what help says, and behind colons what it takes. An asterisk before it lets
 * it be given again.
 */
#include <string.h>

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

static const char zsh_begin[] =
	"#compdef nidus lkvm\n"
	"# zsh completion for nidus and lkvm: nidus help --completion zsh\n\n"
	"_nidus()\n"
	"{\n"
	"\tlocal command=$words[2]\n";

static const char zsh_shift[] = "\tif ((CURRENT == 2)); then\n"
				"\t\tcompadd -- $commands\n"
				"\t\treturn\n"
				"\tfi\n"
				"\tshift words\n"
				"\t((CURRENT--))\n"
				"\tcase $command in\n";

/* The file itself is the function where zsh has found it in its path; elsewhere it is read. */
static const char zsh_end[] = "\tesac\n"
			      "}\n"
			      "\n"
			      "if [[ $funcstack[1] == _nidus ]]; then\n"
			      "\t_nidus \"$@\"\n"
			      "else\n"
			      "\tcompdef _nidus nidus lkvm\n"
			      "fi\n";

/* text inside of single quotes, with a backslash before what means something to _arguments. */
static void print_zsh_text(FILE *stream, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\'", stream);
		else if (strchr("[]:\\", *text))
			fputc('\\', stream);
		fputc(*text, stream);
	}
}

/* What _arguments is to do for a word that is called name. */
static void print_zsh_action(FILE *stream, const char *name, enum option_names names,
			     const struct option_choice *choice)
{
	fputc(':', stream);
	print_zsh_text(stream, name);
	if (choice) {
		for (char before = '('; choice->word; choice++, before = ' ')
			fprintf(stream, "%s%c%s", before == '(' ? ":" : "", before, choice->word);
		fputc(')', stream);
	} else {
		static const char *const actions[] = {
			[OPTION_NAMES_NOTHING] = ": ",
			[OPTION_NAMES_FILE] = ":_files",
			[OPTION_NAMES_DIRECTORY] = ":_files -/",
			[OPTION_NAMES_COMMAND] = ":compadd -- $commands",
		};

		fputs(actions[names], stream);
	}
	fputc('\'', stream);
}

static void print_zsh_option(FILE *stream, const char *command, const struct option_row *row)
{
	(void)command;
	if (row->letter)
		fprintf(stream, " \\\n\t\t'*'{-%c%s,--%s%s}'[", row->letter,
			row->argument ? "+" : "", row->name, row->argument ? "=" : "");
	else
		fprintf(stream, " \\\n\t\t'*--%s%s[", row->name, row->argument ? "=" : "");
	print_zsh_text(stream, row->help);
	fputc(']', stream);
	if (row->argument)
		print_zsh_action(stream, row->argument, row->names, row->choices);
	else
		fputc('\'', stream);
}

void completion_print_zsh(FILE *stream, const struct options *const *commands, size_t count)
{
	fputs(zsh_begin, stream);
	fputs("\tlocal -a commands=(", stream);
	for (size_t i = 0; i < count; i++)
		fprintf(stream, "%s%s", i > 0 ? " " : "", commands[i]->command);
	fputs(")\n\n", stream);
	fputs(zsh_shift, stream);
	for (size_t i = 0; i < count; i++) {
		fprintf(stream, "\t%s)\n\t\t_arguments -S '(-)'{-h,--help}'[say what there is]'",
			commands[i]->command);
		each_row(stream, commands[i], print_zsh_option);
		if (commands[i]->names != OPTION_NAMES_NOTHING) {
			fputs(" \\\n\t\t'1", stream);
			print_zsh_action(stream, " ", commands[i]->names, NULL);
		}
		fputs("\n\t\t;;\n", stream);
	}
	fputs(zsh_end, stream);
}
