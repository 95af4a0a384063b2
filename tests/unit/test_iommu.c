// SPDX-License-Identifier: GPL-2.0-only
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "devices/iommu.h"
#include "state/state.h"
#include "unit.h"
#include "util.h"

#define LIMIT	  4096
#define PAGE	  IOMMU_PAGE
#define MSI_START 0x8090000
#define MSI_END	  0x809ffff
#define BOTH	  (IOMMU_READ | IOMMU_WRITE)

/* The endpoints: numbers that functions of PCI have. */
enum { FIRST = 8, SECOND = 16, THIRD = 24 };

static struct iommu iommu;
static struct iommu_endpoint endpoints[3];
static struct iommu_view view, other;
static unsigned int revoked, revoked_all, faults;
static struct iommu_fault last;
static struct iommu_mapping *held; /* of the device, which gives it back when it is asked */

static void revoke(struct iommu_endpoint *endpoint, bool all)
{
	revoked++;
	revoked_all += all;
	iommu_release(held);
	held = NULL;
}

static void fault(struct iommu *who, const struct iommu_fault *what)
{
	assert_ptr_equal(who, &iommu);
	faults++;
	last = *what;
}

static int begin(void **state)
{
	static const uint32_t ids[] = { FIRST, SECOND, THIRD };

	if (iommu_create(&iommu, LIMIT) < 0)
		return -1;
	iommu.msi_start = MSI_START;
	iommu.msi_end = MSI_END;
	iommu.fault = fault;
	for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++)
		iommu_add(&iommu, &endpoints[i], ids[i], revoke);
	view = (struct iommu_view){ .endpoint = &endpoints[0] };
	other = (struct iommu_view){ .endpoint = &endpoints[1] };
	revoked = revoked_all = faults = 0;
	held = NULL;
	return 0;
}

static int end(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++)
		iommu_remove(&endpoints[i]);
	iommu_destroy(&iommu);
	return 0;
}

/* An access that is allowed: where it goes, and how many bytes lie together. */
static uint64_t gpa_of(struct iommu_view *by, uint64_t iova, uint32_t access, uint64_t *length)
{
	struct iommu_mapping *mapping;
	uint64_t gpa;

	assert_true(iommu_translate(by, iova, access, &gpa, length, &mapping));
	iommu_release(mapping);
	return gpa;
}

#define assert_goes_to(by, iova, gpa)                                                      \
	do {                                                                               \
		uint64_t length_ = 1;                                                      \
                                                                                           \
		assert_int_equal(gpa_of(by, iova, IOMMU_READ, &length_), (uint64_t)(gpa)); \
	} while (0)

static void assert_faults(struct iommu_view *by, uint64_t iova, uint32_t access,
			  enum iommu_reason reason)
{
	const unsigned int before = faults;
	struct iommu_mapping *mapping;
	uint64_t gpa, length = 1;

	assert_false(iommu_translate(by, iova, access, &gpa, &length, &mapping));
	assert_int_equal(faults, before + 1);
	assert_int_equal(last.reason, reason);
	assert_int_equal(last.endpoint, by->endpoint->id);
	assert_int_equal(last.iova, iova);
	assert_int_equal(last.access, access);
}

static void attach(uint32_t endpoint, uint32_t domain)
{
	assert_int_equal(iommu_attach(&iommu, endpoint, domain, false), IOMMU_OK);
}

static void map(uint32_t domain, uint64_t start, uint64_t pages, uint64_t phys)
{
	assert_int_equal(iommu_map(&iommu, domain, start, start + pages * PAGE - 1, phys, BOTH),
			 IOMMU_OK);
}

/* Where endpoints are attached. */

static void without_a_domain_bypass_decides(void **state)
{
	assert_goes_to(&view, 0x12345, 0x12345);
	iommu_set_bypass(&iommu, false);
	assert_int_equal(revoked_all, ARRAY_SIZE(endpoints));
	assert_faults(&view, 0x12345, IOMMU_READ, IOMMU_NO_DOMAIN);
	iommu_set_bypass(&iommu, true);
	assert_goes_to(&view, 0x12345, 0x12345);
}

