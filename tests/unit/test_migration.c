// SPDX-License-Identifier: GPL-2.0-only
/*
 * Both sides of a move, each with a RAM of its own, and a connection between them: what goes over
 * it, what becomes of it when it is cut, and what is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "fake_kvm.h"
#include "migration/migration_place.h"
#include "migration/migration_receive.h"
#include "migration/migration_send.h"
#include "mm/cache.h"
#include "util.h"

#define BASE  GIB(1)
#define SIZE  MIB(8)
#define PAGES (SIZE / MIGRATION_PAGE)

static struct memory memory, other;
static struct dirty_log log;
static uint64_t of_kvm[PAGES / 64];
static struct state_writer guest, state;
static struct migration_sender sender;
static struct migration_receiver receiver;
static int ends[2], pagemap;
static uint64_t cleaned; /* bytes */

/* In place of mm/cache.c. */

uint64_t cache_line_size(void)
{
	return 64;
}

void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
	cleaned += end - start;
}

void cache_sync(void)
{
}

static int begin(void **unused)
{
	static const uint8_t much[300000] = { 1, 2, 3 };

	fake_kvm_reset();
	memset(of_kvm, 0, sizeof(of_kvm));
	fake_kvm.dirty = of_kvm;
	fake_kvm.dirty_bytes = sizeof(of_kvm);
	cleaned = 0;
	assert_int_equal(memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL), 0);
	assert_int_equal(memory_create(&other, BASE, SIZE, MEMORY_ANON, NULL), 0);
	assert_int_equal(dirty_log_begin(&log, 3, &memory, false), 0);
	state_writer_create(&guest);
	state_put(&guest, "guest", 0, "as it is", 8);
	state_writer_create(&state);
	state_put(&state, "much", 0, much, sizeof(much));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	assert_return_code(pagemap, errno);
	return catch_begin(unused);
}

static int end(void **unused)
{
	close(pagemap);
	close(ends[0]);
	close(ends[1]);
	state_writer_destroy(&state);
	state_writer_destroy(&guest);
	dirty_log_end(&log);
	memory_destroy(&other);
	memory_destroy(&memory);
	return catch_end(unused);
}

static uint8_t *at(const struct memory *in, uint64_t offset)
{
	return memory_at(in, BASE + offset, 1);
}

static void write_byte(uint64_t offset, uint8_t byte)
{
	const uint64_t page = offset / sysconf(_SC_PAGESIZE);

	*at(&memory, offset) = byte;
	of_kvm[page / 64] |= UINT64_C(1) << page % 64;
}

/* Until the sender has nothing more; the receiver, where it has begun, takes what comes. */
static void pump(int (*take)(void))
{
	int more;

	do {
		more = migration_send_some(&sender);
		assert_true(more >= 0);
		if (take)
			assert_true(take() >= 0);
	} while (more > 0);
}

static int taken = 1; /* what the receiver has come to */

static int take(void)
{
	if (taken > 0)
		taken = migration_receive_some(&receiver);
	return taken;
}

static void begin_sending(void)
{
	assert_int_equal(migration_send_begin(&sender, ends[0], pagemap, &memory, &guest), 0);
	assert_true(migration_send_some(&sender) >= 0);
}

static void begin_receiving(void)
{
	taken = 1;
	assert_int_equal(migration_receive_begin(&receiver, ends[1], "here"), 0);
	assert_int_equal(receiver.guest_size, guest.size);
	assert_memory_equal(receiver.guest, guest.bytes, guest.size);
	assert_int_equal(receiver.header.ram_size, SIZE);
	assert_int_equal(migration_receive_into(&receiver, &other), 0);
}

static void send_dirty(void)
{
	assert_int_equal(dirty_log_take(&log), 0);
	migration_send_dirty(&sender, &log);
}

static void send_last(void)
{
	assert_int_equal(dirty_log_take(&log), 0);
	migration_send_last(&sender, &log, &state);
}

static void assert_same(void)
{
	assert_memory_equal(at(&memory, 0), at(&other, 0), SIZE);
	assert_int_equal(receiver.state_size, state.size);
	assert_memory_equal(receiver.state, state.bytes, state.size);
}

static void finish(void)
{
	migration_send_end(&sender);
	migration_receive_end(&receiver);
}

