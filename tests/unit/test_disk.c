// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "disk.h"
#include "host/log.h"
#include "host/ring.h"
#include "unit.h"
#include "util.h"

#define SIZE  MIB(1)
#define DEPTH 8

static char path[256];

static void path_of(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", scratch_begin(), name);
}

/* In place of the libraries' functions, which are called where a test does not want a failure. */

static bool no_rings, no_contexts, no_fallocate;

int io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags)
{
	struct io_uring_params params = { .flags = flags };

	return no_rings ? -ENOMEM : io_uring_queue_init_params(entries, ring, &params);
}

int io_setup(int depth, io_context_t *context)
{
	return no_contexts || syscall(SYS_io_setup, depth, context) < 0 ? -EAGAIN : 0;
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	if (!no_fallocate)
		return syscall(SYS_fallocate, fd, mode, offset, length);
	errno = EOPNOTSUPP;
	return -1;
}

static unsigned int syncs;

int fdatasync(int fd)
{
	const int err = syscall(SYS_fdatasync, fd);

	syncs++;
	if (err == 0)
		errno = EINTR; /* of something else, and means nothing then */
	return err;
}

/*
 * What calls that must not wait do: all that is asked for, or no more than so many bytes of it, or
 * fail. How often that was asked for.
 */
static size_t at_once_max = SIZE_MAX;
static int at_once_error;
static unsigned int at_once_tries;
/* And those that may wait: no more than so many bytes. */
static size_t waiting_max = SIZE_MAX;

static ssize_t transfer_v2(long number, int fd, const struct iovec *segments, int count,
			   off_t offset, int flags)
{
	struct iovec first;

	if (!(flags & RWF_NOWAIT)) {
		first = segments[0];
		if (waiting_max == SIZE_MAX || first.iov_len <= waiting_max)
			return syscall(number, fd, segments, count, offset, 0, flags);
		first.iov_len = waiting_max;
		return syscall(number, fd, &first, 1, offset, 0, flags);
	}
	at_once_tries++;
	errno = at_once_error;
	if (at_once_error != 0)
		return -1;
	first = segments[0];
	if (first.iov_len <= at_once_max)
		return syscall(number, fd, segments, count, offset, 0, 0);
	first.iov_len = at_once_max;
	return syscall(number, fd, &first, 1, offset, 0, 0);
}

ssize_t preadv2(int fd, const struct iovec *segments, int count, off_t offset, int flags)
{
	return transfer_v2(SYS_preadv2, fd, segments, count, offset, flags);
}

ssize_t pwritev2(int fd, const struct iovec *segments, int count, off_t offset, int flags)
{
	return transfer_v2(SYS_pwritev2, fd, segments, count, offset, flags);
}

/* What the host says that direct I/O asks of requests, or NULL: as it is. */
static const struct statx *host_asks;

int statx(int directory, const char *name, int flags, unsigned int mask, struct statx *found)
{
	if (!host_asks)
		return syscall(SYS_statx, directory, name, flags, mask, found);
	*found = *host_asks;
	return 0;
}

/* An image of so many bytes, each of which tells its offset. */
static void make_image(const char *name, size_t size)
{
	uint8_t *content = malloc(size + 1);
	int fd;

	path_of(name);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	for (size_t i = 0; i < size; i++)
		content[i] = i >> 9 ^ i;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, size), size);
	close(fd);
	free(content);
}

static unsigned int engine_count = DISK_ENGINES_MAX; /* of the disks that tests open */

static int finish(void **state)
{
	engine_count = DISK_ENGINES_MAX;
	at_once_max = waiting_max = SIZE_MAX;
	host_asks = NULL;
	at_once_error = 0;
	at_once_tries = 0;
	scratch_end();
	return catch_end(state);
}

/* Opening. */

/* And measures. Nothing is open where it fails. */
static int open_disk_with(struct disk *disk, bool read_only, bool direct,
			  const struct disk_engine_ops *ops)
{
	const struct disk_options options = {
		.read_only = read_only,
		.direct = direct,
		.ops = ops,
		.engines = engine_count,
		.depth = DEPTH,
	};
	int err = disk_open(disk, path, &options);

	if (err < 0)
		return err;
	err = disk_begin(disk);
	if (err < 0)
		disk_close(disk);
	return err;
}

static int open_disk(struct disk *disk, bool read_only, bool direct)
{
	return open_disk_with(disk, read_only, direct, &disk_sync_ops);
}

static void files_open(void **state)
{
	struct disk disk;

	make_image("image", SIZE);
	assert_int_equal(open_disk(&disk, false, false), 0);
	assert_int_equal(disk.sectors, SIZE / 512);
	assert_int_equal(disk.block_size, 512);
	assert_false(disk.is_device);
	assert_false(disk.direct);
	disk_close(&disk);
	assert_silent();
}

static void refuse(int err, const char *why)
{
	struct disk disk;

	assert_int_equal(open_disk(&disk, false, false), err);
	assert_said(why);
	assert_int_equal(open_disk(&disk, true, false), err);
	assert_said(why);
}

static void what_is_no_disk_is_refused(void **state)
{
	path_of("nothing");
	refuse(-ENOENT, "No such file");
	assert_int_equal(mkdir(path, 0700), 0);
	refuse(-EINVAL, "neither a file nor a block device");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	refuse(-EINVAL, "neither a file nor a block device");
	snprintf(path, sizeof(path), "/dev/null");
	refuse(-EINVAL, "neither a file nor a block device");
}

static void odd_sizes_are_refused(void **state)
{
	make_image("empty", 0);
	refuse(-EINVAL, "its size, 0 bytes");
	assert_int_equal(truncate(path, 1000), 0);
	refuse(-EINVAL, "its size, 1000 bytes");
}

