// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "unit.h"

#include "driver.h"
#include "util.h"

#define BASE GIB(1)
#define SIZE MIB(4)
#define END  (BASE + SIZE)
#define DATA (BASE + MIB(1))

static struct memory memory;
static struct virtqueue queue;
static struct driver driver;
static struct virtqueue_chain chain;

static void start(uint16_t size, bool event_idx)
{
	driver = driver_create(&memory, BASE, size);
	assert_int_equal(virtqueue_start(&queue, &memory, &driver.layout, event_idx), 0);
	assert_true(virtqueue_running(&queue));
}

static int begin(void **state)
{
	if (memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL) < 0)
		return -1;
	memset(&chain, 0x5a, sizeof(chain));
	start(8, false);
	return 0;
}

static int end(void **state)
{
	memory_destroy(&memory);
	return 0;
}

static void *at(uint64_t gpa)
{
	return memory_at(&memory, gpa, 1);
}

/* One descriptor, 16 bytes to be read, made available. */
static void offer_simple(uint16_t head)
{
	driver_desc(&driver, head, DATA + head * 16, 16, 0, 0);
	driver_offer(&driver, head);
}

/* The next pop finds the rules broken, and so does all that follows. */
static void assert_broken(void)
{
	const uint16_t used = driver_used(&driver)->idx;

	assert_int_equal(virtqueue_pop(&queue, &chain), -EPROTO);
	assert_false(virtqueue_running(&queue));
	assert_int_equal(virtqueue_pop(&queue, &chain), -EPROTO);
	virtqueue_push(&queue, 0, 0);
	virtqueue_publish(&queue);
	assert_false(virtqueue_interrupt_due(&queue));
	assert_int_equal(virtqueue_unseen(&queue), 0);
	assert_false(virtqueue_kicks_on(&queue));
	virtqueue_kicks_off(&queue);
	assert_int_equal(driver_used(&driver)->idx, used);
	/* A new start mends it. */
	start(8, false);
	offer_simple(1);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	start(8, false);
}

static void serve_one(void)
{
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	virtqueue_push(&queue, chain.head, 0);
	virtqueue_publish(&queue);
}

/* Layout. */

static int start_at(uint64_t desc, uint64_t avail, uint64_t used, uint16_t size)
{
	const struct virtqueue_layout layout = { desc, avail, used, size };
	int err = virtqueue_start(&queue, &memory, &layout, false);

	assert_int_equal(virtqueue_running(&queue), err == 0);
	if (err < 0)
		assert_int_equal(virtqueue_pop(&queue, &chain), -EPROTO);
	return err;
}

static void sizes_that_are_no_power_of_two_are_refused(void **state)
{
	for (unsigned int size = 0; size <= UINT16_MAX; size++) {
		bool good = size == 1 || size == 2 || size == 4 || size == 8 || size == 16 ||
			    size == 32 || size == 64 || size == 128 || size == 256;

		assert_int_equal(start_at(BASE, BASE + 0x1000, BASE + 0x2000, size),
				 good ? 0 : -EINVAL);
	}
}

static void misaligned_parts_are_refused(void **state)
{
	for (unsigned int off = 0; off < 32; off++) {
		assert_int_equal(start_at(BASE + off, BASE + 0x1000, BASE + 0x2000, 8),
				 off % 16 ? -EINVAL : 0);
		assert_int_equal(start_at(BASE, BASE + 0x1000 + off, BASE + 0x2000, 8),
				 off % 2 ? -EINVAL : 0);
		assert_int_equal(start_at(BASE, BASE + 0x1000, BASE + 0x2000 + off, 8),
				 off % 4 ? -EINVAL : 0);
	}
}

/* A queue of 8 has 128, 22 and 70 bytes. */
static void parts_outside_ram_are_refused(void **state)
{
	static const uint64_t outside[] = {
		0,	  0x09000000, 0x0a000000,      BASE - 16,
		END - 16, END,	      UINT64_MAX - 15, INT64_MAX - 15,
	};

	assert_int_equal(start_at(END - 128, END - 256, END - 512, 8), 0);
	assert_int_equal(start_at(END - 112, BASE, BASE, 8), -EINVAL);
	assert_int_equal(start_at(BASE, END - 22, BASE, 8), 0);
	assert_int_equal(start_at(BASE, END - 20, BASE, 8), -EINVAL);
	assert_int_equal(start_at(BASE, BASE, END - 72, 8), 0);
	assert_int_equal(start_at(BASE, BASE, END - 68, 8), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
		assert_int_equal(start_at(outside[i], BASE, BASE, 8), -EINVAL);
		assert_int_equal(start_at(BASE, outside[i], BASE, 8), -EINVAL);
		assert_int_equal(start_at(BASE, BASE, outside[i], 8), -EINVAL);
	}
}

