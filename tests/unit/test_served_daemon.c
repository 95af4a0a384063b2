// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "unit.h"

#include "devices/served/served_daemon.h"
#include "fake_back_end.h"
#include "mm/memory.h"
#include "util.h"

#define VERSION_1 (UINT64_C(1) << 32)

static struct event_loop loop;
static const char *scratch;
static char program[128]; /* in scratch */
static char before[256]; /* TMPDIR, or nothing */

static struct served *served;
static struct served_daemon *opened; /* the same, where it is a daemon */
static bool attached;
static unsigned int changes;
static bool resets; /* the driver, in another thread, while it is told that who served it is gone */

static int begin(void **state)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(before, sizeof(before), "%s", tmp ? tmp : "");
	scratch = scratch_begin();
	setenv("TMPDIR", scratch, 1);
	snprintf(program, sizeof(program), "%s/program", scratch);
	served = NULL;
	opened = NULL;
	attached = false;
	changes = 0;
	resets = false;
	if (event_loop_create(&loop) < 0)
		return -1;
	return catch_begin(state);
}

static void changed(void *device)
{
	changes++;
	if (resets)
		served->vhost->ops->forget(served->vhost);
}

static void attach(void)
{
	served->changed = changed;
	assert_int_equal(served->ops->attach(served, &loop), 0);
	attached = true;
}

static void detach(void)
{
	served->ops->detach(served);
	attached = false;
}

static void close_served(void)
{
	if (!served)
		return;
	if (attached)
		detach();
	served_close(served);
	served = NULL;
}

static int finish(void **state)
{
	close_served();
	event_loop_destroy(&loop);
	if (*before)
		setenv("TMPDIR", before, 1);
	else
		unsetenv("TMPDIR");
	scratch_end();
	return catch_end(state);
}

/* Programs. */

static void make_script(const char *text)
{
	FILE *file = fopen(program, "we");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", text);
	fclose(file);
	assert_int_equal(chmod(program, 0755), 0);
}

static void make_back_end(void)
{
	char self[256];
	const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(length > 0);
	self[length] = '\0';
	assert_int_equal(symlink(self, program), 0);
}

static struct served_daemon *make_daemon(uint32_t device_id)
{
	struct served_daemon *daemon = calloc(1, sizeof(*daemon));

	assert_non_null(daemon);
	daemon->program = program;
	daemon->package = "programs";
	snprintf(daemon->name, sizeof(daemon->name), "program, x");
	daemon->user.served.by = "program";
	if (device_id == VIRTIO_ID_FS)
		daemon->user.tag = "x";
	served_vhost_user_wish(&daemon->user, device_id, 0, 0);
	served_daemon_word(daemon, "--back-end");
	return daemon;
}

static int open_daemon(struct served_daemon *daemon)
{
	const int err = served_daemon_open(&served, daemon);

	if (err == 0)
		opened = daemon;
	return err;
}

static void open_back_end(uint32_t device_id)
{
	make_back_end();
	assert_int_equal(open_daemon(make_daemon(device_id)), 0);
}

/* What a script says and does before it could serve. */
static int open_script(const char *text)
{
	make_script(text);
	return open_daemon(make_daemon(VIRTIO_ID_BLOCK));
}

/* A back end by way of a shell, which does something else once its guest is gone. */
static int open_stubborn(const char *before_it, const char *after_it)
{
	char text[512];

	make_back_end();
	snprintf(text, sizeof(text), "%s/self", scratch);
	assert_int_equal(rename(program, text), 0);
	snprintf(text, sizeof(text), "%s %s/self --back-end; %s", before_it, scratch, after_it);
	return open_script(text);
}

static void assert_dead(pid_t pid)
{
	assert_true(pid > 0);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* Nothing but the program is where sockets are. */
static void assert_clean(void)
{
	DIR *directory = opendir(scratch);
	const struct dirent *entry;

	while ((entry = readdir(directory)))
		assert_true(entry->d_name[0] == '.' || strcmp(entry->d_name, "program") == 0);
	closedir(directory);
}

static pid_t number_in(const char *name)
{
	char path[256];
	FILE *file;
	int number = 0;

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &number), 1);
	fclose(file);
	return number;
}