static void writer_is_alone(void **state)
{
	struct disk first, second;

	make_image("image", SIZE);
	assert_int_equal(open_disk(&first, false, false), 0);
	assert_int_equal(open_disk(&second, false, false), -EBUSY);
	assert_said("a nidus uses it already");
	assert_int_equal(open_disk(&second, true, false), -EBUSY);
	assert_said("a nidus uses it already, for writing");
	disk_close(&first);
	assert_int_equal(open_disk(&second, false, false), 0);
	disk_close(&second);
}

static void a_lock_is_handed_on(void **state)
{
	const struct disk_options options = {
		.ops = &disk_sync_ops, .engines = 1, .depth = DEPTH, .unlocked = true
	};
	struct disk first, second;

	make_image("image", SIZE);
	assert_int_equal(open_disk(&first, false, false), 0);
	assert_int_equal(disk_open(&second, path, &options), 0);
	assert_int_equal(disk_lock(&second), -EBUSY);
	assert_said("a nidus uses it already");
	disk_unlock(&first);
	assert_int_equal(disk_lock(&second), 0);
	assert_int_equal(disk_lock(&first), -EBUSY);
	assert_said("a nidus uses it already");
	disk_close(&second);
	assert_int_equal(disk_lock(&first), 0);
	disk_close(&first);
}

static void readers_share(void **state)
{
	struct disk first, second, third;

	make_image("image", SIZE);
	assert_int_equal(open_disk(&first, true, false), 0);
	assert_int_equal(open_disk(&second, true, false), 0);
	assert_int_equal(open_disk(&third, false, false), -EBUSY);
	assert_said("a nidus uses it already");
	disk_close(&first);
	disk_close(&second);
}

struct owner {
	struct disk *disk;
	struct event_loop *loop;
};

static bool engines_come_and_go(void *opaque)
{
	const struct owner *owner = opaque;

	for (unsigned int life = 0; life < 3; life++) {
		struct disk_engine *engine[DISK_ENGINES_MAX];

		for (unsigned int i = 0; i < DISK_ENGINES_MAX; i++)
			if (disk_engine_take(&engine[i], owner->disk, owner->loop) < 0)
				return false;
		for (unsigned int i = 0; i < DISK_ENGINES_MAX; i++)
			disk_engine_give_back(engine[i]);
	}
	return true;
}

/* The disk is what was opened, locked, with the size that it has when an owner begins. */
static void what_becomes_of_the_name_does_not_matter(void **state)
{
	struct disk disk, other;
	struct event_loop loop;
	char moved[300];
	int status;

	make_image("image", SIZE);
	assert_int_equal(event_loop_create(&loop), 0);
	assert_int_equal(open_disk(&disk, false, false), 0);
	snprintf(moved, sizeof(moved), "%s.moved", path);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(truncate(moved, SIZE * 2), 0);
	assert_int_equal(disk_begin(&disk), 0);
	assert_int_equal(disk.sectors, SIZE * 2 / 512);
	assert_int_equal(truncate(moved, SIZE + 1), 0);
	assert_int_equal(disk_begin(&disk), -EINVAL);
	assert_said("image: its size, 1048577 bytes");
	assert_int_equal(rmdir(path), 0);
	strcpy(path, moved);
	assert_int_equal(open_disk(&other, true, false), -EBUSY);
	assert_said("a nidus uses it already");

	/* Nor does the right to open anything. */
	status = without_opening(engines_come_and_go, &(struct owner){ &disk, &loop });
	assert_int_equal(status, 0);
	disk_close(&disk);
	event_loop_destroy(&loop);
}

static void a_disk_has_no_more_engines_than_were_said(void **state)
{
	const struct disk_options one = { .ops = &disk_sync_ops, .engines = 1, .depth = DEPTH };
	struct disk_engine *engine[2];
	struct event_loop loop;
	struct disk disk;

	make_image("image", SIZE);
	assert_int_equal(event_loop_create(&loop), 0);
	assert_int_equal(disk_open(&disk, path, &one), 0);
	assert_int_equal(disk_engine_take(&engine[0], &disk, &loop), 0);
	assert_int_equal(disk_engine_take(&engine[1], &disk, &loop), -EBUSY);
	assert_said("Device or resource busy");
	disk_engine_give_back(engine[0]);
	disk_close(&disk);
	event_loop_destroy(&loop);
}

/* Requests. */

static int done_count, done_result;

static void on_done(struct disk_request *request, int result)
{
	done_count++;
	done_result = result;
}

/* A disk with an engine and its loop. */
struct rig {
	struct disk disk;
	struct event_loop loop;
	struct disk_engine *engine;
};

static void rig_ready(struct disk_engine *engine)
{
	engine->ops->reap(engine);
}

/* On the image that path names. */
static void rig_open(struct rig *rig, const struct disk_engine_ops *ops, bool direct)
{
	assert_int_equal(open_disk_with(&rig->disk, false, direct, ops), 0);
	assert_int_equal(event_loop_create(&rig->loop), 0);
	assert_int_equal(disk_engine_take(&rig->engine, &rig->disk, &rig->loop), 0);
	rig->engine->ready = rig_ready;
}

static void rig_close(struct rig *rig)
{
	disk_engine_give_back(rig->engine);
	event_loop_destroy(&rig->loop);
	disk_close(&rig->disk);
}

static void rig_begin(struct rig *rig, const struct disk_engine_ops *ops, bool direct)
{
	make_image("image", SIZE);
	rig_open(rig, ops, direct);
	rig->disk.in_memory = false; /* wherever the scratch directory lies */
}

