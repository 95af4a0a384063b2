// SPDX-License-Identifier: GPL-2.0-only
/*
 * icnt COMMAND [ARG...]: how many instructions does the machine retire while COMMAND runs?
 *
 * The counters watch CPU 0 as a whole, not a process: meant for a board with one CPU whose PMU
 * counts exactly (tests/board/run --icount). One line "ICNT name value" each, on stdout, after
 * COMMAND's own output:
 *
 *   all        everything
 *   host       what did not run in a guest: the host's kernel and user space
 *   guest      what ran in a guest; of nested guests, the guest hypervisor and all below it
 *   host_user  the host's user space, which is mostly the VMM
 *   maxrss_kb  COMMAND's largest resident set, with the guest memory that it touched
 *
 * Exits with COMMAND's status, 128 and the signal's number if a signal ended it, or 2 for a fault
 * of its own.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct counter {
	const char *name;
	bool no_host, no_guest, no_kernel;
	int fd;
} counters[] = {
	{ .name = "all" },
	{ .name = "host", .no_guest = true },
	{ .name = "guest", .no_host = true },
	{ .name = "host_user", .no_guest = true, .no_kernel = true },
};

#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

static int counter_open(struct counter *counter)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.disabled = 1,
		.exclude_host = counter->no_host,
		.exclude_guest = counter->no_guest,
		.exclude_kernel = counter->no_kernel,
	};

	counter->fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return counter->fd < 0 ? -1 : 0;
}

static int counter_print(const struct counter *counter)
{
	uint64_t value;

	if (read(counter->fd, &value, sizeof(value)) != sizeof(value))
		return -1;
	printf("ICNT %s %llu\n", counter->name, (unsigned long long)value);
	return 0;
}

static void count_all(unsigned long enable_or_disable)
{
	for (size_t i = 0; i < COUNTERS; i++)
		ioctl(counters[i].fd, enable_or_disable, 0);
}

static int run(char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], argv);
		fprintf(stderr, "icnt: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: icnt COMMAND [ARG...]\n");
		return 2;
	}
	for (size_t i = 0; i < COUNTERS; i++) {
		if (counter_open(&counters[i])) {
			perror("icnt: perf_event_open");
			return 2;
		}
	}

	count_all(PERF_EVENT_IOC_ENABLE);
	status = run(argv + 1);
	count_all(PERF_EVENT_IOC_DISABLE);
	if (status < 0) {
		perror("icnt: running the command");
		return 2;
	}

	for (size_t i = 0; i < COUNTERS; i++) {
		if (counter_print(&counters[i])) {
			perror("icnt: reading a counter");
			return 2;
		}
	}
	getrusage(RUSAGE_CHILDREN, &usage);
	printf("ICNT maxrss_kb %ld\n", usage.ru_maxrss);
	return status;
}
