// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers of a disk that do anything, against the device with its threads, each of its engines and
 * a real file: a list of operations, of which some are steps of a proper driver. Rings may lie on
 * top of each other and on what the device writes to. Whatever has happened, a reset must come
 * back, within a time that no input has any right to use up, and a proper driver must then find
 * what it has written. What a worker does in which moment is not in the input, so a crash may need
 * some tries to come again.
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"
#include "fuzz.h"
#include "memmap.h"
#include "util.h"
#include "virtio/virtio_block.h"

#define RAM	  MIB(1)
#define DISK_SIZE KIB(256)
#define QUEUES	  2
#define RING(q)	  (RAM_BASE + UINT64_C(0x4000) * (q))
#define TABLE	  (RAM_BASE + 0x8000)
#define HEADERS	  (RAM_BASE + 0x9000) /* 64 of 16 bytes */
#define DATA	  (RAM_BASE + 0xa000)

/* For one input; a few milliseconds are usual. */
#define HANG_SECONDS 60

#define ENGINES 3
#define KINDS	(2 * ENGINES) /* with and without direct I/O */

static struct memory memory;
static struct virtio *device;
static struct driver driver[QUEUES];
static struct input input;
static bool large_blocks; /* what the host is said to have */

static void *ram(uint64_t gpa, uint64_t size)
{
	void *bytes = memory_at(&memory, gpa, size);

	MUST(bytes);
	return bytes;
}

/* In place of the library's, which goes on to the kernel too. */
int statx(int fd, const char *name, int flags, unsigned int mask, struct statx *stx)
{
	const int err = syscall(SYS_statx, fd, name, flags, mask, stx);

	if (large_blocks) {
		stx->stx_mask |= STATX_DIOALIGN;
		stx->stx_dio_mem_align = 512;
		stx->stx_dio_offset_align = 4096;
	}
	return err;
}

/* Time. libFuzzer has SIGALRM and SIGUSR1 for itself. */

static timer_t watchdog;

static void hangs(int signal)
{
	MUST(signal == 0);
}

static void watch(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };

	signal(SIGRTMIN, hangs);
	MUST(timer_create(CLOCK_MONOTONIC, &event, &watchdog) == 0);
}

static void watch_for(unsigned int seconds)
{
	const struct itimerspec time = { .it_value.tv_sec = seconds };

	timer_settime(watchdog, 0, &time, NULL);
}

/* The devices, one of each kind, made once: an input begins with a reset and an empty image. */

static struct virtio *devices[KINDS];
static int images[KINDS];
static struct disk disks[KINDS];

static void queue_interrupt(struct virtio_transport *transport, unsigned int queue)
{
	MUST(queue < QUEUES);
}

static void config_interrupt(struct virtio_transport *transport)
{
}

static struct virtio_transport transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
};

static struct virtio *create(unsigned int kind)
{
	char path[32];
	const bool direct = kind >= ENGINES;
	struct virtio_block_options options = {
		.disk = &disks[kind],
		.queues = QUEUES,
	};
	struct disk_options image = {
		.direct = direct,
		.ops = disk_engine_choose((enum disk_engine_kind)(kind % ENGINES)),
		.engines = QUEUES,
		.depth = VIRTIO_BLOCK_DEPTH,
	};
	struct virtio *virtio;

