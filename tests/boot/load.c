// SPDX-License-Identifier: GPL-2.0-only
/*
 * load DEVICE THREADS REQUESTS SEED: mixed load on a disk, in a guest, with all that is read
 * verified.
 *
 * Each thread runs on a CPU of its own, and so on a queue of its own, and does REQUESTS reads,
 * writes and flushes by Linux AIO, up to 32 at a time, with discards and zeroing in between. The
 * disk begins all zeroes. Stripes of it belong to threads in turn, and a stripe has one request at
 * a time, so that what a sector has to hold is known: its own number and the generation of its last
 * write, both in every word of it.
 */
#include <fcntl.h>
#include <libaio.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SECTOR	    512
#define WORDS	    (SECTOR / sizeof(uint64_t))
#define STRIPE	    256 /* sectors */
#define DEPTH_MAX   32
#define THREADS_MAX 64
#define SHIFT_MAX   8 /* buffers begin up to so many sectors into a page or behind it */

#define DISCARDED 0x80000000 /* in a generation: may have become zeroes */

enum kind { READ, WRITE, FLUSH };

struct slot {
	struct iocb iocb;
	enum kind kind;
	uint64_t first; /* sector */
	unsigned int count; /* sectors */
	uint32_t generation; /* WRITE */
	uint8_t *memory, *buffer;
};

struct thread {
	pthread_t id;
	unsigned int number;
	uint64_t random;
	uint32_t generation;
	io_context_t context;
	struct slot slots[DEPTH_MAX];
	struct slot *idle[DEPTH_MAX];
	unsigned int idle_count;
	unsigned long counts[FLUSH + 1], ranges;
};

static struct thread threads[THREADS_MAX];
static unsigned int thread_count;
static unsigned long requests;
static uint64_t stripes;
static uint32_t *generations; /* of each sector, 0 for zeroes */
static bool *busy; /* each stripe */
static int fd;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t chance(struct thread *thread)
{
	thread->random ^= thread->random << 13;
	thread->random ^= thread->random >> 7;
	thread->random ^= thread->random << 17;
	return thread->random;
}

/* What a sector holds. */

static uint64_t word(uint64_t sector, uint32_t generation, unsigned int index)
{
	return ((sector << 32 | generation) + index) * 0x9e3779b97f4a7c15;
}

static void fill(uint64_t *content, uint64_t sector, uint32_t generation)
{
	for (unsigned int i = 0; i < WORDS; i++)
		content[i] = word(sector, generation, i);
}

static bool holds(const uint64_t *content, uint64_t sector, uint32_t generation)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (content[i] != (generation == 0 ? 0 : word(sector, generation, i)))
			return false;
	return true;
}

static void verify(const void *content, uint64_t sector)
{
	const uint32_t generation = generations[sector];

	if (holds(content, sector, generation & ~DISCARDED))
		return;
	if (generation & DISCARDED && holds(content, sector, 0))
		return;
	printf("load: sector %llu does not hold generation %u; it begins with %016llx\n",
	       (unsigned long long)sector, generation, *(const unsigned long long *)content);
	exit(1);
}

/* Requests. */

/* Some sectors of a stripe of the thread's that has no request. */
static void choose_sectors(struct thread *thread, uint64_t *first, unsigned int *count)
{
	uint64_t stripe;
	unsigned int offset;

	do
		stripe = chance(thread) % (stripes / thread_count) * thread_count + thread->number;
	while (busy[stripe]);
	/* Small ones are as frequent as large ones. */
	*count = 1 + chance(thread) % (UINT64_C(1) << chance(thread) % 9);
	offset = chance(thread) % (STRIPE - *count + 1);
	*first = stripe * STRIPE + offset;
}

static void prepare(struct thread *thread, struct slot *slot)
{
	const unsigned int dice = chance(thread) % 100;

	slot->kind = dice < 50 ? READ : dice < 95 ? WRITE : FLUSH;
	thread->counts[slot->kind]++;
	if (slot->kind == FLUSH) {
		io_prep_fdsync(&slot->iocb, fd);
		return;
	}
	choose_sectors(thread, &slot->first, &slot->count);
	busy[slot->first / STRIPE] = true;
	slot->buffer = slot->memory + chance(thread) % SHIFT_MAX * SECTOR;
	if (slot->kind == READ) {
		memset(slot->buffer, 0xee, slot->count * SECTOR);
		io_prep_pread(&slot->iocb, fd, slot->buffer, slot->count * SECTOR,
			      slot->first * SECTOR);
		return;
	}
	slot->generation = ++thread->generation;
	for (unsigned int i = 0; i < slot->count; i++)
		fill((uint64_t *)(slot->buffer + i * SECTOR), slot->first + i, slot->generation);
	io_prep_pwrite(&slot->iocb, fd, slot->buffer, slot->count * SECTOR, slot->first * SECTOR);
}

static void finish(struct slot *slot, long result)
{
	static const char *const names[] = { "read", "write", "flush" };
	const long wanted = slot->kind == FLUSH ? 0 : (long)slot->count * SECTOR;

	if (result != wanted) {
		printf("load: a %s of %u sectors at %llu came back with %ld\n", names[slot->kind],
		       slot->count, (unsigned long long)slot->first, result);
		exit(1);
	}
	if (slot->kind == FLUSH)
		return;
	for (unsigned int i = 0; i < slot->count; i++) {
		if (slot->kind == READ)
			verify(slot->buffer + i * SECTOR, slot->first + i);
		else
			generations[slot->first + i] = slot->generation;
	}
	busy[slot->first / STRIPE] = false;
}

