// SPDX-License-Identifier: GPL-2.0-only
/*
 * The link to passt. In most tests passt is this program once more, which does as FAKE says; in
 * the last ones it is the real one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/passt.h"
#include "devices/backends/passt_process.h"
#include "devices/backends/passt_stream.h"
#include "unit.h"
#include "util.h"
#include "vhost.h"

#define FAKE   "NIDUS_FAKE_PASST"
#define NOTES  "NIDUS_FAKE_NOTES" /* a file: what it was started with */
#define SOCKET 3

static struct event_loop main_loop, pair_loop;
static struct event_loop *const loops[] = { &pair_loop };
static struct passt_options options;
static struct link *link_; /* link(2) has the name */
static unsigned int arrivals, rooms, changes;

/* The fake. */

static void note(char **argv)
{
	FILE *file = fopen(getenv(NOTES), "ae");

	for (char **next = argv + 1; *next; next++)
		fprintf(file, "%s ", *next);
	fprintf(file, "%d\n", getpid());
	fclose(file);
}

/* False: there is no more. */
static bool read_all(int fd, void *bytes, size_t count)
{
	for (size_t done = 0; done < count;) {
		const ssize_t got = read(fd, (char *)bytes + done, count - done);

		if (got <= 0)
			return false;
		done += got;
	}
	return true;
}

static bool write_all(int fd, const void *bytes, size_t count)
{
	for (size_t done = 0; done < count;) {
		const ssize_t gone = write(fd, (const char *)bytes + done, count - done);

		if (gone <= 0)
			return false;
		done += gone;
	}
	return true;
}

/* A frame with its length in front, or 0. */
static size_t read_frame(int fd, uint8_t *frame)
{
	uint32_t length;

	if (!read_all(fd, frame, sizeof(length)))
		return 0;
	memcpy(&length, frame, sizeof(length));
	length = ntohl(length);
	return read_all(fd, frame + sizeof(length), length) ? sizeof(length) + length : 0;
}

/* Gives all frames back, after the first; one that begins with a 0 has it do what follows. */
static int echo(void)
{
	static uint8_t frame[PASST_STREAM_LENGTH + PASST_STREAM_MAX];
	uint8_t *const content = frame + PASST_STREAM_LENGTH;
	size_t size = read_frame(SOCKET, frame);

	while ((size = read_frame(SOCKET, frame)) > 0) {
		if (content[0] == 0 && content[1] == 'x')
			return content[2];
		if (content[0] == 0 && content[1] == 'k')
			raise(SIGKILL);
		if (content[0] == 0 && content[1] == 'c') {
			shutdown(SOCKET, SHUT_RDWR);
			pause();
		}
		/* A length of the tester's choice. */
		if (content[0] == 0 && content[1] == 'l')
			memcpy(frame, content + 2, PASST_STREAM_LENGTH);
		if (!write_all(SOCKET, frame, size))
			return 0;
	}
	return 0;
}

/* It dies once its output and connection are closed, as the real one. */
static int fake(const char *how, char **argv)
{
	note(argv);
	if (argv[1] && strcmp(argv[1], "--help") == 0) {
		printf("Usage: passt\n  -f, --foreground\n%s",
		       strstr(how, "new") ? "  --vhost-user\n" : "");
		fflush(stdout);
		return strstr(how, "new") ? 0 : 1;
	}
	if (strstr(how, "unable")) {
		fprintf(stderr,
			"Failed to send 9 bytes to syslog\nFailed to bind port 22, exiting\n");
		return 1;
	}
	if (strstr(how, "silent"))
		pause();
	for (char **next = argv; *next; next++)
		if (strcmp(*next, "--vhost-user") == 0)
			write_all(SOCKET, "!", 1);
	return echo();
}

/* In place of devices/vhost. */

static int vhost_error, vhost_socket;
static unsigned int vhosts, vhost_attached;
static struct vhost fake_vhosts[4];

static int fake_attach(struct vhost *vhost, struct event_loop *loop)
{
	vhost_attached++;
	return 0;
}

static void fake_detach(struct vhost *vhost)
{
	vhost_attached--;
}

static void fake_close(struct vhost *vhost)
{
	close(vhost_socket);
	vhosts--;
}

static unsigned int vhosts_renewed;

int vhost_user_renew(struct vhost *vhost, int socket)
{
	assert_true(atomic_load(&vhost->lost));
	close(vhost_socket);
	vhost_socket = socket;
	atomic_store(&vhost->lost, false);
	vhosts_renewed++;
	return 0;
}

static const struct vhost_ops fake_ops = {
	.name = "fake", .attach = fake_attach, .detach = fake_detach, .close = fake_close
};

int vhost_user_open(struct vhost **opened, int socket, const struct vhost_user_wishes *wishes)
{
	static unsigned int next;
	char answer;

	assert_string_equal(wishes->name, "passt");
	assert_int_equal(wishes->rings, 2);
	assert_int_equal(wishes->rings_max, 2);
	assert_true(wishes->pairs);
	assert_false(wishes->config);
	assert_int_equal(wishes->ring_size, 0);
	assert_int_equal(read(socket, &answer, 1), 1);
	if (vhost_error) {
		close(socket);
		return vhost_error;
	}
	*opened = &fake_vhosts[next++ % ARRAY_SIZE(fake_vhosts)];
	**opened = (struct vhost){ .ops = &fake_ops,
				   .features = UINT64_C(1) << 32 | 1 << 15,
				   .rings = wishes->rings };
	vhost_socket = socket;
	vhosts++;
	return 0;
}

/* The device. */

