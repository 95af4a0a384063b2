// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/boot.h"
#include "foreign.h"
#include "host/file.h"
#include "host/log.h"
#include "mm/load.h"
#include "util.h"

/* COMMAND_LINE_SIZE of Linux, arch/arm64/include/uapi/asm/setup.h, with the NUL. */
#define PARAMS_MAX 2048

/* The most that is unpacked at a time. */
#define UNPACK_SIZE KIB(256)

static int boot_file_error(const struct boot_file *file, const char *what, int err)
{
	log_error("%s %s: %s", what, file->path, log_reason(-err));
	return err;
}

static int boot_file_open(struct boot_file *file, const char *what, const char *path)
{
	struct stat st;

	file->path = path;
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0 || file_stat(file->fd, &st) < 0)
		return boot_file_error(file, what, -errno);
	if (S_ISREG(st.st_mode))
		return 0;
	close(file->fd);
	file->fd = -1;
	log_error("%s %s: is not a regular file", what, path);
	return -EINVAL;
}

static int boot_file_measure(const struct boot_file *file, const char *what, uint64_t *size)
{
	struct stat st;

	if (file_stat(file->fd, &st) < 0)
		return boot_file_error(file, what, -errno);
	*size = st.st_size;
	if (*size > 0)
		return 0;
	log_error("%s %s: is empty", what, file->path);
	return -ENODATA;
}

int boot_files_open(struct boot_files *files, const char *kernel, const char *initrd,
		    const struct archive *archive)
{
	int err = 0;

	*files = (struct boot_files){
		.kernel.fd = -1,
		.initrd.fd = -1,
		.archive = archive,
		.tree.fd = -1,
	};
	if (kernel)
		err = boot_file_open(&files->kernel, "kernel", kernel);
	if (err == 0 && initrd)
		err = boot_file_open(&files->initrd, "initrd", initrd);
	if (err < 0)
		boot_files_close(files);
	return err;
}

int boot_files_add_module(struct boot_files *files, const char *path)
{
	int err = boot_file_open(&files->modules[files->module_count], "module", path);

	if (err == 0)
		files->module_count++;
	return err;
}

int boot_files_add_tree(struct boot_files *files, const char *path)
{
	return boot_file_open(&files->tree, "device tree", path);
}

int boot_files_add_overlay(struct boot_files *files, const char *path)
{
	int err = boot_file_open(&files->overlays[files->overlay_count], "overlay", path);

	if (err == 0)
		files->overlay_count++;
	return err;
}

void boot_files_close(struct boot_files *files)
{
	while (files->module_count > 0)
		close(files->modules[--files->module_count].fd);
	while (files->overlay_count > 0)
		close(files->overlays[--files->overlay_count].fd);
	if (files->tree.fd >= 0)
		close(files->tree.fd);
	if (files->kernel.fd >= 0)
		close(files->kernel.fd);
	if (files->initrd.fd >= 0)
		close(files->initrd.fd);
	files->kernel.fd = files->initrd.fd = files->tree.fd = -1;
}

static int boot_kernel_error(const struct boot *boot, int err, const char *complaint)
{
	log_error("kernel %s: %s", boot->files->kernel.path, complaint);
	return err;
}

/* What a compressed kernel is, by the beginning of what it unpacks to. */
static int boot_parse_packed(struct boot *boot)
{
	struct unpack *unpack = unpack_open(&boot->packed, boot->files->kernel.fd);
	uint8_t head[IMAGE_HEAD_SIZE];
	const char *complaint;
	int64_t got;

	if (!unpack)
		return boot_kernel_error(boot, -ENOMEM, strerror(ENOMEM));
	got = unpack_read(unpack, head, sizeof(head));
	unpack_close(unpack);
	if (got < 0)
		return boot_kernel_error(boot, got, unpack_complaint(got));
	complaint = image_parse_packed(head, got, &boot->image);
	if (complaint) {
		log_error("kernel %s: %s, and what it holds %s", boot->files->kernel.path,
			  unpack_format(&boot->packed), complaint);
		return -ENOEXEC;
	}
	return 0;
}