static void what_a_guest_writes_meanwhile_comes_too(void **unused)
{
	uint64_t before;

	memset(at(&memory, MIB(2)), 7, MIB(1));
	*at(&memory, SIZE - 1) = 9;
	begin_sending();
	begin_receiving();
	pump(take);
	/* No more than what was touched. */
	assert_int_equal(receiver.page_bytes, MIB(1) + MIGRATION_PAGE);
	assert_int_equal(cleaned, receiver.page_bytes);
	write_byte(5, 1);
	write_byte(MIB(2) + 3, 2);
	send_dirty();
	pump(take);
	assert_int_equal(receiver.page_bytes, MIB(1) + 3 * MIGRATION_PAGE);
	/* Pages that have become zeroes, and those that were so all the time. */
	memset(at(&memory, MIB(2)), 0, 2 * MIGRATION_PAGE);
	write_byte(MIB(2), 0);
	write_byte(MIB(2) + MIGRATION_PAGE, 0);
	write_byte(MIB(6), 0);
	before = cleaned;
	send_last();
	pump(take);
	assert_int_equal(taken, 0);
	assert_int_equal(cleaned - before, 2 * MIGRATION_PAGE);
	assert_same();
	finish();
	assert_silent();
}

static void a_guest_of_nothing_comes(void **unused)
{
	begin_sending();
	begin_receiving();
	pump(take);
	send_last();
	pump(take);
	assert_int_equal(taken, 0);
	assert_int_equal(receiver.page_bytes, 0);
	assert_same();
	finish();
}

static void pages_of_a_file_come_though_nobody_here_touched_them(void **unused)
{
	struct memory anonymous = memory;
	struct memory_file file;

	dirty_log_end(&log);
	assert_int_equal(memory_file_create(&file, SIZE, false), 0);
	assert_int_equal(memory_create(&memory, BASE, SIZE, MEMORY_MEMFD, &file), 0);
	assert_int_equal(dirty_log_begin(&log, 3, &memory, false), 0);
	assert_int_equal(pwrite(file.fd, "daemon", 6, MIB(7) + 3), 6);
	begin_sending();
	begin_receiving();
	pump(take);
	assert_int_equal(receiver.page_bytes, MIGRATION_PAGE);
	write_byte(MIB(1), 3);
	send_last();
	pump(take);
	assert_int_equal(taken, 0);
	assert_same();
	finish();
	dirty_log_end(&log);
	memory_destroy(&memory);
	memory_file_close(&file);
	memory = anonymous;
}

static void it_is_committed_when_the_other_side_is_ready(void **unused)
{
	begin_sending();
	begin_receiving();
	pump(take);
	send_last();
	pump(take);
	assert_int_equal(migration_send_answer(&sender), 0);
	assert_int_equal(migration_receive_ready(&receiver), 0);
	assert_int_equal(migration_receive_some(&receiver), 1);
	assert_int_equal(migration_send_answer(&sender), MIGRATION_READY);
	migration_send_commit(&sender);
	assert_int_equal(migration_send_some(&sender), 0);
	assert_int_equal(migration_receive_some(&receiver), 0);
	migration_receive_tell(&receiver, true);
	assert_int_equal(migration_send_answer(&sender), MIGRATION_RUNS);
	migration_receive_tell(&receiver, false);
	assert_int_equal(migration_send_answer(&sender), MIGRATION_FAILED);
	finish();
	assert_silent();
}

static void who_does_not_read_is_not_waited_for(void **unused)
{
	uint64_t before;

	memset(at(&memory, 0), 7, SIZE);
	begin_sending();
	do {
		before = sender.sent;
		assert_int_equal(migration_send_some(&sender), 1);
	} while (sender.sent > before);
	assert_true(sender.sent < SIZE);
	close(ends[1]);
	ends[1] = -1;
	assert_int_equal(migration_send_some(&sender), -EPIPE);
	migration_send_end(&sender);
}

static void an_answer_may_come_in_pieces_or_not_at_all(void **unused)
{
	struct migration_frame frame = { .kind = MIGRATION_READY };

	begin_sending();
	assert_int_equal(send(ends[1], &frame, 7, 0), 7);
	assert_int_equal(migration_send_answer(&sender), 0);
	assert_int_equal(send(ends[1], (char *)&frame + 7, 9, 0), 9);
	assert_int_equal(migration_send_answer(&sender), MIGRATION_READY);
	frame.kind = MIGRATION_COMMIT;
	assert_int_equal(send(ends[1], &frame, 16, 0), 16);
	assert_int_equal(migration_send_answer(&sender), -EPROTO);
	frame = (struct migration_frame){ .kind = MIGRATION_RUNS, .size = 1 };
	assert_int_equal(send(ends[1], &frame, 16, 0), 16);
	assert_int_equal(migration_send_answer(&sender), -EPROTO);
	assert_int_equal(send(ends[1], &frame, 15, 0), 15);
	close(ends[1]);
	ends[1] = -1;
	assert_int_equal(migration_send_answer(&sender), 0);
	/* The rest of the stream was not read. */
	assert_true(migration_send_answer(&sender) < 0);
	migration_send_end(&sender);
}

