// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kvm.h"
#include "unit.h"

#include "arm/devtree.h"
#include "devices/pci.h"
#include "memmap.h"
#include "mm/cache.h"
#include "mm/memslot.h"
#include "util.h"

/* Config space, from PCI Local Bus 3.0, chapter 6, and not from the code under test. */
enum {
	VENDOR_ID = 0x00,
	COMMAND = 0x04,
	REVISION_ID = 0x08,
	CACHE_LINE_SIZE = 0x0c,
	BAR0 = 0x10,
	SUBSYSTEM_ID = 0x2c,
	EXPANSION_ROM = 0x30,
	CAPABILITIES_POINTER = 0x34,
	INTERRUPT_LINE = 0x3c,
};

#define EXPRESS	      0x10
#define MSIX	      0x11
#define MSIX_ENABLE   0x80000000u
#define MSIX_MASK_ALL 0x40000000u
#define VECTORS	      3
#define FIRST_GSI     32

static uint8_t memory[PCI_MEMORY_SIZE] __attribute__((aligned(4096)));
static struct bus bus;
static struct irq_routes routes;
static struct event_loop loop;
static struct pci *pci;
static struct pci_function function;
static struct device memory_bar, readable_bar;
static struct pci_view view;
static unsigned int cleaned, synced, writes_seen, destroyed;
static struct {
	unsigned int bar;
	uint64_t from, to;
} last_move;
static unsigned int moves, mastering_changes, resets;
static bool mastering;
static unsigned int msix; /* offset of the capability */
static uint64_t table; /* address of its table */

/* In place of mm/cache.c. */

uint64_t cache_line_size(void)
{
	return 64;
}

void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
	assert_true(start >= (uintptr_t)memory && end <= (uintptr_t)(memory + sizeof(memory)));
	assert_int_equal(start % line | end % line, 0);
	cleaned += (end - start) / line;
}

void cache_sync(void)
{
	synced++;
}

/* Accesses of the guest. */

static uint64_t ecam(unsigned int slot, unsigned int offset)
{
	return 0x3f000000 + slot * 0x8000 + offset;
}

static uint64_t load(uint64_t gpa, uint8_t size)
{
	struct mmio_access mmio = { .size = size };
	uint64_t shown = 0;

	assert_int_equal(bus_access(&bus, gpa, &mmio), MMIO_DONE);
	/* With a read-only memory slot it is this that the guest reads. */
	memcpy(&shown, memory + (gpa - 0x3f000000), size);
	assert_int_equal(mmio.value, shown);
	return mmio.value;
}

static void store(uint64_t gpa, uint8_t size, uint64_t value)
{
	struct mmio_access mmio = { .size = size, .value = value, .write = true };

	assert_int_equal(bus_access(&bus, gpa, &mmio), MMIO_DONE);
}

static uint32_t config(unsigned int offset)
{
	return load(ecam(0, offset), 4);
}

static void set_config(unsigned int offset, uint32_t value)
{
	store(ecam(0, offset), 4, value);
}

/* Where a function's first capability with this identifier is, or 0. */
static unsigned int capability(unsigned int slot, uint8_t id)
{
	unsigned int at = load(ecam(slot, CAPABILITIES_POINTER), 1);

	while (at != 0 && load(ecam(slot, at), 1) != id)
		at = load(ecam(slot, at + 1), 1);
	return at;
}

static void set_control(uint32_t bits)
{
	store(ecam(0, msix + 2), 2, bits >> 16);
}

static void set_vector(unsigned int vector, uint64_t address, uint32_t data, bool masked)
{
	store(table + 16 * vector, 4, address);
	store(table + 16 * vector + 4, 4, address >> 32);
	store(table + 16 * vector + 8, 4, data);
	store(table + 16 * vector + 12, 4, masked);
}

/* How often a vector's message was sent since the last call. */
static uint64_t sent(unsigned int vector)
{
	uint64_t count = 0;

	if (read(fake_kvm.irqfd[FIRST_GSI + vector], &count, sizeof(count)) < 0)
		assert_int_equal(errno, EAGAIN);
	return count;
}

static uint32_t pending(void)
{
	return load(table + (config(msix + 8) & ~7u), 4);
}

static void config_written(struct pci_function *which, unsigned int offset)
{
	assert_ptr_equal(which, &function);
	writes_seen++;
}

static void placed(struct pci_function *which, unsigned int bar, uint64_t from, uint64_t to)
{
	assert_ptr_equal(which, &function);
	last_move.bar = bar;
	last_move.from = from;
	last_move.to = to;
	moves++;
}

static void master(struct pci_function *which, bool on)
{
	assert_ptr_equal(which, &function);
	/* Whoever asks meanwhile finds it so already. */
	assert_int_equal(load(ecam(0, COMMAND), 2) >> 2 & 1, on);
	mastering = on;
	mastering_changes++;
}

static void destroy(struct pci_function *which)
{
	pci_function_fini(which);
	destroyed++;
}

static void reset(struct pci_function *which)
{
	assert_ptr_equal(which, &function);
	/* It is quiet by then. */
	assert_int_equal(load(ecam(0, COMMAND), 2), 0);
	assert_false(mastering);
	assert_false(pci_function_has_msix(which));
	for (unsigned int i = 0; i < PCI_BARS; i++)
		assert_int_equal(function.bar[i].place, 0);
	resets++;
}

static const struct pci_function_ops function_ops = {
	.config_written = config_written,
	.placed = placed,
	.mastering = master,
	.reset = reset,
	.destroy = destroy,
};
static const struct pci_function_ops bare_ops = { .destroy = destroy };

/* What BAR 0 and BAR 4 are: the one says which byte was read, the other has a word to read. */

static enum mmio_result memory_bar_access(struct device *device, struct mmio_access *mmio)
{
	assert_ptr_equal(device, &memory_bar);
	if (!mmio->write)
		mmio->value = 0xa000 + mmio->offset;
	return MMIO_DONE;
}

static enum mmio_result readable_bar_access(struct device *device, struct mmio_access *mmio)
{
	assert_ptr_equal(device, &readable_bar);
	if (mmio->write)
		pci_view_set(&view, mmio->offset, mmio->value, UINT32_MAX);
	else
		mmio->value = pci_view_get(&view, mmio->offset, mmio->size);
	return MMIO_DONE;
}

static const char *bar_register_name(uint64_t offset)
{
	return offset == 0x1000 ? "third" : NULL;
}

