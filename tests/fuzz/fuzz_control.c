// SPDX-License-Identifier: GPL-2.0-only
/*
 * What clients of a control socket can do: any bytes of several connections, in pieces, read or
 * not, with hang-ups between them, and answers that come later. What must hold: who comes
 * afterwards is answered, and nothing is left of the others.
 */
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control_server.h"
#include "fuzz.h"

#define CLIENTS 4

static struct control_server server;
static struct control_client *waiting;
static struct event_loop loop;
static struct sockaddr_un address;
static socklen_t address_size;
static int listener = -1;

static void echo(struct control_client *client, json_t *arguments, void *opaque)
{
	(void)opaque;
	control_server_answer(client, arguments ? json_incref(arguments) : json_null());
}

static void wait_for_more(struct control_client *client, json_t *arguments, void *opaque)
{
	(void)arguments;
	(void)opaque;
	if (waiting)
		control_server_refuse(client, CONTROL_NOT_NOW, "somebody waits already");
	else
		waiting = client;
}

static const struct control_request requests[] = {
	{ "e", echo },
	{ "w", wait_for_more },
	{ NULL, NULL },
};

static void answer_waiting(void)
{
	struct control_client *client = waiting;

	waiting = NULL;
	if (client)
		control_server_answer(client, json_true());
}

static void settle(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

static int call(void)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(connect(fd, (struct sockaddr *)&address, address_size) == 0);
	settle();
	return fd;
}

static void hang_up(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* One socket for all inputs, of a name that the kernel makes up. */
static void listen_once(void)
{
	if (listener >= 0)
		return;
	address.sun_family = AF_UNIX;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	MUST(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
	address_size = sizeof(address);
	MUST(getsockname(listener, (struct sockaddr *)&address, &address_size) == 0);
	MUST(listen(listener, CLIENTS * 2) == 0 && event_loop_create(&loop) == 0);
}

static void act(struct input *input, int *fd, unsigned int what, size_t length)
{
	char text[4096];

	switch (what) {
	case 0:
		if (length > input->size)
			length = input->size;
		send(*fd, input->data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		input->data += length;
		input->size -= length;
		break;
	case 1:
		hang_up(fd);
		break;
	case 2:
		shutdown(*fd, SHUT_WR);
		break;
	default:
		recv(*fd, text, sizeof(text), MSG_DONTWAIT);
		answer_waiting();
	}
	settle();
}

static void must_be_served(void)
{
	static const char question[] = "{\"request\":\"e\"}\n", answer[] = "{\"result\":null}\n";
	char text[64];
	int fd = call();

	MUST(send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) == sizeof(question) - 1);
	settle();
	MUST(recv(fd, text, sizeof(text), MSG_DONTWAIT) == sizeof(answer) - 1);
	MUST(memcmp(text, answer, sizeof(answer) - 1) == 0);
	hang_up(&fd);
	settle();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	int fds[CLIENTS] = { -1, -1, -1, -1 };

	listen_once();
	MUST(control_server_start(&server, &loop, listener, requests, NULL) == 0);
	while (input.size > 0) {
		const unsigned int what = take(&input, 1);
		int *fd = &fds[what % CLIENTS];

		if (*fd < 0)
			*fd = call();
		/* Up to twice the longest line. */
		act(&input, fd, what >> 2 & 3, (size_t)1 << (what >> 4 & 15) >> 2);
	}
	must_be_served();
	for (unsigned int i = 0; i < CLIENTS; i++)
		hang_up(&fds[i]);
	settle();
	answer_waiting();
	MUST(!server.first);
	control_server_stop(&server);
	return 0;
}
