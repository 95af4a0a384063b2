// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "children/child.h"
#include "host/log.h"
#include "network/netif.h"
#include "options/number.h"
#include "tap_interface.h"
#include "util.h"

#define TUN_DEVICE     "/dev/net/tun"
#define MADE_NAME      "tap%d" /* the kernel puts in the first number that is free */
#define SCRIPT_SECONDS 30

#define OFFLOADS	 (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)
#define YOUNGER_OFFLOADS (TUN_F_USO4 | TUN_F_USO6) /* since Linux 6.2 */

/* Queues. */

static int complain(const char *name, int err)
{
	if (err == -EBUSY)
		log_error("tap %s: %s; another process has it", name, strerror(-err));
	else if (err == -EPERM)
		log_error("tap %s: %s; be root, or have it made for you (ip tuntap add dev %s mode "
			  "tap user ...)",
			  name, strerror(-err), name);
	else if (err == -EINVAL)
		log_error("tap %s: an interface of another kind has this name", name);
	else
		log_error("tap %s: %s", name, log_reason(-err));
	return err;
}

static int open_device(void)
{
	const int fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO) {
		log_error("no " TUN_DEVICE ": this machine's kernel has no taps (modprobe tun)");
		return -ENODEV;
	}
	return complain(TUN_DEVICE, -errno);
}

/* Makes fd a queue of the interface by that name, whose name it then is. Errors: not said. */
static int connect_queue(int fd, char *name, short flags)
{
	struct ifreq request = { .ifr_flags = flags };

	memcpy(request.ifr_name, name, IFNAMSIZ);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return -errno;
	memcpy(name, request.ifr_name, IFNAMSIZ);
	return 0;
}

static void close_queues(struct tap_interface *interface)
{
	while (interface->pairs > 0)
		close(interface->queues[--interface->pairs]);
}

/*
 * The first queue. A persistent interface may be for several or for one, whatever is wanted here.
 */
static int open_first(struct tap_interface *interface, unsigned int pairs)
{
	const short plain = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, several = plain | IFF_MULTI_QUEUE;
	const int fd = open_device();
	int err;

	if (fd < 0)
		return fd;
	interface->flags = pairs > 1 ? several : plain;
	err = connect_queue(fd, interface->name, interface->flags);
	if (err == -EINVAL) {
		interface->flags ^= IFF_MULTI_QUEUE;
		err = connect_queue(fd, interface->name, interface->flags);
	}
	if (err < 0) {
		close(fd);
		return complain(interface->name, err);
	}
	interface->queues[interface->pairs++] = fd;
	return 0;
}

static int open_queues(struct tap_interface *interface, unsigned int pairs)
{
	int err = open_first(interface, pairs);

	while (err == 0 && interface->flags & IFF_MULTI_QUEUE && interface->pairs < pairs) {
		const int fd = open_device();

		if (fd < 0)
			return fd;
		err = connect_queue(fd, interface->name, interface->flags);
		if (err < 0) {
			close(fd);
			return complain(interface->name, err);
		}
		interface->queues[interface->pairs++] = fd;
	}
	return err;
}

/* A queue that somebody else has opened. */

static int complain_of_descriptor(int number, const char *what)
{
	log_error("fd %d: %s", number, what);
	return -EINVAL;
}

static int take_descriptor(struct tap_interface *interface, int number)
{
	struct ifreq request = { 0 };
	int fd;

	if (fcntl(number, F_GETFD) < 0)
		return complain_of_descriptor(number, "no such descriptor was handed to nidus");
	if (ioctl(number, TUNGETIFF, &request) < 0)
		return complain_of_descriptor(number, "this is no tap");
	if (!(request.ifr_flags & IFF_TAP))
		return complain_of_descriptor(number, "this is a tun, and no tap");
	if (!(request.ifr_flags & IFF_VNET_HDR) || !(request.ifr_flags & IFF_NO_PI))
		return complain_of_descriptor(number, "this tap was opened without IFF_VNET_HDR or "
						      "without IFF_NO_PI");
	fd = fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd < 0)
		return complain(request.ifr_name, -errno);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	memcpy(interface->name, request.ifr_name, IFNAMSIZ);
	interface->flags =
		request.ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
	interface->queues[interface->pairs++] = fd;
	return 0;
}

/* The host's end. */

static void name_request(const struct tap_interface *interface, struct ifreq *request)
{
	memset(request, 0, sizeof(*request));
	memcpy(request->ifr_name, interface->name, IFNAMSIZ);
}

static int set_host_mac(const struct tap_interface *interface, const uint8_t *mac)
{
	struct ifreq request;

	name_request(interface, &request);
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, mac, LINK_ADDRESS);
	return ioctl(interface->control, SIOCSIFHWADDR, &request) < 0 ? -errno : 0;
}

static int run_script(const char *script, const char *name)
{
	const char *const arguments[] = { name, NULL };
	const struct child_command command = { .program = script, .arguments = arguments };
	char how[CHILD_HOW];
	int status;
	const int err = child_run(script, &command, SCRIPT_SECONDS, NULL, 0, &status);

	if (err < 0 || status == 0)
		return err;
	log_error("%s %s: %s", script, name, child_how(status, how));
	return -EINVAL;
}