static void stopped_queue_does_nothing(void **state)
{
	offer_simple(0);
	virtqueue_stop(&queue);
	assert_false(virtqueue_running(&queue));
	assert_int_equal(virtqueue_pop(&queue, &chain), -EPROTO);
	virtqueue_push(&queue, 0, 0);
	virtqueue_publish(&queue);
	assert_false(virtqueue_interrupt_due(&queue));
	assert_false(virtqueue_kicks_on(&queue));
	virtqueue_kicks_off(&queue);
	assert_none_taken(&driver);
}

/* Chains that are as they should be. */

static void empty_queue_has_nothing(void **state)
{
	assert_int_equal(virtqueue_pop(&queue, &chain), 0);
	assert_true(virtqueue_running(&queue));
}

static void chain_has_its_segments_in_order(void **state)
{
	driver_desc(&driver, 5, DATA, 10, NEXT, 2);
	driver_desc(&driver, 2, DATA + 100, 20, NEXT, 7);
	driver_desc(&driver, 7, DATA + 200, 30, NEXT | WRITE, 0);
	driver_desc(&driver, 0, DATA + 300, 40, WRITE, 5);
	driver_offer(&driver, 5);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.head, 5);
	assert_int_equal(chain.out_count, 2);
	assert_int_equal(chain.in_count, 2);
	assert_int_equal(chain.out_bytes, 30);
	assert_int_equal(chain.in_bytes, 70);
	assert_ptr_equal(chain.out[0].iov_base, at(DATA));
	assert_int_equal(chain.out[0].iov_len, 10);
	assert_ptr_equal(chain.out[1].iov_base, at(DATA + 100));
	assert_int_equal(chain.out[1].iov_len, 20);
	assert_ptr_equal(chain.in[0].iov_base, at(DATA + 200));
	assert_int_equal(chain.in[0].iov_len, 30);
	assert_ptr_equal(chain.in[1].iov_base, at(DATA + 300));
	assert_int_equal(chain.in[1].iov_len, 40);
	assert_int_equal(virtqueue_pop(&queue, &chain), 0);
}

static void chains_come_in_the_order_of_the_ring(void **state)
{
	static const uint16_t order[] = { 3, 0, 7, 1 };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		offer_simple(order[i]);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		assert_int_equal(virtqueue_pop(&queue, &chain), 1);
		assert_int_equal(chain.head, order[i]);
	}
	assert_int_equal(virtqueue_pop(&queue, &chain), 0);
}

static void used_ring_has_the_order_of_pushing(void **state)
{
	for (uint16_t head = 0; head < 4; head++)
		offer_simple(head);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	virtqueue_push(&queue, 2, 7);
	virtqueue_push(&queue, 0, UINT32_MAX);
	assert_none_taken(&driver);
	virtqueue_publish(&queue);
	assert_taken(&driver, 2, 7);
	assert_taken(&driver, 0, UINT32_MAX);
	assert_none_taken(&driver);
	virtqueue_push(&queue, 3, 0);
	virtqueue_push(&queue, 1, 1);
	virtqueue_publish(&queue);
	assert_taken(&driver, 3, 0);
	assert_taken(&driver, 1, 1);
}

static void indices_wrap_at_65536(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 8, 256 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		start(sizes[i], i % 2);
		for (unsigned int n = 0; n < 70000; n++) {
			const uint16_t head = n % sizes[i];

			driver_desc(&driver, head, DATA + n, 1 + n % 100, WRITE, 0);
			driver_offer(&driver, head);
			assert_int_equal(virtqueue_pop(&queue, &chain), 1);
			assert_int_equal(chain.head, head);
			assert_ptr_equal(chain.in[0].iov_base, at(DATA + n));
			virtqueue_push(&queue, head, n);
			virtqueue_publish(&queue);
			assert_taken(&driver, head, n);
			assert_int_equal(virtqueue_pop(&queue, &chain), 0);
		}
	}
}