static void attached_endpoints_see_mappings_only(void **state)
{
	attach(FIRST, 1);
	assert_int_equal(revoked_all, 1);
	assert_faults(&view, 0x5000, IOMMU_READ, IOMMU_NO_MAPPING);
	map(1, 0x5000, 1, 0x40000000);
	assert_goes_to(&view, 0x5010, 0x40000010);
	assert_goes_to(&other, 0x5010, 0x5010);
	attach(SECOND, 1);
	assert_goes_to(&other, 0x5010, 0x40000010);
	/* The mapping stays as long as somebody is attached. */
	assert_int_equal(iommu_detach(&iommu, FIRST, 1), IOMMU_OK);
	assert_goes_to(&view, 0x5010, 0x5010);
	assert_goes_to(&other, 0x5010, 0x40000010);
	assert_int_equal(iommu_detach(&iommu, SECOND, 1), IOMMU_OK);
	assert_int_equal(iommu.mappings, 0);
	attach(FIRST, 1);
	assert_faults(&view, 0x5010, IOMMU_READ, IOMMU_NO_MAPPING);
}

static void another_domain_is_seen_at_once(void **state)
{
	attach(FIRST, 1);
	attach(SECOND, 1);
	map(1, 0x5000, 1, 0x40000000);
	assert_goes_to(&view, 0x5000, 0x40000000);
	/* The mapping that is remembered is still there, for others. */
	attach(FIRST, 2);
	assert_faults(&view, 0x5000, IOMMU_READ, IOMMU_NO_MAPPING);
	map(2, 0x5000, 1, 0x50000000);
	assert_goes_to(&view, 0x5000, 0x50000000);
	assert_goes_to(&other, 0x5000, 0x40000000);
}

static void domains_may_bypass(void **state)
{
	assert_int_equal(iommu_attach(&iommu, FIRST, 1, true), IOMMU_OK);
	iommu_set_bypass(&iommu, false);
	assert_goes_to(&view, 0x12345, 0x12345);
	assert_int_equal(iommu_attach(&iommu, SECOND, 1, false), IOMMU_INVALID);
	assert_int_equal(iommu_map(&iommu, 1, 0, 0xfff, 0, BOTH), IOMMU_INVALID);
	assert_int_equal(iommu_unmap(&iommu, 1, 0, 0xfff), IOMMU_INVALID);
}

static void what_is_not_there_is_told(void **state)
{
	attach(FIRST, 1);
	assert_int_equal(iommu_attach(&iommu, 9, 1, false), IOMMU_ABSENT);
	assert_int_equal(iommu_detach(&iommu, 9, 1), IOMMU_ABSENT);
	assert_int_equal(iommu_detach(&iommu, FIRST, 2), IOMMU_INVALID);
	assert_int_equal(iommu_detach(&iommu, SECOND, 1), IOMMU_INVALID);
	assert_int_equal(iommu_attach(&iommu, FIRST, 0x10000, false), IOMMU_RANGE);
	assert_int_equal(iommu_map(&iommu, 2, 0, 0xfff, 0, BOTH), IOMMU_ABSENT);
	assert_int_equal(iommu_unmap(&iommu, 2, 0, 0xfff), IOMMU_ABSENT);
	assert_true(iommu_has(&iommu, FIRST));
	assert_false(iommu_has(&iommu, 9));
}

static void each_endpoint_can_have_its_domain_and_change_it(void **state)
{
	for (uint32_t domain = 0; domain < 200; domain++) {
		attach(FIRST, domain);
		attach(SECOND, domain + 1000);
		attach(THIRD, domain + 2000);
		map(domain, 0, 1, 0);
	}
	assert_int_equal(iommu.mappings, 1);
	iommu_reset(&iommu);
	assert_int_equal(iommu.mappings, 0);
	assert_goes_to(&view, 0x777000, 0x777000);
}

/* Mappings. */