static void rig_end(struct rig *rig)
{
	rig_close(rig);
	scratch_end();
}

/* Does one request by way of the event loop. */
static int rig_do(struct rig *rig, struct disk_request *request)
{
	done_count = 0;
	request->done = on_done;
	rig->engine->ops->start(rig->engine, request);
	rig->engine->ops->submit(rig->engine);
	while (done_count == 0)
		assert_true(event_loop_turn(&rig->loop, true) >= 0);
	assert_int_equal(done_count, 1);
	return done_result;
}

static int rig_transfer(struct rig *rig, enum disk_operation operation, uint64_t offset,
			void *buffer, size_t size)
{
	struct iovec segments[2] = { { buffer, size / 2 },
				     { (char *)buffer + size / 2, size - size / 2 } };
	struct disk_request request = {
		.operation = operation,
		.offset = offset,
		.length = size,
		.segments = segments,
		.count = 2,
	};

	return rig_do(rig, &request);
}

static const struct disk_engine_ops *const engines[] = { &disk_uring_ops, &disk_aio_ops,
							 &disk_sync_ops };

/* What the page cache has, and what it does not have or only the beginning of. */
static void every_engine_writes_and_reads(void **state)
{
	static uint8_t out[8192], in[8192];

	for (size_t i = 0; i < 3 * ARRAY_SIZE(engines); i++) {
		struct disk_request flush = { .operation = DISK_FLUSH };
		struct rig rig;

		at_once_error = i % 3 == 1 ? EAGAIN : 0;
		at_once_max = i % 3 == 2 ? 1000 : SIZE_MAX;
		rig_begin(&rig, engines[i / 3], false);
		memset(out, 0x51 + i, sizeof(out));
		assert_int_equal(rig_transfer(&rig, DISK_WRITE, 512, out, sizeof(out)), 0);
		assert_int_equal(rig_do(&rig, &flush), 0);
		assert_int_equal(rig_transfer(&rig, DISK_READ, 512, in, sizeof(in)), 0);
		assert_memory_equal(in, out, sizeof(in));
		assert_int_equal(pread(rig.disk.fd, in, sizeof(in), 512), sizeof(in));
		assert_memory_equal(in, out, sizeof(in));
		rig_end(&rig);
	}
}

/* A write is cut where the limit of file sizes lies; the rest is tried, and its error reported. */
static void short_writes_go_on(void **state)
{
	static uint8_t out[65536], in[65536];
	struct rlimit old, limit;

	getrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_IGN);
	memset(out, 0xa5, sizeof(out));
	for (size_t i = 0; i < 2 * ARRAY_SIZE(engines); i++) {
		struct rig rig;
		int result;

		at_once_error = i % 2 ? EAGAIN : 0;
		rig_begin(&rig, engines[i / 2], false);
		limit = (struct rlimit){ SIZE / 2 + 12288, old.rlim_max };
		setrlimit(RLIMIT_FSIZE, &limit);
		result = rig_transfer(&rig, DISK_WRITE, SIZE / 2, out, sizeof(out));
		setrlimit(RLIMIT_FSIZE, &old);
		assert_int_equal(result, -EFBIG);
		assert_int_equal(pread(rig.disk.fd, in, sizeof(in), SIZE / 2), sizeof(in));
		assert_memory_equal(in, out, 12288);
		assert_int_not_equal(in[12288 + 1], 0xa5);
		rig_end(&rig);
	}
	signal(SIGXFSZ, SIG_DFL);
}

static void file_that_became_shorter_is_an_error(void **state)
{
	static uint8_t in[65536];

	for (size_t i = 0; i < 2 * ARRAY_SIZE(engines); i++) {
		struct rig rig;

		at_once_error = i % 2 ? EAGAIN : 0;
		rig_begin(&rig, engines[i / 2], false);
		assert_int_equal(ftruncate(rig.disk.fd, SIZE / 2 + 4096), 0);
		assert_int_equal(rig_transfer(&rig, DISK_READ, SIZE / 2, in, sizeof(in)), -EIO);
		rig_end(&rig);
	}
}

static void what_is_short_is_continued_where_it_ended(void **state)
{
	uint8_t buffer[30];
	struct iovec segments[3] = { { buffer, 10 }, { buffer + 10, 10 }, { buffer + 20, 10 } };
	struct disk_request request = {
		.operation = DISK_READ,
		.offset = 512,
		.length = sizeof(buffer),
		.segments = segments,
		.count = 3,
		.done = on_done,
	};
	struct disk disk = { .fd = -1 };
	struct disk_engine engine = { .disk = &disk, .fd = -1 };

	done_count = 0;
	assert_true(disk_continue(&engine, &request, 10));
	assert_int_equal(request.offset, 522);
	assert_int_equal(request.count, 2);
	assert_ptr_equal(request.segments->iov_base, buffer + 10);
	assert_true(disk_continue(&engine, &request, 13));
	assert_int_equal(request.offset, 535);
	assert_int_equal(request.count, 1);
	assert_ptr_equal(request.segments->iov_base, buffer + 23);
	assert_int_equal(request.segments->iov_len, 7);
	assert_int_equal(done_count, 0);
	assert_false(disk_continue(&engine, &request, 7));
	assert_int_equal(done_count, 1);
	assert_int_equal(done_result, 0);
}

