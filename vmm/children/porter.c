// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The porter is made by fork(2) while nidus is small, and keeps no descriptors
 * but those that its services take: images and locks are not held by it. Questions and answers go
 * over a pair of sockets, lengths first; it ends when its end says so, which is when nidus is gone.
 *
 * What it starts is to be nidus's child all the same: see child.c.
 */
#include "children/porter.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"

#define REQUEST_MAX MIB(64)
#define KEPT_MAX    64

struct question {
	uint32_t service;
	uint32_t size; /* of what follows */
};

struct answer {
	int32_t err;
	uint32_t fd_count;
	int64_t value;
};

/* Messages. */

/* #syscalls loop served: sendmsg */
static int send_all(int socket, const void *bytes, size_t size)
{
	for (const char *next = bytes; size > 0;) {
		struct iovec part = { (void *)next, size };
		const struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
		const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return -errno;
		next += sent > 0 ? sent : 0;
		size -= sent > 0 ? sent : 0;
	}
	return 0;
}

static int receive_all(int socket, void *bytes, size_t size)
{
	for (char *next = bytes; size > 0;) {
		struct iovec part = { next, size };
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
		const ssize_t got = recvmsg(socket, &message, 0);

		if (got == 0)
			return -EPIPE;
		if (got < 0 && errno != EINTR)
			return -errno;
		next += got > 0 ? got : 0;
		size -= got > 0 ? got : 0;
	}
	return 0;
}

static int send_answer(int socket, int err, const struct porter_reply *reply)
{
	struct answer answer = { .err = err, .fd_count = reply->fd_count, .value = reply->value };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(reply->fds))];
	} control;
	struct iovec part = { &answer, sizeof(answer) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (reply->fd_count > 0) {
		memset(&control, 0, sizeof(control));
		control.header = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(reply->fd_count * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.header), reply->fds, reply->fd_count * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(reply->fd_count * sizeof(int));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof(answer) ? 0 : -EPIPE;
}

/* #syscalls loop served: recvmsg */
static int receive_answer(int socket, struct porter_reply *reply)
{
	struct answer answer;
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(reply->fds))];
	} control;
	struct iovec part = { &answer, sizeof(answer) };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;

	do
		got = recvmsg(socket, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got != sizeof(answer))
		return -EPIPE;
	if (message.msg_controllen >= sizeof(control.header)) {
		reply->fd_count = (control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(reply->fds, CMSG_DATA(&control.header), reply->fd_count * sizeof(int));
	}
	reply->value = answer.value;
	return answer.err;
}

/* The porter. */

static struct porter_service *service_of(const struct porter *porter, uint32_t index)
{
	struct porter_service *service = porter->services;

	while (service && service->index != index)
		service = service->next;
	return service;
}

/* False: nidus is gone, or is not itself any more. */
static bool answer_one(const struct porter *porter)
{
	struct porter_reply reply = { .outside = true };
	struct porter_service *service;
	struct question question;
	char *request;
	bool done;
	int err;

	if (receive_all(porter->socket, &question, sizeof(question)) < 0)
		return false;
	service = service_of(porter, question.service);
	request = question.size <= REQUEST_MAX ? malloc(question.size + 1) : NULL;
	if (!service || !request || receive_all(porter->socket, request, question.size) < 0) {
		free(request);
		return false;
	}
	err = service->serve(service, request, question.size, &reply);
	free(request);
	done = send_answer(porter->socket, err, &reply) == 0;
	while (reply.fd_count > 0)
		close(reply.fds[--reply.fd_count]);
	return done;
}

static int by_number(const void *left, const void *right)
{
	return *(const int *)left - *(const int *)right;
}

/* All but those that are needed, and the first three. */
static void close_others(const struct porter *porter)
{
	int kept[KEPT_MAX];
	unsigned int count = 0, first = STDERR_FILENO + 1;

	kept[count++] = porter->socket;
	for (struct porter_service *service = porter->services; service; service = service->next)
		for (unsigned int i = 0; i < service->keep_count && count < KEPT_MAX; i++)
			if (service->keep[i] > STDERR_FILENO)
				kept[count++] = service->keep[i];
	qsort(kept, count, sizeof(*kept), by_number);
	for (unsigned int i = 0; i < count; i++) {
		if ((unsigned int)kept[i] > first)
			syscall(SYS_close_range, first, kept[i] - 1, 0);
		first = kept[i] + 1;
	}
	syscall(SYS_close_range, first, ~0U, 0);
}

static void be_porter(const struct porter *porter)
{
	prctl(PR_SET_NAME, "nidus-porter");
	log_keep_no_more();
	close_others(porter);
	while (answer_one(porter))
		;
	syscall(SYS_exit_group, 0);
}

/* For who asks it. */

void porter_create(struct porter *porter)
{
	*porter = (struct porter){ .lock = PTHREAD_MUTEX_INITIALIZER };
}

void porter_destroy(struct porter *porter)
{
	if (porter->pid == 0)
		return;
	close(porter->socket);
	waitpid(porter->pid, NULL, 0);
	porter->pid = 0;
}

void porter_offer(struct porter *porter, struct porter_service *service)
{
	service->porter = porter;
	if (!porter)
		return;
	service->index = porter->services ? porter->services->index + 1 : 0;
	service->next = porter->services;
	porter->services = service;
}

void porter_withdraw(struct porter_service *service)
{
	struct porter_service **link;

	if (!service->porter)
		return;
	for (link = &service->porter->services; *link && *link != service; link = &(*link)->next)
		;
	if (*link)
		*link = service->next;
	service->porter = NULL;
}

int porter_start(struct porter *porter)
{
	int ends[2], err = 0;
	pid_t pid;

	if (!porter->services)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		err = -errno;
	pid = err == 0 ? fork() : -1;
	if (err == 0 && pid < 0) {
		err = -errno;
		close(ends[0]);
		close(ends[1]);
	}
	if (err < 0) {
		log_error("a process that stays outside of the sandbox: %s", log_reason(-err));
		return err;
	}
	porter->pid = pid;
	porter->socket = ends[pid == 0];
	close(ends[pid != 0]);
	if (pid == 0)
		be_porter(porter);
	return 0;
}

static int ask(struct porter *porter, const struct porter_service *service, const void *request,
	       size_t size, struct porter_reply *reply)
{
	const struct question question = { .service = service->index, .size = size };
	int err;

	if (size > REQUEST_MAX)
		return -EFBIG;
	pthread_mutex_lock(&porter->lock);
	err = send_all(porter->socket, &question, sizeof(question));
	if (err == 0)
		err = send_all(porter->socket, request, size);
	if (err == 0)
		err = receive_answer(porter->socket, reply);
	pthread_mutex_unlock(&porter->lock);
	if (err == -EPIPE)
		log_error("the process that stays outside of the sandbox is gone");
	return err;
}

int porter_ask(struct porter_service *service, const void *request, size_t size,
	       struct porter_reply *reply)
{
	struct porter *porter = service->porter;

	*reply = (struct porter_reply){ .fd_count = 0 };
	if (porter && porter->pid != 0)
		return ask(porter, service, request, size, reply);
	return service->serve(service, request, size, reply);
}
