// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vhost-user back end that says anything. All of it is in the socket before nidus asks for the
 * first time, and then comes the end, so nothing has to be waited for. Steps are answers as they
 * should be but for what the input changes, or bytes of any kind.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "host/log.h"
#include "mm/memory.h"
#include "util.h"
#include "vhost.h"

#define RINGS 2

static struct memory_file file;
static struct memory memory;
static int descriptor; /* that the back end sends when it sends one, and who takes one gets next */

/* The requests that are answered, in the order in which they come. */
static const uint8_t requests[] = { 1,	15, 17, 3, 24, 2,  31, 32, 5,  8,  9,  10, 13,
				    12, 18, 8,	9, 10, 13, 12, 18, 18, 11, 18, 11 };

#define CONFIG_SIZE 8 /* bytes */

static void send_bytes(int socket, const void *bytes, size_t size, bool with_descriptor)
{
	struct iovec iov = { (void *)bytes, size };
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	memcpy(CMSG_DATA(&control.head), &descriptor, sizeof(descriptor));
	if (with_descriptor) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The answer to a request: its first byte says what is wrong with it. */
static void send_answer(int socket, struct input *input, uint32_t request)
{
	const uint64_t how = take(input, 1);
	uint32_t answer[8] = { request, 5, request == 24 || request == 31 ? 20 : 8 };
	uint64_t payload = how & 1 ? take(input, 8) : 0;

	if (request == 1)
		payload ^= UINT64_C(1) << 32 | 1 << 30 | 1 << 15;
	if (request == 15)
		payload ^= 0x1209;
	if (request == 24)
		payload ^= (uint64_t)CONFIG_SIZE << 32;
	if (request == 31)
		payload ^= 4096;
	if (request == 17)
		payload ^= RINGS;
	memcpy(answer + 3, &payload, sizeof(payload));
	if (how & 2)
		answer[take(input, 1) % 3] ^= take(input, 4);
	send_bytes(socket, answer,
		   how & 4 ? take(input, 1) % sizeof(answer) : 12 + (answer[2] > 8 ? 20 : 8),
		   (how & 0x38) == 0x38 || request == 31);
}

static void send_all(int socket, struct input *input)
{
	for (unsigned int i = 0; input->size > 0 && i < 64; i++) {
		const uint64_t what = take(input, 1);

		if (what == 0xff) {
			const size_t size = 1 + take(input, 1) % 64;
			uint8_t bytes[64];

			for (size_t j = 0; j < size; j++)
				bytes[j] = take(input, 1);
			send_bytes(socket, bytes, size, false);
		} else {
			/* Mostly in their order; without acknowledgements some are left out. */
			send_answer(socket, input,
				    requests[(what & 0x80 ? what : i) % ARRAY_SIZE(requests)]);
		}
	}
	shutdown(socket, SHUT_WR);
}

/* The life of a guest. */
static int live(struct vhost *vhost)
{
	const struct vhost_ring ring = { 0x1000, 0x2000, 0x3000, 64, 0, descriptor, descriptor };
	uint8_t config[CONFIG_SIZE];
	uint16_t base;
	int err = vhost->ops->config_get(vhost, config, sizeof(config));

	if (err == 0)
		err = vhost->ops->begin(vhost, vhost->features, &memory);
	for (unsigned int i = 0; i < RINGS && err == 0; i++)
		err = vhost->ops->start(vhost, i, &ring);
	for (unsigned int i = 0; i < RINGS && err == 0; i++)
		err = vhost->ops->stop(vhost, i, &base);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vhost_user_wishes wishes = {
		.name = "fuzzed",
		.rings = RINGS,
		.rings_max = RINGS,
		.features = UINT64_MAX,
		.config = true,
		.ring_size = 64,
	};
	struct input input = { data, size };
	struct vhost *vhost;
	int sockets[2], err;

	/* Nearly every input ends in a message. This has the linker take the log that is quiet. */
	log_set_subject("");
	if (!memory.host)
		MUST(memory_file_create(&file, MIB(2), false) == 0 &&
		     memory_create(&memory, GIB(1), MIB(2), MEMORY_MEMFD, &file) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
	descriptor = sockets[1];
	send_all(sockets[1], &input);
	err = vhost_user_open(&vhost, sockets[0], &wishes);
	if (err == 0) {
		/* Bits between the two, and of rings that nidus does not know, are not offered. */
		MUST(vhost->features >> 32 & 1);
		MUST((vhost->features >> 24 & 0x3ffffff & ~UINT64_C(0x130)) == 0);
		MUST(!vhost->lost);
		err = live(vhost);
		MUST(vhost->lost == (err < 0));
		MUST(err == 0 || live(vhost) == -ENODEV);
		vhost->ops->close(vhost);
	}
	/* Nothing was taken, and nothing is left open. */
	close(sockets[1]);
	MUST(dup(0) == sockets[0]);
	close(sockets[0]);
	return 0;
}
