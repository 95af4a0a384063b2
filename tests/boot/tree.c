// SPDX-License-Identifier: GPL-2.0-only
/*
 * tree DIRECTORY COUNT: what programs ask of a file system, in an empty directory, which is empty
 * again in the end: COUNT files that are made, found and removed, and one thing of each kind that
 * goes wrong easily where somebody else serves the files. Tells how many, and what is not so.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PAGE	4096
#define PAGES	8
#define FOLDER	1000 /* files of one */
#define CONTENT 100 /* one of so many has any */
#define FAR	(INT64_C(1) << 30) /* bytes */

/* The next line of a check: false, and told, unless it holds. */
#define must(condition)                                      \
	do {                                                 \
		if (!(condition))                            \
			return not_so(#condition, __LINE__); \
	} while (0)

static bool not_so(const char *condition, int line)
{
	printf("tree: line %d, not so: %s (%s)\n", line, condition, strerror(errno));
	return false;
}

static unsigned int count;

/* Many files. */

static void name_of(char *name, unsigned int i)
{
	sprintf(name, "%u/%u", i / FOLDER, i);
}

static bool make_one(const char *name, unsigned int i)
{
	int fd;

	must(mknod(name, S_IFREG | 0644, 0) == 0);
	if (i % CONTENT)
		return true;
	fd = open(name, O_WRONLY);
	must(fd >= 0);
	must(write(fd, &i, sizeof(i)) == sizeof(i));
	must(close(fd) == 0);
	return true;
}

static bool make_all(void)
{
	char name[32];

	for (unsigned int i = 0; i < count; i++) {
		sprintf(name, "%u", i / FOLDER);
		if (i % FOLDER == 0)
			must(mkdir(name, 0755) == 0);
		name_of(name, i);
		if (!make_one(name, i))
			return false;
	}
	return true;
}

/* Each of a folder's once, and no others. */
static bool count_folder(unsigned int first, unsigned int *found)
{
	static bool seen[FOLDER];
	const struct dirent *entry;
	char name[32];
	DIR *folder;

	sprintf(name, "%u", first / FOLDER);
	folder = opendir(name);
	must(folder);
	memset(seen, 0, sizeof(seen));
	while ((entry = readdir(folder))) {
		const unsigned long i = strtoul(entry->d_name, NULL, 10);

		if (entry->d_name[0] == '.')
			continue;
		must(i >= first && i < first + FOLDER && !seen[i - first]);
		seen[i - first] = true;
		++*found;
	}
	closedir(folder);
	return true;
}

static bool look_at_all(void)
{
	char name[32];
	struct stat st;

	for (unsigned int i = 0; i < count; i += CONTENT) {
		unsigned int content = ~i;
		int fd;

		name_of(name, i);
		fd = open(name, O_RDONLY);
		must(fd >= 0);
		must(read(fd, &content, sizeof(content)) == sizeof(content));
		must(content == i);
		close(fd);
		name_of(name, i + 1);
		must(i + 1 >= count || (stat(name, &st) == 0 && st.st_size == 0));
	}
	return true;
}

static bool remove_all(void)
{
	char name[32];

	for (unsigned int i = 0; i < count; i++) {
		name_of(name, i);
		must(unlink(name) == 0);
		sprintf(name, "%u", i / FOLDER);
		if (i % FOLDER == FOLDER - 1 || i == count - 1)
			must(rmdir(name) == 0);
	}
	return true;
}

static bool many_files(void)
{
	unsigned int found = 0;

	if (!make_all())
		return false;
	for (unsigned int i = 0; i < count; i += FOLDER)
		if (!count_folder(i, &found))
			return false;
	must(found == count);
	if (!look_at_all() || !remove_all())
		return false;
	printf("tree: %u files\n", found);
	return true;
}

/* One file, of so many pages, each full of its number, counted from one. */
static int make_pages(const char *name, int flags)
{
	static uint8_t page[PAGE];
	const int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | flags, 0644);

	for (int i = 0; i < PAGES && fd >= 0; i++) {
		memset(page, i + 1, PAGE);
		if (write(fd, page, PAGE) != PAGE)
			return -1;
	}
	return fd;
}

static int byte_at(int fd, off_t offset)
{
	uint8_t byte = 0;

	return pread(fd, &byte, 1, offset) == 1 ? byte : -1;
}

/* A file as another one finds it who has nothing but its name. */
static int byte_of(const char *name, off_t offset)
{
	const int fd = open(name, O_RDONLY);
	const int byte = byte_at(fd, offset);

	close(fd);
	return byte;
}

