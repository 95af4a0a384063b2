// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device of the host's as the guest has it: its function on nidus's bridge, over a device that is
 * made up here in place of devices/vfio/vfio_device.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/vfio/vfio_parts.h"
#include "fake_kvm.h"
#include "mm/cache.h"
#include "mm/memslot.h"
#include "unit.h"
#include "util.h"
#include "vfio/vfio_name.h"

/* From PCI Local Bus 3.0 and vfio.h, and not from the code under test. */
enum { COMMAND = 4, BAR0 = 0x10, BAR1 = 0x14, BAR2 = 0x18, CAPABILITIES = 0x34, PIN = 0x3d };
enum { CAP_PM = 1, CAP_MSI = 5, CAP_VENDOR = 9, CAP_EXPRESS = 0x10, CAP_MSIX = 0x11 };
enum { MSI = 1, MSIX = 2, ERR = 3, REQ = 4 };

#define MEM    2
#define MASTER 4

static uint8_t memory[PCI_MEMORY_SIZE] __attribute__((aligned(4096)));
static struct bus bus;
static struct irq_routes routes;
static struct event_loop loop;
static struct verdict verdict;
static struct pci *pci;

/* In place of mm/cache.c. */

uint64_t cache_line_size(void)
{
	return 64;
}

void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
}

void cache_sync(void)
{
}

/* The device. */

#define CONFIG_AT 0x70000000000
#define BAR0_AT	  0x10000000000

static struct vfio_device device;
static uint8_t space[VFIO_CONFIG_SIZE];
static uint8_t registers[0x4000];
static char journal[1024];
static int set_irqs_error, reset_error;
static unsigned int resets, set_count[5];
static int eventfds[PCI_MSIX_VECTOR_MAX];

static void note(const char *format, ...)
{
	const size_t length = strlen(journal);
	va_list list;

	va_start(list, format);
	vsnprintf(journal + length, sizeof(journal) - length, format, list);
	va_end(list);
}

static void *place_of(uint64_t offset, unsigned int size)
{
	if (offset >= CONFIG_AT && offset + size <= CONFIG_AT + sizeof(space))
		return space + (offset - CONFIG_AT);
	if (offset >= BAR0_AT && offset + size <= BAR0_AT + sizeof(registers))
		return registers + (offset - BAR0_AT);
	return NULL;
}

bool vfio_device_read(const struct vfio_device *which, uint64_t offset, void *value,
		      unsigned int size)
{
	const void *from = place_of(offset, size);

	assert_ptr_equal(which, &device);
	if (from)
		memcpy(value, from, size);
	return from;
}

bool vfio_device_write(const struct vfio_device *which, uint64_t offset, const void *value,
		       unsigned int size)
{
	void *to = place_of(offset, size);

	assert_ptr_equal(which, &device);
	if (offset == CONFIG_AT + COMMAND)
		note("command %x\n", *(const uint16_t *)value);
	if (to)
		memcpy(to, value, size);
	return to;
}

int vfio_device_interrupt_by(const struct vfio_device *which, unsigned int index,
			     unsigned int first, unsigned int count, const int *fds)
{
	if (index == MSIX || index == MSI)
		note("irqs %u+%u\n", first, count);
	if (set_irqs_error < 0)
		return set_irqs_error;
	/* As the kernel has it. */
	assert_true(first + count <= device.irqs[index].count);
	if (index == MSIX && device.irqs[index].fixed)
		assert_int_equal(set_count[index], 0);
	set_count[index] = first + count;
	for (unsigned int i = 0; i < count && index <= MSIX; i++)
		eventfds[first + i] = fds[i];
	if (index > MSIX)
		eventfds[PCI_MSIX_VECTOR_MAX - 1 - index] = fds[0];
	return 0;
}

void vfio_device_interrupt_no_more(const struct vfio_device *which, unsigned int index)
{
	if (index == MSIX || index == MSI)
		note("no irqs\n");
	set_count[index] = 0;
}

int vfio_device_reset(const struct vfio_device *which)
{
	/* It neither interrupts nor reaches memory by then. */
	assert_int_equal(set_count[MSIX], 0);
	assert_int_equal(space[COMMAND] & MASTER, 0);
	resets++;
	return device.can_reset ? reset_error : -ENOTTY;
}

