// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. passt gets one end of a pair of sockets, so there is no path of a socket
 * that could be left behind, and it ends by itself when the other end is closed: also where it has
 * become another user, so that the kernel does not end it with us.
 *
 * It does not tell when it is ready. So it is sent a frame of an EtherType for experiments, which
 * it has no use for: when that has been read, its sockets for forwarded ports are open and it waits
 * for frames. From the source address it learns the guest's, too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/log.h"
#include "options/number.h"
#include "passt_process.h"
#include "passt_stream.h"
#include "util.h"

#define PACKAGE	     "passt"
#define HELP_SECONDS 20
#define START_MS     20000
#define NOBODY	     "65534:65534"
#define HELLO_SIZE   60 /* an Ethernet frame has no less */
#define ETHERTYPE    0x88b5 /* IEEE 802, local experimental */

/* What it says as root, without a system log, and on half of all hosts. */
static const char *const noise[] = { "Failed to send ", "No IPv6 nameserver available",
				     "Couldn't get any nameserver address", NULL };

/* Forwarded ports. */

static bool parse_port(const char *text, size_t length, uint64_t *port)
{
	char digits[8];

	if (length >= sizeof(digits))
		return false;
	memcpy(digits, text, length);
	digits[length] = '\0';
	return strspn(digits, "0123456789") == length && number_parse(digits, 1, 65535, port) == 0;
}

/* An address in front and the colon behind it are skipped. False: what is there is none. */
static bool parse_address(const char **text, char *address, size_t size)
{
	const bool bracketed = **text == '[';
	const char *const begin = *text + bracketed;
	const size_t length = strcspn(begin, bracketed ? "]" : ":");
	const char *const end = begin + length + bracketed;
	uint8_t binary[sizeof(struct in6_addr)];

	*address = '\0';
	if (!bracketed && !memchr(begin, '.', length))
		return true;
	if (length >= size || (bracketed && begin[length] != ']') || *end != ':')
		return false;
	memcpy(address, begin, length);
	address[length] = '\0';
	*text = end + 1;
	return inet_pton(bracketed ? AF_INET6 : AF_INET, address, binary) == 1;
}

const char *passt_forward_parse(struct passt_forward *forward, const char *text)
{
	char address[INET6_ADDRSTRLEN];
	uint64_t host, guest;
	size_t length;

	forward->udp = strncmp(text, "udp:", 4) == 0;
	if (!forward->udp && strncmp(text, "tcp:", 4) != 0)
		return "begins with neither tcp: nor udp:";
	text += 4;
	if (!parse_address(&text, address, sizeof(address)))
		return "has no IP address, or no port, where it should have";
	length = strcspn(text, ":");
	if (!parse_port(text, length, &host))
		return "has a port of the host that is not a number from 1 to 65535";
	guest = host;
	text += length;
	if (*text == ':' && !parse_port(text + 1, strlen(text + 1), &guest))
		return "has a port of the guest that is not a number from 1 to 65535";
	snprintf(forward->spec, sizeof(forward->spec), "%s%s%u:%u", address, *address ? "/" : "",
		 (unsigned int)host, (unsigned int)guest);
	return NULL;
}

/* The command line. */

/* 1: it has vhost-user; 0: it has not. Errors: -errno, said. */
static int ask_for_vhost_user(const char *program)
{
	static const char *const arguments[] = { "--help", NULL };
	const struct child_command command = { .program = program,
					       .package = PACKAGE,
					       .arguments = arguments };
	char help[KIB(32)];
	int status;
	const int err = child_run("passt", &command, HELP_SECONDS, help, sizeof(help), &status);

	/* The status of that is a failure's in some versions. */
	return err < 0 ? err : strstr(help, "--vhost-user") != NULL;
}

_Static_assert(LINK_PREFIX == 24, "the netmask that passt is told");

static void add_addresses(struct passt_process *process, unsigned int *count)
{
	if (*process->guest_ip) {
		process->arguments[(*count)++] = "--address";
		process->arguments[(*count)++] = process->guest_ip;
		process->arguments[(*count)++] = "--netmask";
		process->arguments[(*count)++] = "24";
	}
	if (*process->host_ip) {
		process->arguments[(*count)++] = "--gateway";
		process->arguments[(*count)++] = process->host_ip;
		/* For who knows no other server of names: the host's first one answers there. */
		process->arguments[(*count)++] = "--dns-forward";
		process->arguments[(*count)++] = process->host_ip;
	}
}

