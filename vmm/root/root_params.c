// SPDX-License-Identifier: GPL-2.0-only
#include "root_params.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct word {
	const char *text;
	size_t length;
};

/* Takes the next word off params; those that are left follow. */
static bool next_word(const char **params, struct word *word)
{
	const char *text = *params;
	bool quoted = false;
	size_t length;

	while (isspace((unsigned char)*text))
		text++;
	for (length = 0; text[length] && (quoted || !isspace((unsigned char)text[length]));
	     length++)
		if (text[length] == '"')
			quoted = !quoted;
	*params = text + length;
	*word = (struct word){ text, length };
	return length > 0 && !(length == 2 && strncmp(text, "--", 2) == 0);
}

/* What a word has that begins with a quote; the one at its end may be missing. */
static void unquote(struct word *word)
{
	if (word->length == 0 || word->text[0] != '"')
		return;
	word->text++;
	word->length--;
	if (word->length > 0 && word->text[word->length - 1] == '"')
		word->length--;
}

/* Leaves the value of a word. */
static bool take_value(struct word *word, const char *name)
{
	const size_t length = strlen(name);

	unquote(word);
	if (word->length <= length || strncmp(word->text, name, length) != 0 ||
	    word->text[length] != '=')
		return false;
	word->text += length + 1;
	word->length -= length + 1;
	unquote(word);
	return true;
}

static bool find(const char *params, const char *name, struct word *value)
{
	bool found = false;
	struct word word;

	while (params && next_word(&params, &word)) {
		if (!take_value(&word, name))
			continue;
		*value = word;
		found = true;
	}
	return found;
}

bool root_params_have(const char *params, const char *name)
{
	struct word value;

	return find(params, name, &value);
}

bool root_params_find(const char *params, const char *name, char *value, size_t size)
{
	struct word word;

	if (!find(params, name, &word))
		return false;
	snprintf(value, size, "%.*s", (int)word.length, word.text);
	return true;
}