static const struct device_ops memory_bar_ops = {
	.name = "memory",
	.access = memory_bar_access,
	.register_name = bar_register_name,
};
static const struct device_ops readable_bar_ops = {
	.name = "readable",
	.access = readable_bar_access,
	.register_name = bar_register_name,
};

static void add_function(void)
{
	const struct pci_identity identity = {
		.vendor = 0x1234,
		.device = 0x5678,
		.subsystem_vendor = 0x9abc,
		.subsystem = 0xdef0,
		.class = 0x078000,
		.revision = 0x42,
	};
	const uint8_t vendor_specific[] = { 0x09, 0xff, 7, 1, 2, 3, 4 };

	memory_bar = (struct device){ .ops = &memory_bar_ops };
	readable_bar = (struct device){ .ops = &readable_bar_ops };
	assert_int_equal(pci_view_create(&view, 64), 0);
	assert_int_equal(pci_function_init(&function, pci, &function_ops, &identity), 0);
	pci_function_add_memory(&function, 0, &memory_bar);
	assert_int_equal(memory_bar.base, 0x10000000);
	assert_int_equal(pci_function_add_msix(&function, &routes, 1, VECTORS), 0);
	pci_function_add_readable(&function, 4, &readable_bar, &view);
	pci_function_add_capability(&function, vendor_specific, sizeof(vendor_specific));
}

static void begin_bus(void)
{
	memset(memory, 0, sizeof(memory));
	fake_kvm_reset();
	assert_int_equal(event_loop_create(&loop), 0);
	bus_create(&bus);
	irq_routes_create(&routes, 3);
	assert_int_equal(pci_create(&pci, &bus, memory), 0);
	assert_non_null(pci);
}

static int begin(void **state)
{
	begin_bus();
	add_function();
	bus_freeze(&bus);
	msix = capability(0, MSIX);
	table = config(BAR0 + 4) & ~0xfu;
	store(ecam(0, COMMAND), 2, 0x0406);
	cleaned = synced = writes_seen = moves = mastering_changes = resets = destroyed = 0;
	return catch_begin(state);
}

/* With a function that has a table of vectors and nothing else. */
static int begin_lone(void **state)
{
	const struct pci_identity identity = { .vendor = 0x1234 };

	begin_bus();
	memset(&view, 0, sizeof(view));
	assert_int_equal(pci_function_init(&function, pci, &bare_ops, &identity), 0);
	assert_int_equal(pci_function_add_msix(&function, &routes, 0, VECTORS), 0);
	bus_freeze(&bus);
	destroyed = 0;
	return catch_begin(state);
}

static int finish(void **state)
{
	bus_destroy(&bus);
	assert_true(destroyed >= 1);
	pci_view_destroy(&view);
	irq_routes_destroy(&routes);
	event_loop_destroy(&loop);
	return catch_end(state);
}

static void absent_functions_read_as_all_ones(void **state)
{
	cleaned = 0;
	for (unsigned int i = 0; i < 256; i++)
		for (unsigned int offset = 0; offset < 64 && i != 0; offset += 4) {
			store(0x3f000000 + 4096 * i + offset, 4, 0);
			assert_int_equal(load(0x3f000000 + 4096 * i + offset, 4), UINT32_MAX);
		}
	assert_int_equal(cleaned, 0);
}

static void identity_can_be_read_only(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(config(VENDOR_ID), 0x56781234);
		assert_int_equal(config(REVISION_ID), 0x07800042);
		assert_int_equal(config(SUBSYSTEM_ID), 0xdef09abc);
		assert_int_equal(config(INTERRUPT_LINE), 0); /* no pin */
		set_config(VENDOR_ID, 0xa5a5a5a5);
		set_config(REVISION_ID, 0xa5a5a5a5);
		set_config(SUBSYSTEM_ID, 0xa5a5a5a5);
	}
	assert_int_equal(load(ecam(0, 2), 2), 0x5678);
	assert_int_equal(load(ecam(0, 3), 1), 0x56);
	assert_int_equal(load(ecam(0, 0), 8) >> 32, config(COMMAND));
}

static void command_has_three_bits(void **state)
{
	store(ecam(0, COMMAND), 2, 0xffff);
	assert_int_equal(load(ecam(0, COMMAND), 2), 0x0406);
	store(ecam(0, COMMAND), 2, 0);
	assert_int_equal(load(ecam(0, COMMAND), 2), 0);
	/* Status, of which a 1 would clear bits, keeps its capabilities list. */
	set_config(COMMAND, UINT32_MAX);
	assert_int_equal(config(COMMAND), 0x00100406);
	set_config(INTERRUPT_LINE, UINT32_MAX);
	assert_int_equal(config(INTERRUPT_LINE), 0xff);
}

static void bars_show_their_size(void **state)
{
	static const struct {
		uint32_t address, mask, kind;
	} expected[6] = {
		[0] = { 0x10000000, 0xffff0000, 0 },
		[1] = { 0x3f100000, 0xffff0000, 8 },
		[4] = { 0x3f110000, 0xffff0000, 8 },
	};

	for (unsigned int i = 0; i < 6; i++) {
		const unsigned int bar = BAR0 + 4 * i;
		const uint32_t mask = expected[i].mask, kind = expected[i].kind;

		assert_int_equal(config(bar), expected[i].address | kind);
		set_config(bar, UINT32_MAX);
		assert_int_equal(config(bar), mask | kind);
		set_config(bar, 0x12345678);
		assert_int_equal(config(bar), (0x12345678 & mask) | kind);
		for (unsigned int j = 0; j < 4; j++)
			store(ecam(0, bar + j), 1, 0xff);
		assert_int_equal(config(bar), mask | kind);
		set_config(bar, expected[i].address);
		assert_int_equal(config(bar), expected[i].address | kind);
	}
	set_config(EXPANSION_ROM, 0xfffff800);
	assert_int_equal(config(EXPANSION_ROM), 0);
}

/* What a guest reads, by an exit if the page is not in memory. */
static uint64_t peek(uint64_t gpa, uint8_t size)
{
	struct mmio_access mmio = { .size = size };

	bus_access(&bus, gpa, &mmio);
	said();
	return size == 8 ? mmio.value : mmio.value & ((UINT64_C(1) << 8 * size) - 1);
}

static void poke(uint64_t gpa, uint8_t size, uint64_t value)
{
	struct mmio_access mmio = { .size = size, .value = value, .write = true };

	bus_access(&bus, gpa, &mmio);
	said();
}

/* What it reads in memory. */
static uint32_t shown(uint64_t gpa)
{
	uint32_t word;

	memcpy(&word, memory + (gpa - 0x3f000000), sizeof(word));
	return word;
}

