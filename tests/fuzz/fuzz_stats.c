// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics of a machine whose counters, name and kernel say anything: what is written is JSON,
 * and has all that it promises. The kernel's file is the input itself, or has a header and
 * descriptors that fit together but for what the input makes of them.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "devices/pl011.h"
#include "devices/pl031.h"
#include "fake_stats.h"
#include "fuzz.h"
#include "host/kvm_stats.h"
#include "machine/stats.h"
#include "memmap.h"

#define VCPUS	  3
#define FILE_SIZE 4096

static uint8_t file[FILE_SIZE];

static void put(size_t offset, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size && offset + i < FILE_SIZE; i++)
		file[offset + i] = ((const uint8_t *)bytes)[i];
}

/* A table of statistics in which a field may be anything. */
static size_t make_table(struct input *input)
{
	const uint32_t name_size = take(input, 1) % 64, count = take(input, 1) % 16;
	struct kvm_stats_header header = {
		.name_size = name_size,
		.num_desc = count,
		.desc_offset = sizeof(header) + take(input, 1) % 8,
	};
	const size_t desc_size = sizeof(struct kvm_stats_desc) + name_size;
	uint32_t *const fields[] = { &header.name_size, &header.num_desc, &header.desc_offset,
				     &header.data_offset };
	const unsigned int wrong = take(input, 1);

	header.data_offset = header.desc_offset + count * desc_size;
	for (uint32_t i = 0; i < count; i++) {
		struct kvm_stats_desc desc = {
			.size = take(input, 1) % 8 ? 1 + take(input, 1) % 8 : take(input, 2),
			.offset = take(input, 1) % 8 ? i * 64 : take(input, 4),
		};
		uint8_t name[64];

		for (uint32_t j = 0; j < name_size; j++)
			name[j] = take(input, 1);
		put(header.desc_offset + i * desc_size, &desc, sizeof(desc));
		put(header.desc_offset + i * desc_size + sizeof(desc), name, name_size);
	}
	if (wrong < 4)
		*fields[wrong] = take(input, 4);
	put(0, &header, sizeof(header));
	return FILE_SIZE - take(input, 2) % FILE_SIZE;
}

static void make_file(struct input *input)
{
	size_t size;

	memset(file, 0xa5, sizeof(file));
	if (take(input, 1) % 4 == 0) {
		size = input->size < FILE_SIZE ? input->size : FILE_SIZE;
		put(0, input->data, size);
	} else {
		size = make_table(input);
	}
	fake_stats_fd = fake_stats_file(file, size);
	MUST(fake_stats_fd >= 0);
}

static void count(struct vcpu *vcpu, struct input *input)
{
	static const uint64_t bases[] = { PL011_BASE, PL031_BASE, 0, RAM_BASE };

	for (unsigned int i = take(input, 1) % 32; i > 0; i--) {
		const unsigned int what = take(input, 1);

		counters_exit(&vcpu->counters, take(input, 1) % (COUNTERS_REASONS + 8));
		counters_access(&vcpu->counters, bases[what % 4] + take(input, 2), what & 4);
		counters_emulated(&vcpu->counters, take(input, 1) % INSN_CLASSES);
		if (what & 8)
			counters_aborted(&vcpu->counters, take(input, 1) % INSN_CLASSES);
	}
	if (take(input, 1) % 8 == 0)
		vcpu->counters.exits[0] = take(input, 8);
}

/* Written as by a run, and read again. */
static json_t *written_stats(const struct machine *machine)
{
	int fd = memfd_create("written", MFD_CLOEXEC);
	struct written place;
	char path[32];
	json_t *stats;

	MUST(fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	MUST(written_open(&place, NULL, path) == 0);
	MUST(stats_write(&place, machine, 1) == 0);
	written_close(&place);
	lseek(fd, 0, SEEK_SET);
	stats = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
	close(fd);
	return stats;
}

static void check(const json_t *stats, const struct config *config)
{
	const json_t *vcpus = json_object_get(stats, "vcpus");

	MUST(json_is_object(stats));
	MUST(json_is_string(json_object_get(stats, "schema")));
	MUST(json_array_size(vcpus) == VCPUS);
	for (size_t i = 0; i < VCPUS; i++)
		MUST(json_is_object(json_object_get(json_array_get(vcpus, i), "exits")));
	MUST(json_is_string(json_object_get(json_object_get(stats, "config"), "name")) ==
	     (config->name != NULL));
	MUST(json_is_array(json_object_get(stats, "mmio")));
}

/* Of the input, up to a NUL; NULL for none. */
static const char *make_name(struct input *input, char *name, size_t size)
{
	const size_t length = take(input, 1) % size;

	if (length == size - 1)
		return NULL;
	for (size_t i = 0; i < length; i++)
		name[i] = take(input, 1);
	name[length] = '\0';
	return name;
}

static void no_irq(const struct irq_line *line, bool up)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Not on the stack: counters are large. */
	static struct vcpu vcpus[VCPUS];
	static struct machine machine;
	static struct resources resources; /* without networks */
	struct input input = { data, size };
	struct irq_line irq = { .set = no_irq };
	struct verdict verdict = { .outcome = OUTCOME_SHUTDOWN };
	struct device *device;
	struct event_loop loop;
	char name[32];
	struct config config = { .cpus = VCPUS };
	json_t *stats;

	config.name = make_name(&input, name, sizeof(name));
	make_file(&input);
	memset(vcpus, 0, sizeof(vcpus));
	machine = (struct machine){
		.config = &config,
		.resources = &resources,
		.verdict = &verdict,
		.env = { .vcpus = vcpus, .count = VCPUS },
	};
	MUST(event_loop_create(&loop) == 0);
	bus_create(&machine.bus);
	MUST(pl011_create(&device, PL011_BASE, irq, 1, &loop, NULL, false) == 0);
	MUST(bus_add(&machine.bus, device) == 0);
	MUST(pl031_create(&device, PL031_BASE, irq, 2, &loop) == 0);
	MUST(bus_add(&machine.bus, device) == 0);
	bus_freeze(&machine.bus);
	for (unsigned int i = 0; i < VCPUS; i++) {
		vcpus[i].stats_fd = i == 0 ? -1 : fake_stats_fd;
		count(&vcpus[i], &input);
	}
	stats = written_stats(&machine);
	check(stats, &config);
	json_decref(stats);
	bus_destroy(&machine.bus);
	event_loop_destroy(&loop);
	close(fake_stats_fd);
	return 0;
}
