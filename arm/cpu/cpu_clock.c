// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A VM has its counters in one of two ways (vm.c). With an offset for the
 * whole VM, as guest hypervisors have it, both counters are the host's less that offset; it is set
 * once before registers are, for KVM then leaves alone what is written to the counters: written
 * while CNTVOFF_EL2 is not 0 they would move by that. Else the virtual counter has an offset of its
 * own and goes on from where it was, and the physical one is the host's; only where that would be
 * behind what the guest has seen it gets an offset, for that makes each use of it an exit on CPUs
 * without FEAT_ECV.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cpu/cpu_state.h"
#include "host/kvm.h"
#include "host/log.h"

#ifdef __aarch64__

static uint64_t host_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
	return ticks;
}

static uint32_t host_frequency(void)
{
	uint64_t frequency;

	__asm__("mrs %0, cntfrq_el0" : "=r"(frequency));
	return frequency;
}

#else /* for unit tests */

static uint64_t host_ticks(void)
{
	return 0;
}

static uint32_t host_frequency(void)
{
	return 1;
}

#endif

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

void cpu_clock_save(struct state_writer *writer, int vcpu_fd, bool has_offset)
{
	struct cpu_clock clock = {
		.realtime = realtime_ns(),
		.frequency = host_frequency(),
		.has_offset = has_offset,
	};
	int err = kvm_get_reg(vcpu_fd, KVM_REG_ARM_TIMER_CNT, &clock.virtual);

	if (err == 0)
		err = kvm_get_reg(vcpu_fd, KVM_REG_ARM_PTIMER_CNT, &clock.physical);
	if (err < 0) {
		log_error("the guest's counters: %s", strerror(-err));
		state_fail_write(writer, err);
	}
	state_put(writer, "clock", 0, &clock, sizeof(clock));
}

void cpu_clock_get(struct state_reader *reader, struct cpu_clock *clock)
{
	if (!state_get(reader, "clock", 0, clock, sizeof(*clock)) ||
	    clock->frequency == host_frequency())
		return;
	log_error("snapshot: its counters run at %u Hz, and those of this host at %u",
		  clock->frequency, host_frequency());
	state_fail_read(reader, -ENOTSUP);
}

void cpu_clock_catch_up(struct cpu_clock *clock)
{
	const uint64_t now = realtime_ns();
	const unsigned __int128 elapsed = now > clock->realtime ? now - clock->realtime : 0;
	const uint64_t ticks = elapsed * clock->frequency / 1000000000;

	clock->virtual += ticks;
	clock->physical += ticks;
}

static int restore_separate(const struct cpu_clock *clock, int vcpu_fd)
{
	uint64_t physical;
	int err = kvm_set_reg(vcpu_fd, KVM_REG_ARM_TIMER_CNT, &clock->virtual);

	if (err == 0)
		err = kvm_get_reg(vcpu_fd, KVM_REG_ARM_PTIMER_CNT, &physical);
	if (err == 0 && physical < clock->physical)
		err = kvm_set_reg(vcpu_fd, KVM_REG_ARM_PTIMER_CNT, &clock->physical);
	return err;
}

int cpu_clock_restore(const struct cpu_clock *clock, int vm_fd, int vcpu_fd, uint64_t *offset)
{
	int err;

	if (clock->has_offset) {
		*offset = host_ticks() - clock->physical;
		err = kvm_set_counter_offset(vm_fd, *offset);
	} else {
		err = restore_separate(clock, vcpu_fd);
	}
	if (err < 0)
		log_error("the guest's counters: %s", strerror(-err));
	return err;
}
