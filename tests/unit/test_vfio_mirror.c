// SPDX-License-Identifier: GPL-2.0-only
/*
 * What devices of the host's see behind the guest's IOMMU, in an IOMMU of the host's that is made
 * up here: the kernel's interface to it, by either of its ways, and what it has mapped.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "devices/vfio/vfio_parts.h"
#include "unit.h"
#include "util.h"

#define BASE	  UINT64_C(0x40000000)
#define SIZE	  UINT64_C(0x200000)
#define PAGE	  IOMMU_PAGE
#define MSI_START 0x8090000
#define MSI_END	  0x809ffff
#define BOTH	  (IOMMU_READ | IOMMU_WRITE)
#define LIMIT	  64

/* Functions 1 and 2 of the bus, and one of nidus's own. */
enum { FIRST = 8, SECOND = 16, OWN = 24 };

/* The host: an address space for each descriptor. */

struct entry {
	uint64_t iova, size, host;
	uint32_t allows;
};

static struct space {
	struct entry entries[LIMIT];
	unsigned int count, maps, unmaps;
	int map_error, unmap_error;
	unsigned int maps_left; /* until map_error comes, and stays */
} spaces[2];

/* What IOMMU_IOAS_IOVA_RANGES and the like say. */
static struct vfio_iova_range allowed[16];
static unsigned int allowed_count;
static uint64_t granule;

static int fails(int err)
{
	errno = -err;
	return -1;
}

static int host_map(struct space *space, struct entry entry)
{
	space->maps++;
	if (space->map_error < 0 && space->maps_left == 0)
		return fails(space->map_error);
	space->maps_left--;
	assert_true(entry.size > 0 && (entry.iova | entry.size | entry.host) % PAGE == 0);
	assert_true(entry.allows > 0 && entry.allows <= BOTH);
	for (unsigned int i = 0; i < space->count; i++)
		assert_true(entry.iova >= space->entries[i].iova + space->entries[i].size ||
			    space->entries[i].iova >= entry.iova + entry.size);
	assert_true(space->count < LIMIT);
	space->entries[space->count++] = entry;
	return 0;
}

/* As many bytes as were mapped. */
static int host_unmap(struct space *space, uint64_t iova, uint64_t size, uint64_t *bytes)
{
	unsigned int kept = 0;

	space->unmaps++;
	*bytes = 0;
	if (space->unmap_error < 0)
		return fails(space->unmap_error);
	for (unsigned int i = 0; i < space->count; i++) {
		const struct entry entry = space->entries[i];

		if (entry.iova >= iova + size || entry.iova + entry.size <= iova) {
			space->entries[kept++] = entry;
			continue;
		}
		/* None is split. */
		assert_true(entry.iova >= iova && entry.iova + entry.size <= iova + size);
		*bytes += entry.size;
	}
	space->count = kept;
	return 0;
}

static int ioas_map(struct space *space, const struct iommu_ioas_map *map)
{
	assert_int_equal(map->size, sizeof(*map));
	assert_int_equal(map->ioas_id, 7);
	assert_true(map->flags & IOMMU_IOAS_MAP_FIXED_IOVA);
	return host_map(space,
			(struct entry){
				map->iova,
				map->length,
				map->user_va,
				(map->flags & IOMMU_IOAS_MAP_READABLE ? IOMMU_READ : 0) |
					(map->flags & IOMMU_IOAS_MAP_WRITEABLE ? IOMMU_WRITE : 0),
			});
}

static int ioas_unmap(struct space *space, struct iommu_ioas_unmap *unmap)
{
	uint64_t bytes;

	assert_int_equal(unmap->ioas_id, 7);
	if (host_unmap(space, unmap->iova, unmap->length, &bytes) < 0)
		return -1;
	unmap->length = bytes;
	return bytes == 0 ? fails(-ENOENT) : 0;
}