static void arrived(void *device, unsigned int pair)
{
	arrivals++;
}

static void room(void *device, unsigned int pair)
{
	rooms++;
}

static void changed(void *device)
{
	changes++;
}

/* Time goes by faster here. Pauses before it is started again are written down, in seconds. */
static time_t pauses[16];
static unsigned int pause_count;

int timerfd_settime(int fd, int flags, const struct itimerspec *wanted, struct itimerspec *before)
{
	struct itimerspec faster = *wanted;

	if (wanted->it_value.tv_sec > 0) {
		pauses[pause_count++ % ARRAY_SIZE(pauses)] = wanted->it_value.tv_sec;
		faster.it_value.tv_sec = 0;
		faster.it_value.tv_nsec = wanted->it_value.tv_sec * 10000000;
	}
	return syscall(SYS_timerfd_settime, fd, flags, &faster, before);
}

static const char *directory;
static char notes[128];

static int begin(void **state)
{
	arrivals = rooms = changes = 0;
	vhost_error = vhosts = vhosts_renewed = pause_count = 0;
	link_ = NULL;
	options = (struct passt_options){
		.program = "/proc/self/exe",
		.vhost = LINK_VHOST_NO,
		.guest_mac = { 2, 0, 0, 0, 0, 1 },
	};
	directory = scratch_begin();
	snprintf(notes, sizeof(notes), "%s/notes", directory);
	setenv(NOTES, notes, 1);
	setenv(FAKE, "echo", 1);
	if (event_loop_create(&main_loop) < 0 || event_loop_create(&pair_loop) < 0)
		return -1;
	return catch_begin(state);
}

static int end(void **state)
{
	event_loop_destroy(&main_loop);
	event_loop_destroy(&pair_loop);
	scratch_end();
	catch_end(state);
	/* Whatever happened, no process is left. */
	return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1;
}

static void attach(void)
{
	link_->arrived = arrived;
	link_->room = room;
	link_->changed = changed;
	assert_int_equal(link_->ops->attach(link_, &main_loop, loops), 0);
	link_->ops->listen(link_, 0, true);
}

static void start(void)
{
	assert_int_equal(passt_open(&link_, &options), 0);
	attach();
}

static void stop(void)
{
	link_->ops->detach(link_);
	link_->ops->close(link_);
}

/* One round of both loops, which waits a little. */
static void turn(void)
{
	struct pollfd ready[] = { { main_loop.epoll_fd, POLLIN, 0 },
				  { pair_loop.epoll_fd, POLLIN, 0 } };

	poll(ready, ARRAY_SIZE(ready), 10);
	event_loop_turn(&main_loop, false);
	event_loop_turn(&pair_loop, false);
}

static void turn_until_up(bool up)
{
	while (atomic_load(&link_->up) != up)
		turn();
}

/* Frames have a byte of their number in all places but the first two. */
static int send_frame(size_t length, uint8_t what)
{
	static uint8_t frame[LINK_HEADER + PASST_STREAM_MAX + 100];
	const struct iovec segments[] = { { frame, 5 },
					  { frame + 5, 0 },
					  { frame + 5, LINK_HEADER },
					  { frame + 5 + LINK_HEADER, length - 5 } };
	const int sent =
		(memset(frame, 0xff, LINK_HEADER), memset(frame + LINK_HEADER, what, length),
		 link_->ops->send(link_, 0, segments, 4));

	/* It is the driver's again. */
	memset(frame, 0xee, sizeof(frame));
	return sent;
}

static void order(char what, const void *argument, size_t size)
{
	uint8_t frame[LINK_HEADER + 60] = { 0 };
	const struct iovec segment = { frame, sizeof(frame) };

	frame[LINK_HEADER + 1] = what;
	memcpy(frame + LINK_HEADER + 2, argument, size);
	assert_int_equal(link_->ops->send(link_, 0, &segment, 1), 0);
}

/* The next frame's length without the header; 0: none yet. */
static int64_t get_frame(uint8_t *what)
{
	static uint8_t frame[LINK_FRAME_MAX];
	const struct iovec segments[] = { { frame, 3 }, { frame + 3, sizeof(frame) - 3 } };
	const int64_t length = link_->ops->receive(link_, 0, segments, 2);

	if (length <= 0)
		return length;
	for (unsigned int i = 0; i < LINK_HEADER; i++)
		assert_int_equal(frame[i], 0);
	*what = frame[LINK_HEADER];
	for (int64_t i = LINK_HEADER; i < length; i++)
		assert_int_equal(frame[i], *what);
	return length - LINK_HEADER;
}

static void expect_frame(size_t length, uint8_t what)
{
	uint8_t found = 0;
	int64_t got;

	while ((got = get_frame(&found)) == 0)
		turn();
	assert_int_equal(got, length);
	assert_int_equal(found, what);
}

/* The number of the fake that runs, from the last line of its notes; what is in front of it. */
static pid_t last_start(char *arguments, size_t size)
{
	FILE *file = fopen(notes, "re");
	char line[512], last[512] = "";
	char *blank;

	while (fgets(line, sizeof(line), file))
		strcpy(last, line);
	fclose(file);
	blank = strrchr(last, ' ');
	assert_non_null(blank);
	if (arguments)
		snprintf(arguments, size, "%.*s", (int)(blank - last), last);
	return atoi(blank);
}

/* Tests. */

