// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues behind an IOMMU whose every page is another one of RAM: the driver's memory is in one
 * piece where the driver looks, and nowhere else.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "devices/iommu.h"
#include "host/iov.h"
#include "mm/memory.h"
#include "unit.h"
#include "util.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_dma.h"

#define BASE   GIB(1)
#define PAGES  512
#define PAGE   IOMMU_PAGE
#define WINDOW UINT64_C(0x700000000) /* IOVA of page 0 */
#define ROOM   64
#define BOTH   (IOMMU_READ | IOMMU_WRITE)
#define DOMAIN 1

/* In the window. */
#define DATA	 (WINDOW + 64 * PAGE)
#define INDIRECT (WINDOW + 32 * PAGE)

static struct memory memory;
static struct iommu iommu;
static struct iommu_endpoint endpoint;
static struct virtqueue queue;
static struct virtqueue_chain chain;
static uint64_t gpa_of_page[PAGES];
static unsigned int revoked, faults;
static struct iommu_fault last;
static uint16_t avail_idx;

static void revoke(struct iommu_endpoint *who, bool all)
{
	revoked++;
	virtqueue_forget(&queue);
	virtqueue_stop(&queue);
}

static void fault(struct iommu *who, const struct iommu_fault *what)
{
	faults++;
	last = *what;
}

static void map(unsigned int page, uint64_t gpa, uint32_t allows)
{
	const uint64_t start = WINDOW + page * PAGE;

	assert_int_equal(iommu_map(&iommu, DOMAIN, start, start + PAGE - 1, gpa, allows), IOMMU_OK);
}

static void unmap(unsigned int page)
{
	const uint64_t start = WINDOW + page * PAGE;

	assert_int_equal(iommu_unmap(&iommu, DOMAIN, start, start + PAGE - 1), IOMMU_OK);
}

/* No page has a neighbour that it has in the window, in either direction. */
static int begin(void **state)
{
	if (memory_create(&memory, BASE, PAGES * PAGE, MEMORY_ANON, NULL) < 0 ||
	    iommu_create(&iommu, 2 * PAGES) < 0)
		return -1;
	iommu.msi_start = iommu.msi_end = UINT64_MAX;
	iommu.fault = fault;
	iommu_add(&iommu, &endpoint, 8, revoke);
	queue = (struct virtqueue){ 0 };
	if (virtqueue_dma_create(&queue.dma, &endpoint, ROOM) < 0)
		return -1;
	assert_int_equal(iommu_attach(&iommu, 8, DOMAIN, false), IOMMU_OK);
	for (unsigned int i = 0; i < PAGES; i++) {
		gpa_of_page[i] = BASE + i * 205 % PAGES * PAGE;
		map(i, gpa_of_page[i], BOTH);
	}
	revoked = faults = 0;
	avail_idx = 0;
	return 0;
}

static int end(void **state)
{
	virtqueue_stop(&queue);
	virtqueue_forget(&queue);
	iommu_remove(&endpoint);
	virtqueue_dma_destroy(queue.dma);
	iommu_destroy(&iommu);
	memory_destroy(&memory);
	return 0;
}

/* The driver's own way, byte by byte. */

static uint8_t *byte_at(uint64_t iova)
{
	const uint64_t offset = iova - WINDOW;

	return memory_at(&memory, gpa_of_page[offset / PAGE] + offset % PAGE, 1);
}

static void put(uint64_t iova, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		*byte_at(iova + i) = ((const uint8_t *)bytes)[i];
}

static void get(uint64_t iova, void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = *byte_at(iova + i);
}

static void put16(uint64_t iova, uint16_t value)
{
	put(iova, &value, sizeof(value));
}

static uint16_t get16(uint64_t iova)
{
	uint16_t value;

	get(iova, &value, sizeof(value));
	return value;
}

