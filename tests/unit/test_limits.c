// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "host/limits.h"
#include "host/log.h"
#include "unit.h"
#include "util.h"

static void open_files_are_as_many_as_may_be(void **state)
{
	struct rlimit before, after;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, before.rlim_max }), 0);
	limits_raise();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_int_equal(after.rlim_cur, before.rlim_max);
	assert_int_equal(after.rlim_max, before.rlim_max);
	limits_raise();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_int_equal(after.rlim_cur, before.rlim_max);
	/* A program that is started by us gets what we were. */
	limits_restore();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_int_equal(after.rlim_cur, 64);
	assert_int_equal(after.rlim_max, before.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_silent();
}

static void errors_are_told_apart(void **state)
{
	static const int host[] = { EMFILE, ENFILE, ENOMEM, EAGAIN, ENOSPC, EDQUOT, EIO, ENOSYS };
	static const int others[] = { ENOENT,  EACCES, EPERM,  EINVAL, ENOEXEC, ENODATA,
				      ENOTDIR, EISDIR, ELOOP,  EROFS,  EFBIG,	EBADMSG,
				      EBUSY,   ENXIO,  ENODEV, EBADF,  E2BIG,	ENAMETOOLONG };

	for (size_t i = 0; i < ARRAY_SIZE(host); i++)
		assert_true(limits_missing(-host[i]));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(limits_missing(-others[i]));
	assert_false(limits_missing(0));
}

/* Who reads it knows what to do. */
static void limits_have_words(void **state)
{
	assert_non_null(strstr(log_reason(EMFILE), "ulimit -n"));
	assert_non_null(strstr(log_reason(ENFILE), "fs.file-max"));
	assert_non_null(strstr(log_reason(EAGAIN), "ulimit -u"));
	assert_string_equal(log_reason(ENOENT), "No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(open_files_are_as_many_as_may_be),
		caught_test(errors_are_told_apart),
		caught_test(limits_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