static int ioas_ranges(struct iommu_ioas_iova_ranges *query)
{
	const unsigned int room = query->num_iovas;

	query->out_iova_alignment = granule;
	query->num_iovas = allowed_count;
	memcpy((void *)(uintptr_t)query->allowed_iovas, allowed,
	       (allowed_count < room ? allowed_count : room) * sizeof(*allowed));
	return allowed_count > room ? fails(-EMSGSIZE) : 0;
}

static int container_info(struct vfio_iommu_type1_info *info)
{
	struct vfio_iommu_type1_info_cap_iova_range *range = (void *)((char *)info + 128);
	struct vfio_info_cap_header *other = (void *)((char *)info + 64);

	info->iova_pgsizes = granule | granule << 9;
	if (allowed_count == 0)
		return 0;
	info->flags = VFIO_IOMMU_INFO_CAPS;
	info->cap_offset = 64;
	*other = (struct vfio_info_cap_header){ .id = 77, .next = 128 };
	range->header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	range->nr_iovas = allowed_count;
	memcpy(range->iova_ranges, allowed, sizeof(allowed));
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	struct space *space = &spaces[fd - 100];
	struct vfio_iommu_type1_dma_unmap *unmap;
	const struct vfio_iommu_type1_dma_map *map;
	va_list list;
	void *argument;

	va_start(list, request);
	argument = va_arg(list, void *);
	va_end(list);
	assert_in_range(fd, 100, 101);
	switch (request) {
	case IOMMU_IOAS_MAP:
		return ioas_map(space, argument);
	case IOMMU_IOAS_UNMAP:
		return ioas_unmap(space, argument);
	case IOMMU_IOAS_IOVA_RANGES:
		return ioas_ranges(argument);
	case VFIO_IOMMU_GET_INFO:
		return container_info(argument);
	case VFIO_IOMMU_MAP_DMA:
		map = argument;
		return host_map(space,
				(struct entry){ map->iova, map->size, map->vaddr, map->flags });
	case VFIO_IOMMU_UNMAP_DMA:
		unmap = argument;
		return host_unmap(space, unmap->iova, unmap->size, (uint64_t *)&unmap->size);
	}
	fail_msg("ioctl 0x%lx", request);
	return -1;
}

/* The guest. */

static struct memory memory;
static struct iommu iommu;
static struct event_loop loop;
static struct verdict verdict;
static struct vfio_iommu hosts[2];
static struct vfio_device devices[2];
static struct pci_function functions[2];
static struct vfio_mirror mirrors[2];
static struct iommu_endpoint own;
static unsigned int revoked;

static void revoke(struct iommu_endpoint *endpoint, bool all)
{
	assert_ptr_equal(endpoint, &own);
	revoked++;
}

static int begin_by(bool by_groups)
{
	const struct vfio_machine machine = {
		.verdict = &verdict,
		.memory = &memory,
		.iommu = &iommu,
	};

	memset(spaces, 0, sizeof(spaces));
	revoked = 0;
	if (memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL) < 0 ||
	    iommu_create(&iommu, LIMIT) < 0 || event_loop_create(&loop) < 0 ||
	    verdict_create(&verdict, &loop) < 0)
		return -1;
	iommu.msi_start = MSI_START;
	iommu.msi_end = MSI_END;
	for (unsigned int i = 0; i < 2; i++) {
		allowed[0] = (struct vfio_iova_range){ 0, 0x7ffffff };
		allowed[1] = (struct vfio_iova_range){ 0x8100000, UINT64_MAX };
		allowed_count = 2;
		granule = PAGE;
		hosts[i] = (struct vfio_iommu){ .fd = 100 + i, .ioas = 7, .by_groups = by_groups };
		assert_int_equal(vfio_iommu_look(&hosts[i]), 0);
		assert_int_equal(vfio_iommu_map_ram(&hosts[i], &memory), 0);
		devices[i] = (struct vfio_device){ .iommu = &hosts[i], .place.address = "a:b.c" };
		functions[i] = (struct pci_function){ .slot = 1 + i };
		vfio_mirror_begin(&mirrors[i], &functions[i], &devices[i], &machine);
		assert_true(functions[i].behind_iommu);
	}
	iommu_add(&iommu, &own, OWN, revoke);
	return 0;
}

