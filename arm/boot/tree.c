// SPDX-License-Identifier: GPL-2.0-only
#include "boot/tree.h"
#include "host/file.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"

/* A file's tree, in a buffer that is as large as a tree may become; or NULL, said. */
static void *read_tree(const struct boot_file *file, const char *what)
{
	uint8_t *blob = malloc(BOOT_TREE_SIZE_MAX);
	uint64_t size = 0;
	ssize_t got = 1;

	if (!blob) {
		log_error("%s %s: %s", what, file->path, strerror(ENOMEM));
		return NULL;
	}
	while (size < BOOT_TREE_SIZE_MAX && got > 0) {
		got = file_pread(file->fd, blob + size, BOOT_TREE_SIZE_MAX - size, size);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			size += got;
	}
	if (got < 0)
		log_error("%s %s: %s", what, file->path, log_reason(errno));
	else if (fdt_check_full(blob, size) != 0)
		log_error("%s %s: is no flattened device tree, or a broken one; dtc makes them",
			  what, file->path);
	else
		return blob;
	free(blob);
	return NULL;
}

static int complain(const char *what, const char *path, int error)
{
	log_error("%s %s: %s", what, path,
		  error == -FDT_ERR_NOTFOUND
			  ? "names a node, property or label that is not in the device tree"
			  : fdt_strerror(error));
	return error == -FDT_ERR_NOSPACE ? -EMSGSIZE : -EINVAL;
}

/* Sets each property of ours under path, which is made where there is none. libfdt's errors. */
static int take_node(void *blob, const void *ours, const char *path)
{
	const int from = fdt_path_offset(ours, path);
	int property, to = fdt_path_offset(blob, path), error = 0;

	if (to == -FDT_ERR_NOTFOUND)
		to = fdt_add_subnode(blob, 0, path + 1);
	if (to < 0)
		return to;
	fdt_for_each_property_offset(property, ours, from)
	{
		const char *name;
		int size;
		const void *value = fdt_getprop_by_offset(ours, property, &name, &size);

		error = fdt_setprop(blob, to, name, value, size);
		if (error < 0)
			break;
	}
	return error;
}

static int next_memory(const void *blob)
{
	return fdt_node_offset_by_prop_value(blob, -1, "device_type", "memory", sizeof("memory"));
}

/* RAM is as it is, whatever the file says. libfdt's errors. */
static int take_memory(void *blob, const void *ours)
{
	char path[64];
	int node, error = 0;

	while (error == 0 && (node = next_memory(blob)) >= 0)
		error = fdt_del_node(blob, node);
	if (error == 0)
		error = fdt_get_path(ours, next_memory(ours), path, sizeof(path));
	return error < 0 ? error : take_node(blob, ours, path);
}

static int replace(void *blob, const void *ours, const struct boot_file *file)
{
	void *theirs = read_tree(file, "device tree");
	int error;

	if (!theirs)
		return -EINVAL;
	error = fdt_open_into(theirs, blob, BOOT_TREE_SIZE_MAX);
	free(theirs);
	if (error == 0)
		error = take_node(blob, ours, "/chosen");
	if (error == 0)
		error = take_memory(blob, ours);
	return error < 0 ? complain("device tree", file->path, error) : 0;
}

static int apply(void *blob, const struct boot_file *file)
{
	void *overlay = read_tree(file, "overlay");
	int error;

	if (!overlay)
		return -EINVAL;
	error = fdt_overlay_apply(blob, overlay);
	free(overlay);
	return error < 0 ? complain("overlay", file->path, error) : 0;
}

/* Whether addresses under node have two cells, and sizes; says so where nothing is said. */
static int settle_cells(void *blob, int node)
{
	static const char *const names[] = { "#address-cells", "#size-cells" };
	int error = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(names) && error == 0; i++) {
		int size;
		const fdt32_t *cells = fdt_getprop(blob, node, names[i], &size);

		if (!cells)
			error = fdt_setprop_u32(blob, node, names[i], 2);
		else if (size != sizeof(*cells) || fdt32_ld(cells) != 2)
			error = -FDT_ERR_BADNCELLS;
	}
	return error;
}

static int describe_module(void *blob, int node, const struct tree_module *module)
{
	static const char multiboot[] = "multiboot,module";
	fdt64_t reg[2];
	char kind[64] = "";
	int error = 0;

	fdt64_st(&reg[0], module->place.start);
	fdt64_st(&reg[1], module->place.size);
	if (module->kind) {
		snprintf(kind, sizeof(kind), "multiboot,%s", module->kind);
		error = fdt_appendprop_string(blob, node, "compatible", kind);
	}
	if (error == 0)
		error = fdt_appendprop(blob, node, "compatible", multiboot, sizeof(multiboot));
	if (error == 0)
		error = fdt_setprop(blob, node, "reg", reg, sizeof(reg));
	if (error == 0 && module->params)
		error = fdt_setprop_string(blob, node, "bootargs", module->params);
	return error;
}

