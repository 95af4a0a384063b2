// SPDX-License-Identifier: GPL-2.0-only
/*
 * net serve PORT CLIENTS: answers so many clients, one after the other. Says for each what it has
 * got, and how many instructions it took in user space itself where the machine can count them.
 *
 * net WHAT ADDRESS PORT SIZE COUNT: a client of that. "out" is from the client to the server:
 *
 *   tcp-out, tcp-in   COUNT MiB as a stream, written SIZE bytes at a time
 *   tcp-rr            COUNT requests of SIZE bytes, each answered by as many
 *   udp-out, udp-in   COUNT datagrams of SIZE bytes
 *
 * Amounts are the same in every run, and nothing depends on time: of each WINDOW datagrams the
 * last is answered, which the sender waits for, so that no queue between them overflows. A datagram
 * that is lost all the same is missing from what arrived, and that is no failure of ours.
 *
 * Theory of operation: a client connects by TCP, says what it wants, and gets told in the end what
 * the server has seen. Streams and requests go over the same connection, datagrams by UDP to the
 * same port; there the client begins, so that all in between know the way back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define MIB	 (1024 * 1024)
#define LONGEST	 65507 /* the longest datagram of UDP over IPv4 */
#define WINDOW	 32 /* datagrams */
#define PATIENCE 5 /* seconds for a datagram */

enum what { TCP_OUT, TCP_IN, TCP_RR, UDP_OUT, UDP_IN, WHATS };

static const char *const names[WHATS] = { "tcp-out", "tcp-in", "tcp-rr", "udp-out", "udp-in" };

/* What a client wants, in network order. */
struct request {
	uint32_t what, size, count;
};

/* One end of a client's business. */
struct side {
	int tcp, udp;
	uint32_t what, size, count;
	uint64_t arrived; /* bytes, responses or datagrams */
};

static uint8_t buffer[MIB];

static int fail(const char *what)
{
	fprintf(stderr, "net: ");
	perror(what);
	return -1;
}

/* Of a stream, all of it. */
static int read_all(int fd, void *data, size_t size)
{
	while (size > 0) {
		ssize_t got = read(fd, data, size);

		if (got <= 0) {
			errno = got == 0 ? ECONNRESET : errno;
			return fail("read");
		}
		data = (uint8_t *)data + got;
		size -= got;
	}
	return 0;
}

static int write_all(int fd, const void *data, size_t size)
{
	while (size > 0) {
		ssize_t put = write(fd, data, size);

		if (put < 0)
			return fail("write");
		data = (const uint8_t *)data + put;
		size -= put;
	}
	return 0;
}

static int stream_send(struct side *side)
{
	uint64_t left = (uint64_t)side->count * MIB;

	while (left > 0) {
		size_t size = left < side->size ? left : side->size;

		if (write_all(side->tcp, buffer, size))
			return -1;
		left -= size;
	}
	return 0;
}

static int stream_receive(struct side *side)
{
	uint64_t all = (uint64_t)side->count * MIB;

	while (side->arrived < all) {
		uint64_t left = all - side->arrived;
		ssize_t got =
			read(side->tcp, buffer, left < sizeof(buffer) ? left : sizeof(buffer));

		if (got <= 0) {
			errno = got == 0 ? ECONNRESET : errno;
			return fail("read");
		}
		side->arrived += got;
	}
	return 0;
}

static int requests_send(struct side *side)
{
	for (; side->arrived < side->count; side->arrived++) {
		if (write_all(side->tcp, buffer, side->size) ||
		    read_all(side->tcp, buffer, side->size))
			return -1;
	}
	return 0;
}

static int requests_answer(struct side *side)
{
	for (; side->arrived < side->count; side->arrived++) {
		if (read_all(side->tcp, buffer, side->size) ||
		    write_all(side->tcp, buffer, side->size))
			return -1;
	}
	return 0;
}

static bool is_last_of_window(const struct side *side, uint32_t number)
{
	return number % WINDOW == WINDOW - 1 || number == side->count - 1;
}

/* A datagram begins with its number. */
static int datagrams_send(struct side *side)
{
	for (uint32_t number = 0; number < side->count; number++) {
		uint32_t head = htonl(number), answer;

		memcpy(buffer, &head, sizeof(head));
		if (send(side->udp, buffer, side->size, 0) != side->size)
			return fail("send");
		/* Where the answer does not come the datagram was lost, or the answer. */
		if (is_last_of_window(side, number) &&
		    recv(side->udp, &answer, sizeof(answer), 0) < 0 && errno != EAGAIN)
			return fail("recv");
	}
	return 0;
}

/* Until the last one, or until none comes any more. */
static int datagrams_receive(struct side *side)
{
	uint32_t number = UINT32_MAX;

	do {
		ssize_t got = recv(side->udp, buffer, sizeof(buffer), 0);
		uint32_t head;

		if (got < 0)
			return errno == EAGAIN ? 0 : fail("recv");
		if (got != side->size)
			continue;
		memcpy(&head, buffer, sizeof(head));
		number = ntohl(head);
		side->arrived++;
		if (is_last_of_window(side, number) &&
		    send(side->udp, &head, sizeof(head), 0) != sizeof(head))
			return fail("send");
	} while (number != side->count - 1);
	return 0;
}

typedef int work(struct side *side);

static work *const client_works[WHATS] = {
	stream_send, stream_receive, requests_send, datagrams_send, datagrams_receive,
};
static work *const server_works[WHATS] = {
	stream_receive, stream_send, requests_answer, datagrams_receive, datagrams_send,
};

