// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "boot/firmware.h"
#include "host/kvm.h"
#include "host/log.h"
#include "links.h"
#include "machine/resources.h"
#include "memmap.h"
#include "mm/lazy.h"
#include "mm/load.h"
#include "served/served.h"
#include "servers.h"
#include "util.h"
#include "vfio/vfio.h"
#include "vhost.h"
#include "virtio/virtio_block.h"

/* Files that are written to, and only later. */

static void places_close(struct resources *resources)
{
	written_close(&resources->stats);
	written_close(&resources->tree);
}

static int places_open(struct resources *resources)
{
	const struct config *config = resources->config;
	int err = written_open(&resources->stats, &resources->porter, config->stats_file);

	if (err == 0) {
		err = written_open(&resources->tree, &resources->porter, config->dump_dtb);
		if (err < 0)
			written_close(&resources->stats);
	}
	return err;
}

/* Those that the guest is started from. */

/* What the guest is told of besides. */
static int files_open_more(struct boot_files *files, const struct config *config)
{
	int err = 0;

	for (unsigned int i = 0; i < config->module_count && err == 0; i++)
		err = boot_files_add_module(files, config->modules[i].path);
	if (err == 0 && config->dtb)
		err = boot_files_add_tree(files, config->dtb);
	for (unsigned int i = 0; i < config->overlay_count && err == 0; i++)
		err = boot_files_add_overlay(files, config->overlays[i]);
	return err;
}

static int files_open(struct resources *resources)
{
	const struct config *config = resources->config;
	struct boot_files *files = &resources->files;
	int err;

	if (config_goes_on(config))
		return 0;
	err = boot_files_open(files, config->kernel, config->initrd, config->initramfs);

	files->kernel_address = config->kernel_address;
	if (err < 0)
		return err;
	err = files_open_more(files, config);
	if (err < 0)
		boot_files_close(files);
	else
		resources->ring = config->firmware ? NULL : load_ring_create();
	return err;
}

static void files_close(struct resources *resources)
{
	if (config_goes_on(resources->config))
		return;
	load_ring_destroy(resources->ring);
	boot_files_close(&resources->files);
}

/* Flash memory, which keeps what it holds while the guest resets. */

static void flash_close(struct resources *resources)
{
	for (unsigned int i = 0; i < FLASH_BANKS; i++)
		if (resources->flash[i].content)
			flash_store_close(&resources->flash[i]);
}

static int open_firmware(struct flash_store *store, const char *path)
{
	uint64_t size;
	int err = flash_store_create(store);

	if (err < 0)
		return err;
	err = firmware_read(path, store->content, FLASH_BANK_SIZE, &size);
	if (err < 0)
		flash_store_close(store);
	else
		flash_store_fill(store, size);
	return err;
}

/* Of a guest that was saved, whose state has what is in it. */
static int open_saved(struct flash_store *store, uint64_t size)
{
	const int err = flash_store_create(store);

	if (err == 0)
		flash_store_fill(store, size);
	return err;
}

static int flash_open(struct resources *resources)
{
	const struct config *config = resources->config;
	const uint64_t *saved = config->flash_sizes;
	int err = 0;

	memset(resources->flash, 0, sizeof(resources->flash));
	if (config->firmware)
		err = open_firmware(&resources->flash[0], config->firmware);
	else if (saved[0] > 0)
		err = open_saved(&resources->flash[0], saved[0]);
	if (err == 0 && (config->firmware || config->flash || saved[1] > 0))
		err = flash_store_open(&resources->flash[1], config->flash,
				       saved[1] > 0 ? saved[1] : FLASH_NEW_SIZE);
	if (err < 0)
		flash_close(resources);
	return err;
}

/* RAM, where it has a file. */

static int ram_open(struct resources *resources)
{
	const struct config *config = resources->config;
	const enum memory_backing backing = resources_backing(resources);

	resources->lazy_fd = -1;
	if (config->hugetlbfs)
		return memory_file_on_mount(&resources->ram, config->mem_size, config->hugetlbfs);
	if (backing == MEMORY_ANON) {
		/* Tags are given to what is there; and what is given back may not have come yet. */
		if (config->snapshot && !config->mte && !config->balloon)
			resources->lazy_fd = lazy_open();
		return 0;
	}
	return memory_file_create(&resources->ram, config->mem_size, backing == MEMORY_HUGETLBFS);
}