/* All that the source says, as one piece. */
static uint8_t *stream;
static size_t stream_size, last_size; /* the second: without the commitment */

static int collect(void)
{
	for (;;) {
		ssize_t got;

		stream = realloc(stream, stream_size + KIB(64));
		assert_non_null(stream);
		got = recv(ends[1], stream + stream_size, KIB(64), MSG_DONTWAIT);
		if (got <= 0)
			return 1;
		stream_size += got;
	}
}

static void make_stream(void)
{
	stream = NULL;
	stream_size = 0;
	*at(&memory, MIB(3)) = 1;
	begin_sending();
	pump(collect);
	write_byte(MIB(3), 2);
	write_byte(MIB(5), 0);
	send_last();
	pump(collect);
	last_size = stream_size;
	migration_send_commit(&sender);
	pump(collect);
	migration_send_end(&sender);
}

/* What a target makes of bytes that end there: 0, it is ready; 1: and committed; -errno. */
static int come_to(const uint8_t *bytes, size_t size)
{
	int pair[2], err;
	pid_t writer;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	writer = fork();
	if (writer == 0) {
		close(pair[1]);
		while (size > 0) {
			const ssize_t sent = send(pair[0], bytes, size, MSG_NOSIGNAL);

			if (sent <= 0)
				_exit(0);
			bytes += sent;
			size -= sent;
		}
		/* What it has not read of the answer would be an error of the connection. */
		shutdown(pair[0], SHUT_WR);
		while (recv(pair[0], &err, sizeof(err), 0) > 0)
			;
		_exit(0);
	}
	close(pair[0]);
	err = migration_receive_begin(&receiver, pair[1], "here");
	if (err == 0)
		err = migration_receive_into(&receiver, &other);
	for (int commits = 0; commits < 2 && err == 0; commits++) {
		struct pollfd poller = { .fd = pair[1], .events = POLLIN };

		if (commits)
			assert_int_equal(migration_receive_ready(&receiver), 0);
		do {
			poll(&poller, 1, -1);
			err = migration_receive_some(&receiver);
		} while (err > 0);
		if (err == -ECONNRESET && commits)
			err = -ECANCELED; /* it was ready */
	}
	migration_receive_end(&receiver);
	close(pair[1]);
	waitpid(writer, NULL, 0);
	return err;
}

static void a_stream_that_is_cut_anywhere_comes_to_nothing(void **unused)
{
	uint64_t seed = 1;

	make_stream();
	assert_int_equal(come_to(stream, stream_size), 0);
	assert_silent();
	for (size_t size = 0; size < stream_size;
	     size += size < 300 || size + 300 > stream_size ? 1 : 1 + chance(&seed) % 20000) {
		assert_int_equal(come_to(stream, size),
				 size < last_size ? -ECONNRESET : -ECANCELED);
		assert_said("here: the connection ended before the guest had come");
	}
	free(stream);
}

#define HEADER(member) offsetof(struct migration_header, member)
#define FIRST	       sizeof(struct migration_header)
#define FRAME(member)  offsetof(struct migration_frame, member)

/* With another number at a place of the stream it is refused. */
static void assert_refused(size_t place, const void *bytes, size_t size, const char *why)
{
	uint8_t before[16];

	memcpy(before, stream + place, size);
	memcpy(stream + place, bytes, size);
	assert_int_equal(come_to(stream, stream_size), -EPROTO);
	assert_said(why);
	memcpy(stream + place, before, size);
}

static void assert_refused_4(size_t place, uint32_t value, const char *why)
{
	assert_refused(place, &value, sizeof(value), why);
}

static void assert_refused_8(size_t place, uint64_t value, const char *why)
{
	assert_refused(place, &value, sizeof(value), why);
}