static void change_range(struct thread *thread)
{
	const bool zero = chance(thread) % 2;
	unsigned int count;
	uint64_t first, range[2];

	choose_sectors(thread, &first, &count);
	range[0] = first * SECTOR;
	range[1] = count * SECTOR;
	if (ioctl(fd, zero ? BLKZEROOUT : BLKDISCARD, range) < 0)
		die(zero ? "load: BLKZEROOUT" : "load: BLKDISCARD");
	for (unsigned int i = 0; i < count; i++)
		generations[first + i] = zero ? 0 : generations[first + i] | DISCARDED;
	thread->ranges++;
}

/* Threads. */

static void reap(struct thread *thread, unsigned int at_least)
{
	struct io_event events[DEPTH_MAX];
	int got = io_getevents(thread->context, at_least, DEPTH_MAX, events, NULL);

	if (got < (int)at_least)
		die("load: io_getevents");
	for (int i = 0; i < got; i++) {
		struct slot *slot = (struct slot *)events[i].obj;

		finish(slot, (long)events[i].res);
		thread->idle[thread->idle_count++] = slot;
	}
}

static void submit(struct thread *thread, unsigned int count)
{
	struct iocb *batch[DEPTH_MAX];

	for (unsigned int i = 0; i < count; i++) {
		struct slot *slot = thread->idle[--thread->idle_count];

		prepare(thread, slot);
		batch[i] = &slot->iocb;
	}
	if (io_submit(thread->context, count, batch) != (int)count)
		die("load: io_submit");
}

static void verify_all(struct thread *thread)
{
	uint8_t *buffer = thread->slots[0].memory;

	for (uint64_t stripe = thread->number; stripe < stripes; stripe += thread_count) {
		if (pread(fd, buffer, STRIPE * SECTOR, stripe * STRIPE * SECTOR) != STRIPE * SECTOR)
			die("load: pread");
		for (unsigned int i = 0; i < STRIPE; i++)
			verify(buffer + i * SECTOR, stripe * STRIPE + i);
	}
}

static void *work(void *opaque)
{
	struct thread *thread = opaque;
	unsigned long left = requests;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(thread->number, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		die("load: sched_setaffinity");
	if (io_setup(DEPTH_MAX, &thread->context) < 0)
		die("load: io_setup");
	while (left > 0) {
		/* A depth for a while, then another one. */
		const unsigned int depth = 1 + chance(thread) % DEPTH_MAX;

		for (unsigned int i = 0; i < 16 && left > 0; i++) {
			unsigned int under_way = DEPTH_MAX - thread->idle_count;
			unsigned int count = under_way < depth ? depth - under_way : 0;

			if (count > left)
				count = left;
			submit(thread, count);
			left -= count;
			reap(thread, 1);
		}
		change_range(thread);
	}
	reap(thread, DEPTH_MAX - thread->idle_count);
	verify_all(thread);
	return NULL;
}

static void start(struct thread *thread, unsigned int number, uint64_t seed)
{
	thread->number = number;
	thread->random = seed * 1000003 + number + 1;
	for (unsigned int i = 0; i < DEPTH_MAX; i++) {
		struct slot *slot = &thread->slots[i];

		slot->memory = aligned_alloc(4096, (STRIPE + SHIFT_MAX) * SECTOR);
		if (!slot->memory)
			die("load");
		thread->idle[thread->idle_count++] = slot;
	}
	if (pthread_create(&thread->id, NULL, work, thread) != 0)
		die("load: pthread_create");
}

int main(int argc, char **argv)
{
	unsigned long counts[FLUSH + 1] = { 0 }, ranges = 0;

	if (argc != 5)
		return 2;
	thread_count = strtoul(argv[2], NULL, 0);
	requests = strtoul(argv[3], NULL, 0);
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0)
		die(argv[1]);
	stripes = lseek(fd, 0, SEEK_END) / SECTOR / STRIPE;
	if (thread_count == 0 || thread_count > THREADS_MAX ||
	    stripes / thread_count < 2 * DEPTH_MAX)
		return 2;
	generations = calloc(stripes * STRIPE, sizeof(*generations));
	busy = calloc(stripes, sizeof(*busy));
	if (!generations || !busy)
		die("load");
	for (unsigned int i = 0; i < thread_count; i++)
		start(&threads[i], i, strtoull(argv[4], NULL, 0));
	for (unsigned int i = 0; i < thread_count; i++) {
		pthread_join(threads[i].id, NULL);
		for (enum kind kind = READ; kind <= FLUSH; kind++)
			counts[kind] += threads[i].counts[kind];
		ranges += threads[i].ranges;
	}
	if (fsync(fd) < 0)
		die("load: fsync");
	printf("load: %lu reads, %lu writes, %lu flushes, %lu ranges, all verified\n", counts[READ],
	       counts[WRITE], counts[FLUSH], ranges);
	return 0;
}
