// SPDX-License-Identifier: GPL-2.0-only
#include "control/threads.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The first line of a file of a thread; text has size bytes. */
static bool read_line(pid_t pid, const char *thread, const char *name, char *text, int size)
{
	char path[64];
	FILE *file;
	bool read;

	if (snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", (int)pid, thread, name) >=
	    (int)sizeof(path))
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	read = fgets(text, size, file) != NULL;
	fclose(file);
	return read;
}

/* Threads of vCPUs are NAME/INDEX (vcpu.c). */
static json_t *vcpu_of(json_t *stats, const char *comm)
{
	const char *slash = strrchr(comm, '/');
	unsigned int index;
	int end = 0;

	if (!slash || sscanf(slash, "/%u\n%n", &index, &end) != 1 || end == 0)
		return NULL;
	return json_array_get(json_object_get(stats, "vcpus"), index);
}

static json_int_t add_thread(json_t *stats, pid_t pid, const char *thread)
{
	char text[64], comm[32] = "";
	uint64_t spent;
	json_t *vcpu;

	/* Time on a CPU, waiting, slices (Linux, Documentation/scheduler/sched-stats.rst). */
	if (!read_line(pid, thread, "schedstat", text, sizeof(text)) ||
	    sscanf(text, "%" SCNu64, &spent) != 1)
		return 0;
	read_line(pid, thread, "comm", comm, sizeof(comm));
	vcpu = vcpu_of(stats, comm);
	if (vcpu)
		json_object_set_new(vcpu, "cpu_ns", json_integer(spent));
	return spent;
}

void threads_add_cpu(json_t *stats, pid_t pid)
{
	struct dirent *entry;
	json_int_t sum = 0;
	char path[32];
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	threads = opendir(path);
	if (!threads)
		return;
	while ((entry = readdir(threads)))
		if (*entry->d_name != '.')
			sum += add_thread(stats, pid, entry->d_name);
	closedir(threads);
	json_object_set_new(stats, "cpu_ns", json_integer(sum));
}
