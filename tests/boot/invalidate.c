// SPDX-License-Identifier: GPL-2.0-only
/*
 * invalidate mprotect|fork ROUNDS: has Linux, in a guest, invalidate TLBs.
 *
 *   mprotect  maps PAGES pages, writes to them, takes the right to write away and gives it back
 *             with other contents, and unmaps them: all that is read is verified
 *   fork      has a child process execute this program, and waits for it
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
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

int main(int argc, char **argv)
{
	unsigned long rounds;
	int status = EXIT_SUCCESS;

	if (argc != 3) {
		fprintf(stderr, "usage: invalidate mprotect|fork ROUNDS\n");
		return EXIT_FAILURE;
	}
	rounds = strtoul(argv[2], NULL, 10);
	for (unsigned long round = 0; round < rounds && status == EXIT_SUCCESS; round++)
		status = strcmp(argv[1], "fork") == 0 ? fork_round(argv[0]) : mprotect_round(round);
	if (rounds > 0 && status == EXIT_SUCCESS)
		printf("invalidate: %s, %lu rounds\n", argv[1], rounds);
	return status;
}