static void refused_for_the_moment_is_carried_out(void **state)
{
	uint8_t buffer[512];
	struct iovec segment = { buffer, sizeof(buffer) };
	struct disk_request request = {
		.operation = DISK_READ,
		.offset = 1024,
		.length = sizeof(buffer),
		.segments = &segment,
		.count = 1,
		.done = on_done,
	};
	struct disk disk;
	struct disk_engine engine = { .disk = &disk };

	make_image("image", SIZE);
	assert_int_equal(open_disk(&disk, true, false), 0);
	engine.fd = disk.fd;
	done_count = 0;
	assert_false(disk_continue(&engine, &request, -EAGAIN));
	assert_int_equal(done_count, 1);
	assert_int_equal(done_result, 0);
	assert_int_equal(buffer[0], 2);
	assert_int_equal(buffer[1], 3);
	disk_close(&disk);
}

/* The descriptor of the only ring that this process has. */
static int ring_fd(void)
{
	char link[32], target[32];

	for (int fd = 3; fd < 64; fd++) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		memset(target, 0, sizeof(target));
		if (readlink(link, target, sizeof(target) - 1) > 0 &&
		    strcmp(target, "anon_inode:[io_uring]") == 0)
			return fd;
	}
	fail();
	return -1;
}

static void read_blocks(struct rig *rig, uint8_t (*in)[512], unsigned int count)
{
	struct iovec segments[DEPTH];
	struct disk_request requests[DEPTH];

	done_count = 0;
	for (unsigned int i = 0; i < count; i++) {
		segments[i] = (struct iovec){ in[i], 512 };
		requests[i] = (struct disk_request){
			.operation = DISK_READ,
			.slot = i,
			.offset = 512 * i,
			.length = 512,
			.segments = &segments[i],
			.count = 1,
			.done = on_done,
		};
		rig->engine->ops->start(rig->engine, &requests[i]);
	}
	rig->engine->ops->submit(rig->engine);
	assert_int_equal(done_count, count);
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(in[i][1], (uint8_t)(i ^ 1));
}

/* A descriptor that is no ring any more fails for good, with what was submitted still in it. */
static void what_a_broken_ring_refuses_is_carried_out(void **state)
{
	static uint8_t in[DEPTH][512];
	struct rig rig;
	int fd;

	if (!disk_uring_ops.supported())
		skip();
	at_once_error = EOPNOTSUPP;
	engine_count = 1;
	rig_begin(&rig, &disk_uring_ops, false);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, in, sizeof(in)), 0);
	fd = ring_fd();
	assert_int_equal(dup2(rig.disk.fd, fd), fd);
	read_blocks(&rig, in, DEPTH);
	assert_said("io_uring: ");
	memset(in, 0, sizeof(in));
	read_blocks(&rig, in, DEPTH - 1);
	memset(in, 0, sizeof(in));
	read_blocks(&rig, in, DEPTH);
	rig_end(&rig);
}

/* At once. Those engines for which it is something else than to be carried out. */

static const struct disk_engine_ops *const asynchronous[] = { &disk_uring_ops, &disk_aio_ops };

/* Whether a block that is read has been when it was started. It tells where it was. */
static bool read_at_once(struct rig *rig, unsigned int block)
{
	uint8_t in[512] = { 0 };
	struct iovec segment = { in, sizeof(in) };
	struct disk_request request = {
		.operation = DISK_READ,
		.offset = 512 * block,
		.length = sizeof(in),
		.segments = &segment,
		.count = 1,
		.done = on_done,
	};
	bool at_once;

	done_count = 0;
	rig->engine->ops->start(rig->engine, &request);
	at_once = done_count == 1;
	rig->engine->ops->submit(rig->engine);
	while (done_count == 0)
		assert_true(event_loop_turn(&rig->loop, true) >= 0);
	assert_int_equal(done_count, 1);
	assert_int_equal(done_result, 0);
	assert_int_equal(in[1], (uint8_t)(block ^ 1));
	return at_once;
}

static void what_is_cached_needs_no_ring(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(asynchronous); i++) {
		struct rig rig;

		rig_begin(&rig, asynchronous[i], false);
		for (unsigned int block = 0; block < 100; block++)
			assert_true(read_at_once(&rig, block));
		assert_int_equal(at_once_tries, 100 * (i + 1));
		rig_end(&rig);
	}
}

/* Of many reads that are in vain few are tried; when they are not any more soon all are. */
static void what_is_not_cached_is_seldom_tried(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(asynchronous); i++) {
		struct rig rig;
		unsigned int block;

		at_once_error = EAGAIN;
		at_once_tries = 0;
		rig_begin(&rig, asynchronous[i], false);
		for (block = 0; block < 1000; block++)
			assert_false(read_at_once(&rig, block));
		assert_in_range(at_once_tries, 1000 / 257, 1000 / 257 + 10);
		at_once_error = 0;
		for (block = 0; block < 256 && !read_at_once(&rig, block); block++)
			;
		assert_in_range(block, 0, 255);
		for (block = 0; block < 100; block++)
			assert_true(read_at_once(&rig, block));
		rig_end(&rig);
	}
}

/* A miss among hits costs the one after it, and no more. */
static void a_single_miss_is_soon_forgotten(void **state)
{
	struct rig rig;

	rig_begin(&rig, &disk_aio_ops, false);
	for (unsigned int i = 0; i < 10; i++) {
		at_once_error = EAGAIN;
		assert_false(read_at_once(&rig, i));
		at_once_error = 0;
		assert_false(read_at_once(&rig, i));
		assert_true(read_at_once(&rig, i));
		assert_true(read_at_once(&rig, i));
	}
	rig_end(&rig);
}