static void full_queue_wraps_too(void **state)
{
	for (unsigned int round = 0; round < 65536 / 8 + 3; round++) {
		for (uint16_t head = 0; head < 8; head++)
			offer_simple(head);
		for (uint16_t head = 0; head < 8; head++) {
			assert_int_equal(virtqueue_pop(&queue, &chain), 1);
			assert_int_equal(chain.head, head);
			virtqueue_push(&queue, head, round);
		}
		virtqueue_publish(&queue);
		for (uint16_t head = 0; head < 8; head++)
			assert_taken(&driver, head, round);
	}
}

static void unpop_brings_a_chain_back(void **state)
{
	offer_simple(4);
	offer_simple(5);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(virtqueue_pop(&queue, &chain), 1);
		assert_int_equal(chain.head, 4);
		virtqueue_unpop(&queue, &chain);
	}
	serve_one();
	assert_int_equal(chain.head, 4);
	serve_one();
	assert_int_equal(chain.head, 5);
	assert_taken(&driver, 4, 0);
	assert_taken(&driver, 5, 0);
}

static void unpop_at_the_wrap(void **state)
{
	for (unsigned int n = 0; n < 65535; n++) {
		offer_simple(n % 8);
		serve_one();
	}
	offer_simple(3);
	assert_int_equal(queue.next_avail, 65535);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(queue.next_avail, 0);
	virtqueue_unpop(&queue, &chain);
	assert_int_equal(queue.next_avail, 65535);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.head, 3);
}

static void zero_length_segments_are_harmless(void **state)
{
	driver_desc(&driver, 0, DATA, 0, NEXT, 1);
	driver_desc(&driver, 1, END, 0, NEXT, 2); /* the end of RAM is a place for nothing */
	driver_desc(&driver, 2, DATA, 0, WRITE, 0);
	driver_offer(&driver, 0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.out_count, 2);
	assert_int_equal(chain.in_count, 1);
	assert_int_equal(chain.out_bytes + chain.in_bytes, 0);
	driver_desc(&driver, 3, END + 1, 0, 0, 0);
	driver_offer(&driver, 3);
	assert_broken();
}

/* Indirect descriptors. */

#define TABLE (BASE + 0x10000)

static void put_indirect(uint64_t table, unsigned int index, uint64_t addr, uint32_t len,
			 uint16_t flags, uint16_t next)
{
	struct vring_desc *desc = memory_at(&memory, table, (index + 1) * sizeof(*desc));

	desc[index] = (struct vring_desc){ addr, len, flags, next };
}

static void indirect_table_is_followed(void **state)
{
	put_indirect(TABLE, 0, DATA, 10, NEXT, 2);
	put_indirect(TABLE, 2, DATA + 100, 20, WRITE, 0);
	driver_desc(&driver, 6, TABLE, 48, INDIRECT, 99);
	driver_offer(&driver, 6);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.head, 6);
	assert_int_equal(chain.out_count, 1);
	assert_int_equal(chain.in_count, 1);
	assert_ptr_equal(chain.out[0].iov_base, at(DATA));
	assert_ptr_equal(chain.in[0].iov_base, at(DATA + 100));
}

static void indirect_table_may_follow_direct_descriptors(void **state)
{
	driver_desc(&driver, 0, DATA, 10, NEXT, 1);
	driver_desc(&driver, 1, TABLE, 16, INDIRECT, 0);
	put_indirect(TABLE, 0, DATA + 100, 20, WRITE, 0);
	driver_offer(&driver, 0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.out_bytes, 10);
	assert_int_equal(chain.in_bytes, 20);
}

/* virtio 1.3, 2.7.5.3.2: the device must ignore it. */
static void write_flag_of_an_indirect_table_is_ignored(void **state)
{
	put_indirect(TABLE, 0, DATA, 10, 0, 0);
	driver_desc(&driver, 0, TABLE, 16, INDIRECT | WRITE, 0);
	driver_offer(&driver, 0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.out_count, 1);
}

static void indirect_table_may_be_misaligned(void **state)
{
	const struct vring_desc desc = { DATA, 10, 0, 0 };

	memcpy(memory_at(&memory, TABLE + 3, sizeof(desc)), &desc, sizeof(desc));
	driver_desc(&driver, 0, TABLE + 3, 16, INDIRECT, 0);
	driver_offer(&driver, 0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.out_bytes, 10);
}

static void indirect_table_of_a_bad_length_breaks(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 15, 17, 31, UINT32_MAX, UINT32_MAX - 15 };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		put_indirect(TABLE, 0, DATA, 10, 0, 0);
		driver_desc(&driver, 0, TABLE, lengths[i], INDIRECT, 0);
		driver_offer(&driver, 0);
		assert_broken();
	}
}