/* A device like an NVMe disk, with a virtio device's vendor specific capability. */

static void put32(unsigned int at, uint32_t value)
{
	memcpy(space + at, &value, sizeof(value));
}

static void make_space(void)
{
	memset(space, 0, sizeof(space));
	put32(0x00, 0x00101b36);
	put32(0x04, 0x00100000);
	put32(0x08, 0x01080202);
	put32(BAR0, 0x00000004); /* 64 bits */
	put32(BAR2, 0x00000001); /* of I/O */
	put32(0x2c, 0x11001af4);
	put32(CAPABILITIES, 0x40);
	put32(0x3c, 0x00000100); /* a pin */
	put32(0x40, 0x00406011); /* MSI-X, 65 vectors */
	put32(0x44, 0x00002000); /* its table */
	put32(0x48, 0x00003000);
	put32(0x60, 0x00038001); /* power management */
	put32(0x80, 0x0002a010); /* PCI Express */
	put32(0xa0, 0x0114c009); /* vendor specific, 20 bytes */
	put32(0xa4, 0x00000003);
	put32(0xa8, 0x11111111);
	put32(0xac, 0x22222222);
	put32(0xb0, 0x33333333);
	put32(0xc0, 0x00000003); /* vital product data, which is not passed on */
}

static uint8_t mapped[2][0x2000] __attribute__((aligned(65536)));

static void make_device(void)
{
	make_space();
	memset(registers, 0, sizeof(registers));
	device = (struct vfio_device){
		.place = { .address = "0000:00:02.0" },
		.fd = -1,
		.can_reset = true,
		.config_offset = CONFIG_AT,
	};
	assert_null(vfio_config_parse(&device.config, space));
	device.bar[0] = (struct vfio_bar){
		.size = 0x4000,
		.offset = BAR0_AT,
		.area = { { 0, 0x2000, mapped[0], MEMSLOT_VFIO },
			  { 0x3000, 0x1000, mapped[1], MEMSLOT_VFIO + 1 } },
		.area_count = 2,
	};
	device.irqs[MSIX].count = 65;
	device.irqs[ERR].count = device.irqs[REQ].count = 1;
	set_irqs_error = reset_error = 0;
	resets = 0;
	memset(set_count, 0, sizeof(set_count));
}

static int add(void)
{
	const struct vfio_machine machine = {
		.pci = pci,
		.routes = &routes,
		.loop = &loop,
		.verdict = &verdict,
	};
	const int err = vfio_function_add(&device, &machine);

	bus_freeze(&bus);
	journal[0] = '\0';
	return err;
}

static int begin(void **state)
{
	memset(memory, 0, sizeof(memory));
	fake_kvm_reset();
	assert_int_equal(event_loop_create(&loop), 0);
	assert_int_equal(verdict_create(&verdict, &loop), 0);
	bus_create(&bus);
	irq_routes_create(&routes, 3);
	assert_int_equal(pci_create(&pci, &bus, memory), 0);
	make_device();
	journal[0] = '\0';
	return catch_begin(state);
}

static int finish(void **state)
{
	bus_destroy(&bus);
	/* Whoever has it next finds it quiet. */
	for (unsigned int i = 0; i < ARRAY_SIZE(set_count); i++)
		assert_int_equal(set_count[i], 0);
	assert_int_equal(space[COMMAND] & MASTER, 0);
	irq_routes_destroy(&routes);
	verdict_destroy(&verdict);
	event_loop_destroy(&loop);
	return catch_end(state);
}

/* Accesses of the guest. */

static uint64_t load(uint64_t gpa, uint8_t size)
{
	struct mmio_access mmio = { .size = size };

	return bus_access(&bus, gpa, &mmio) == MMIO_DONE ? mmio.value : UINT64_MAX;
}

static void store(uint64_t gpa, uint8_t size, uint64_t value)
{
	struct mmio_access mmio = { .size = size, .value = value, .write = true };

	bus_access(&bus, gpa, &mmio);
}

static uint32_t config(unsigned int offset)
{
	return load(0x3f000000 + offset, 4);
}

static void set_config(unsigned int offset, uint32_t value)
{
	store(0x3f000000 + offset, 4, value);
}

