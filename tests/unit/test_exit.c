// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "fake_kvm.h"
#include "unit.h"
#include "util.h"
#include "vcpu/exit.h"
#include "vcpu/vcpu.h"
#include "vmm/vcpu/emulate.h"
#include "vmm/vcpu/suspend.h"

static struct event_loop loop;
static struct verdict verdict;
static struct bus bus;
static struct kvm_run run;
static struct vcpu_env env;
static struct vcpu vcpu;
static int suspend_result;
static unsigned int suspended, woken;

/* In place of vmm/vcpu/suspend.c. */

int suspend_enter(struct vcpu *which)
{
	assert_ptr_equal(which, &vcpu);
	suspended++;
	return suspend_result;
}

int suspend_leave(struct vcpu *which)
{
	assert_ptr_equal(which, &vcpu);
	woken++;
	return suspend_result;
}

/* In place of vmm/vcpu/emulate.c. */

static enum emulate_result emulated;
static unsigned int emulations;

enum emulate_result emulate(struct vcpu *which, enum insn_class *class)
{
	assert_ptr_equal(which, &vcpu);
	emulations++;
	*class = INSN_PAIR;
	return emulated;
}

/* A device of one page at 0x9000000. */

static struct mmio_access last;

static enum mmio_result device_access(struct device *device, struct mmio_access *mmio)
{
	last = *mmio;
	if (!mmio->write)
		mmio->value = 0x8877665544332211;
	return mmio->offset == 0x100 ? MMIO_BAD : MMIO_DONE;
}

static void device_destroy(struct device *device)
{
}

static const struct device_ops device_ops = {
	.name = "device",
	.access = device_access,
	.destroy = device_destroy,
};

static struct device device = { .ops = &device_ops, .base = 0x9000000, .size = 0x1000 };

static int begin(void **state)
{
	fake_kvm_reset();
	fake_kvm.pc = 0xabc0;
	suspend_result = suspended = woken = 0;
	emulated = EMULATE_DONE;
	emulations = 0;
	memset(&run, 0, sizeof(run));
	memset(&vcpu, 0, sizeof(vcpu));
	last = (struct mmio_access){ 0 };
	if (event_loop_create(&loop) < 0 || verdict_create(&verdict, &loop) < 0)
		return -1;
	bus_create(&bus);
	bus_add(&bus, &device);
	bus_freeze(&bus);
	env = (struct vcpu_env){
		.bus = &bus, .verdict = &verdict, .vcpus = &vcpu, .count = 1, .emulation = true
	};
	vcpu.env = &env;
	vcpu.fd = 4;
	vcpu.run = &run;
	return catch_begin(state);
}

static int finish(void **state)
{
	bus_destroy(&bus);
	verdict_destroy(&verdict);
	event_loop_destroy(&loop);
	return catch_end(state);
}

/* The vCPU must not run again, and this is why. */
static void assert_ends(int err, enum outcome outcome)
{
	assert_false(exit_handle(&vcpu, err));
	assert_int_equal(verdict_outcome(&verdict), outcome);
}

static void assert_goes_on(void)
{
	assert_true(exit_handle(&vcpu, 0));
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_RUNNING);
}

/* Devices. */

static void mmio_exit(uint64_t gpa, unsigned int length, bool write)
{
	run.exit_reason = KVM_EXIT_MMIO;
	run.mmio.phys_addr = gpa;
	run.mmio.len = length;
	run.mmio.is_write = write;
}

static void reads_are_answered(void **state)
{
	static const unsigned int lengths[] = { 1, 2, 4, 8 };
	static const uint8_t value[] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		uint8_t expected[8];

		memset(expected, 0xee, sizeof(expected));
		memcpy(expected, value, lengths[i]);
		mmio_exit(0x9000010, lengths[i], false);
		memset(run.mmio.data, 0xee, sizeof(run.mmio.data));
		assert_goes_on();
		assert_int_equal(last.offset, 0x10);
		assert_int_equal(last.size, lengths[i]);
		assert_false(last.write);
		assert_memory_equal(run.mmio.data, expected, sizeof(expected));
	}
	assert_silent();
}

