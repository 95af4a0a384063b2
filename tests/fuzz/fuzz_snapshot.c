// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any file as a snapshot: its header, then what comes behind it, at the places that a header of
 * ours has. What must hold: it is refused, or all that it says of sizes and ranges is within the
 * file and RAM, and the guest that it tells of is one that there can be.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"
#include "fuzz.h"
#include "memmap.h"
#include "snapshot/snapshot.h"
#include "util.h"

static void look(const struct snapshot *snapshot)
{
	struct state_reader reader;
	struct config config = { 0 };
	uint64_t end = 0;

	for (uint64_t i = 0; i < snapshot->header.range_count; i++) {
		const struct snapshot_range *range = &snapshot->ranges[i];

		MUST(range->size > 0 && range->start >= end);
		end = range->start + range->size;
		MUST(end > range->start && end <= snapshot->header.ram_size);
	}
	MUST(snapshot->base == NULL);
	state_reader_create(&reader, snapshot->state, snapshot->header.state_size);
	state_seek(&reader, "guest");
	config_restore_guest(&config, &reader);
	if (reader.err < 0)
		return;
	MUST(config.cpus > 0 && config.cpus <= CONFIG_CPUS_MAX);
	MUST(config.mem_size > 0 && config.mem_size <= RAM_SIZE_MAX);
	MUST(config.irqchip == GIC_V3 || config.irqchip == GIC_V3_ITS);
	while (state_skip(&reader))
		;
	MUST(reader.at <= reader.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct snapshot_header usual = {
		.magic = SNAPSHOT_MAGIC,
		.version = SNAPSHOT_VERSION,
		.state_at = SNAPSHOT_PAGE,
		.state_size = 256,
		.ram_gpa = RAM_BASE,
		.ram_size = MIB(1),
		.ram_at = 2 * SNAPSHOT_PAGE,
		.ranges_at = SNAPSHOT_PAGE + 256,
		.range_count = 2,
		.id = { { 1 } },
	};
	static const struct state_record guest = { .name = "guest", .size = 56 };
	struct snapshot_header header = usual;
	struct snapshot snapshot, same;
	char path[64];
	int err, fd;

	if (size < 1 + sizeof(header) || size > KIB(4))
		return 0;
	fd = memfd_create("snapshot", MFD_CLOEXEC);
	/* Half of all have a header that is ours, so that what is behind it is come to. */
	if (data[0] & 1)
		memcpy((char *)&header + 16, data + 1, sizeof(header) - 16);
	MUST(pwrite(fd, &header, sizeof(header), 0) == sizeof(header));
	MUST(pwrite(fd, data + 1 + sizeof(header), size - 1 - sizeof(header), SNAPSHOT_PAGE) >= 0);
	if (data[0] & 2)
		MUST(pwrite(fd, &guest, sizeof(guest), SNAPSHOT_PAGE) == sizeof(guest));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (snapshot_open(&snapshot, path) == 0) {
		look(&snapshot);
		err = snapshot_open(&same, path);
		/* Two of the largest find no room beside each other. */
		MUST(err == 0 || err == -ENOMEM);
		if (err == 0) {
			/* It is its own base, or none at all; or it stands by itself. */
			MUST(snapshot_join(&snapshot, &same, 1) < 0);
			snapshot_close(&same);
		}
		snapshot_close(&snapshot);
	}
	close(fd);
	return 0;
}
