// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "boot/board.h"
#include "devices/pl011.h"
#include "devices/pl031.h"
#include "host/clock.h"
#include "host/log.h"
#include "host/worker.h"
#include "machine/machine.h"
#include "memmap.h"
#include "mm/memslot.h"
#include "translate/lookup.h"
#include "util.h"
#include "virtio/virtio_block.h"
#include "virtio/virtio_console.h"
#include "virtio/virtio_mmio.h"
#include "virtio/virtio_pci.h"
#include "virtio/virtio_report.h"
#include "virtio/virtio_rng.h"

/* Console, source of random numbers, reports and disks: each a virtio-mmio slot, if need be. */
_Static_assert(3 + CONFIG_DISKS_MAX <= GIC_SPI_COUNT - VIRTIO_MMIO_SPI, "an interrupt for each");

/* KVM takes no smaller guest physical address space. */
#define IPA_BITS_MIN 32

static void reach(struct machine *machine, enum machine_phase phase)
{
	machine->phase[phase].nanoseconds = clock_ns();
	for (unsigned int i = 0; i < machine->env.count; i++)
		machine->phase[phase].exits += counters_total(&machine->env.vcpus[i].counters);
	machine->phase[phase].reached = true;
}

/* The files. */

static int files_up(struct machine *machine)
{
	const struct config *config = machine->config;
	int err = boot_parse(&machine->boot, &machine->resources->files);

	if (err < 0)
		return err;
	boot_check_params(&machine->boot, config->params);
	return boot_place(&machine->boot, RAM_BASE, config->mem_size);
}

/* Guest memory: mapped before there is a VM, unmapped when there is none any more. */

static int memory_up(struct machine *machine)
{
	static struct log_limit limit;
	const struct config *config = machine->config;
	const struct memory_mount *mount = config->hugetlbfs ? &machine->resources->mount : NULL;
	struct sysinfo info = { 0 };
	uint64_t host;

	sysinfo(&info);
	host = (uint64_t)info.totalram * info.mem_unit;
	if (config->mem_size > host)
		log_guest(&limit,
			  "the guest's RAM of %" PRIu64 " MiB is more than this host's %" PRIu64
			  " MiB",
			  config->mem_size >> 20, host >> 20);
	return memory_create(&machine->memory, RAM_BASE, config->mem_size, config->mem_backing,
			     mount);
}

static void memory_down(struct machine *machine)
{
	pvtime_destroy(&machine->pvtime);
	memslot_rom_destroy(&machine->ecam);
	memslot_rom_destroy(&machine->virtio_mmio);
	memory_destroy(&machine->memory);
}

