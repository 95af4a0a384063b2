// SPDX-License-Identifier: GPL-2.0-only
/* Who serves devices of the guest: all that config has, or none. They themselves are not real. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "served/served.h"
#include "unit.h"
#include "vmm/machine/servers.h"

static char opened[256];
static unsigned int fails; /* the how-manieth does, from 1; 0: none */
static unsigned int count, open_now;

static int note(struct served **served, const char *format, const char *what)
{
	const size_t used = strlen(opened);

	if (++count == fails)
		return -ENODEV;
	/* They are closed from the last one on. */
	*served = (struct served *)(uintptr_t)++open_now;
	snprintf(opened + used, sizeof(opened) - used, format, what);
	return 0;
}

int served_fs_open(struct served **served, const struct served_fs_options *options)
{
	return note(served, options->read_only ? "fs %s ro\n" : "fs %s\n", options->tag);
}

int served_vsock_open(struct served **served, uint32_t cid)
{
	assert_int_equal(cid, 42);
	return note(served, "vsock %s\n", "42");
}

int served_socket_open(struct served **served, const struct served_socket_options *options)
{
	assert_int_equal(options->reconnect, 7);
	return note(served, "socket %s\n", options->path);
}

void served_close(struct served *served)
{
	assert_int_equal((uintptr_t)served, open_now);
	open_now--;
}

static struct resources resources;
static const struct config config = {
	.filesystems = { { .tag = "a", .directory = "/a" },
			 { .tag = "b", .directory = "/b", .read_only = true } },
	.filesystem_count = 2,
	.vsock_cid = 42,
	.vhost_users = { { .type = "rng", .socket = "/r", .reconnect = 7 },
			 { .type = "blk", .socket = "/s", .reconnect = 7 } },
	.vhost_user_count = 2,
};

static int begin(void **state)
{
	opened[0] = '\0';
	fails = count = open_now = 0;
	resources.config = &config;
	return 0;
}

static void all_are_opened_and_closed(void **state)
{
	assert_int_equal(servers_open(&resources), 0);
	assert_string_equal(opened, "fs a\nfs b ro\nvsock 42\nsocket /r\nsocket /s\n");
	assert_int_equal(resources.served_count, 5);
	servers_close(&resources);
	assert_int_equal(open_now, 0);
	assert_int_equal(resources.served_count, 0);
	servers_close(&resources);
}

static void where_one_fails_none_is_left(void **state)
{
	for (unsigned int i = 1; i <= 5; i++) {
		begin(state);
		fails = i;
		assert_int_equal(servers_open(&resources), -ENODEV);
		assert_int_equal(count, i);
		assert_int_equal(open_now, 0);
		assert_int_equal(resources.served_count, 0);
	}
}

static void nobody_is_asked_for(void **state)
{
	static const struct config nobody;

	resources.config = &nobody;
	assert_int_equal(servers_open(&resources), 0);
	assert_int_equal(count, 0);
	assert_int_equal(resources.served_count, 0);
}

#define with_config(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_config(all_are_opened_and_closed),
		with_config(where_one_fails_none_is_left),
		with_config(nobody_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