static bool links(void)
{
	const int fd = make_pages("one", 0);
	struct stat one, two;

	must(fd >= 0);
	must(link("one", "two") == 0);
	must(stat("one", &one) == 0 && stat("two", &two) == 0);
	must(one.st_ino == two.st_ino && one.st_nlink == 2 && two.st_nlink == 2);
	must(pwrite(fd, "x", 1, PAGE) == 1);
	must(byte_of("two", PAGE) == 'x');
	must(link("one", "two") < 0 && errno == EEXIST);
	must(unlink("one") == 0);
	must(stat("two", &two) == 0 && two.st_nlink == 1);
	/* Without a name it is there as long as somebody has it open. */
	must(unlink("two") == 0);
	must(fstat(fd, &two) == 0 && two.st_nlink == 0);
	must(pwrite(fd, "y", 1, 0) == 1 && byte_at(fd, 0) == 'y');
	close(fd);
	return true;
}

static bool symbolic_links(void)
{
	char target[16] = "";
	struct stat st;

	close(make_pages("target", 0));
	must(symlink("target", "to") == 0);
	must(readlink("to", target, sizeof(target)) == 6 && memcmp(target, "target", 6) == 0);
	must(lstat("to", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 6);
	must(stat("to", &st) == 0 && S_ISREG(st.st_mode) && byte_of("to", 0) == 1);
	must(open("to", O_RDONLY | O_NOFOLLOW) < 0 && errno == ELOOP);
	must(unlink("target") == 0);
	must(stat("to", &st) < 0 && errno == ENOENT);
	must(symlink("to", "back") == 0 && unlink("to") == 0 && symlink("back", "to") == 0);
	must(stat("to", &st) < 0 && errno == ELOOP);
	must(unlink("to") == 0 && unlink("back") == 0);
	return true;
}

static bool shared_mapping(void)
{
	const int fd = make_pages("mapped", 0);
	uint8_t *map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(fd >= 0 && map != MAP_FAILED);
	for (int i = 0; i < PAGES; i++)
		must(map[i * PAGE] == i + 1 && map[(i + 1) * PAGE - 1] == i + 1);
	/* One of them seen by read(2), one written by write(2), one behind the file's end. */
	map[3 * PAGE + 5] = 'm';
	must(msync(map, PAGES * PAGE, MS_SYNC) == 0);
	must(byte_of("mapped", 3 * PAGE + 5) == 'm');
	must(pwrite(fd, "w", 1, 4 * PAGE) == 1 && map[4 * PAGE] == 'w');
	map[6 * PAGE] = 'l';
	must(munmap(map, PAGES * PAGE) == 0);
	close(fd);
	must(byte_of("mapped", 6 * PAGE) == 'l');
	must(unlink("mapped") == 0);
	return true;
}

static bool private_mapping(void)
{
	const int fd = make_pages("mapped", 0);
	uint8_t *map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	must(fd >= 0 && map != MAP_FAILED);
	must(map[2 * PAGE] == 3);
	map[2 * PAGE] = 'p';
	must(map[2 * PAGE] == 'p' && byte_at(fd, 2 * PAGE) == 3);
	must(munmap(map, PAGES * PAGE) == 0);
	close(fd);
	must(byte_of("mapped", 2 * PAGE) == 3);
	must(unlink("mapped") == 0);
	return true;
}

static bool attributes(void)
{
	char value[64] = "", names[64] = "";

	close(make_pages("file", 0));
	must(setxattr("file", "user.nidus", "one", 3, XATTR_CREATE) == 0);
	must(setxattr("file", "user.nidus", "two", 3, XATTR_CREATE) < 0 && errno == EEXIST);
	must(setxattr("file", "user.nidus", "three", 5, XATTR_REPLACE) == 0);
	must(getxattr("file", "user.nidus", value, sizeof(value)) == 5);
	must(memcmp(value, "three", 5) == 0);
	must(getxattr("file", "user.nidus", value, 2) < 0 && errno == ERANGE);
	must(listxattr("file", names, sizeof(names)) == 11 && strcmp(names, "user.nidus") == 0);
	must(removexattr("file", "user.nidus") == 0);
	must(getxattr("file", "user.nidus", value, sizeof(value)) < 0 && errno == ENODATA);
	must(unlink("file") == 0);
	return true;
}

static bool renames(void)
{
	int fd = make_pages("old", 0);
	struct stat st;

	must(pwrite(fd, "o", 1, 0) == 1);
	close(fd);
	fd = make_pages("new", 0);
	must(rename("old", "new") == 0);
	must(stat("old", &st) < 0 && errno == ENOENT && byte_of("new", 0) == 'o');
	/* The one that was there before, in the hands of who has it open. */
	must(byte_at(fd, 0) == 1 && fstat(fd, &st) == 0 && st.st_nlink == 0);
	close(fd);
	close(make_pages("old", 0));
	must(renameat2(AT_FDCWD, "old", AT_FDCWD, "new", RENAME_NOREPLACE) < 0 && errno == EEXIST);
	must(renameat2(AT_FDCWD, "old", AT_FDCWD, "new", RENAME_EXCHANGE) == 0);
	must(byte_of("old", 0) == 'o' && byte_of("new", 0) == 1);
	must(unlink("old") == 0);
	must(mkdir("from", 0755) == 0 && mkdir("to", 0755) == 0);
	must(rename("new", "from/file") == 0);
	must(rename("to", "from") < 0 && errno == ENOTEMPTY);
	must(rename("from", "to") == 0 && byte_of("to/file", 0) == 1);
	must(unlink("to/file") == 0 && rmdir("to") == 0);
	return true;
}

static bool sparse(void)
{
	const int fd = make_pages("sparse", 0);
	struct stat st;

	must(pwrite(fd, "f", 1, FAR) == 1);
	must(fstat(fd, &st) == 0 && st.st_size == FAR + 1);
	must(st.st_blocks < 1024);
	must(byte_at(fd, FAR / 2) == 0 && byte_at(fd, FAR) == 'f');
	must(lseek(fd, 0, SEEK_HOLE) == PAGES * PAGE);
	must(lseek(fd, FAR / 2, SEEK_DATA) == FAR);
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE) == 0);
	must(byte_at(fd, PAGE - 1) == 1 && byte_at(fd, PAGE) == 0 && byte_at(fd, 2 * PAGE) == 3);
	must(ftruncate(fd, 100) == 0 && fstat(fd, &st) == 0 && st.st_size == 100);
	must(ftruncate(fd, PAGE) == 0 && byte_at(fd, 99) == 1 && byte_at(fd, 100) == 0);
	must(close(fd) == 0 && unlink("sparse") == 0);
	return true;
}