static void desc_at(uint64_t table, unsigned int index, uint64_t addr, uint32_t len, uint16_t flags,
		    uint16_t next)
{
	const struct vring_desc desc = { addr, len, flags, next };

	put(table + index * sizeof(desc), &desc, sizeof(desc));
}

static void desc(unsigned int index, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	desc_at(queue.layout.desc, index, addr, len, flags, next);
}

static void offer(uint16_t head)
{
	put16(queue.layout.avail + 4 + avail_idx % queue.layout.size * 2, head);
	put16(queue.layout.avail + 2, ++avail_idx);
}

static int start_at(uint64_t desc, uint64_t avail, uint64_t used, uint16_t size, bool event_idx)
{
	const struct virtqueue_layout layout = { desc, avail, used, size };

	avail_idx = 0;
	return virtqueue_start(&queue, &memory, &layout, event_idx);
}

static void start(uint16_t size)
{
	static const uint8_t zeroes[16 * PAGE];

	put(WINDOW, zeroes, sizeof(zeroes));
	assert_int_equal(start_at(WINDOW + 0x800, WINDOW + 0x2f80, WINDOW + 0x4c04, size, true), 0);
}

/* All of an entry's members, wherever a page ends in the rings. */
static void rings_may_lie_in_two_places(void **state)
{
	static const uint64_t into[] = { 0, 4, 0x7fc, 0xc00, 0xe04, 0xff0, 0xffc };

	for (size_t i = 0; i < ARRAY_SIZE(into); i++) {
		static const uint8_t zeroes[16 * PAGE];
		const uint64_t used = WINDOW + 4 * PAGE + into[i];
		const uint64_t avail = WINDOW + 2 * PAGE + into[i] / 2 * 2;

		put(WINDOW, zeroes, sizeof(zeroes));
		assert_int_equal(start_at(WINDOW + into[i] / 16 * 16, avail, used, 256, true), 0);
		for (unsigned int turn = 0; turn < 1000; turn++) {
			const uint16_t head = turn * 7 % 256;
			uint32_t elem[2];

			desc(head, DATA + turn, 32, 0, 0);
			offer(head);
			assert_int_equal(virtqueue_pop(&queue, &chain), 1);
			assert_int_equal(chain.head, head);
			assert_ptr_equal(chain.out[0].iov_base, byte_at(DATA + turn));
			assert_int_equal(virtqueue_pop(&queue, &chain), 0);
			/* The driver wants to hear of this one. */
			put16(avail + 4 + 2 * 256, turn);
			virtqueue_push(&queue, head, turn);
			virtqueue_publish(&queue);
			assert_int_equal(get16(used + 2), (uint16_t)(turn + 1));
			get(used + 4 + turn % 256 * 8, elem, sizeof(elem));
			assert_int_equal(elem[0], head);
			assert_int_equal(elem[1], turn);
			assert_true(virtqueue_interrupt_due(&queue));
			assert_false(virtqueue_kicks_on(&queue));
			assert_int_equal(get16(used + 4 + 8 * 256), (uint16_t)(turn + 1));
		}
	}
}

