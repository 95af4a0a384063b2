/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest RAM of another process, a nidus with --mem-backing memfd, for programs that take it away.
 */
#ifndef NIDUS_GUEST_RAM_H
#define NIDUS_GUEST_RAM_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

struct ram {
	pid_t pid;
	unsigned long start, end; /* where PID has it */
};

/* Fills in where ram->pid has it; false if it has none. */
static inline bool ram_find(struct ram *ram)
{
	char line[512];
	FILE *maps;
	bool found = false;

	snprintf(line, sizeof(line), "/proc/%d/maps", ram->pid);
	maps = fopen(line, "r");
	while (maps && !found && fgets(line, sizeof(line), maps))
		found = strstr(line, "/memfd:guest-ram") &&
			sscanf(line, "%lx-%lx", &ram->start, &ram->end) == 2;
	if (maps)
		fclose(maps);
	return found;
}

#endif
