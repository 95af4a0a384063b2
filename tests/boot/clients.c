// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients of a control socket, as no nidus would be one, and a service manager:
 *
 *	clients ask PATH LINE		one line, the answer on standard output
 *	clients many PATH N LINE	N connections that ask and do not read, and stay until
 *killed clients halves PATH N		N that send half a line, and stay clients deaf PATH LINE
 *one that asks all the time and never reads, until it cannot clients manager NAME FILE	writes what
 *comes to the datagram socket NAME, @ for an abstract one, to FILE
 */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

static int make(int type, const char *name, struct sockaddr_un *address, socklen_t *size)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strncpy(address->sun_path, name, sizeof(address->sun_path) - 1);
	*size = offsetof(struct sockaddr_un, sun_path) + strlen(address->sun_path);
	if (*name == '@')
		address->sun_path[0] = '\0';
	return socket(AF_UNIX, type, 0);
}

static int call(const char *path)
{
	struct sockaddr_un address;
	socklen_t size;
	const int fd = make(SOCK_STREAM, path, &address, &size);

	if (connect(fd, (struct sockaddr *)&address, size) < 0)
		fail(path);
	return fd;
}

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		fail("write");
}

static void ask(const char *path, const char *line)
{
	const int fd = call(path);
	char text[4096];
	ssize_t got;

	say(fd, line);
	say(fd, "\n");
	shutdown(fd, SHUT_WR);
	while ((got = read(fd, text, sizeof(text))) > 0)
		fwrite(text, 1, got, stdout);
}

static void many(const char *path, int count, const char *text)
{
	signal(SIGPIPE, SIG_IGN);
	while (count-- > 0) {
		const int fd = call(path);

		/* Those that come later may have cost it its place. */
		if (write(fd, text, strlen(text)) < 0)
			continue;
	}
	puts("there");
	fflush(stdout);
	pause();
}

static void deaf(const char *path, const char *line)
{
	const int fd = call(path);
	unsigned int count = 0;
	char text[200];

	snprintf(text, sizeof(text), "%s\n", line);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, text, strlen(text)) > 0)
		if (++count % 100 == 0)
			usleep(1000);
	puts("there");
	fflush(stdout);
	pause();
}

static void manage(const char *name, const char *file)
{
	struct sockaddr_un address;
	socklen_t size;
	const int fd = make(SOCK_DGRAM, name, &address, &size);
	FILE *stream;
	char text[4096];
	ssize_t got;

	if (bind(fd, (struct sockaddr *)&address, size) < 0)
		fail(name);
	stream = fopen(file, "w");
	setbuf(stream, NULL);
	while ((got = read(fd, text, sizeof(text))) > 0)
		fwrite(text, 1, got, stream);
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[1] : "";

	if (strcmp(what, "ask") == 0)
		ask(argv[2], argv[3]);
	else if (strcmp(what, "many") == 0 && argc > 4)
		many(argv[2], atoi(argv[3]), argv[4]);
	else if (strcmp(what, "halves") == 0)
		many(argv[2], atoi(argv[3]), "{\"request\":");
	else if (strcmp(what, "deaf") == 0)
		deaf(argv[2], argv[3]);
	else if (strcmp(what, "manager") == 0)
		manage(argv[2], argv[3]);
	else
		return 2;
	return 0;
}