static bool is_udp(uint32_t what)
{
	return what == UDP_OUT || what == UDP_IN;
}

/* port: that datagrams to us go to, or 0. */
static int udp_socket(uint16_t port)
{
	const struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct timeval patience = { .tv_sec = PATIENCE };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return fail("UDP");
	return fd;
}

/*
 * The client's first datagram shows the server where the others are to go; the server says by the
 * connection that it has got it.
 */
static int udp_begin(struct side *side, const struct sockaddr_in *server)
{
	side->udp = udp_socket(0);
	if (side->udp < 0)
		return -1;
	if (connect(side->udp, (const struct sockaddr *)server, sizeof(*server)) < 0 ||
	    send(side->udp, buffer, 1, 0) < 0)
		return fail("UDP");
	return read_all(side->tcp, buffer, 1);
}

static int udp_answer(struct side *side)
{
	struct sockaddr_in client;
	socklen_t length = sizeof(client);
	struct sockaddr *address = (struct sockaddr *)&client;

	if (recvfrom(side->udp, buffer, sizeof(buffer), 0, address, &length) < 0 ||
	    connect(side->udp, address, length) < 0)
		return fail("UDP: the first datagram of the client");
	return write_all(side->tcp, buffer, 1);
}

/* Requests and their answers shall not wait for more. */
static void hurry(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
}

static bool is_sane(const struct side *side)
{
	size_t least = is_udp(side->what) ? sizeof(uint32_t) : 1;
	size_t most = is_udp(side->what) ? LONGEST : sizeof(buffer);

	return side->what < WHATS && side->size >= least && side->size <= most && side->count > 0;
}

/* Instructions of this process in user space, from now on; -1 where they cannot be counted. */
static int own_counter(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_kernel = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void tell(const struct side *side, int counter)
{
	uint64_t own;

	printf("net: %s: %u wanted, %llu arrived", names[side->what], side->count,
	       (unsigned long long)side->arrived);
	if (counter >= 0 && read(counter, &own, sizeof(own)) == sizeof(own))
		printf(", %llu instructions of our own", (unsigned long long)own);
	printf("\n");
	fflush(stdout);
}

/* Does a client's business; both sides know what the other has seen in the end. */
static int answer(struct side *side)
{
	struct request request;
	uint64_t theirs;

	hurry(side->tcp);
	if (read_all(side->tcp, &request, sizeof(request)))
		return -1;
	side->what = ntohl(request.what);
	side->size = ntohl(request.size);
	side->count = ntohl(request.count);
	if (!is_sane(side)) {
		errno = EPROTO;
		return fail("a client's request");
	}
	if ((is_udp(side->what) && udp_answer(side)) || server_works[side->what](side) ||
	    write_all(side->tcp, &side->arrived, sizeof(side->arrived)) ||
	    read_all(side->tcp, &theirs, sizeof(theirs)))
		return -1;
	side->arrived = side->arrived > theirs ? side->arrived : theirs;
	return 0;
}

static int serve(uint16_t port, unsigned long clients)
{
	const struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (listener < 0 ||
	    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
	    bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 16) < 0)
		return fail("the server's port");
	printf("net: serving\n");
	fflush(stdout);
	while (clients-- > 0) {
		struct side side = { .udp = udp_socket(port) };
		int counter;

		side.tcp = side.udp < 0 ? -1 : accept(listener, NULL, NULL);
		if (side.tcp < 0)
			return fail("accept");
		counter = own_counter();
		if (answer(&side) == 0)
			tell(&side, counter);
		close(side.tcp);
		close(side.udp);
		close(counter);
	}
	return 0;
}

static int client(struct side *side, const char *host, uint16_t port)
{
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct request request = { htonl(side->what), htonl(side->size), htonl(side->count) };
	uint64_t theirs;

	side->tcp = socket(AF_INET, SOCK_STREAM, 0);
	if (inet_pton(AF_INET, host, &server.sin_addr) != 1 || side->tcp < 0 ||
	    connect(side->tcp, (const struct sockaddr *)&server, sizeof(server)) < 0)
		return fail(host);
	hurry(side->tcp);
	if (write_all(side->tcp, &request, sizeof(request)) ||
	    (is_udp(side->what) && udp_begin(side, &server)) || client_works[side->what](side) ||
	    read_all(side->tcp, &theirs, sizeof(theirs)) ||
	    write_all(side->tcp, &side->arrived, sizeof(side->arrived)))
		return -1;
	side->arrived = side->arrived > theirs ? side->arrived : theirs;
	tell(side, -1);
	return 0;
}

static uint32_t number_of(const char *name)
{
	uint32_t what = 0;

	while (what < WHATS && strcmp(names[what], name) != 0)
		what++;
	return what;
}

int main(int argc, char **argv)
{
	struct side side = { 0 };

	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		return serve(strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0)) ? 1 : 0;
	if (argc == 6) {
		side.what = number_of(argv[1]);
		side.size = strtoul(argv[4], NULL, 0);
		side.count = strtoul(argv[5], NULL, 0);
		if (is_sane(&side))
			return client(&side, argv[2], strtoul(argv[3], NULL, 0)) ? 1 : 0;
	}
	fprintf(stderr, "usage: net serve PORT CLIENTS | "
			"net tcp-out|tcp-in|tcp-rr|udp-out|udp-in ADDRESS PORT SIZE COUNT\n");
	return 2;
}