static void what_the_host_never_does_is_tried_once(void **state)
{
	static uint8_t buffer[1024];

	for (size_t i = 0; i < ARRAY_SIZE(asynchronous); i++) {
		struct rig rig;

		at_once_error = EOPNOTSUPP;
		at_once_tries = 0;
		rig_begin(&rig, asynchronous[i], false);
		for (unsigned int j = 0; j < 200; j++)
			assert_int_equal(rig_transfer(&rig, DISK_WRITE, 4096, buffer, 1024), 0);
		assert_int_equal(at_once_tries, 1);
		/* Writes and reads apart: there are file systems that only read so. */
		at_once_error = 0;
		assert_true(read_at_once(&rig, 3));
		assert_int_equal(at_once_tries, 2);
		rig_end(&rig);
	}
}

static void a_stable_write_at_once_is_flushed(void **state)
{
	static uint8_t buffer[512];

	for (size_t i = 0; i < ARRAY_SIZE(asynchronous); i++) {
		struct iovec segment = { buffer, sizeof(buffer) };
		struct disk_request request = {
			.operation = DISK_WRITE,
			.stable = true,
			.length = sizeof(buffer),
			.segments = &segment,
			.count = 1,
		};
		struct rig rig;

		rig_begin(&rig, asynchronous[i], false);
		assert_int_equal(rig_do(&rig, &request), 0);
		assert_int_equal(request.operation, DISK_FLUSH);
		rig_end(&rig);
	}
}

static void nothing_is_tried_at_once_that_is_to_stop(void **state)
{
	atomic_bool stop = true;
	struct rig rig;

	rig_begin(&rig, &disk_aio_ops, false);
	rig.engine->stop = &stop;
	assert_false(read_at_once(&rig, 0));
	assert_int_equal(at_once_tries, 0);
	rig_end(&rig);
}

/* A memfd is a file on tmpfs, which has no such flag, and does not wait. */
static void files_in_memory_are_read_at_once(void **state)
{
	const int fd = memfd_create("disk", MFD_CLOEXEC);
	uint8_t content[4096];

	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = i >> 9 ^ i;
	assert_int_equal(write(fd, content, sizeof(content)), sizeof(content));
	for (size_t i = 0; i < ARRAY_SIZE(asynchronous); i++) {
		struct rig rig;

		at_once_error = EOPNOTSUPP;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		rig_open(&rig, asynchronous[i], false);
		for (unsigned int block = 0; block < 8; block++)
			assert_true(read_at_once(&rig, block));
		assert_int_equal(at_once_tries, 0);
		rig_close(&rig);
	}
	close(fd);
}

/* Ranges. */

static void check_range(struct rig *rig, enum disk_operation operation, bool unmap)
{
	static _Alignas(4096) uint8_t in[SIZE];
	static uint8_t zeroes[SIZE];
	struct disk_request request = {
		.operation = operation,
		.unmap = unmap,
		.stable = unmap,
		.offset = 4096 + 512,
		.length = MIB(1) / 2 + 1024,
	};

	assert_int_equal(rig_do(rig, &request), 0);
	assert_int_equal(pread(rig->disk.fd, in, SIZE, 0), SIZE);
	assert_memory_equal(in + request.offset, zeroes, request.length);
	assert_int_equal(in[request.offset - 1], (uint8_t)(8 ^ 0xff));
	assert_int_equal(in[request.offset + request.length + 1], (uint8_t)((1024 + 11) ^ 1));
}

static void ranges_become_zeroes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		for (int unmap = 0; unmap < 2; unmap++) {
			struct rig rig;

			rig_begin(&rig, engines[i], false);
			check_range(&rig, DISK_WRITE_ZEROES, unmap);
			rig_end(&rig);
		}
	}
}

/* A memfd has no ZERO_RANGE. */
static void zeroes_are_written_where_the_host_has_no_such_call(void **state)
{
	static uint8_t content[SIZE];
	struct rig rig;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	for (size_t i = 0; i < SIZE; i++)
		content[i] = i >> 9 ^ i;
	assert_int_equal(write(fd, content, SIZE), SIZE);
	rig_begin(&rig, &disk_sync_ops, false);
	assert_int_equal(dup2(fd, rig.disk.fd), rig.disk.fd);
	assert_int_equal(dup2(fd, rig.engine->fd), rig.engine->fd);
	check_range(&rig, DISK_WRITE_ZEROES, false);
	close(fd);
	rig_end(&rig);
}

static void discarded_ranges_are_given_back(void **state)
{
	struct disk_request request = { .operation = DISK_DISCARD, .length = SIZE };
	struct stat before, after;
	struct rig rig;

	rig_begin(&rig, &disk_uring_ops, false);
	fsync(rig.disk.fd);
	fstat(rig.disk.fd, &before);
	assert_int_equal(rig_do(&rig, &request), 0);
	fstat(rig.disk.fd, &after);
	assert_int_equal(after.st_size, SIZE);
	assert_true(after.st_blocks < before.st_blocks);
	rig_end(&rig);
}

/* Direct I/O. */

/* Of each descriptor of the image that this process has, whether it is past the page cache. */
static unsigned int count_descriptors(bool direct)
{
	char link[32], target[256];
	unsigned int count = 0;

	for (int fd = 3; fd < 64; fd++) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		memset(target, 0, sizeof(target));
		if (readlink(link, target, sizeof(target) - 1) > 0 && strcmp(target, path) == 0)
			count += direct == !!(fcntl(fd, F_GETFL) & O_DIRECT);
	}
	return count;
}

/* What bypasses the page cache and what goes by it must not meet, so there is no way by it. */
static void direct_disks_have_no_way_by_the_page_cache(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		struct rig rig;

		rig_begin(&rig, engines[i], true);
		assert_int_equal(count_descriptors(true), 1 + DISK_ENGINES_MAX);
		assert_int_equal(count_descriptors(false), 0);
		rig_end(&rig);
		rig_begin(&rig, engines[i], false);
		assert_int_equal(count_descriptors(true), 0);
		assert_int_equal(count_descriptors(false), 1 + DISK_ENGINES_MAX);
		rig_end(&rig);
	}
}

