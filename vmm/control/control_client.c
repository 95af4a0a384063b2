// SPDX-License-Identifier: GPL-2.0-only
#include "control/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/control_socket.h"
#include "host/clock.h"
#include "host/log.h"

/* More than the statistics of any machine; what listens at a path may be anybody. */
#define ANSWER_MAX (64u << 20)
#define ROOM_MIN   65536

int control_client_open(struct control_peer *peer, const char *who, bool quiet)
{
	*peer = (struct control_peer){ .who = who, .quiet = quiet };
	peer->fd = control_socket_connect(who, quiet);
	return peer->fd < 0 ? peer->fd : 0;
}

void control_client_close(struct control_peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	free(peer->text);
	peer->text = NULL;
	peer->fd = -1;
}

static int complain(const struct control_peer *peer, int err)
{
	if (peer->quiet)
		return err;
	if (err == -ETIMEDOUT)
		log_error("%s: does not answer", peer->who);
	else if (err == -ECONNRESET || err == -EPIPE)
		log_error("%s: has ended without an answer", peer->who);
	else
		log_error("%s: %s", peer->who, log_reason(-err));
	return err;
}

static uint64_t deadline(int milliseconds)
{
	return milliseconds < 0 ? UINT64_MAX : clock_ns() + milliseconds * UINT64_C(1000000);
}

/* Until events come, or until, which is clock_ns(); UINT64_MAX: never. */
static int wait_for(const struct control_peer *peer, short events, uint64_t until)
{
	struct pollfd poller = { .fd = peer->fd, .events = events };
	const uint64_t now = clock_ns();
	int timeout = -1, count;

	if (until != UINT64_MAX)
		timeout = until > now ? (int)((until - now) / 1000000) + 1 : 0;
	count = poll(&poller, 1, timeout);
	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	return count == 0 ? -ETIMEDOUT : 0;
}

/* Has the descriptors that are to be handed over go with a message. */
static void attach(const struct control_peer *peer, struct msghdr *message, void *control)
{
	const size_t size = peer->hand_count * sizeof(peer->hand[0]);
	struct cmsghdr *header;

	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(size);
	header = CMSG_FIRSTHDR(message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(header), peer->hand, size);
}

static int send_all(const struct control_peer *peer, const char *text, size_t size, uint64_t until)
{
	char control[CMSG_SPACE(sizeof(peer->hand))]
		__attribute__((aligned(_Alignof(struct cmsghdr))));
	size_t done = 0;

	while (done < size) {
		struct iovec rest = { (char *)text + done, size - done };
		struct msghdr message = { .msg_iov = &rest, .msg_iovlen = 1 };
		ssize_t sent;
		int err = 0;

		/* With the first byte. */
		if (done == 0 && peer->hand_count > 0)
			attach(peer, &message, control);
		sent = sendmsg(peer->fd, &message, MSG_NOSIGNAL);
		if (sent > 0)
			done += sent;
		else if (sent < 0 && errno == EAGAIN)
			err = wait_for(peer, POLLOUT, until);
		else if (sent < 0 && errno != EINTR)
			err = -errno;
		if (err < 0)
			return err;
	}
	return 0;
}

static int grow(struct control_peer *peer)
{
	const size_t room = peer->room ? peer->room * 2 : ROOM_MIN;
	char *text;

	if (peer->used < peer->room)
		return 0;
	if (room > ANSWER_MAX)
		return -EMSGSIZE;
	text = realloc(peer->text, room);
	if (!text)
		return -ENOMEM;
	peer->text = text;
	peer->room = room;
	return 0;
}

/* The length of a line that has come whole. */
static ssize_t receive_line(struct control_peer *peer, uint64_t until)
{
	const char *end = NULL;
	size_t seen = 0;

	for (;;) {
		ssize_t got;
		int err;

		if (peer->used > seen)
			end = memchr(peer->text + seen, '\n', peer->used - seen);
		if (end)
			return end - peer->text;
		seen = peer->used;
		err = grow(peer);
		if (err == 0)
			err = wait_for(peer, POLLIN, until);
		if (err < 0)
			return err;
		got = recv(peer->fd, peer->text + peer->used, peer->room - peer->used, 0);
		if (got == 0)
			return -ECONNRESET;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (got > 0)
			peer->used += got;
	}
}