static void indirect_table_outside_ram_breaks(void **state)
{
	static const uint64_t tables[] = { 0, BASE - 16, BASE - 8, END - 8, END, UINT64_MAX - 15 };

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		driver_desc(&driver, 0, tables[i], 16, INDIRECT, 0);
		driver_offer(&driver, 0);
		assert_broken();
	}
}

static void indirect_within_indirect_breaks(void **state)
{
	put_indirect(TABLE, 0, TABLE, 16, INDIRECT, 0);
	driver_desc(&driver, 0, TABLE, 16, INDIRECT, 0);
	driver_offer(&driver, 0);
	assert_broken();
}

static void indirect_with_next_breaks(void **state)
{
	put_indirect(TABLE, 0, DATA, 10, 0, 0);
	driver_desc(&driver, 0, TABLE, 16, INDIRECT | NEXT, 1);
	driver_desc(&driver, 1, DATA, 16, 0, 0);
	driver_offer(&driver, 0);
	assert_broken();
}

static void index_outside_an_indirect_table_breaks(void **state)
{
	static const uint16_t indices[] = { 2, 7, 8, UINT16_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		/* What stands there would do. */
		for (unsigned int j = 1; j < 16; j++)
			put_indirect(TABLE, j, DATA, 10, 0, 0);
		put_indirect(TABLE, 0, DATA, 10, NEXT, indices[i]);
		driver_desc(&driver, 0, TABLE, 32, INDIRECT, 0);
		driver_offer(&driver, 0);
		assert_broken();
	}
}

static void chain_of_segments(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		put_indirect(TABLE, i, DATA + i, 1, i + 1 < count ? NEXT : 0, i + 1);
	driver_desc(&driver, 0, TABLE, 16 * count, INDIRECT, 0);
	driver_offer(&driver, 0);
}

static void chain_at_the_limit_and_beyond(void **state)
{
	chain_of_segments(VIRTQUEUE_SEGMENTS_MAX);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.out_count, VIRTQUEUE_SEGMENTS_MAX);
	assert_int_equal(chain.out_bytes, VIRTQUEUE_SEGMENTS_MAX);
	assert_ptr_equal(chain.out[VIRTQUEUE_SEGMENTS_MAX - 1].iov_base,
			 at(DATA + VIRTQUEUE_SEGMENTS_MAX - 1));
	start(8, false);
	chain_of_segments(VIRTQUEUE_SEGMENTS_MAX + 1);
	assert_broken();
	chain_of_segments(1000);
	assert_broken();
}

/* Drivers that break the rules. */

static void loops_break(void **state)
{
	driver_desc(&driver, 0, DATA, 10, NEXT, 0);
	driver_offer(&driver, 0);
	assert_broken();

	driver_desc(&driver, 0, DATA, 10, NEXT, 1);
	driver_desc(&driver, 1, DATA, 0, NEXT, 2);
	driver_desc(&driver, 2, DATA, 10, NEXT, 1);
	driver_offer(&driver, 0);
	assert_broken();

	put_indirect(TABLE, 0, DATA, 0, NEXT | WRITE, 1);
	put_indirect(TABLE, 1, DATA, 0, NEXT | WRITE, 0);
	driver_desc(&driver, 0, TABLE, 32, INDIRECT, 0);
	driver_offer(&driver, 0);
	assert_broken();
}

/* A page of descriptors that would do, if they were the queue's. */
static void fill_table(void)
{
	for (unsigned int i = 0; i < 256; i++)
		driver_desc(&driver, i, DATA, 10, 0, 0);
}

static void descriptor_index_out_of_range_breaks(void **state)
{
	static const uint16_t indices[] = { 8, 9, 255, 256, 32768, UINT16_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		fill_table();
		driver_desc(&driver, 0, DATA, 10, NEXT, indices[i]);
		driver_offer(&driver, 0);
		assert_broken();
	}
}

static void head_out_of_range_breaks(void **state)
{
	static const uint16_t heads[] = { 8, 9, 255, 256, 32768, UINT16_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		fill_table();
		driver_offer(&driver, heads[i]);
		assert_broken();
	}
	/* Beyond all heads that there can be. */
	start(256, false);
	driver_offer(&driver, 256);
	assert_broken();
}

