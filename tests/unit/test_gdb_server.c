// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gdb/gdb_server.h"
#include "unit.h"

static struct event_loop loop;
static struct gdb_place place;
static struct gdb_server server;
static unsigned int came, went, resumed;
static bool serves; /* a client that comes is served at once */

static bool next_thread(void *target, struct gdb_thread *thread)
{
	return thread->process == 0 ? *thread = (struct gdb_thread){ 1, 1 }, true : false;
}

static void describe(void *target, struct gdb_text *text)
{
	for (unsigned int i = 0; i < 500; i++)
		gdb_text_add(text, "0123456789");
}

static void act(void *target, struct gdb_thread thread, enum gdb_action action)
{
}

static void resume(void *target)
{
	resumed++;
}

static void gone(void *target)
{
	went++;
}

static const struct gdb_ops ops = {
	.next_thread = next_thread,
	.describe = describe,
	.act = act,
	.resume = resume,
	.gone = gone,
};

static const struct gdb_stop stop = { .thread = { 1, 1 }, .signal = GDB_SIGTRAP };

static void client_came(struct gdb_server *which)
{
	came++;
	if (serves)
		gdb_server_begin(which, &stop);
}

static int begin(void **state)
{
	catch_begin(state);
	came = went = resumed = 0;
	serves = true;
	assert_int_equal(event_loop_create(&loop), 0);
	return 0;
}

static int end(void **state)
{
	event_loop_destroy(&loop);
	return catch_end(state);
}

static void serve_at(const char *where)
{
	assert_int_equal(gdb_place_open(&place, where), 0);
	assert_int_equal(gdb_server_create(&server, &place, &loop, &ops, NULL, client_came), 0);
}

static void unserve(void)
{
	gdb_server_destroy(&server);
	gdb_place_remove(&place);
	gdb_place_close(&place);
}

static void turn(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	turn();
}

/* What has come, with an end that is told by "(end)". */
static const char *hear(int fd)
{
	static char text[65536];
	size_t used = 0;
	ssize_t got;

	while ((got = recv(fd, text + used, sizeof(text) - 8 - used, MSG_DONTWAIT)) > 0) {
		used += got;
		turn();
	}
	strcpy(text + used, got == 0 ? "(end)" : "");
	return text;
}

static const char *path_of(const char *name)
{
	static char where[300];

	snprintf(where, sizeof(where), "unix:%s/%s", scratch_begin(), name);
	return where;
}

static void a_unix_socket_is_its_owners(void **state)
{
	const char *where = path_of("gdb");
	const char *path = where + strlen("unix:");
	struct stat info;
	int fd;

	serve_at(where);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	fd = connect_unix(path);
	turn();
	assert_int_equal(came, 1);
	say(fd, "+$qC#b4");
	assert_string_equal(hear(fd), "+$QCp1.1#94");
	close(fd);
	turn();
	assert_int_equal(went, 1);
	assert_false(gdb_server_has_client(&server));
	/* The next one is welcome. */
	fd = connect_unix(path);
	turn();
	assert_int_equal(came, 2);
	close(fd);
	unserve();
	assert_int_equal(stat(path, &info), -1);
	scratch_end();
	assert_silent();
}

static void one_client_at_a_time(void **state)
{
	const char *where = path_of("gdb");
	int first, second;

	serve_at(where);
	first = connect_unix(where + 5);
	turn();
	second = connect_unix(where + 5);
	turn();
	assert_string_equal(hear(second), "(end)");
	say(first, "$qC#b4");
	assert_string_equal(hear(first), "+$QCp1.1#94");
	assert_int_equal(came, 1);
	close(first);
	close(second);
	unserve();
	scratch_end();
}

static void a_socket_that_is_left_over_is_replaced(void **state)
{
	const char *where = path_of("gdb");
	struct gdb_place old, other;

	assert_int_equal(gdb_place_open(&old, where), 0);
	/* Somebody listens. */
	assert_int_equal(gdb_place_open(&other, where), -EADDRINUSE);
	assert_said("Address already in use");
	old.path = NULL;
	gdb_place_remove(&old);
	gdb_place_close(&old);
	assert_int_equal(gdb_place_open(&other, where), 0);
	gdb_place_remove(&other);
	gdb_place_close(&other);
	scratch_end();
	assert_silent();
}

