// SPDX-License-Identifier: GPL-2.0-only
/*
 * relay PORT SOCKET, or relay PORT COMMAND ARG...: what comes from the virtio-serial port of that
 * name goes to a Unix socket, or to what COMMAND reads, and the other way round. The board has no
 * network by which a debugger of the machine around it could reach a guest's. Without anybody at
 * the port's other end it waits.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PORTS "/sys/class/virtio-ports"

static void nap(void)
{
	usleep(10000);
}

/* The port's device, once it is there. */
static int open_port(const char *wanted)
{
	char path[512], name[128];
	struct dirent *entry;
	DIR *ports = opendir(PORTS);
	int fd = -1;

	while (ports && fd < 0 && (entry = readdir(ports))) {
		FILE *file;

		snprintf(path, sizeof(path), PORTS "/%s/name", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file) && strcspn(name, "\n") == strlen(wanted) &&
		    strncmp(name, wanted, strlen(wanted)) == 0) {
			snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
			fd = open(path, O_RDWR | O_NONBLOCK);
		}
		fclose(file);
	}
	if (ports)
		closedir(ports);
	return fd;
}

static int open_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != ENOENT && errno != ECONNREFUSED)
			return -1;
		nap();
	}
	return fd;
}

/* A socket that is stdin and stdout of a process; when that ends, so does what is read there. */
static int begin(char **command)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	if (fork() == 0) {
		dup2(pair[1], STDIN_FILENO);
		dup2(pair[1], STDOUT_FILENO);
		execvp(command[0], command);
		_exit(127);
	}
	close(pair[1]);
	return pair[0];
}

/* All of it, however slowly it is taken. */
static int give(int fd, const char *data, ssize_t size)
{
	while (size > 0) {
		const ssize_t written = write(fd, data, size);

		if (written < 0 && errno != EAGAIN)
			return -1;
		if (written < 0)
			nap();
		else
			data += written, size -= written;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char data[4096];
	struct pollfd fds[2] = { { .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	ssize_t size;

	if (argc < 3)
		return 2;
	while ((fds[0].fd = open_port(argv[1])) < 0)
		nap();
	for (;;) {
		poll(fds, 2, 1000);
		size = read(fds[0].fd, data, sizeof(data));
		if (size > 0 && fds[1].fd < 0)
			fds[1].fd = argc > 3 ? begin(argv + 2) : open_socket(argv[2]);
		if (size > 0 && give(fds[1].fd, data, size) < 0)
			return 1;
		if (size <= 0 && fds[0].revents & POLLHUP) {
			if (fds[1].fd >= 0)
				close(fds[1].fd);
			fds[1].fd = -1;
			nap();
		}
		if (fds[1].fd < 0 || !(fds[1].revents & (POLLIN | POLLHUP)))
			continue;
		size = read(fds[1].fd, data, sizeof(data));
		if (size > 0 && give(fds[0].fd, data, size) < 0)
			return 1;
		if (size <= 0) {
			close(fds[1].fd);
			fds[1].fd = -1;
		}
	}
}