/* What the host asks for, and more than that: a disk with blocks that are larger than sectors. */
static const uint32_t aligns[] = { 0, 4096 };

static void rig_align(struct rig *rig, uint32_t bytes)
{
	if (bytes > 0)
		rig->disk.memory_align = rig->disk.offset_align = bytes;
}

/* Any range in any memory, against what it should be. */
static void check_direct(struct rig *rig, uint8_t *buffer, size_t size)
{
	static uint8_t content[SIZE], found[SIZE];
	uint64_t seed = 7;

	for (size_t i = 0; i < SIZE; i++)
		content[i] = i >> 9 ^ i;
	for (unsigned int round = 0; round < 150; round++) {
		const size_t length = (1 + chance(&seed) % (size / 512 - 8)) * 512;
		const uint64_t offset = chance(&seed) % ((SIZE - length) / 512 + 1) * 512;
		uint8_t *at =
			buffer + chance(&seed) % 3 * 512 + (round % 2 ? chance(&seed) % 512 : 0);

		if (round % 3 == 0) {
			assert_int_equal(rig_transfer(rig, DISK_READ, offset, at, length), 0);
			assert_memory_equal(at, content + offset, length);
			continue;
		}
		for (size_t i = 0; i < length; i++)
			at[i] = content[offset + i] = chance(&seed);
		assert_int_equal(rig_transfer(rig, DISK_WRITE, offset, at, length), 0);
	}
	assert_int_equal(rig_transfer(rig, DISK_READ, 0, found, SIZE), 0);
	assert_memory_equal(found, content, SIZE);
}

static void direct_takes_any_memory_and_any_range(void **state)
{
	static _Alignas(4096) uint8_t buffer[KIB(96)];

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		for (size_t align = 0; align < ARRAY_SIZE(aligns); align++) {
			struct rig rig;

			rig_begin(&rig, engines[i], true);
			rig_align(&rig, aligns[align]);
			check_direct(&rig, buffer, sizeof(buffer) - 2048);
			rig_end(&rig);
		}
	}
}

/* What the host does by halves is gone on with, blocks that are in between included. */
static void direct_transfers_may_be_short(void **state)
{
	static _Alignas(4096) uint8_t buffer[KIB(96)];

	for (size_t align = 0; align < ARRAY_SIZE(aligns); align++) {
		struct rig rig;

		rig_begin(&rig, &disk_sync_ops, true);
		rig_align(&rig, aligns[align]);
		waiting_max = 4096;
		check_direct(&rig, buffer, sizeof(buffer) - 2048);
		waiting_max = SIZE_MAX;
		rig_end(&rig);
	}
}

/* Zeroes by hand too: a descriptor of a file with no such call is not to be had with O_DIRECT. */
static void direct_zeroes_are_written_by_hand(void **state)
{
	for (size_t align = 0; align < ARRAY_SIZE(aligns); align++) {
		struct rig rig;

		rig_begin(&rig, &disk_sync_ops, true);
		rig_align(&rig, aligns[align]);
		no_fallocate = true;
		check_range(&rig, DISK_WRITE_ZEROES, false);
		no_fallocate = false;
		rig_end(&rig);
	}
}

/* It says that there is no direct I/O, or nothing, and has done it for all that. */
static void a_host_may_ask_nothing_of_direct_requests(void **state)
{
	static const uint32_t masks[] = { 0, STATX_DIOALIGN };
	struct disk disk;

	make_image("image", SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		host_asks = &(struct statx){
			.stx_mask = masks[i],
			.stx_dio_mem_align = i == 0 ? 1 << 20 : 0,
			.stx_dio_offset_align = i == 0 ? 1 << 20 : 0,
		};
		assert_int_equal(open_disk(&disk, true, true), 0);
		assert_int_equal(disk.offset_align, 4096);
		assert_int_equal(disk.memory_align, 4096);
		disk_close(&disk);
	}
	host_asks = &(struct statx){
		.stx_mask = STATX_DIOALIGN,
		.stx_dio_mem_align = 4,
		.stx_dio_offset_align = 1024,
	};
	assert_int_equal(open_disk(&disk, true, true), 0);
	assert_int_equal(disk.offset_align, 1024);
	assert_int_equal(disk.memory_align, 4);
	disk_close(&disk);
	host_asks = NULL;
}

static void a_file_that_ends_within_a_block_is_refused(void **state)
{
	struct disk disk;
	int err;

	make_image("image", SIZE + 512);
	err = open_disk(&disk, false, true);
	if (err == 0) {
		assert_int_equal(disk.offset_align, 512);
		disk_close(&disk);
		return;
	}
	assert_int_equal(err, -EINVAL);
	assert_said("its size is no multiple of");
}

/* Claims. */

static unsigned int came;

static void on_come(struct disk_claim *claim)
{
	came++;
}

static struct disk_request claim_of(enum disk_operation operation, uint64_t offset, uint64_t length)
{
	return (struct disk_request){
		.operation = operation,
		.offset = offset,
		.length = length,
		.claim = { .come = on_come },
	};
}

