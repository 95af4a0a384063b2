// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/file.h"
#include "host/kvm.h"
#include "host/kvm_stats.h"

/*
 * Bounds on what the kernel says of itself, far above what it has, so that sums cannot wrap and
 * what is read comes to an end.
 */
#define DESCRIPTORS_MAX 1024
#define NAME_SIZE_MAX	256
#define VALUES_MAX	256

static json_t *read_values(int stats_fd, off_t where, unsigned int count)
{
	uint64_t values[VALUES_MAX];
	const ssize_t size = count * sizeof(values[0]);
	json_t *array;

	if (count == 0 || count > VALUES_MAX || file_pread(stats_fd, values, size, where) != size)
		return NULL;
	if (count == 1)
		return json_integer(values[0]);
	array = json_array();
	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(array, json_integer(values[i]));
	return array;
}

/*
 * entry: a descriptor of size bytes, its name included, at any alignment. One whose values cannot
 * be had, or whose name is no text, is left out.
 */
static void add_entry(json_t *object, int stats_fd, const struct kvm_stats_header *header,
		      char *entry, size_t size)
{
	struct kvm_stats_desc desc;

	memcpy(&desc, entry, sizeof(desc));
	entry[size - 1] = '\0';
	json_object_set_new(
		object, entry + sizeof(desc),
		read_values(stats_fd, (off_t)header->data_offset + desc.offset, desc.size));
}

json_t *kvm_stats_read(int stats_fd)
{
	struct kvm_stats_header header;
	size_t desc_size;
	json_t *object;
	char *descs;

	if (file_pread(stats_fd, &header, sizeof(header), 0) != sizeof(header) ||
	    header.num_desc > DESCRIPTORS_MAX || header.name_size == 0 ||
	    header.name_size > NAME_SIZE_MAX)
		return NULL;
	desc_size = sizeof(struct kvm_stats_desc) + header.name_size;
	descs = calloc(header.num_desc, desc_size);
	if (!descs)
		return NULL;

	object = json_object();
	if (file_pread(stats_fd, descs, header.num_desc * desc_size, header.desc_offset) ==
	    (ssize_t)(header.num_desc * desc_size))
		for (unsigned int i = 0; i < header.num_desc; i++)
			add_entry(object, stats_fd, &header, descs + i * desc_size, desc_size);
	free(descs);
	return object;
}