static void frames_go_both_ways(void **state)
{
	static const size_t lengths[] = { 14, 60, 1514, 65535 };

	start();
	assert_string_equal(link_->ops->name, "passt");
	assert_true(atomic_load(&link_->up));
	assert_int_equal(link_->features, 1 << 15);
	assert_int_equal(link_->pairs, 1);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		assert_int_equal(send_frame(lengths[i], 1 + i), 0);
		expect_frame(lengths[i], 1 + i);
	}
	assert_int_equal(atomic_load(&link_->counts[0].sent), 4);
	assert_int_equal(atomic_load(&link_->counts[0].received), 4);
	assert_int_equal(atomic_load(&link_->counts[0].sent_bytes), 14 + 60 + 1514 + 65535);
	assert_int_equal(atomic_load(&link_->counts[0].received_bytes), 14 + 60 + 1514 + 65535);
	/* What passt would take for a lie never gets there. */
	assert_int_equal(send_frame(13, 9), 0);
	assert_int_equal(send_frame(65536, 9), 0);
	assert_int_equal(atomic_load(&link_->counts[0].send_dropped), 2);
	assert_int_equal(send_frame(60, 10), 0);
	expect_frame(60, 10);
	stop();
	assert_silent();
}

/* What does not go at once goes later, and whole. */
static void the_socket_is_full(void **state)
{
	unsigned int sent = 0, got = 0;
	pid_t pid;

	start();
	pid = last_start(NULL, 0);
	kill(pid, SIGSTOP);
	while (send_frame(20000, sent + 1) == 0)
		sent++;
	assert_true(sent > 0);
	assert_int_equal(send_frame(20000, sent + 1), -EAGAIN);
	assert_int_equal(rooms, 0);
	kill(pid, SIGCONT);
	while (rooms == 0)
		turn();
	while (got < sent)
		expect_frame(20000, ++got);
	assert_int_equal(send_frame(60, 99), 0);
	expect_frame(60, 99);
	assert_int_equal(atomic_load(&link_->counts[0].send_dropped), 0);
	stop();
}

/* A device may leave frames for its next turn, and is told of them although all has been read. */
static void frames_that_are_left_are_told_of(void **state)
{
	start();
	for (unsigned int i = 1; i <= 20; i++)
		assert_int_equal(send_frame(100, i), 0);
	for (unsigned int i = 1; i <= 20; i++) {
		const unsigned int before = arrivals;

		while (arrivals == before)
			turn();
		expect_frame(100, i);
	}
	/* Not while it does not listen, and then at once. */
	for (unsigned int i = 1; i <= 3; i++)
		assert_int_equal(send_frame(100, i), 0);
	expect_frame(100, 1);
	link_->ops->listen(link_, 0, false);
	turn();
	arrivals = 0;
	for (unsigned int i = 0; i < 5; i++)
		turn();
	assert_int_equal(arrivals, 0);
	link_->ops->listen(link_, 0, true);
	while (arrivals == 0)
		turn();
	expect_frame(100, 2);
	expect_frame(100, 3);
	stop();
}

static void a_frame_that_does_not_fit_is_dropped(void **state)
{
	uint8_t small[LINK_HEADER + 99];
	const struct iovec segment = { small, sizeof(small) };
	int64_t got;

	start();
	assert_int_equal(send_frame(100, 1), 0);
	assert_int_equal(send_frame(99, 2), 0);
	while ((got = link_->ops->receive(link_, 0, &segment, 1)) == 0)
		turn();
	assert_int_equal(got, -EMSGSIZE);
	assert_int_equal(atomic_load(&link_->counts[0].receive_dropped), 1);
	expect_frame(99, 2);
	stop();
}

/* Goes down with one line that has text, comes back, and works. */
static void expect_comeback(const char *text)
{
	const unsigned int before = changes;
	uint8_t what;

	while (atomic_load(&link_->up)) {
		get_frame(&what);
		turn();
	}
	assert_int_equal(changes, before + 1);
	assert_said(text);
	/* Frames are dropped meanwhile, and nothing turns in vain. */
	assert_int_equal(send_frame(60, 1), 0);
	turn_until_up(true);
	assert_int_equal(changes, before + 2);
	while (send_frame(60, 7) != 0 || atomic_load(&link_->counts[0].sent) == 0)
		turn();
	assert_silent();
}

static void it_is_started_again_when_it_dies(void **state)
{
	start();
	order('x', "\5", 1);
	expect_comeback(
		"passt has ended with status 5; the guest's network is down until it is back");
	/* The device gets through again. */
	do {
		send_frame(60, 8);
		turn();
	} while (arrivals == 0);
	stop();
}

static void it_is_started_again_when_it_is_killed(void **state)
{
	start();
	kill(last_start(NULL, 0), SIGKILL);
	expect_comeback("passt was ended by signal 9 (Killed)");
	stop();
}

/* So it is while the device has no buffers and asks for nothing. */
static void its_end_is_noticed_without_frames(void **state)
{
	start();
	link_->ops->listen(link_, 0, false);
	kill(last_start(NULL, 0), SIGKILL);
	turn_until_up(false);
	turn_until_up(true);
	stop();
}

static void it_is_started_again_when_it_closes_its_connection(void **state)
{
	start();
	order('c', "", 0);
	expect_comeback("passt has closed its connection");
	stop();
}

/* A device that waits for room is not forgotten. */
static void it_dies_with_a_full_socket(void **state)
{
	pid_t pid;

	start();
	pid = last_start(NULL, 0);
	kill(pid, SIGSTOP);
	while (send_frame(60000, 1) == 0)
		;
	kill(pid, SIGKILL);
	while (rooms == 0)
		turn();
	turn_until_up(false);
	assert_int_equal(send_frame(60, 1), 0);
	turn_until_up(true);
	stop();
}

