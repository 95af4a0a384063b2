// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other processes that serve a device, from the first connection to the last: real sockets and a
 * virtiofsd that is a script. What goes through the connection is not real, and tested elsewhere.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"

#include "devices/served/served_parts.h"
#include "host/event.h"
#include "util.h"

static struct event_loop loop;
static struct served *served;
static const char *directory;
static char path[108];
static int listener;
static unsigned int changes;

/* In place of devices/vhost/vhost_user.c. */

static struct vhost vhost;
static struct vhost_user_wishes wished;
static unsigned int attached, renewals;
static bool closed, remembers;
static int open_error, attach_error, renew_error, config_error;
static unsigned int rings;

static int vhost_attach(struct vhost *which, struct event_loop *main)
{
	assert_ptr_equal(which, &vhost);
	assert_ptr_equal(main, &loop);
	attached += attach_error == 0;
	return attach_error;
}

static void vhost_detach(struct vhost *which)
{
	assert_int_equal(attached, 1);
	attached--;
}

static void vhost_close(struct vhost *which)
{
	assert_int_equal(attached, 0);
	assert_false(closed);
	closed = true;
}

static int vhost_config_get(struct vhost *which, void *config, uint32_t size)
{
	memset(config, 0x5a, size);
	return config_error;
}

static const struct vhost_ops vhost_ops = {
	.attach = vhost_attach,
	.detach = vhost_detach,
	.close = vhost_close,
	.config_get = vhost_config_get,
};

int vhost_user_open(struct vhost **opened, int socket, const struct vhost_user_wishes *wishes)
{
	close(socket);
	wished = *wishes;
	vhost = (struct vhost){
		.ops = &vhost_ops,
		.features = wishes->features,
		.rings = rings,
		.remembers = remembers,
	};
	*opened = &vhost;
	return open_error;
}

int vhost_user_renew(struct vhost *which, int socket)
{
	assert_ptr_equal(which, &vhost);
	close(socket);
	renewals++;
	return renew_error;
}

static void changed(void *device)
{
	changes++;
}

/* Around a test: a socket where somebody listens, in a directory of its own. */

static int begin(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	directory = scratch_begin();
	snprintf(path, sizeof(path), "%s/socket", directory);
	strcpy(address.sun_path, path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 16) < 0 || event_loop_create(&loop) < 0)
		return -1;
	open_error = attach_error = renew_error = config_error = 0;
	rings = 2;
	attached = renewals = changes = 0;
	closed = remembers = false;
	return catch_begin(state);
}

static int finish(void **state)
{
	event_loop_destroy(&loop);
	close(listener);
	scratch_end();
	return catch_end(state);
}

static int open_kind(uint32_t device_id, const char *tag, unsigned int reconnect)
{
	const struct served_socket_options options = {
		.path = path,
		.type = "kind",
		.device_id = device_id,
		.tag = tag,
		.config_size = 8,
		.reconnect = reconnect,
	};
	int err = served_socket_open(&served, &options);

	if (err == 0)
		served->changed = changed;
	return err;
}

static int open_socket(unsigned int reconnect)
{
	return open_kind(VIRTIO_ID_RNG, NULL, reconnect);
}

static void attach(void)
{
	assert_int_equal(served->ops->attach(served, &loop), 0);
	assert_int_equal(attached, 1);
}

/* As when the other process closes its end. */
static void lose(void)
{
	atomic_store(&vhost.lost, true);
	vhost.ended(vhost.owner);
}

static void turn_until(enum served_state state)
{
	while (atomic_load(&served->state) != state)
		assert_int_equal(event_loop_turn(&loop, true), 1);
}

static void end(void)
{
	served->ops->detach(served);
	served_close(served);
	assert_true(closed);
}

/* Lives of a guest. */

static void a_connection_is_lent_to_one_life_after_the_other(void **state)
{
	assert_int_equal(open_socket(0), 0);
	assert_true(served_is_up(served));
	for (unsigned int life = 0; life < 3; life++) {
		attach();
		served->ops->detach(served);
		assert_int_equal(attached, 0);
	}
	served_close(served);
	assert_true(closed);
	assert_silent();
}

static void one_that_cannot_be_attached_can_be_later(void **state)
{
	assert_int_equal(open_socket(0), 0);
	attach_error = -EMFILE;
	assert_int_equal(served->ops->attach(served, &loop), -EMFILE);
	assert_int_equal(attached, 0);
	attach_error = 0;
	attach();
	end();
}

