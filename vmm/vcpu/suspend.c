// SPDX-License-Identifier: GPL-2.0-only
#include <linux/psci.h>
#include <string.h>

#include "cpu/cpu.h"
#include "host/log.h"
#include "suspend.h"
#include "vcpu/vcpu.h"

static int get_mp_state(struct vcpu *vcpu)
{
	return kvm_get_mp_state(vcpu->fd);
}

/*
 * Whether every other vCPU has called CPU_OFF or was never turned on. One that asks for the same at
 * this moment is on, and so is one whose thread is on its way out.
 */
static bool others_are_off(struct vcpu *vcpu)
{
	struct vcpu_env *env = vcpu->env;
	bool off = true;

	if (pthread_mutex_trylock(&env->suspending) != 0)
		return false;
	for (unsigned int i = 0; i < env->count && off; i++)
		if (i != vcpu->index)
			off = vcpu_call(&env->vcpus[i], get_mp_state) == KVM_MP_STATE_STOPPED;
	pthread_mutex_unlock(&env->suspending);
	return off;
}

static int refuse(struct vcpu *vcpu, int psci_error)
{
	return cpu_set_x(vcpu->fd, 0, (int64_t)psci_error);
}

static int sleep_until_interrupt(struct vcpu *vcpu, uint64_t entry, uint64_t context)
{
	int err = cpu_reset(vcpu->env->model, vcpu->fd);

	if (err >= 0)
		err = cpu_set_entry(vcpu->fd, entry, context);
	if (err >= 0)
		err = kvm_set_mp_state(vcpu->fd, KVM_MP_STATE_SUSPENDED);
	return err;
}

int suspend_enter(struct vcpu *vcpu)
{
	uint64_t entry = 0, context = 0;
	int err = cpu_get_x(vcpu->fd, 1, &entry);

	if (err >= 0)
		err = cpu_get_x(vcpu->fd, 2, &context);
	if (err >= 0) {
		if (entry % 4 != 0)
			err = refuse(vcpu, PSCI_RET_INVALID_ADDRESS);
		else if (!others_are_off(vcpu))
			err = refuse(vcpu, PSCI_RET_DENIED);
		else
			err = sleep_until_interrupt(vcpu, entry, context);
	}
	if (err < 0)
		log_error("vCPU %u: suspending: %s", vcpu->index, strerror(-err));
	return err;
}

int suspend_leave(struct vcpu *vcpu)
{
	int err = kvm_set_mp_state(vcpu->fd, KVM_MP_STATE_RUNNABLE);

	if (err < 0)
		log_error("vCPU %u: waking up: %s", vcpu->index, strerror(-err));
	return err;
}