static void only_whole_pages_of_the_range_are_mapped(void **state)
{
	static const struct {
		uint64_t start, end, phys;
		enum iommu_result result;
	} tries[] = {
		{ 1, 0xfff, 0, IOMMU_RANGE },
		{ 0, 0xffe, 0, IOMMU_RANGE },
		{ 0, 0x1000, 0, IOMMU_RANGE },
		{ 0, 0xfff, 0x800, IOMMU_RANGE },
		{ 0x1000, 0xfff, 0, IOMMU_RANGE },
		{ 0, UINT64_MAX, 0, IOMMU_RANGE },
		{ 0, IOMMU_IOVA_MAX + PAGE, 0, IOMMU_RANGE },
		{ 0, 0x1fff, UINT64_MAX - 0xfff, IOMMU_RANGE },
		{ MSI_START, MSI_END, 0, IOMMU_INVALID },
		{ 0, MSI_START + 0xfff, 0, IOMMU_INVALID },
		{ MSI_END - 0xfff, GIB(1) - 1, 0, IOMMU_INVALID },
		{ MSI_END + 1, IOMMU_IOVA_MAX, 0, IOMMU_OK },
		{ 0, MSI_START - 1, UINT64_MAX - (MSI_START - 1), IOMMU_OK },
	};

	attach(FIRST, 1);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
		assert_int_equal(
			iommu_map(&iommu, 1, tries[i].start, tries[i].end, tries[i].phys, BOTH),
			tries[i].result);
	assert_faults(&view, MSI_START, IOMMU_WRITE, IOMMU_NO_MAPPING);
}

static void mappings_do_not_overlap(void **state)
{
	attach(FIRST, 1);
	map(1, 0x10000, 4, 0x40000000);
	for (uint64_t start = 0xd000; start < 0x18000; start += PAGE)
		for (uint64_t end = start + PAGE; end < 0x19000; end += PAGE)
			if (start < 0x14000 && end > 0x10000)
				assert_int_equal(iommu_map(&iommu, 1, start, end - 1, 0, BOTH),
						 IOMMU_INVALID);
	assert_int_equal(iommu.mappings, 1);
	map(1, 0xf000, 1, 0);
	map(1, 0x14000, 1, 0);
}

/* virtio 1.3, 5.13.6.6: what an UNMAP does with what is mapped. */
static void unmap_takes_whole_mappings_or_none(void **state)
{
	attach(FIRST, 1);
	assert_int_equal(iommu_unmap(&iommu, 1, 0, 0x4fff), IOMMU_OK);
	map(1, 0, 5, 0);
	map(1, 0x5000, 5, 0);
	assert_int_equal(iommu_unmap(&iommu, 1, 0x1000, 0x4fff), IOMMU_RANGE);
	assert_int_equal(iommu_unmap(&iommu, 1, 0, 0x3fff), IOMMU_RANGE);
	assert_int_equal(iommu_unmap(&iommu, 1, 0, 0x5fff), IOMMU_RANGE);
	assert_int_equal(iommu_unmap(&iommu, 1, 0x1000, 0x3fff), IOMMU_RANGE);
	assert_int_equal(iommu_unmap(&iommu, 1, 0x1000, 0xfff), IOMMU_RANGE);
	assert_int_equal(iommu.mappings, 2);
	assert_int_equal(iommu_unmap(&iommu, 1, 0, 0x4fff), IOMMU_OK);
	assert_int_equal(iommu.mappings, 1);
	map(1, 0x20000, 1, 0);
	assert_int_equal(iommu_unmap(&iommu, 1, 0, UINT64_MAX), IOMMU_OK);
	assert_int_equal(iommu.mappings, 0);
}