static void ram_close(struct resources *resources)
{
	if (resources_backing(resources) != MEMORY_ANON)
		memory_file_close(&resources->ram);
	else if (resources->lazy_fd >= 0)
		close(resources->lazy_fd);
}

/* /dev/kvm */

static void say_why_no_kvm(int err)
{
	if (err == -ENOENT || err == -ENXIO || err == -ENODEV)
		log_error("no /dev/kvm: this machine, or its kernel, has no KVM");
	else if (err == -EACCES || err == -EPERM)
		log_error("/dev/kvm: %s; be root, or in the group that it belongs to",
			  strerror(-err));
	else if (err == -ENOTSUP || err == -ENOTTY)
		log_error("/dev/kvm: does not behave like KVM");
	else
		log_error("/dev/kvm: %s", log_reason(-err));
}

static int open_kvm(struct resources *resources)
{
	resources->kvm_fd = kvm_open();
	if (resources->kvm_fd >= 0) {
		if (resources->config->nested)
			nested_look(&resources->host_kernel, resources->kvm_fd);
		return 0;
	}
	say_why_no_kvm(resources->kvm_fd);
	return resources->kvm_fd;
}

static void close_kvm(struct resources *resources)
{
	close(resources->kvm_fd);
}

/* Disks. */

static void disks_close(struct resources *resources)
{
	while (resources->disk_count > 0) {
		const unsigned int index = --resources->disk_count;

		if (resources->served_disks[index])
			served_close(resources->served_disks[index]);
		else
			disk_close(&resources->disks[index]);
	}
}

static int served_disk(struct resources *resources, const struct config_disk *disk)
{
	const struct served_disk_options options = {
		.path = disk->path,
		.format = disk->format,
		.read_only = disk->read_only,
		.direct = disk->direct,
		.queues = virtio_block_queues(resources->config->cpus),
		.porter = &resources->porter,
	};

	return served_disk_open(&resources->served_disks[resources->disk_count], &options);
}

static int own_disk(struct resources *resources, const struct config_disk *disk)
{
	const struct config *config = resources->config;
	const struct disk_options options = {
		.read_only = disk->read_only,
		.direct = disk->direct,
		.unlocked = config->migration != NULL,
		.ops = disk_engine_choose(config->block_engine),
		.engines = virtio_block_queues(config->cpus),
		.depth = VIRTIO_BLOCK_DEPTH,
	};

	resources->served_disks[resources->disk_count] = NULL;
	return disk_open(&resources->disks[resources->disk_count], disk->path, &options);
}

static int disks_open(struct resources *resources)
{
	const struct config *config = resources->config;
	int err = 0;

	resources->disk_count = 0;
	while (resources->disk_count < config->disk_count && err == 0) {
		const struct config_disk *disk = &config->disks[resources->disk_count];

		err = disk->format ? served_disk(resources, disk) : own_disk(resources, disk);
		if (err == 0)
			resources->disk_count++;
	}
	if (err < 0)
		disks_close(resources);
	return err;
}

void resources_unlock(const struct resources *resources)
{
	for (unsigned int i = 0; i < resources->disk_count; i++)
		if (!resources->served_disks[i])
			disk_unlock(&resources->disks[i]);
}

int resources_lock(const struct resources *resources)
{
	int err = 0;

	for (unsigned int i = 0; i < resources->disk_count && err == 0; i++)
		if (!resources->served_disks[i])
			err = disk_lock(&resources->disks[i]);
	if (err < 0)
		resources_unlock(resources);
	return err;
}

/* Devices of the host. */

_Static_assert(CONFIG_VFIO_MAX <= VFIO_DEVICES_MAX, "all that can be named can be had");

static int passed_open(struct resources *resources)
{
	const struct config *config = resources->config;

	resources->vfio = NULL;
	if (config->vfio_count == 0)
		return 0;
	return vfio_open(&resources->vfio, config->vfio, config->vfio_count, config->mem_size,
			 config->iommu);
}