static void what_cannot_be_opened_leaves_nothing(void **state)
{
	open_error = -EPROTO;
	assert_int_equal(open_socket(0), -EPROTO);
	close(listener);
	listener = -1;
	assert_int_equal(open_socket(0), -EINVAL);
	assert_said("nobody listens there");
	unlink(path);
	assert_int_equal(open_socket(0), -EINVAL);
	assert_said("No such file or directory");
}

/* What it is. */

static void assert_config(uint8_t first, uint8_t last)
{
	assert_int_equal(served->config[0], first);
	assert_int_equal(served->config[served->config_size - 1], last);
	served_close(served);
	closed = false;
}

static void configuration_is_its_own_but_for_what_nidus_knows(void **state)
{
	/* Of no kind that is known. */
	assert_int_equal(open_kind(50, NULL, 0), 0);
	assert_int_equal(served->config_size, 8);
	assert_config(0x5a, 0x5a);
	/* A file system without a tag of the user's has its own, and one queue of high priority. */
	assert_int_equal(open_kind(VIRTIO_ID_FS, NULL, 0), 0);
	assert_int_equal(served->config[36], 1);
	assert_config(0x5a, 0);
	assert_int_equal(open_kind(VIRTIO_ID_FS, "tag", 0), 0);
	assert_string_equal((const char *)served->config, "tag");
	assert_int_equal(served->config[36], 1);
	assert_config('t', 0);
	/* A queue that nobody serves is one of the device's all the same. */
	assert_int_equal(open_kind(VIRTIO_ID_VSOCK, NULL, 0), 0);
	assert_int_equal(served->queues, rings + 1);
	assert_config(0x5a, 0x5a);
}

static void a_disk_has_the_queues_that_are_served(void **state)
{
	for (rings = 1; rings <= 2; rings++) {
		assert_int_equal(open_kind(VIRTIO_ID_BLOCK, NULL, 0), 0);
		assert_int_equal(served->queues, rings);
		assert_int_equal(served->config[34], rings);
		assert_int_equal(vhost.features >> VIRTIO_BLK_F_MQ & 1, rings > 1);
		assert_config(0x5a, served->config[served->config_size - 1]);
	}
	rings = 1;
	assert_int_equal(open_kind(50, NULL, 0), 0);
	assert_int_equal(vhost.features >> VIRTIO_BLK_F_MQ & 1, 1);
	assert_config(0x5a, 0x5a);
}

static void one_that_does_not_tell_its_configuration_is_closed(void **state)
{
	config_error = -EPROTO;
	assert_int_equal(open_kind(50, NULL, 0), -EPROTO);
	assert_true(closed);
}

/* What its requests have come to nobody could tell the next one. */
static void a_disk_without_an_account_is_not_waited_for(void **state)
{
	assert_int_equal(open_kind(VIRTIO_ID_BLOCK, NULL, 60), -EINVAL);
	assert_said("keeps no account of its requests");
	assert_true(closed);
	closed = false;
	remembers = true;
	assert_int_equal(open_kind(VIRTIO_ID_BLOCK, NULL, 60), 0);
	served_close(served);
}

/* Ends. */

static void one_that_is_not_waited_for_is_gone(void **state)
{
	assert_int_equal(open_socket(0), 0);
	attach();
	lose();
	assert_int_equal(atomic_load(&served->state), SERVED_GONE);
	assert_int_equal(changes, 1);
	assert_non_null(strstr(said(), "nobody serves the guest's device any more"));
	/* It is told once. */
	lose();
	assert_int_equal(changes, 1);
	assert_silent();
	end();
}

static void one_that_comes_back_is_up_again(void **state)
{
	remembers = true;
	assert_int_equal(open_socket(60), 0);
	attach();
	for (unsigned int i = 1; i <= 2; i++) {
		lose();
		assert_int_equal(atomic_load(&served->state), SERVED_AWAY);
		assert_false(served_is_up(served));
		turn_until(SERVED_UP);
		assert_int_equal(renewals, i);
		assert_int_equal(changes, 2 * i);
	}
	end();
}

static void one_that_does_not_come_back_is_given_up(void **state)
{
	remembers = true;
	renew_error = -EPROTO;
	assert_int_equal(open_socket(1), 0);
	attach();
	lose();
	assert_int_equal(atomic_load(&served->state), SERVED_AWAY);
	turn_until(SERVED_GONE);
	assert_true(renewals > 1);
	assert_int_equal(changes, 2);
	end();
}

