// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VM, its RAM, and what is asked of KVM before there is a vCPU.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "memmap.h"
#include "steps.h"
#include "util.h"

/* KVM takes no smaller guest physical address space. */
#define IPA_BITS_MIN 32

/* RAM: mapped before there is a VM, unmapped when there is none any more. */

/* Of RAM, where Linux's kernel and what it allocates first are. */
#define FIRST_SIZE MIB(32)
/* And last: an entry of 64 bytes for each page, and tables of pages. */
#define LAST_SIZE(ram) ((ram) / 64 + MIB(4))

/* Those that a guest needs in any case; to set aside all of them would cost it what it never uses.
 */
static void take_huge_pages(const struct machine *machine)
{
	const struct memory *memory = &machine->memory;
	const uint64_t last = LAST_SIZE(memory->size);

	memory_collapse(memory, memory->base, FIRST_SIZE);
	memory_collapse(memory, memory->base + memory->size - last, last);
}

int vm_map_ram(struct machine *machine)
{
	const struct config *config = machine->config;
	struct resources *resources = machine->resources;
	int err;

	machine->mem_backing = resources_backing(resources);
	err = memory_create(&machine->memory, RAM_BASE, config->mem_size, machine->mem_backing,
			    machine->mem_backing == MEMORY_ANON ? NULL : &resources->ram);
	machine->memory.ring = resources->ring;
	if (err == 0 && resources->asks_for_huge_pages)
		take_huge_pages(machine);
	return err;
}

void vm_unmap_ram(struct machine *machine)
{
	memory_destroy(&machine->memory);
}

/* The VM. */

/* The fewest bits of guest physical address that hold the memory map. */
static unsigned int ipa_bits(const struct config *config)
{
	uint64_t top = RAM_BASE + config->mem_size;
	unsigned int bits = IPA_BITS_MIN;

	if (config->cpus > GIC_REDIST_COUNT)
		top = GIC_REDIST2_BASE + (config->cpus - GIC_REDIST_COUNT) * GIC_REDIST_STRIDE;
	while (bits < 63 && top > UINT64_C(1) << bits)
		bits++;
	return bits;
}

/* Whether the host's KVM has as many bits of address, and says what to do where it has not. */
static int check_address(const struct config *config, unsigned int bits)
{
	char fewer[48] = "";

	if (ipa_bits(config) <= bits)
		return 0;
	if (config->cpus > GIC_REDIST_COUNT)
		snprintf(fewer, sizeof(fewer), " and no more than %u vCPUs", GIC_REDIST_COUNT);
	log_error(
		"the guest's memory map needs %u bits of address, but this host gives %u; give it "
		"less memory%s",
		ipa_bits(config), bits, fewer);
	return -ENOTSUP;
}

static int check_kvm(const struct machine *machine)
{
	const struct config *config = machine->config;
	const int kvm_fd = machine->resources->kvm_fd;
	int bits = kvm_check(kvm_fd, KVM_CAP_ARM_VM_IPA_SIZE);
	int cpus = kvm_check(kvm_fd, KVM_CAP_MAX_VCPUS);

	if (bits <= 0) {
		log_error(
			"/dev/kvm: this is not KVM of an arm64 machine, or older than Linux 4.20");
		return -ENOTSUP;
	}
	if (config->cpus > (unsigned int)cpus) {
		log_error("--cpus %u: this host's KVM allows %d at most", config->cpus, cpus);
		return -ENOTSUP;
	}
	return check_address(config, bits);
}

/* Events that KVM reports only to who asks. Kernels that lack one take another way by themselves.
 */
static void enable_events(const struct machine *machine)
{
	static const unsigned int wanted[] = { KVM_CAP_ARM_SYSTEM_SUSPEND, KVM_CAP_ARM_SEA_TO_USER,
					       KVM_CAP_ARM_NISV_TO_USER };

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		kvm_enable(machine->vm_fd, wanted[i]);
}

/* Before there is a vCPU (api.rst, KVM_CAP_ARM_MTE). Only who was asked for it complains. */
static int enable_mte(struct machine *machine)
{
	const struct config *config = machine->config;

	machine->mte = config->mte && kvm_enable(machine->vm_fd, KVM_CAP_ARM_MTE) == 0;
	if (machine->mte || !config->mte || !config->has_mte)
		return 0;
	log_error("--mte: this host's CPU has no memory tagging (FEAT_MTE2) for a guest");
	return -ENOTSUP;
}

/*
 * Without an offset for the whole VM, KVM has the virtual counter start at 0, and not the physical
 * one. A hypervisor uses both, so its are the host's unless asked otherwise: an offset of the
 * physical counter makes every use of it an exit on CPUs without FEAT_ECV.
 */
static int set_counters(struct machine *machine)
{
	const struct config *config = machine->config;
	int err;

	if (!config->has_counter_offset && !config->nested)
		return 0;
	machine->counter_offset = config->counter_offset;
	err = kvm_set_counter_offset(machine->vm_fd, config->counter_offset);
	if (err < 0)
		log_error("KVM_ARM_SET_COUNTER_OFFSET: %s", strerror(-err));
	return err;
}

int vm_create(struct machine *machine)
{
	int err = check_kvm(machine);

	if (err < 0)
		return err;
	machine->held = (struct memslot_held){ 0 };
	machine->vm_fd = kvm_create_vm(machine->resources->kvm_fd, ipa_bits(machine->config));
	if (machine->vm_fd < 0) {
		log_error("KVM_CREATE_VM: %s", log_reason(-machine->vm_fd));
		return machine->vm_fd;
	}
	enable_events(machine);
	err = tlbi_trap(machine->vm_fd, &machine->config->trap_tlbi);
	if (err == 0)
		err = enable_mte(machine);
	if (err == 0)
		err = set_counters(machine);
	if (err == 0)
		err = memslot_add(machine->vm_fd, MEMSLOT_RAM, RAM_BASE,
				  memory_at(&machine->memory, RAM_BASE, machine->memory.size),
				  machine->memory.size);
	if (err < 0)
		vm_destroy(machine);
	return err;
}

void vm_destroy(struct machine *machine)
{
	dirty_log_end(&machine->dirty);
	close(machine->vm_fd);
	memslot_release(&machine->held);
}
