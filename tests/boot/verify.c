// SPDX-License-Identifier: GPL-2.0-only
/*
 * verify MEGABYTES PASSES: is memory what has been written to it? For guests whose memory the host
 * takes away and gives back.
 *
 * A thread for each CPU has a part of the memory. Each pass looks whether all words of it are as
 * the pass before has left them and writes new ones, in another order every time.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#define THREADS_MAX 64
#define PAGE	    4096
#define WORDS	    (PAGE / sizeof(uint64_t))
#define STRIDE	    7919 /* pages; a prime, so that all pages have their turn */

struct part {
	pthread_t id;
	uint64_t *memory;
	uint64_t pages, passes;
	bool wrong;
};

/* What a word holds after a pass, 0 before the first. */
static uint64_t content(const uint64_t *word, uint64_t pass)
{
	return pass ? (uint64_t)(uintptr_t)word ^ (pass * 0x9e3779b97f4a7c15) : 0;
}

static bool turn_page(uint64_t *page, uint64_t pass)
{
	for (uint64_t *word = page; word < page + WORDS; word++) {
		uint64_t found = *(volatile uint64_t *)word;

		if (found != content(word, pass - 1)) {
			printf("verify: %p has %llx after pass %llu, not %llx\n", (void *)word,
			       (unsigned long long)found, (unsigned long long)pass - 1,
			       (unsigned long long)content(word, pass - 1));
			return false;
		}
		*(volatile uint64_t *)word = content(word, pass);
	}
	return true;
}

static void *work(void *argument)
{
	struct part *part = argument;

	for (uint64_t pass = 1; pass <= part->passes; pass++) {
		for (uint64_t i = 0; i < part->pages; i++) {
			uint64_t page = (i * STRIDE + pass) % part->pages;

			if (!turn_page(part->memory + page * WORDS, pass)) {
				part->wrong = true;
				return NULL;
			}
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct part parts[THREADS_MAX];
	int threads = get_nprocs(), wrong = 0;
	size_t size;

	if (argc != 3 || threads > THREADS_MAX)
		return 2;
	size = strtoul(argv[1], NULL, 10) << 20;
	for (int i = 0; i < threads; i++) {
		parts[i].pages = size / PAGE / threads;
		if (parts[i].pages % STRIDE == 0)
			parts[i].pages--;
		parts[i].passes = strtoul(argv[2], NULL, 10);
		parts[i].memory = mmap(NULL, parts[i].pages * PAGE, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (parts[i].memory == MAP_FAILED ||
		    pthread_create(&parts[i].id, NULL, work, &parts[i])) {
			perror("verify");
			return 1;
		}
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(parts[i].id, NULL);
		wrong += parts[i].wrong;
	}
	if (!wrong)
		printf("verify: %d threads, %s passes, all right\n", threads, argv[2]);
	return wrong ? 1 : 0;
}