static int begin(void **state)
{
	return catch_begin(state) < 0 ? -1 : begin_by(false);
}

static int begin_groups(void **state)
{
	return catch_begin(state) < 0 ? -1 : begin_by(true);
}

static int end(void **state)
{
	iommu_remove(&own);
	for (unsigned int i = 0; i < 2; i++)
		iommu_remove(&mirrors[i].endpoint);
	iommu_destroy(&iommu);
	verdict_destroy(&verdict);
	event_loop_destroy(&loop);
	memory_destroy(&memory);
	return catch_end(state);
}

static enum iommu_result map(uint64_t iova, uint64_t pages, uint64_t gpa, uint32_t allows)
{
	return iommu_map(&iommu, 1, iova, iova + pages * PAGE - 1, gpa, allows);
}

static enum iommu_result unmap(uint64_t iova, uint64_t pages)
{
	return iommu_unmap(&iommu, 1, iova, iova + pages * PAGE - 1);
}

static void attach(uint32_t endpoint, uint32_t domain)
{
	assert_int_equal(iommu_attach(&iommu, endpoint, domain, false), IOMMU_OK);
}

/* A device sees that RAM there, among whatever else. */
static bool sees(unsigned int device, uint64_t iova, uint64_t gpa, uint64_t size, uint32_t allows)
{
	const struct space *space = &spaces[device];

	for (unsigned int i = 0; i < space->count; i++)
		if (space->entries[i].iova == iova && space->entries[i].size == size &&
		    space->entries[i].allows == allows &&
		    space->entries[i].host == (uintptr_t)memory_at(&memory, gpa, size))
			return true;
	return false;
}

#define assert_sees_ram(device)                                    \
	do {                                                       \
		assert_int_equal(spaces[device].count, 1);         \
		assert_true(sees(device, BASE, BASE, SIZE, BOTH)); \
	} while (false)

#define assert_sees_nothing(device) assert_int_equal(spaces[device].count, 0)

static void without_a_domain_it_sees_ram_or_nothing(void **state)
{
	const unsigned int maps = spaces[0].maps;

	assert_sees_ram(0);
	iommu_set_bypass(&iommu, false);
	assert_sees_nothing(0);
	assert_sees_nothing(1);
	iommu_set_bypass(&iommu, true);
	assert_sees_ram(0);
	assert_sees_ram(1);
	assert_int_equal(spaces[0].maps, maps + 1);
}

static void a_domain_that_bypasses_changes_nothing(void **state)
{
	const unsigned int maps = spaces[0].maps, unmaps = spaces[0].unmaps;

	assert_int_equal(iommu_attach(&iommu, FIRST, 5, true), IOMMU_OK);
	iommu_reset(&iommu);
	assert_int_equal(spaces[0].maps, maps);
	assert_int_equal(spaces[0].unmaps, unmaps);
	iommu_set_bypass(&iommu, false);
	assert_sees_nothing(0);
	assert_int_equal(iommu_attach(&iommu, FIRST, 5, true), IOMMU_OK);
	assert_sees_ram(0);
	assert_int_equal(iommu_detach(&iommu, FIRST, 5), IOMMU_OK);
	assert_sees_nothing(0);
}