static void nothing_answers_without_memory_space(void **state)
{
	pci_view_set(&view, 8, 0x1234, UINT32_MAX);
	assert_int_equal(peek(0x10001000, 4), 0xb000);
	assert_int_equal(shown(0x3f110008), 0x1234);
	assert_int_equal(shown(table + 12), 1);

	cleaned = 0;
	store(ecam(0, COMMAND), 2, 0x0404);
	assert_int_equal(cleaned, 1 + 2 * 64);
	assert_int_equal(peek(0x10001000, 4), UINT32_MAX);
	for (unsigned int i = 0; i < 0x1000; i += 4) {
		assert_int_equal(shown(0x3f110000 + i), UINT32_MAX);
		assert_int_equal(shown(table + i), UINT32_MAX);
	}
	/* What is written is ignored, and what changes is not seen. */
	poke(0x3f110008, 4, 0x5678);
	poke(table + 12, 4, 0);
	pci_view_set(&view, 12, 0x9abc, UINT32_MAX);
	assert_int_equal(shown(0x3f11000c), UINT32_MAX);
	assert_int_equal(peek(0x3f110008, 4), UINT32_MAX);

	store(ecam(0, COMMAND), 2, 0x0406);
	assert_int_equal(peek(0x10001000, 4), 0xb000);
	assert_int_equal(shown(0x3f110008), 0x1234);
	assert_int_equal(shown(0x3f11000c), 0x9abc);
	assert_int_equal(shown(table + 12), 1);
	for (unsigned int i = 64; i < 0x1000; i += 4)
		assert_int_equal(shown(0x3f110000 + i), 0);
}

static void memory_bar_moves(void **state)
{
	moves = 0;
	set_config(BAR0, 0x2eff0000);
	assert_int_equal(moves, 1);
	assert_int_equal(last_move.bar, 0);
	assert_int_equal(last_move.from, 0x10000000);
	assert_int_equal(last_move.to, 0x2eff0000);
	assert_int_equal(peek(0x10001000, 4), UINT32_MAX);
	assert_int_equal(peek(0x2effffff, 1), 0xff & 0x9fff);
	assert_int_equal(peek(0x2eff0010, 2), 0xa010);
	assert_string_equal(bus_find(&bus, 0x2eff1000)->ops->name, "memory");

	/* Where the bridge forwards nothing, or reads come from memory, it is nowhere. */
	static const uint32_t nowhere[] = { 0,		0x0ffff000, 0x3eff0000, 0x3f000000,
					    0x3f100000, 0x40000000, UINT32_MAX };

	for (unsigned int i = 0; i < ARRAY_SIZE(nowhere); i++) {
		set_config(BAR0, nowhere[i]);
		assert_int_equal(last_move.to, 0);
		assert_int_equal(peek(0x2eff0010, 2), 0xffff);
	}
	moves = 0;
	store(ecam(0, COMMAND), 2, 0);
	set_config(BAR0, 0x10020000);
	assert_int_equal(moves, 2); /* the readable ones, which answer no more */
	assert_int_equal(peek(0x10020000, 2), 0xffff);
	store(ecam(0, COMMAND), 2, 2);
	assert_int_equal(peek(0x10020000, 2), 0xa000);
}

static void readable_bar_moves(void **state)
{
	pci_view_set(&view, 4, 0x4321, UINT32_MAX);
	/* To where reads exit. */
	set_config(BAR0 + 16, 0x10010000);
	assert_int_equal(shown(0x3f110004), UINT32_MAX);
	assert_int_equal(peek(0x10010004, 4), 0x4321);
	poke(0x10010004, 4, 0x8765);
	assert_int_equal(peek(0x10010004, 4), 0x8765);
	/* Onto the other one: the first function's first BAR answers, to reads as to writes. */
	set_config(BAR0 + 16, table);
	assert_int_equal(shown(table + 12), 1);
	poke(table + 8, 4, 7);
	assert_int_equal(shown(table + 8), 7);
	assert_int_equal(pci_view_get(&view, 8, 4), 0);
	/* Which leaves it alone there. */
	set_config(BAR0 + 4, 0x3f110000);
	assert_int_equal(shown(table + 4), 0x8765);
	assert_int_equal(shown(0x3f110008), 7);
	poke(table + 4, 4, 0x1111);
	assert_int_equal(shown(table + 4), 0x1111);
	/* Not behind the pages that there are. */
	set_config(BAR0 + 16, 0x3f120000);
	assert_int_equal(peek(0x3f120004, 4), UINT32_MAX);
	assert_int_equal(shown(table + 4), UINT32_MAX);
}

/* It is as large as all that can be read without exits. */
static void a_readable_bar_alone_answers(void **state)
{
	assert_int_equal(config(BAR0) & ~0xfu, 0x3f100000);
	store(ecam(0, COMMAND), 2, 0x0006);
	assert_int_equal(peek(0x3f10000c, 4), 1);
	poke(0x3f100008, 4, 7);
	assert_int_equal(shown(0x3f100008), 7);
}

static void bus_master_is_told(void **state)
{
	store(ecam(0, COMMAND), 2, 0x0402);
	assert_int_equal(mastering_changes, 1);
	assert_false(mastering);
	store(ecam(0, COMMAND), 2, 0x0402);
	assert_int_equal(mastering_changes, 1);
	store(ecam(0, COMMAND), 2, 0x0006);
	assert_int_equal(mastering_changes, 2);
	assert_true(mastering);
	assert_int_equal(moves, 0);
}

static void without_bus_master_messages_wait(void **state)
{
	set_control(MSIX_ENABLE);
	for (unsigned int i = 0; i < VECTORS; i++)
		set_vector(i, 0x8090040, i, i == 1);
	store(ecam(0, COMMAND), 2, 0x0402);
	for (unsigned int i = 0; i < VECTORS; i++)
		pci_function_interrupt(&function, i);
	assert_int_equal(sent(0) + sent(1) + sent(2), 0);
	assert_int_equal(pending(), 7);
	store(table + 16 + 12, 4, 0);
	store(table + 16 + 12, 4, 1);
	assert_int_equal(sent(1), 0);
	store(ecam(0, COMMAND), 2, 0x0406);
	assert_int_equal(sent(0), 1);
	assert_int_equal(sent(1), 0);
	assert_int_equal(sent(2), 1);
	assert_int_equal(pending(), 2);
}

