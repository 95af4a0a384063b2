// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the guest finds when it starts: kernel, initrd and device tree in RAM, and the first vCPU at
 * the kernel's entry.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "boot/board.h"
#include "boot/tree.h"
#include "host/log.h"
#include "memmap.h"
#include "steps.h"

static int measure_files(struct machine *machine)
{
	const struct config *config = machine->config;
	int err;

	if (config->firmware) {
		boot_place_firmware(&machine->boot, FLASH_BASE, RAM_BASE);
		return 0;
	}
	err = boot_parse(&machine->boot, &machine->resources->files);
	if (err < 0)
		return err;
	boot_check_params(&machine->boot, config->params);
	return boot_place(&machine->boot, RAM_BASE, config->mem_size);
}

int start_disks(struct machine *machine)
{
	struct resources *resources = machine->resources;
	int err = 0;

	for (unsigned int i = 0; i < resources->disk_count && err == 0; i++)
		if (!resources->served_disks[i])
			err = disk_begin(&resources->disks[i]);
	return err;
}

int start_measure(struct machine *machine)
{
	const int err = measure_files(machine);

	return err < 0 ? err : start_disks(machine);
}

int start_load(struct machine *machine)
{
	return machine->config->firmware ? 0 : boot_load(&machine->boot, &machine->memory);
}

/* #syscalls loop: getrandom */
static uint64_t kaslr_seed(const struct config *config)
{
	uint64_t seed = config->kaslr_seed;

	/* On failure the seed stays 0, and board_describe() says that there is no randomness. */
	if (!config->has_kaslr_seed && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = 0;
	return seed;
}

static int build_tree(struct machine *machine, struct devtree *tree)
{
	const struct config *config = machine->config;
	char stdout_path[32];
	struct board board = {
		.ram = { machine->memory.base, machine->memory.size },
		.initrd = { machine->boot.initrd_gpa, machine->boot.initrd_size },
		.params = config->params,
		.stdout_path = stdout_path,
		/* Firmware speaks by the PL011; what it starts is told its console by others. */
		.other_console = config->console != CONSOLE_SERIAL && !config->firmware,
		.kaslr_seed = kaslr_seed(config),
		.pmu = config->pmu,
		.nested = config->nested,
		.pci = machine->pci != NULL,
		.gic = &machine->gic,
	};
	const struct device *uart = bus_find(&machine->bus, PL011_BASE);
	uint64_t *mpidr = cpus_mpidrs(machine);
	int err = mpidr ? 0 : -ENOMEM;

	board.mpidr = mpidr;
	snprintf(stdout_path, sizeof(stdout_path), "/%s@%" PRIx64, uart->ops->name, uart->base);
	if (err >= 0)
		err = board_describe(&board, tree);
	if (err >= 0) {
		bus_describe(&machine->bus, tree);
		err = devtree_finish(tree);
	}
	free(mpidr);
	return err;
}

int start_describe(struct machine *machine)
{
	int err = devtree_create(&machine->tree, BOOT_TREE_SIZE_MAX);

	if (err == 0)
		err = machine->tree_size = build_tree(machine, &machine->tree);
	if (err < 0)
		devtree_destroy(&machine->tree);
	return err;
}

void start_forget(struct machine *machine)
{
	devtree_destroy(&machine->tree);
}

int start_edit(struct machine *machine)
{
	const struct config *config = machine->config;
	struct tree_module modules[CONFIG_MODULES_MAX];
	int err;

	if (!config->dtb && config->overlay_count == 0 && config->module_count == 0)
		return 0;
	for (unsigned int i = 0; i < config->module_count; i++) {
		const struct config_module *module = &config->modules[i];

		modules[i] = (struct tree_module){
			.path = module->path,
			.kind = module->kind,
			.params = module->params,
			.node = module->node,
			.place = machine->boot.modules[i],
		};
	}
	err = tree_edit(&machine->tree, &machine->resources->files, modules, config->module_count);
	machine->tree_size = err;
	return err;
}

static int load_tree(struct machine *machine)
{
	const struct boot *boot = &machine->boot;
	const void *blob = machine->tree.blob;
	const uint64_t size = machine->tree_size;
	int err = memory_load(&machine->memory, boot->tree_gpa, blob, size);

	if (err == 0 && boot->tree_copy_gpa != 0 && size <= boot->tree_copy_size)
		err = memory_load(&machine->memory, boot->tree_copy_gpa, blob, size);
	if (err < 0)
		log_error("loading the device tree: %s", strerror(-err));
	return err;
}

int start_tell(struct machine *machine)
{
	int err = written_write(&machine->resources->tree, machine->tree.blob, machine->tree_size);

	if (err == 0)
		err = load_tree(machine);
	devtree_destroy(&machine->tree);
	return err;
}

int start_enter(struct machine *machine)
{
	const struct image *image = &machine->boot.image;
	int vcpu_fd = machine->env.vcpus[0].fd;

	if (!cpu_has_granule(vcpu_fd, image->page_size)) {
		log_error("kernel %s: is built for pages of %" PRIu32
			  " KiB, which this host's CPU does not have",
			  machine->config->kernel, image->page_size >> 10);
		return -ENOTSUP;
	}
	log_info("%s at 0x%" PRIx64 ", device tree at 0x%" PRIx64 ", initrd at 0x%" PRIx64
		 " (%" PRIu64 " bytes)",
		 machine->config->firmware ? "firmware" : "kernel", machine->boot.kernel_gpa,
		 machine->boot.tree_gpa, machine->boot.initrd_gpa, machine->boot.initrd_size);
	return cpu_set_entry(vcpu_fd, machine->boot.kernel_gpa, machine->boot.tree_gpa);
}

int start_clean(struct machine *machine)
{
	return poc_clean(&machine->memory, machine->config->cache_clean, &machine->cleaned);
}
