// SPDX-License-Identifier: GPL-2.0-only
/*
 * A control socket from both sides: the server with requests that are made up, on the loop of the
 * test, its clients as bytes on sockets; and the client, of a server in a thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control_client.h"
#include "control/control_server.h"
#include "control/control_socket.h"
#include "unit.h"
#include "util.h"

static void forget_socket(struct control_socket *at)
{
	control_socket_remove(at);
	control_socket_close(at);
}

static char directory[128], path[200];
static struct control_socket at;
static struct control_server server;
static struct event_loop loop;

/* Requests that are made up. */

static struct control_client *waiting;
static size_t large; /* bytes of an answer */
static unsigned int handled;

static void echo(struct control_client *client, json_t *arguments, void *opaque)
{
	assert_ptr_equal(opaque, &server);
	handled++;
	control_server_answer(client, arguments ? json_incref(arguments) : json_null());
}

static void wait_for_more(struct control_client *client, json_t *arguments, void *opaque)
{
	assert_null(waiting);
	waiting = client;
}

static void tell_much(struct control_client *client, json_t *arguments, void *opaque)
{
	char *text = malloc(large);

	handled++;
	memset(text, 'x', large);
	control_server_answer(client, json_stringn(text, large));
	free(text);
}

static void refuse(struct control_client *client, json_t *arguments, void *opaque)
{
	control_server_refuse(client, CONTROL_NOT_NOW, "not at %d\n\xff", 7);
}

static int handed_over;

static void hand_over(struct control_client *client, json_t *arguments, void *opaque)
{
	handed_over = control_server_hand_over(client);
}

static const struct control_request requests[] = {
	{ "echo", echo },     { "wait", wait_for_more }, { "much", tell_much },
	{ "refuse", refuse }, { "over", hand_over },	 { NULL, NULL },
};

static int begin(void **state)
{
	snprintf(directory, sizeof(directory), "%s", scratch_begin());
	snprintf(path, sizeof(path), "%s/socket", directory);
	setenv("XDG_RUNTIME_DIR", directory, 1);
	waiting = NULL;
	handled = 0;
	large = 1000;
	return catch_begin(state) < 0 || event_loop_create(&loop) < 0 ||
	       control_socket_open(&at, path) < 0 ||
	       control_server_start(&server, &loop, at.fd, requests, &server) < 0;
}

static int finish(void **state)
{
	control_server_stop(&server);
	forget_socket(&at);
	event_loop_destroy(&loop);
	scratch_end();
	return catch_end(state);
}

