// SPDX-License-Identifier: GPL-2.0-only
#include "options/word_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int word_list_add(struct word_list *list, const char *text, size_t length)
{
	char *word = strndup(text, length);
	char **words = realloc(list->words, (list->count + 2) * sizeof(*words));

	if (words)
		list->words = words;
	if (!word || !words) {
		free(word);
		if (words)
			words[list->count] = NULL;
		return -ENOMEM;
	}
	words[list->count++] = word;
	words[list->count] = NULL;
	return 0;
}

int word_list_add_all(struct word_list *list, const struct word_list *others)
{
	int err = 0;

	for (unsigned int i = 0; i < others->count && err == 0; i++)
		err = word_list_add(list, others->words[i], strlen(others->words[i]));
	return err;
}

void word_list_clear(struct word_list *list)
{
	for (unsigned int i = 0; i < list->count; i++)
		free(list->words[i]);
	free(list->words);
	*list = (struct word_list){ 0 };
}