static void passed_close(struct resources *resources)
{
	if (resources->vfio)
		vfio_close(resources->vfio);
}

/* What the user may have got wrong by himself first. */
static const struct step {
	int (*open)(struct resources *resources); /* cleans up after itself when it fails */
	void (*close)(struct resources *resources);
	enum status blamed; /* when it fails, where that is not for want of means */
	bool named; /* -EINVAL is of what the user has named, whoever is to blame for the rest */
} steps[] = {
	{ places_open, places_close, STATUS_USAGE, false }, /* to be written later */
	{ files_open, files_close, STATUS_USAGE, false }, /* kernel, initrd, modules, trees */
	{ flash_open, flash_close, STATUS_USAGE, false }, /* firmware */
	{ open_kvm, close_kvm, STATUS_HOST, false }, /* /dev/kvm */
	{ disks_open, disks_close, STATUS_USAGE, false }, /* with their locks */
	{ links_open, links_close, STATUS_HOST, true }, /* to networks */
	{ servers_open, servers_close, STATUS_HOST, true }, /* of other devices */
	{ passed_open, passed_close, STATUS_HOST, true }, /* of the host's */
	{ ram_open, ram_close, STATUS_USAGE, false }, /* as those want it */
};

#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* Whether RAM that others map has huge pages only where they are asked for one by one. */
static bool must_ask_for_huge_pages(const struct resources *resources)
{
	char settings[128] = "";
	FILE *file;

	if (resources_backing(resources) != MEMORY_MEMFD)
		return false;
	file = fopen(SHMEM_ENABLED, "re");
	if (!file)
		return false;
	if (!fgets(settings, sizeof(settings), file))
		settings[0] = '\0';
	fclose(file);
	if (!strstr(settings, "[never]"))
		return false;
	log_info(
		"guest RAM is shared, and has huge pages only where it is used first: " SHMEM_ENABLED
		" is never (advise would do)");
	return true;
}

static void compare_memory(uint64_t guest)
{
	struct sysinfo info = { 0 };
	uint64_t host;

	sysinfo(&info);
	host = (uint64_t)info.totalram * info.mem_unit;
	if (guest > host)
		log_warning("the guest's RAM of %" PRIu64 " MiB is more than this host's %" PRIu64
			    " MiB",
			    guest >> 20, host >> 20);
}

enum status resources_open(struct resources *resources, const struct config *config)
{
	resources->config = config;
	resources->opened = 0;
	if (getrandom(resources->generation, VMGENID_SIZE, 0) != VMGENID_SIZE) {
		log_error("random numbers for the guest: %s", strerror(errno));
		return STATUS_HOST;
	}
	porter_create(&resources->porter);
	while (resources->opened < ARRAY_SIZE(steps)) {
		const struct step *step = &steps[resources->opened];
		const int err = step->open(resources);

		if (err < 0) {
			resources_close(resources);
			return err == -EINVAL && step->named ? STATUS_USAGE
							     : status_of_error(err, step->blamed);
		}
		resources->opened++;
	}
	compare_memory(config->mem_size);
	resources->asks_for_huge_pages = must_ask_for_huge_pages(resources);
	return STATUS_OK;
}

void resources_close(struct resources *resources)
{
	while (resources->opened > 0)
		steps[--resources->opened].close(resources);
	porter_destroy(&resources->porter);
}

/* Whether somebody else maps the guest's RAM. */
static bool is_shared(const struct resources *resources)
{
	bool shared = false;

	for (unsigned int i = 0; i < resources->link_count; i++) {
		const struct link *link = resources->links[i];

		shared |= link && link->vhost && link->vhost->shares_memory;
	}
	for (unsigned int i = 0; i < resources->disk_count; i++)
		shared |= resources->served_disks[i] &&
			  served_shares_memory(resources->served_disks[i]);
	for (unsigned int i = 0; i < resources->served_count; i++)
		shared |= served_shares_memory(resources->served[i]);
	return shared;
}

enum memory_backing resources_backing(const struct resources *resources)
{
	const enum memory_backing wish = resources->config->mem_backing;

	return wish == MEMORY_ANON && is_shared(resources) ? MEMORY_MEMFD : wish;
}