static void capabilities_end(void **state)
{
	static const uint8_t expected[] = { EXPRESS, MSIX, 0x09 };
	unsigned int offset = config(CAPABILITIES_POINTER) & 0xff, count = 0;

	while (offset != 0) {
		assert_true(offset >= 0x40 && offset % 4 == 0 && count < ARRAY_SIZE(expected));
		assert_int_equal(load(ecam(0, offset), 1), expected[count++]);
		offset = load(ecam(0, offset + 1), 1);
	}
	assert_int_equal(count, ARRAY_SIZE(expected));
	assert_int_equal(config(msix) & 0x07ff00ff, (VECTORS - 1) << 16 | MSIX);
	assert_int_equal(config(msix + 4) & 7, 1);
	assert_int_equal(config(msix + 8) & 7, 1);
}

/* PCI Express Base 5.0, 7.5.3: version 2, an integrated endpoint, which can be reset by itself. */
static void functions_are_integrated_endpoints(void **state)
{
	const unsigned int express = capability(0, EXPRESS);

	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(load(ecam(0, express + 2), 2), 0x0092);
		assert_int_equal(config(express + 4), 1 << 28 | 1 << 15);
		for (unsigned int at = 8; at < 0x3c; at += 4) {
			assert_int_equal(config(express + at), 0);
			set_config(express + at, 0xffff7fff); /* all but the reset */
		}
	}
	assert_int_equal(resets, 0);
	/* There are no extended capabilities. */
	assert_int_equal(config(0x100), 0);
}

static void use_all_of_it(void)
{
	set_control(MSIX_ENABLE);
	for (unsigned int i = 0; i < VECTORS; i++)
		set_vector(i, 0x8090040, i + 1, i == 1);
	pci_function_interrupt(&function, 1);
	set_config(INTERRUPT_LINE, 0x20);
	set_config(CACHE_LINE_SIZE, 0x10);
}

static void check_reset(void)
{
	assert_int_equal(load(ecam(0, COMMAND), 2), 0);
	assert_int_equal(config(INTERRUPT_LINE), 0);
	assert_int_equal(config(CACHE_LINE_SIZE), 0);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(config(BAR0 + 4 * i), i == 1 || i == 4 ? 8 : 0);
	assert_int_equal(config(msix) >> 16, VECTORS - 1);
	assert_int_equal(load(ecam(0, COMMAND + 2), 2), 0x0010); /* there are capabilities */
	assert_int_equal(config(capability(0, EXPRESS) + 8), 0);
	assert_int_equal(peek(0x10001000, 4), UINT32_MAX);
	assert_int_equal(shown(table), UINT32_MAX);
}

static void a_reset_clears_what_a_driver_can_set(void **state)
{
	const unsigned int control = capability(0, EXPRESS) + 8;

	use_all_of_it();
	store(ecam(0, control), 2, 0x8000);
	assert_int_equal(resets, 1);
	assert_int_equal(mastering_changes, 1);
	check_reset();
	/* Again, when there is nothing to turn off, by a write of that byte alone. */
	store(ecam(0, control + 1), 1, 0x80);
	assert_int_equal(resets, 2);
	assert_int_equal(mastering_changes, 1);
	check_reset();
	assert_silent();
}

static void after_a_reset_a_function_works(void **state)
{
	use_all_of_it();
	set_config(capability(0, EXPRESS) + 8, 0x8000);
	sent(0);
	pci_function_interrupt(&function, 0);
	set_config(BAR0 + 4, table);
	store(ecam(0, COMMAND), 2, 0x0006);
	assert_int_equal(mastering_changes, 2);
	assert_int_equal(pending(), 0);
	for (unsigned int i = 0; i < VECTORS; i++) {
		assert_int_equal(load(table + 16 * i, 8), 0);
		assert_int_equal(load(table + 16 * i + 8, 8), UINT64_C(1) << 32);
	}
	set_control(MSIX_ENABLE);
	assert_int_equal(sent(0) + sent(1) + sent(2), 0);
	set_vector(2, 0x8090040, 9, false);
	pci_function_interrupt(&function, 2);
	assert_int_equal(sent(2), 1);
	assert_int_equal(fake_kvm.route[fake_kvm.route_count - 1].u.msi.data, 9);
}

static void a_change_reaches_the_point_of_coherency(void **state)
{
	set_config(INTERRUPT_LINE, 1);
	assert_int_equal(cleaned, 1);
	assert_int_equal(synced, 1);
	set_config(VENDOR_ID, 0);
	assert_int_equal(cleaned, 1);
	/* Address and data change, the upper half of the address and the mask do not. */
	set_vector(0, 0x8090040, 1, true);
	assert_int_equal(cleaned, 3);
	assert_int_equal(synced, 3);
}

static void writes_are_told(void **state)
{
	set_config(INTERRUPT_LINE, 0);
	set_config(VENDOR_ID, 0);
	assert_int_equal(writes_seen, 1);
	store(ecam(0, COMMAND - 2), 4, 0xffff0000); /* half of it DeviceID, half of it Command */
	store(ecam(0, CACHE_LINE_SIZE), 4, 0);
	assert_int_equal(writes_seen, 2);
	assert_int_equal(load(ecam(0, COMMAND), 2), 0x0406);
}

static void vectors_begin_masked(void **state)
{
	for (unsigned int i = 0; i < VECTORS; i++)
		assert_int_equal(load(table + 16 * i + 12, 4), 1);
	assert_int_equal(load(table + 16 * VECTORS + 12, 4), 0);
}

