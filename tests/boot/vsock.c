// SPDX-License-Identifier: GPL-2.0-only
/*
 * vsock listen PORT: answers one connection with what comes, in capitals, to its end, and says who
 * it was.
 *
 * vsock connect CID PORT TEXT: sends that, and says what is answered. Tries for a while.
 */
#include <ctype.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIES 600

static int fail(const char *what)
{
	fprintf(stderr, "vsock: ");
	perror(what);
	return 1;
}

static int answer(unsigned int port)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK,
				       .svm_cid = VMADDR_CID_ANY,
				       .svm_port = port };
	const int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
	socklen_t size = sizeof(address);
	char text[256];
	ssize_t got;
	int fd;

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1) < 0)
		return fail("listen");
	printf("vsock: listens\n");
	fflush(stdout);
	fd = accept(listener, (struct sockaddr *)&address, &size);
	if (fd < 0)
		return fail("accept");
	printf("vsock: from %u\n", address.svm_cid);
	while ((got = read(fd, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			text[i] = toupper((unsigned char)text[i]);
		if (write(fd, text, got) != got)
			return fail("write");
	}
	return got < 0 ? fail("read") : 0;
}

static int connect_to(unsigned int cid, unsigned int port)
{
	const struct sockaddr_vm address = { .svm_family = AF_VSOCK,
					     .svm_cid = cid,
					     .svm_port = port };

	for (unsigned int i = 0; i < TRIES; i++) {
		const int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

		if (fd < 0)
			return -1;
		if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		close(fd);
		usleep(100000);
	}
	return -1;
}

static int ask(unsigned int cid, unsigned int port, const char *text)
{
	const int fd = connect_to(cid, port);
	char answered[256];
	size_t used = 0;
	ssize_t got;

	if (fd < 0)
		return fail("connect");
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return fail("write");
	shutdown(fd, SHUT_WR);
	while (used < sizeof(answered) - 1 &&
	       (got = read(fd, answered + used, sizeof(answered) - 1 - used)) > 0)
		used += got;
	answered[used] = '\0';
	printf("vsock: %s\n", answered);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "listen") == 0)
		return answer(strtoul(argv[2], NULL, 0));
	if (argc == 5 && strcmp(argv[1], "connect") == 0)
		return ask(strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0), argv[4]);
	fprintf(stderr, "usage: vsock listen PORT | vsock connect CID PORT TEXT\n");
	return 2;
}