static void what_makes_no_sense_is_refused(void **unused)
{
	static const char *const part = "has a part of RAM that makes no sense",
				 *const begins = "does not begin with what the guest is",
				 *const unknown = "has something in it that this nidus does not",
				 *const piece = "has a piece of the state that makes no sense",
				 *const early = "ends before all of the guest is there";
	size_t pages, zeroes, first_state, last;

	make_stream();
	pages = FIRST + sizeof(struct migration_frame) + guest.size;
	/* A page, the same again, a page of zeroes, and the state in pieces. */
	zeroes = pages + 2 * (sizeof(struct migration_frame) + MIGRATION_PAGE);
	first_state = zeroes + sizeof(struct migration_frame);
	last = last_size - sizeof(struct migration_frame);
	assert_refused_8(HEADER(magic), 0, "is no guest of nidus");
	assert_refused_4(HEADER(version), 2, "is of version 2, and this nidus knows 1");
	assert_refused_8(HEADER(ram_size), SIZE + 4096, "RAM of another size, or at another place");
	assert_refused_8(HEADER(ram_gpa), 0, "RAM of another size, or at another place");
	assert_refused_4(FIRST + FRAME(kind), MIGRATION_PAGES, begins);
	assert_refused_4(FIRST + FRAME(size), 0, begins);
	assert_refused_4(FIRST + FRAME(size), 7, begins);
	assert_refused_4(FIRST + FRAME(size), MIGRATION_GUEST_MAX + 8, begins);
	assert_refused_8(FIRST + FRAME(at), 1, begins);
	for (size_t frame = pages; frame <= zeroes; frame += zeroes - pages) {
		assert_refused_4(frame + FRAME(size), 0, part);
		assert_refused_4(frame + FRAME(size), 4095, part);
		assert_refused_4(frame + FRAME(size), MIGRATION_BODY_MAX + 4096, part);
		assert_refused_4(frame + FRAME(size), UINT32_MAX - 4095, part);
		assert_refused_8(frame + FRAME(at), 1, part);
		assert_refused_8(frame + FRAME(at), SIZE, part);
		assert_refused_8(frame + FRAME(at), UINT64_MAX - 4095, part);
		assert_refused_8(frame + FRAME(at), 0 - BASE, part);
		assert_refused_4(frame + FRAME(kind), MIGRATION_GUEST, unknown);
		assert_refused_4(frame + FRAME(kind), MIGRATION_COMMIT, unknown);
		assert_refused_4(frame + FRAME(kind), MIGRATION_READY, unknown);
		assert_refused_4(frame + FRAME(kind), 0, unknown);
	}
	assert_refused_4(first_state + FRAME(size), 0, piece);
	assert_refused_4(first_state + FRAME(size), MIGRATION_BODY_MAX + 1, piece);
	assert_refused_8(first_state + FRAME(at), 8, piece);
	assert_refused_4(last + FRAME(size), 1, early);
	assert_refused_8(last + FRAME(at), 1, early);
	assert_refused_4(first_state + FRAME(kind), MIGRATION_END, early);
	assert_refused_4(last_size + FRAME(kind), MIGRATION_END, "is no commitment");
	free(stream);
}

static void a_state_without_an_end_is_refused(void **unused)
{
	const struct migration_frame frame = { MIGRATION_STATE, MIGRATION_BODY_MAX, 0 };
	uint8_t *piece = calloc(1, sizeof(frame) + MIGRATION_BODY_MAX);
	int err = 0;
	unsigned int pieces = 0;

	begin_sending();
	begin_receiving();
	while (err >= 0) {
		const struct migration_frame next = { MIGRATION_STATE, MIGRATION_BODY_MAX,
						      pieces * MIGRATION_BODY_MAX };
		const int size = sizeof(next) + MIGRATION_BODY_MAX;

		memcpy(piece, &next, sizeof(next));
		for (int done = 0; done < size && err >= 0;) {
			const ssize_t sent = send(ends[0], piece + done, size - done, MSG_DONTWAIT);

			done += sent > 0 ? sent : 0;
			err = migration_receive_some(&receiver);
		}
		pieces++;
	}
	assert_int_equal(err, -EPROTO);
	assert_int_equal(pieces, STATE_MAX(receiver.memory->size) / MIGRATION_BODY_MAX + 1);
	assert_said("has a piece of the state that makes no sense");
	free(piece);
	finish();
}

/* Places. */

static char path[128];

