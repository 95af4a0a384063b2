// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A client has a line that is not complete yet, or one answer that it has not
 * read yet, and while there is an answer, or a request is not answered, nothing is read from it. So
 * it waits for itself, and all others go on: what is served in a turn of the loop is one request.
 *
 * A client that has closed its side for writing still gets its answer. One that is gone while its
 * request is not answered is without a descriptor until then. When there are too many, the one that
 * has been silent for longest makes room.
 */
#include "control/control_server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"

struct control_client {
	struct event_source source; /* fd -1: gone */
	struct control_server *server;
	struct control_client *next;
	uint64_t turn; /* of its last sign of life */
	char line[CONTROL_LINE_MAX];
	size_t used;
	bool too_long; /* the rest of this line is dropped */
	bool ended; /* nothing more comes */
	bool asks; /* its request is not answered yet */
	json_t *id; /* of it, or NULL */
	int handed[CONTROL_HANDED_MAX]; /* descriptors that came with it, -1: none */
	void (*left)(void *opaque); /* who wants to know that it goes before that, or NULL */
	void *opaque;
	char *answer; /* what is left to be sent of it, or NULL */
	size_t size, sent;
};

static void forget(struct control_client *client)
{
	struct control_client **link = &client->server->first;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	free(client);
}

/* What came with a request goes with its answer. */
static void close_handed(struct control_client *client)
{
	for (unsigned int i = 0; i < CONTROL_HANDED_MAX; i++) {
		if (client->handed[i] >= 0)
			close(client->handed[i]);
		client->handed[i] = -1;
	}
}

int control_server_handed(const struct control_client *client, unsigned int index)
{
	return client->handed[index];
}

/* It stays until its request is answered. */
static void drop(struct control_client *client)
{
	if (client->source.fd >= 0) {
		event_remove(client->server->loop, &client->source);
		close(client->source.fd);
	}
	client->source.fd = -1;
	json_decref(client->id);
	free(client->answer);
	client->id = NULL;
	client->answer = NULL;
	if (!client->asks) {
		close_handed(client);
		forget(client);
	} else if (client->left) {
		client->left(client->opaque);
	}
}

void control_server_watch(struct control_client *client, void (*left)(void *opaque), void *opaque)
{
	client->left = left;
	client->opaque = opaque;
}

static const char *line_end(const struct control_client *client)
{
	return memchr(client->line, '\n', client->used);
}

/* Drops a client with which nothing is left to be done, or says what it is waited for. */
static void settle(struct control_client *client)
{
	uint32_t events = 0;

	if (client->ended && !client->asks && !client->answer && !line_end(client)) {
		drop(client);
		return;
	}
	/* A line that is there already is for a turn of its own. */
	if (client->answer || (!client->asks && line_end(client)))
		events = EPOLLOUT;
	else if (!client->asks && !client->ended)
		events = EPOLLIN;
	event_modify(client->server->loop, &client->source, events);
}

/* As much as goes without waiting. False: the client is gone. #syscalls loop: sendmsg recvmsg */
static bool send_answer(struct control_client *client)
{
	while (client->answer) {
		struct iovec rest = { client->answer + client->sent, client->size - client->sent };
		const struct msghdr message = { .msg_iov = &rest, .msg_iovlen = 1 };
		const ssize_t done =
			sendmsg(client->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (done <= 0) {
			drop(client);
			return false;
		}
		client->sent += done;
		if (client->sent == client->size) {
			free(client->answer);
			client->answer = NULL;
		}
	}
	return true;
}

/*
 * Takes over body, an object with the answer, and sends as much of it as goes, as a line. False:
 * the client is gone.
 */
static bool begin_answer(struct control_client *client, json_t *body)
{
	char *text;

	client->asks = false;
	client->left = NULL;
	close_handed(client);
	if (client->source.fd < 0) {
		json_decref(body);
		forget(client);
		return false;
	}
	if (client->id && body)
		json_object_set(body, "id", client->id);
	json_decref(client->id);
	client->id = NULL;
	text = body ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(body);
	if (!text) {
		/* Better no client than one that waits. */
		drop(client);
		return false;
	}
	client->answer = text;
	client->size = strlen(text) + 1;
	client->sent = 0;
	/* In the place of its end. */
	text[client->size - 1] = '\n';
	return send_answer(client);
}

static void say(struct control_client *client, json_t *body)
{
	if (begin_answer(client, body))
		settle(client);
}

void control_server_answer(struct control_client *client, json_t *result)
{
	say(client, json_pack("{so}", "result", result));
}

void control_server_refuse(struct control_client *client, const char *kind, const char *format, ...)
{
	char message[CONTROL_MESSAGE_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	/* It may quote what a client has sent, cut anywhere. */
	for (char *byte = message; *byte; byte++)
		if (*byte < ' ' || *byte > '~')
			*byte = '?';
	say(client, json_pack("{s{ssss}}", "error", "kind", kind, "message", message));
}

int control_server_hand_over(struct control_client *client)
{
	const int fd = client->source.fd;

	if (client->used > 0) {
		control_server_refuse(client, CONTROL_BAD,
				      "what follows this request has to wait for its answer");
		return -EINVAL;
	}
	if (!begin_answer(client, json_pack("{s{}}", "result")))
		return -EPIPE;
	if (client->answer) {
		/* It has not read what it was told before. */
		drop(client);
		return -EAGAIN;
	}
	event_remove(client->server->loop, &client->source);
	client->source.fd = -1;
	drop(client);
	return fd;
}

static const struct control_request *find(const struct control_server *server, const char *name)
{
	for (const struct control_request *request = server->requests; request->name; request++)
		if (strcmp(request->name, name) == 0)
			return request;
	return NULL;
}

static void handle(struct control_client *client, json_t *line)
{
	const struct control_request *request;
	json_t *arguments = NULL, *id = json_object_get(line, "id");
	json_error_t error;
	const char *name;

	client->asks = true;
	client->id = json_incref(id);
	if (json_unpack_ex(line, &error, JSON_STRICT, "{s:s, s?o, s?o}", "request", &name,
			   "arguments", &arguments, "id", &id) < 0) {
		control_server_refuse(client, CONTROL_BAD, "no request: %s", error.text);
		return;
	}
	if (arguments && !json_is_object(arguments)) {
		control_server_refuse(client, CONTROL_BAD, "arguments are no object");
		return;
	}
	request = find(client->server, name);
	if (request)
		request->handle(client, arguments, client->server->opaque);
	else
		control_server_refuse(client, CONTROL_UNKNOWN, "there is no such request");
}

/* One line, without its end. */
static void take_line(struct control_client *client, const char *text, size_t size)
{
	json_error_t error;
	json_t *line;

	if (client->too_long) {
		client->asks = true;
		client->too_long = false;
		control_server_refuse(client, CONTROL_BAD, "a line has %d bytes at most",
				      CONTROL_LINE_MAX);
		return;
	}
	line = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (line) {
		handle(client, line);
		json_decref(line);
		return;
	}
	client->asks = true;
	control_server_refuse(client, CONTROL_BAD, "no JSON: %s", error.text);
}

/* The first of the lines that are there, if one is. */
static void serve(struct control_client *client)
{
	char text[CONTROL_LINE_MAX];
	const char *end = line_end(client);
	size_t size;

	if (!end) {
		settle(client);
		return;
	}
	size = end - client->line;
	memcpy(text, client->line, size);
	client->used -= size + 1;
	memmove(client->line, end + 1, client->used);
	/* Answered, it may be gone. */
	take_line(client, text, size);
}

/* Descriptors that have come take the places that are free; what is too much is closed. */
static void take_handed(struct control_client *client, struct msghdr *message)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		unsigned int place = 0;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
			while (place < CONTROL_HANDED_MAX && client->handed[place] >= 0)
				place++;
			if (place < CONTROL_HANDED_MAX)
				client->handed[place] = fd;
			else
				close(fd);
		}
	}
}