static void a_length_that_lies_ends_the_connection(void **state)
{
	static const uint8_t lies[][PASST_STREAM_LENGTH] = {
		{ 0, 0, 0, 0 }, { 0, 0, 0, 13 }, { 0, 1, 0, 0 }, { 255, 255, 255, 255 }
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		uint8_t what;

		start();
		order('l', lies[i], sizeof(lies[i]));
		while (atomic_load(&link_->up)) {
			assert_int_equal(get_frame(&what), 0);
			turn();
		}
		assert_non_null(strstr(said(), "passt: sends a frame of a length that cannot be"));
		stop();
	}
}

/* It is tried again and again, later each time, and nobody is told each time. */
static void one_that_does_not_start_again(void **state)
{
	start();
	setenv(FAKE, "unable", 1);
	kill(last_start(NULL, 0), SIGKILL);
	turn_until_up(false);
	assert_said("was ended by signal 9");
	while (!strstr(said(), "Failed to bind port 22"))
		turn();
	while (pause_count < 9)
		turn();
	for (unsigned int i = 0; i < 9; i++)
		assert_int_equal(pauses[i], i < 6 ? 1 << i : 60);
	assert_int_equal(changes, 1);
	setenv(FAKE, "echo", 1);
	turn_until_up(true);
	assert_int_equal(changes, 2);
	stop();
}

/* Without a guest it is not started; with the next one it is. */
static void it_dies_between_two_lives(void **state)
{
	pid_t pid;

	start();
	link_->ops->detach(link_);
	pid = last_start(NULL, 0);
	kill(pid, SIGKILL);
	for (unsigned int i = 0; i < 3; i++)
		turn();
	assert_int_equal(last_start(NULL, 0), pid);
	attach();
	turn_until_up(false);
	turn_until_up(true);
	assert_int_not_equal(last_start(NULL, 0), pid);
	while (arrivals == 0) {
		send_frame(60, 1);
		turn();
	}
	stop();
}

/* A guest that resets at any moment of it. */
static void lives_end_while_it_starts(void **state)
{
	start();
	for (unsigned int i = 0; i < 8; i++) {
		kill(last_start(NULL, 0), SIGKILL);
		for (unsigned int turns = 0; turns < i * 15; turns++)
			turn();
		link_->ops->detach(link_);
		attach();
	}
	arrivals = 0;
	while (arrivals == 0) {
		send_frame(60, 1);
		turn();
	}
	stop();
}

static void one_that_cannot_start(void **state)
{
	setenv(FAKE, "unable", 1);
	assert_int_equal(passt_open(&link_, &options), -EINVAL);
	assert_string_equal(said(), "nidus: warning: passt: Failed to bind port 22, exiting\n"
				    "nidus: error: passt has ended with status 1\n");
	options.program = "no-such-passt";
	assert_int_equal(passt_open(&link_, &options), -ENOENT);
	assert_said("passt: there is no no-such-passt here; Debian's package passt has it");
	options.vhost = LINK_VHOST_AUTO;
	assert_int_equal(passt_open(&link_, &options), -ENOENT);
	assert_said("Debian's package passt has it");
}

static void one_that_says_nothing(void **state)
{
	static struct passt_process process;
	int fd;

	setenv(FAKE, "silent", 1);
	assert_int_equal(passt_process_prepare(&process, &options), 0);
	fd = passt_process_start(&process);
	assert_true(fd >= 0);
	process.patience = 50;
	assert_int_equal(passt_process_wait(&process, fd), -ETIMEDOUT);
	assert_said("passt: is not ready after 50 ms");
	close(fd);
}

static void it_gets_its_arguments(void **state)
{
	struct passt_forward forwards[2];
	char arguments[512], expected[512];

	assert_null(passt_forward_parse(&forwards[0], "tcp:2222:22"));
	assert_null(passt_forward_parse(&forwards[1], "udp:127.0.0.1:53"));
	options.forwards = forwards;
	options.forward_count = 2;
	options.guest_ip.s_addr = inet_addr("192.168.33.15");
	options.host_ip.s_addr = inet_addr("192.168.33.1");
	start();
	last_start(arguments, sizeof(arguments));
	snprintf(expected, sizeof(expected),
		 "--foreground --quiet --fd 3 %s--address 192.168.33.15 --netmask 24 "
		 "--gateway 192.168.33.1 --dns-forward 192.168.33.1 "
		 "--tcp-ports 2222:22 --udp-ports 127.0.0.1/53:53",
		 geteuid() == 0 ? "--runas 65534:65534 " : "");
	assert_string_equal(arguments, expected);
	stop();
}