static void settle(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

static int call(void)
{
	const int fd = control_socket_connect(path, false);

	assert_true(fd >= 0);
	settle();
	return fd;
}

static void send_bytes(int fd, const void *bytes, size_t size)
{
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
	settle();
}

static void tell(int fd, const char *text)
{
	send_bytes(fd, text, strlen(text));
}

/* What has come, all of it. */
static const char *heard(int fd)
{
	static char text[200000];
	size_t size = 0;
	ssize_t got;

	while ((got = recv(fd, text + size, sizeof(text) - 1 - size, MSG_DONTWAIT)) > 0) {
		size += got;
		settle();
	}
	text[size] = '\0';
	return text;
}

static bool is_closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void requests_are_answered(void **state)
{
	const int fd = call();

	tell(fd, "{\"request\":\"echo\"}\n");
	assert_string_equal(heard(fd), "{\"result\":null}\n");
	tell(fd, "{\"request\":\"echo\",\"arguments\":{\"a\":[1]},\"id\":{\"of\":\"mine\"}}\n");
	assert_string_equal(heard(fd), "{\"result\":{\"a\":[1]},\"id\":{\"of\":\"mine\"}}\n");
	tell(fd, "{\"request\":\"refuse\",\"id\":3}\n");
	assert_string_equal(heard(fd), "{\"error\":{\"kind\":\"not-now\",\"message\":\"not at "
				       "7??\"},\"id\":3}\n");
	close(fd);
	settle();
	assert_null(server.first);
	assert_silent();
}

static void nonsense_is_refused_and_forgotten(void **state)
{
	static const struct {
		const char *line, *error;
	} cases[] = {
		{ "no JSON", "{\"error\":{\"kind\":\"bad-request\",\"message\":\"no JSON" },
		{ "", "{\"error\":{\"kind\":\"bad-request\"" },
		{ "{\"request\":\"echo\"", "{\"error\":{\"kind\":\"bad-request\"" },
		{ "[]", "{\"error\":{\"kind\":\"bad-request\",\"message\":\"no request" },
		{ "{}", "{\"error\":{\"kind\":\"bad-request\",\"message\":\"no request" },
		{ "{\"id\":1}", "{\"error\":{\"kind\":\"bad-request\"" },
		{ "{\"request\":1}", "{\"error\":{\"kind\":\"bad-request\"" },
		{ "{\"request\":\"echo\",\"request\":\"echo\"}", "{\"error\":{\"kind\":\"bad-r" },
		{ "{\"request\":\"echo\",\"argument\":{}}", "{\"error\":{\"kind\":\"bad-r" },
		{ "{\"request\":\"echo\",\"arguments\":[]}", "{\"error\":{\"kind\":\"bad-r" },
		{ "{\"request\":\"ech\"}", "{\"error\":{\"kind\":\"unknown-request\"" },
		{ "{\"request\":\"\"}", "{\"error\":{\"kind\":\"unknown-request\"" },
		{ "{\"request\":\"echo\"} 1", "{\"error\":{\"kind\":\"bad-request\"" },
		{ "\xff\xfe", "{\"error\":{\"kind\":\"bad-request\"" },
		{ "{\"\xc3", "{\"error\":{\"kind\":\"bad-request\"" },
	};
	const int fd = call();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text;

		tell(fd, cases[i].line);
		tell(fd, "\n");
		text = heard(fd);
		if (strncmp(text, cases[i].error, strlen(cases[i].error)) != 0 ||
		    !strchr(text, '\n'))
			fail_msg("%s: %s", cases[i].line, text);
	}
	send_bytes(fd, "{\"request\":\"echo\0\"}\n", 20);
	assert_non_null(strstr(heard(fd), "bad-request"));
	assert_int_equal(handled, 0);
	tell(fd, "{\"request\":\"echo\"}\n");
	assert_string_equal(heard(fd), "{\"result\":null}\n");
	close(fd);
	assert_silent();
}

static void lines_come_in_pieces_and_together(void **state)
{
	const char *line = "{\"request\":\"echo\",\"id\":1}\n";
	const int fd = call(), other = call();

	for (const char *byte = line; *byte; byte++) {
		assert_string_equal(heard(fd), "");
		send_bytes(fd, byte, 1);
		/* Others do not wait for half a line. */
		tell(other, "{\"request\":\"echo\"}\n");
		assert_string_equal(heard(other), "{\"result\":null}\n");
	}
	assert_string_equal(heard(fd), "{\"result\":null,\"id\":1}\n");
	tell(fd, "{\"request\":\"echo\",\"id\":1}\n{\"request\":\"echo\",\"id\":2}\n{\"requ");
	assert_string_equal(heard(fd), "{\"result\":null,\"id\":1}\n{\"result\":null,\"id\":2}\n");
	close(fd);
	close(other);
}

static void long_lines_are_refused(void **state)
{
	static char much[3 * CONTROL_LINE_MAX];
	char line[CONTROL_LINE_MAX + 1];
	const int fd = call();

	memset(much, ' ', sizeof(much));
	send_bytes(fd, much, sizeof(much));
	assert_string_equal(heard(fd), "");
	tell(fd, "\n");
	assert_non_null(strstr(heard(fd), "a line has 4096 bytes at most"));
	/* One that just fits. */
	snprintf(line, sizeof(line), "{\"request\":\"echo\"%*s}\n",
		 CONTROL_LINE_MAX - 2 - (int)strlen("{\"request\":\"echo\""), "");
	assert_int_equal(strlen(line), CONTROL_LINE_MAX);
	tell(fd, line);
	assert_string_equal(heard(fd), "{\"result\":null}\n");
	close(fd);
}

static void who_says_no_more_is_answered(void **state)
{
	const int fd = call();

	assert_int_equal(send(fd, "{\"request\":\"echo\"}\n{\"request\":\"echo\"}\nhalf", 42, 0),
			 42);
	shutdown(fd, SHUT_WR);
	settle();
	assert_string_equal(heard(fd), "{\"result\":null}\n{\"result\":null}\n");
	assert_true(is_closed(fd));
	assert_null(server.first);
	close(fd);
}

