// SPDX-License-Identifier: GPL-2.0-only
/*
 * A directory of the host, by virtiofsd: the program of that name, or the older one that came with
 * QEMU, whose options are other ones. It shuts itself into the directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/log.h"
#include "served_daemon.h"
#include "util.h"

#define PACKAGE	     "virtiofsd"
#define HELP_SECONDS 20

/* What a virtiofsd can, by what it says of itself. */
struct abilities {
	bool of_qemu; /* it is QEMU's */
	bool read_only;
};

static int ask(const char *program, struct abilities *abilities)
{
	static const char *const arguments[] = { "--help", NULL };
	const struct child_command command = { .program = program,
					       .package = PACKAGE,
					       .arguments = arguments };
	char help[KIB(32)];
	int status;
	const int err = child_run("virtiofsd", &command, HELP_SECONDS, help, sizeof(help), &status);

	if (err < 0)
		return err;
	*abilities = (struct abilities){
		.of_qemu = !strstr(help, "--shared-dir"),
		.read_only = strstr(help, "--readonly"),
	};
	return 0;
}

/*
 * How it is to shut itself in. pivot_root(2) does not leave the kernel's first root file system,
 * where an initial RAM disk is unpacked, and which mountinfo calls so: there chroot(2) has to do.
 */
static const char *sandbox(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	bool first = false;

	/* ID, parent, device, root, mount point, ... - type, source, options */
	while (file && !first && fgets(line, sizeof(line), file)) {
		char root[8], point[8];

		first = sscanf(line, "%*d %*d %*s %7s %7s", root, point) == 2 &&
			strcmp(point, "/") == 0 && strstr(line, " - rootfs ");
	}
	if (file)
		fclose(file);
	return first ? "chroot" : "namespace";
}

static int check_directory(const struct served_fs_options *options)
{
	struct stat st;
	int err = 0;

	if (stat(options->directory, &st) < 0)
		err = errno;
	else if (!S_ISDIR(st.st_mode))
		err = ENOTDIR;
	else if (access(options->directory, R_OK | X_OK) < 0)
		err = errno;
	if (!err)
		return 0;
	log_error("%s: %s", options->directory, log_reason(err));
	return -EINVAL;
}

static void make_words(struct served_daemon *daemon, const struct served_fs_options *options,
		       const struct abilities *abilities)
{
	served_daemon_word(daemon, "--fd=3");
	if (abilities->of_qemu) {
		served_daemon_word(daemon, "-f");
		served_daemon_word(daemon, "-o");
		served_daemon_words(daemon, "sandbox=%s,xattr,log_level=warn", sandbox());
		served_daemon_word(daemon, "--thread-pool-size=0");
		served_daemon_word(daemon, "-o");
		served_daemon_words(daemon, "source=%s", options->directory);
		return;
	}
	served_daemon_word(daemon, "--log-level=warn");
	served_daemon_word(daemon, "--cache=auto");
	served_daemon_word(daemon, "--xattr");
	/* Requests are answered in their order, so that it is known which were not. */
	served_daemon_word(daemon, "--thread-pool-size=0");
	served_daemon_words(daemon, "--sandbox=%s", sandbox());
	if (options->read_only)
		served_daemon_word(daemon, "--readonly");
	if (options->no_submounts)
		served_daemon_word(daemon, "--no-announce-submounts");
	served_daemon_words(daemon, "--shared-dir=%s", options->directory);
}

static int prepare(struct served_daemon *daemon, const struct served_fs_options *options)
{
	struct abilities abilities;
	int err = check_directory(options);

	/* Where it is nowhere, its package is named. */
	daemon->program = served_fs_find(daemon->path) ? daemon->path : "virtiofsd";
	daemon->package = PACKAGE;
	if (err == 0)
		err = ask(daemon->program, &abilities);
	if (err < 0)
		return err;
	if (options->read_only && !abilities.read_only) {
		log_error("%s: this virtiofsd cannot keep a guest from writing to a directory; "
			  "those since 1.11 can",
			  options->directory);
		return -ENOTSUP;
	}
	snprintf(daemon->name, sizeof(daemon->name), "virtiofsd, %s", options->tag);
	daemon->user.served.by = "virtiofsd";
	daemon->user.tag = options->tag;
	served_vhost_user_wish(&daemon->user, VIRTIO_ID_FS, 0, 0);
	make_words(daemon, options, &abilities);
	return 0;
}

int served_fs_open(struct served **opened, const struct served_fs_options *options)
{
	struct served_daemon *daemon = calloc(1, sizeof(*daemon));
	int err = -ENOMEM;

	if (!daemon)
		log_error("virtiofsd: %s", strerror(ENOMEM));
	else
		err = prepare(daemon, options);
	if (err < 0) {
		free(daemon);
		return err;
	}
	daemon->user.porter = options->porter;
	return served_daemon_open(opened, daemon);
}