	/* In memory, where a flush takes no time. */
	images[kind] = memfd_create("image", MFD_CLOEXEC);
	MUST(images[kind] >= 0 && ftruncate(images[kind], DISK_SIZE) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", images[kind]);
	large_blocks = direct;
	/* Before Linux 6.6 there is no O_DIRECT for it. */
	if (disk_open(options.disk, path, &image) < 0) {
		image.direct = false;
		MUST(direct && disk_open(options.disk, path, &image) == 0);
	}
	MUST(disk_begin(options.disk) == 0);
	MUST(virtio_block_create(&virtio, &memory, &options) == 0);
	MUST(virtio);
	virtio->transport = &transport;
	return virtio;
}

/* The driver. */

static void set_status(uint8_t status)
{
	pthread_mutex_lock(&device->lock);
	virtio_set_status(device, status);
	pthread_mutex_unlock(&device->lock);
}

static void set_ready(unsigned int queue, bool ready)
{
	pthread_mutex_lock(&device->lock);
	if (ready && virtio_queue_open(&device->queues[queue]))
		device->queues[queue].layout = driver[queue].layout;
	virtio_queue_set_ready(&device->queues[queue], ready);
	pthread_mutex_unlock(&device->lock);
}

static void kick(unsigned int queue)
{
	event_notify(&device->queues[queue].kick);
}

static void negotiate(uint64_t refused)
{
	const uint64_t wanted = device->offered & ~refused;

	set_status(0);
	MUST(atomic_load(&device->status) == 0);
	set_status(3);
	pthread_mutex_lock(&device->lock);
	virtio_set_features(device, 0, wanted);
	virtio_set_features(device, 1, wanted >> 32);
	pthread_mutex_unlock(&device->lock);
	set_status(11);
}

/* Where the parts of a ring lie: where they should, or anywhere near. */
static void lay_out(unsigned int queue)
{
	const uint64_t how = take(&input, 1);

	driver[queue] = driver_create(&memory, RING(queue), 1u << how % 7);
	if (how & 0x80)
		driver[queue].layout.avail = RING(queue) + take(&input, 2) % 0x4000 * 2;
	if (how & 0x40)
		driver[queue].layout.used = RING(queue) + take(&input, 2) % 0x2000 * 4;
	/* The available index and the used flags in one place. */
	if ((how & 0xc0) == 0xc0)
		driver[queue].layout.used = driver[queue].layout.avail + 2;
	if (how & 0x20)
		driver[queue].layout.desc = RING(queue) + take(&input, 1) * 16;
}

static void activate(void)
{
	const uint64_t how = take(&input, 1);

	negotiate((how & 1 ? UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX : 0) |
		  (how & 2 ? UINT64_C(1) << VIRTIO_BLK_F_FLUSH : 0));
	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		lay_out(queue);
		set_ready(queue, true);
	}
	set_status(15);
}

static void write_descriptor(uint64_t table)
{
	static const uint32_t lengths[] = { 0, 1, 16, 512, 4096, 65536, 500, 21 };
	const uint64_t index = take(&input, 1) % 64, how = take(&input, 1);
	struct vring_desc desc = {
		.len = lengths[how % ARRAY_SIZE(lengths)],
		.flags = how >> 3 & (NEXT | WRITE),
		.next = index + 1,
	};

	switch (how >> 5) {
	case 0:
		desc.addr = HEADERS + 16 * (take(&input, 1) % 64);
		break;
	case 1:
		desc.addr = TABLE;
		desc.len = 16 * (take(&input, 1) % 64);
		desc.flags = VRING_DESC_F_INDIRECT;
		break;
	case 2:
		desc.addr = RAM_BASE + take(&input, 2);
		break;
	case 3:
		desc.addr = take(&input, 8);
		desc.len = take(&input, 4);
		break;
	default:
		desc.addr = DATA + take(&input, 2);
		break;
	}
	memcpy(ram(table + 16 * index, sizeof(desc)), &desc, sizeof(desc));
}

static void write_header(void)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN,	VIRTIO_BLK_T_OUT,
					  VIRTIO_BLK_T_FLUSH,	VIRTIO_BLK_T_GET_ID,
					  VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
					  VIRTIO_BLK_T_IN,	99 };
	const uint64_t where = take(&input, 1), type = take(&input, 1);
	const struct virtio_blk_outhdr header = {
		.type = types[type % ARRAY_SIZE(types)],
		.sector = type & 0x80 ? take(&input, 8) : take(&input, 2) % (DISK_SIZE / 512),
	};

	memcpy(ram(HEADERS + 16 * (where % 64), sizeof(header)), &header, sizeof(header));
}

