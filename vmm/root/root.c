// SPDX-License-Identifier: GPL-2.0-only
#include "root/root.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/log.h"
#include "init/init.h"
#include "root_params.h"

/* A disk is whatever it is otherwise; what is wrong with one is said by who opens it. */
static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int root_check(const char *path)
{
	struct stat st;
	const int err = stat(path, &st) < 0 ? -errno : 0;

	if (err == 0 && S_ISDIR(st.st_mode))
		return 0;
	log_error("root %s: %s", path, err < 0 ? log_reason(-err) : "is not a directory");
	return err < 0 ? err : -ENOTDIR;
}

/* Makes the disk the root. As lkvm has it, and yet the directory is the guest's only to read. */
static int take_disk(struct config *config, unsigned int index)
{
	const struct config_disk disk = config->disks[index];

	if (config->firmware) {
		log_error("--disk %s: is a directory, from which firmware starts nothing; it takes "
			  "the image of a disk",
			  disk.path);
		return -EINVAL;
	}
	if (disk.direct || disk.format) {
		log_error("--disk %s: is a directory, which is the guest's root and takes no %s",
			  disk.path, disk.direct ? "direct" : "format");
		return -EINVAL;
	}
	if (config->root) {
		log_error("--disk %s: is a directory, but the guest's root is %s already",
			  disk.path, config->root);
		return -EINVAL;
	}
	config->root = disk.path;
	config->disk_count--;
	memmove(&config->disks[index], &config->disks[index + 1],
		(config->disk_count - index) * sizeof(disk));
	return config_add_root(config);
}

static int take_disks(struct config *config)
{
	unsigned int i = 0;
	int err = 0;

	while (i < config->disk_count && err == 0) {
		if (is_directory(config->disks[i].path))
			err = take_disk(config, i);
		else
			i++;
	}
	return err;
}

/* In front of the user's, which hold where they are the same, and may end in those of init. */
static int add_params(struct root *root, struct config *config)
{
	const char *user = config->params;

	if (asprintf(&root->params, "root=" CONFIG_ROOT_TAG " rootfstype=virtiofs %s%s%s",
		     config->root_writable ? "rw" : "ro", user ? " " : "", user ? user : "") < 0) {
		root->params = NULL;
		log_error("root: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	config->params = root->params;
	return 0;
}

static int add_init(struct root *root, struct config *config)
{
	int err = init_pack(&root->archive);

	if (err == 0)
		err = archive_finish(root->archive);
	config->initramfs = root->archive;
	return err;
}

int root_prepare(struct root *root, struct config *config)
{
	int err = take_disks(config);

	*root = (struct root){ .archive = NULL };
	if (err == 0 && config->root)
		err = root_check(config->root);
	if (err < 0 || !config->root || root_params_have(config->params, "root"))
		return err;
	if (config->root_writable || config->initrd)
		err = add_params(root, config);
	else
		err = add_init(root, config);
	if (err < 0)
		root_release(root);
	return err;
}

void root_release(struct root *root)
{
	archive_destroy(root->archive);
	free(root->params);
	*root = (struct root){ .archive = NULL };
}