static void who_hangs_up_has_asked(void **state)
{
	const int fd = call();

	assert_int_equal(send(fd, "{\"request\":\"echo\"}\n", 19, 0), 19);
	close(fd);
	settle();
	assert_int_equal(handled, 1);
	assert_null(server.first);
}

static void answers_may_come_later(void **state)
{
	const int fd = call(), other = call();

	tell(fd, "{\"request\":\"wait\",\"id\":1}\n{\"request\":\"echo\",\"id\":2}\n");
	assert_non_null(waiting);
	assert_string_equal(heard(fd), "");
	tell(other, "{\"request\":\"echo\"}\n");
	assert_string_equal(heard(other), "{\"result\":null}\n");
	control_server_answer(waiting, json_true());
	settle();
	assert_string_equal(heard(fd), "{\"result\":true,\"id\":1}\n{\"result\":null,\"id\":2}\n");
	close(fd);
	close(other);
}

static void who_is_gone_before_the_answer_is_no_harm(void **state)
{
	const int fd = call();

	tell(fd, "{\"request\":\"wait\"}\n");
	close(fd);
	settle();
	assert_non_null(server.first);
	control_server_refuse(waiting, CONTROL_FAILED, "no");
	assert_null(server.first);
	/* Nor is the end of all before it. */
	waiting = NULL;
	tell(call(), "{\"request\":\"wait\"}\n");
	assert_non_null(waiting);
}

static void who_does_not_read_waits_for_itself(void **state)
{
	const int fd = call(), other = call();
	unsigned int before;

	large = 100000;
	for (unsigned int i = 0; i < 100; i++)
		send(fd, "{\"request\":\"much\"}\n", 19, MSG_DONTWAIT);
	settle();
	before = handled;
	assert_true(before < 20);
	for (unsigned int i = 0; i < 100; i++) {
		tell(other, "{\"request\":\"echo\"}\n");
		assert_string_equal(heard(other), "{\"result\":null}\n");
	}
	assert_int_equal(handled, before + 100);
	/* It gets all of it when it does. */
	for (unsigned int i = 0; i < 10000 && handled < 200; i++)
		heard(fd);
	assert_int_equal(handled, 200);
	close(fd);
	close(other);
	assert_silent();
}

static void too_many_make_room(void **state)
{
	int fds[3 * CONTROL_CLIENTS_MAX], late;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = control_socket_connect(path, false);
		/* One that says something now and then. */
		if (i >= 10) {
			tell(fds[9], "{\"request\":\"echo\"}\n");
			assert_string_equal(heard(fds[9]), "{\"result\":null}\n");
		}
		settle();
	}
	assert_true(is_closed(fds[0]));
	assert_false(is_closed(fds[9]));
	assert_false(is_closed(fds[ARRAY_SIZE(fds) - 1]));
	late = call();
	tell(late, "{\"request\":\"echo\"}\n");
	assert_string_equal(heard(late), "{\"result\":null}\n");
	for (size_t i = 0, open = 0; i < ARRAY_SIZE(fds); i++) {
		open += !is_closed(fds[i]);
		assert_true(open < CONTROL_CLIENTS_MAX);
		close(fds[i]);
	}
	close(late);
	assert_silent();
}

static void a_connection_may_be_handed_over(void **state)
{
	int fd = call();

	tell(fd, "{\"request\":\"over\",\"id\":5}\n");
	assert_string_equal(heard(fd), "{\"result\":{},\"id\":5}\n");
	assert_true(handed_over >= 0);
	assert_null(server.first);
	/* Both ways, and the server has no part in it. */
	tell(fd, "{\"request\":\"echo\"}\n");
	assert_string_equal(heard(fd), "");
	assert_string_equal(heard(handed_over), "{\"request\":\"echo\"}\n");
	tell(handed_over, "word");
	assert_string_equal(heard(fd), "word");
	close(handed_over);
	assert_true(is_closed(fd));
	close(fd);
	/* Whose protocol is it that follows? */
	fd = call();
	tell(fd, "{\"request\":\"over\"}\n$?#3f");
	assert_non_null(strstr(heard(fd), "\"kind\":\"bad-request\""));
	assert_int_equal(handed_over, -EINVAL);
	close(fd);
	settle();
	assert_null(server.first);
	assert_silent();
}

/* How many answers a socket takes that nobody reads, and one more. */
static unsigned int fill(int fd, unsigned int max)
{
	unsigned int before;

	handled = 0;
	do {
		before = handled;
		tell(fd, "{\"request\":\"echo\"}\n");
	} while (handled > before && handled < max);
	return handled;
}