/* A request of header, data and status at three descriptors, as drivers make them. */
static void request(unsigned int queue, unsigned int first, uint32_t type, uint64_t sector,
		    uint64_t gpa, uint32_t length)
{
	const struct virtio_blk_outhdr header = { .type = type, .sector = sector };
	struct driver *which = &driver[queue];

	memcpy(ram(HEADERS + 16 * first, sizeof(header)), &header, sizeof(header));
	driver_desc(which, first, HEADERS + 16 * first, sizeof(header), NEXT, first + 1);
	driver_desc(which, first + 1, gpa, length, NEXT | (type == VIRTIO_BLK_T_IN ? WRITE : 0),
		    first + 2);
	driver_desc(which, first + 2, DATA - 64 + first, 1, WRITE, 0);
	driver_offer(which, first);
}

static void step(void)
{
	const unsigned int what = take(&input, 1), queue = what >> 4 & 1;

	switch (what % 16) {
	case 0:
	case 1:
		write_descriptor(driver[queue].layout.desc & ~UINT64_C(15));
		break;
	case 2:
		write_descriptor(TABLE);
		break;
	case 3:
	case 4:
		write_header();
		break;
	case 5:
	case 6:
		driver_offer(&driver[queue], take(&input, 1) % 64);
		kick(queue);
		break;
	case 7: {
		const uint64_t gpa = RAM_BASE + take(&input, 2) % 0xa000, value = take(&input, 2);

		memcpy(ram(gpa, 2), &value, 2);
		break;
	}
	case 8:
		set_ready(queue, what & 0x20);
		break;
	case 9:
		activate();
		break;
	case 10:
		usleep(take(&input, 1));
		break;
	case 11:
	case 12:
	case 13:
		if (driver[queue].layout.size < 64)
			break;
		request(queue, 3 * (take(&input, 1) % 16),
			what & 0x40 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			take(&input, 2) % (DISK_SIZE / 512), DATA + take(&input, 2),
			512 * (take(&input, 1) % 128));
		kick(queue);
		break;
	default:
		kick(queue);
		break;
	}
}

static void do_request(unsigned int queue, uint32_t type)
{
	uint32_t head, written;

	request(queue, 0, type, 3, DATA, 2048);
	kick(queue);
	while (!driver_take(&driver[queue], &head, &written))
		usleep(20);
	MUST(head == 0 && *(uint8_t *)ram(DATA - 64, 1) == VIRTIO_BLK_S_OK);
}

/* What a proper driver finds afterwards. */
static void check_works(void)
{
	negotiate(0);
	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		driver[queue] = driver_create(&memory, RING(queue), 8);
		set_ready(queue, true);
	}
	set_status(15);
	MUST(atomic_load(&device->status) == 15);
	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		memset(ram(DATA, 2048), 0x5a + queue, 2048);
		do_request(queue, VIRTIO_BLK_T_OUT);
		memset(ram(DATA, 2048), 0, 2048);
		do_request(queue, VIRTIO_BLK_T_IN);
		for (unsigned int i = 0; i < 2048; i++)
			MUST(*(uint8_t *)ram(DATA + i, 1) == 0x5a + queue);
		do_request(queue, VIRTIO_BLK_T_FLUSH);
	}
	set_status(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int kind;

	input = (struct input){ data, size };
	if (!memory.host) {
		MUST(memory_create(&memory, RAM_BASE, RAM, MEMORY_ANON, NULL) == 0);
		watch();
	}
	kind = take(&input, 1) % KINDS;
	if (!devices[kind])
		devices[kind] = create(kind);
	device = devices[kind];
	MUST(ftruncate(images[kind], 0) == 0 && ftruncate(images[kind], DISK_SIZE) == 0);
	memset(ram(RAM_BASE, RAM), 0, RAM);
	watch_for(HANG_SECONDS);
	activate();
	while (input.size > 0)
		step();
	check_works();
	watch_for(0);
	return 0;
}