/* Bytes of the kernel's file, fewer only at its end, or -errno. */
static ssize_t boot_read(const struct boot *boot, void *buffer, size_t size, uint64_t offset)
{
	ssize_t got;

	do
		got = file_pread(boot->files->kernel.fd, buffer, size, offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* A seeming flat binary may have the magic number of another format further inside. */
static int boot_check_part(const struct boot *boot, size_t size, uint64_t offset)
{
	uint8_t part[FOREIGN_HEAD_SIZE];
	const char *complaint;
	ssize_t got = boot_read(boot, part, size, offset);

	if (got < 0)
		return boot_kernel_error(boot, got, strerror(-got));
	complaint = foreign_find(part, got, offset, boot->kernel_size);
	return complaint ? boot_kernel_error(boot, -ENOEXEC, complaint) : 0;
}

static int boot_check_flat(const struct boot *boot)
{
	const uint64_t size = boot->kernel_size;
	int err = 0;

	if (size > IMAGE_HEAD_SIZE)
		err = boot_check_part(boot, FOREIGN_HEAD_SIZE, 0);
	if (err == 0 && size > FOREIGN_HEAD_SIZE)
		err = boot_check_part(boot, FOREIGN_TAIL_SIZE, size - FOREIGN_TAIL_SIZE);
	return err;
}

static int boot_parse_kernel(struct boot *boot)
{
	uint8_t head[IMAGE_HEAD_SIZE];
	const char *complaint;
	ssize_t got = boot_read(boot, head, sizeof(head), 0);

	if (got < 0)
		return boot_kernel_error(boot, got, strerror(-got));
	complaint = unpack_parse(head, got, boot->kernel_size, &boot->packed);
	if (!complaint && boot->packed.format != PACKED_NOT)
		return boot_parse_packed(boot);
	if (!complaint && boot->kernel_address != 0) {
		image_flat(&boot->image);
		boot->image.extent = boot->kernel_size;
		return 0;
	}
	if (!complaint)
		complaint = image_parse(head, got, boot->kernel_size, &boot->image);
	if (complaint)
		return boot_kernel_error(boot, -ENOEXEC, complaint);
	return boot->image.kind == IMAGE_FLAT ? boot_check_flat(boot) : 0;
}

int boot_parse(struct boot *boot, const struct boot_files *files)
{
	int err;

	*boot = (struct boot){
		.files = files,
		.kernel_address = files->kernel_address,
		.module_count = files->module_count,
	};
	err = boot_file_measure(&files->kernel, "kernel", &boot->kernel_size);
	if (err == 0)
		err = boot_parse_kernel(boot);
	if (err == 0 && files->archive)
		boot->initrd_size = archive_size(files->archive);
	else if (err == 0 && files->initrd.path)
		err = boot_file_measure(&files->initrd, "initrd", &boot->initrd_size);
	for (unsigned int i = 0; i < files->module_count && err == 0; i++)
		err = boot_file_measure(&files->modules[i], "module", &boot->modules[i].size);
	return err;
}

void boot_check_params(const struct boot *boot, const char *params)
{
	static struct log_limit limit;
	const size_t length = params ? strlen(params) : 0;

	if (boot->image.kind == IMAGE_LINUX && length >= PARAMS_MAX)
		log_guest(&limit,
			  "--params has %zu bytes, of which Linux on arm64 takes the first %d only",
			  length, PARAMS_MAX - 1);
}

static int boot_load_file(const struct boot_file *file, const char *what, uint64_t size,
			  uint64_t gpa, struct memory *memory)
{
	int err = load_file(memory, gpa, file->fd, size);

	if (err < 0)
		log_error("%s %s: %s", what, file->path,
			  err == -ENODATA ? "ended while it was being read" : strerror(-err));
	return err;
}

/* Unpacks into the kernel's place, whose end is where the Image says that it ends. */
static int64_t boot_unpack_into(const struct boot *boot, struct unpack *unpack,
				struct memory *memory)
{
	const uint64_t extent = boot->image.extent;
	uint64_t done = 0, want;
	int64_t got;

	do {
		void *host;
		int err;

		want = extent - done < UNPACK_SIZE ? extent - done : UNPACK_SIZE;
		err = memory_load_at(memory, boot->kernel_gpa + done, want, &host);
		if (err < 0)
			return err;
		got = unpack_read(unpack, host, want);
		if (got < 0)
			return got;
		done += got;
	} while (want > 0 && got == (int64_t)want);
	return done;
}

/* Whether a stream that has filled all of an Image's extent has come to its end. */
static int64_t boot_unpack_more(struct unpack *unpack)
{
	uint8_t more;

	return unpack_read(unpack, &more, sizeof(more));
}

static int boot_load_packed(const struct boot *boot, struct memory *memory)
{
	const char *const path = boot->files->kernel.path;
	struct unpack *unpack = unpack_open(&boot->packed, boot->files->kernel.fd);
	int64_t got, more = 0;

	if (!unpack)
		return boot_kernel_error(boot, -ENOMEM, strerror(ENOMEM));
	got = boot_unpack_into(boot, unpack, memory);
	if (got >= 0)
		more = boot_unpack_more(unpack);
	unpack_close(unpack);
	if (got < 0 || more < 0) {
		int err = got < 0 ? got : more;

		return boot_kernel_error(boot, err, unpack_complaint(err));
	}
	if (more > 0) {
		log_error("kernel %s: unpacks to more than the %" PRIu64
			  " bytes that its image_size says",
			  path, boot->image.extent);
		return -EFBIG;
	}
	if ((uint64_t)got < boot->image.sections) {
		log_error("kernel %s: unpacks to %" PRIi64
			  " bytes only, but its sections end at %" PRIu64,
			  path, got, boot->image.sections);
		return -ENODATA;
	}
	return 0;
}

static int boot_load_kernel(const struct boot *boot, struct memory *memory)
{
	if (boot->packed.format != PACKED_NOT)
		return boot_load_packed(boot, memory);
	return boot_load_file(&boot->files->kernel, "kernel", boot->kernel_size, boot->kernel_gpa,
			      memory);
}

int boot_load(const struct boot *boot, struct memory *memory)
{
	const struct boot_files *files = boot->files;
	int err = boot_load_kernel(boot, memory);

	if (err == 0 && files->archive)
		err = archive_load(files->archive, memory, boot->initrd_gpa);
	else if (err == 0 && files->initrd.path)
		err = boot_load_file(&files->initrd, "initrd", boot->initrd_size, boot->initrd_gpa,
				     memory);
	for (unsigned int i = 0; i < files->module_count && err == 0; i++)
		err = boot_load_file(&files->modules[i], "module", boot->modules[i].size,
				     boot->modules[i].start, memory);
	return err;
}