/* Lives. */

static void turn_until(enum served_state state)
{
	while (atomic_load(&served->state) != state)
		assert_true(event_loop_turn(&loop, true) >= 0);
}

static void turn(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

/* A ring runs, as of a driver that waits for answers. */
static void run_ring(void)
{
	static struct memory memory;
	struct memory_file file;
	const struct vhost_ring ring = { .size = 16,
					 .kick = eventfd(0, EFD_CLOEXEC),
					 .call = eventfd(0, EFD_CLOEXEC) };

	assert_int_equal(memory_file_create(&file, MIB(2), false), 0);
	assert_int_equal(memory_create(&memory, GIB(1), MIB(2), MEMORY_MEMFD, &file), 0);
	assert_int_equal(served->vhost->ops->begin(served->vhost, VERSION_1, &memory), 0);
	assert_int_equal(served->vhost->ops->start(served->vhost, 0, &ring), 0);
	memory_destroy(&memory);
	memory_file_close(&file);
	close(ring.kick);
	close(ring.call);
}

/* The reset of a device whose ring runs. */
static void reset(void)
{
	uint16_t base;

	served->vhost->ops->stop(served->vhost, 0, &base);
	served->vhost->ops->forget(served->vhost);
}

static void kill_daemon(void)
{
	assert_int_equal(kill(opened->child.pid, SIGKILL), 0);
}

/* Tests: how it begins. */

static void one_that_is_missing_is_named_with_its_package(void **state)
{
	char line[256];

	assert_int_equal(open_daemon(make_daemon(VIRTIO_ID_FS)), -ENOENT);
	snprintf(
		line, sizeof(line),
		"nidus: error: program, x: there is no %s here; Debian's package programs has it\n",
		program);
	assert_said(line);
	assert_clean();
}

static void it_is_told_what_one_has_said_that_ends_at_once(void **state)
{
	const char *text;

	assert_true(open_script("echo cannot open disk >&2; printf 'no end\\033[2J'; exit 1") < 0);
	text = said();
	assert_non_null(strstr(text, " at GET_FEATURES\n"));
	assert_non_null(strstr(text, "nidus: warning: program, x: cannot open disk\n"
				     "nidus: warning: program, x: no end?[2J\n"
				     "nidus: warning: program, x has ended with status 1\n"));
	assert_clean();
}

static void a_long_line_of_one_that_ends_is_cut(void **state)
{
	const char *text, *line;

	assert_true(open_script("head -c 50000 /dev/zero | tr '\\0' x >&2; exit 3") < 0);
	text = said();
	line = strstr(text, "program, x: xxx");
	assert_non_null(line);
	line += strlen("program, x: ");
	assert_int_equal(strcspn(line, "\n"), CHILD_LINE_MAX);
	assert_int_equal(strncmp(line + CHILD_LINE_MAX - 4, "x...\n", 5), 0);
	assert_non_null(strstr(text, "has ended with status 3\n"));
}

static void one_that_never_answers_is_waited_for_so_long(void **state)
{
	struct served_daemon *daemon = make_daemon(VIRTIO_ID_BLOCK);
	char text[256];

	snprintf(text, sizeof(text), "echo $$ >%s/pid; exec sleep 1000", scratch);
	make_script(text);
	daemon->user.wishes.start = 1500;
	assert_int_equal(open_daemon(daemon), -ETIMEDOUT);
	assert_dead(number_in("pid"));
	assert_non_null(strstr(said(), "program, x: no answer at GET_FEATURES\n"));
}

/* One that shuts its socket, and goes on all the same. */
static void one_that_hangs_up_is_ended(void **state)
{
	char text[256];

	snprintf(text, sizeof(text), "echo $$ >%s/pid; exec sleep 1000 3<&-", scratch);
	assert_true(open_script(text) < 0);
	assert_dead(number_in("pid"));
	assert_non_null(strstr(said(), "warning: program, x has closed its connection\n"));
}

static void there_may_be_no_room_for_its_socket(void **state)
{
	char path[256];

	make_back_end();
	snprintf(path, sizeof(path), "%s/none", scratch);
	setenv("TMPDIR", path, 1);
	assert_int_equal(open_daemon(make_daemon(VIRTIO_ID_FS)), -ENOENT);
	assert_said("program, x: a socket in TMPDIR: No such file or directory");
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	setenv("TMPDIR", path, 1);
	assert_int_equal(open_daemon(make_daemon(VIRTIO_ID_FS)), -ENAMETOOLONG);
	assert_said("program, x: a socket in TMPDIR: ");
}

/* The program that does so. */
static int tell_descriptors(void)
{
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			fprintf(stderr, " %d", fd);
	return 0;
}

/* Of all that the test has open, and of what nidus opens for it. */
static void it_inherits_its_socket_alone(void **state)
{
	struct served_daemon *daemon = make_daemon(VIRTIO_ID_BLOCK);
	int others[4];

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = open("/dev/null", O_RDONLY); /* which a program would inherit */
	make_back_end();
	daemon->words[0] = "--descriptors";
	assert_true(open_daemon(daemon) < 0);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		close(others[i]);
	assert_non_null(strstr(said(), "warning: program, x:  0 1 2 3\n"));
}

static void what_it_says_later_is_told(void **state)
{
	const char *text = "";

	assert_int_equal(open_stubborn("(sleep 0.2; echo full >&2) &", "exit"), 0);
	attach();
	for (unsigned int i = 0; i < 3000 && !*text; i++) {
		usleep(10000);
		turn();
		text = said();
	}
	assert_string_equal(text, "nidus: warning: program, x: full\n");
}

/* Tests: how it ends. */

static void it_ends_with_its_guest(void **state)
{
	pid_t pid;

	open_back_end(VIRTIO_ID_FS);
	assert_clean();
	attach();
	pid = opened->child.pid;
	close_served();
	assert_dead(pid);
	assert_silent();
}

static void one_that_ignores_to_be_asked_is_killed(void **state)
{
	pid_t pid;

	assert_int_equal(open_stubborn("trap '' TERM;", "while :; do sleep 1; done"), 0);
	attach();
	pid = opened->child.pid;
	close_served();
	assert_dead(pid);
	/* The sleep of its group has nobody else to wait for it. */
	assert_silent();
}

static void it_dies_with_nidus(void **state)
{
	int ends[2], status = 0;
	pid_t pid, nidus, ended = 0;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	/* Whose children become ours with its end. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	nidus = fork();
	if (nidus == 0) {
		if (open_stubborn("", "exec sleep 1000") == 0 &&
		    write(ends[1], &opened->child.pid, sizeof(pid)) > 0)
			raise(SIGKILL);
		_exit(1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
	close(ends[0]);
	assert_int_equal(waitpid(nidus, NULL, 0), nidus);
	for (unsigned int i = 0; i < 3000 && ended == 0; i++) {
		ended = waitpid(pid, &status, WNOHANG);
		usleep(10000);
	}
	assert_int_equal(ended, pid);
	assert_true(WIFSIGNALED(status));
	/* What it had started has lost its socket. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

/* Tests: how it is had again. */

static void one_of_a_file_system_is_started_again(void **state)
{
	pid_t pid;

	open_back_end(VIRTIO_ID_FS);
	attach();
	run_ring();
	pid = opened->child.pid;
	kill_daemon();
	turn_until(SERVED_AWAY);
	assert_said("warning: program, x was ended by signal 9 (Killed)");
	reset();
	turn_until(SERVED_UP);
	assert_int_equal(changes, 2);
	assert_int_not_equal(opened->child.pid, pid);
	turn();
	assert_true(served_is_up(served));
	assert_clean();
}

static void one_of_a_disk_is_had_again_by_a_driver_that_begins(void **state)
{
	open_back_end(VIRTIO_ID_BLOCK);
	attach();
	for (unsigned int i = 0; i < 2; i++) {
		run_ring();
		kill_daemon();
		turn_until(SERVED_GONE);
		assert_non_null(strstr(said(), "program, x: nobody serves the guest's device"));
		assert_int_equal(opened->child.pid, 0);
		reset();
		turn();
		assert_int_equal(opened->child.pid, 0);
		served->ops->begin(served);
		assert_int_equal(atomic_load(&served->state), SERVED_AWAY);
		turn_until(SERVED_UP);
		assert_true(opened->child.pid > 0);
	}
	/* One that is there is no matter of drivers. */
	changes = 0;
	served->ops->begin(served);
	turn();
	assert_true(served_is_up(served));
	assert_int_equal(changes, 0);
	assert_silent();
}

/* The driver has begun anew before it was noticed that it served nobody any more. */
static void an_end_that_nobody_waits_in_is_no_loss(void **state)
{
	open_back_end(VIRTIO_ID_BLOCK);
	attach();
	run_ring();
	kill_daemon();
	waitid(P_PID, opened->child.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
	reset();
	served->ops->begin(served);
	turn_until(SERVED_AWAY);
	turn_until(SERVED_UP);
	assert_null(strstr(said(), "nobody serves"));
}

/* It has found it still there, and does not begin again. */
static void a_driver_that_begins_while_its_end_is_told_is_served(void **state)
{
	open_back_end(VIRTIO_ID_BLOCK);
	attach();
	run_ring();
	resets = true;
	kill_daemon();
	turn_until(SERVED_AWAY);
	assert_non_null(strstr(said(), "nobody serves"));
	turn_until(SERVED_UP);
}

/* So it is with the next life of its guest. */
static void an_end_between_two_lives_is_no_loss(void **state)
{
	open_back_end(VIRTIO_ID_BLOCK);
	attach();
	run_ring();
	kill_daemon();
	waitid(P_PID, opened->child.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
	reset();
	detach();
	attach();
	turn_until(SERVED_AWAY);
	detach();
	attach();
	turn_until(SERVED_UP);
	assert_null(strstr(said(), "nobody serves"));
}

static void who_is_gone_in_one_life_is_had_again_in_the_next(void **state)
{
	open_back_end(VIRTIO_ID_BLOCK);
	attach();
	run_ring();
	kill_daemon();
	turn_until(SERVED_GONE);
	reset();
	detach();
	attach();
	turn();
	assert_int_equal(atomic_load(&served->state), SERVED_GONE);
	served->ops->begin(served);
	turn_until(SERVED_UP);
}

static void one_that_cannot_be_started_is_given_up_and_had_again(void **state)
{
	const char *text;

	open_back_end(VIRTIO_ID_FS);
	attach();
	opened->user.patience = 1;
	opened->user.retry.longest = opened->user.retry.shortest;
	assert_int_equal(unlink(program), 0);
	for (unsigned int i = 0; i < 2; i++) {
		if (i == 0)
			kill_daemon();
		else
			served->ops->begin(served);
		turn_until(SERVED_AWAY);
		turn_until(SERVED_GONE);
		/* More than once. */
		text = strstr(said(), "there is no");
		assert_non_null(text);
		assert_non_null(strstr(text + 1, "there is no"));
	}
	make_back_end();
	served->ops->begin(served);
	turn_until(SERVED_UP);
	assert_silent();
	turn();
	assert_true(served_is_up(served));
}

static void one_that_comes_and_ends_at_once_is_tried_less_often(void **state)
{
	uint64_t pause;

	open_back_end(VIRTIO_ID_BLOCK);
	attach();
	for (unsigned int i = 0; i < 3; i++) {
		run_ring();
		kill_daemon();
		turn_until(SERVED_GONE);
		if (i > 0)
			assert_int_equal(opened->user.retry.pause, 2 * pause);
		pause = opened->user.retry.pause;
		reset();
		served->ops->begin(served);
		turn_until(SERVED_UP);
	}
}

/* Tests: whoever listens at a socket. */

static struct served_socket_options options;
static char path[128];
static pid_t listening;

static void listen_at(bool inflight)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	unlink(path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	listening = fork();
	if (listening == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(back_end(listener, inflight));
	}
	close(listener);
}

static void end_listening(void)
{
	kill(listening, SIGKILL);
	assert_int_equal(waitpid(listening, NULL, 0), listening);
}

static int begin_socket(void **state)
{
	const int err = begin(state);

	snprintf(path, sizeof(path), "%s/socket", scratch);
	options = (struct served_socket_options){ .type = "blk",
						  .device_id = VIRTIO_ID_BLOCK,
						  .path = path };
	return err;
}

static void a_socket_where_nobody_is_is_told_in_a_line(void **state)
{
	char line[300], longer[200];

	assert_int_equal(served_socket_open(&served, &options), -EINVAL);
	snprintf(line, sizeof(line), "nidus: error: blk, %s: No such file or directory\n", path);
	assert_said(line);
	listen_at(false);
	end_listening();
	assert_int_equal(served_socket_open(&served, &options), -EINVAL);
	snprintf(line, sizeof(line), "nidus: error: blk, %s: nobody listens there\n", path);
	assert_said(line);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	options.path = longer;
	assert_int_equal(served_socket_open(&served, &options), -EINVAL);
	assert_said("has more than the 107 bytes that a socket's path may have");
}

static void a_disk_that_keeps_no_account_cannot_be_waited_for(void **state)
{
	options.reconnect = 60;
	listen_at(false);
	assert_int_equal(served_socket_open(&served, &options), -EINVAL);
	assert_said("keeps no account of its requests (INFLIGHT_SHMFD); leave reconnect out");
	assert_int_equal(waitpid(listening, NULL, 0), listening);
}

static void without_reconnect_its_end_is_for_good(void **state)
{
	listen_at(false);
	assert_int_equal(served_socket_open(&served, &options), 0);
	attach();
	end_listening();
	turn_until(SERVED_GONE);
	assert_non_null(strstr(said(), "the connection has ended\n"));
	listen_at(false);
	served->ops->begin(served);
	turn();
	assert_int_equal(atomic_load(&served->state), SERVED_GONE);
	end_listening();
}

static void with_reconnect_the_next_one_takes_up_what_it_left(void **state)
{
	options.reconnect = 60;
	listen_at(true);
	assert_int_equal(served_socket_open(&served, &options), 0);
	attach();
	run_ring();
	end_listening();
	turn_until(SERVED_AWAY);
	assert_said("the connection has ended");
	listen_at(true);
	turn_until(SERVED_UP);
	assert_true(served->vhost->owes);
	close_served();
	assert_int_equal(waitpid(listening, NULL, 0), listening);
	assert_silent();
}

#define daemon_test(function) cmocka_unit_test_setup_teardown(function, begin, finish)
#define socket_test(function) cmocka_unit_test_setup_teardown(function, begin_socket, finish)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		daemon_test(one_that_is_missing_is_named_with_its_package),
		daemon_test(it_is_told_what_one_has_said_that_ends_at_once),
		daemon_test(a_long_line_of_one_that_ends_is_cut),
		daemon_test(one_that_never_answers_is_waited_for_so_long),
		daemon_test(one_that_hangs_up_is_ended),
		daemon_test(there_may_be_no_room_for_its_socket),
		daemon_test(it_inherits_its_socket_alone),
		daemon_test(what_it_says_later_is_told),
		daemon_test(it_ends_with_its_guest),
		daemon_test(one_that_ignores_to_be_asked_is_killed),
		daemon_test(it_dies_with_nidus),
		daemon_test(one_of_a_file_system_is_started_again),
		daemon_test(one_of_a_disk_is_had_again_by_a_driver_that_begins),
		daemon_test(an_end_that_nobody_waits_in_is_no_loss),
		daemon_test(a_driver_that_begins_while_its_end_is_told_is_served),
		daemon_test(an_end_between_two_lives_is_no_loss),
		daemon_test(who_is_gone_in_one_life_is_had_again_in_the_next),
		daemon_test(one_that_cannot_be_started_is_given_up_and_had_again),
		daemon_test(one_that_comes_and_ends_at_once_is_tried_less_often),
		socket_test(a_socket_where_nobody_is_is_told_in_a_line),
		socket_test(a_disk_that_keeps_no_account_cannot_be_waited_for),
		socket_test(without_reconnect_its_end_is_for_good),
		socket_test(with_reconnect_the_next_one_takes_up_what_it_left),
	};

	if (argc > 1 && strcmp(argv[1], "--descriptors") == 0)
		return tell_descriptors();
	if (argc > 1 && strcmp(argv[1], "--back-end") == 0)
		return back_end(3, argc > 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