/* What the answer says, or NULL, said. */
static json_t *take_result(const struct control_peer *peer, json_t *answer)
{
	json_t *result = json_object_get(answer, "result");
	const char *message =
		json_string_value(json_object_get(json_object_get(answer, "error"), "message"));

	if (result)
		return json_incref(result);
	if (!peer->quiet)
		log_error("%s: %s", peer->who,
			  message ? message : "answers what makes no sense: no nidus?");
	return NULL;
}

static int exchange(struct control_peer *peer, json_t *question, int milliseconds, json_t **answer)
{
	const uint64_t until =
		milliseconds < 0 ? UINT64_MAX : clock_ns() + milliseconds * UINT64_C(1000000);
	char *text = json_dumps(question, JSON_COMPACT);
	ssize_t size = -ENOMEM;

	if (text) {
		const size_t length = strlen(text);

		text[length] = '\n';
		size = send_all(peer, text, length + 1, until);
	}
	free(text);
	if (size == 0)
		size = receive_line(peer, until);
	if (size < 0)
		return size;
	*answer = json_loadb(peer->text, size, JSON_REJECT_DUPLICATES, NULL);
	peer->used -= size + 1;
	memmove(peer->text, peer->text + size + 1, peer->used);
	return 0;
}

json_t *control_client_ask(struct control_peer *peer, const char *request, json_t *arguments,
			   int milliseconds)
{
	json_t *question = json_pack("{ssso*}", "request", request, "arguments", arguments);
	json_t *answer = NULL, *result;
	const int err = exchange(peer, question, milliseconds, &answer);

	json_decref(question);
	if (err < 0) {
		complain(peer, err);
		return NULL;
	}
	result = take_result(peer, answer);
	json_decref(answer);
	return result;
}

int control_client_pid(const struct control_peer *peer)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	return getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 ? -errno : who.pid;
}

int control_client_wait(struct control_peer *peer, int milliseconds)
{
	const uint64_t until = deadline(milliseconds);
	char bytes[64];
	ssize_t got;
	int err;

	do {
		err = wait_for(peer, POLLIN, until);
		got = err == 0 ? recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT) : 0;
	} while (err == 0 && (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR))));
	return err < 0 ? complain(peer, err) : 0;
}

/* What has come from the peer goes to out. */
static int put_out(struct control_peer *peer, int out)
{
	const char *text = peer->text;

	while (peer->used > 0) {
		const ssize_t done = write(out, text, peer->used);

		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			text += done;
			peer->used -= done;
		}
	}
	return 0;
}

/* 0: there is more to come. 1: that was the end. */
static int from_peer(struct control_peer *peer, int out)
{
	const ssize_t got = recv(peer->fd, peer->text, peer->room, MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	peer->used = got;
	return got == 0 ? 1 : put_out(peer, out);
}

static int to_peer(const struct control_peer *peer, struct pollfd *in)
{
	char bytes[4096];
	const ssize_t got = read(in->fd, bytes, sizeof(bytes));

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (got > 0)
		return send_all(peer, bytes, got, UINT64_MAX);
	/* Its answers are still to come. */
	shutdown(peer->fd, SHUT_WR);
	in->fd = -1;
	return 0;
}

int control_client_relay(struct control_peer *peer, int in, int out)
{
	struct pollfd pollers[] = { { .fd = peer->fd, .events = POLLIN },
				    { .fd = in, .events = POLLIN } };
	/* Something may have come behind the last answer. */
	int err = put_out(peer, out);

	while (err == 0) {
		if (poll(pollers, 2, -1) < 0)
			err = errno == EINTR ? 0 : -errno;
		else if (pollers[0].revents)
			err = from_peer(peer, out);
		else if (pollers[1].revents)
			err = to_peer(peer, &pollers[1]);
	}
	return err < 0 ? complain(peer, err) : 0;
}
