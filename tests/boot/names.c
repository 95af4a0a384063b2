// SPDX-License-Identifier: GPL-2.0-only
/*
 * Usage: names ADDRESS ANSWER
 *
 * A server of names on port 53 of ADDRESS that knows one: whatever is asked has the IPv4 address
 * ANSWER (RFC 1035, 4.1). Runs until it is killed.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HEADER	12 /* bytes */
#define LONGEST 512 /* of a message in UDP */
#define COUNTS	4 /* where the header has how many questions, answers and others there are */

/* Name as in the question, type A, class IN, for a minute, four bytes. */
static const unsigned char record[] = { 0xc0, HEADER, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4 };

int main(int argc, char **argv)
{
	static const unsigned char flags[] = { 0x81, 0x80 }, counts[] = { 0, 1, 0, 1, 0, 0, 0, 0 };
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(53) }, peer;
	unsigned char message[LONGEST + sizeof(record) + sizeof(struct in_addr)];
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct in_addr answer;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &own.sin_addr) != 1 ||
	    inet_pton(AF_INET, argv[2], &answer) != 1)
		return 2;
	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0) {
		perror("names");
		return 1;
	}
	for (;;) {
		socklen_t length = sizeof(peer);
		ssize_t size = recvfrom(fd, message, LONGEST, 0, (struct sockaddr *)&peer, &length);

		if (size < HEADER)
			continue;
		memcpy(message + 2, flags, sizeof(flags));
		memcpy(message + COUNTS, counts, sizeof(counts));
		memcpy(message + size, record, sizeof(record));
		memcpy(message + size + sizeof(record), &answer, sizeof(answer));
		size += sizeof(record) + sizeof(answer);
		sendto(fd, message, size, 0, (struct sockaddr *)&peer, length);
	}
}