static void same_head_twice_in_flight_breaks(void **state)
{
	offer_simple(3);
	offer_simple(3);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_broken();

	/* Given back, it may come again. */
	offer_simple(3);
	serve_one();
	offer_simple(3);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	virtqueue_unpop(&queue, &chain);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	/* Its neighbours are others. */
	offer_simple(2);
	offer_simple(4);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	offer_simple(4);
	assert_broken();
}

static void every_head_can_be_in_flight(void **state)
{
	start(256, false);
	for (unsigned int head = 0; head < 256; head++)
		offer_simple(head);
	for (unsigned int head = 0; head < 256; head++)
		assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(virtqueue_pop(&queue, &chain), 0);
	for (unsigned int head = 0; head < 256; head += 85)
		virtqueue_push(&queue, head, 0);
	offer_simple(170);
	offer_simple(171);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_broken();
}

static void available_index_that_jumps_breaks(void **state)
{
	static const uint16_t jumps[] = { 9, 10, 256, 32768, UINT16_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
		offer_simple(0);
		driver_avail(&driver)->idx = jumps[i];
		assert_broken();
	}
	/* By all of the ring is allowed. */
	for (uint16_t head = 0; head < 8; head++)
		offer_simple(head);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	/* Back is not. */
	driver_avail(&driver)->idx = 0;
	assert_broken();
}

static void out_after_in_breaks(void **state)
{
	driver_desc(&driver, 0, DATA, 10, NEXT | WRITE, 1);
	driver_desc(&driver, 1, DATA, 10, 0, 0);
	driver_offer(&driver, 0);
	assert_broken();

	driver_desc(&driver, 0, DATA, 10, NEXT | WRITE, 1);
	put_indirect(TABLE, 0, DATA, 10, 0, 0);
	driver_desc(&driver, 1, TABLE, 16, INDIRECT, 0);
	driver_offer(&driver, 0);
	assert_broken();
}

static void addresses_outside_ram_break(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} cases[] = {
		{ 0, 1 },
		{ 0x09000000, 4 },
		{ 0x0a000000, 4 },
		{ BASE - 1, 1 },
		{ BASE - 1, 2 },
		{ END, 1 },
		{ END - 1, 2 },
		{ BASE, SIZE + 1 },
		{ BASE, UINT32_MAX },
		{ BASE + 1, UINT32_MAX },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - UINT32_MAX + 1, UINT32_MAX },
		{ UINT64_MAX - UINT32_MAX + 2, UINT32_MAX },
		{ BASE | UINT64_C(1) << 63, 1 },
		{ BASE + (UINT64_C(1) << 32), 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		driver_desc(&driver, 0, cases[i].addr, cases[i].len, i % 2 ? WRITE : 0, 0);
		driver_offer(&driver, 0);
		assert_broken();
		driver_desc(&driver, 0, DATA, 10, NEXT, 1);
		driver_desc(&driver, 1, cases[i].addr, cases[i].len, WRITE, 0);
		driver_offer(&driver, 0);
		assert_broken();
	}
	driver_desc(&driver, 0, BASE, SIZE, 0, 0);
	driver_offer(&driver, 0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.out_bytes, SIZE);
}

/* The sum of lengths has 32 bits in the used ring, and in most request headers. */
static void lengths_that_overflow_32_bits_break(void **state)
{
	struct memory large;
	struct driver big;

	assert_int_equal(memory_create(&large, BASE, GIB(2), MEMORY_ANON, NULL), 0);
	for (unsigned int flags = 0; flags <= WRITE; flags += WRITE) {
		big = driver_create(&large, BASE, 8);
		assert_int_equal(virtqueue_start(&queue, &large, &big.layout, false), 0);
		driver_desc(&big, 0, BASE, GIB(2), flags | NEXT, 1);
		driver_desc(&big, 1, BASE, GIB(2) - 1, flags, 0);
		driver_offer(&big, 0);
		assert_int_equal(virtqueue_pop(&queue, &chain), 1);
		assert_int_equal(chain.out_bytes + chain.in_bytes, UINT32_MAX);
		driver_desc(&big, 2, BASE, GIB(2), flags | NEXT, 3);
		driver_desc(&big, 3, BASE, GIB(2), flags, 0);
		driver_offer(&big, 2);
		assert_int_equal(virtqueue_pop(&queue, &chain), -EPROTO);
	}
	memory_destroy(&large);
}

