// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "emulate.h"
#include "host/log.h"
#include "suspend.h"
#include "util.h"
#include "vcpu/exit.h"
#include "vcpu/vcpu.h"

/* How often in a row an instruction is given back to the guest to be tried again. */
#define AGAIN_MAX 16

static bool end(struct vcpu *vcpu, enum outcome outcome)
{
	verdict_reach(vcpu->env->verdict, outcome);
	return false;
}

/* For messages: where the vCPU was, or 0. */
static uint64_t vcpu_pc(const struct vcpu *vcpu)
{
	uint64_t pc = 0;

	cpu_get_pc(vcpu->fd, &pc);
	return pc;
}

static bool exit_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct mmio_access mmio = { .write = run->mmio.is_write };

	/* KVM's word, but it sits in memory shared with it: never more than data has. */
	mmio.size =
		run->mmio.len <= sizeof(run->mmio.data) ? run->mmio.len : sizeof(run->mmio.data);
	if (mmio.write)
		memcpy(&mmio.value, run->mmio.data, mmio.size);
	counters_access(&vcpu->counters, run->mmio.phys_addr, mmio.write);
	bus_access(vcpu->env->bus, run->mmio.phys_addr, &mmio);
	if (!mmio.write)
		memcpy(run->mmio.data, &mmio.value, mmio.size);
	return true;
}

static bool exit_system_event(struct vcpu *vcpu)
{
	const uint32_t type = vcpu->run->system_event.type;

	switch (type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		return end(vcpu, OUTCOME_SHUTDOWN);
	case KVM_SYSTEM_EVENT_RESET:
		return end(vcpu, OUTCOME_RESET);
	case KVM_SYSTEM_EVENT_CRASH:
		log_error("the guest reported a crash");
		return end(vcpu, OUTCOME_CRASHED);
	case KVM_SYSTEM_EVENT_SUSPEND:
		return suspend_enter(vcpu) < 0 ? end(vcpu, OUTCOME_KVM_FAILED) : true;
	case KVM_SYSTEM_EVENT_WAKEUP:
		return suspend_leave(vcpu) < 0 ? end(vcpu, OUTCOME_KVM_FAILED) : true;
	default:
		log_error("vCPU %u: KVM reported system event %" PRIu32 ", unknown on arm64",
			  vcpu->index, type);
		return end(vcpu, OUTCOME_KVM_FAILED);
	}
}

/* The instruction that the vCPU stands at takes a synchronous external abort. */
static bool inject_abort(struct vcpu *vcpu)
{
	const struct kvm_vcpu_events abort = { .exception.ext_dabt_pending = 1 };
	int err = kvm_set_vcpu_events(vcpu->fd, &abort);

	if (err < 0) {
		log_error("vCPU %u: injecting an abort: %s", vcpu->index, strerror(-err));
		return end(vcpu, OUTCOME_KVM_FAILED);
	}
	return true;
}

/*
 * The host's hardware could not deliver guest memory. The guest gets the abort that the hardware
 * would have given it: it may lose a process by it and live on.
 */
static bool exit_arm_sea(struct vcpu *vcpu)
{
	static struct log_limit limit;
	const struct kvm_run *run = vcpu->run;

	if (!inject_abort(vcpu))
		return false;
	if (run->arm_sea.flags & KVM_EXIT_ARM_SEA_FLAG_GPA_VALID)
		log_guest(&limit, "vCPU %u: memory failure of the host at guest address 0x%llx",
			  vcpu->index, run->arm_sea.gpa);
	else
		log_guest(&limit, "vCPU %u: memory failure of the host at PC 0x%" PRIx64,
			  vcpu->index, vcpu_pc(vcpu));
	return true;
}

/* Whether it may be tried once more: the guest could keep its tables changing forever. */
static bool may_try_again(struct vcpu *vcpu)
{
	const uint64_t pc = vcpu_pc(vcpu);

	if (pc != vcpu->again_pc)
		vcpu->again_count = 0;
	vcpu->again_pc = pc;
	return vcpu->again_count++ < AGAIN_MAX;
}

static bool abort_access(struct vcpu *vcpu, enum insn_class class)
{
	static struct log_limit limit;
	const uint64_t gpa = vcpu->run->arm_nisv.fault_ipa, pc = vcpu_pc(vcpu);

	counters_aborted(&vcpu->counters, class);
	if (!inject_abort(vcpu))
		return false;
	log_guest(&limit,
		  "vCPU %u: external abort for the instruction at PC 0x%" PRIx64
		  " (%s), which accessed 0x%" PRIx64 " in a way that is not emulated",
		  vcpu->index, pc, insn_class_name(class), gpa);
	return true;
}

/* An access that the CPU does not describe to KVM, or that KVM leaves to user space undecoded. */
static bool exit_undescribed(struct vcpu *vcpu)
{
	enum insn_class class = INSN_NONE;
	enum emulate_result result = vcpu->env->emulation ? emulate(vcpu, &class) : EMULATE_ABORT;

	if (result == EMULATE_AGAIN && may_try_again(vcpu)) {
		counters_retried(&vcpu->counters);
		return true;
	}
	vcpu->again_count = 0;
	switch (result) {
	case EMULATE_DONE:
		counters_emulated(&vcpu->counters, class);
		return true;
	case EMULATE_ERROR:
		log_error("vCPU %u: KVM refuses registers of the instruction at PC 0x%" PRIx64,
			  vcpu->index, vcpu_pc(vcpu));
		return end(vcpu, OUTCOME_KVM_FAILED);
	default:
		return abort_access(vcpu, class);
	}
}

