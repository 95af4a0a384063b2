// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/psci.h>
#include <string.h>

#include "fake_kvm.h"
#include "unit.h"
#include "util.h"
#include "vcpu/vcpu.h"
#include "vmm/vcpu/suspend.h"

#define CPUS 4

static struct cpu_model model;
static struct vcpu_env env;
static struct vcpu vcpus[CPUS];
static int states[CPUS];
static unsigned int asked;

/* In place of vmm/vcpu/vcpu.c: every vCPU answers with its own power state. */
int vcpu_call(struct vcpu *vcpu, int (*job)(struct vcpu *vcpu))
{
	int before = fake_kvm.mp_state, result;

	assert_ptr_not_equal(vcpu, &vcpus[1]); /* the one that asks */
	asked++;
	if (states[vcpu->index] < 0)
		return states[vcpu->index];
	fake_kvm.mp_state = states[vcpu->index];
	result = job(vcpu);
	fake_kvm.mp_state = before;
	return result;
}

static int begin(void **state)
{
	const struct cpu_wishes wishes = { 0 };

	fake_kvm_reset();
	asked = 0;
	model = (struct cpu_model){ 0 };
	env = (struct vcpu_env){
		.model = &model,
		.vcpus = vcpus,
		.count = CPUS,
		.suspending = PTHREAD_MUTEX_INITIALIZER,
	};
	memset(vcpus, 0, sizeof(vcpus));
	for (unsigned int i = 0; i < CPUS; i++) {
		vcpus[i].env = &env;
		vcpus[i].index = i;
		vcpus[i].fd = 10 + i;
		states[i] = KVM_MP_STATE_STOPPED;
	}
	/* What a guest leaves there: SYSTEM_SUSPEND, an entry point and a context. */
	fake_kvm.x[0] = 0xc400000e;
	fake_kvm.x[1] = 0x40200000;
	fake_kvm.x[2] = 0x1234;
	fake_kvm.pc = 0x40100000;
	return cpu_model_create(&model, 3, &wishes) < 0 ? -1 : catch_begin(state);
}

static void assert_asleep(void)
{
	assert_int_equal(fake_kvm.mp_state, KVM_MP_STATE_SUSPENDED);
	assert_int_equal(fake_kvm.pc, 0x40200000);
	assert_int_equal(fake_kvm.x[0], 0x1234);
}

static void assert_refused(int psci_error)
{
	assert_int_equal((int64_t)fake_kvm.x[0], psci_error);
	assert_int_equal(fake_kvm.pc, 0x40100000);
	assert_int_not_equal(fake_kvm.mp_state, KVM_MP_STATE_SUSPENDED);
	assert_null(strstr(fake_kvm.journal, "vcpu_init"));
	assert_silent();
}

static void last_cpu_goes_to_sleep(void **state)
{
	assert_int_equal(suspend_enter(&vcpus[1]), 0);
	assert_asleep();
	assert_int_equal(asked, CPUS - 1);
	assert_int_equal(fake_kvm.init.features[0] >> KVM_ARM_VCPU_POWER_OFF & 1, 0);
	assert_silent();
}

static void timers_outlive_the_sleep(void **state)
{
	fake_kvm.timer_cval = 1000;
	fake_kvm.timer_ctl = 1;
	fake_kvm.ptimer_cval = 2000;
	fake_kvm.ptimer_ctl = 3;
	assert_int_equal(suspend_enter(&vcpus[1]), 0);
	assert_asleep();
	assert_int_equal(fake_kvm.timer_cval, 1000);
	assert_int_equal(fake_kvm.timer_ctl, 1);
	assert_int_equal(fake_kvm.ptimer_cval, 2000);
	assert_int_equal(fake_kvm.ptimer_ctl, 3);
}

static void lone_cpu_goes_to_sleep(void **state)
{
	vcpus[1].index = 0;
	env.vcpus = &vcpus[1];
	env.count = 1;
	assert_int_equal(suspend_enter(&vcpus[1]), 0);
	assert_asleep();
	assert_int_equal(asked, 0);
}