static void set_command(uint16_t value)
{
	store(0x3f000000 + COMMAND, 2, value);
}

static unsigned int capability(uint8_t id)
{
	unsigned int at = config(CAPABILITIES) & 0xff, count = 0;

	while (at != 0 && (config(at) & 0xff) != id) {
		at = config(at) >> 8 & 0xff;
		assert_true(count++ < 48);
	}
	return at;
}

static uint64_t table(void)
{
	return config(BAR0 + 4 * (config(capability(CAP_MSIX) + 4) & 7)) & ~0xfu;
}

static void enable_msix(bool on)
{
	store(0x3f000000 + capability(CAP_MSIX) + 2, 2, on ? 0x8000 : 0);
}

static void set_vector(unsigned int vector, bool masked)
{
	store(table() + 16 * vector, 4, 0x08090040);
	store(table() + 16 * vector + 8, 4, vector);
	store(table() + 16 * vector + 12, 4, masked);
}

static bool was_sent(unsigned int vector)
{
	uint64_t count;

	return read(fake_kvm.irqfd[32 + vector], &count, sizeof(count)) == sizeof(count);
}

/* What its configuration space says. */

static void what_is_passed_on_is_found(void **state)
{
	const struct vfio_config *parsed = &device.config;

	assert_int_equal(parsed->identity.vendor, 0x1b36);
	assert_int_equal(parsed->identity.device, 0x10);
	assert_int_equal(parsed->identity.class, 0x010802);
	assert_int_equal(parsed->identity.revision, 2);
	assert_true(parsed->is_memory[0]);
	assert_false(parsed->is_memory[1]); /* the upper half */
	assert_false(parsed->is_memory[2]);
	assert_int_equal(parsed->msix, 0x40);
	assert_int_equal(parsed->table_offset, 0x2000);
	assert_int_equal(parsed->table_size, 65 * 16);
	assert_int_equal(parsed->vendor_count, 1);
	assert_int_equal(parsed->vendor[0].offset, 0xa0);
	assert_int_equal(parsed->vendor[0].size, 20);
	assert_true(parsed->power);
}

static void what_cannot_be_passed_on_is_told(void **state)
{
	struct vfio_config parsed;

	space[0x0e] = 1;
	assert_string_equal(vfio_config_parse(&parsed, space), "is a bridge");
	space[0x0e] = 0x80; /* several functions */
	assert_null(vfio_config_parse(&parsed, space));
	put32(0, UINT32_MAX);
	assert_string_equal(vfio_config_parse(&parsed, space), "does not answer");
}

static void capabilities_that_lead_astray_are_left(void **state)
{
	struct vfio_config parsed;

	space[0xa1] = 0xa0; /* round and round */
	assert_null(vfio_config_parse(&parsed, space));
	assert_int_equal(parsed.vendor_count, 1);
	space[0xa1] = 0x10; /* into the header */
	assert_null(vfio_config_parse(&parsed, space));
	space[0xa2] = 200; /* beyond the end */
	assert_null(vfio_config_parse(&parsed, space));
	assert_int_equal(parsed.vendor_count, 0);
	space[0xa2] = 2; /* nothing in it */
	assert_null(vfio_config_parse(&parsed, space));
	assert_int_equal(parsed.vendor_count, 0);
	put32(0x34, 0xfc);
	put32(0xfc, 0x00000011); /* MSI-X without room */
	assert_null(vfio_config_parse(&parsed, space));
	assert_int_equal(parsed.msix, 0);
}