/* Past the guest's page cache. */
static bool direct(void)
{
	uint8_t *pages = aligned_alloc(PAGE, 2 * PAGE);
	const int cached = make_pages("direct", 0);
	const int fd = open("direct", O_RDWR | O_DIRECT);

	must(pages && cached >= 0 && fd >= 0);
	must(byte_at(cached, PAGE) == 2);
	memset(pages, 'd', 2 * PAGE);
	must(pwrite(fd, pages, 2 * PAGE, PAGE) == 2 * PAGE);
	must(byte_at(cached, PAGE) == 'd' && byte_at(cached, 3 * PAGE) == 4);
	memset(pages, 0, 2 * PAGE);
	must(pread(fd, pages, 2 * PAGE, 2 * PAGE) == 2 * PAGE);
	must(pages[0] == 'd' && pages[PAGE] == 4);
	free(pages);
	must(close(fd) == 0 && close(cached) == 0 && unlink("direct") == 0);
	return true;
}

/* Whether another process finds a lock on the file's first bytes; 2: it cannot tell. */
static int is_locked(const char *name)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };
	const pid_t other = fork();
	int status = 0;

	if (other == 0) {
		const int fd = open(name, O_RDWR);

		_exit(fcntl(fd, F_GETLK, &lock) < 0 ? 2 : lock.l_type != F_UNLCK);
	}
	waitpid(other, &status, 0);
	return WEXITSTATUS(status);
}

static bool locks(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };
	const int fd = make_pages("locked", 0), other = open("locked", O_RDWR);

	must(fd >= 0 && other >= 0);
	must(flock(fd, LOCK_EX) == 0);
	must(flock(other, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	must(flock(fd, LOCK_UN) == 0 && flock(other, LOCK_EX | LOCK_NB) == 0);
	must(fcntl(fd, F_SETLK, &lock) == 0);
	must(is_locked("locked") == 1);
	lock.l_type = F_UNLCK;
	must(fcntl(fd, F_SETLK, &lock) == 0);
	must(is_locked("locked") == 0);
	must(close(fd) == 0 && close(other) == 0 && unlink("locked") == 0);
	return true;
}

static const struct {
	const char *name;
	bool (*holds)(void);
} kinds[] = {
	{ "many files", many_files },
	{ "links", links },
	{ "symbolic links", symbolic_links },
	{ "shared mapping", shared_mapping },
	{ "private mapping", private_mapping },
	{ "attributes", attributes },
	{ "renames", renames },
	{ "sparse", sparse },
	{ "direct", direct },
	{ "locks", locks },
};

int main(int argc, char **argv)
{
	unsigned int held = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3 || chdir(argv[1]) < 0) {
		fprintf(stderr, "usage: tree DIRECTORY COUNT\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		errno = 0;
		if (kinds[i].holds())
			held++;
		else
			printf("tree: that was of: %s\n", kinds[i].name);
	}
	printf("tree: %u of %zu\n", held, sizeof(kinds) / sizeof(*kinds));
	return held != sizeof(kinds) / sizeof(*kinds);
}
