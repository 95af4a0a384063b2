// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit.h"

#include "mm/memory.h"
#include "util.h"
#include "vhost.h"

#define VERSION_1 (UINT64_C(1) << 32)
#define SEQPACKET (UINT64_C(1) << 1)
#define CID	  42

/* In place of the kernel: a journal of what was asked. */
static struct {
	char journal[1024];
	int open_error;
	unsigned long fails; /* this ioctl does */
	int error;
	int fd;
} kernel;

static struct vhost *vhost;
static struct memory memory;

int open(const char *path, int flags, ...)
{
	if (strcmp(path, "/dev/vhost-vsock") != 0)
		return syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
	errno = kernel.open_error;
	if (kernel.open_error)
		return -1;
	kernel.fd = syscall(SYS_openat, AT_FDCWD, "/dev/null", flags, 0);
	return kernel.fd;
}

static void note(const char *format, ...)
{
	const size_t used = strlen(kernel.journal);
	va_list args;

	va_start(args, format);
	vsnprintf(kernel.journal + used, sizeof(kernel.journal) - used, format, args);
	va_end(args);
}

static const char *name_of(unsigned long request)
{
	switch (request) {
	case VHOST_SET_OWNER:
		return "owner";
	case VHOST_SET_FEATURES:
		return "features";
	case VHOST_SET_MEM_TABLE:
		return "memory";
	case VHOST_SET_VRING_NUM:
		return "num";
	case VHOST_SET_VRING_ADDR:
		return "addr";
	case VHOST_SET_VRING_BASE:
		return "base";
	case VHOST_SET_VRING_CALL:
		return "call";
	case VHOST_SET_VRING_KICK:
		return "kick";
	default:
		return NULL;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list args;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	assert_int_equal(fd, kernel.fd);
	errno = kernel.error;
	if (request == kernel.fails)
		return -1;
	if (request == VHOST_GET_FEATURES)
		*(uint64_t *)argument = UINT64_MAX;
	else if (request == VHOST_VSOCK_SET_GUEST_CID)
		note("cid %llu ", *(unsigned long long *)argument);
	else if (request == VHOST_VSOCK_SET_RUNNING)
		note("running %d ", *(int *)argument);
	else if (request == VHOST_GET_VRING_BASE)
		((struct vhost_vring_state *)argument)->num =
			100 + ((struct vhost_vring_state *)argument)->index;
	else
		note("%s ", name_of(request));
	return 0;
}

static int begin(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	vhost = NULL;
	if (memory_create(&memory, GIB(1), MIB(2), MEMORY_ANON, NULL) < 0)
		return -1;
	return catch_begin(state);
}

static int finish(void **state)
{
	if (vhost)
		vhost->ops->close(vhost);
	memory_destroy(&memory);
	return catch_end(state);
}

static const struct vhost_ring ring = { 0x1000, 0x2000, 0x3000, 64, 7, 200, 201 };

static void assert_asked(const char *expected)
{
	assert_string_equal(kernel.journal, expected);
	kernel.journal[0] = '\0';
}

static void both_rings_run_together(void **state)
{
	uint16_t base;

	assert_int_equal(vhost_vsock_open(&vhost, CID), 0);
	assert_int_equal(vhost->rings, 2);
	assert_false(vhost->shares_memory);
	assert_int_equal(vhost->features & ((UINT64_C(1) << 24) - 1), SEQPACKET);
	assert_asked("owner cid 42 ");
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	assert_asked("features memory ");
	assert_int_equal(vhost->ops->start(vhost, 1, &ring), 0);
	assert_asked("num addr base call kick ");
	assert_int_equal(vhost->ops->start(vhost, 0, &ring), 0);
	assert_asked("num addr base call kick running 1 ");
	/* The first that stops stops both. */
	assert_int_equal(vhost->ops->stop(vhost, 0, &base), 0);
	assert_int_equal(base, 100);
	assert_asked("running 0 kick call ");
	assert_int_equal(vhost->ops->stop(vhost, 1, &base), 0);
	assert_int_equal(base, 101);
	assert_asked("kick call ");
	/* In another life once more. */
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	assert_int_equal(vhost->ops->start(vhost, 0, &ring), 0);
	kernel.journal[0] = '\0';
	assert_int_equal(vhost->ops->start(vhost, 1, &ring), 0);
	assert_asked("num addr base call kick running 1 ");
	assert_silent();
}

static void where_it_is_not_there(void **state)
{
	kernel.open_error = ENOENT;
	assert_int_equal(vhost_vsock_open(&vhost, CID), -ENOENT);
	assert_said("/dev/vhost-vsock: No such file or directory; it is of the kernel's module");
	kernel.open_error = EACCES;
	assert_int_equal(vhost_vsock_open(&vhost, CID), -EACCES);
	assert_said("/dev/vhost-vsock: Permission denied");
}

static void an_identifier_that_is_taken(void **state)
{
	kernel.fails = VHOST_VSOCK_SET_GUEST_CID;
	kernel.error = EADDRINUSE;
	assert_int_equal(vhost_vsock_open(&vhost, CID), -EINVAL);
	assert_said("--vsock 42: another guest has this context identifier");
	assert_int_equal(fcntl(kernel.fd, F_GETFD), -1);
	kernel.error = ENOMEM;
	assert_int_equal(vhost_vsock_open(&vhost, CID), -ENOMEM);
	assert_said("--vsock 42: Cannot allocate memory");
}

/* Whatever fails, the kernel touches nothing any more: its file is closed. */
static void a_failing_call_loses_it(void **state)
{
	static const unsigned long requests[] = { VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE,
						  VHOST_SET_VRING_ADDR, VHOST_VSOCK_SET_RUNNING,
						  VHOST_GET_VRING_BASE };
	uint16_t base;

	for (unsigned int i = 0; i < ARRAY_SIZE(requests); i++) {
		int err;

		kernel.fails = 0;
		assert_int_equal(vhost_vsock_open(&vhost, CID), 0);
		kernel.fails = requests[i];
		kernel.error = EFAULT;
		err = vhost->ops->begin(vhost, VERSION_1, &memory);
		for (unsigned int j = 0; j < 2 && err == 0; j++)
			err = vhost->ops->start(vhost, j, &ring);
		if (err == 0)
			err = vhost->ops->stop(vhost, 0, &base);
		assert_int_equal(err, -EFAULT);
		assert_said("vhost-vsock: VHOST_");
		assert_true(vhost->lost);
		assert_int_equal(fcntl(kernel.fd, F_GETFD), -1);
		assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), -ENODEV);
		assert_int_equal(vhost->ops->start(vhost, 0, &ring), -ENODEV);
		assert_int_equal(vhost->ops->stop(vhost, 0, &base), -ENODEV);
		vhost->ops->close(vhost);
	}
	vhost = NULL;
}

#define on_kernel(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_kernel(both_rings_run_together),
		on_kernel(where_it_is_not_there),
		on_kernel(an_identifier_that_is_taken),
		on_kernel(a_failing_call_loses_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
