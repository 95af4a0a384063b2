// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs and interrupt controller, in the order that KVM wants: VM capabilities (vm_create()), vCPU
 * initialization with SVE's finalization, GIC and its initialization, PMU, stolen time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/pvtime.h"
#include "host/log.h"
#include "steps.h"
#include "translate/lookup.h"
#include "vcpu/exit.h"

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
		.exited = exit_handle,
		.kind = config_has_served(config) || config->network_count > 0 ||
					config_has_flash(config) || config->vfio_count > 0
				? SANDBOX_SERVED
				: SANDBOX_VCPU,
		.thread_name = config->name ? config->name : "vcpu",
		.emulation = config->emulation,
		.lookup_by_kvm = config->emulation && lookup_enable(machine->vm_fd),
		/* Those of trapped TLBIs are for others as well (peek.h). */
		.statistics = config->stats_file || config->control || config->name ||
			      config->trap_tlbi.policy != TLBI_OFF,
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

/* Whether a device is asked for that is to be on PCI, if it can be had: one that works hard. */
static bool would_use_pci(const struct config *config)
{
	bool use = config->disk_count > 0 || config_has_served(config);

	for (unsigned int i = 0; i < config->network_count; i++)
		use |= config->networks[i].transport != TRANSPORT_MMIO;
	return use;
}

static bool must_have_pci(const struct config *config)
{
	bool must = config->transport == TRANSPORT_PCI || config->iommu || config->vfio_count > 0;

	for (unsigned int i = 0; i < config->network_count; i++)
		must |= config->networks[i].transport == TRANSPORT_PCI;
	return must;
}

bool cpus_want_pci(const struct config *config)
{
	if (config->transport == TRANSPORT_AUTO && would_use_pci(config) &&
	    (config->irqchip == GIC_AUTO || config->irqchip == GIC_V3_ITS))
		return true;
	return must_have_pci(config);
}

/* The kind that was asked for, or what comes with what was asked for. */
static enum gic_kind gic_kind_for(const struct machine *machine)
{
	const struct config *config = machine->config;

	if (config->irqchip != GIC_AUTO || !cpus_want_pci(config))
		return config->irqchip;
	/* Where there is no ITS, virtio-mmio will do, unless PCI was named. */
	if (!must_have_pci(config) && !kvm_has_device(machine->vm_fd, KVM_DEV_TYPE_ARM_VGIC_ITS))
		return GIC_AUTO;
	return GIC_V3_ITS;
}

static int create_gic(struct machine *machine)
{
	const struct config *config = machine->config;

	return gic_create(&machine->gic, machine->vm_fd, gic_kind_for(machine), config->cpus,
			  config->nested);
}

/* What each vCPU gets when the GIC is initialized. */
static int finish_vcpus(struct machine *machine)
{
	const struct vcpu_env *env = &machine->env;
	bool pvtime = false;
	int err = 0;

	if (machine->config->pvtime)
		err = pvtime_create(&machine->held, machine->vm_fd, env->vcpus[0].fd, &pvtime);
	for (unsigned int i = 0; i < env->count && err >= 0; i++) {
		if (machine->config->pmu)
			err = cpu_init_pmu(env->vcpus[i].fd);
		if (err >= 0 && pvtime)
			err = pvtime_init_vcpu(env->vcpus[i].fd, i);
	}
	return err;
}

int cpus_create(struct machine *machine)
{
	const struct config *config = machine->config;
	const struct cpu_wishes wishes = {
		.pmu = config->pmu,
		.nested = config->nested,
		.e2h0 = config->e2h0,
		.no_lpa2 = config->firmware != NULL,
		.sve_max_vl = config->sve_max_vl,
		.kernel = &machine->resources->host_kernel,
	};
	int err = cpu_model_create(&machine->model, machine->vm_fd, &wishes);

	if (err < 0)
		return err;
	machine->gic.fd = -1;
	err = create_vcpus(machine);
	if (err >= 0)
		err = create_gic(machine);
	if (err >= 0)
		err = finish_vcpus(machine);
	if (err < 0)
		cpus_destroy(machine);
	return err;
}

uint64_t *cpus_mpidrs(const struct machine *machine)
{
	const struct vcpu_env *env = &machine->env;
	uint64_t *mpidr = calloc(env->count, sizeof(*mpidr));
	int err = mpidr ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < env->count && err >= 0; i++)
		err = cpu_get_mpidr(env->vcpus[i].fd, &mpidr[i]);
	if (err >= 0)
		return mpidr;
	log_error("vCPUs' MPIDR_EL1: %s", strerror(-err));
	free(mpidr);
	return NULL;
}

void cpus_destroy(struct machine *machine)
{
	struct vcpu_env *env = &machine->env;

	gic_destroy(&machine->gic);
	cpu_saved_release(&machine->saved);
	while (env->count > 0)
		vcpu_destroy(&env->vcpus[--env->count]);
	free(env->vcpus);
	env->vcpus = NULL;
}
