// SPDX-License-Identifier: GPL-2.0-only
/* What nidus does where it is a guest's first process, as far as that can be done without being it.
 */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "init/init.h"
#include "unit.h"

/* In place of the C library's. */
static char mounted[128];
static const char *fails; /* this type does */
static int error;

int mount(const char *source, const char *target, const char *type, unsigned long flags,
	  const void *data)
{
	strcat(strcat(strcat(strcat(mounted, type), " "), target), "\n");
	if (!fails || strcmp(type, fails) != 0)
		return 0;
	errno = error;
	return -1;
}

static int begin(void **state)
{
	mounted[0] = '\0';
	fails = NULL;
	return catch_begin(state);
}

static void assert_mounts(void)
{
	init_mount();
	assert_string_equal(mounted, "proc /proc\nsysfs /sys\ndevtmpfs /dev\n");
}

static void file_systems_of_the_kernel_are_mounted(void **state)
{
	assert_mounts();
	assert_silent();
}

static void what_linux_has_mounted_is_no_error(void **state)
{
	fails = "devtmpfs";
	error = EBUSY;
	assert_mounts();
	assert_silent();
}

static void what_cannot_be_mounted_is_said_and_left(void **state)
{
	fails = "proc";
	error = ENODEV;
	assert_mounts();
	assert_said("mounting proc on /proc: No such device");
}

#define on_mounts(test) cmocka_unit_test_setup_teardown(test, begin, catch_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_mounts(file_systems_of_the_kernel_are_mounted),
		on_mounts(what_linux_has_mounted_is_no_error),
		on_mounts(what_cannot_be_mounted_is_said_and_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