static void make_arguments(struct passt_process *process, unsigned int forward_count)
{
	static const char *const always[] = { "--foreground", "--quiet", "--fd", "3" };
	unsigned int count = ARRAY_SIZE(always);

	memcpy(process->arguments, always, sizeof(always));
	if (process->vhost_user)
		process->arguments[count++] = "--vhost-user";
	if (geteuid() == 0) {
		/* As it would by itself, but says then; and where there is no file of users. */
		process->arguments[count++] = "--runas";
		process->arguments[count++] = NOBODY;
	}
	add_addresses(process, &count);
	for (unsigned int i = 0; i < forward_count; i++) {
		process->arguments[count++] =
			process->forwards[i].udp ? "--udp-ports" : "--tcp-ports";
		process->arguments[count++] = process->forwards[i].spec;
	}
	process->arguments[count] = NULL;
}

static void address_text(struct in_addr address, char *text)
{
	*text = '\0';
	if (address.s_addr)
		inet_ntop(AF_INET, &address, text, INET_ADDRSTRLEN);
}

/* Starting. */

static void say_hello(const struct passt_process *process, int socket)
{
	uint8_t hello[PASST_STREAM_LENGTH + HELLO_SIZE] = { 0, 0, 0, HELLO_SIZE };
	uint8_t *const frame = hello + PASST_STREAM_LENGTH;
	ssize_t ignored;

	memset(frame, 0xff, LINK_ADDRESS);
	memcpy(frame + LINK_ADDRESS, process->guest_mac, LINK_ADDRESS);
	frame[12] = ETHERTYPE >> 8;
	frame[13] = ETHERTYPE & 0xff;
	/* There is room; where it has ended already, that is noticed. */
	ignored = send(socket, hello, sizeof(hello), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)ignored;
}

/* Here or in a porter. */
static int process_serve(struct porter_service *service, const void *request, size_t size,
			 struct porter_reply *reply)
{
	const struct passt_process *process = container_of(service, struct passt_process, service);
	struct child_command command = {
		.program = process->program,
		.package = PACKAGE,
		.arguments = process->arguments,
		.descriptor_count = 1,
	};
	struct child child = { .name = "passt", .for_parent = reply->outside };
	int ends[2], err;

	(void)request;
	(void)size;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		err = -errno;
		log_error("passt: socket: %s", log_reason(-err));
		return err;
	}
	command.descriptors = &ends[1];
	err = child_start(&child, &command);
	close(ends[1]);
	if (err == 0)
		child_hand_over(&child, ends[0], reply);
	else
		close(ends[0]);
	return err;
}

int passt_process_start(struct passt_process *process)
{
	struct porter_reply reply;
	int err = porter_ask(&process->service, NULL, 0, &reply), socket;

	if (err < 0)
		return err;
	child_adopt(&process->child, &reply);
	socket = reply.fds[PORTER_CHILD_SOCKET];
	if (!process->vhost_user)
		say_hello(process, socket);
	return socket;
}

void passt_process_release(struct passt_process *process)
{
	child_end(&process->child, true);
	porter_withdraw(&process->service);
}

int passt_process_prepare(struct passt_process *process, const struct passt_options *options)
{
	int vhost_user = 0;

	*process = (struct passt_process){
		.child = { .name = "passt", .noise = noise },
		.service = { .serve = process_serve },
	};
	process->program = options->program ? options->program : "passt";
	if (options->vhost != LINK_VHOST_NO)
		vhost_user = ask_for_vhost_user(process->program);
	if (vhost_user < 0)
		return vhost_user;
	if (!vhost_user && options->vhost == LINK_VHOST_YES) {
		log_error("passt: this version has no vhost-user; those since 2024-11-27 have it");
		return -ENOTSUP;
	}
	process->vhost_user = vhost_user;
	process->patience = START_MS;
	memcpy(process->guest_mac, options->guest_mac, LINK_ADDRESS);
	address_text(options->guest_ip, process->guest_ip);
	address_text(options->host_ip, process->host_ip);
	for (unsigned int i = 0; i < options->forward_count; i++)
		process->forwards[i] = options->forwards[i];
	make_arguments(process, options->forward_count);
	porter_offer(options->porter, &process->service);
	return 0;
}

/* #syscalls loop: ioctl(SIOCOUTQ) ppoll */
bool passt_process_is_ready(int socket)
{
	struct pollfd over = { .fd = socket };
	int unread;

	if (ioctl(socket, SIOCOUTQ, &unread) < 0 || unread > 0)
		return false;
	/* Or it has ended, with which all that it has not read goes, and before that it hangs up.
	 */
	return poll(&over, 1, 0) == 0;
}

int passt_process_wait(struct passt_process *process, int socket)
{
	char how[CHILD_HOW];
	int status;

	for (unsigned int waited = 0; waited < process->patience; waited += PASST_LOOK_MS) {
		if (child_wait(&process->child, PASST_LOOK_MS, &status)) {
			log_error("passt %s", child_how(status, how));
			return -EINVAL;
		}
		if (passt_process_is_ready(socket))
			return 0;
	}
	child_end(&process->child, false);
	log_error("passt: is not ready after %u ms", process->patience);
	return -ETIMEDOUT;
}