static void writes_are_zero_extended(void **state)
{
	static const struct {
		unsigned int length;
		uint64_t value;
	} cases[] = {
		{ 1, 0x88 },
		{ 2, 0x9988 },
		{ 4, 0xbbaa9988 },
		{ 8, 0xffeeddccbbaa9988 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		mmio_exit(0x9000020, cases[i].length, true);
		memcpy(run.mmio.data, "\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 8);
		assert_goes_on();
		assert_int_equal(last.offset, 0x20);
		assert_int_equal(last.size, cases[i].length);
		assert_true(last.write);
		assert_true(last.value == cases[i].value);
	}
}

static void writes_leave_the_data_alone(void **state)
{
	mmio_exit(0x9000020, 4, true);
	memcpy(run.mmio.data, "abcdefgh", 8);
	assert_goes_on();
	assert_memory_equal(run.mmio.data, "abcdefgh", 8);
}

static void unanswered_reads_are_all_ones(void **state)
{
	static const uint64_t addresses[] = { 0x8000000, 0x9000100, 0x9000ffe, UINT64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		mmio_exit(addresses[i], 4, false);
		memset(run.mmio.data, 0, sizeof(run.mmio.data));
		assert_goes_on();
		assert_memory_equal(run.mmio.data, "\xff\xff\xff\xff\0\0\0\0", 8);
	}
}

static void hostile_lengths_are_bounded(void **state)
{
	static const uint32_t lengths[] = { 0, 3, 9, 255, 256, 264, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (unsigned int write = 0; write < 2; write++) {
			mmio_exit(0x9000000, lengths[i], write);
			assert_goes_on();
			assert_true(last.size <= 8);
			assert_int_equal(run.mmio.len, lengths[i]);
		}
	}
}

static void accesses_are_counted(void **state)
{
	mmio_exit(0x9000010, 4, false);
	assert_goes_on();
	mmio_exit(0x9000010, 4, true);
	assert_goes_on();
	assert_goes_on();
	assert_int_equal(counter_read(&vcpu.counters.exits[KVM_EXIT_MMIO]), 3);
	for (unsigned int i = 0; i < COUNTERS_MMIO; i++) {
		const struct counters_mmio *entry = &vcpu.counters.mmio[i];

		if (counter_read(&entry->address) == 0)
			continue;
		assert_int_equal(counter_read(&entry->address), 0x9000010);
		assert_int_equal(counter_read(&entry->reads), 1);
		assert_int_equal(counter_read(&entry->writes), 2);
	}
}

/* System events. */

static void system_event(uint32_t type)
{
	run.exit_reason = KVM_EXIT_SYSTEM_EVENT;
	run.system_event.type = type;
}

static void shutdown_ends_the_run(void **state)
{
	system_event(KVM_SYSTEM_EVENT_SHUTDOWN);
	assert_ends(0, OUTCOME_SHUTDOWN);
	assert_silent();
}

static void reset_ends_the_run(void **state)
{
	system_event(KVM_SYSTEM_EVENT_RESET);
	assert_ends(0, OUTCOME_RESET);
	assert_silent();
}

static void crash_is_said(void **state)
{
	system_event(KVM_SYSTEM_EVENT_CRASH);
	assert_ends(0, OUTCOME_CRASHED);
	assert_said("the guest reported a crash");
}

static void suspend_and_wakeup_go_on(void **state)
{
	system_event(KVM_SYSTEM_EVENT_SUSPEND);
	assert_goes_on();
	assert_int_equal(suspended, 1);
	system_event(KVM_SYSTEM_EVENT_WAKEUP);
	assert_goes_on();
	assert_int_equal(woken, 1);
}

static void failed_suspend_ends_the_run(void **state)
{
	suspend_result = -EINVAL;
	system_event(KVM_SYSTEM_EVENT_SUSPEND);
	assert_ends(0, OUTCOME_KVM_FAILED);
}

static void failed_wakeup_ends_the_run(void **state)
{
	suspend_result = -EINVAL;
	system_event(KVM_SYSTEM_EVENT_WAKEUP);
	assert_ends(0, OUTCOME_KVM_FAILED);
}

static void unknown_system_events_are_said(void **state)
{
	static const uint32_t types[] = { 0, KVM_SYSTEM_EVENT_SEV_TERM, 7, 255, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		atomic_store(&verdict.outcome, OUTCOME_RUNNING);
		system_event(types[i]);
		assert_ends(0, OUTCOME_KVM_FAILED);
		assert_said("unknown on arm64");
	}
}

static void first_verdict_stays(void **state)
{
	verdict_kill(&verdict, 15);
	system_event(KVM_SYSTEM_EVENT_RESET);
	assert_ends(0, OUTCOME_KILLED);
}

/* Memory failures of the host. */

static void memory_failure_becomes_an_abort(void **state)
{
	run.exit_reason = KVM_EXIT_ARM_SEA;
	run.arm_sea.flags = KVM_EXIT_ARM_SEA_FLAG_GPA_VALID;
	run.arm_sea.gpa = 0x41234000;
	assert_goes_on();
	assert_said("memory failure of the host at guest address 0x41234000");
	assert_string_equal(fake_kvm.journal, "set_vcpu_events\n");
	assert_int_equal(fake_kvm.events.exception.ext_dabt_pending, 1);
	assert_int_equal(fake_kvm.events.exception.serror_pending, 0);
}

static void memory_failure_without_address_names_the_pc(void **state)
{
	run.exit_reason = KVM_EXIT_ARM_SEA;
	run.arm_sea.gpa = 0x41234000;
	assert_goes_on();
	assert_said("memory failure of the host at PC 0xabc0");
}

static void failed_abort_ends_the_run(void **state)
{
	run.exit_reason = KVM_EXIT_ARM_SEA;
	fake_kvm.fails = "set_vcpu_events";
	fake_kvm.error = -EINVAL;
	assert_ends(0, OUTCOME_KVM_FAILED);
	assert_said("injecting an abort: Invalid argument");
}

static void memory_fault_is_said(void **state)
{
	run.exit_reason = KVM_EXIT_MEMORY_FAULT;
	run.memory_fault.gpa = 0x45000000;
	run.memory_fault.size = 0x1000;
	/* KVM reports it by an error of KVM_RUN. */
	assert_ends(-EFAULT, OUTCOME_KVM_FAILED);
	assert_said("KVM cannot map guest memory at 0x45000000, 0x1000 bytes");
	assert_int_equal(counter_read(&vcpu.counters.exits[KVM_EXIT_MEMORY_FAULT]), 1);
}

static void memory_fault_without_error_is_said(void **state)
{
	run.exit_reason = KVM_EXIT_MEMORY_FAULT;
	assert_ends(0, OUTCOME_KVM_FAILED);
	assert_said("KVM cannot map guest memory");
	assert_int_equal(counters_total(&vcpu.counters), 1);
}

/* What the CPU does not describe. */

static void undescribed_access_is_emulated(void **state)
{
	static const uint32_t reasons[] = { KVM_EXIT_ARM_NISV, KVM_EXIT_ARM_LDST64B };

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		run.exit_reason = reasons[i];
		assert_goes_on();
		assert_int_equal(emulations, i + 1);
		assert_int_equal(counter_read(&vcpu.counters.exits[reasons[i]]), 1);
		assert_int_equal(counter_read(&vcpu.counters.emulated[INSN_PAIR]), i + 1);
	}
	assert_string_equal(fake_kvm.journal, "");
	assert_silent();
}

static void assert_aborts(enum insn_class class, const char *message)
{
	fake_kvm.journal[0] = '\0';
	assert_goes_on();
	assert_int_equal(fake_kvm.events.exception.ext_dabt_pending, 1);
	assert_string_equal(fake_kvm.journal, "set_vcpu_events\n");
	assert_int_equal(counter_read(&vcpu.counters.aborted[class]), 1);
	assert_said(message);
}

static void what_is_not_emulated_aborts(void **state)
{
	run.exit_reason = KVM_EXIT_ARM_NISV;
	run.arm_nisv.fault_ipa = 0x9000020;
	emulated = EMULATE_ABORT;
	assert_aborts(INSN_PAIR, "external abort for the instruction at PC 0xabc0 (pair), which "
				 "accessed 0x9000020");
	assert_int_equal(counter_read(&vcpu.counters.emulated[INSN_PAIR]), 0);
}

static void without_emulation_all_abort(void **state)
{
	run.exit_reason = KVM_EXIT_ARM_NISV;
	env.emulation = false;
	assert_aborts(INSN_NONE, "external abort for the instruction at PC 0xabc0");
	assert_int_equal(emulations, 0);
}

static void again_is_bounded(void **state)
{
	run.exit_reason = KVM_EXIT_ARM_NISV;
	emulated = EMULATE_AGAIN;
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < 16; i++)
			assert_goes_on();
		/* Elsewhere, and behind what could be done, it begins anew. */
		if (round == 0)
			fake_kvm.pc += 4;
	}
	assert_silent();
	assert_string_equal(fake_kvm.journal, "");
	assert_int_equal(counter_read(&vcpu.counters.retried), 32);
	emulated = EMULATE_DONE;
	assert_goes_on();
	emulated = EMULATE_AGAIN;
	for (unsigned int i = 0; i < 16; i++)
		assert_goes_on();
	assert_aborts(INSN_PAIR, "external abort for the instruction at PC 0xabc4");
	assert_int_equal(counter_read(&vcpu.counters.retried), 48);
}

