// SPDX-License-Identifier: GPL-2.0-only
/*
 * tap NAME NUMBER COMMAND...: opens the tap device NAME, which is made if need be, with room for
 * virtio's header before its frames, and runs COMMAND with it as descriptor NUMBER.
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd, number;

	if (argc < 4) {
		fprintf(stderr, "usage: tap NAME NUMBER COMMAND...\n");
		return 2;
	}
	number = atoi(argv[2]);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", argv[1]);
	fd = open("/dev/net/tun", O_RDWR);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
		perror("tap: /dev/net/tun");
		return 1;
	}
	if (dup2(fd, number) < 0 || (fd != number && close(fd) < 0)) {
		perror("tap: dup2");
		return 1;
	}
	execvp(argv[3], argv + 3);
	perror("tap: exec");
	return 127;
}
