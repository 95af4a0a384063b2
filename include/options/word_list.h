/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Words in their order, as many as there are: options, a command, names of files.
 */
#ifndef NIDUS_WORD_LIST_H
#define NIDUS_WORD_LIST_H

#include <stddef.h>

/* All zeroes is an empty one. */
struct word_list {
	char **words; /* words[count] is NULL; NULL itself while the list is empty */
	unsigned int count;
};

/* Adds a copy of the first length bytes of text. Errors: -ENOMEM, not said. */
int word_list_add(struct word_list *list, const char *text, size_t length);

/* Adds a copy of each word of another list. Errors: -ENOMEM, not said. */
int word_list_add_all(struct word_list *list, const struct word_list *others);

/* The list is empty, and has nothing to be released, afterwards. */
void word_list_clear(struct word_list *list);

#endif