/* False: the client is gone. */
static bool receive(struct control_client *client)
{
	struct iovec room = { client->line + client->used, sizeof(client->line) - client->used };
	char control[CMSG_SPACE(CONTROL_HANDED_MAX * sizeof(int))]
		__attribute__((aligned(_Alignof(struct cmsghdr))));
	struct msghdr message = {
		.msg_iov = &room,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	const ssize_t got = recvmsg(client->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0 && errno != EAGAIN && errno != EINTR) {
		drop(client);
		return false;
	}
	if (got == 0)
		client->ended = true;
	if (got > 0) {
		client->used += got;
		take_handed(client, &message);
	}
	if (client->used == sizeof(client->line) && !line_end(client)) {
		client->too_long = true;
		client->used = 0;
	}
	return true;
}

static void client_ready(struct event_source *source, uint32_t events)
{
	struct control_client *client = container_of(source, struct control_client, source);

	(void)events;
	client->turn = ++client->server->turns;
	if (client->answer) {
		if (send_answer(client))
			settle(client);
	} else if (client->asks) {
		/* What is told of it then is that it has hung up. */
		drop(client);
	} else if (line_end(client) || client->ended || receive(client)) {
		serve(client);
	}
}

static void make_room(struct control_server *server)
{
	struct control_client *oldest = NULL;
	unsigned int count = 0;

	for (struct control_client *client = server->first; client; client = client->next) {
		if (client->source.fd < 0)
			continue;
		count++;
		if (!oldest || client->turn < oldest->turn)
			oldest = client;
	}
	if (count >= CONTROL_CLIENTS_MAX)
		drop(oldest);
}

static void add(struct control_server *server, int fd)
{
	struct control_client *client;

	make_room(server);
	client = calloc(1, sizeof(*client));
	if (!client) {
		close(fd);
		return;
	}
	client->source = (struct event_source){ fd, client_ready };
	client->server = server;
	client->turn = ++server->turns;
	for (unsigned int i = 0; i < CONTROL_HANDED_MAX; i++)
		client->handed[i] = -1;
	if (event_add(server->loop, &client->source, EPOLLIN) < 0) {
		close(fd);
		free(client);
		return;
	}
	client->next = server->first;
	server->first = client;
}

/*
 * By edges: where descriptors have run out, the loop does not go round for who waits.
 * #syscalls loop: accept4
 */
static void listener_ready(struct event_source *source, uint32_t events)
{
	struct control_server *server = container_of(source, struct control_server, listener);
	unsigned int count = 0;
	int fd;

	(void)events;
	for (; count < CONTROL_CLIENTS_MAX; count++) {
		fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			add(server, fd);
		else if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
	/* The others in another turn. */
	event_modify(server->loop, source, EPOLLIN | EPOLLET);
}

int control_server_start(struct control_server *server, struct event_loop *loop, int fd,
			 const struct control_request *requests, void *opaque)
{
	int err;

	*server = (struct control_server){
		.listener = { fd, listener_ready },
		.loop = loop,
		.requests = requests,
		.opaque = opaque,
	};
	err = event_add(loop, &server->listener, EPOLLIN | EPOLLET);
	if (err < 0)
		log_error("control socket: %s", log_reason(-err));
	return err;
}

void control_server_stop(struct control_server *server)
{
	event_remove(server->loop, &server->listener);
	while (server->first) {
		server->first->asks = false;
		drop(server->first);
	}
}
