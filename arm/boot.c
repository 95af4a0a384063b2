// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot.h"
#include "log.h"
#include "util.h"

/* Linux copes with any address for either; whole pages keep the initrd easy to free. */
#define TREE_ALIGN   KIB(4)
#define INITRD_ALIGN KIB(4)

/* A flat binary may map no more than this before it has looked at its device tree. */
#define FLAT_TOP MIB(256)

static int boot_file_open(struct boot_file *file, const char *what, const char *path)
{
	struct stat st;
	int err;

	file->path = path;
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0 || fstat(file->fd, &st) < 0) {
		err = -errno;
		log_error("%s %s: %s", what, path, strerror(-err));
		return err;
	}
	if (!S_ISREG(st.st_mode)) {
		log_error("%s %s: is not a regular file", what, path);
		return -EINVAL;
	}
	if (st.st_size == 0) {
		log_error("%s %s: is empty", what, path);
		return -ENODATA;
	}
	file->size = st.st_size;
	return 0;
}

static int boot_parse_kernel(struct boot *boot)
{
	uint8_t head[IMAGE_HEAD_SIZE];
	const char *complaint;
	ssize_t got;

	do
		got = pread(boot->kernel.fd, head, sizeof(head), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		int err = -errno;

		log_error("kernel %s: %s", boot->kernel.path, strerror(-err));
		return err;
	}
	complaint = image_parse(head, got, boot->kernel.size, &boot->image);
	if (complaint) {
		log_error("kernel %s: %s", boot->kernel.path, complaint);
		return -ENOEXEC;
	}
	return 0;
}

int boot_open(struct boot *boot, const char *kernel, const char *initrd)
{
	int err;

	*boot = (struct boot){ .kernel.fd = -1, .initrd.fd = -1 };
	err = boot_file_open(&boot->kernel, "kernel", kernel);
	if (err == 0)
		err = boot_parse_kernel(boot);
	if (err == 0 && initrd)
		err = boot_file_open(&boot->initrd, "initrd", initrd);
	if (err < 0)
		boot_close(boot);
	return err;
}

void boot_close(struct boot *boot)
{
	if (boot->kernel.fd >= 0)
		close(boot->kernel.fd);
	if (boot->initrd.fd >= 0)
		close(boot->initrd.fd);
	boot->kernel.fd = boot->initrd.fd = -1;
}

int boot_place(struct boot *boot, uint64_t ram_base, uint64_t ram_size)
{
	const uint64_t extent = boot->image.text_offset + boot->image.extent;
	/* Each summand is below 2^62, so nothing wraps. */
	const uint64_t needed = align_up(extent, TREE_ALIGN) + BOOT_TREE_SIZE_MAX +
				align_up(boot->initrd.size, INITRD_ALIGN);

	if (boot->kernel.size > INT64_MAX / 4 || boot->initrd.size > INT64_MAX / 4 ||
	    needed > ram_size) {
		log_error("kernel, device tree and initrd need %" PRIu64
			  " MiB of RAM, but the guest has %" PRIu64 " MiB",
			  (needed + MIB(1) - 1) >> 20, ram_size >> 20);
		return -ENOSPC;
	}

	boot->kernel_gpa = ram_base + boot->image.text_offset;
	if (boot->image.extent_known) {
		boot->tree_gpa = ram_base + align_up(extent, TREE_ALIGN);
		boot->initrd_gpa = boot->tree_gpa + BOOT_TREE_SIZE_MAX;
	} else {
		uint64_t top = ram_size < FLAT_TOP ? ram_size : FLAT_TOP;

		/* A large initrd pushes both up; the sum above says that they fit below ram_size.
		 */
		if (top < needed)
			top = needed;
		boot->tree_gpa = ram_base + align_down(top - BOOT_TREE_SIZE_MAX, TREE_ALIGN);
		boot->initrd_gpa = align_down(boot->tree_gpa - boot->initrd.size, INITRD_ALIGN);
	}
	return 0;
}

static int boot_load_file(const struct boot_file *file, const char *what, uint64_t gpa,
			  struct memory *memory)
{
	int err = memory_load_file(memory, gpa, file->fd, file->size);

	if (err < 0)
		log_error("%s %s: %s", what, file->path,
			  err == -ENODATA ? "ended while it was being read" : strerror(-err));
	return err;
}

int boot_load(const struct boot *boot, struct memory *memory)
{
	int err = boot_load_file(&boot->kernel, "kernel", boot->kernel_gpa, memory);

	if (err == 0 && boot->initrd.path)
		err = boot_load_file(&boot->initrd, "initrd", boot->initrd_gpa, memory);
	return err;
}