static void in_a_domain_it_sees_mappings_and_nothing_else(void **state)
{
	attach(FIRST, 1);
	assert_sees_nothing(0);
	assert_sees_ram(1);
	assert_int_equal(map(0x1000, 2, BASE + 0x5000, BOTH), IOMMU_OK);
	assert_int_equal(map(0x10000, 1, BASE, IOMMU_READ), IOMMU_OK);
	assert_int_equal(map(0x20000, 1, BASE + SIZE - PAGE, IOMMU_WRITE), IOMMU_OK);
	assert_int_equal(spaces[0].count, 3);
	assert_true(sees(0, 0x1000, BASE + 0x5000, 0x2000, BOTH));
	assert_true(sees(0, 0x10000, BASE, PAGE, IOMMU_READ));
	assert_true(sees(0, 0x20000, BASE + SIZE - PAGE, PAGE, IOMMU_WRITE));
	assert_int_equal(unmap(0x10000, 1), IOMMU_OK);
	assert_int_equal(spaces[0].count, 2);
	/* Several, and what is around them. */
	assert_int_equal(iommu_unmap(&iommu, 1, 0x123, UINT64_MAX), IOMMU_OK);
	assert_sees_nothing(0);
	/* None is split, nor is anything done where there is none. */
	assert_int_equal(map(0x1000, 2, BASE, BOTH), IOMMU_OK);
	spaces[0].unmaps = 0;
	assert_int_equal(unmap(0x1000, 1), IOMMU_RANGE);
	assert_int_equal(unmap(0x8000, 9), IOMMU_OK);
	assert_int_equal(spaces[0].unmaps, 0);
	assert_int_equal(spaces[0].count, 1);
	iommu_reset(&iommu);
	assert_sees_ram(0);
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_RUNNING);
}

static void what_is_not_ram_is_not_there(void **state)
{
	attach(FIRST, 1);
	assert_int_equal(map(0x100000, 4, BASE - 2 * PAGE, BOTH), IOMMU_OK);
	assert_true(sees(0, 0x102000, BASE, 2 * PAGE, BOTH));
	assert_int_equal(map(0x200000, 4, BASE + SIZE - PAGE, BOTH), IOMMU_OK);
	assert_true(sees(0, 0x200000, BASE + SIZE - PAGE, PAGE, BOTH));
	assert_int_equal(spaces[0].count, 2);
	assert_int_equal(map(0x300000, 1, 0x10000000, BOTH), IOMMU_OK);
	assert_int_equal(map(0x400000, 1, BASE + SIZE, BOTH), IOMMU_OK);
	assert_int_equal(map(0x500000, 1, UINT64_MAX - PAGE + 1, BOTH), IOMMU_OK);
	assert_int_equal(map(0x600000, 1, BASE, 0), IOMMU_OK);
	assert_int_equal(spaces[0].count, 2);
	/* All of it, and more. */
	assert_int_equal(map(UINT64_C(1) << 40, 1 << 20, 0, BOTH), IOMMU_OK);
	assert_true(sees(0, (UINT64_C(1) << 40) + BASE, BASE, SIZE, BOTH));
	assert_int_equal(iommu_unmap(&iommu, 1, 0, IOMMU_IOVA_MAX), IOMMU_OK);
	assert_sees_nothing(0);
}

static void who_attaches_finds_what_is_mapped(void **state)
{
	attach(OWN, 1);
	assert_int_equal(map(0x1000, 1, BASE, BOTH), IOMMU_OK);
	assert_int_equal(map(0x5000, 3, BASE + 0x1000, BOTH), IOMMU_OK);
	attach(FIRST, 1);
	attach(SECOND, 1);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(spaces[i].count, 2);
		assert_true(sees(i, 0x1000, BASE, PAGE, BOTH));
		assert_true(sees(i, 0x5000, BASE + 0x1000, 3 * PAGE, BOTH));
	}
	assert_int_equal(map(0x9000, 1, BASE, BOTH), IOMMU_OK);
	assert_int_equal(spaces[0].count, 3);
	assert_int_equal(spaces[1].count, 3);
	/* To another domain, in which there is nothing. */
	spaces[0].maps = 0;
	attach(FIRST, 2);
	assert_sees_nothing(0);
	assert_int_equal(spaces[0].maps, 0);
	assert_int_equal(unmap(0x9000, 1), IOMMU_OK);
	assert_int_equal(spaces[1].count, 2);
	attach(FIRST, 1);
	assert_int_equal(spaces[0].count, 2);
	assert_int_equal(iommu_detach(&iommu, SECOND, 1), IOMMU_OK);
	assert_sees_ram(1);
}