static void who_does_not_read_is_not_handed_over(void **state)
{
	int fd = call();
	const unsigned int room = fill(fd, 100000);

	close(fd);
	assert_in_range(room, 2, 99999);
	fd = call();
	assert_int_equal(fill(fd, room - 1), room - 1);
	tell(fd, "{\"request\":\"over\"}\n");
	assert_int_equal(handed_over, -EAGAIN);
	assert_null(server.first);
	close(fd);
	assert_silent();
}

/* Nothing that the server does while it runs opens anything by a path. */

static bool serves(void *opaque)
{
	const int *fds = opaque;
	char text[64] = "";

	if (send(fds[0], "{\"request\":\"echo\"}\n", 19, 0) != 19)
		return false;
	settle();
	if (recv(fds[0], text, sizeof(text) - 1, 0) <= 0)
		return false;
	control_server_stop(&server);
	forget_socket(&at);
	return strcmp(text, "{\"result\":null}\n") == 0;
}

static void nothing_is_opened(void **state)
{
	int fd = call();

	assert_int_equal(without_opening(serves, &fd), 0);
	/* That was the end of the socket. */
	assert_int_equal(access(path, F_OK), -1);
	close(fd);
}

/* Sockets. */

static void sockets_are_the_users(void **state)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(S_ISSOCK(st.st_mode));
}

static void the_living_are_left_alone_and_the_dead_replaced(void **state)
{
	struct control_socket second;
	int fd;

	assert_int_equal(control_socket_open(&second, path), -EADDRINUSE);
	assert_said("a guest that runs listens there already");
	/* Killed: nobody removes the name. */
	event_remove(&loop, &server.listener);
	close(at.fd);
	assert_int_equal(control_socket_connect(path, true), -ECONNREFUSED);
	assert_int_equal(control_socket_connect(path, false), -ECONNREFUSED);
	assert_said("nobody listens there any more");
	assert_int_equal(control_socket_open(&second, path), 0);
	fd = control_socket_connect(path, false);
	assert_true(fd >= 0);
	close(fd);
	forget_socket(&second);
	assert_int_equal(access(path, F_OK), -1);
	close(at.directory);
	assert_int_equal(control_socket_open(&at, path), 0);
	assert_int_equal(control_server_start(&server, &loop, at.fd, requests, &server), 0);
	assert_silent();
}

/* Somebody has removed it, and another one has made it. */
static void what_is_anothers_by_now_stays(void **state)
{
	struct control_socket second;

	assert_int_equal(unlink(path), 0);
	assert_int_equal(control_socket_open(&second, path), 0);
	control_server_stop(&server);
	forget_socket(&at);
	assert_int_equal(access(path, F_OK), 0);
	at = second;
	assert_int_equal(control_server_start(&server, &loop, at.fd, requests, &server), 0);
}

static void what_is_no_socket_stays(void **state)
{
	struct control_socket second;
	char file[256];
	int fd;

	snprintf(file, sizeof(file), "%s/file", directory);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(control_socket_open(&second, file), -EEXIST);
	assert_said("is no socket");
	assert_int_equal(access(file, F_OK), 0);
	snprintf(file, sizeof(file), "%s/none/such", directory);
	assert_int_equal(control_socket_open(&second, file), -ENOENT);
	assert_said("No such file");
	assert_int_equal(control_socket_open(&second, ""), -EINVAL);
	assert_said("--control : is no name of a socket");
	assert_int_equal(control_socket_open(&second, "/tmp/"), -EINVAL);
	assert_said("is no name of a socket");
	memset(file, 'a', 200);
	file[200] = '\0';
	assert_int_equal(control_socket_open(&second, file), -ENAMETOOLONG);
	assert_said("File name too long");
}

static void paths_may_be_long(void **state)
{
	char name[1000];
	struct control_socket second;
	size_t length = snprintf(name, sizeof(name), "%s", directory);
	int fd;

	for (unsigned int i = 0; i < 10; i++) {
		length += snprintf(name + length, sizeof(name) - length, "/%030u", i);
		assert_int_equal(mkdir(name, 0700), 0);
	}
	snprintf(name + length, sizeof(name) - length, "/socket");
	assert_int_equal(control_socket_open(&second, name), 0);
	fd = control_socket_connect(name, false);
	assert_true(fd >= 0);
	close(fd);
	forget_socket(&second);
}