static void permissions_hold(void **state)
{
	uint64_t length = 1;

	attach(FIRST, 1);
	assert_int_equal(iommu_map(&iommu, 1, 0, 0xfff, 0, IOMMU_READ), IOMMU_OK);
	assert_int_equal(iommu_map(&iommu, 1, 0x1000, 0x1fff, 0, IOMMU_WRITE), IOMMU_OK);
	assert_int_equal(iommu_map(&iommu, 1, 0x2000, 0x2fff, 0, 0), IOMMU_OK);
	gpa_of(&view, 0, IOMMU_READ, &length);
	gpa_of(&view, 0x1000, IOMMU_WRITE, &length);
	for (unsigned int i = 0; i < 2; i++) {
		assert_faults(&view, 0, IOMMU_WRITE, IOMMU_NO_MAPPING);
		assert_faults(&view, 0x1000, IOMMU_READ, IOMMU_NO_MAPPING);
		assert_faults(&view, 0x2000, IOMMU_READ, IOMMU_NO_MAPPING);
	}
	/* Nobody is left who holds one. */
	assert_int_equal(iommu_unmap(&iommu, 1, 0, 0x2fff), IOMMU_OK);
	assert_int_equal(revoked, 1);
}

static void a_translation_ends_with_its_mapping(void **state)
{
	uint64_t length = 0x10000;

	attach(FIRST, 1);
	map(1, 0x1000, 2, 0x40000000);
	map(1, 0x3000, 1, 0x40002000);
	assert_int_equal(gpa_of(&view, 0x1800, IOMMU_READ, &length), 0x40000800);
	assert_int_equal(length, 0x1800);
	length = 16;
	gpa_of(&view, 0x2ff0, IOMMU_READ, &length);
	assert_int_equal(length, 16);
	length = 17;
	gpa_of(&view, 0x2ff0, IOMMU_READ, &length);
	assert_int_equal(length, 16);
}

static void there_is_a_bound_and_then_room_again(void **state)
{
	attach(FIRST, 1);
	for (uint64_t i = 0; i < LIMIT; i++)
		map(1, 2 * i * PAGE + GIB(1), 1, 0);
	assert_int_equal(iommu_map(&iommu, 1, 0, 0xfff, 0, BOTH), IOMMU_NO_MEMORY);
	assert_int_equal(iommu_unmap(&iommu, 1, GIB(1), GIB(1) + 0xfff), IOMMU_OK);
	map(1, 0, 1, 0);
	assert_int_equal(iommu_map(&iommu, 1, 0x1000, 0x1fff, 0, BOTH), IOMMU_NO_MEMORY);
	assert_int_equal(iommu_unmap(&iommu, 1, 0, IOMMU_IOVA_MAX), IOMMU_OK);
	for (uint64_t i = 0; i < LIMIT; i++)
		map(1, i * PAGE, 1, 0);
}

/* Random requests against a table of pages. */
static void trees_are_what_a_table_says(void **state)
{
	enum { PAGES = 512 };
	static uint64_t first[PAGES], last_of[PAGES], phys[PAGES]; /* last 0: not mapped */
	uint64_t seed = 7;

	memset(last_of, 0, sizeof(last_of));
	attach(FIRST, 1);
	for (unsigned int i = 0; i < 200000; i++) {
		const uint64_t a = chance(&seed) % PAGES, n = chance(&seed) % 8;
		const uint64_t z = a + n < PAGES ? a + n : PAGES - 1;
		const uint64_t to = chance(&seed) % 1000 * PAGE;
		bool any = false, across = false;

		for (uint64_t page = a; page <= z; page++) {
			any |= last_of[page] > 0;
			across |= last_of[page] > 0 && (first[page] < a || last_of[page] - 1 > z);
		}
		switch (chance(&seed) % 3) {
		case 0:
			assert_int_equal(
				iommu_map(&iommu, 1, a * PAGE, (z + 1) * PAGE - 1, to, BOTH),
				any ? IOMMU_INVALID : IOMMU_OK);
			for (uint64_t page = a; page <= z && !any; page++) {
				first[page] = a;
				last_of[page] = z + 1;
				phys[page] = to + (page - a) * PAGE;
			}
			break;
		case 1:
			assert_int_equal(iommu_unmap(&iommu, 1, a * PAGE, (z + 1) * PAGE - 1),
					 across ? IOMMU_RANGE : IOMMU_OK);
			for (uint64_t page = a; page <= z && !across; page++)
				last_of[page] = 0;
			break;
		default:
			if (last_of[a] > 0)
				assert_goes_to(&view, a * PAGE + 5, phys[a] + 5);
			else
				assert_faults(&view, a * PAGE, IOMMU_READ, IOMMU_NO_MAPPING);
			break;
		}
	}
}