static void a_mapping_that_one_cannot_have_nobody_has(void **state)
{
	attach(FIRST, 1);
	attach(SECOND, 1);
	attach(OWN, 1);
	spaces[1].map_error = -ENOSPC;
	spaces[1].maps_left = 0;
	assert_int_equal(map(0x1000, 1, BASE, BOTH), IOMMU_NO_MEMORY);
	assert_said("a:b.c: the host's IOMMU does not take a mapping");
	assert_sees_nothing(0);
	assert_sees_nothing(1);
	assert_int_equal(iommu.mappings, 0);
	spaces[1].map_error = 0;
	assert_int_equal(map(0x1000, 1, BASE, BOTH), IOMMU_OK);
	assert_int_equal(spaces[0].count, 1);
	assert_int_equal(spaces[1].count, 1);
}

static void who_cannot_have_all_of_a_domain_is_not_attached(void **state)
{
	attach(SECOND, 1);
	for (uint64_t i = 1; i < 9; i++)
		assert_int_equal(map(i * PAGE, 1, BASE, BOTH), IOMMU_OK);
	spaces[0].map_error = -ENOMEM;
	spaces[0].maps_left = 5;
	iommu_set_bypass(&iommu, false);
	assert_int_equal(iommu_attach(&iommu, FIRST, 1, false), IOMMU_NO_MEMORY);
	assert_sees_nothing(0);
	assert_int_equal(iommu_detach(&iommu, FIRST, 1), IOMMU_INVALID);
	assert_int_equal(spaces[1].count, 8);
	/* Nor does it see RAM, if that cannot be; later it can. */
	spaces[0].maps_left = 0;
	iommu_set_bypass(&iommu, true);
	assert_sees_nothing(0);
	assert_int_equal(iommu_attach(&iommu, FIRST, 3, true), IOMMU_NO_MEMORY);
	assert_sees_nothing(0);
	spaces[0].map_error = 0;
	assert_int_equal(iommu_attach(&iommu, FIRST, 3, true), IOMMU_OK);
	assert_sees_ram(0);
}

static void what_the_host_does_not_give_back_ends_the_guest(void **state)
{
	attach(FIRST, 1);
	assert_int_equal(map(0x1000, 1, BASE, BOTH), IOMMU_OK);
	spaces[0].unmap_error = -EBUSY;
	assert_int_equal(unmap(0x1000, 1), IOMMU_OK);
	assert_said("a:b.c: the host's IOMMU does not give 0x1000 to 0x1fff back");
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_HOST_ERROR);
}

static void what_the_host_reserves_is_not_mapped(void **state)
{
	struct iommu_range reserved[IOMMU_RESERVED_MAX];

	assert_int_equal(iommu_reserved(&iommu, FIRST, reserved), 1);
	assert_int_equal(reserved[0].start, 0x8000000);
	assert_int_equal(reserved[0].end, 0x80fffff);
	assert_int_equal(iommu_reserved(&iommu, OWN, reserved), 0);
	assert_int_equal(iommu_reserved(&iommu, 1, reserved), 0);
	attach(FIRST, 1);
	attach(OWN, 2);
	assert_int_equal(map(0x8000000, 1, BASE, BOTH), IOMMU_INVALID);
	assert_int_equal(map(0x80ff000, 2, BASE, BOTH), IOMMU_INVALID);
	assert_int_equal(map(0x7fff000, 2, 0, BOTH), IOMMU_INVALID);
	assert_int_equal(map(0x7fff000, 1, BASE, BOTH), IOMMU_OK);
	assert_int_equal(map(0x8100000, 1, BASE, BOTH), IOMMU_OK);
	assert_int_equal(iommu_map(&iommu, 2, 0x8000000, 0x8000fff, BASE, BOTH), IOMMU_OK);
	/* Where there is something of that already it does not go. */
	assert_int_equal(iommu_attach(&iommu, SECOND, 2, false), IOMMU_INVALID);
	assert_sees_ram(1);
}

static void look(unsigned int count, uint64_t page)
{
	allowed_count = count;
	granule = page;
	assert_int_equal(vfio_iommu_look(&hosts[0]), 0);
}