/* Header read twice: what the driver changes after the pop does not change the chain. */
static void descriptors_are_read_once(void **state)
{
	driver_desc(&driver, 0, DATA, 10, 0, 0);
	driver_offer(&driver, 0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	driver_desc(&driver, 0, UINT64_MAX, UINT32_MAX, NEXT | WRITE, 0xffff);
	assert_int_equal(chain.out_count, 1);
	assert_int_equal(chain.in_count, 0);
	assert_ptr_equal(chain.out[0].iov_base, at(DATA));
	assert_int_equal(chain.out[0].iov_len, 10);
	/* What it changes before the chain comes back counts, and is checked anew. */
	virtqueue_unpop(&queue, &chain);
	assert_broken();
}

/* All three parts in the same place: nonsense, but no harm. */
static void overlapping_parts_are_survived(void **state)
{
	const struct virtqueue_layout layout = { BASE, BASE, BASE, 256 };
	uint64_t seed = 5;

	for (unsigned int i = 0; i < 2000; i++) {
		for (uint64_t j = 0; j < 0x1000; j += 8)
			*(uint64_t *)at(BASE + j) = chance(&seed) & chance(&seed);
		*(uint32_t *)at(BASE) = 0x00400000;
		assert_int_equal(virtqueue_start(&queue, &memory, &layout, i % 2), 0);
		while (virtqueue_pop(&queue, &chain) > 0)
			virtqueue_push(&queue, chain.head, 1);
		virtqueue_publish(&queue);
		virtqueue_interrupt_due(&queue);
		virtqueue_kicks_on(&queue);
	}
}

/* What turning kicks on and off makes of the ring is looked at twice, and then the queue breaks. */
static void index_that_goes_back_breaks_the_queue(void **state)
{
	unsigned int popped = 0;
	int got;

	driver = driver_create_overlapping(&memory, BASE, 8, (struct vring_desc){ DATA, 16, 0, 0 });
	assert_int_equal(virtqueue_start(&queue, &memory, &driver.layout, false), 0);
	virtqueue_kicks_off(&queue);
	while ((got = virtqueue_next(&queue, &chain)) > 0) {
		virtqueue_push(&queue, chain.head, 0);
		popped++;
	}
	assert_int_equal(got, -EPROTO);
	assert_true(popped <= 8);
	assert_true(queue.broken);
}

static void next_turns_kicks_on_where_there_is_none(void **state)
{
	offer_simple(0);
	virtqueue_kicks_off(&queue);
	assert_int_equal(driver_used(&driver)->flags, VRING_USED_F_NO_NOTIFY);
	assert_int_equal(virtqueue_next(&queue, &chain), 1);
	assert_int_equal(driver_used(&driver)->flags, VRING_USED_F_NO_NOTIFY);
	virtqueue_push(&queue, chain.head, 0);
	assert_int_equal(virtqueue_next(&queue, &chain), 0);
	assert_int_equal(driver_used(&driver)->flags, 0);
	assert_true(virtqueue_running(&queue));
}

/* Notifications. */

static void interrupt_by_flag(void **state)
{
	assert_false(virtqueue_interrupt_due(&queue));
	offer_simple(0);
	serve_one();
	assert_true(virtqueue_interrupt_due(&queue));
	assert_false(virtqueue_interrupt_due(&queue));
	driver_avail(&driver)->flags = VRING_AVAIL_F_NO_INTERRUPT;
	offer_simple(1);
	serve_one();
	assert_false(virtqueue_interrupt_due(&queue));
	/* What was kept quiet stays so. */
	driver_avail(&driver)->flags = 0;
	assert_false(virtqueue_interrupt_due(&queue));
	offer_simple(2);
	serve_one();
	assert_true(virtqueue_interrupt_due(&queue));
}

static void nothing_published_is_no_interrupt(void **state)
{
	offer_simple(0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	virtqueue_push(&queue, 0, 0);
	assert_false(virtqueue_interrupt_due(&queue));
	virtqueue_publish(&queue);
	assert_true(virtqueue_interrupt_due(&queue));
	virtqueue_publish(&queue);
	assert_false(virtqueue_interrupt_due(&queue));
}

static void interrupt_by_event_index(void **state)
{
	start(8, true);
	*driver_used_event(&driver) = 2; /* when the third is used */
	/* The flag means nothing then. */
	driver_avail(&driver)->flags = VRING_AVAIL_F_NO_INTERRUPT;
	for (unsigned int i = 0; i < 6; i++) {
		offer_simple(i);
		serve_one();
		assert_int_equal(virtqueue_interrupt_due(&queue), i == 2);
	}
}

static void interrupt_of_a_batch_covers_the_event(void **state)
{
	start(8, true);
	*driver_used_event(&driver) = 2;
	for (unsigned int i = 0; i < 5; i++) {
		offer_simple(i);
		assert_int_equal(virtqueue_pop(&queue, &chain), 1);
		virtqueue_push(&queue, i, 0);
	}
	virtqueue_publish(&queue);
	assert_true(virtqueue_interrupt_due(&queue));
	assert_false(virtqueue_interrupt_due(&queue));
}

/* A driver that has seen the buffers meanwhile, and moved its event on, wants no interrupt. */
static void interrupt_asked_for_late(void **state)
{
	start(8, true);
	for (unsigned int i = 0; i < 3; i++) {
		offer_simple(i);
		serve_one();
	}
	*driver_used_event(&driver) = 3;
	assert_false(virtqueue_interrupt_due(&queue));
	offer_simple(3);
	serve_one();
	assert_true(virtqueue_interrupt_due(&queue));
	/* One that has not gets it, however much was published meanwhile. */
	*driver_used_event(&driver) = 4;
	for (unsigned int i = 0; i < 4; i++) {
		offer_simple(i);
		serve_one();
	}
	assert_true(virtqueue_interrupt_due(&queue));
	assert_false(virtqueue_interrupt_due(&queue));
}

/* All that the driver does waits, and nothing is held against it. */
static void in_a_pause_nothing_comes_of_it(void **state)
{
	offer_simple(0);
	serve_one();
	offer_simple(1);
	queue.paused = true;
	assert_int_equal(virtqueue_pop(&queue, &chain), 0);
	assert_false(virtqueue_interrupt_due(&queue));
	assert_false(virtqueue_kicks_on(&queue));
	virtqueue_kicks_off(&queue);
	assert_int_equal(driver_used(&driver)->flags, 0);
	queue.paused = false;
	assert_true(virtqueue_interrupt_due(&queue));
	assert_true(virtqueue_kicks_on(&queue));
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.head, 1);
}

static void what_the_driver_has_not_seen_is_counted(void **state)
{
	for (unsigned int i = 0; i < 3; i++) {
		offer_simple(i);
		serve_one();
		assert_int_equal(virtqueue_unseen(&queue), i + 1);
	}
	assert_true(virtqueue_interrupt_due(&queue));
	assert_int_equal(virtqueue_unseen(&queue), 0);
	start(8, true);
	*driver_used_event(&driver) = 0xfffe;
	offer_simple(0);
	serve_one();
	assert_int_equal(virtqueue_unseen(&queue), 3);
	virtqueue_stop(&queue);
	assert_int_equal(virtqueue_unseen(&queue), 0);
}

static void what_others_have_used_is_followed(void **state)
{
	start(8, true);
	driver_used(&driver)->idx = 0xfffe;
	*driver_used_event(&driver) = 0xfffd;
	virtqueue_follow(&queue);
	assert_int_equal(queue.next_used, 0xfffe);
	assert_int_equal(queue.published, 0xfffe);
	/* For that the driver has been told. */
	assert_false(virtqueue_interrupt_due(&queue));
	assert_true(virtqueue_seen(&queue, 0xfffd));
	/* From there it goes on. */
	virtqueue_push(&queue, 0, 0);
	virtqueue_publish(&queue);
	assert_int_equal(driver_used(&driver)->idx, 0xffff);
	virtqueue_stop(&queue);
	virtqueue_follow(&queue);
}

static void what_is_skipped_is_never_popped(void **state)
{
	start(4, false);
	for (uint16_t head = 0; head < 3; head++)
		offer_simple(head);
	virtqueue_skip(&queue);
	assert_int_equal(virtqueue_pop(&queue, &chain), 0);
	offer_simple(3);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(chain.head, 3);
	virtqueue_push(&queue, 3, 0);
	virtqueue_publish(&queue);
	assert_int_equal(driver_used(&driver)->idx, 1);
	virtqueue_stop(&queue);
	virtqueue_skip(&queue);
}

static void event_index_wraps(void **state)
{
	unsigned int interrupts = 0;

	start(8, true);
	for (unsigned int n = 0; n < 3 * 65536; n++) {
		*driver_used_event(&driver) = (n | 3); /* each fourth */
		offer_simple(n % 8);
		serve_one();
		interrupts += virtqueue_interrupt_due(&queue);
	}
	assert_int_equal(interrupts, 3 * 65536 / 4);
}

static void kicks_by_flag(void **state)
{
	virtqueue_kicks_off(&queue);
	assert_int_equal(driver_used(&driver)->flags, VRING_USED_F_NO_NOTIFY);
	assert_false(virtqueue_kicks_on(&queue));
	assert_int_equal(driver_used(&driver)->flags, 0);
	virtqueue_kicks_off(&queue);
	offer_simple(0);
	assert_true(virtqueue_kicks_on(&queue));
	serve_one();
	assert_false(virtqueue_kicks_on(&queue));
}

/* As the driver decides, by virtio 1.3, 2.7.10.1. */
static bool kick_wanted(uint16_t before)
{
	return vring_need_event(*driver_avail_event(&driver), driver.avail_idx, before);
}

static void kicks_by_event_index(void **state)
{
	start(8, true);
	for (unsigned int n = 0; n < 70000; n++) {
		uint16_t before = driver.avail_idx;

		/* The first after the device looked asks for a kick, further ones do not. */
		assert_false(virtqueue_kicks_on(&queue));
		offer_simple(n % 2);
		assert_true(kick_wanted(before));
		virtqueue_kicks_off(&queue);
		before = driver.avail_idx;
		offer_simple(2 + n % 2);
		assert_false(kick_wanted(before));
		assert_true(virtqueue_kicks_on(&queue));
		serve_one();
		assert_true(virtqueue_kicks_on(&queue));
		serve_one();
		assert_int_equal(driver_used(&driver)->flags, 0);
	}
}

static void kicks_after_an_unpop(void **state)
{
	start(8, true);
	offer_simple(0);
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	virtqueue_unpop(&queue, &chain);
	assert_true(virtqueue_kicks_on(&queue));
	serve_one();
	assert_false(virtqueue_kicks_on(&queue));
}

#define on_queue(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_queue(sizes_that_are_no_power_of_two_are_refused),
		on_queue(misaligned_parts_are_refused),
		on_queue(parts_outside_ram_are_refused),
		on_queue(stopped_queue_does_nothing),
		on_queue(empty_queue_has_nothing),
		on_queue(chain_has_its_segments_in_order),
		on_queue(chains_come_in_the_order_of_the_ring),
		on_queue(used_ring_has_the_order_of_pushing),
		on_queue(indices_wrap_at_65536),
		on_queue(full_queue_wraps_too),
		on_queue(unpop_brings_a_chain_back),
		on_queue(unpop_at_the_wrap),
		on_queue(zero_length_segments_are_harmless),
		on_queue(indirect_table_is_followed),
		on_queue(indirect_table_may_follow_direct_descriptors),
		on_queue(write_flag_of_an_indirect_table_is_ignored),
		on_queue(indirect_table_may_be_misaligned),
		on_queue(indirect_table_of_a_bad_length_breaks),
		on_queue(indirect_table_outside_ram_breaks),
		on_queue(indirect_within_indirect_breaks),
		on_queue(indirect_with_next_breaks),
		on_queue(index_outside_an_indirect_table_breaks),
		on_queue(chain_at_the_limit_and_beyond),
		on_queue(loops_break),
		on_queue(descriptor_index_out_of_range_breaks),
		on_queue(head_out_of_range_breaks),
		on_queue(same_head_twice_in_flight_breaks),
		on_queue(every_head_can_be_in_flight),
		on_queue(available_index_that_jumps_breaks),
		on_queue(out_after_in_breaks),
		on_queue(addresses_outside_ram_break),
		on_queue(lengths_that_overflow_32_bits_break),
		on_queue(descriptors_are_read_once),
		on_queue(overlapping_parts_are_survived),
		on_queue(index_that_goes_back_breaks_the_queue),
		on_queue(next_turns_kicks_on_where_there_is_none),
		on_queue(interrupt_by_flag),
		on_queue(nothing_published_is_no_interrupt),
		on_queue(interrupt_by_event_index),
		on_queue(interrupt_of_a_batch_covers_the_event),
		on_queue(interrupt_asked_for_late),
		on_queue(in_a_pause_nothing_comes_of_it),
		on_queue(what_the_driver_has_not_seen_is_counted),
		on_queue(what_others_have_used_is_followed),
		on_queue(what_is_skipped_is_never_popped),
		on_queue(event_index_wraps),
		on_queue(kicks_by_flag),
		on_queue(kicks_by_event_index),
		on_queue(kicks_after_an_unpop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