/* Who holds what. */

static void hold(uint64_t iova)
{
	uint64_t gpa, length = 1;

	assert_true(iommu_translate(&view, iova, IOMMU_READ, &gpa, &length, &held));
	assert_non_null(held);
}

static void only_who_holds_a_mapping_is_asked(void **state)
{
	attach(FIRST, 1);
	map(1, 0, 1, 0);
	map(1, 0x1000, 1, 0);
	revoked = revoked_all = 0;
	hold(0);
	assert_false(iommu_is_gone(held));
	assert_int_equal(iommu_unmap(&iommu, 1, 0x1000, 0x1fff), IOMMU_OK);
	assert_int_equal(revoked, 0);
	assert_int_equal(iommu_unmap(&iommu, 1, 0, 0xfff), IOMMU_OK);
	assert_int_equal(revoked, 1);
	assert_int_equal(revoked_all, 0);
	assert_null(held);
}

static void endpoints_elsewhere_are_not_asked(void **state)
{
	attach(FIRST, 1);
	attach(SECOND, 2);
	attach(THIRD, 1);
	map(1, 0, 1, 0);
	hold(0);
	revoked = 0;
	iommu_unmap(&iommu, 1, 0, 0xfff);
	assert_int_equal(revoked, 2);
}

static void a_mapping_in_the_place_of_another_is_another(void **state)
{
	attach(FIRST, 1);
	for (uint64_t i = 1; i < 1000; i++) {
		map(1, 0x5000, 1, i * PAGE);
		assert_goes_to(&view, 0x5000, i * PAGE);
		assert_goes_to(&view, 0x5000, i * PAGE);
		iommu_unmap(&iommu, 1, 0x5000, 0x5fff);
		assert_faults(&view, 0x5000, IOMMU_READ, IOMMU_NO_MAPPING);
	}
}

/*
 * Threads that translate, each with a view of its own, and hold what they get for a moment; page N
 * is theirs to touch only while it is mapped.
 */
enum { RACE_PAGES = 8, RACERS = 3 };
static atomic_int mapped[RACE_PAGES];
static atomic_bool race_over;
static atomic_uint touched;

static void *race(void *opaque)
{
	struct iommu_view mine = { .endpoint = &endpoints[0] };
	uint64_t seed = (uintptr_t)opaque;

	while (!atomic_load(&race_over)) {
		const uint64_t page = chance(&seed) % RACE_PAGES;
		struct iommu_mapping *mapping;
		uint64_t gpa, length = 1;

		if (!iommu_translate(&mine, page * PAGE, IOMMU_READ, &gpa, &length, &mapping))
			continue;
		assert_int_equal(gpa, page * PAGE + GIB(1));
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(atomic_load(&mapped[page]), 1);
		atomic_fetch_add(&touched, 1);
		iommu_release(mapping);
	}
	return NULL;
}

static void quiet_revoke(struct iommu_endpoint *endpoint, bool all)
{
}

static void quiet_fault(struct iommu *who, const struct iommu_fault *what)
{
}

static void nobody_uses_what_was_unmapped(void **state)
{
	pthread_t threads[RACERS];
	uint64_t seed = 1;

	endpoints[0].revoke = quiet_revoke;
	iommu.fault = quiet_fault;
	attach(FIRST, 1);
	atomic_store(&race_over, false);
	for (uintptr_t i = 0; i < RACERS; i++)
		pthread_create(&threads[i], NULL, race, (void *)(i + 1));
	for (unsigned int i = 0; i < 100000 || (atomic_load(&touched) < 1000 && i < 10000000);
	     i++) {
		const uint64_t page = chance(&seed) % RACE_PAGES, at = page * PAGE;

		if (atomic_load(&mapped[page])) {
			assert_int_equal(iommu_unmap(&iommu, 1, at, at + PAGE - 1), IOMMU_OK);
			atomic_store(&mapped[page], 0);
		} else {
			atomic_store(&mapped[page], 1);
			map(1, at, 1, at + GIB(1));
		}
	}
	atomic_store(&race_over, true);
	for (unsigned int i = 0; i < RACERS; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&touched) >= 1000);
}