static void registers_that_kvm_refuses_end_the_run(void **state)
{
	run.exit_reason = KVM_EXIT_ARM_NISV;
	emulated = EMULATE_ERROR;
	assert_ends(0, OUTCOME_KVM_FAILED);
	assert_said("KVM refuses registers of the instruction at PC 0xabc0");
}

/* What KVM cannot carry on from. */

static void undescribed_access_is_the_guests_fault(void **state)
{
	run.exit_reason = KVM_EXIT_UNKNOWN;
	assert_ends(-ENOSYS, OUTCOME_CRASHED);
	assert_said("the instruction at PC 0xabc0 accessed a device");
}

static void errors_of_run_are_said(void **state)
{
	static const struct {
		int err;
		const char *message;
	} cases[] = {
		{ -EFAULT, "KVM_RUN: Bad address at PC 0xabc0" },
		{ -ENOEXEC, "KVM_RUN: Exec format error at PC 0xabc0" },
		{ -EPERM, "KVM_RUN: Operation not permitted at PC 0xabc0" },
		{ -ENOMEM, "KVM_RUN: Cannot allocate memory at PC 0xabc0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		/* Whatever the last exit left there: it is not the reason of an error. */
		run.exit_reason = KVM_EXIT_MMIO;
		atomic_store(&verdict.outcome, OUTCOME_RUNNING);
		assert_ends(cases[i].err, OUTCOME_KVM_FAILED);
		assert_said(cases[i].message);
	}
	assert_int_equal(last.size, 0);
}

static void other_errors_are_no_memory_fault(void **state)
{
	run.exit_reason = KVM_EXIT_MEMORY_FAULT;
	assert_ends(-EPERM, OUTCOME_KVM_FAILED);
	assert_said("KVM_RUN: Operation not permitted");
}

static void internal_error_is_said(void **state)
{
	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run.internal.suberror = 3;
	assert_ends(0, OUTCOME_KVM_FAILED);
	assert_said("KVM internal error 3 at PC 0xabc0");
}

static void failed_entry_is_said(void **state)
{
	run.exit_reason = KVM_EXIT_FAIL_ENTRY;
	run.fail_entry.hardware_entry_failure_reason = KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED;
	run.fail_entry.cpu = 7;
	assert_ends(0, OUTCOME_KVM_FAILED);
	assert_said("KVM cannot enter the guest on host CPU 7 (reason 0x1)");
}

static void an_unreadable_pc_is_no_matter(void **state)
{
	fake_kvm.fails = "get_reg";
	fake_kvm.error = -EIO;
	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	assert_ends(0, OUTCOME_KVM_FAILED);
	assert_said("at PC 0x0");
}

static void every_other_reason_ends_the_run(void **state)
{
	for (uint32_t reason = 0; reason < 300; reason++) {
		switch (reason) {
		case KVM_EXIT_MMIO:
		case KVM_EXIT_SYSTEM_EVENT:
		case KVM_EXIT_ARM_SEA:
		case KVM_EXIT_ARM_NISV:
		case KVM_EXIT_ARM_LDST64B:
		case KVM_EXIT_MEMORY_FAULT:
		case KVM_EXIT_INTERNAL_ERROR:
		case KVM_EXIT_FAIL_ENTRY:
			continue;
		}
		run.exit_reason = reason;
		atomic_store(&verdict.outcome, OUTCOME_RUNNING);
		assert_ends(0, OUTCOME_KVM_FAILED);
		assert_said("which nidus did not ask for");
	}
	run.exit_reason = UINT32_MAX;
	assert_ends(0, OUTCOME_KVM_FAILED);
	assert_said("KVM exit 4294967295 (unknown)");
}

static struct vcpu *debugged;

static bool note_debugged(struct vcpu *which)
{
	debugged = which;
	return true;
}

static void what_is_debugged_is_the_debuggers(void **state)
{
	run.exit_reason = KVM_EXIT_DEBUG;
	env.debugged = note_debugged;
	assert_true(exit_handle(&vcpu, 0));
	assert_ptr_equal(debugged, &vcpu);
	env.debugged = NULL;
	assert_silent();
}

static void reasons_have_names(void **state)
{
	assert_string_equal(exit_name(KVM_EXIT_MMIO), "mmio");
	assert_string_equal(exit_name(KVM_EXIT_INTR), "intr");
	assert_string_equal(exit_name(KVM_EXIT_SYSTEM_EVENT), "system_event");
	assert_string_equal(exit_name(KVM_EXIT_ARM_SEA), "arm_sea");
	assert_null(exit_name(KVM_EXIT_S390_UCONTROL));
	assert_null(exit_name(1000));
	assert_null(exit_name(UINT32_MAX));
}

#define on_vcpu(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_vcpu(reads_are_answered),
		on_vcpu(writes_are_zero_extended),
		on_vcpu(writes_leave_the_data_alone),
		on_vcpu(unanswered_reads_are_all_ones),
		on_vcpu(hostile_lengths_are_bounded),
		on_vcpu(accesses_are_counted),
		on_vcpu(shutdown_ends_the_run),
		on_vcpu(reset_ends_the_run),
		on_vcpu(crash_is_said),
		on_vcpu(suspend_and_wakeup_go_on),
		on_vcpu(failed_suspend_ends_the_run),
		on_vcpu(failed_wakeup_ends_the_run),
		on_vcpu(unknown_system_events_are_said),
		on_vcpu(first_verdict_stays),
		on_vcpu(memory_failure_becomes_an_abort),
		on_vcpu(memory_failure_without_address_names_the_pc),
		on_vcpu(failed_abort_ends_the_run),
		on_vcpu(memory_fault_is_said),
		on_vcpu(memory_fault_without_error_is_said),
		on_vcpu(undescribed_access_is_emulated),
		on_vcpu(what_is_not_emulated_aborts),
		on_vcpu(without_emulation_all_abort),
		on_vcpu(again_is_bounded),
		on_vcpu(registers_that_kvm_refuses_end_the_run),
		on_vcpu(undescribed_access_is_the_guests_fault),
		on_vcpu(errors_of_run_are_said),
		on_vcpu(other_errors_are_no_memory_fault),
		on_vcpu(internal_error_is_said),
		on_vcpu(failed_entry_is_said),
		on_vcpu(an_unreadable_pc_is_no_matter),
		on_vcpu(every_other_reason_ends_the_run),
		on_vcpu(what_is_debugged_is_the_debuggers),
		cmocka_unit_test(reasons_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