static void unmasking_makes_a_route(void **state)
{
	const struct kvm_irq_routing_entry *route = fake_kvm.route;

	set_control(MSIX_ENABLE | MSIX_MASK_ALL);
	set_vector(1, 0x1208090043, 0xffffffff, false);
	assert_int_equal(fake_kvm.route_count, 0);
	set_control(MSIX_ENABLE);
	assert_int_equal(fake_kvm.route_count, 33);
	for (unsigned int i = 0; i < 32; i++) {
		assert_int_equal(route[i].gsi, i);
		assert_int_equal(route[i].type, KVM_IRQ_ROUTING_IRQCHIP);
		assert_int_equal(route[i].u.irqchip.irqchip, 0);
		assert_int_equal(route[i].u.irqchip.pin, i);
	}
	assert_int_equal(route[32].gsi, FIRST_GSI + 1);
	assert_int_equal(route[32].type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(route[32].flags, KVM_MSI_VALID_DEVID);
	assert_int_equal(route[32].u.msi.address_lo, 0x08090040);
	assert_int_equal(route[32].u.msi.address_hi, 0x12);
	assert_int_equal(route[32].u.msi.data, 0xffffffff);
	assert_int_equal(route[32].u.msi.devid, 0);
	assert_silent();
}

static void only_a_new_message_makes_a_new_table(void **state)
{
	set_control(MSIX_ENABLE);
	set_vector(0, 0x8090040, 7, false);
	assert_int_equal(fake_kvm.route_count, 33);
	fake_kvm.route_count = 0;
	set_vector(0, 0x8090040, 7, true);
	set_vector(0, 0x8090040, 7, false);
	assert_int_equal(fake_kvm.route_count, 0);
	set_vector(0, 0x8090040, 7, true);
	set_vector(0, 0x8090040, 8, true);
	assert_int_equal(fake_kvm.route_count, 0);
	store(table + 12, 8, 0xffffffff00000000); /* the mask bit, and the next vector's address */
	assert_int_equal(fake_kvm.route_count, 33);
	assert_int_equal(fake_kvm.route[32].u.msi.data, 8);
	/* Read as memory is, whatever the alignment: load() compares. */
	for (unsigned int i = 0; i < 16; i++)
		load(table + i, 8);
	assert_int_equal(load(table + 14, 8), 0xfffffffc0000);
	assert_int_equal(load(table + 16, 4), 0xfffffffc);
}

static void messages_are_sent_while_nothing_masks_them(void **state)
{
	pci_function_interrupt(&function, 0);
	set_control(MSIX_ENABLE);
	set_vector(0, 0x8090040, 0, false);
	assert_int_equal(sent(0), 0); /* MSI-X was off: there is nothing to make up for */
	pci_function_interrupt(&function, 0);
	assert_int_equal(sent(0), 1);
	assert_int_equal(pending(), 0);
	pci_function_interrupt(&function, VECTORS);
	pci_function_interrupt(&function, 0xffff);
	assert_int_equal(sent(0) + sent(1) + sent(2), 0);
}

static void a_masked_vector_is_pending(void **state)
{
	set_control(MSIX_ENABLE);
	set_vector(2, 0x8090040, 2, true);
	pci_function_interrupt(&function, 2);
	pci_function_interrupt(&function, 2);
	assert_int_equal(sent(2), 0);
	assert_int_equal(pending(), 4);
	store(table + 16 * 2 + 12, 4, 0xfffffffe);
	assert_int_equal(sent(2), 1);
	assert_int_equal(pending(), 0);
	assert_int_equal(load(table + 16 * 2 + 12, 4), 0);
	assert_int_equal(sent(0) + sent(1), 0);
}

static void a_masked_function_has_all_pending(void **state)
{
	set_control(MSIX_ENABLE | MSIX_MASK_ALL);
	for (unsigned int i = 0; i < VECTORS; i++) {
		set_vector(i, 0x8090040, i, i == 1);
		pci_function_interrupt(&function, i);
	}
	assert_int_equal(pending(), 7);
	assert_int_equal(sent(0) + sent(1) + sent(2), 0);
	set_control(MSIX_ENABLE);
	assert_int_equal(pending(), 2);
	assert_int_equal(sent(0), 1);
	assert_int_equal(sent(1), 0);
	assert_int_equal(sent(2), 1);
	store(table + (config(msix + 8) & ~7u), 4, UINT32_MAX); /* not a driver's to write */
	assert_int_equal(pending(), 2);
}

static void what_kvm_refuses_is_said(void **state)
{
	fake_kvm.fails = "set_gsi_routing";
	fake_kvm.error = -EINVAL;
	set_control(MSIX_ENABLE);
	set_vector(0, 0, 0, false);
	assert_said("KVM_SET_GSI_ROUTING for message 0: Invalid argument");
}

/* Which is not for ever: the message waits, and is tried again. */
static void what_kvm_refused_is_tried_again(void **state)
{
	set_control(MSIX_ENABLE);
	set_vector(0, 0x8090040, 1, false);
	store(table + 12, 4, 1);
	store(table + 8, 4, 2);
	fake_kvm.fails = "set_gsi_routing";
	fake_kvm.error = -ENOMEM;
	store(table + 12, 4, 0);
	pci_function_interrupt(&function, 0);
	said();
	assert_int_equal(sent(0), 0);
	assert_int_equal(pending(), 1);
	fake_kvm.fails = NULL;
	store(table + 12, 4, 0);
	assert_int_equal(fake_kvm.route[32].u.msi.data, 2);
	assert_int_equal(sent(0), 1);
	assert_int_equal(pending(), 0);

	/* By the next interrupt, if the driver does nothing. */
	fake_kvm.fails = "set_gsi_routing";
	set_vector(1, 0x8090040, 3, false);
	said();
	fake_kvm.fails = NULL;
	pci_function_interrupt(&function, 1);
	assert_int_equal(sent(1), 1);
	assert_int_equal(fake_kvm.route_count, 34);
}

/* A vector whose eventfd somebody else raises. */

static int lend(unsigned int vector)
{
	int eventfd = pci_function_lend(&function, vector, &loop);

	assert_int_equal(eventfd, fake_kvm.irqfd[FIRST_GSI + vector]);
	return eventfd;
}

static void raise_it(int eventfd)
{
	const uint64_t one = 1;

	assert_int_equal(write(eventfd, &one, sizeof(one)), sizeof(one));
}

/* Returns how often something was waited for. */
static unsigned int turns(void)
{
	unsigned int count = 0;

	while (event_loop_turn(&loop, false) > 0)
		count++;
	return count;
}

static bool connected(unsigned int vector)
{
	return fake_kvm.irqfd_on[FIRST_GSI + vector];
}

static void mask(unsigned int vector, bool masked)
{
	store(table + 16 * vector + 12, 4, masked);
}

static void a_lent_vector_interrupts_without_nidus(void **state)
{
	int eventfd;

	set_control(MSIX_ENABLE);
	set_vector(0, 0x8090040, 7, false);
	eventfd = lend(0);
	raise_it(eventfd);
	assert_true(connected(0));
	assert_int_equal(turns(), 0);
	assert_int_equal(sent(0), 1);
	pci_function_return(&function, 0);
	assert_true(connected(0));
	assert_null(strstr(fake_kvm.journal, "off"));
}

static void what_does_not_exist_is_not_lent(void **state)
{
	assert_int_equal(pci_function_lend(&function, 0, &loop), -1); /* MSI-X is off */
	set_control(MSIX_ENABLE);
	assert_int_equal(pci_function_lend(&function, VECTORS, &loop), -1);
	assert_int_equal(pci_function_lend(&function, 0xffff, &loop), -1);
}

static void a_masked_lent_vector_does_not_interrupt(void **state)
{
	int eventfd;

	set_control(MSIX_ENABLE);
	set_vector(2, 0x8090040, 7, false);
	eventfd = lend(2);
	for (unsigned int i = 0; i < 3; i++) {
		mask(2, true);
		assert_false(connected(2));
		assert_int_equal(turns() + pending(), 0);
		raise_it(eventfd);
		raise_it(eventfd);
		turns();
		assert_int_equal(pending(), 4);
		assert_false(connected(2));
		mask(2, false);
		assert_true(connected(2));
		assert_int_equal(pending(), 0);
		assert_int_equal(sent(2), 1);
	}
	/* Nothing came, and nothing comes. */
	mask(2, true);
	mask(2, false);
	assert_int_equal(sent(2), 0);
	assert_int_equal(turns(), 0);
}

/* KVM did not take it back when it was given back, and then it is lent anew. */
static void a_vector_that_stayed_disconnected_is_waited_for(void **state)
{
	set_control(MSIX_ENABLE);
	set_vector(1, 0x8090040, 7, true);
	lend(1);
	fake_kvm.fails = "irqfd";
	fake_kvm.error = -ENOMEM;
	pci_function_return(&function, 1);
	assert_false(connected(1));
	fake_kvm.fails = NULL;
	raise_it(lend(1));
	turns();
	assert_int_equal(pending(), 2);
	mask(1, false);
	assert_int_equal(sent(1), 1);
}

/* The driver is faster than the loop. */
static void what_a_lent_vector_kept_comes_once(void **state)
{
	int eventfd;

	set_control(MSIX_ENABLE);
	set_vector(0, 0x8090040, 7, true);
	eventfd = lend(0);
	assert_false(connected(0));
	raise_it(eventfd);
	mask(0, false);
	assert_int_equal(sent(0), 1);
	turns();
	mask(0, true);
	turns();
	assert_int_equal(pending(), 0);
	/* By nidus as well: one is pending. */
	raise_it(eventfd);
	pci_function_interrupt(&function, 0);
	turns();
	assert_int_equal(pending(), 1);
	mask(0, false);
	assert_int_equal(sent(0), 1);
}

static void what_masks_all_masks_lent_vectors(void **state)
{
	int eventfd;

	set_control(MSIX_ENABLE);
	set_vector(1, 0x8090040, 7, false);
	eventfd = lend(1);
	set_control(MSIX_ENABLE | MSIX_MASK_ALL);
	assert_false(connected(1));
	raise_it(eventfd);
	turns();
	assert_int_equal(pending(), 2);
	set_control(MSIX_ENABLE);
	assert_int_equal(sent(1), 1);

	store(ecam(0, COMMAND), 2, 0x0402);
	assert_false(connected(1));
	raise_it(eventfd);
	turns();
	assert_int_equal(pending(), 2);
	store(ecam(0, COMMAND), 2, 0x0406);
	assert_int_equal(sent(1), 1);
	assert_true(connected(1));

	/* Off altogether: nothing becomes pending. */
	set_control(0);
	assert_false(connected(1));
	raise_it(eventfd);
	turns();
	assert_int_equal(pending(), 0);
	pci_function_return(&function, 1);
	assert_int_equal(pending(), 0);
	assert_true(connected(1));
}

/* Several queues may have one vector. */
static void a_vector_may_be_lent_twice(void **state)
{
	int eventfd;

	set_control(MSIX_ENABLE);
	set_vector(0, 0x8090040, 7, true);
	eventfd = lend(0);
	assert_int_equal(lend(0), eventfd);
	pci_function_return(&function, 0);
	assert_false(connected(0));
	raise_it(eventfd);
	/* What came before it was given back is not lost. */
	pci_function_return(&function, 0);
	assert_true(connected(0));
	assert_int_equal(pending(), 1);
	assert_int_equal(turns(), 0);
	mask(0, false);
	assert_int_equal(sent(0), 1);
	/* And masking it costs no call any more. */
	fake_kvm.journal[0] = '\0';
	mask(0, true);
	mask(0, false);
	assert_string_equal(fake_kvm.journal, "");
}

static void a_lent_vector_whose_route_is_refused_waits(void **state)
{
	int eventfd;

	set_control(MSIX_ENABLE);
	set_vector(0, 0x8090040, 1, false);
	eventfd = lend(0);
	fake_kvm.fails = "set_gsi_routing";
	fake_kvm.error = -ENOMEM;
	store(table + 8, 4, 2);
	said();
	assert_false(connected(0)); /* or it would send the old message */
	raise_it(eventfd);
	turns();
	said();
	assert_int_equal(pending(), 1);
	/* Tried again when there is more to send. */
	fake_kvm.fails = NULL;
	raise_it(eventfd);
	turns();
	assert_int_equal(pending(), 0);
	assert_true(connected(0));
	assert_int_equal(sent(0), 1);
	assert_int_equal(fake_kvm.route[32].u.msi.data, 2);
}

static void a_lent_vector_that_kvm_does_not_take_back_waits(void **state)
{
	set_control(MSIX_ENABLE);
	set_vector(0, 0x8090040, 1, true);
	raise_it(lend(0));
	fake_kvm.fails = "irqfd";
	fake_kvm.error = -ENOMEM;
	mask(0, false);
	assert_said("KVM_IRQFD for message 0: Cannot allocate memory");
	assert_int_equal(pending(), 1);
	pci_function_return(&function, 0);
	pci_function_interrupt(&function, 0);
	said();
	assert_int_equal(pending(), 1);
	fake_kvm.fails = NULL;
	pci_function_interrupt(&function, 0);
	assert_int_equal(sent(0), 1);
	assert_int_equal(pending(), 0);
}

static void any_access_is_harmless(void **state)
{
	uint64_t seed = 1;

	for (unsigned int i = 0; i < 200000; i++) {
		const uint8_t size = 1 << chance(&seed) % 4;
		const uint64_t at = chance(&seed) % 3 == 0 ? chance(&seed) % 0x101000
				    : chance(&seed) % 2	   ? chance(&seed) % 0x100
							: 0x100000 + chance(&seed) % 2 * 0x10000 +
								  chance(&seed) % 0x1100;
		struct mmio_access mmio = {
			.size = size,
			.value = chance(&seed) % 4 ? chance(&seed) : UINT64_MAX,
			.write = chance(&seed) % 4,
		};

		bus_access(&bus, 0x3f000000 + at, &mmio);
		if (i % 64 == 0)
			pci_function_interrupt(&function, chance(&seed) % (VECTORS + 1));
	}
	set_config(INTERRUPT_LINE, 0);
	said();
	identity_can_be_read_only(state);
	capabilities_end(state);
	absent_functions_read_as_all_ones(state);
	for (unsigned int i = 0x140; i < 0x1000; i += 4)
		assert_int_equal(config(i), 0);
	said();
}

static void accesses_may_cross_functions(void **state)
{
	store(ecam(0, 0xffc), 8, 0);
	store(ecam(0, 0x7ffc), 8, UINT64_MAX);
	assert_int_equal(load(ecam(1, 0), 4), UINT32_MAX);
	assert_int_equal(load(ecam(0, 0xffc), 8), (uint64_t)UINT32_MAX << 32);
}

static void there_are_32_slots_each_with_its_requester(void **state)
{
	static struct pci_function more[32];
	static struct device bars[32];
	const struct pci_identity identity = { 0 };

	for (unsigned int i = 0; i < 31; i++) {
		bars[i] = (struct device){ .ops = &memory_bar_ops };
		assert_int_equal(pci_function_init(&more[i], pci, &bare_ops, &identity), 0);
		pci_function_add_memory(&more[i], 0, &bars[i]);
		assert_int_equal(bars[i].base, 0x10010000 + 0x10000 * i);
	}
	assert_int_equal(pci_function_add_msix(&more[30], &routes, 1, 1), 0);
	assert_int_equal(more[30].msix_device.base, 0x3f120000);
	assert_int_equal(pci_function_init(&more[31], pci, &bare_ops, &identity), -ENOSPC);
	assert_said("pci: more than 32 devices");
	pci_function_fini(&more[31]);
	/* The last one's vector is the fourth message. */
	store(ecam(31, COMMAND), 2, 6);
	store(ecam(31, capability(31, MSIX) + 2), 2, 0x8000);
	store(0x3f120000 + 12, 4, 0);
	assert_int_equal(fake_kvm.route_count, 33);
	assert_int_equal(fake_kvm.route[32].gsi, FIRST_GSI + VECTORS);
	assert_int_equal(fake_kvm.route[32].u.msi.devid, 31 << 3);
}

static void messages_run_out(void **state)
{
	struct irq_msi *msi = calloc(IRQ_MSIS_MAX, sizeof(*msi));

	for (unsigned int i = 0; i < IRQ_MSIS_MAX - VECTORS; i++)
		assert_int_equal(irq_msi_create(&msi[i], &routes, 0), 0);
	assert_int_equal(irq_msi_create(&msi[IRQ_MSIS_MAX - 1], &routes, 0), -ENOSPC);
	assert_said("more than 512 message-signalled interrupts");
	irq_msi_destroy(&msi[IRQ_MSIS_MAX - 1]);
	irq_msi_destroy(&msi[10]);
	assert_int_equal(irq_msi_create(&msi[10], &routes, 0), 0);
	assert_int_equal(msi[10].index, 10 + VECTORS);
	for (unsigned int i = 0; i < IRQ_MSIS_MAX - VECTORS; i++)
		irq_msi_destroy(&msi[i]);
	free(msi);
}

static void a_failing_irqfd_is_said(void **state)
{
	static struct pci_function other;

	assert_int_equal(pci_function_init(&other, pci, &bare_ops, &(struct pci_identity){ 0 }), 0);
	fake_kvm.fails = "irqfd";
	fake_kvm.error = -EBUSY;
	assert_int_equal(pci_function_add_msix(&other, &routes, 1, 2), -EBUSY);
	assert_said("KVM_IRQFD for message 3: Device or resource busy");
}

static void tree_describes_the_bridge(void **state)
{
	static const uint32_t ranges[] = { 0x02000000, 0, 0x10000000, 0, 0x10000000, 0, 0x2eff0000,
					   0x42000000, 0, 0x3f100000, 0, 0x3f100000, 0, 0x20000 };
	struct devtree tree;
	const fdt32_t *cells;
	int node, length;

	assert_int_equal(devtree_create(&tree, 8192), 0);
	bus_describe(&bus, &tree);
	assert_true(devtree_finish(&tree) > 0);
	node = fdt_path_offset(tree.blob, "/pcie@3f000000");
	assert_true(node > 0);
	assert_int_equal(fdt_node_check_compatible(tree.blob, node, "pci-host-ecam-generic"), 0);
	assert_non_null(fdt_getprop(tree.blob, node, "dma-coherent", NULL));
	cells = fdt_getprop(tree.blob, node, "ranges", &length);
	assert_int_equal(length, sizeof(ranges));
	for (unsigned int i = 0; i < ARRAY_SIZE(ranges); i++)
		assert_int_equal(fdt32_to_cpu(cells[i]), ranges[i]);
	cells = fdt_getprop(tree.blob, node, "msi-map", &length);
	assert_int_equal(length, 16);
	assert_int_equal(fdt32_to_cpu(cells[1]), PHANDLE_ITS);
	cells = fdt_getprop(tree.blob, node, "bus-range", &length);
	assert_int_equal(length, 8);
	assert_int_equal(cells[0] | cells[1], 0);
	devtree_destroy(&tree);
}

static void registers_have_names(void **state)
{
	const struct device *device = bus_find(&bus, 0x3f000000);

	assert_string_equal(device->ops->register_name(0x10), "BAR0");
	assert_string_equal(device->ops->register_name(0x8004), "Command");
	assert_string_equal(device->ops->register_name(0x42), "Capability");
	assert_string_equal(bus_find(&bus, table)->ops->register_name(0x1c), "MSIXVectorControl");
	assert_null(bus_find(&bus, table)->ops->register_name(0x800));
	assert_string_equal(bus_find(&bus, 0x10001000)->ops->register_name(0x1000), "third");
	assert_string_equal(bus_find(&bus, 0x20001000)->ops->name, "pci");
	assert_null(bus_find(&bus, 0x20001000)->ops->register_name(0));
	for (uint64_t offset = 0; offset < device->size; offset++)
		device->ops->register_name(offset);
}

/* The memory that it all lies in. */

/* The IOMMU itself, what stays outside, and what is behind it. */
static void tree_tells_who_is_behind_an_iommu(void **state)
{
	static const struct pci_identity identity = { .vendor = 0x1af4 };
	static struct pci_function functions[3];
	static struct iommu_endpoint endpoints[2];
	static struct iommu iommu;
	struct devtree tree;
	const fdt32_t *cells;
	int bridge, node, length;

	assert_int_equal(iommu_create(&iommu, 1), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(functions); i++)
		assert_int_equal(pci_function_init(&functions[i], pci, &bare_ops, &identity), 0);
	pci_function_is_iommu(&functions[0]);
	pci_function_put_behind(&functions[1], &iommu, &endpoints[0], NULL);
	pci_function_put_behind(&functions[2], &iommu, &endpoints[1], NULL);
	assert_int_equal(endpoints[0].id, functions[1].slot << 3);
	assert_true(iommu_has(&iommu, functions[2].slot << 3));
	assert_int_equal(devtree_create(&tree, 8192), 0);
	bus_describe(&bus, &tree);
	assert_true(devtree_finish(&tree) > 0);
	bridge = fdt_path_offset(tree.blob, "/pcie@3f000000");
	cells = fdt_getprop(tree.blob, bridge, "iommu-map", &length);
	assert_int_equal(length, 2 * 16);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(fdt32_to_cpu(cells[4 * i]), endpoints[i].id);
		assert_int_equal(fdt32_to_cpu(cells[4 * i + 1]), PHANDLE_IOMMU);
		assert_int_equal(fdt32_to_cpu(cells[4 * i + 2]), endpoints[i].id);
		assert_int_equal(fdt32_to_cpu(cells[4 * i + 3]), 1);
	}
	node = fdt_node_offset_by_phandle(tree.blob, PHANDLE_IOMMU);
	assert_int_equal(fdt_parent_offset(tree.blob, node), bridge);
	assert_int_equal(fdt_node_check_compatible(tree.blob, node, "virtio,pci-iommu"), 0);
	assert_int_equal(fdt_node_check_compatible(tree.blob, node, "pci1af4,1057"), 0);
	cells = fdt_getprop(tree.blob, node, "reg", &length);
	assert_int_equal(length, 5 * 4);
	assert_int_equal(fdt32_to_cpu(cells[0]), functions[0].slot << 11);
	cells = fdt_getprop(tree.blob, node, "#iommu-cells", &length);
	assert_int_equal(fdt32_to_cpu(cells[0]), 1);
	devtree_destroy(&tree);
	iommu_remove(&endpoints[0]);
	iommu_remove(&endpoints[1]);
	iommu_destroy(&iommu);
}