static void writes_within_a_block_take_turns(void **state)
{
	struct disk disk = { .direct = true,
			     .offset_align = 4096,
			     .claims_lock = PTHREAD_MUTEX_INITIALIZER };
	struct disk_request whole = claim_of(DISK_WRITE, 4096, 8192);
	struct disk_request other = claim_of(DISK_WRITE, 8192, 4096);
	struct disk_request part = claim_of(DISK_WRITE, 8192 + 512, 512);
	struct disk_request next = claim_of(DISK_WRITE_ZEROES, 8192 + 1024, 512);
	struct disk_request apart = claim_of(DISK_WRITE, 16384 + 512, 512);
	struct disk_request read = claim_of(DISK_READ, 8192 + 512, 512);

	came = 0;
	disk_claim(&disk, &whole);
	disk_claim(&disk, &other);
	disk_claim(&disk, &part);
	disk_claim(&disk, &next);
	disk_claim(&disk, &apart);
	disk_claim(&disk, &read);
	assert_true(disk_claimed(&disk, &whole));
	assert_true(disk_claimed(&disk, &other));
	assert_false(disk_claimed(&disk, &part));
	assert_false(disk_claimed(&disk, &next));
	assert_true(disk_claimed(&disk, &apart));
	assert_true(disk_claimed(&disk, &read));
	disk_release(&disk, &whole);
	assert_int_equal(came, 2);
	assert_false(disk_claimed(&disk, &part));
	disk_release(&disk, &other);
	assert_true(disk_claimed(&disk, &part));
	assert_false(disk_claimed(&disk, &next));
	came = 0;
	disk_release(&disk, &part);
	assert_int_equal(came, 1);
	assert_true(disk_claimed(&disk, &next));
	disk_release(&disk, &apart);
	disk_release(&disk, &read);
	disk_release(&disk, &next);
	assert_null(disk.claims);
}

/* Where a block is a sector, or the host's page cache sees to it, nothing waits. */
static void writes_of_whole_sectors_do_not(void **state)
{
	struct disk disk = { .direct = true, .offset_align = 512 };
	struct disk_request request = claim_of(DISK_WRITE, 512, 512);

	for (unsigned int i = 0; i < 2; i++) {
		disk_claim(&disk, &request);
		assert_null(disk.claims);
		assert_true(disk_claimed(&disk, &request));
		disk_release(&disk, &request);
		disk = (struct disk){ .offset_align = 0 };
	}
}

/* Pieces, and leaving off. */

static void large_transfers_go_in_pieces(void **state)
{
	static uint8_t buffer[1];
	struct iovec segments[4] = {
		{ buffer, MIB(3) }, { buffer, MIB(1) }, { buffer, MIB(9) }, { buffer, 512 }
	};
	struct disk_request request = {
		.operation = DISK_WRITE,
		.length = MIB(13) + 512,
		.segments = segments,
		.count = 4,
		.done = on_done,
	};
	struct disk disk = { .fd = -1 };
	atomic_bool stop = false;
	struct disk_engine engine = { .disk = &disk, .fd = -1, .stop = &stop };

	done_count = 0;
	assert_int_equal(disk_piece(&request), 2);
	assert_true(disk_continue(&engine, &request, MIB(4)));
	assert_int_equal(disk_piece(&request), 1);
	assert_int_equal(request.segments->iov_len, MIB(4));
	assert_true(disk_continue(&engine, &request, MIB(3)));
	assert_int_equal(request.segments->iov_len, MIB(6));
	assert_int_equal(request.offset, MIB(7));
	assert_int_equal(disk_piece(&request), 1);
	stop = true;
	assert_false(disk_continue(&engine, &request, MIB(4)));
	assert_int_equal(done_count, 1);
	assert_int_equal(done_result, -ECANCELED);
}

static void what_is_to_stop_is_not_begun(void **state)
{
	static const enum disk_operation operations[] = { DISK_READ, DISK_WRITE, DISK_FLUSH,
							  DISK_DISCARD, DISK_WRITE_ZEROES };
	static uint8_t buffer[512];
	struct rig rig;
	atomic_bool stop = true;

	rig_begin(&rig, &disk_sync_ops, false);
	rig.engine->stop = &stop;
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		struct iovec segment = { buffer, sizeof(buffer) };
		struct disk_request request = {
			.operation = operations[i],
			.length = operations[i] == DISK_FLUSH ? 0 : sizeof(buffer),
			.segments = &segment,
			.count = 1,
		};

		assert_int_equal(rig_do(&rig, &request), -ECANCELED);
	}
	rig_end(&rig);
}

/* Flushes. */

static void no_flush_succeeds_after_one_that_failed(void **state)
{
	static uint8_t buffer[1024];

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		struct disk_request flush = { .operation = DISK_FLUSH, .done = on_done };
		struct disk_request zeroes = { .operation = DISK_WRITE_ZEROES,
					       .length = 512,
					       .stable = true };
		struct disk_engine *other;
		struct rig rig;

		rig_begin(&rig, engines[i], false);
		assert_int_equal(disk_engine_take(&other, &rig.disk, &rig.loop), 0);
		assert_int_equal(rig_do(&rig, &flush), 0);
		/* Another queue's; the kernel tells of it once. */
		assert_false(disk_continue(other, &flush, -EIO));
		assert_int_equal(done_result, -EIO);
		assert_said("a flush has failed");
		assert_int_equal(rig_do(&rig, &flush), -EIO);
		/* One that was under way meanwhile. */
		assert_false(disk_continue(rig.engine, &flush, 0));
		assert_int_equal(done_result, -EIO);
		assert_int_equal(rig_do(&rig, &zeroes), -EIO);
		assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, buffer, 1024), 0);
		assert_int_equal(rig_transfer(&rig, DISK_READ, 0, buffer, 1024), 0);
		assert_silent();
		disk_engine_give_back(other);
		disk_engine_give_back(rig.engine);
		/* The next owner has no part in it, by none of the descriptions. */
		syncs = 0;
		assert_int_equal(disk_begin(&rig.disk), 0);
		assert_int_equal(syncs, DISK_ENGINES_MAX);
		assert_int_equal(disk_begin(&rig.disk), 0);
		assert_int_equal(syncs, DISK_ENGINES_MAX);
		assert_int_equal(disk_engine_take(&rig.engine, &rig.disk, &rig.loop), 0);
		rig.engine->ready = rig_ready;
		assert_int_equal(rig_do(&rig, &flush), 0);
		rig_end(&rig);
	}
}