static void tcp_is_for_this_machine_alone(void **state)
{
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	char where[64];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	/* A port that is free. */
	address = (struct sockaddr_in){ .sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	snprintf(where, sizeof(where), "tcp:127.0.0.1:%u", ntohs(address.sin_port));
	serve_at(where);
	assert_int_equal(getsockname(place.fd, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(ntohl(address.sin_addr.s_addr), INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
	turn();
	say(fd, "$qC#b4");
	assert_string_equal(hear(fd), "+$QCp1.1#94");
	close(fd);
	unserve();
}

static void a_descriptor_is_a_client_or_listens(void **state)
{
	const char *path = path_of("gdb");
	char where[32];
	int pair[2], fd;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	snprintf(where, sizeof(where), "fd:%d", pair[0]);
	serve_at(where);
	assert_int_equal(came, 1);
	say(pair[1], "$qC#b4");
	assert_string_equal(hear(pair[1]), "+$QCp1.1#94");
	unserve();
	assert_string_equal(hear(pair[1]), "(end)");
	close(pair[1]);

	assert_int_equal(gdb_place_open(&place, path), 0);
	snprintf(where, sizeof(where), "fd:%d", dup(place.fd));
	place.path = NULL;
	gdb_place_remove(&place);
	gdb_place_close(&place);
	serve_at(where);
	fd = connect_unix(path + 5);
	turn();
	assert_int_equal(came, 2);
	close(fd);
	unserve();
	scratch_end();
}

static void other_places_are_refused(void **state)
{
	static const char *const bad[] = {
		"tcp:",
		"tcp:0",
		"tcp:65536",
		"tcp:10.0.0.1:1234",
		"tcp:0.0.0.0:1234",
		"tcp:x",
		"unix:",
		"1234",
		"fd:x",
		"fd:99999999999",
		"fd:-1",
		"",
	};
	char where[300] = "unix:/";

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(gdb_place_open(&place, bad[i]), -EINVAL);
		assert_said("--gdb");
	}
	memset(where + 6, 'x', 200);
	assert_int_equal(gdb_place_open(&place, where), -ENAMETOOLONG);
	assert_said("too long");
	assert_int_equal(gdb_place_open(&place, "unix:/nowhere/at/all"), -ENOENT);
	assert_said("No such file");
	snprintf(where, sizeof(where), "fd:%d", open("/dev/null", O_RDONLY));
	assert_int_equal(gdb_place_open(&place, where), -EINVAL);
	assert_said("is no socket");
}

static void browsers_are_shown_the_door(void **state)
{
	const char *where = path_of("gdb");
	int fd;

	serve_at(where);
	fd = connect_unix(where + 5);
	turn();
	say(fd, "POST / HTTP/1.1\r\n\r\n$vCont;c#a8");
	hear(fd);
	assert_int_equal(resumed, 0);
	assert_int_equal(went, 1);
	assert_false(gdb_server_has_client(&server));
	assert_said("no debugger");
	close(fd);
	unserve();
	scratch_end();
}

static void a_client_that_does_not_read_is_not_waited_for(void **state)
{
	const char *where = path_of("gdb");
	static const char request[] = "$qXfer:features:read:target.xml:0,fff#7d";
	unsigned int answers = 0, asked = 0;
	int fd;

	serve_at(where);
	fd = connect_unix(where + 5);
	turn();
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (asked < 100000 && write(fd, request, strlen(request)) == (ssize_t)strlen(request)) {
		turn();
		asked++;
	}
	assert_in_range(asked, 10, 99999);
	/* Then it does, and gets all of it. */
	for (const char *text = hear(fd); (text = strstr(text, "$m")); text++)
		answers++;
	assert_true(answers > 10);
	assert_true(gdb_server_has_client(&server));
	close(fd);
	turn();
	assert_int_equal(went, 1);
	unserve();
	scratch_end();
}

static void a_client_may_go_before_all_has_stopped(void **state)
{
	const char *where = path_of("gdb");
	int fd;

	serves = false;
	serve_at(where);
	fd = connect_unix(where + 5);
	say(fd, "$qC#b4");
	assert_string_equal(hear(fd), "");
	gdb_server_begin(&server, &stop);
	turn();
	assert_string_equal(hear(fd), "+$QCp1.1#94");
	close(fd);
	turn();
	assert_int_equal(went, 1);
	fd = connect_unix(where + 5);
	turn();
	close(fd);
	turn();
	assert_false(gdb_server_has_client(&server));
	assert_int_equal(came, 2);
	unserve();
	scratch_end();
}

static void stops_and_the_end_are_sent(void **state)
{
	const char *where = path_of("gdb");
	int fd;

	serve_at(where);
	fd = connect_unix(where + 5);
	turn();
	say(fd, "$vCont;c#a8");
	assert_string_equal(hear(fd), "+");
	gdb_server_stopped(&server, &stop);
	assert_string_equal(hear(fd), "$T05thread:p1.1;#a6");
	say(fd, "$vCont;c#a8");
	gdb_server_exited(&server, 0);
	assert_non_null(strstr(hear(fd), "W00;process:1"));
	say(fd, "$D;1#b0");
	assert_string_equal(hear(fd), "+$OK#9a(end)");
	assert_int_equal(went, 1);
	close(fd);
	unserve();
	scratch_end();
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_unix_socket_is_its_owners),
		test(one_client_at_a_time),
		test(a_socket_that_is_left_over_is_replaced),
		test(tcp_is_for_this_machine_alone),
		test(a_descriptor_is_a_client_or_listens),
		test(other_places_are_refused),
		test(browsers_are_shown_the_door),
		test(a_client_that_does_not_read_is_not_waited_for),
		test(a_client_may_go_before_all_has_stopped),
		test(stops_and_the_end_are_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
