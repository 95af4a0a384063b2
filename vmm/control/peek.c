// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation: KVM names a descriptor of statistics after the vCPU, so /proc/PID/fd tells
 * which of a process's descriptors they are. A duplicate of one keeps the machine alive, the more
 * so when the process resets its guest or ends meanwhile. So each is duplicated, read and closed
 * again.
 */
#include "control/peek.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "host/kvm_stats.h"
#include "host/log.h"
#include "options/number.h"

#define STATS_LINK "anon_inode:kvm-vcpu-stats:"

/* A number that is all of text, LONG_MAX for a larger one, or -1. */
static long number(const char *text)
{
	uint64_t value;

	switch (number_parse(text, 0, LONG_MAX, &value)) {
	case 0:
		return value;
	case -ERANGE:
		return LONG_MAX;
	default:
		return -1;
	}
}

/* Which vCPU a descriptor is about, or -1. path: below /proc. */
static long vcpu_of(const char *path)
{
	char link[64];
	ssize_t length = readlink(path, link, sizeof(link) - 1);

	if (length < 0)
		return -1;
	link[length] = '\0';
	return strncmp(link, STATS_LINK, strlen(STATS_LINK)) == 0
		       ? number(link + strlen(STATS_LINK))
		       : -1;
}

/* Whether a thread of the process has the name that vcpu_start() gives to the first vCPU of name.
 */
static bool has_thread(pid_t pid, const char *name)
{
	char path[64], comm[32] = "", wanted[32];
	struct dirent *entry;
	bool found = false;
	DIR *tasks;

	snprintf(wanted, sizeof(wanted), "%.10s/0\n", name);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && !found && (entry = readdir(tasks))) {
		long task = number(entry->d_name);
		FILE *file = NULL;

		snprintf(path, sizeof(path), "/proc/%d/task/%ld/comm", (int)pid, task);
		if (task > 0)
			file = fopen(path, "re");
		found = file && fgets(comm, sizeof(comm), file) && strcmp(comm, wanted) == 0;
		if (file)
			fclose(file);
	}
	if (tasks)
		closedir(tasks);
	return found;
}

static pid_t find_named(const char *name)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t found = -ESRCH;

	while (proc && (entry = readdir(proc))) {
		long pid = number(entry->d_name);

		if (pid <= 0 || !has_thread(pid, name))
			continue;
		if (found > 0) {
			log_error("%s: more than one guest has that name, those of processes %d "
				  "and %ld for example",
				  name, (int)found, pid);
			found = -ENOTUNIQ;
			break;
		}
		found = pid;
	}
	if (proc)
		closedir(proc);
	if (found == -ESRCH)
		log_error("%s: no guest has that name", name);
	return found;
}

pid_t peek_find(const char *who)
{
	long pid = number(who);

	if (pid < 0)
		return find_named(who);
	if (pid == 0 || pid > INT_MAX || getpgid(pid) < 0) {
		log_error("%s: there is no such process", who);
		return -ESRCH;
	}
	return pid;
}

/* Adds what the process's descriptor fd tells; it may have become another one meanwhile. */
static int add_vcpu(struct peek *peek, int pidfd, int fd)
{
	int ours = pidfd_getfd(pidfd, fd, 0);
	struct peek_vcpu *vcpus;
	json_t *stats = NULL;
	char path[32];
	long index;

	if (ours < 0)
		return errno == EBADF || errno == ESRCH ? 0 : -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ours);
	index = vcpu_of(path);
	if (index >= 0)
		stats = kvm_stats_read(ours);
	close(ours);
	if (!stats)
		return 0;

	vcpus = reallocarray(peek->vcpus, peek->count + 1, sizeof(*vcpus));
	if (!vcpus) {
		json_decref(stats);
		return -ENOMEM;
	}
	peek->vcpus = vcpus;
	vcpus[peek->count++] = (struct peek_vcpu){ .index = index, .stats = stats };
	return 0;
}

static int add_vcpus(struct peek *peek, DIR *fds, pid_t pid, int pidfd)
{
	struct dirent *entry;
	int err = 0;

	while (err == 0 && (entry = readdir(fds))) {
		long fd = number(entry->d_name);
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/fd/%ld", (int)pid, fd);
		if (fd >= 0 && vcpu_of(path) >= 0)
			err = add_vcpu(peek, pidfd, fd);
	}
	return err;
}

static int by_index(const void *left, const void *right)
{
	const struct peek_vcpu *a = left, *b = right;

	return (a->index > b->index) - (a->index < b->index);
}

int peek_take(struct peek *peek, pid_t pid)
{
	int pidfd = pidfd_open(pid, 0), err = 0;
	DIR *fds = NULL;
	char path[64];

	*peek = (struct peek){ .count = 0 };
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if (pidfd >= 0)
		fds = opendir(path);
	if (!fds)
		err = -errno;
	else
		err = add_vcpus(peek, fds, pid, pidfd);
	if (fds)
		closedir(fds);
	if (pidfd >= 0)
		close(pidfd);

	/* One that has ended is no error. */
	if (err == -ESRCH || err == -ENOENT)
		return 0;
	if (err < 0) {
		log_error("looking at process %d: %s", (int)pid, log_reason(-err));
		peek_drop(peek);
		return err;
	}
	if (peek->count > 0)
		qsort(peek->vcpus, peek->count, sizeof(*peek->vcpus), by_index);
	return 0;
}

void peek_drop(struct peek *peek)
{
	for (unsigned int i = 0; i < peek->count; i++)
		json_decref(peek->vcpus[i].stats);
	free(peek->vcpus);
	*peek = (struct peek){ .count = 0 };
}