/* Choosing. */

static void the_next_best_engine_does_where_there_is_no_memory_for_one(void **state)
{
	static uint8_t buffer[1024];
	struct rig rig;

	log_set_level(LOG_INFO);
	no_rings = true;
	engine_count = 1;
	rig_begin(&rig, &disk_uring_ops, false);
	assert_said("io_uring: Cannot allocate memory, aio does instead");
	assert_ptr_equal(rig.engine->ops, &disk_aio_ops);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 512, buffer, 1024), 0);
	assert_int_equal(buffer[1], 0);
	rig_end(&rig);
	no_contexts = true;
	rig_begin(&rig, &disk_uring_ops, false);
	assert_ptr_equal(rig.engine->ops, &disk_sync_ops);
	rig_end(&rig);
	no_rings = no_contexts = false;
	said();
}

/* What it takes, tried here, is had of the host or not. */
static void io_uring_is_had_where_the_host_has_it(void **state)
{
	struct io_uring ring;
	const bool has = io_uring_queue_init(1, &ring, 0) == 0;

	if (has)
		io_uring_queue_exit(&ring);
	assert_int_equal(disk_uring_ops.supported(), has);
}

/* Whoever comes to write to its memory can have the kernel open no file by it. */
static void a_ring_does_what_it_is_for_and_nothing_else(void **state)
{
	static const uint8_t operations[] = { IORING_OP_READV },
			     registers[] = { IORING_REGISTER_BUFFERS };
	const struct iovec segment = { path, sizeof(path) };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int files[] = { STDIN_FILENO };

	if (!disk_uring_ops.supported())
		skip();
	assert_int_equal(ring_create(&ring, 4, operations, 1, registers, 1), 0);
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	assert_true(io_uring_submit_and_wait(&ring, 1) >= 0);
	assert_int_equal(io_uring_wait_cqe(&ring, &cqe), 0);
	assert_int_equal(cqe->res, -EACCES);
	io_uring_cqe_seen(&ring, cqe);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_readv(sqe, -1, &segment, 1, 0);
	assert_true(io_uring_submit_and_wait(&ring, 1) >= 0);
	assert_int_equal(io_uring_wait_cqe(&ring, &cqe), 0);
	assert_int_equal(cqe->res, -EBADF);
	assert_int_equal(io_uring_register_files(&ring, files, 1), -EACCES);
	assert_int_equal(io_uring_register_buffers(&ring, &segment, 1), 0);
	io_uring_queue_exit(&ring);
}

static void engine_is_chosen(void **state)
{
	log_set_level(LOG_INFO);
	assert_ptr_equal(disk_engine_choose(DISK_ENGINE_SYNC), &disk_sync_ops);
	if (disk_aio_ops.supported())
		assert_ptr_equal(disk_engine_choose(DISK_ENGINE_AIO), &disk_aio_ops);
	if (disk_uring_ops.supported())
		assert_ptr_equal(disk_engine_choose(DISK_ENGINE_IO_URING), &disk_uring_ops);
	assert_silent();
}

#define test(function) cmocka_unit_test_setup_teardown(function, catch_begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(files_open),
		test(what_is_no_disk_is_refused),
		test(odd_sizes_are_refused),
		test(writer_is_alone),
		test(a_lock_is_handed_on),
		test(readers_share),
		test(every_engine_writes_and_reads),
		test(short_writes_go_on),
		test(file_that_became_shorter_is_an_error),
		test(what_is_short_is_continued_where_it_ended),
		test(refused_for_the_moment_is_carried_out),
		test(what_a_broken_ring_refuses_is_carried_out),
		test(what_is_cached_needs_no_ring),
		test(what_is_not_cached_is_seldom_tried),
		test(a_single_miss_is_soon_forgotten),
		test(what_the_host_never_does_is_tried_once),
		test(a_stable_write_at_once_is_flushed),
		test(nothing_is_tried_at_once_that_is_to_stop),
		test(files_in_memory_are_read_at_once),
		test(ranges_become_zeroes),
		test(zeroes_are_written_where_the_host_has_no_such_call),
		test(discarded_ranges_are_given_back),
		test(direct_disks_have_no_way_by_the_page_cache),
		test(direct_takes_any_memory_and_any_range),
		test(direct_transfers_may_be_short),
		test(direct_zeroes_are_written_by_hand),
		test(a_host_may_ask_nothing_of_direct_requests),
		test(a_file_that_ends_within_a_block_is_refused),
		test(writes_within_a_block_take_turns),
		test(writes_of_whole_sectors_do_not),
		test(large_transfers_go_in_pieces),
		test(what_is_to_stop_is_not_begun),
		test(what_becomes_of_the_name_does_not_matter),
		test(a_disk_has_no_more_engines_than_were_said),
		test(no_flush_succeeds_after_one_that_failed),
		test(the_next_best_engine_does_where_there_is_no_memory_for_one),
		test(io_uring_is_had_where_the_host_has_it),
		test(a_ring_does_what_it_is_for_and_nothing_else),
		test(engine_is_chosen),
	};

	return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
