// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A socket's address has room for 108 bytes, so sockets are named by their
 * directory's descriptor (/proc/self/fd/N/NAME), which also settles which directory that is. Who
 * looks whether a socket is dead and replaces it has the directory locked meanwhile, or else two
 * that start at once might both find it dead, and the second remove what the first has made.
 */
#include "control/control_socket.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "host/log.h"

#define SUFFIX	    ".sock"
#define SYSTEMS	    "/run/nidus" /* of services */
#define DIRECTORIES 2

/* Somebody else who has the directory locked for longer does not keep us. */
#define LOCK_TRIES   50
#define LOCK_WAIT_NS 20000000

static int complain(const char *what, int error)
{
	log_error("%s: %s", what, log_reason(error));
	return -error;
}

/* Directories of named sockets: this user's, in which it makes its own, and the system's. */
static const char *directory_path(unsigned int index, char *path)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (index > 0 || (!(runtime && *runtime == '/') && geteuid() == 0))
		return strcpy(path, SYSTEMS);
	if (runtime && *runtime == '/')
		snprintf(path, PATH_MAX, "%s/nidus", runtime);
	else
		snprintf(path, PATH_MAX, "/run/user/%u/nidus", geteuid());
	return path;
}

/* Not said. */
static int set_address(struct sockaddr_un *address, int directory, const char *name)
{
	const size_t room = sizeof(address->sun_path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((size_t)snprintf(address->sun_path, room, "/proc/self/fd/%d/%s", directory, name) >=
	    room)
		return -ENAMETOOLONG;
	return 0;
}

/* A connection, or -errno, not said. */
static int connect_at(int directory, const char *name)
{
	struct sockaddr_un address;
	int err = set_address(&address, directory, name), fd;

	if (err < 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static void lock(int directory)
{
	const struct timespec wait = { .tv_nsec = LOCK_WAIT_NS };

	for (unsigned int i = 0; i < LOCK_TRIES; i++) {
		if (flock(directory, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
			return;
		nanosleep(&wait, NULL);
	}
}

/* Whether the name can be had; what is dead by that name is removed. shown: for messages. */
static int make_room(const struct control_socket *listener, const char *shown)
{
	struct stat st;
	int fd;

	if (fstatat(listener->directory, listener->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : complain(shown, errno);
	if (!S_ISSOCK(st.st_mode)) {
		log_error("%s: is there already, and is no socket", shown);
		return -EEXIST;
	}
	fd = connect_at(listener->directory, listener->name);
	if (fd == -ECONNREFUSED) {
		if (unlinkat(listener->directory, listener->name, 0) < 0)
			return complain(shown, errno);
		return 0;
	}
	if (fd >= 0)
		close(fd);
	/* One whose queue is full is alive, too. */
	if (fd >= 0 || fd == -EAGAIN) {
		log_error("%s: a guest that runs listens there already", shown);
		return -EADDRINUSE;
	}
	return complain(shown, -fd);
}

static int make(struct control_socket *listener, const char *shown)
{
	struct sockaddr_un address;
	struct stat st;
	int err = set_address(&address, listener->directory, listener->name);

	if (err < 0)
		return complain(shown, -err);
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode of the name is that of the socket, before anybody can connect. */
	if (listener->fd < 0 || fchmod(listener->fd, 0600) < 0 ||
	    bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return complain(shown, errno);
	if (listen(listener->fd, SOMAXCONN) < 0 ||
	    fstatat(listener->directory, listener->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		err = complain(shown, errno);
		unlinkat(listener->directory, listener->name, 0);
		return err;
	}
	listener->device = st.st_dev;
	listener->inode = st.st_ino;
	return 0;
}

/* Takes the descriptor of the directory. */
static int open_at(struct control_socket *listener, int directory, const char *name,
		   const char *shown)
{
	int err;

	*listener = (struct control_socket){ .fd = -1, .directory = directory };
	if (strlen(name) >= sizeof(listener->name)) {
		err = complain(shown, ENAMETOOLONG);
	} else {
		strcpy(listener->name, name);
		lock(directory);
		err = make_room(listener, shown);
		if (err == 0)
			err = make(listener, shown);
		flock(directory, LOCK_UN);
	}
	if (err == 0)
		return 0;
	if (listener->fd >= 0)
		close(listener->fd);
	close(directory);
	listener->fd = -1;
	return err;
}

int control_socket_open(struct control_socket *listener, const char *path)
{
	char first[PATH_MAX], second[PATH_MAX];
	int directory;

	listener->fd = -1;
	if (!*path || path[strlen(path) - 1] == '/' || strlen(path) >= sizeof(first)) {
		log_error("--control %s: is no name of a socket", path);
		return -EINVAL;
	}
	strcpy(first, path);
	strcpy(second, path);
	directory = open(dirname(first), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return complain(path, errno);
	return open_at(listener, directory, basename(second), path);
}

/* The name of a file without a path, and no hidden one. */
static bool is_name(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/');
}

/* Opens this user's directory, and makes it if need be; nobody else may come into it. Not said. */
static int open_own(const char *path)
{
	struct stat st;
	int fd;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 077))
		return fd;
	close(fd);
	return -EPERM;
}

int control_socket_open_named(struct control_socket *listener, const char *name)
{
	char path[PATH_MAX], file[NAME_MAX + 1], shown[PATH_MAX + NAME_MAX + 2];
	int directory;

	listener->fd = -1;
	if (!is_name(name) ||
	    snprintf(file, sizeof(file), "%s" SUFFIX, name) >= (int)sizeof(file)) {
		log_error("--name %s: names a socket as well, so it must be the name of a file",
			  name);
		return -EINVAL;
	}
	directory = open_own(directory_path(0, path));
	if (directory < 0) {
		log_warning("--name %s: cannot be controlled by it: %s: %s", name, path,
			    directory == -EPERM ? "must be a directory of yours with mode 0700"
						: log_reason(-directory));
		return -ENOENT;
	}
	snprintf(shown, sizeof(shown), "%s/%s", path, file);
	return open_at(listener, directory, file, shown);
}

void control_socket_remove(const struct control_socket *listener)
{
	struct stat st;

	if (listener->fd >= 0 &&
	    fstatat(listener->directory, listener->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == listener->device && st.st_ino == listener->inode)
		unlinkat(listener->directory, listener->name, 0);
}

void control_socket_close(struct control_socket *listener)
{
	if (listener->fd < 0)
		return;
	close(listener->fd);
	close(listener->directory);
	listener->fd = -1;
}

/* Not said. */
static int connect_in(const char *path, const char *name)
{
	const int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (directory < 0)
		return -errno;
	fd = connect_at(directory, name);
	close(directory);
	return fd;
}

static int connect_path(const char *path)
{
	char first[PATH_MAX], second[PATH_MAX];

	if (strlen(path) >= sizeof(first))
		return -ENAMETOOLONG;
	strcpy(first, path);
	strcpy(second, path);
	return connect_in(dirname(first), basename(second));
}

static int connect_named(const char *name)
{
	char path[PATH_MAX], file[NAME_MAX + 1];
	int fd = -ENOENT;

	if (!is_name(name) || snprintf(file, sizeof(file), "%s" SUFFIX, name) >= (int)sizeof(file))
		return -ENOENT;
	for (unsigned int i = 0; i < DIRECTORIES && (fd == -ENOENT || fd == -ECONNREFUSED); i++)
		fd = connect_in(directory_path(i, path), file);
	return fd;
}

int control_socket_connect(const char *who, bool quiet)
{
	const bool is_path = strchr(who, '/');
	const int fd = is_path ? connect_path(who) : connect_named(who);

	if (fd >= 0 || quiet)
		return fd;
	if (!is_path && (fd == -ENOENT || fd == -ECONNREFUSED))
		log_error("%s: no guest that runs has that name (nidus list shows them)", who);
	else if (fd == -ECONNREFUSED)
		log_error("%s: nobody listens there any more", who);
	else
		complain(who, -fd);
	return fd;
}

static bool has_word(const struct word_list *list, const char *word)
{
	for (unsigned int i = 0; i < list->count; i++)
		if (strcmp(list->words[i], word) == 0)
			return true;
	return false;
}

static int add_names(struct word_list *names, const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int err = 0;

	while (directory && err == 0 && (entry = readdir(directory))) {
		const size_t length = strlen(entry->d_name), suffix = strlen(SUFFIX);

		if (length <= suffix || !is_name(entry->d_name) ||
		    strcmp(entry->d_name + length - suffix, SUFFIX) != 0)
			continue;
		entry->d_name[length - suffix] = '\0';
		if (!has_word(names, entry->d_name))
			err = word_list_add(names, entry->d_name, length - suffix);
	}
	if (directory)
		closedir(directory);
	return err;
}

static int by_name(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

int control_socket_names(struct word_list *names)
{
	char path[PATH_MAX];
	int err = 0;

	*names = (struct word_list){ 0 };
	for (unsigned int i = 0; i < DIRECTORIES && err == 0; i++)
		err = add_names(names, directory_path(i, path));
	if (err < 0) {
		word_list_clear(names);
		return complain("names of guests", -err);
	}
	if (names->count > 0)
		qsort(names->words, names->count, sizeof(*names->words), by_name);
	return 0;
}