static void rings_need_their_permissions(void **state)
{
	static const struct {
		unsigned int page;
		uint32_t allows, access;
	} tries[] = {
		{ 0, IOMMU_WRITE, IOMMU_READ }, { 1, 0, IOMMU_READ },
		{ 2, IOMMU_WRITE, IOMMU_READ }, { 4, IOMMU_READ, IOMMU_WRITE },
		{ 5, IOMMU_READ, IOMMU_WRITE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		unmap(tries[i].page);
		assert_int_equal(
			start_at(WINDOW + 0x800, WINDOW + 0x2000, WINDOW + 0x4c04, 256, true),
			-EINVAL);
		assert_int_equal(last.reason, IOMMU_NO_MAPPING);
		map(tries[i].page, gpa_of_page[tries[i].page], tries[i].allows);
		assert_int_equal(
			start_at(WINDOW + 0x800, WINDOW + 0x2000, WINDOW + 0x4c04, 256, true),
			-EINVAL);
		assert_int_equal(last.access, tries[i].access);
		unmap(tries[i].page);
		map(tries[i].page, gpa_of_page[tries[i].page], BOTH);
	}
	assert_int_equal(faults, 2 * ARRAY_SIZE(tries));
	assert_int_equal(revoked, 0);
	start(256);
}

/* At nothing, and at what is no memory. */
static void rings_that_point_nowhere_start_no_queue(void **state)
{
	map(PAGES, 0x8090000, BOTH);
	assert_int_equal(start_at(0, WINDOW, WINDOW, 8, true), -EINVAL);
	assert_int_equal(start_at(WINDOW, WINDOW + PAGES * PAGE, WINDOW, 8, true), -EINVAL);
	assert_int_equal(last.reason, IOMMU_UNKNOWN);
	assert_int_equal(last.iova, WINDOW + PAGES * PAGE);
	assert_int_equal(start_at(WINDOW, WINDOW, UINT64_MAX - 3, 8, true), -EINVAL);
	/* The last byte. */
	assert_int_equal(start_at(WINDOW, WINDOW, WINDOW + PAGES * PAGE - 68, 8, true), -EINVAL);
	unmap(PAGES);
	assert_int_equal(revoked, 0);
}

/* Buffers. */

static void buffers_are_a_segment_for_each_place(void **state)
{
	start(8);
	desc(0, DATA + 0x800, 3 * PAGE, VRING_DESC_F_NEXT, 1);
	desc(1, DATA + 8 * PAGE, 16, VRING_DESC_F_NEXT, 2);
	desc(2, DATA + 16 * PAGE - 1, PAGE + 2, VRING_DESC_F_WRITE, 0);
	offer(0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.out_count, 5);
	assert_int_equal(chain.in_count, 3);
	assert_int_equal(chain.out_bytes, 3 * PAGE + 16);
	assert_int_equal(chain.in_bytes, PAGE + 2);
	assert_ptr_equal(chain.out[0].iov_base, byte_at(DATA + 0x800));
	assert_int_equal(chain.out[0].iov_len, 0x800);
	assert_ptr_equal(chain.out[3].iov_base, byte_at(DATA + 3 * PAGE));
	assert_int_equal(chain.out[3].iov_len, 0x800);
	assert_int_equal(chain.in[0].iov_len, 1);
	assert_ptr_equal(chain.in[2].iov_base, byte_at(DATA + 17 * PAGE));
	assert_int_equal(chain.in[2].iov_len, 1);
}

/* Of pages that are neighbours after all. */
static void what_lies_together_is_one_segment(void **state)
{
	start(8);
	for (unsigned int i = 0; i < 4; i++) {
		unmap(200 + i);
		map(200 + i, BASE + (300 + i) * PAGE, BOTH);
	}
	desc(0, WINDOW + 200 * PAGE + 5, 3 * PAGE, VRING_DESC_F_NEXT, 1);
	/* But a descriptor is a segment by itself. */
	desc(1, WINDOW + 203 * PAGE + 5, 16, 0, 0);
	offer(0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.out_count, 2);
	assert_int_equal(chain.out[0].iov_len, 3 * PAGE);
	assert_ptr_equal(chain.out[0].iov_base, memory_at(&memory, BASE + 300 * PAGE + 5, 1));
}

static void indirect_tables_may_lie_anywhere(void **state)
{
	/* Across two pages, and a descriptor across them. */
	const uint64_t table = INDIRECT + PAGE - 5 * 16 - 8;

	start(8);
	for (unsigned int i = 0; i < 12; i++)
		desc_at(table, i, DATA + i * 100, 10 + i, i < 11 ? VRING_DESC_F_NEXT : 0, i + 1);
	desc(3, table, 12 * 16, VRING_DESC_F_INDIRECT, 0);
	offer(3);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.out_count, 12);
	for (unsigned int i = 0; i < 12; i++) {
		assert_ptr_equal(chain.out[i].iov_base, byte_at(DATA + i * 100));
		assert_int_equal(chain.out[i].iov_len, 10 + i);
	}
}

