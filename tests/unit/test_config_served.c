// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command_line.h"
#include "unit.h"
#include "util.h"

static struct config config;

static int parse(const char *line)
{
	char words[1024];

	snprintf(words, sizeof(words), "-k Image %s", line);
	return command_line_parse(&config, CONFIG_NIDUS, words);
}

static void nobody_serves_by_default(void **state)
{
	assert_int_equal(parse(""), 0);
	assert_int_equal(config.filesystem_count, 0);
	assert_int_equal(config.vhost_user_count, 0);
	assert_int_equal(config.vsock_cid, 0);
	assert_false(config_has_served(&config));
	assert_null(config_shares_memory(&config));
}

static void file_systems(void **state)
{
	assert_int_equal(parse("--fs a=/x --fs b=/y,ro --fs c=/with,comma --fs d=/e=f"), 0);
	assert_int_equal(config.filesystem_count, 4);
	assert_string_equal(config.filesystems[0].tag, "a");
	assert_string_equal(config.filesystems[0].directory, "/x");
	assert_false(config.filesystems[0].read_only);
	assert_string_equal(config.filesystems[1].directory, "/y");
	assert_true(config.filesystems[1].read_only);
	assert_string_equal(config.filesystems[2].directory, "/with,comma");
	assert_string_equal(config.filesystems[3].directory, "/e=f");
	assert_true(config_has_served(&config));
	assert_string_equal(config_shares_memory(&config), "--fs");
	assert_silent();
}

static void formats(void **state)
{
	assert_int_equal(parse("-d a -d b,format=qcow2,ro -d c,direct,format=raw"), 0);
	assert_null(config.disks[0].format);
	assert_string_equal(config.disks[1].path, "b");
	assert_string_equal(config.disks[1].format, "qcow2");
	assert_true(config.disks[1].read_only);
	assert_null(config.disks[2].format);
	assert_true(config.disks[2].direct);
	assert_true(config_has_served(&config));
	assert_string_equal(config_shares_memory(&config), "--disk format=");
	assert_int_equal(parse("-d a -d c,format=raw"), 0);
	assert_false(config_has_served(&config));
}

static void sockets_of_the_kernel_share_nothing(void **state)
{
	assert_int_equal(parse("--vsock 42 --mem-backing anon"), 0);
	assert_int_equal(config.vsock_cid, 42);
	assert_true(config_has_served(&config));
	assert_null(config_shares_memory(&config));
	assert_int_equal(parse("--vsock 4294967294"), 0);
}

static void other_processes(void **state)
{
	const struct config_vhost_user *user = config.vhost_users;

	assert_int_equal(
		parse("--vhost-user fs,socket=/s,tag=t,reconnect=5 "
		      "--vhost-user 50,queues=3,config=12,socket=/u --vhost-user gpio,socket=/g"),
		0);
	assert_int_equal(config.vhost_user_count, 3);
	assert_string_equal(user[0].type, "fs");
	assert_int_equal(user[0].device_id, 26);
	assert_string_equal(user[0].socket, "/s");
	assert_string_equal(user[0].tag, "t");
	assert_int_equal(user[0].reconnect, 5);
	assert_int_equal(user[1].device_id, 50);
	assert_int_equal(user[1].queues, 3);
	assert_int_equal(user[1].config_size, 12);
	assert_int_equal(user[2].device_id, 41);
	assert_int_equal(user[2].queues, 0);
	assert_string_equal(config_shares_memory(&config), "--vhost-user");
}

/* As many as there may be, and nothing is looked at behind them. */
static void devices_of_the_host(void **state)
{
	assert_int_equal(parse("--vfio 00:02.0 --vfio /dev/vfio/devices/vfio3"), 0);
	assert_int_equal(config.vfio_count, 2);
	assert_string_equal(config.vfio[1], "/dev/vfio/devices/vfio3");
	/* Nobody else maps RAM for it. */
	assert_null(config_shares_memory(&config));
	assert_false(config_has_served(&config));
}