static void what_the_host_can_map_is_found(void **state)
{
	const struct iommu_range *reserved = hosts[0].reserved;

	/* 39 bits, from the second page on. */
	allowed[0] = (struct vfio_iova_range){ 0x1000, (UINT64_C(1) << 39) - 1 };
	look(1, 0x10000);
	assert_int_equal(hosts[0].page, 0x10000);
	assert_int_equal(hosts[0].reserved_count, 2);
	assert_int_equal(reserved[0].start, 0);
	assert_int_equal(reserved[0].end, 0xfff);
	assert_int_equal(reserved[1].start, UINT64_C(1) << 39);
	assert_int_equal(reserved[1].end, IOMMU_IOVA_MAX);
	/* What ends where there is an end, and what begins behind it. */
	allowed[0] = (struct vfio_iova_range){ 0, IOMMU_IOVA_MAX };
	look(1, 1);
	assert_int_equal(hosts[0].reserved_count, 0);
	assert_true(hosts[0].page >= IOMMU_PAGE);
	allowed[0] = (struct vfio_iova_range){ UINT64_C(1) << 50, UINT64_MAX };
	look(1, PAGE);
	assert_int_equal(hosts[0].reserved_count, 1);
	assert_int_equal(reserved[0].end, IOMMU_IOVA_MAX);
	/* More than there is room for: the rest is left unused. */
	for (unsigned int i = 0; i < 16; i++)
		allowed[i] = (struct vfio_iova_range){ i * 0x10000 + 0x1000, i * 0x10000 + 0xffff };
	look(16, PAGE);
	assert_int_equal(hosts[0].reserved_count, IOMMU_RESERVED_MAX);
	assert_int_equal(reserved[6].start, 0x60000);
	assert_int_equal(reserved[7].start, 0x70000);
	assert_int_equal(reserved[7].end, IOMMU_IOVA_MAX);
}

static void an_old_container_does_not_say_what_is_reserved(void **state)
{
	hosts[0].reserved_count = 0;
	look(0, PAGE);
	assert_int_equal(hosts[0].page, PAGE);
	assert_int_equal(hosts[0].reserved_count, 0);
}

static void larger_pages_of_the_host_hold_for_all(void **state)
{
	iommu_mirror(&mirrors[0].endpoint, mirrors[0].endpoint.mirror, 0x10000, NULL, 0);
	attach(FIRST, 1);
	assert_int_equal(map(0x1000, 16, BASE, BOTH), IOMMU_RANGE);
	assert_int_equal(map(0x10000, 1, BASE, BOTH), IOMMU_RANGE);
	assert_int_equal(map(0x10000, 16, BASE + 0x1000, BOTH), IOMMU_RANGE);
	assert_int_equal(map(0x10000, 16, BASE, BOTH), IOMMU_OK);
}

static void devices_of_nidus_are_asked_as_before(void **state)
{
	attach(OWN, 1);
	attach(FIRST, 1);
	assert_int_equal(revoked, 1);
	assert_int_equal(map(0x1000, 1, BASE, BOTH), IOMMU_OK);
	assert_int_equal(unmap(0x1000, 1), IOMMU_OK);
	iommu_reset(&iommu);
	assert_int_equal(revoked, 2);
	assert_sees_ram(0);
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, end)
#define groups_test(function)                                              \
	{                                                                  \
		"by groups: " #function, function, begin_groups, end, NULL \
	}

#define both(function) test(function), groups_test(function)

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(without_a_domain_it_sees_ram_or_nothing),
		both(a_domain_that_bypasses_changes_nothing),
		both(in_a_domain_it_sees_mappings_and_nothing_else),
		both(what_is_not_ram_is_not_there),
		both(who_attaches_finds_what_is_mapped),
		both(a_mapping_that_one_cannot_have_nobody_has),
		both(who_cannot_have_all_of_a_domain_is_not_attached),
		both(what_the_host_does_not_give_back_ends_the_guest),
		both(what_the_host_reserves_is_not_mapped),
		both(what_the_host_can_map_is_found),
		groups_test(an_old_container_does_not_say_what_is_reserved),
		test(larger_pages_of_the_host_hold_for_all),
		test(devices_of_nidus_are_asked_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