static void assert_broken(void)
{
	assert_int_equal(virtqueue_pop(&queue, &chain), -EPROTO);
	assert_false(virtqueue_running(&queue));
}

static void wrong_access_breaks_the_queue_and_is_told(void **state)
{
	static const struct {
		uint32_t allows;
		uint16_t flags;
		bool good;
	} tries[] = {
		{ BOTH, 0, true },
		{ BOTH, VRING_DESC_F_WRITE, true },
		{ IOMMU_READ, 0, true },
		{ IOMMU_READ, VRING_DESC_F_WRITE, false },
		{ IOMMU_WRITE, VRING_DESC_F_WRITE, true },
		{ IOMMU_WRITE, 0, false },
		{ 0, 0, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		faults = 0;
		unmap(101);
		map(101, gpa_of_page[101], tries[i].allows);
		start(8);
		desc(0, WINDOW + 101 * PAGE - 8, 16, tries[i].flags, 0);
		offer(0);
		if (tries[i].good) {
			assert_int_equal(virtqueue_pop(&queue, &chain), 1);
			assert_int_equal(faults, 0);
		} else {
			assert_broken();
			assert_int_equal(faults, 1);
			assert_int_equal(last.iova, WINDOW + 101 * PAGE);
		}
		virtqueue_forget(&queue);
	}
	assert_int_equal(revoked, 0);
}

static void indirect_tables_without_permission_break_the_queue(void **state)
{
	start(8);
	unmap(33);
	desc_at(INDIRECT, 255, DATA, 16, VRING_DESC_F_NEXT, 256);
	desc(0, INDIRECT, 0xfffffff0, VRING_DESC_F_INDIRECT, 0);
	desc_at(INDIRECT, 0, DATA, 16, VRING_DESC_F_NEXT, 255);
	offer(0);
	assert_broken();
	assert_int_equal(last.iova, WINDOW + 33 * PAGE);
	assert_int_equal(last.access, IOMMU_READ);
}

static void chains_of_too_many_pieces_break_the_queue(void **state)
{
	start(8);
	desc(0, DATA, ROOM * PAGE, 0, 0);
	offer(0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.out_count, ROOM);
	start(8);
	desc(0, DATA + 8, ROOM * PAGE, 0, 0);
	offer(0);
	assert_broken();
	assert_int_equal(faults, 0);
}

static void loops_end(void **state)
{
	start(8);
	desc(0, DATA, 16, VRING_DESC_F_NEXT, 1);
	desc(1, DATA + 16, 16, VRING_DESC_F_NEXT, 0);
	offer(0);
	assert_broken();
	start(8);
	desc(0, DATA, 0, VRING_DESC_F_NEXT, 0);
	offer(0);
	assert_broken();
	start(8);
	for (unsigned int i = 0; i < 8; i++)
		desc(i, DATA + i, 1, VRING_DESC_F_NEXT, (i + 1) % 8);
	offer(0);
	assert_broken();
}

static void lengths_add_up_to_no_more_than_32_bits(void **state)
{
	assert_int_equal(iommu_map(&iommu, DOMAIN, GIB(8), GIB(16) - 1, BASE, BOTH), IOMMU_OK);
	start(8);
	desc(0, GIB(8), 0x10000, VRING_DESC_F_NEXT, 1);
	desc(1, GIB(8), 0xffffffff, 0, 0);
	offer(0);
	assert_broken();
	/* What is mapped there is no memory behind RAM's end. */
	assert_int_equal(last.reason, IOMMU_UNKNOWN);
}

/* Who holds what. */

static void chains_hold_their_mappings_until_they_are_given_back(void **state)
{
	start(8);
	desc(0, DATA, 2 * PAGE, 0, 0);
	offer(0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	virtqueue_push(&queue, 0, 0);
	unmap(64);
	unmap(65);
	assert_int_equal(revoked, 0);
	map(64, gpa_of_page[64], BOTH);
	map(65, gpa_of_page[65], BOTH);
	offer(0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	virtqueue_unpop(&queue, &chain);
	unmap(64);
	assert_int_equal(revoked, 0);
	map(64, gpa_of_page[64], BOTH);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_false(virtqueue_lost(&queue));
	unmap(65);
	assert_int_equal(revoked, 1);
}

static void broken_and_stopped_queues_hold_their_chains(void **state)
{
	start(8);
	desc(0, DATA, 16, 0, 0);
	offer(0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	virtqueue_break(&queue);
	virtqueue_stop(&queue);
	/* Still in flight. */
	unmap(64);
	assert_int_equal(revoked, 1);
	map(64, gpa_of_page[64], BOTH);
	start(8);
	desc(0, DATA, 16, 0, 0);
	offer(0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	virtqueue_break(&queue);
	virtqueue_push(&queue, 0, 0);
	unmap(64);
	assert_int_equal(revoked, 1);
}

static void rings_are_held_while_the_queue_runs(void **state)
{
	start(256);
	for (unsigned int page = 0; page < 6; page++) {
		unmap(page);
		assert_int_equal(revoked, 1);
		map(page, gpa_of_page[page], BOTH);
		revoked = 0;
		start(256);
	}
	virtqueue_stop(&queue);
	for (unsigned int page = 0; page < 6; page++)
		unmap(page);
	assert_int_equal(revoked, 0);
}

static void a_chain_that_fails_holds_nothing(void **state)
{
	unmap(66);
	start(8);
	desc(0, DATA, 3 * PAGE, 0, 0);
	offer(0);
	assert_broken();
	unmap(64);
	unmap(65);
	assert_int_equal(revoked, 0);
}

/* Where GPAs are seen all is as without an IOMMU. */
static void bypass_changes_nothing(void **state)
{
	assert_int_equal(iommu_detach(&iommu, 8, DOMAIN), IOMMU_OK);
	for (unsigned int i = 0; i < PAGES; i++)
		gpa_of_page[i] = BASE + i * PAGE;
	assert_int_equal(start_at(BASE, BASE + PAGE, BASE + 2 * PAGE, 8, true), 0);
	memset(memory_at(&memory, BASE, 3 * PAGE), 0, 3 * PAGE);
	*(struct vring_desc *)memory_at(&memory, BASE, 16) =
		(struct vring_desc){ BASE + 8 * PAGE, 64 * PAGE, 0, 0 };
	((struct vring_avail *)memory_at(&memory, BASE + PAGE, 8))->idx = 1;
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.out_count, 1);
	virtqueue_push(&queue, 0, 0);
}

#define dma_test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		dma_test(rings_may_lie_in_two_places),
		dma_test(rings_need_their_permissions),
		dma_test(rings_that_point_nowhere_start_no_queue),
		dma_test(buffers_are_a_segment_for_each_place),
		dma_test(what_lies_together_is_one_segment),
		dma_test(indirect_tables_may_lie_anywhere),
		dma_test(wrong_access_breaks_the_queue_and_is_told),
		dma_test(indirect_tables_without_permission_break_the_queue),
		dma_test(chains_of_too_many_pieces_break_the_queue),
		dma_test(loops_end),
		dma_test(lengths_add_up_to_no_more_than_32_bits),
		dma_test(chains_hold_their_mappings_until_they_are_given_back),
		dma_test(broken_and_stopped_queues_hold_their_chains),
		dma_test(rings_are_held_while_the_queue_runs),
		dma_test(a_chain_that_fails_holds_nothing),
		dma_test(bypass_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
