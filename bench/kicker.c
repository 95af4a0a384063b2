// SPDX-License-Identifier: GPL-2.0-only
/*
 * kicker ADDRESS|first COUNT: rings the doorbell of queue 0 of a virtio PCI function, or of the
 * first disk that there is, so often (virtio 1.3, 4.1.4.4). The queue has nothing new, so all that
 * it costs is the way there.
 */
#include <endian.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"

static uint8_t config[256];

static int complain(const char *what)
{
	perror(what);
	return 1;
}

/* The directory of the first disk of virtio, as it is put there by vdX. */

static char *find(const char *name)
{
	char pattern[128], *path;
	glob_t found;

	snprintf(pattern, sizeof(pattern), DEVICES "/%s/virtio*%s",
		 strcmp(name, "first") == 0 ? "*" : name,
		 strcmp(name, "first") == 0 ? "/block" : "");
	if (glob(pattern, 0, NULL, &found) != 0)
		return NULL;
	path = strdup(found.gl_pathv[0]);
	globfree(&found);
	*strstr(path, "/virtio") = '\0';
	return path;
}

/* The capability that says where doorbells are; 0: there is none. */
static unsigned int find_notification(void)
{
	unsigned int at = config[PCI_CAPABILITY_LIST];

	for (unsigned int left = 48; at != 0 && left > 0;
	     left--, at = config[at + PCI_CAP_LIST_NEXT])
		if (at < sizeof(config) - sizeof(struct virtio_pci_notify_cap) &&
		    config[at] == PCI_CAP_ID_VNDR && config[at + 3] == VIRTIO_PCI_CAP_NOTIFY_CFG)
			return at;
	return 0;
}

static int open_part(const char *directory, const char *name, int flags)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return open(path, flags | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct virtio_pci_notify_cap cap;
	unsigned long count;
	unsigned int at;
	char *directory, bar[16];
	volatile uint16_t *doorbell;
	uint8_t *map;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: kicker ADDRESS|first COUNT\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 0);
	directory = find(argv[1]);
	fd = directory ? open_part(directory, "config", O_RDONLY) : -1;
	if (fd < 0 || read(fd, config, sizeof(config)) < 64)
		return complain("kicker: no such device");
	at = find_notification();
	if (at == 0) {
		fprintf(stderr, "kicker: %s: has no doorbells\n", directory);
		return 1;
	}
	memcpy(&cap, config + at, sizeof(cap));
	snprintf(bar, sizeof(bar), "resource%u", cap.cap.bar);
	fd = open_part(directory, bar, O_RDWR | O_SYNC);
	map = fd < 0 ? MAP_FAILED
		     : mmap(NULL, le32toh(cap.cap.offset) + 4096, PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return complain("kicker: its doorbells");
	doorbell = (volatile uint16_t *)(map + le32toh(cap.cap.offset));
	for (unsigned long i = 0; i < count; i++)
		*doorbell = 0;
	printf("kicker: %lu requests\n", count);
	return 0;
}
