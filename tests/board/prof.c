// SPDX-License-Identifier: GPL-2.0-only
/*
 * prof [--map SYSTEM.MAP] COMMAND [ARG...]: where do the host's instructions go while COMMAND runs?
 *
 * Every 500,000th instruction outside guests on CPU 0 is sampled, with the kernel functions that
 * led there. One line a sample on stdout, after COMMAND's own output: "SMP where caller caller...".
 * Addresses are hexadecimal; with the map of the kernel that runs (booted without KASLR) they
 * become symbol+offset where they are the kernel's. What runs with interrupts masked is charged to
 * the place that unmasks them.
 *
 * Exits with COMMAND's status, 128 and the signal's number if a signal ended it, or 2 for a fault
 * of its own.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PERIOD 500000
#define DEPTH  8
#define PAGE   4096UL
#define RING   (4096 * PAGE) /* the kernel wants a power of two; room for 100,000 samples */
#define KERNEL (1ULL << 63) /* addresses from here on are the kernel's */

struct symbol {
	uint64_t address;
	char *name;
};

static struct symbol *symbols;
static size_t symbol_count;

static int compare_symbols(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

/* Lines are "address type name". */
static int map_load(const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned long long address;
	size_t room = 0;
	char *name;

	if (!file)
		return -1;
	while (fscanf(file, "%llx %*s %ms", &address, &name) == 2) {
		if (symbol_count == room) {
			room = room ? 2 * room : 65536;
			symbols = realloc(symbols, room * sizeof(*symbols));
			if (!symbols)
				return -1;
		}
		symbols[symbol_count++] = (struct symbol){ address, name };
	}
	fclose(file);
	qsort(symbols, symbol_count, sizeof(*symbols), compare_symbols);
	return 0;
}

/* The last symbol at or before the address, or NULL. */
static const struct symbol *map_find(uint64_t address)
{
	size_t low = 0, high = symbol_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &symbols[low - 1] : NULL;
}

static void print_address(uint64_t address)
{
	const struct symbol *symbol = address >= KERNEL ? map_find(address) : NULL;

	if (symbol)
		printf(" %s+0x%llx", symbol->name, (unsigned long long)(address - symbol->address));
	else
		printf(" %llx", (unsigned long long)address);
}

/* A sample is its address, the number of addresses in the chain (markers between them), and these.
 */
static void print_sample(const uint64_t *sample, size_t words)
{
	if (words < 2 || sample[1] > words - 2)
		return;
	printf("SMP");
	print_address(sample[0]);
	for (uint64_t i = 0; i < sample[1]; i++) {
		uint64_t address = sample[2 + i];

		/* The chain begins with the sampled address itself. */
		if (address < PERF_CONTEXT_MAX && address != sample[0])
			print_address(address);
	}
	printf("\n");
}

/* Nobody moves data_tail while COMMAND runs, so the ring is filled once and never wraps around. */
static void print_samples(const struct perf_event_mmap_page *meta)
{
	const uint8_t *ring = (const uint8_t *)meta + PAGE;
	uint64_t head = __atomic_load_n(&meta->data_head, __ATOMIC_ACQUIRE), at = 0;

	while (at < head) {
		const struct perf_event_header *record = (const void *)(ring + at);

		if (record->type == PERF_RECORD_SAMPLE)
			print_sample((const void *)(record + 1),
				     (record->size - sizeof(*record)) / 8);
		at += record->size;
	}
	if (RING - head < PAGE)
		fprintf(stderr, "prof: the buffer was full before COMMAND ended: later samples are "
				"missing\n");
}

static int run(char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], argv);
		fprintf(stderr, "prof: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.sample_period = PERIOD,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_CALLCHAIN,
		.sample_max_stack = DEPTH,
		.exclude_guest = 1,
		.exclude_callchain_user = 1,
		.disabled = 1,
	};
	struct perf_event_mmap_page *meta;
	int fd, status;

	argv++;
	if (argc > 2 && !strcmp(argv[0], "--map")) {
		if (map_load(argv[1])) {
			fprintf(stderr, "prof: %s: %s\n", argv[1], strerror(errno));
			return 2;
		}
		argv += 2;
	}
	if (!argv[0]) {
		fprintf(stderr, "usage: prof [--map SYSTEM.MAP] COMMAND [ARG...]\n");
		return 2;
	}

	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0) {
		perror("prof: perf_event_open");
		return 2;
	}
	meta = mmap(NULL, PAGE + RING, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (meta == MAP_FAILED) {
		perror("prof: mapping the buffer");
		return 2;
	}

	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
	status = run(argv);
	ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	if (status < 0) {
		perror("prof: running the command");
		return 2;
	}
	print_samples(meta);
	return status;
}