static void forwards_are_told_from_nonsense(void **state)
{
	static const struct {
		const char *text, *spec;
		bool udp;
	} good[] = {
		{ "tcp:2222:22", "2222:22", false },
		{ "tcp:80", "80:80", false },
		{ "udp:1:65535", "1:65535", true },
		{ "tcp:127.0.0.1:2222:22", "127.0.0.1/2222:22", false },
		{ "udp:[::1]:53:5353", "::1/53:5353", true },
		{ "tcp:[fe80::1234:5678:9abc:def0]:8080", "fe80::1234:5678:9abc:def0/8080:8080",
		  false },
	};
	static const char *const bad[] = {
		"",
		"tcp",
		"tcp:",
		"tcp:x",
		"tcp:0",
		"tcp:65536",
		"tcp:22:",
		"tcp:22:0",
		"tcp:22:x",
		"tcp:22:22:22",
		"sctp:22:22",
		"22:22",
		"tcp:127.0.0.1",
		"tcp:127.0.0.1:",
		"tcp: 22:22",
		"tcp:256.0.0.1:22:22",
		"tcp:[::1]",
		"tcp:[::1:22:22",
		"tcp:[::1]22:22",
		"tcp:[]:22:22",
		"tcp:[127.0.0.1]:22:22",
		"tcp:::1:22:22",
		"tcp:-1:22",
		"tcp:+22:22",
		"tcp:0x16:22",
		"tcp:22,80:22",
		"tcp:22-80:22",
		"tcp:127.0.0.1/22:22",
		"tcp:22:22 ",
		"udp:~22",
		"tcp:[1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111:2222:3333:4444]:22:22",
	};
	struct passt_forward forward;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_null(passt_forward_parse(&forward, good[i].text));
		assert_string_equal(forward.spec, good[i].spec);
		assert_int_equal(forward.udp, good[i].udp);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_non_null(passt_forward_parse(&forward, bad[i]));
}

static void vhost_user_is_used_where_it_is_there(void **state)
{
	char arguments[512];

	options.vhost = LINK_VHOST_YES;
	assert_int_equal(passt_open(&link_, &options), -ENOTSUP);
	assert_said("this version has no vhost-user");
	options.vhost = LINK_VHOST_AUTO;
	start();
	assert_null(link_->vhost);
	stop();
	setenv(FAKE, "new", 1);
	start();
	assert_ptr_equal(link_->vhost->ops, &fake_ops);
	assert_true(atomic_load(&link_->up));
	assert_int_equal(link_->features, UINT64_C(1) << 32 | 1 << 15);
	assert_int_equal(vhost_attached, 1);
	last_start(arguments, sizeof(arguments));
	assert_non_null(strstr(arguments, "--vhost-user"));
	stop();
	assert_int_equal(vhost_attached, 0);
	assert_int_equal(vhosts, 0);
	options.vhost = LINK_VHOST_NO;
	start();
	assert_null(link_->vhost);
	stop();
	assert_silent();
	/* Said by whom it befell. */
	options.vhost = LINK_VHOST_AUTO;
	vhost_error = -EPROTO;
	assert_int_equal(passt_open(&link_, &options), -EPROTO);
	assert_silent();
}

static void one_with_vhost_user_dies(void **state)
{
	struct vhost *first;
	char byte;

	setenv(FAKE, "new", 1);
	options.vhost = LINK_VHOST_AUTO;
	start();
	first = link_->vhost;
	kill(last_start(NULL, 0), SIGKILL);
	assert_int_equal(read(vhost_socket, &byte, 1), 0);
	atomic_store(&first->lost, true);
	first->ended(first->owner);
	assert_false(atomic_load(&link_->up));
	assert_int_equal(changes, 1);
	assert_said(
		"passt was ended by signal 9 (Killed); the guest's network is down until it is back");
	/* The same vhost, with another behind it. */
	while (changes < 2)
		event_loop_turn(&main_loop, true);
	assert_true(atomic_load(&link_->up));
	assert_ptr_equal(link_->vhost, first);
	assert_int_equal(vhosts_renewed, 1);
	stop();
}

/* Its process is known to have ended before its connection is. */
static void a_process_with_vhost_user_ends_first(void **state)
{
	struct vhost *vhost;

	setenv(FAKE, "new", 1);
	options.vhost = LINK_VHOST_AUTO;
	vhosts_renewed = 0;
	start();
	vhost = link_->vhost;
	kill(last_start(NULL, 0), SIGKILL);
	while (changes < 1)
		event_loop_turn(&main_loop, true);
	assert_false(atomic_load(&link_->up));
	assert_said("the guest's network is down until it is back");
	/* Not renewed before it is lost. */
	for (unsigned int i = 0; i < 3; i++)
		event_loop_turn(&main_loop, true);
	assert_int_equal(vhosts_renewed, 0);
	atomic_store(&vhost->lost, true);
	vhost->ended(vhost->owner);
	assert_int_equal(changes, 2);
	while (changes < 3)
		event_loop_turn(&main_loop, true);
	assert_true(atomic_load(&link_->up));
	assert_int_equal(vhosts_renewed, 1);
	stop();
}

/* Between two lives of the guest. */
static void one_with_vhost_user_is_back_in_the_next_life(void **state)
{
	struct vhost *vhost;
	char byte;

	setenv(FAKE, "new", 1);
	options.vhost = LINK_VHOST_AUTO;
	start();
	vhost = link_->vhost;
	link_->ops->detach(link_);
	kill(last_start(NULL, 0), SIGKILL);
	assert_int_equal(read(vhost_socket, &byte, 1), 0);
	attach();
	atomic_store(&vhost->lost, true);
	vhost->ended(vhost->owner);
	while (changes < 2)
		event_loop_turn(&main_loop, true);
	assert_true(atomic_load(&link_->up));
	assert_said("the guest's network is down until it is back");
	stop();
}

/* Framing, without a process. */

static struct passt_stream stream;
static int ends[2];

/* In place of the C library's: of a message no more than so many bytes go. */
static size_t send_max = SIZE_MAX;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	uint8_t bytes[64];
	size_t count = 0;

	if (send_max == SIZE_MAX)
		return syscall(SYS_sendmsg, fd, message, flags);
	assert_true(send_max <= sizeof(bytes));
	for (size_t i = 0; i < message->msg_iovlen && count < send_max; i++) {
		const struct iovec *segment = &message->msg_iov[i];
		const size_t room = send_max - count;
		const size_t part = segment->iov_len < room ? segment->iov_len : room;

		memcpy(bytes + count, segment->iov_base, part);
		count += part;
	}
	return send(fd, bytes, count, flags);
}