static void disks_of_our_own_share_nothing(void **state)
{
	assert_int_equal(parse("--disk a --disk b --disk c --disk d --disk e --disk f --disk g "
			       "--disk h"),
			 0);
	assert_int_equal(config.disk_count, CONFIG_DISKS_MAX);
	assert_false(config_has_served(&config));
	assert_null(config_shares_memory(&config));
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{ "--fs /tmp", "must be a tag and a directory" },
		{ "--fs a=", "must be a tag and a directory" },
		{ "--fs =/tmp", "tag must have from 1 to 36 bytes" },
		{ "--fs 1234567890123456789012345678901234567=/", "from 1 to 36" },
		{ "--fs a=/x --fs a=/y", "with the tag 'a' already" },
		{ "--fs a=/x --vhost-user fs,socket=/s,tag=a", "with the tag 'a' already" },
		{ "--vhost-user fs,socket=/s,tag=a --fs a=/x", "with the tag 'a' already" },
		{ "--fs 1=/ --fs 2=/ --fs 3=/ --fs 4=/ --fs 5=/ --fs 6=/ --fs 7=/ --fs 8=/ --fs 9=/",
		  "there are 8 file systems already" },
		{ "--disk a,format=", "none is guessed" },
		{ "--disk a,format=auto", "none is guessed" },
		{ "--disk a,format=qcow2;x", "none is guessed" },
		{ "--disk a,qcow2", "must be ro, direct or format=" },
		{ "--vsock 2", "--vsock" },
		{ "--vsock 4294967295", "--vsock" },
		{ "--vhost-user fs", "where it listens is missing" },
		{ "--vhost-user 0,socket=/s", "or the number of a virtio device" },
		{ "--vhost-user 64,socket=/s", "or the number of a virtio device" },
		{ "--vhost-user cow,socket=/s", "--vhost-user cow: must be fs" },
		{ "--vhost-user fs,socket=", "there are socket, tag" },
		{ "--vhost-user fs,plug=/s", "--vhost-user plug=/s: there are socket, tag" },
		{ "--vhost-user fs,socket=/s,queues=17",
		  "queues=17: must be a number from 1 to 16" },
		{ "--vhost-user 50,socket=/s,config=257", "config=257: must be a number" },
		{ "--vhost-user fs,socket=/s,reconnect=x", "reconnect=x: must be a number" },
		{ "--vfio nvme0", "--vfio nvme0: must be a PCI address" },
		{ "--vfio 00:02.0 --irqchip gicv3", "--vfio with this --irqchip: PCI takes" },
		{ "--vfio 00:02.0 --balloon", "--balloon with --vfio: all of the guest" },
		{ "--vfio 0:1.0", "--vfio 0:1.0: must be" },
		{ "--vfio 00:01.0 --vfio 00:02.0 --vfio 00:03.0 --vfio 00:04.0 --vfio 00:05.0 "
		  "--vfio 00:06.0 --vfio 00:07.0 --vfio 00:08.0 --vfio 00:09.0",
		  "--vfio 00:09.0: there are 8 of them already" },
		{ "--fs a=/x --mem-backing anon", "--fs with --mem-backing anon" },
		{ "--disk a,format=vdi --mem-backing anon", "format= with --mem-backing anon" },
		{ "--vhost-user fs,socket=/s --mem-backing anon", "user with --mem-backing anon" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].line), -EINVAL);
		assert_said(cases[i].message);
	}
	assert_int_equal(parse("--fs a=/x --mem-backing hugetlbfs"), 0);
	assert_int_equal(parse("--fs a=/x --mem-backing memfd"), 0);
}

#define on_line(test) cmocka_unit_test_setup_teardown(test, catch_begin, catch_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_line(nobody_serves_by_default),
		on_line(file_systems),
		on_line(formats),
		on_line(sockets_of_the_kernel_share_nothing),
		on_line(other_processes),
		on_line(devices_of_the_host),
		on_line(disks_of_our_own_share_nothing),
		on_line(what_is_wrong_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