static void names_are_told_from_other_words(void **state)
{
	static const char *const good[] = { "00:02.0", "0000:00:02.0", "abcd:ef:1F.7",
					    "/dev/vfio/devices/vfio0",
					    "/dev/vfio/devices/vfio123" };
	static const char *const bad[] = {
		"",
		"0:2.0",
		"00:02.8",
		"00:02",
		"00000:00:02.0",
		"0000:00:02.0 ",
		"nvme0",
		"/dev/vfio/0",
		"/dev/vfio/devices/vfio",
		"/dev/vfio/devices/vfio0/../x",
		"/dev/vfio/devices/vfio12345678901",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(vfio_name_is_one(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(vfio_name_is_one(bad[i]));
}

/* The function. */

static void the_guest_sees_the_device(void **state)
{
	const unsigned int express = 0x40;

	assert_int_equal(add(), 0);
	assert_int_equal(resets, 1);
	assert_int_equal(config(0), 0x00101b36);
	assert_int_equal(config(8), 0x01080202);
	assert_int_equal(config(0x2c), 0x11001af4);
	assert_int_equal(config(PIN & ~3u), 0);
	/* The driver has turned nothing on yet; the device answers to nidus, and no more. */
	assert_int_equal(config(COMMAND) & (MEM | MASTER), 0);
	assert_int_equal(space[COMMAND], MEM);
	assert_int_equal(space[COMMAND + 1], 4);
	/* Of 64 bits it is 32, of I/O nothing. */
	assert_int_equal(config(BAR0) & 0xf, 0);
	assert_int_equal(config(BAR2), 0);
	assert_int_equal(capability(CAP_EXPRESS), express);
	assert_int_equal(config(express + 4) >> 28 & 1, 1);
	assert_int_equal(config(capability(CAP_MSIX)) >> 16 & 0x7ff, 64);
	assert_int_equal(config(capability(CAP_PM)) >> 16, 3);
	assert_int_equal(capability(3), 0);
	/* It stays in D0. */
	set_config(capability(CAP_PM) + 4, 3);
	assert_int_equal(config(capability(CAP_PM) + 4), 8);
}

static void a_device_without_reset_offers_none(void **state)
{
	device.can_reset = false;
	assert_int_equal(add(), 0);
	assert_int_equal(config(0x44) >> 28 & 1, 0);
}

static void one_that_does_not_reset_is_refused(void **state)
{
	reset_error = -EIO;
	assert_int_equal(add(), -EIO);
	assert_non_null(strstr(said(), "0000:00:02.0"));
}

static void a_bar_that_is_too_large_is_refused(void **state)
{
	device.bar[0].size = UINT64_C(1) << 33;
	assert_int_equal(add(), -EINVAL);
	assert_non_null(strstr(said(), "BAR 0 of 8192 MiB"));
}

static void a_large_bar_has_its_size(void **state)
{
	device.bar[0].size = 0x400000;
	device.bar[0].area_count = 0;
	assert_int_equal(add(), 0);
	assert_int_equal(config(BAR0), 0x10000000);
	set_config(BAR0, UINT32_MAX);
	assert_int_equal(config(BAR0), 0xffc00000);
	set_command(MEM);
	set_config(BAR0, 0x20210000);
	assert_int_equal(config(BAR0), 0x20000000);
	assert_int_equal(load(0x20000000 + 0x1000, 4), 0);
	/* What does not lie in the window as a whole does not answer. */
	set_config(BAR0, 0x3ec00000);
	assert_true(load(0x3ec00000, 4) == UINT64_MAX);
}

static void vendor_capabilities_are_the_devices(void **state)
{
	unsigned int at;

	assert_int_equal(add(), 0);
	at = capability(CAP_VENDOR);
	assert_int_equal(config(at) >> 16, 0x0114);
	assert_int_equal(config(at + 4), 3);
	assert_int_equal(config(at + 0x10), 0x33333333);
	/* A write goes there, and what has changed since is shown. */
	put32(0xb0, 0x44444444);
	set_config(at + 8, 0x12345678);
	assert_int_equal(read_le32(space + 0xa8), 0x12345678);
	assert_int_equal(config(at + 8), 0x12345678);
	assert_int_equal(config(at + 0x10), 0x44444444);
	/* Its head, and what is behind it, are not the guest's. */
	set_config(at, 0);
	assert_int_equal(config(at) & 0xff, CAP_VENDOR);
	assert_int_equal(read_le32(space + 0xa0), 0x0114c009);
	set_config(at + 0x14, 0);
	assert_int_equal(read_le32(space + 0xb4), 0);
}

static void registers_are_in_slots_where_the_bar_answers(void **state)
{
	uint32_t bar;

	assert_int_equal(add(), 0);
	fake_kvm.journal[0] = '\0';
	bar = config(BAR0);
	set_command(MEM);
	assert_non_null(strstr(fake_kvm.journal, "set_memory_region"));
	/* In the hole, and with the slots gone, accesses come. */
	registers[0x2000] = 0x5a;
	assert_int_equal(load(bar + 0x2000, 4), 0x5a);
	store(bar + 0x2004, 2, 0xabcd);
	assert_int_equal(registers[0x2004], 0xcd);
	assert_int_equal(registers[0x2005], 0xab);
	/* Behind the device's own there is nothing. */
	assert_true(load(bar + 0x4000, 4) == UINT64_MAX);
	assert_true(load(bar + 0x3ffc, 8) == UINT64_MAX);
	fake_kvm.journal[0] = '\0';
	set_config(BAR0, 0x20000000);
	registers[0] = 0x77;
	assert_int_equal(load(0x20000000, 1), 0x77);
	assert_non_null(strstr(fake_kvm.journal, "set_memory_region"));
	/* Nothing changes, so nothing is asked of the host. */
	fake_kvm.journal[0] = '\0';
	set_config(BAR0, 0x20000000);
	set_command(MEM | MASTER);
	assert_string_equal(fake_kvm.journal, "");
	set_command(0);
	assert_non_null(strstr(fake_kvm.journal, "set_memory_region"));
	assert_true(load(0x20000000, 1) == UINT64_MAX);
}

static void a_slot_that_kvm_refuses_is_done_without(void **state)
{
	assert_int_equal(add(), 0);
	fake_kvm.fails = "set_memory_region";
	fake_kvm.error = -EEXIST;
	set_command(MEM);
	registers[4] = 0x12;
	assert_int_equal(load(config(BAR0) + 4, 1), 0x12);
	/* What is not there is not taken away. */
	fake_kvm.journal[0] = '\0';
	fake_kvm.fails = NULL;
	set_command(0);
	assert_string_equal(fake_kvm.journal, "");
}

static void bus_master_is_the_devices(void **state)
{
	assert_int_equal(add(), 0);
	set_command(MEM | MASTER);
	assert_string_equal(journal, "command 406\n");
	journal[0] = '\0';
	set_command(MEM);
	assert_string_equal(journal, "command 402\n");
}

static void vectors_are_set_up_as_they_are_unmasked(void **state)
{
	assert_int_equal(add(), 0);
	set_command(MEM | MASTER);
	journal[0] = '\0';
	enable_msix(true);
	/* The device has it on as well, though the guest has masked all. */
	assert_string_equal(journal, "irqs 0+1\n");
	set_vector(0, false);
	assert_string_equal(journal, "irqs 0+1\n");
	set_vector(1, false);
	set_vector(2, false);
	set_vector(3, false);
	assert_string_equal(journal, "irqs 0+1\nirqs 1+1\nirqs 2+2\n");
	/* Each is told once that there may have been something. */
	for (unsigned int i = 0; i < 4; i++)
		assert_true(was_sent(i));
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(eventfds[i], fake_kvm.irqfd[32 + i]);
	/* Masking and unmasking is between the guest and KVM. */
	journal[0] = '\0';
	set_vector(1, true);
	assert_false(fake_kvm.irqfd_on[33]);
	set_vector(1, false);
	assert_true(fake_kvm.irqfd_on[33]);
	assert_string_equal(journal, "");
	enable_msix(false);
	assert_string_equal(journal, "no irqs\n");
	journal[0] = '\0';
	enable_msix(true);
	assert_string_equal(journal, "irqs 0+4\n");
}

static void vectors_that_cannot_be_added_are_set_up_anew(void **state)
{
	device.irqs[MSIX].fixed = true;
	assert_int_equal(add(), 0);
	set_command(MEM | MASTER);
	journal[0] = '\0';
	enable_msix(true);
	set_vector(0, false);
	set_vector(64, false);
	assert_string_equal(journal, "irqs 0+1\nno irqs\nirqs 0+65\n");
	assert_true(was_sent(0));
	assert_true(was_sent(64));
}

static void a_device_without_msix_has_msi(void **state)
{
	unsigned int at;

	device.irqs[MSIX].count = 0;
	device.irqs[MSI].count = 4;
	assert_int_equal(add(), 0);
	assert_int_equal(capability(CAP_MSIX), 0);
	at = capability(CAP_MSI);
	/* One vector, 64 bits of address, a mask. */
	assert_int_equal(config(at) >> 16, 0x180);
	set_command(MEM | MASTER);
	set_config(at + 4, 0x08090043);
	set_config(at + 8, 0);
	set_config(at + 12, 0x7);
	assert_int_equal(config(at + 4), 0x08090040);
	journal[0] = '\0';
	store(0x3f000000 + at + 2, 2, 1);
	assert_string_equal(journal, "irqs 0+1\n");
	assert_true(was_sent(0));
	assert_int_equal(fake_kvm.route[32].u.msi.address_lo, 0x08090040);
	assert_int_equal(fake_kvm.route[32].u.msi.data, 7);
	assert_true(fake_kvm.irqfd_on[32]);
	set_config(at + 16, 1);
	assert_false(fake_kvm.irqfd_on[32]);
	set_config(at + 16, 0);
	assert_true(fake_kvm.irqfd_on[32]);
	journal[0] = '\0';
	store(0x3f000000 + at + 2, 2, 0);
	assert_string_equal(journal, "no irqs\n");
}

static void a_device_with_a_wire_alone_is_told_of(void **state)
{
	device.irqs[MSIX].count = 0;
	assert_int_equal(add(), 0);
	assert_said("a wire alone");
}

static void a_host_without_vectors_is_told_of(void **state)
{
	assert_int_equal(add(), 0);
	set_command(MEM | MASTER);
	set_irqs_error = -ENOSPC;
	enable_msix(true);
	assert_said("1 interrupts: No space left");
	/* The next one that is unmasked asks again, for all. */
	set_irqs_error = 0;
	journal[0] = '\0';
	set_vector(1, false);
	assert_string_equal(journal, "irqs 0+2\n");
}

static void a_function_level_reset_is_the_devices(void **state)
{
	assert_int_equal(add(), 0);
	set_command(MEM | MASTER);
	enable_msix(true);
	set_vector(0, false);
	put32(0xa8, 0x99999999);
	resets = 0;
	set_config(0x48, 0x8000);
	assert_int_equal(resets, 1);
	assert_int_equal(set_count[MSIX], 0);
	assert_int_equal(config(COMMAND) & 0xffff, 0);
	assert_int_equal(config(BAR0), 0);
	assert_int_equal(config(capability(CAP_VENDOR) + 8), 0x99999999);
}

static void what_the_host_wants_ends_the_guest(void **state)
{
	const uint64_t one = 1;

	for (unsigned int which = ERR; which <= REQ; which++) {
		if (which == ERR)
			assert_int_equal(add(), 0);
		verdict_clear(&verdict);
		assert_int_equal(
			write(eventfds[PCI_MSIX_VECTOR_MAX - 1 - which], &one, sizeof(one)),
			sizeof(one));
		while (event_loop_turn(&loop, false) > 0)
			;
		assert_int_equal(verdict_outcome(&verdict), OUTCOME_HOST_ERROR);
		assert_non_null(
			strstr(said(), which == ERR ? "an error" : "wants the device back"));
	}
}

static void it_is_not_saved(void **state)
{
	assert_int_equal(add(), 0);
	assert_non_null(strstr(bus_unsaved(&bus), "--vfio"));
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_is_passed_on_is_found),
		test(what_cannot_be_passed_on_is_told),
		test(capabilities_that_lead_astray_are_left),
		test(names_are_told_from_other_words),
		test(the_guest_sees_the_device),
		test(a_device_without_reset_offers_none),
		test(one_that_does_not_reset_is_refused),
		test(a_bar_that_is_too_large_is_refused),
		test(a_large_bar_has_its_size),
		test(vendor_capabilities_are_the_devices),
		test(registers_are_in_slots_where_the_bar_answers),
		test(a_slot_that_kvm_refuses_is_done_without),
		test(bus_master_is_the_devices),
		test(vectors_are_set_up_as_they_are_unmasked),
		test(vectors_that_cannot_be_added_are_set_up_anew),
		test(a_device_without_msix_has_msi),
		test(a_device_with_a_wire_alone_is_told_of),
		test(a_host_without_vectors_is_told_of),
		test(a_function_level_reset_is_the_devices),
		test(what_the_host_wants_ends_the_guest),
		test(it_is_not_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