static int add_module(void *blob, const struct tree_module *module)
{
	int parent = fdt_path_offset(blob, module->node), error, node;
	char name[32];

	if (parent < 0) {
		log_error("module %s: the device tree has no node %s; an overlay can bring it",
			  module->path, module->node);
		return -EINVAL;
	}
	error = settle_cells(blob, parent);
	snprintf(name, sizeof(name), "module@%" PRIx64, module->place.start);
	node = error < 0 ? error : fdt_add_subnode(blob, parent, name);
	error = node < 0 ? node : describe_module(blob, node, module);
	return error < 0 ? complain("module", module->path, error) : 0;
}

/* Checks. */

/* The node of a CPU, an interrupt controller and the like that is compatible as that of ours is. */
static int counterpart(const void *blob, const void *ours, int node)
{
	const char *compatible = fdt_getprop(ours, node, "compatible", NULL);
	char path[64];

	if (compatible)
		return fdt_node_offset_by_compatible(blob, -1, compatible);
	if (fdt_get_path(ours, node, path, sizeof(path)) < 0)
		return -FDT_ERR_NOTFOUND;
	return fdt_path_offset(blob, path);
}

/* Whether path, of ours, is in blob by its kind or name, with the same of each of properties. */
static int check_node(const void *blob, const void *ours, const char *path,
		      const char *const properties[])
{
	const int node = fdt_path_offset(ours, path), other = counterpart(blob, ours, node);

	if (other < 0) {
		log_error("device tree: %s is missing, by which the guest finds what KVM gives it",
			  path);
		return -EINVAL;
	}
	for (; *properties; properties++) {
		int size, other_size;
		const void *value = fdt_getprop(ours, node, *properties, &size);
		const void *theirs = fdt_getprop(blob, other, *properties, &other_size);

		if (value && (!theirs || size != other_size || memcmp(value, theirs, size) != 0)) {
			log_error("device tree: %s of %s is not what KVM has", *properties, path);
			return -EINVAL;
		}
	}
	return 0;
}

/* CPUs by their number and `reg`, in whatever order. */
static int check_cpus(const void *blob, const void *ours)
{
	const int node = fdt_path_offset(ours, "/cpus"), other = fdt_path_offset(blob, "/cpus");
	unsigned int wanted = 0, found = 0;
	int cpu, their;

	fdt_for_each_subnode(cpu, ours, node)
	{
		const void *reg = fdt_getprop(ours, cpu, "reg", NULL);

		wanted++;
		fdt_for_each_subnode(their, blob, other)
		{
			int size;
			const void *value = fdt_getprop(blob, their, "reg", &size);

			found += value && size == sizeof(fdt32_t) && memcmp(value, reg, size) == 0;
		}
	}
	if (wanted == found)
		return 0;
	log_error("device tree: /cpus has %u of the %u CPUs that --cpus makes", found, wanted);
	return -EINVAL;
}

static int check(const void *blob, const void *ours)
{
	static const char *const psci[] = { "method", NULL };
	static const char *const timer[] = { "interrupts", NULL };
	static const char *const place[] = { "reg", NULL };
	char path[64];
	int err = check_cpus(blob, ours);
	const int gic = fdt_node_offset_by_phandle(ours, PHANDLE_GIC);

	if (err == 0)
		err = check_node(blob, ours, "/psci", psci);
	if (err == 0)
		err = check_node(blob, ours, "/timer", timer);
	if (err == 0 && fdt_get_path(ours, gic, path, sizeof(path)) == 0)
		err = check_node(blob, ours, path, place);
	if (err == 0 && fdt_get_path(ours, next_memory(ours), path, sizeof(path)) == 0)
		err = check_node(blob, ours, path, place);
	return err;
}

static int edit(void *blob, const void *ours, const struct boot_files *files,
		const struct tree_module *modules, unsigned int module_count)
{
	int err;

	if (files->tree.fd >= 0)
		err = replace(blob, ours, &files->tree);
	else
		err = fdt_open_into(ours, blob, BOOT_TREE_SIZE_MAX) < 0 ? -EINVAL : 0;
	for (unsigned int i = 0; i < files->overlay_count && err == 0; i++)
		err = apply(blob, &files->overlays[i]);
	for (unsigned int i = 0; i < module_count && err == 0; i++)
		err = add_module(blob, &modules[i]);
	return err < 0 ? err : check(blob, ours);
}

int tree_edit(struct devtree *tree, const struct boot_files *files,
	      const struct tree_module *modules, unsigned int module_count)
{
	void *blob = malloc(BOOT_TREE_SIZE_MAX);
	int err;

	if (!blob) {
		log_error("device tree: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = edit(blob, tree->blob, files, modules, module_count);
	if (err < 0) {
		free(blob);
		return err;
	}
	fdt_pack(blob);
	free(tree->blob);
	tree->blob = blob;
	return fdt_totalsize(blob);
}