static void memory_is_read_only_to_the_guest(void **state)
{
	struct memslot_held held = { 0 };
	char expected[128];
	void *host;

	fake_kvm.capability[KVM_CAP_READONLY_MEM] = true;
	fake_kvm.journal[0] = '\0';
	assert_int_equal(
		memslot_add_rom(&held, 3, MEMSLOT_ECAM, PCI_ECAM_BASE, PCI_MEMORY_SIZE, &host), 0);
	sprintf(expected, "set_memory_region %d %lu 0x3f000000 0x500000\n", MEMSLOT_ECAM,
		KVM_MEM_READONLY);
	assert_string_equal(fake_kvm.journal, expected);
	assert_int_equal((uintptr_t)host % MIB(2), 0);
	memset(host, 0xff, PCI_MEMORY_SIZE);
	memslot_release(&held);
	assert_null(held.mapping[MEMSLOT_ECAM].start);
	memslot_release(&held);
}

static void without_read_only_memory_there_is_no_slot(void **state)
{
	struct memslot_held held = { 0 };
	void *host = NULL;

	fake_kvm.journal[0] = '\0';
	assert_int_equal(
		memslot_add_rom(&held, 3, MEMSLOT_ECAM, PCI_ECAM_BASE, PCI_MEMORY_SIZE, &host), 0);
	assert_string_equal(fake_kvm.journal, "");
	assert_non_null(host);
	memslot_release(&held);
}