static int load_up(struct machine *machine)
{
	return boot_load(&machine->boot, &machine->memory);
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

static int check_kvm(const struct machine *machine)
{
	const struct config *config = machine->config;
	int bits = kvm_check(machine->resources->kvm_fd, KVM_CAP_ARM_VM_IPA_SIZE);
	int cpus = kvm_check(machine->resources->kvm_fd, KVM_CAP_MAX_VCPUS);

	if (bits <= 0) {
		log_error(
			"/dev/kvm: this is not KVM of an arm64 machine, or older than Linux 4.20");
		return -ENOTSUP;
	}
	if (ipa_bits(config) > (unsigned int)bits) {
		log_error(
			"the guest's memory map needs %u bits of address, but this host gives %d; "
			"give it less memory%s",
			ipa_bits(config), bits,
			config->cpus > GIC_REDIST_COUNT ? " and no more than 123 vCPUs" : "");
		return -ENOTSUP;
	}
	if (config->cpus > (unsigned int)cpus) {
		log_error("--cpus %u: this host's KVM allows %d at most", config->cpus, cpus);
		return -ENOTSUP;
	}
	return 0;
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

/*
 * Without an offset for the whole VM, KVM has the virtual counter start at 0, and not the physical
 * one. A hypervisor uses both, so its are the host's unless asked otherwise: an offset of the
 * physical counter makes every use of it an exit on CPUs without FEAT_ECV.
 */
static int set_counters(const struct machine *machine)
{
	const struct config *config = machine->config;
	int err;

	if (!config->has_counter_offset && !config->nested)
		return 0;
	err = kvm_set_counter_offset(machine->vm_fd, config->counter_offset);
	if (err < 0)
		log_error("KVM_ARM_SET_COUNTER_OFFSET: %s", strerror(-err));
	return err;
}

static int vm_up(struct machine *machine)
{
	int err = check_kvm(machine);

	if (err < 0)
		return err;
	machine->vm_fd = kvm_create_vm(machine->resources->kvm_fd, ipa_bits(machine->config));
	if (machine->vm_fd < 0) {
		log_error("KVM_CREATE_VM: %s", log_reason(-machine->vm_fd));
		return machine->vm_fd;
	}
	enable_events(machine);
	err = tlbi_trap(machine->vm_fd, &machine->config->trap_tlbi);
	if (err == 0)
		err = set_counters(machine);
	if (err == 0)
		err = memslot_add(machine->vm_fd, MEMSLOT_RAM, RAM_BASE,
				  memory_at(&machine->memory, RAM_BASE, machine->memory.size),
				  machine->memory.size);
	if (err < 0)
		close(machine->vm_fd);
	return err;
}

static void vm_down(struct machine *machine)
{
	close(machine->vm_fd);
}

/*
 * vCPUs and interrupt controller, in the order that KVM wants: VM capabilities (vm_up), vCPU
 * initialization with SVE's finalization, GIC and its initialization, PMU, stolen time.
 */

static void cpus_down(struct machine *machine)
{
	struct vcpu_env *env = &machine->env;

	gic_destroy(&machine->gic);
	while (env->count > 0)
		vcpu_destroy(&env->vcpus[--env->count]);
	free(env->vcpus);
	env->vcpus = NULL;
}

static int create_vcpus(struct machine *machine)
{
	const struct config *config = machine->config;
	struct vcpu_env *env = &machine->env;
	int run_size = kvm_run_size(machine->resources->kvm_fd), err = run_size;

	*env = (struct vcpu_env){
		.bus = &machine->bus,
		.memory = &machine->memory,
		.model = &machine->model,
		.verdict = machine->verdict,
		.thread_name = config->name ? config->name : "vcpu",
		.emulation = config->emulation,
		.lookup_by_kvm = config->emulation && lookup_enable(machine->vm_fd),
		/* Those of trapped TLBIs are for others as well (peek.h). */
		.statistics = config->stats_file || config->trap_tlbi.policy != TLBI_OFF,
		.vcpus = calloc(config->cpus, sizeof(*env->vcpus)),
		.read_modify_write = PTHREAD_MUTEX_INITIALIZER,
		.suspending = PTHREAD_MUTEX_INITIALIZER,
		.pausing = PTHREAD_MUTEX_INITIALIZER,
		.gate = PTHREAD_RWLOCK_INITIALIZER,
	};
	if (!env->vcpus)
		err = -ENOMEM;
	if (err < 0)
		log_error("vCPUs: %s", strerror(-err));
	while (err >= 0 && env->count < config->cpus) {
		err = vcpu_create(&env->vcpus[env->count], env, machine->vm_fd, env->count,
				  run_size);
		if (err >= 0)
			env->count++;
	}
	return err;
}

static int finish_vcpu(struct machine *machine, struct vcpu *vcpu)
{
	int err = machine->config->pmu ? cpu_init_pmu(vcpu->fd) : 0;

	return err < 0 ? err : pvtime_init_vcpu(&machine->pvtime, vcpu->fd, vcpu->index);
}

/* Whether virtio devices are to be on PCI, if the host can. */
static bool wants_pci(const struct config *config)
{
	if (config->transport == TRANSPORT_AUTO)
		return config->disk_count > 0 &&
		       (config->irqchip == GIC_AUTO || config->irqchip == GIC_V3_ITS);
	return config->transport == TRANSPORT_PCI;
}

/* The kind that was asked for, or what comes with what was asked for. */
static enum gic_kind gic_kind_for(const struct machine *machine)
{
	const struct config *config = machine->config;

	if (config->irqchip != GIC_AUTO || !wants_pci(config))
		return config->irqchip;
	/* Where there is no ITS, virtio-mmio will do, unless PCI was named. */
	if (config->transport == TRANSPORT_AUTO &&
	    !kvm_has_device(machine->vm_fd, KVM_DEV_TYPE_ARM_VGIC_ITS))
		return GIC_AUTO;
	return GIC_V3_ITS;
}

static int cpus_up(struct machine *machine)
{
	const struct config *config = machine->config;
	const struct cpu_wishes wishes = {
		.pmu = config->pmu,
		.nested = config->nested,
		.e2h0 = config->e2h0,
		.sve_max_vl = config->sve_max_vl,
	};
	struct vcpu_env *env = &machine->env;
	int err = cpu_model_create(&machine->model, machine->vm_fd, &wishes);

	machine->gic.fd = -1;
	if (err >= 0)
		err = create_vcpus(machine);
	if (err >= 0)
		err = gic_create(&machine->gic, machine->vm_fd, gic_kind_for(machine), config->cpus,
				 config->nested);
	if (err >= 0 && config->pvtime)
		err = pvtime_create(&machine->pvtime, machine->vm_fd, env->vcpus[0].fd);
	for (unsigned int i = 0; i < env->count && err >= 0; i++)
		err = finish_vcpu(machine, &env->vcpus[i]);
	if (err < 0)
		cpus_down(machine);
	return err;
}

/* Devices, after the GIC: KVM takes no irqfd before that is initialized. */

/* device: fresh from its create(), or NULL if that failed. */
static int add_device(struct machine *machine, struct device *device)
{
	return device ? bus_add(&machine->bus, device) : -EIO;
}

/* The first transport of its kind brings the memory that the registers of all are read from. */
static int add_virtio_mmio(struct machine *machine, struct virtio *virtio)
{
	if (machine->virtio_count == 0) {
		int err =
			memslot_rom_create(&machine->virtio_mmio, machine->vm_fd,
					   MEMSLOT_VIRTIO_MMIO, VIRTIO_MMIO_BASE, VIRTIO_MMIO_SIZE);

		if (err < 0) {
			virtio->ops->destroy(virtio);
			return err;
		}
	}
	return add_device(machine, virtio_mmio_create(machine->virtio_count++, machine->vm_fd,
						      virtio, machine->virtio_mmio.host));
}

static int add_virtio(struct machine *machine, struct virtio *virtio)
{
	if (!virtio)
		return -EIO;
	if (machine->pci)
		return virtio_pci_add(machine->pci, &machine->routes, virtio);
	return add_virtio_mmio(machine, virtio);
}

static int add_pci(struct machine *machine)
{
	int err = memslot_rom_create(&machine->ecam, machine->vm_fd, MEMSLOT_ECAM, PCI_ECAM_BASE,
				     PCI_MEMORY_SIZE);

	if (err < 0)
		return err;
	irq_routes_create(&machine->routes, machine->vm_fd);
	machine->pci = pci_create(&machine->bus, machine->ecam.host);
	return machine->pci ? 0 : -EIO;
}

static void devices_down(struct machine *machine)
{
	bus_destroy(&machine->bus);
	if (machine->pci)
		irq_routes_destroy(&machine->routes);
	machine->pci = NULL;
}

static int add_consoles(struct machine *machine)
{
	const struct irq_line irq = irq_line_spi(machine->vm_fd, PL011_SPI);
	const bool serial = machine->config->console == CONSOLE_SERIAL;
	struct console *console = &machine->terminal->console;
	int err = add_device(
		machine, pl011_create(PL011_BASE, irq, PL011_SPI, machine->loop, console, serial));

	if (err < 0 || serial)
		return err;
	return add_virtio(machine, virtio_console_create(&machine->memory, machine->loop, console));
}

static int devices_up(struct machine *machine)
{
	const struct irq_line rtc_irq = irq_line_spi(machine->vm_fd, PL031_SPI);
	int err;

	bus_create(&machine->bus);
	err = machine->gic.kind == GIC_V3_ITS && wants_pci(machine->config) ? add_pci(machine) : 0;
	if (err == 0)
		err = add_consoles(machine);
	if (err == 0 && machine->config->defaults)
		err = add_device(machine,
				 pl031_create(PL031_BASE, rtc_irq, PL031_SPI, machine->loop));
	if (err == 0 && machine->config->rng)
		err = add_virtio(machine, virtio_rng_create(&machine->memory, machine->loop));
	if (err == 0 && machine->report)
		err = add_virtio(machine, virtio_report_create(&machine->memory, machine->loop,
							       machine->report));
	if (err < 0)
		devices_down(machine);
	return err;
}

static int disks_up(struct machine *machine)
{
	const struct config *config = machine->config;
	int err = 0;

	for (unsigned int i = 0; i < config->disk_count && err == 0; i++) {
		const struct virtio_block_options options = {
			.disk = &machine->resources->disks[i],
			.engine = disk_engine_choose(config->block_engine),
			.queues = virtio_block_queues(config->cpus),
		};
		struct virtio *virtio = virtio_block_create(&machine->memory, &options);

		err = virtio ? add_virtio(machine, virtio) : -errno;
	}
	if (err == 0)
		bus_freeze(&machine->bus);
	return err;
}

/* What the guest finds when it starts. */

static uint64_t kaslr_seed(const struct config *config)
{
	uint64_t seed = config->kaslr_seed;

	/* On failure the seed stays 0, and board_describe() says that there is no randomness. */
	if (!config->has_kaslr_seed && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = 0;
	return seed;
}

static int build_tree(struct machine *machine, struct devtree *tree)
{
	const struct config *config = machine->config;
	struct vcpu_env *env = &machine->env;
	struct board board = {
		.ram = { machine->memory.base, machine->memory.size },
		.initrd = { machine->boot.initrd_gpa, machine->boot.initrd_size },
		.params = config->params,
		.stdout_path = "/pl011@9000000",
		.other_console = config->console != CONSOLE_SERIAL,
		.kaslr_seed = kaslr_seed(config),
		.pmu = config->pmu,
		.nested = config->nested,
		.pci = machine->pci != NULL,
		.gic = &machine->gic,
	};
	uint64_t *mpidr = calloc(env->count, sizeof(*mpidr));
	int err = mpidr ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < env->count && err >= 0; i++)
		err = cpu_get_mpidr(env->vcpus[i].fd, &mpidr[i]);
	if (err < 0)
		log_error("vCPUs' MPIDR_EL1: %s", strerror(-err));
	board.mpidr = mpidr;
	if (err >= 0)
		err = board_describe(&board, tree);
	if (err >= 0) {
		bus_describe(&machine->bus, tree);
		err = devtree_finish(tree);
	}
	free(mpidr);
	return err;
}

static int tree_up(struct machine *machine)
{
	const struct file_place *dump = &machine->resources->tree;
	struct devtree tree;
	int size = devtree_create(&tree, BOOT_TREE_SIZE_MAX), err = size;

	if (err < 0)
		return err;
	size = err = build_tree(machine, &tree);
	if (err >= 0 && dump->path)
		err = file_write(dump, tree.blob, size);
	if (err >= 0) {
		err = memory_load(&machine->memory, machine->boot.tree_gpa, tree.blob, size);
		if (err < 0)
			log_error("loading the device tree: %s", strerror(-err));
	}
	devtree_destroy(&tree);
	return err;
}

static int entry_up(struct machine *machine)
{
	const struct image *image = &machine->boot.image;
	int vcpu_fd = machine->env.vcpus[0].fd;

	if (!cpu_has_granule(vcpu_fd, image->page_size)) {
		log_error("kernel %s: is built for pages of %" PRIu32
			  " KiB, which this host's CPU does not have",
			  machine->config->kernel, image->page_size >> 10);
		return -ENOTSUP;
	}
	log_info("kernel at 0x%" PRIx64 ", device tree at 0x%" PRIx64 ", initrd at 0x%" PRIx64
		 " (%" PRIu64 " bytes)",
		 machine->boot.kernel_gpa, machine->boot.tree_gpa, machine->boot.initrd_gpa,
		 machine->boot.initrd_size);
	return cpu_set_entry(vcpu_fd, machine->boot.kernel_gpa, machine->boot.tree_gpa);
}

static int clean_up(struct machine *machine)
{
	return poc_clean(&machine->memory, machine->config->cache_clean, &machine->cleaned);
}

/* The order of everything, and who is to blame when it fails, where it is not for want of means. */
static const struct step {
	int (*up)(struct machine *machine); /* cleans up after itself when it fails */
	void (*down)(struct machine *machine);
	enum status blamed;
} steps[] = {
	{ files_up, NULL, STATUS_USAGE },    { memory_up, memory_down, STATUS_USAGE },
	{ load_up, NULL, STATUS_USAGE },     { vm_up, vm_down, STATUS_HOST },
	{ cpus_up, cpus_down, STATUS_HOST }, { devices_up, devices_down, STATUS_HOST },
	{ disks_up, NULL, STATUS_USAGE },    { tree_up, NULL, STATUS_HOST },
	{ entry_up, NULL, STATUS_HOST },     { clean_up, NULL, STATUS_HOST },
};

enum status machine_create(struct machine *machine, struct resources *resources,
			   struct event_loop *loop, struct terminal *terminal, struct sink *report,
			   struct verdict *verdict)
{
	*machine = (struct machine){
		.config = resources->config,
		.resources = resources,
		.loop = loop,
		.terminal = terminal,
		.report = report,
		.verdict = verdict,
	};
	reach(machine, PHASE_BEGUN);
	while (machine->built < ARRAY_SIZE(steps)) {
		const struct step *step = &steps[machine->built];
		const int err = step->up(machine);

		if (err < 0) {
			machine_destroy(machine);
			return status_of_error(err, step->blamed);
		}
		machine->built++;
	}
	reach(machine, PHASE_CREATED);
	return STATUS_OK;
}

void machine_destroy(struct machine *machine)
{
	while (machine->built > 0) {
		const struct step *step = &steps[--machine->built];

		if (step->down)
			step->down(machine);
	}
}

void machine_run(struct machine *machine)
{
	struct vcpu_env *env = &machine->env;
	int err = 0;

	reach(machine, PHASE_FIRST_RUN);
	/* The first vCPU last: by then the others can be called by it. */
	for (unsigned int i = env->count; i-- > 0 && err >= 0;)
		err = vcpu_start(&env->vcpus[i]);
	worker_slice(WORKER_SLICE_NS);
	while (err >= 0 && verdict_outcome(machine->verdict) == OUTCOME_RUNNING)
		err = event_loop_turn(machine->loop, true);
	worker_slice(0);
	if (err < 0)
		verdict_reach(machine->verdict, OUTCOME_HOST_ERROR);

	terminal_release(machine->terminal, true);
	for (unsigned int i = 0; i < env->count; i++)
		vcpu_stop(&env->vcpus[i]);
	for (unsigned int i = 0; i < env->count; i++)
		vcpu_join(&env->vcpus[i]);
	terminal_release(machine->terminal, false);
	reach(machine, PHASE_SHUTDOWN);
}