static void cpu_with_sve_goes_to_sleep(void **state)
{
	const struct cpu_wishes wishes = { .sve_max_vl = 128 };

	/* SVE stays as it was finalized when the vCPU was made, and KVM takes no second time. */
	fake_kvm.capability[KVM_CAP_ARM_SVE] = true;
	fake_kvm.sve_lengths[0] = 0x3;
	assert_int_equal(cpu_model_create(&model, 3, &wishes), 0);
	assert_int_equal(cpu_init(&model, vcpus[1].fd, false), 0);
	assert_int_equal(suspend_enter(&vcpus[1]), 0);
	assert_asleep();
	assert_silent();
}

static void other_cpus_that_are_on_forbid_it(void **state)
{
	static const int on[] = {
		KVM_MP_STATE_RUNNABLE,
		KVM_MP_STATE_SUSPENDED,
		-ESRCH,
		-EINVAL,
	};

	for (size_t i = 0; i < ARRAY_SIZE(on); i++) {
		for (unsigned int other = 0; other < CPUS; other++) {
			if (other == 1)
				continue;
			states[other] = on[i];
			assert_int_equal(suspend_enter(&vcpus[1]), 0);
			assert_refused(PSCI_RET_DENIED);
			states[other] = KVM_MP_STATE_STOPPED;
		}
	}
}

static void two_at_a_time_are_refused(void **state)
{
	pthread_mutex_lock(&env.suspending);
	assert_int_equal(suspend_enter(&vcpus[1]), 0);
	assert_refused(PSCI_RET_DENIED);
	assert_int_equal(asked, 0);
	pthread_mutex_unlock(&env.suspending);
}

static void refusal_lets_go_of_the_lock(void **state)
{
	states[3] = KVM_MP_STATE_RUNNABLE;
	assert_int_equal(suspend_enter(&vcpus[1]), 0);
	assert_int_equal(pthread_mutex_trylock(&env.suspending), 0);
	pthread_mutex_unlock(&env.suspending);
}

static void sleep_lets_go_of_the_lock(void **state)
{
	assert_int_equal(suspend_enter(&vcpus[1]), 0);
	assert_int_equal(pthread_mutex_trylock(&env.suspending), 0);
	pthread_mutex_unlock(&env.suspending);
}

static void misaligned_entry_is_refused(void **state)
{
	for (unsigned int i = 1; i < 4; i++) {
		fake_kvm.x[1] = 0x40200000 + i;
		assert_int_equal(suspend_enter(&vcpus[1]), 0);
		assert_refused(PSCI_RET_INVALID_ADDRESS);
	}
}

static void failures_are_said(void **state)
{
	static const char *const calls[] = { "get_reg", "vcpu_init", "set_reg", "set_mp_state" };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		fake_kvm.fails = calls[i];
		fake_kvm.error = -EIO;
		assert_int_equal(suspend_enter(&vcpus[1]), -EIO);
		assert_non_null(strstr(said(), "vCPU 1: suspending: Input/output error"));
	}
}

static void waking_up_makes_it_runnable(void **state)
{
	fake_kvm.mp_state = KVM_MP_STATE_SUSPENDED;
	assert_int_equal(suspend_leave(&vcpus[1]), 0);
	assert_int_equal(fake_kvm.mp_state, KVM_MP_STATE_RUNNABLE);
	assert_silent();
}

static void failure_to_wake_up_is_said(void **state)
{
	fake_kvm.fails = "set_mp_state";
	fake_kvm.error = -EINVAL;
	assert_int_equal(suspend_leave(&vcpus[1]), -EINVAL);
	assert_said("vCPU 1: waking up: Invalid argument");
}

#define on_vcpus(test) cmocka_unit_test_setup_teardown(test, begin, catch_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_vcpus(last_cpu_goes_to_sleep),	    on_vcpus(lone_cpu_goes_to_sleep),
		on_vcpus(timers_outlive_the_sleep),	    on_vcpus(cpu_with_sve_goes_to_sleep),
		on_vcpus(other_cpus_that_are_on_forbid_it), on_vcpus(two_at_a_time_are_refused),
		on_vcpus(refusal_lets_go_of_the_lock),	    on_vcpus(sleep_lets_go_of_the_lock),
		on_vcpus(misaligned_entry_is_refused),	    on_vcpus(failures_are_said),
		on_vcpus(waking_up_makes_it_runnable),	    on_vcpus(failure_to_wake_up_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
