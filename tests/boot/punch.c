// SPDX-License-Identifier: GPL-2.0-only
/*
 * punch PID TIMES: has the kernel take guest RAM from the nidus that is process PID, which was
 * started with
 * --mem-backing memfd, TIMES times: one page that the guest has never touched, so that nothing is
 * lost. What remains is the MMU notifier event, and what the host's KVM does for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The memfd that is mapped as guest RAM, opened anew; -1 if there is none. */
static int ram_open(const char *pid)
{
	char line[512], path[128];
	unsigned long start, end;
	FILE *maps;
	int fd = -1;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "r");
	while (maps && fd < 0 && fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "/memfd:guest-ram") || sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/map_files/%lx-%lx", pid, start, end);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (maps)
		fclose(maps);
	return fd;
}

int main(int argc, char **argv)
{
	off_t hole;
	int fd;

	if (argc != 3)
		return 2;
	fd = ram_open(argv[1]);
	if (fd < 0) {
		fprintf(stderr, "punch: process %s has no memfd of guest RAM\n", argv[1]);
		return 1;
	}
	hole = lseek(fd, 0, SEEK_HOLE);
	for (int i = atoi(argv[2]); i > 0; i--) {
		if (hole < 0 ||
		    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, hole, 4096)) {
			fprintf(stderr, "punch: %s\n", strerror(errno));
			return 1;
		}
	}
	return 0;
}