/* What it has left undone the next life waits for, too. */
static void one_that_is_away_comes_back_in_the_next_life(void **state)
{
	remembers = true;
	assert_int_equal(open_socket(60), 0);
	attach();
	lose();
	served->ops->detach(served);
	attach();
	assert_int_equal(atomic_load(&served->state), SERVED_AWAY);
	turn_until(SERVED_UP);
	assert_int_equal(renewals, 1);
	end();
}

/* Directories. */

/* It says what it can, and otherwise notes how it was called. */
static void make_virtiofsd(const char *help)
{
	char name[128], words[256];
	FILE *file;

	snprintf(name, sizeof(name), "%s/virtiofsd", directory);
	file = fopen(name, "we");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n[ \"$1\" = --help ] && echo '%s' || echo \"$*\" >'%s/words'\n",
		help, directory);
	fclose(file);
	chmod(name, 0700);
	snprintf(words, sizeof(words), "%s:/usr/bin:/bin", directory);
	setenv("PATH", words, 1);
}

/* What it was called with, once it has run. */
static const char *called(void)
{
	static char words[512];
	char name[128];

	snprintf(name, sizeof(name), "%s/words", directory);
	words[0] = '\0';
	for (unsigned int i = 0; i < 20000 && !strchr(words, '\n'); i++) {
		FILE *file = fopen(name, "re");

		if (file && !fgets(words, sizeof(words), file))
			words[0] = '\0';
		if (file)
			fclose(file);
		usleep(1000);
	}
	return words;
}

static int open_directory(const char *what, bool read_only)
{
	const struct served_fs_options options = {
		.directory = what,
		.tag = "shared",
		.read_only = read_only,
	};

	errno = EXDEV; /* of something else */
	return served_fs_open(&served, &options);
}

static void a_directory_has_its_virtiofsd(void **state)
{
	char expected[256];

	make_virtiofsd("--shared-dir --readonly");
	assert_int_equal(open_directory(directory, true), 0);
	assert_int_equal(wished.rings, 2);
	snprintf(expected, sizeof(expected), " --readonly --shared-dir=%s\n", directory);
	assert_non_null(strstr(called(), "--fd=3 "));
	assert_non_null(strstr(called(), expected));
	served_close(served);
	assert_true(closed);
	assert_silent();
}

/* Before its connection is over, which is what counts. */
static void the_end_of_a_virtiofsd_is_told_of(void **state)
{
	const char *text = "";

	make_virtiofsd("--shared-dir");
	assert_int_equal(open_directory(directory, false), 0);
	attach();
	for (unsigned int i = 0; i < 20000 && !strstr(text, "virtiofsd, shared"); i++) {
		event_loop_turn(&loop, false);
		usleep(1000);
		text = said();
	}
	assert_non_null(strstr(text, "virtiofsd, shared has ended"));
	assert_true(served_is_up(served));
	end();
}

static void what_is_no_directory_is_refused(void **state)
{
	make_virtiofsd("--shared-dir --readonly");
	assert_int_equal(open_directory("/none/such", false), -EINVAL);
	assert_said("/none/such: No such file or directory");
	assert_int_equal(open_directory("/proc/self/maps", false), -EINVAL);
	assert_said("/proc/self/maps: Not a directory");
}

/* Rather than that the guest writes to it. */
static void read_only_is_not_promised_by_one_that_cannot(void **state)
{
	make_virtiofsd("--shared-dir");
	assert_int_equal(open_directory(directory, true), -ENOTSUP);
	assert_said("this virtiofsd cannot keep a guest from writing");
}

#define served_test(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		served_test(a_connection_is_lent_to_one_life_after_the_other),
		served_test(one_that_cannot_be_attached_can_be_later),
		served_test(what_cannot_be_opened_leaves_nothing),
		served_test(configuration_is_its_own_but_for_what_nidus_knows),
		served_test(a_disk_has_the_queues_that_are_served),
		served_test(one_that_does_not_tell_its_configuration_is_closed),
		served_test(a_disk_without_an_account_is_not_waited_for),
		served_test(one_that_is_not_waited_for_is_gone),
		served_test(one_that_comes_back_is_up_again),
		served_test(one_that_does_not_come_back_is_given_up),
		served_test(one_that_is_away_comes_back_in_the_next_life),
		served_test(a_directory_has_its_virtiofsd),
		served_test(the_end_of_a_virtiofsd_is_told_of),
		served_test(what_is_no_directory_is_refused),
		served_test(read_only_is_not_promised_by_one_that_cannot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