/* Saving. */

static void another_iommu_goes_on_from_the_records(void **state)
{
	struct state_writer writer;
	struct state_reader reader;

	attach(FIRST, 1);
	assert_int_equal(iommu_attach(&iommu, SECOND, 7, true), IOMMU_OK);
	for (uint64_t i = 0; i < 100; i++)
		map(1, 3 * i * PAGE, 1 + i % 3, i * GIB(1));
	iommu_set_bypass(&iommu, false);
	state_writer_create(&writer);
	iommu_save(&iommu, &writer, 0);
	assert_int_equal(writer.err, 0);
	end(state);
	begin(state);
	state_reader_create(&reader, writer.bytes, writer.size);
	iommu_restore(&iommu, &reader, 0);
	state_done(&reader);
	assert_int_equal(reader.err, 0);
	assert_int_equal(iommu.mappings, 100);
	for (uint64_t i = 0; i < 100; i++)
		assert_goes_to(&view, (3 * i + i % 3) * PAGE + 1, i * GIB(1) + i % 3 * PAGE + 1);
	assert_goes_to(&other, 0x123, 0x123);
	assert_false(iommu.bypass);
	state_writer_destroy(&writer);
}

/* Each byte of the records in turn is another one. */
static void records_that_cannot_be_are_refused(void **state)
{
	struct state_writer writer;
	struct state_reader reader;
	unsigned int refused = 0;

	attach(FIRST, 1);
	map(1, 0, 1, 0);
	map(1, 0x1000, 1, 0);
	state_writer_create(&writer);
	iommu_save(&iommu, &writer, 0);
	for (size_t i = 0; i < writer.size; i++) {
		writer.bytes[i] ^= 0x81;
		end(state);
		begin(state);
		state_reader_create(&reader, writer.bytes, writer.size);
		iommu_restore(&iommu, &reader, 0);
		refused += reader.err < 0;
		writer.bytes[i] ^= 0x81;
	}
	assert_true(refused > writer.size / 2);
	state_writer_destroy(&writer);
}

#define iommu_test(function) cmocka_unit_test_setup_teardown(function, begin, end)

static int begin_caught(void **state)
{
	return catch_begin(state) < 0 ? -1 : begin(state);
}

static int end_caught(void **state)
{
	end(state);
	return catch_end(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		iommu_test(without_a_domain_bypass_decides),
		iommu_test(attached_endpoints_see_mappings_only),
		iommu_test(another_domain_is_seen_at_once),
		iommu_test(domains_may_bypass),
		iommu_test(what_is_not_there_is_told),
		iommu_test(each_endpoint_can_have_its_domain_and_change_it),
		iommu_test(only_whole_pages_of_the_range_are_mapped),
		iommu_test(mappings_do_not_overlap),
		iommu_test(unmap_takes_whole_mappings_or_none),
		iommu_test(permissions_hold),
		iommu_test(a_translation_ends_with_its_mapping),
		iommu_test(there_is_a_bound_and_then_room_again),
		iommu_test(trees_are_what_a_table_says),
		iommu_test(only_who_holds_a_mapping_is_asked),
		iommu_test(endpoints_elsewhere_are_not_asked),
		iommu_test(a_mapping_in_the_place_of_another_is_another),
		iommu_test(nobody_uses_what_was_unmapped),
		iommu_test(another_iommu_goes_on_from_the_records),
		cmocka_unit_test_setup_teardown(records_that_cannot_be_are_refused, begin_caught,
						end_caught),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