/* From a process of its own, once somebody waits there. */
static pid_t connect_later(const char *where)
{
	const pid_t pid = fork();

	for (int tries = 0; pid == 0 && tries < 500; tries++) {
		const int fd = migration_place_connect(where);

		if (fd >= 0)
			_exit(write(fd, "guest", 5) == 5 ? 0 : 1);
		usleep(10000);
	}
	if (pid == 0)
		_exit(1);
	return pid;
}

static void assert_comes(const char *where)
{
	const pid_t pid = connect_later(where);
	const int fd = migration_place_accept(where);
	char bytes[8];
	int status;

	assert_true(fd >= 0);
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 5);
	assert_memory_equal(bytes, "guest", 5);
	close(fd);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void guests_come_by_sockets(void **unused)
{
	char where[140];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int left_over;

	snprintf(path, sizeof(path), "%s/move", scratch_begin());
	snprintf(where, sizeof(where), "unix:%s", path);
	assert_comes(where);
	assert_int_equal(access(path, F_OK), -1);
	/* One that somebody who was killed has left. */
	left_over = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(left_over, (struct sockaddr *)&address, sizeof(address)), 0);
	close(left_over);
	assert_comes(where);
	assert_comes("tcp:127.0.0.1:47319");
	scratch_end();
}

static void guests_come_by_commands(void **unused)
{
	const int fd = migration_place_accept("exec:printf gue; printf st; cat >&2");
	char bytes[8];

	assert_true(fd >= 0);
	assert_int_equal(recv(fd, bytes, 5, MSG_WAITALL), 5);
	assert_memory_equal(bytes, "guest", 5);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_silent();
	assert_int_equal(write(fd, "said\n", 5), 5);
	close(fd);
	for (int tries = 0; tries < 500 && waitpid(-1, NULL, WNOHANG) > 0; tries++)
		fail();
}

static void guests_come_by_what_is_there(void **unused)
{
	char where[32];
	int fd;

	snprintf(where, sizeof(where), "fd:%d", ends[0]);
	assert_int_equal(migration_place_accept(where), ends[0]);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(where, sizeof(where), "fd:%d", pagemap);
	assert_int_equal(migration_place_accept(where), -EINVAL);
	assert_said("is no connected socket, from descriptor 3 on");
	assert_int_equal(migration_place_accept("fd:0"), -EINVAL);
	assert_said("is no connected socket, from descriptor 3 on");
	close(fd);
}

static void places_that_there_are_not(void **unused)
{
	static const char *const bad[] = {
		"",
		"here",
		"unix:",
		"tcp:",
		"tcp:127.0.0.1",
		"tcp::1",
		"exec:",
		"tcp:host:1",
		"tcp:127.0.0.1:",
		"tcp:[::1]",
		"tcp:::1:9",
		"tcp:[127.0.0.1]:9",
		"tcp:127.0.0.1:65536",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(migration_place_connect(bad[i]), -EINVAL);
		assert_said("must be unix:PATH, tcp:ADDRESS:PORT or exec:COMMAND");
		assert_int_equal(migration_place_accept(bad[i]), -EINVAL);
		assert_said("must be unix:PATH, tcp:ADDRESS:PORT, fd:N or exec:COMMAND");
	}
	assert_int_equal(migration_place_connect("fd:3"), -EINVAL);
	assert_said("must be");
	assert_int_equal(migration_place_connect("unix:/no/such/place"), -ENOENT);
	assert_said("unix:/no/such/place: No such file");
	assert_int_equal(migration_place_accept("unix:/no/such/place"), -ENOENT);
	assert_said("unix:/no/such/place: No such file");
	assert_int_equal(migration_place_connect("tcp:127.0.0.1:9"), -ECONNREFUSED);
	assert_said("tcp:127.0.0.1:9: Connection refused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(what_a_guest_writes_meanwhile_comes_too),
		TEST(a_guest_of_nothing_comes),
		TEST(pages_of_a_file_come_though_nobody_here_touched_them),
		TEST(it_is_committed_when_the_other_side_is_ready),
		TEST(who_does_not_read_is_not_waited_for),
		TEST(an_answer_may_come_in_pieces_or_not_at_all),
		TEST(a_stream_that_is_cut_anywhere_comes_to_nothing),
		TEST(what_makes_no_sense_is_refused),
		TEST(a_state_without_an_end_is_refused),
		TEST(guests_come_by_sockets),
		TEST(guests_come_by_commands),
		TEST(guests_come_by_what_is_there),
		TEST(places_that_there_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
