// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "log.h"
#include "unit.h"
#include "util.h"

#define SIZE  MIB(1)
#define DEPTH 8

static char path[256];

static void path_of(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", scratch_begin(), name);
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

static int finish(void **state)
{
	scratch_end();
	return catch_end(state);
}

/* Opening. */

static void files_open(void **state)
{
	struct disk disk;

	make_image("image", SIZE);
	assert_int_equal(disk_open(&disk, path, false, false), 0);
	assert_int_equal(disk.sectors, SIZE / 512);
	assert_int_equal(disk.block_size, 512);
	assert_false(disk.is_device);
	assert_int_equal(disk.direct_fd, -1);
	disk_close(&disk);
	assert_silent();
}

static void refuse(int err, const char *why)
{
	struct disk disk;

	assert_int_equal(disk_open(&disk, path, false, false), err);
	assert_said(why);
	assert_int_equal(disk_open(&disk, path, true, false), err);
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
	assert_int_equal(disk_open(&first, path, false, false), 0);
	assert_int_equal(disk_open(&second, path, false, false), -EBUSY);
	assert_said("a nidus uses it already");
	assert_int_equal(disk_open(&second, path, true, false), -EBUSY);
	assert_said("a nidus uses it already, for writing");
	disk_close(&first);
	assert_int_equal(disk_open(&second, path, false, false), 0);
	disk_close(&second);
}

static void readers_share(void **state)
{
	struct disk first, second, third;

	make_image("image", SIZE);
	assert_int_equal(disk_open(&first, path, true, false), 0);
	assert_int_equal(disk_open(&second, path, true, false), 0);
	assert_int_equal(disk_open(&third, path, false, false), -EBUSY);
	assert_said("a nidus uses it already");
	disk_close(&first);
	disk_close(&second);
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

static void rig_begin(struct rig *rig, const struct disk_engine_ops *ops, bool direct)
{
	make_image("image", SIZE);
	assert_int_equal(disk_open(&rig->disk, path, false, direct), 0);
	assert_int_equal(event_loop_create(&rig->loop), 0);
	rig->engine = ops->create(&rig->disk, &rig->loop, DEPTH);
	assert_non_null(rig->engine);
	rig->engine->ready = rig_ready;
}

static void rig_end(struct rig *rig)
{
	rig->engine->ops->destroy(rig->engine);
	event_loop_destroy(&rig->loop);
	disk_close(&rig->disk);
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
		.segments = segments,
		.count = 2,
	};

	return rig_do(rig, &request);
}

static const struct disk_engine_ops *const engines[] = { &disk_uring_ops, &disk_aio_ops,
							 &disk_sync_ops };

static void every_engine_writes_and_reads(void **state)
{
	static uint8_t out[8192], in[8192];

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		struct disk_request flush = { .operation = DISK_FLUSH };
		struct rig rig;

		rig_begin(&rig, engines[i], false);
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
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		struct rig rig;
		int result;

		rig_begin(&rig, engines[i], false);
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

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		struct rig rig;

		rig_begin(&rig, engines[i], false);
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
		.segments = segments,
		.count = 3,
		.done = on_done,
	};
	struct disk disk = { .fd = -1, .direct_fd = -1 };

	done_count = 0;
	assert_true(disk_continue(&disk, &request, 10));
	assert_int_equal(request.offset, 522);
	assert_int_equal(request.count, 2);
	assert_ptr_equal(request.segments->iov_base, buffer + 10);
	assert_true(disk_continue(&disk, &request, 13));
	assert_int_equal(request.offset, 535);
	assert_int_equal(request.count, 1);
	assert_ptr_equal(request.segments->iov_base, buffer + 23);
	assert_int_equal(request.segments->iov_len, 7);
	assert_int_equal(done_count, 0);
	assert_false(disk_continue(&disk, &request, 7));
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
		.segments = &segment,
		.count = 1,
		.done = on_done,
	};
	struct disk disk;

	make_image("image", SIZE);
	assert_int_equal(disk_open(&disk, path, true, false), 0);
	done_count = 0;
	assert_false(disk_continue(&disk, &request, -EAGAIN));
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

/* Ranges. */

static void check_range(struct rig *rig, enum disk_operation operation, bool unmap)
{
	static uint8_t in[SIZE], zeroes[SIZE];
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

static void direct_takes_what_is_aligned_and_leaves_the_rest(void **state)
{
	static _Alignas(4096) uint8_t buffer[16384];
	static uint8_t expected[16384];

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		struct iovec segment = { buffer, 4096 };
		struct disk_request request = { .segments = &segment, .count = 1, .offset = 4096 };
		struct rig rig;

		rig_begin(&rig, engines[i], true);
		assert_int_equal(disk_fd(&rig.disk, &request), rig.disk.direct_fd);
		segment.iov_base = buffer + 1;
		assert_int_equal(disk_fd(&rig.disk, &request), rig.disk.fd);
		segment = (struct iovec){ buffer, 513 };
		assert_int_equal(disk_fd(&rig.disk, &request), rig.disk.fd);

		/* One way to write, the other to read. */
		memset(buffer, 0x31 + i, sizeof(buffer));
		memset(expected, 0x31 + i, sizeof(expected));
		assert_int_equal(rig_transfer(&rig, DISK_WRITE, 8192, buffer, 8192), 0);
		memset(buffer, 0, sizeof(buffer));
		assert_int_equal(rig_transfer(&rig, DISK_READ, 8192, buffer + 1, 8192), 0);
		assert_memory_equal(buffer + 1, expected, 8192);
		memset(buffer, 0x41 + i, sizeof(buffer));
		memset(expected, 0x41 + i, sizeof(expected));
		assert_int_equal(rig_transfer(&rig, DISK_WRITE, 8192, buffer + 3, 8192), 0);
		memset(buffer, 0, sizeof(buffer));
		assert_int_equal(rig_transfer(&rig, DISK_READ, 8192, buffer, 8192), 0);
		assert_memory_equal(buffer, expected, 8192);
		rig_end(&rig);
	}
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
		test(readers_share),
		test(every_engine_writes_and_reads),
		test(short_writes_go_on),
		test(file_that_became_shorter_is_an_error),
		test(what_is_short_is_continued_where_it_ended),
		test(refused_for_the_moment_is_carried_out),
		test(what_a_broken_ring_refuses_is_carried_out),
		test(ranges_become_zeroes),
		test(zeroes_are_written_where_the_host_has_no_such_call),
		test(discarded_ranges_are_given_back),
		test(direct_takes_what_is_aligned_and_leaves_the_rest),
		test(engine_is_chosen),
	};

	return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
