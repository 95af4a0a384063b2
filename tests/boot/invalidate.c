// SPDX-License-Identifier: GPL-2.0-only
/*
 * invalidate mprotect|fork ROUNDS [CPUS]: has Linux, in a guest, invalidate TLBs.
 *
 *   mprotect  maps PAGES pages, writes to them, takes the right to write away and gives it back
 *             with other contents, and unmaps them: all that is read is verified
 *   fork      has a child process execute this program, and waits for it
 *
 * With CPUS so many processes, each on a CPU of its own, do all of that at the same time. Seconds
 * are from the first one's begin to the last one's end.
 */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGES 16

static int fail(const char *what)
{
	perror(what);
	return EXIT_FAILURE;
}

static int mprotect_round(unsigned long round)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	volatile unsigned long *words = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const size_t step = page / sizeof(*words);

	if (words == MAP_FAILED)
		return fail("mmap");
	for (size_t i = 0; i < PAGES; i++)
		words[i * step] = round;
	if (mprotect((void *)words, PAGES * page, PROT_READ) < 0)
		return fail("mprotect");
	for (size_t i = 0; i < PAGES; i++)
		if (words[i * step] != round)
			return fail("a page has changed");
	if (mprotect((void *)words, PAGES * page, PROT_READ | PROT_WRITE) < 0)
		return fail("mprotect");
	for (size_t i = 0; i < PAGES; i++)
		words[i * step]++;
	if (munmap((void *)words, PAGES * page) < 0)
		return fail("munmap");
	return EXIT_SUCCESS;
}

static int fork_round(char *program)
{
	char *const argv[] = { program, "mprotect", "0", NULL };
	pid_t child = fork();
	int status;

	if (child == 0) {
		execv("/proc/self/exe", argv);
		_exit(EXIT_FAILURE);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		return fail("child");
	return EXIT_SUCCESS;
}

static int loop(char **argv, unsigned long rounds)
{
	int status = EXIT_SUCCESS;

	for (unsigned long round = 0; round < rounds && status == EXIT_SUCCESS; round++)
		status = strcmp(argv[1], "fork") == 0 ? fork_round(argv[0]) : mprotect_round(round);
	return status;
}

static int loop_on(unsigned long cpu, char **argv, unsigned long rounds)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return fail("sched_setaffinity");
	return loop(argv, rounds);
}

static int loop_on_each(unsigned long cpus, char **argv, unsigned long rounds)
{
	int status = EXIT_SUCCESS, ended;
	pid_t child;

	for (unsigned long cpu = 0; cpu < cpus; cpu++) {
		child = fork();
		if (child == 0)
			_exit(loop_on(cpu, argv, rounds));
		if (child < 0)
			status = fail("fork");
	}
	while (wait(&ended) > 0)
		if (ended != 0)
			status = EXIT_FAILURE;
	return status;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const double begun = seconds();
	unsigned long rounds;
	int status;

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: invalidate mprotect|fork ROUNDS [CPUS]\n");
		return EXIT_FAILURE;
	}
	rounds = strtoul(argv[2], NULL, 10);
	if (argc == 4)
		status = loop_on_each(strtoul(argv[3], NULL, 10), argv, rounds);
	else
		status = loop(argv, rounds);
	if (rounds > 0 && status == EXIT_SUCCESS)
		printf("invalidate: %s, %lu rounds, %.3f s\n", argv[1], rounds, seconds() - begun);
	return status;
}