static void open_stream(void)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	passt_stream_begin(&stream, ends[0]);
}

static void close_stream(void)
{
	close(ends[0]);
	close(ends[1]);
}

static int64_t receive(uint8_t *frame, size_t size)
{
	const struct iovec segment = { frame, size };

	stream.dry = false; /* as when the loop tells that there is more */
	return passt_stream_receive(&stream, &segment, 1);
}

static void frames_arrive_in_any_pieces(void **state)
{
	static const uint8_t lengths[] = { 14, 60, 15 };
	uint8_t all[256], frame[128];
	size_t total = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		memcpy(all + total, (uint8_t[]){ 0, 0, 0, lengths[i] }, 4);
		memset(all + total + 4, 'a' + i, lengths[i]);
		total += 4 + lengths[i];
	}
	for (size_t first = 0; first <= total; first++) {
		for (size_t second = first; second <= total; second += 3) {
			const size_t cuts[] = { first, second, total };
			size_t written = 0, frames = 0;

			open_stream();
			for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
				int64_t got;

				if (cuts[i] > written)
					assert_true(write_all(ends[1], all + written,
							      cuts[i] - written));
				written = cuts[i];
				while ((got = receive(frame, sizeof(frame))) > 0) {
					assert_int_equal(got, LINK_HEADER + lengths[frames]);
					assert_int_equal(frame[LINK_HEADER], 'a' + frames);
					assert_int_equal(frame[got - 1], 'a' + frames);
					frames++;
				}
				assert_int_equal(got, 0);
			}
			assert_int_equal(frames, ARRAY_SIZE(lengths));
			close_stream();
		}
	}
}

static void a_frame_may_fill_its_buffer(void **state)
{
	uint8_t frame[LINK_HEADER + 14];

	open_stream();
	for (unsigned int i = 0; i < 2; i++)
		assert_true(write_all(ends[1], "\0\0\0\16fourteen bytes", 18));
	assert_int_equal(receive(frame, sizeof(frame)), sizeof(frame));
	assert_memory_equal(frame + LINK_HEADER, "fourteen bytes", 14);
	assert_int_equal(receive(frame, sizeof(frame) - 1), -EMSGSIZE);
	assert_int_equal(receive(frame, sizeof(frame)), 0);
	close_stream();
}

static void a_stream_ends(void **state)
{
	uint8_t frame[128];

	open_stream();
	assert_true(write_all(ends[1], "\0\0\0\16half", 8));
	shutdown(ends[1], SHUT_WR);
	assert_int_equal(receive(frame, sizeof(frame)), 0); /* less than there is room for */
	assert_int_equal(receive(frame, sizeof(frame)), -ECONNRESET);
	close_stream();
}

/* Its length may be cut in two, too. */
static void a_frame_may_be_cut_anywhere(void **state)
{
	static const char content[] = "fourteen bytes and some more";
	uint8_t frame[LINK_HEADER + sizeof(content)], got[4 + sizeof(content)];
	const struct iovec segments[] = { { frame, 20 }, { frame + 20, sizeof(frame) - 20 } };

	for (size_t cut = 1; cut <= sizeof(got); cut++) {
		open_stream();
		memcpy(frame + LINK_HEADER, content, sizeof(content));
		send_max = cut;
		assert_int_equal(passt_stream_send(&stream, segments, 2), 0);
		send_max = SIZE_MAX;
		memset(frame, 0xee, sizeof(frame));
		assert_int_equal(passt_stream_flush(&stream), 0);
		shutdown(ends[0], SHUT_WR);
		assert_true(read_all(ends[1], got, sizeof(got)));
		assert_memory_equal(got, ((uint8_t[]){ 0, 0, 0, sizeof(content) }), 4);
		assert_memory_equal(got + 4, content, sizeof(content));
		assert_false(read_all(ends[1], got, 1));
		close_stream();
	}
}

/* Whatever part of a frame goes at first, all of it is what was taken. */
static void frames_leave_whole(void **state)
{
	static uint8_t frame[LINK_HEADER + 30000], got[4 + 30000];
	const struct iovec segments[] = { { frame, 100 }, { frame + 100, sizeof(frame) - 100 } };
	const int small = 4096;
	unsigned int sent = 0, partial = 0;
	size_t size;

	open_stream();
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (unsigned int round = 0; round < 50; round++) {
		memset(frame + LINK_HEADER, round, sizeof(frame) - LINK_HEADER);
		assert_int_equal(passt_stream_send(&stream, segments, 2), 0);
		memset(frame, 0xee, sizeof(frame));
		partial += stream.out_count > 0;
		/* Another one waits for the rest of this one. */
		if (stream.out_count > 0)
			assert_int_equal(passt_stream_send(&stream, segments, 2), -EAGAIN);
		size = 0;
		while (size < sizeof(got)) {
			const ssize_t part = recv(ends[1], got + size, 1 + round * 97, 0);

			assert_true(part > 0);
			size += part;
			passt_stream_flush(&stream);
		}
		assert_memory_equal(got, ((uint8_t[]){ 0, 0, 30000 >> 8, 30000 & 255 }), 4);
		for (size_t i = 4; i < sizeof(got); i++)
			assert_int_equal(got[i], round);
		sent++;
	}
	assert_int_equal(sent, 50);
	assert_true(partial > 0);
	close_stream();
}

/*
 * The real one, as root and not, in the stream's way: an address by DHCP, and a connection to a
 * server on the host, by frames made by hand.
 */

