// SPDX-License-Identifier: GPL-2.0-only
/*
 * breaker FROM TO THERE BACK [hold]: listens at one Unix socket, and passes on what comes to
 * another one, and what that answers; no more than THERE bytes to it and BACK bytes from it, then
 * it cuts both connections, where the last word came back when something is said to that. With hold
 * it keeps both and reads nothing more. -1: there is no limit. It ends with the first of the two.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un place(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	return address;
}

static int come(const char *path)
{
	const struct sockaddr_un address = place(path);
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		return -1;
	return accept(fd, NULL, NULL);
}

static int go(const char *path)
{
	const struct sockaddr_un address = place(path);
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : fd;
}

/* 0: it is over. */
static int pass(int from, int to, long *left)
{
	static char data[65536];
	size_t size = sizeof(data), done = 0;
	ssize_t got;

	if (*left >= 0 && (size_t)*left < size)
		size = *left;
	got = recv(from, data, size, 0);
	if (got <= 0)
		return 0;
	while (done < (size_t)got) {
		const ssize_t sent = send(to, data + done, got - done, MSG_NOSIGNAL);

		if (sent <= 0)
			return 0;
		done += sent;
	}
	if (*left > 0)
		*left -= got;
	return *left != 0;
}

int main(int argc, char **argv)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	long left[2];
	int goes_on = 1;

	if (argc < 5)
		return 2;
	left[0] = atol(argv[3]);
	left[1] = atol(argv[4]);
	fds[0].fd = come(argv[1]);
	fds[1].fd = go(argv[2]);
	if (fds[0].fd < 0 || fds[1].fd < 0)
		return 1;
	goes_on = left[0] != 0 && left[1] != 0;
	while (goes_on && poll(fds, 2, -1) > 0)
		for (int i = 0; i < 2 && goes_on; i++)
			if (fds[i].revents)
				goes_on = pass(fds[i].fd, fds[!i].fd, &left[i]);
	if (argc > 5)
		pause();
	/* What is said to the last word that has come back is taken, and goes nowhere. */
	if (left[1] == 0)
		poll(fds, 1, 1000);
	return 0;
}