/* Here or in a porter, which knows the name that the interface had when nidus was confined. */
static int downscript_serve(struct porter_service *service, const void *request, size_t size,
			    struct porter_reply *reply)
{
	const struct tap_interface *interface =
		container_of(service, struct tap_interface, service);

	(void)request;
	(void)size;
	(void)reply;
	return run_script(interface->downscript, interface->name);
}

/* What was made here, but for turning it on. */
static int set_up_host(const struct tap_interface *interface, const struct tap_options *options)
{
	int err = options->has_host_mac ? set_host_mac(interface, options->host_mac) : 0;

	if (err < 0)
		return complain(interface->name, err);
	if (options->bridge)
		err = netif_join_bridge(options->bridge, interface->name);
	if (err == 0 && options->host_ip.s_addr && !options->script)
		err = netif_set_address(interface->name, options->host_ip, LINK_PREFIX);
	return err;
}

static int prepare_host(struct tap_interface *interface, const struct tap_options *options,
			bool made)
{
	int err = made ? set_up_host(interface, options) : 0;

	if (err == 0 && options->script)
		err = run_script(options->script, interface->name);
	if (err < 0)
		return err;
	interface->downscript = options->downscript;
	if (interface->downscript)
		porter_offer(options->porter, &interface->service);
	return made ? netif_up(interface->name) : 0;
}

/* What a queue is to be like. */
static int prepare_queues(struct tap_interface *interface)
{
	int header = LINK_HEADER;

	for (unsigned int i = 0; i < interface->pairs; i++)
		if (ioctl(interface->queues[i], TUNSETVNETHDRSZ, &header) < 0)
			return complain(interface->name, -errno);
	interface->offloads = OFFLOADS | YOUNGER_OFFLOADS;
	if (ioctl(interface->queues[0], TUNSETOFFLOAD, interface->offloads) < 0)
		interface->offloads = OFFLOADS;
	if (ioctl(interface->queues[0], TUNSETOFFLOAD, 0) < 0)
		interface->offloads = 0;
	return 0;
}

/* All of it. */

static int open_named(struct tap_interface *interface, const struct tap_options *options)
{
	const char *const name = options->name ? options->name : MADE_NAME;
	bool made;
	int err;

	if (strlen(name) >= IFNAMSIZ || !*name) {
		log_error("tap '%s': no name of an interface, which has 1 to %d characters", name,
			  IFNAMSIZ - 1);
		return -EINVAL;
	}
	strcpy(interface->name, name);
	made = !options->name || if_nametoindex(name) == 0;
	err = open_queues(interface, options->pairs);
	return err < 0 ? err : prepare_host(interface, options, made);
}

int tap_interface_open(struct tap_interface *interface, const struct tap_options *options)
{
	int err;

	*interface = (struct tap_interface){
		.control = -1,
		.service = { .serve = downscript_serve },
	};
	interface->control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (interface->control < 0)
		return complain("socket", -errno);
	if (options->fd >= 0)
		err = take_descriptor(interface, options->fd);
	else
		err = open_named(interface, options);
	if (err == 0)
		err = prepare_queues(interface);
	if (err < 0)
		tap_interface_close(interface);
	return err;
}

void tap_interface_close(struct tap_interface *interface)
{
	struct porter_reply reply;

	if (interface->downscript)
		porter_ask(&interface->service, NULL, 0, &reply);
	porter_withdraw(&interface->service);
	close_queues(interface);
	close(interface->control);
}

/* #syscalls loop: ioctl(SIOCGIFMTU) */
int tap_interface_mtu(const struct tap_interface *interface)
{
	struct ifreq request;

	name_request(interface, &request);
	return ioctl(interface->control, SIOCGIFMTU, &request) < 0 ? -errno : request.ifr_mtu;
}

/* #syscalls loop: ioctl(TUNGETIFF) ioctl(SIOCGIFFLAGS) */
bool tap_interface_is_up(struct tap_interface *interface, bool *gone)
{
	struct ifreq request = { 0 };

	/* It may have another name by now. */
	*gone = ioctl(interface->queues[0], TUNGETIFF, &request) < 0;
	if (*gone)
		return false;
	memcpy(interface->name, request.ifr_name, IFNAMSIZ);
	name_request(interface, &request);
	return ioctl(interface->control, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_UP;
}

/* #syscalls loop: ioctl(TUNSETIFF) ioctl(TUNSETVNETHDRSZ) ioctl(SIOCGIFINDEX) */
bool tap_interface_return(struct tap_interface *interface)
{
	struct ifreq request;

	/* TUNSETIFF would make one. */
	name_request(interface, &request);
	if (ioctl(interface->control, SIOCGIFINDEX, &request) < 0)
		return false;
	for (unsigned int i = 0; i < interface->pairs; i++)
		if (connect_queue(interface->queues[i], interface->name, interface->flags) < 0)
			return false;
	return prepare_queues(interface) == 0;
}
