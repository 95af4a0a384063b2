// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>

#include "cpu/tlbi.h"
#include "fake_kvm.h"
#include "kvm_series.h"
#include "unit.h"
#include "util.h"

#define BOTH (KVM_ARM_TRAP_TLBI_ALL | KVM_ARM_TRAP_TLBI_PRECISE)

static int trap(enum tlbi_policy policy, bool shareable_only)
{
	const struct tlbi_trap trap = { .policy = policy, .shareable_only = shareable_only };

	return tlbi_trap(3, &trap);
}

static void off_asks_for_nothing(void **state)
{
	assert_int_equal(trap(TLBI_OFF, false), 0);
	assert_string_equal(fake_kvm.journal, "");
	assert_silent();
}

static void what_is_wished_for_is_asked_for(void **state)
{
	static const struct {
		struct tlbi_trap trap;
		unsigned int argument;
	} cases[] = {
		{ { TLBI_ALL, false }, 1 },
		{ { TLBI_PRECISE, false }, 2 },
		{ { TLBI_ALL, true }, 5 },
		{ { TLBI_PRECISE, true }, 6 },
	};
	char call[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_kvm_reset();
		fake_kvm.trap_tlbi = BOTH | KVM_ARM_TRAP_TLBI_SHAREABLE_ONLY;
		assert_int_equal(tlbi_trap(3, &cases[i].trap), 0);
		snprintf(call, sizeof(call), "enable_with 0x4e440005 %u\n", cases[i].argument);
		assert_string_equal(fake_kvm.journal, call);
	}
	assert_silent();
}

static void a_host_that_cannot_is_told(void **state)
{
	assert_int_equal(trap(TLBI_ALL, false), -ENOTSUP);
	assert_said("--trap-tlbi: this host's KVM cannot");
	fake_kvm.trap_tlbi = -EINVAL;
	assert_int_equal(trap(TLBI_PRECISE, false), -ENOTSUP);
	assert_said("--trap-tlbi: this host's KVM cannot");
	fake_kvm.trap_tlbi = BOTH;
	assert_int_equal(trap(TLBI_PRECISE, true), -ENOTSUP);
	assert_said("--trap-tlbi: shareable needs FEAT_EVT");
	assert_string_equal(fake_kvm.journal, "");
}

static void a_failure_is_told(void **state)
{
	fake_kvm.trap_tlbi = BOTH;
	fake_kvm.fails = "enable_with";
	fake_kvm.error = -EBUSY;
	assert_int_equal(trap(TLBI_ALL, false), -EBUSY);
	assert_said("KVM_CAP_ARM_TRAP_TLBI: Device or resource busy");
}

static int begin(void **state)
{
	fake_kvm_reset();
	return catch_begin(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(off_asks_for_nothing, begin, catch_end),
		cmocka_unit_test_setup_teardown(what_is_wished_for_is_asked_for, begin, catch_end),
		cmocka_unit_test_setup_teardown(a_host_that_cannot_is_told, begin, catch_end),
		cmocka_unit_test_setup_teardown(a_failure_is_told, begin, catch_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