/* The VM may have it all the same. */
static void what_a_refused_slot_refers_to_is_held(void **state)
{
	struct memslot_held held = { 0 };
	void *host;

	fake_kvm.capability[KVM_CAP_READONLY_MEM] = true;
	fake_kvm.fails = "set_memory_region";
	fake_kvm.error = -EINVAL;
	assert_int_equal(
		memslot_add_rom(&held, 3, MEMSLOT_ECAM, PCI_ECAM_BASE, PCI_MEMORY_SIZE, &host),
		-EINVAL);
	assert_said("memory slot of 5 MiB at 0x3f000000: Invalid argument");
	assert_non_null(held.mapping[MEMSLOT_ECAM].start);
	memslot_release(&held);
}

#define on_bus(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_bus(absent_functions_read_as_all_ones),
		on_bus(identity_can_be_read_only),
		on_bus(command_has_three_bits),
		on_bus(bars_show_their_size),
		on_bus(nothing_answers_without_memory_space),
		on_bus(memory_bar_moves),
		on_bus(readable_bar_moves),
		cmocka_unit_test_setup_teardown(a_readable_bar_alone_answers, begin_lone, finish),
		on_bus(bus_master_is_told),
		on_bus(without_bus_master_messages_wait),
		on_bus(capabilities_end),
		on_bus(functions_are_integrated_endpoints),
		on_bus(a_reset_clears_what_a_driver_can_set),
		on_bus(after_a_reset_a_function_works),
		on_bus(a_change_reaches_the_point_of_coherency),
		on_bus(writes_are_told),
		on_bus(vectors_begin_masked),
		on_bus(unmasking_makes_a_route),
		on_bus(only_a_new_message_makes_a_new_table),
		on_bus(messages_are_sent_while_nothing_masks_them),
		on_bus(a_masked_vector_is_pending),
		on_bus(a_masked_function_has_all_pending),
		on_bus(what_kvm_refuses_is_said),
		on_bus(what_kvm_refused_is_tried_again),
		on_bus(a_lent_vector_interrupts_without_nidus),
		on_bus(what_does_not_exist_is_not_lent),
		on_bus(a_masked_lent_vector_does_not_interrupt),
		on_bus(a_vector_that_stayed_disconnected_is_waited_for),
		on_bus(what_a_lent_vector_kept_comes_once),
		on_bus(what_masks_all_masks_lent_vectors),
		on_bus(a_vector_may_be_lent_twice),
		on_bus(a_lent_vector_whose_route_is_refused_waits),
		on_bus(a_lent_vector_that_kvm_does_not_take_back_waits),
		on_bus(any_access_is_harmless),
		on_bus(accesses_may_cross_functions),
		on_bus(there_are_32_slots_each_with_its_requester),
		on_bus(messages_run_out),
		on_bus(a_failing_irqfd_is_said),
		on_bus(tree_describes_the_bridge),
		on_bus(tree_tells_who_is_behind_an_iommu),
		on_bus(registers_have_names),
		on_bus(memory_is_read_only_to_the_guest),
		on_bus(without_read_only_memory_there_is_no_slot),
		on_bus(what_a_refused_slot_refers_to_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