#define GUEST_PORT 40000

static uint32_t guest_ip, gateway_ip; /* as they are on the wire */
static uint8_t gateway_mac[LINK_ADDRESS];

struct packet {
	uint8_t header[LINK_HEADER]; /* virtio's */
	uint8_t to[LINK_ADDRESS], from[LINK_ADDRESS];
	uint16_t type;
	union {
		struct {
			uint16_t hardware, protocol;
			uint8_t sizes[2];
			uint16_t operation;
			uint8_t sender_mac[LINK_ADDRESS], sender_ip[4];
			uint8_t target_mac[LINK_ADDRESS], target_ip[4];
		} arp;
		struct {
			struct iphdr ip;
			union {
				struct tcphdr tcp;
				struct {
					struct udphdr udp;
					uint8_t data[1400];
				} __attribute__((packed));
			};
		} __attribute__((packed));
	};
} __attribute__((packed));

static void send_packet(struct packet *packet, uint16_t type, size_t length)
{
	const struct iovec segment = { packet, LINK_HEADER + 14 + length };

	memcpy(packet->from, options.guest_mac, LINK_ADDRESS);
	packet->type = htons(type);
	assert_int_equal(link_->ops->send(link_, 0, &segment, 1), 0);
}

static uint32_t sum(const void *bytes, size_t count, uint32_t so_far)
{
	for (size_t i = 0; i < count; i++)
		so_far += ((const uint8_t *)bytes)[i] << (i % 2 ? 0 : 8);
	return so_far;
}

static uint16_t fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons(~total);
}

/* The packet's payload is there, and count bytes long. */
static void send_ip(struct packet *packet, uint8_t protocol, uint32_t from, uint32_t to,
		    size_t count)
{
	packet->ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.ttl = 64,
		.protocol = protocol,
		.saddr = from,
		.daddr = to,
		.tot_len = htons(sizeof(packet->ip) + count),
	};
	packet->ip.check = fold(sum(&packet->ip, sizeof(packet->ip), 0));
	if (protocol == IPPROTO_TCP) {
		packet->tcp.check = 0;
		packet->tcp.check = fold(
			sum(&packet->tcp, count, sum(&packet->ip.saddr, 8, IPPROTO_TCP + count)));
	}
	send_packet(packet, 0x0800, sizeof(packet->ip) + count);
}

/* Waits for a packet of that kind; what else comes is let go. */
static void wait_for(struct packet *packet, bool (*wanted)(const struct packet *packet))
{
	const struct iovec segment = { packet, sizeof(*packet) };

	do {
		while (link_->ops->receive(link_, 0, &segment, 1) == 0)
			turn();
	} while (!wanted(packet));
}

static bool is_udp(const struct packet *packet)
{
	return packet->type == htons(0x0800) && packet->ip.protocol == IPPROTO_UDP &&
	       packet->udp.dest == htons(68);
}

static bool is_arp_reply(const struct packet *packet)
{
	return packet->type == htons(0x0806) && packet->arp.operation == htons(2);
}

static bool is_tcp(const struct packet *packet)
{
	return packet->type == htons(0x0800) && packet->ip.protocol == IPPROTO_TCP;
}

/* DHCP (RFC 2131, figure 1): options begin at 240. */
static void discover(void)
{
	static const uint8_t cookie[] = { 99, 130, 83, 99, 53, 1, 1, 255 };
	static struct packet packet;
	const size_t length = 300;

	packet = (struct packet){ 0 };
	memset(packet.to, 0xff, LINK_ADDRESS);
	packet.udp = (struct udphdr){ .source = htons(68),
				      .dest = htons(67),
				      .len = htons(sizeof(packet.udp) + length) };
	memcpy(packet.data, (uint8_t[]){ 1, 1, 6, 0, 1, 2, 3, 4 }, 8);
	memcpy(packet.data + 28, options.guest_mac, LINK_ADDRESS);
	memcpy(packet.data + 236, cookie, sizeof(cookie));
	send_ip(&packet, IPPROTO_UDP, 0, 0xffffffff, sizeof(packet.udp) + length);
	wait_for(&packet, is_udp);
	memcpy(&guest_ip, packet.data + 16, sizeof(guest_ip));
	assert_int_equal(packet.data[0], 2);
	for (const uint8_t *option = packet.data + 240; *option != 255;
	     option += *option ? 2 + option[1] : 1) {
		if (*option == 53)
			assert_int_equal(option[2], 2); /* an offer */
		if (*option == 3)
			memcpy(&gateway_ip, option + 2, sizeof(gateway_ip));
	}
}

static void resolve(void)
{
	struct packet packet = { 0 };

	memset(packet.to, 0xff, LINK_ADDRESS);
	packet.arp.hardware = htons(1);
	packet.arp.protocol = htons(0x0800);
	memcpy(packet.arp.sizes, (uint8_t[]){ 6, 4 }, 2);
	packet.arp.operation = htons(1);
	memcpy(packet.arp.sender_mac, options.guest_mac, LINK_ADDRESS);
	memcpy(packet.arp.sender_ip, &guest_ip, 4);
	memcpy(packet.arp.target_ip, &gateway_ip, 4);
	send_packet(&packet, 0x0806, sizeof(packet.arp));
	wait_for(&packet, is_arp_reply);
	assert_memory_equal(packet.arp.sender_ip, &gateway_ip, 4);
	memcpy(gateway_mac, packet.arp.sender_mac, LINK_ADDRESS);
}

static int listen_somewhere(uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(at);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	*port = at.sin_port;
	return fd;
}

