// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <unistd.h>

#include "kvm.h"
#include "kvm_stats.h"

/* Bounds on what the kernel says of itself, far above what it has, so that sums cannot wrap. */
#define DESCRIPTORS_MAX 4096
#define NAME_SIZE_MAX	256
#define VALUES_MAX	1024

static json_t *read_values(int stats_fd, const struct kvm_stats_header *header,
			   const struct kvm_stats_desc *desc)
{
	uint64_t values[VALUES_MAX];
	ssize_t size = desc->size * sizeof(values[0]);
	json_t *array;

	if (desc->size == 0 || desc->size > VALUES_MAX ||
	    pread(stats_fd, values, size, header->data_offset + desc->offset) != size)
		return NULL;
	if (desc->size == 1)
		return json_integer(values[0]);
	array = json_array();
	for (unsigned int i = 0; i < desc->size; i++)
		json_array_append_new(array, json_integer(values[i]));
	return array;
}

json_t *kvm_stats_read(int stats_fd)
{
	struct kvm_stats_header header;
	size_t desc_size;
	json_t *object;
	char *descs;

	if (pread(stats_fd, &header, sizeof(header), 0) != sizeof(header) ||
	    header.num_desc > DESCRIPTORS_MAX || header.name_size > NAME_SIZE_MAX)
		return NULL;
	desc_size = sizeof(struct kvm_stats_desc) + header.name_size;
	descs = calloc(header.num_desc, desc_size);
	if (!descs)
		return NULL;

	object = json_object();
	if (pread(stats_fd, descs, header.num_desc * desc_size, header.desc_offset) ==
	    (ssize_t)(header.num_desc * desc_size)) {
		for (unsigned int i = 0; i < header.num_desc; i++) {
			struct kvm_stats_desc *desc = (void *)(descs + i * desc_size);

			desc->name[header.name_size - 1] = '\0';
			json_object_set_new(object, desc->name,
					    read_values(stats_fd, &header, desc));
		}
	}
	free(descs);
	return object;
}