static void names_are_found(void **state)
{
	struct control_socket one, two, dead;
	struct word_list names;
	char where[256];
	struct stat st;
	int fd;

	assert_int_equal(control_socket_names(&names), 0);
	assert_int_equal(names.count, 0);
	assert_int_equal(control_socket_connect("one", false), -ENOENT);
	assert_said("one: no guest that runs has that name");
	assert_int_equal(control_socket_open_named(&two, "two"), 0);
	assert_int_equal(control_socket_open_named(&one, "one"), 0);
	assert_int_equal(control_socket_open_named(&dead, "dead"), 0);
	close(dead.fd);
	close(dead.directory);
	snprintf(where, sizeof(where), "%s/nidus", directory);
	assert_int_equal(stat(where, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(control_socket_names(&names), 0);
	assert_int_equal(names.count, 3);
	assert_string_equal(names.words[0], "dead");
	assert_string_equal(names.words[1], "one");
	assert_string_equal(names.words[2], "two");
	word_list_clear(&names);
	fd = control_socket_connect("one", false);
	assert_true(fd >= 0);
	close(fd);
	assert_true(control_socket_connect("dead", false) < 0);
	assert_said("no guest that runs has that name");
	assert_int_equal(control_socket_open_named(&dead, "two"), -EADDRINUSE);
	assert_said("two.sock: a guest that runs listens there already");
	forget_socket(&one);
	forget_socket(&two);
	assert_silent();
}

static void names_that_are_none(void **state)
{
	static const char *const names[] = { "", ".", "..", ".hidden", "a/b", "../x" };
	struct control_socket second;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(control_socket_open_named(&second, names[i]), -EINVAL);
		assert_said("must be the name of a file");
	}
}

static void directories_of_others_are_not_used(void **state)
{
	struct control_socket second;
	char where[256];

	snprintf(where, sizeof(where), "%s/nidus", directory);
	assert_int_equal(mkdir(where, 0700), 0);
	assert_int_equal(chmod(where, 0755), 0);
	assert_int_equal(control_socket_open_named(&second, "one"), -ENOENT);
	assert_said("warning: --name one: cannot be controlled by it");
	assert_int_equal(rmdir(where), 0);
	assert_int_equal(symlink("/tmp", where), 0);
	assert_int_equal(control_socket_open_named(&second, "one"), -ENOENT);
	assert_said("warning: --name one");
	setenv("XDG_RUNTIME_DIR", "/none/such", 1);
	assert_int_equal(control_socket_open_named(&second, "one"), -ENOENT);
	assert_said("No such file or directory");
}

/* The client. */

static json_t *ask(const char *who)
{
	struct control_peer peer;
	json_t *result;

	if (control_client_open(&peer, who, false) < 0)
		return NULL;
	result = control_client_ask(&peer, "echo", NULL, 10000);
	if (result)
		assert_int_equal(control_client_wait(&peer, 10000), 0);
	control_client_close(&peer);
	return result;
}

static atomic_bool done;

static void *turn(void *opaque)
{
	while (!atomic_load(&done)) {
		struct pollfd poller = { .fd = loop.epoll_fd, .events = POLLIN };

		if (poll(&poller, 1, 10) > 0)
			event_loop_turn(&loop, false);
	}
	return NULL;
}

static void clients_get_their_answers(void **state)
{
	struct control_peer peer;
	pthread_t thread;
	json_t *result;

	large = 3000000;
	atomic_store(&done, false);
	pthread_create(&thread, NULL, turn, NULL);
	assert_int_equal(control_client_open(&peer, path, false), 0);
	result = control_client_ask(&peer, "echo", json_pack("{sb}", "yes", true), 10000);
	assert_true(json_is_true(json_object_get(result, "yes")));
	json_decref(result);
	result = control_client_ask(&peer, "much", NULL, -1);
	assert_int_equal(json_string_length(result), large);
	json_decref(result);
	assert_null(control_client_ask(&peer, "refuse", NULL, 10000));
	assert_said("not at 7");
	assert_null(control_client_ask(&peer, "none", NULL, 10000));
	assert_said("there is no such request");
	assert_null(control_client_ask(&peer, "wait", NULL, 20));
	assert_said("socket: does not answer");
	assert_int_equal(control_client_wait(&peer, 20), -ETIMEDOUT);
	assert_said("socket: does not answer");
	control_client_close(&peer);
	assert_null(ask("nobody"));
	assert_said("nobody: no guest that runs has that name");
	atomic_store(&done, true);
	pthread_join(thread, NULL);
}

/* Who listens may be anybody. */
static void *say_nonsense(void *opaque)
{
	const char *text = opaque;
	char line[200];
	int fd;

	do
		fd = accept4(at.fd, NULL, NULL, SOCK_CLOEXEC);
	while (fd < 0);
	if (recv(fd, line, sizeof(line), 0) > 0)
		send(fd, text, strlen(text), MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

/* Echoes in capital letters, until it is told no more. */
static void *answer_loudly(void *opaque)
{
	char bytes[1000];
	ssize_t got;

	while ((got = read(handed_over, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			bytes[i] -= 'a' - 'A';
		assert_int_equal(write(handed_over, bytes, got), got);
	}
	close(handed_over);
	return NULL;
}

static void clients_relay(void **state)
{
	struct control_peer peer;
	char text[64] = "";
	pthread_t thread;
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	atomic_store(&done, false);
	pthread_create(&thread, NULL, turn, NULL);
	assert_int_equal(control_client_open(&peer, path, false), 0);
	json_decref(control_client_ask(&peer, "over", NULL, 10000));
	atomic_store(&done, true);
	pthread_join(thread, NULL);
	/* The first word may come with the answer. */
	assert_int_equal(write(handed_over, "first,", 6), 6);
	fcntl(handed_over, F_SETFL, 0);
	pthread_create(&thread, NULL, answer_loudly, NULL);
	assert_int_equal(write(in[1], "loud", 4), 4);
	close(in[1]);
	assert_int_equal(control_client_relay(&peer, in[0], out[1]), 0);
	pthread_join(thread, NULL);
	assert_int_equal(read(out[0], text, sizeof(text) - 1), 10);
	assert_string_equal(text, "first,LOUD");
	close(in[0]);
	close(out[0]);
	close(out[1]);
	control_client_close(&peer);
	assert_silent();
}

static void clients_believe_nothing(void **state)
{
	static const char *const answers[] = {
		"nonsense\n", "{}\n", "[]\n", "{\"error\":1}\n", "{\"error\":{\"message\":[]}}\n",
	};
	pthread_t thread;

	event_remove(&loop, &server.listener);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		pthread_create(&thread, NULL, say_nonsense, (void *)answers[i]);
		assert_null(ask(path));
		assert_said("answers what makes no sense");
		pthread_join(thread, NULL);
	}
	pthread_create(&thread, NULL, say_nonsense, "{\"result\":");
	assert_null(ask(path));
	assert_said("has ended without an answer");
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, say_nonsense,
		       "{\"error\":{\"message\":\"\\u001b[2J\\n\"}}\n");
	assert_null(ask(path));
	assert_said("socket: ?[2J?");
	pthread_join(thread, NULL);
	/* This one answers, and ends. */
	pthread_create(&thread, NULL, say_nonsense, "{\"result\":null}\n{}\n");
	assert_ptr_equal(ask(path), json_null());
	pthread_join(thread, NULL);
	assert_silent();
}

#define on_socket(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_socket(requests_are_answered),
		on_socket(nonsense_is_refused_and_forgotten),
		on_socket(lines_come_in_pieces_and_together),
		on_socket(long_lines_are_refused),
		on_socket(who_says_no_more_is_answered),
		on_socket(who_hangs_up_has_asked),
		on_socket(answers_may_come_later),
		on_socket(who_is_gone_before_the_answer_is_no_harm),
		on_socket(who_does_not_read_waits_for_itself),
		on_socket(too_many_make_room),
		on_socket(a_connection_may_be_handed_over),
		on_socket(who_does_not_read_is_not_handed_over),
		on_socket(nothing_is_opened),
		on_socket(sockets_are_the_users),
		on_socket(the_living_are_left_alone_and_the_dead_replaced),
		on_socket(what_is_anothers_by_now_stays),
		on_socket(what_is_no_socket_stays),
		on_socket(paths_may_be_long),
		on_socket(names_are_found),
		on_socket(names_that_are_none),
		on_socket(directories_of_others_are_not_used),
		on_socket(clients_get_their_answers),
		on_socket(clients_relay),
		on_socket(clients_believe_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