static bool exit_memory_fault(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	log_error("vCPU %u: KVM cannot map guest memory at 0x%llx, 0x%llx bytes (flags 0x%llx)",
		  vcpu->index, run->memory_fault.gpa, run->memory_fault.size,
		  run->memory_fault.flags);
	return end(vcpu, OUTCOME_KVM_FAILED);
}

static bool exit_internal_error(struct vcpu *vcpu)
{
	log_error("vCPU %u: KVM internal error %" PRIu32 " at PC 0x%" PRIx64, vcpu->index,
		  vcpu->run->internal.suberror, vcpu_pc(vcpu));
	return end(vcpu, OUTCOME_KVM_FAILED);
}

static bool exit_fail_entry(struct vcpu *vcpu)
{
	log_error("vCPU %u: KVM cannot enter the guest on host CPU %" PRIu32 " (reason 0x%llx)",
		  vcpu->index, vcpu->run->fail_entry.cpu,
		  vcpu->run->fail_entry.hardware_entry_failure_reason);
	return end(vcpu, OUTCOME_KVM_FAILED);
}

static bool exit_unknown(struct vcpu *vcpu)
{
	const uint32_t reason = vcpu->run->exit_reason;

	log_error("vCPU %u: KVM exit %" PRIu32 " (%s), which nidus did not ask for", vcpu->index,
		  reason, exit_name(reason) ? exit_name(reason) : "unknown");
	return end(vcpu, OUTCOME_KVM_FAILED);
}

static bool exit_error(struct vcpu *vcpu, int err)
{
	if (err == -EFAULT && vcpu->run->exit_reason == KVM_EXIT_MEMORY_FAULT) {
		counters_exit(&vcpu->counters, KVM_EXIT_MEMORY_FAULT);
		return exit_memory_fault(vcpu);
	}
	if (err == -ENOSYS) {
		/*
		 * An abort outside RAM whose syndrome does not describe the access (ESR_ELx.ISV),
		 * on a kernel that has no exit for it.
		 */
		log_error("vCPU %u: the instruction at PC 0x%" PRIx64 " accessed a device in a way "
			  "that the CPU does not describe to KVM",
			  vcpu->index, vcpu_pc(vcpu));
		return end(vcpu, OUTCOME_CRASHED);
	}
	log_error("vCPU %u: KVM_RUN: %s at PC 0x%" PRIx64, vcpu->index, strerror(-err),
		  vcpu_pc(vcpu));
	return end(vcpu, OUTCOME_KVM_FAILED);
}

bool exit_handle(struct vcpu *vcpu, int err)
{
	const uint32_t reason = vcpu->run->exit_reason;

	if (err < 0)
		return exit_error(vcpu, err);

	counters_exit(&vcpu->counters, reason);
	switch (reason) {
	case KVM_EXIT_MMIO:
		return exit_mmio(vcpu);
	case KVM_EXIT_SYSTEM_EVENT:
		return exit_system_event(vcpu);
	case KVM_EXIT_ARM_SEA:
		return exit_arm_sea(vcpu);
	case KVM_EXIT_ARM_NISV:
	case KVM_EXIT_ARM_LDST64B:
		return exit_undescribed(vcpu);
	case KVM_EXIT_DEBUG:
		return vcpu->env->debugged ? vcpu->env->debugged(vcpu) : exit_unknown(vcpu);
	case KVM_EXIT_MEMORY_FAULT:
		return exit_memory_fault(vcpu);
	case KVM_EXIT_INTERNAL_ERROR:
		return exit_internal_error(vcpu);
	case KVM_EXIT_FAIL_ENTRY:
		return exit_fail_entry(vcpu);
	default:
		return exit_unknown(vcpu);
	}
}

const char *exit_name(unsigned int reason)
{
	/* Those that an arm64 kernel can give; every other number has no name here. */
	static const char *const name[] = {
		[KVM_EXIT_UNKNOWN] = "unknown",
		[KVM_EXIT_HYPERCALL] = "hypercall",
		[KVM_EXIT_DEBUG] = "debug",
		[KVM_EXIT_MMIO] = "mmio",
		[KVM_EXIT_FAIL_ENTRY] = "fail_entry",
		[KVM_EXIT_INTR] = "intr",
		[KVM_EXIT_INTERNAL_ERROR] = "internal_error",
		[KVM_EXIT_SYSTEM_EVENT] = "system_event",
		[KVM_EXIT_ARM_NISV] = "arm_nisv",
		[KVM_EXIT_DIRTY_RING_FULL] = "dirty_ring_full",
		[KVM_EXIT_MEMORY_FAULT] = "memory_fault",
		[KVM_EXIT_ARM_SEA] = "arm_sea",
		[KVM_EXIT_ARM_LDST64B] = "arm_ldst64b",
	};

	return reason < ARRAY_SIZE(name) ? name[reason] : NULL;
}
