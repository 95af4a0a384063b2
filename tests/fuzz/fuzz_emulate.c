// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest with any instruction, any registers, and addresses that translate or do not.
 */
#include "fake_guest.h"
#include "fuzz.h"
#include "memmap.h"
#include "util.h"
#include "vcpu/vcpu.h"
#include "vmm/vcpu/emulate.h"

#define DEVICE UINT64_C(0x9000000)

static unsigned int accesses;

static enum mmio_result device_access(struct device *device, struct mmio_access *mmio)
{
	MUST(mmio->offset < device->size && mmio->size <= device->size - mmio->offset);
	MUST(mmio->size == 1 || mmio->size == 2 || mmio->size == 4 || mmio->size == 8);
	accesses++;
	mmio->value = 0x1122334455667788;
	return MMIO_DONE;
}

static void device_destroy(struct device *device)
{
	(void)device;
}

static const struct device_ops device_ops = {
	.name = "device",
	.access = device_access,
	.destroy = device_destroy,
};
static struct device device = { .ops = &device_ops, .base = DEVICE, .size = 0x1008 };

static uint64_t take_address(struct input *input)
{
	static const uint64_t bases[] = { DEVICE, DEVICE + 0x1000, RAM_BASE, RAM_BASE + MIB(2), 0 };

	return bases[take(input, 1) % ARRAY_SIZE(bases)] + (int16_t)take(input, 2);
}

static void take_guest(struct input *input)
{
	memset(&guest, 0, sizeof(guest));
	guest.word = take(input, 4);
	guest.pstate = take(input, 4);
	guest.regime.sctlr = take(input, 4);
	guest.regime.kind = take(input, 1) % 3;
	guest.sve = take(input, 1) & 1;
	guest.has_el2 = take(input, 1) & 1;
	guest.device = take(input, 1) & 1;
	guest.lengths[0] = take(input, 2);
	guest.zcr_el1 = take(input, 1);
	guest.zcr_el2 = take(input, 1);
	guest.absent = align_down(take_address(input), FAKE_PAGE);
	guest.moved = align_down(take_address(input), FAKE_PAGE);
	guest.moved_to = align_down(take_address(input), FAKE_PAGE);
	guest.absent_result = 1 + take(input, 1) % 2;
	for (unsigned int n = 0; n < 31; n++)
		guest.x[n] = take_address(input);
	guest.sp_el0 = guest.sp_el1 = guest.sp_el2 = take_address(input);
	/* A number that is no address: sizes of copies. */
	guest.x[take(input, 1) % 31] = take(input, 8);
	for (unsigned int n = 0; n < 16; n++)
		memset(guest.predicate[n], take(input, 1), sizeof(guest.predicate[n]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct memory memory;
	static struct bus bus;
	static struct kvm_run run;
	static struct vcpu vcpu;
	struct input input = { data, size };
	struct vcpu_env env = {
		.bus = &bus,
		.memory = &memory,
		.read_modify_write = PTHREAD_MUTEX_INITIALIZER,
	};
	enum emulate_result result;
	enum insn_class class;

	if (!bus.frozen) {
		bus_add(&bus, &device);
		bus_freeze(&bus);
		MUST(memory_create(&memory, RAM_BASE, MIB(2), MEMORY_ANON, NULL) == 0);
	}
	take_guest(&input);
	/* The other page of the device, too, which is not where the fault was. */
	run.arm_nisv.fault_ipa = DEVICE;
	vcpu.env = &env;
	vcpu.run = &run;
	accesses = 0;
	result = emulate(&vcpu, &class);
	MUST(!guest.paused);
	MUST(class < INSN_CLASSES && result <= EMULATE_ERROR);
	MUST(result == EMULATE_DONE || guest.writes == 0);
	MUST(result == EMULATE_DONE || accesses == 0 || result == EMULATE_ERROR);
	/* Each byte read and written once, at most. */
	MUST(accesses <= 2 * (EMULATE_STRING_MAX + ELEMENTS_BYTES_MAX));
	return 0;
}