static void send_tcp(uint16_t port, uint32_t seq, uint32_t ack, bool syn, const char *data)
{
	struct packet packet = { 0 };

	memcpy(packet.to, gateway_mac, LINK_ADDRESS);
	packet.tcp = (struct tcphdr){ .source = htons(GUEST_PORT),
				      .dest = port,
				      .seq = htonl(seq),
				      .ack_seq = htonl(ack),
				      .doff = 5,
				      .syn = syn,
				      .ack = !syn,
				      .psh = *data != 0,
				      .window = htons(60000) };
	memcpy((uint8_t *)&packet.tcp + sizeof(packet.tcp), data, strlen(data));
	send_ip(&packet, IPPROTO_TCP, guest_ip, gateway_ip, sizeof(packet.tcp) + strlen(data));
}

/* The gateway's loopback address is that of the host. */
static void connect_by_hand(void)
{
	struct packet packet = { 0 };
	char text[8] = "";
	uint16_t port;
	const int server = listen_somewhere(&port);
	int client;

	send_tcp(port, 1000, 0, true, "");
	wait_for(&packet, is_tcp);
	assert_true(packet.tcp.syn && packet.tcp.ack);
	assert_int_equal(ntohl(packet.tcp.ack_seq), 1001);
	send_tcp(port, 1001, ntohl(packet.tcp.seq) + 1, false, "");
	send_tcp(port, 1001, ntohl(packet.tcp.seq) + 1, false, "hello");
	client = accept(server, NULL, NULL);
	assert_true(client >= 0);
	assert_int_equal(recv(client, text, 5, MSG_WAITALL), 5);
	assert_string_equal(text, "hello");
	close(client);
	close(server);
}

static bool is_installed(void)
{
	return system("passt --version >/dev/null 2>&1") == 0;
}

static void real_passt_has_a_network(void **state)
{
	pid_t pid;

	if (!is_installed())
		skip();
	options.program = NULL;
	options.guest_ip.s_addr = inet_addr("192.168.33.15");
	options.host_ip.s_addr = inet_addr("192.168.33.1");
	start();
	discover();
	assert_int_equal(guest_ip, options.guest_ip.s_addr);
	assert_int_equal(gateway_ip, options.host_ip.s_addr);
	resolve();
	connect_by_hand();
	/* It is not us whom the kernel takes it for any more, and yet it goes. */
	link_->ops->detach(link_);
	link_->ops->close(link_);
	pid = waitpid(-1, NULL, WNOHANG);
	assert_int_equal(pid, -1);
	assert_silent();
}

/* As root it is another user by then, whom the kernel does not kill with us. */
static void real_passt_ends_when_nidus_is_killed(void **state)
{
	int over[2];
	char byte;
	pid_t nidus;

	if (!is_installed())
		skip();
	options.program = NULL;
	assert_int_equal(pipe(over), 0);
	nidus = fork();
	if (nidus == 0) {
		if (passt_open(&link_, &options) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	close(over[1]);
	assert_int_equal(waitpid(nidus, &(int){ 0 }, 0), nidus);
	/* passt is ours now. */
	assert_true(waitpid(-1, NULL, 0) > 0);
	assert_int_equal(read(over[0], &byte, 1), 0);
	close(over[0]);
	assert_silent();
}

static void real_passt_says_why_it_cannot(void **state)
{
	struct passt_forward forward;
	uint16_t port;
	char text[32];
	int taken;

	if (!is_installed())
		skip();
	taken = listen_somewhere(&port);
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%u:22", ntohs(port));
	assert_null(passt_forward_parse(&forward, text));
	options.program = NULL;
	options.forwards = &forward;
	options.forward_count = 1;
	assert_int_equal(passt_open(&link_, &options), -EINVAL);
	assert_non_null(strstr(said(), "passt has ended with status 1"));
	close(taken);
}

#define passt_test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		passt_test(frames_go_both_ways),
		passt_test(the_socket_is_full),
		passt_test(frames_that_are_left_are_told_of),
		passt_test(a_frame_that_does_not_fit_is_dropped),
		passt_test(it_is_started_again_when_it_dies),
		passt_test(it_is_started_again_when_it_is_killed),
		passt_test(its_end_is_noticed_without_frames),
		passt_test(it_is_started_again_when_it_closes_its_connection),
		passt_test(it_dies_with_a_full_socket),
		passt_test(a_length_that_lies_ends_the_connection),
		passt_test(one_that_does_not_start_again),
		passt_test(it_dies_between_two_lives),
		passt_test(lives_end_while_it_starts),
		passt_test(one_that_cannot_start),
		passt_test(one_that_says_nothing),
		passt_test(it_gets_its_arguments),
		passt_test(forwards_are_told_from_nonsense),
		passt_test(vhost_user_is_used_where_it_is_there),
		passt_test(one_with_vhost_user_dies),
		passt_test(a_process_with_vhost_user_ends_first),
		passt_test(one_with_vhost_user_is_back_in_the_next_life),
		passt_test(frames_arrive_in_any_pieces),
		passt_test(a_frame_may_fill_its_buffer),
		passt_test(a_stream_ends),
		passt_test(a_frame_may_be_cut_anywhere),
		passt_test(frames_leave_whole),
		passt_test(real_passt_has_a_network),
		passt_test(real_passt_ends_when_nidus_is_killed),
		passt_test(real_passt_says_why_it_cannot),
	};

	/* Without the sanitizers' last words, for which they start processes. */
	if (getenv(FAKE))
		_exit(fake(getenv(FAKE), argv));
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
