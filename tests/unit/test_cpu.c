// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/nested.h"
#include "fake_kvm.h"
#include "unit.h"
#include "util.h"

static struct cpu_model model;

static int begin(void **state)
{
	fake_kvm_reset();
	return catch_begin(state);
}

static int create(struct cpu_wishes wishes)
{
	static const struct nested_kernel kernel = { "7.3.4", "" };

	wishes.kernel = &kernel;
	return cpu_model_create(&model, 3, &wishes);
}

static uint32_t bit(unsigned int feature)
{
	return 1u << feature;
}

/* The model. */

static void features_follow_capabilities(void **state)
{
	const uint32_t psci = bit(KVM_ARM_VCPU_PSCI_0_2), sve = bit(KVM_ARM_VCPU_SVE);
	const uint32_t keys = bit(KVM_ARM_VCPU_PTRAUTH_ADDRESS) | bit(KVM_ARM_VCPU_PTRAUTH_GENERIC);
	const struct {
		unsigned int capability[3];
		uint32_t features;
	} cases[] = {
		{ { 0 }, psci },
		{ { KVM_CAP_ARM_SVE }, psci | sve },
		{ { KVM_CAP_ARM_PTRAUTH_ADDRESS }, psci },
		{ { KVM_CAP_ARM_PTRAUTH_GENERIC }, psci },
		{ { KVM_CAP_ARM_PTRAUTH_ADDRESS, KVM_CAP_ARM_PTRAUTH_GENERIC }, psci | keys },
		{ { KVM_CAP_ARM_SVE, KVM_CAP_ARM_PTRAUTH_ADDRESS, KVM_CAP_ARM_PTRAUTH_GENERIC },
		  psci | sve | keys },
		{ { KVM_CAP_ARM_PMU_V3 }, psci }, /* only when wished for */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_kvm_reset();
		for (size_t j = 0; j < ARRAY_SIZE(cases[i].capability); j++)
			fake_kvm.capability[cases[i].capability[j]] = true;
		assert_int_equal(create((struct cpu_wishes){ 0 }), 0);
		assert_int_equal(model.init.features[0], cases[i].features);
		assert_int_equal(model.init.target, KVM_ARM_TARGET_GENERIC_V8);
		assert_true(cpu_model_has(&model, KVM_ARM_VCPU_PSCI_0_2));
		assert_int_equal(cpu_model_has(&model, KVM_ARM_VCPU_SVE),
				 !!(cases[i].features & sve));
	}
	assert_silent();
}

static void pmu_is_given_when_wished_for(void **state)
{
	fake_kvm.capability[KVM_CAP_ARM_PMU_V3] = true;
	assert_int_equal(create((struct cpu_wishes){ .pmu = true }), 0);
	assert_true(cpu_model_has(&model, KVM_ARM_VCPU_PMU_V3));
}

static void an_el2_is_given_when_wished_for(void **state)
{
	const uint32_t both = bit(KVM_ARM_VCPU_HAS_EL2) | bit(KVM_ARM_VCPU_HAS_EL2_E2H0);

	fake_kvm.capability[KVM_CAP_ARM_EL2] = true;
	fake_kvm.capability[KVM_CAP_ARM_EL2_E2H0] = true;
	assert_int_equal(create((struct cpu_wishes){ 0 }), 0);
	assert_int_equal(model.init.features[0] & both, 0);
	assert_int_equal(create((struct cpu_wishes){ .nested = true }), 0);
	assert_int_equal(model.init.features[0] & both, bit(KVM_ARM_VCPU_HAS_EL2));
	assert_int_equal(create((struct cpu_wishes){ .nested = true, .e2h0 = true }), 0);
	assert_int_equal(model.init.features[0] & both, both);
}

static void wishes_that_cannot_be_granted(void **state)
{
	assert_int_equal(create((struct cpu_wishes){ .pmu = true }), -ENOTSUP);
	assert_said("--pmu: this host has no PMU");
	assert_int_equal(create((struct cpu_wishes){ .sve_max_vl = 256 }), -ENOTSUP);
	assert_said("--sve-max-vl: this host has no SVE");
}

static void no_target_is_an_error(void **state)
{
	fake_kvm.fails = "preferred_target";
	fake_kvm.error = -ENODEV;
	assert_int_equal(create((struct cpu_wishes){ 0 }), -ENODEV);
	assert_said("KVM_ARM_PREFERRED_TARGET");
}

/* A vCPU. */

static void first_vcpu_is_on_and_others_off(void **state)
{
	const uint32_t off = bit(KVM_ARM_VCPU_POWER_OFF);

	assert_int_equal(create((struct cpu_wishes){ 0 }), 0);
	assert_int_equal(cpu_init(&model, 4, false), 0);
	assert_int_equal(fake_kvm.init.features[0], model.init.features[0]);
	assert_int_equal(cpu_init(&model, 5, true), 0);
	assert_int_equal(fake_kvm.init.features[0], model.init.features[0] | off);
	assert_false(cpu_model_has(&model, KVM_ARM_VCPU_POWER_OFF));
}

static void sve_is_finalized_after_init(void **state)
{
	fake_kvm.capability[KVM_CAP_ARM_SVE] = true;
	assert_int_equal(create((struct cpu_wishes){ 0 }), 0);
	assert_int_equal(cpu_init(&model, 4, false), 0);
	assert_string_equal(fake_kvm.journal, "preferred_target\n"
					      "vcpu_init\n"
					      "vcpu_finalize 4\n");
}

static void sve_lengths_are_limited(void **state)
{
	/* Bit n stands for a vector of 128 * (n + 1) bits; this host has 128, 256, 512 and 2048. */
	static const struct {
		unsigned int max_vl;
		uint64_t lengths;
	} cases[] = {
		{ 128, 0x1 }, { 256, 0x3 },  { 384, 0x3 },     { 512, 0xb },
		{ 640, 0xb }, { 1920, 0xb }, { 2048, 0x800b },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_kvm_reset();
		fake_kvm.capability[KVM_CAP_ARM_SVE] = true;
		fake_kvm.sve_lengths[0] = 0x800b;
		assert_int_equal(create((struct cpu_wishes){ .sve_max_vl = cases[i].max_vl }), 0);
		assert_int_equal(cpu_init(&model, 4, false), 0);
		assert_int_equal(fake_kvm.sve_lengths[0], cases[i].lengths);
		assert_true(fake_kvm.sve_finalized);
	}
}

static void sve_lengths_of_all_words_are_limited(void **state)
{
	fake_kvm.capability[KVM_CAP_ARM_SVE] = true;
	memset(fake_kvm.sve_lengths, 0xff, sizeof(fake_kvm.sve_lengths));
	assert_int_equal(create((struct cpu_wishes){ .sve_max_vl = 2048 }), 0);
	assert_int_equal(cpu_init(&model, 4, false), 0);
	assert_int_equal(fake_kvm.sve_lengths[0], 0xffff);
	for (unsigned int i = 1; i < KVM_ARM64_SVE_VLS_WORDS; i++)
		assert_int_equal(fake_kvm.sve_lengths[i], 0);
}

static void sve_without_a_length_that_short(void **state)
{
	fake_kvm.capability[KVM_CAP_ARM_SVE] = true;
	fake_kvm.sve_lengths[0] = 0x2;
	assert_int_equal(create((struct cpu_wishes){ .sve_max_vl = 128 }), 0);
	assert_int_equal(cpu_init(&model, 4, false), -ENOTSUP);
	assert_said("--sve-max-vl 128: this host has no vector length");
	assert_false(fake_kvm.sve_finalized);
}

static void init_errors_are_said(void **state)
{
	static const char *const calls[] = { "vcpu_init", "vcpu_finalize" };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		fake_kvm_reset();
		fake_kvm.capability[KVM_CAP_ARM_SVE] = true;
		assert_int_equal(create((struct cpu_wishes){ 0 }), 0);
		fake_kvm.fails = calls[i];
		fake_kvm.error = -EINVAL;
		assert_int_equal(cpu_init(&model, 4, false), -EINVAL);
		assert_said("initializing a vCPU: Invalid argument");
	}
}

static void pmu_gets_its_interrupt_before_init(void **state)
{
	char expected[128];

	snprintf(expected, sizeof(expected), "set_attr %d %d 23\nset_attr %d %d\n",
		 KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, KVM_ARM_VCPU_PMU_V3_CTRL,
		 KVM_ARM_VCPU_PMU_V3_INIT);
	assert_int_equal(cpu_init_pmu(4), 0);
	assert_string_equal(fake_kvm.journal, expected);
}

static void pmu_errors_are_said(void **state)
{
	fake_kvm.fails = "set_attr";
	fake_kvm.error = -ENODEV;
	assert_int_equal(cpu_init_pmu(4), -ENODEV);
	assert_said("PMU of a vCPU");
}

/* Registers. */

static void entry_sets_pc_and_x0(void **state)
{
	memset(fake_kvm.x, 0x55, sizeof(fake_kvm.x));
	assert_int_equal(cpu_set_entry(4, 0x40080000, 0x48000000), 0);
	assert_int_equal(fake_kvm.pc, 0x40080000);
	assert_int_equal(fake_kvm.x[0], 0x48000000);
	assert_int_equal(fake_kvm.x[1], 0x5555555555555555);
}

static void entry_errors_are_said(void **state)
{
	fake_kvm.fails = "set_reg";
	fake_kvm.error = -EINVAL;
	assert_int_equal(cpu_set_entry(4, 0, 0), -EINVAL);
	assert_said("setting a vCPU's registers");
}

static void general_registers_are_told_apart(void **state)
{
	for (unsigned int n = 0; n < 31; n++)
		assert_int_equal(cpu_set_x(4, n, 100 + n), 0);
	for (unsigned int n = 0; n < 31; n++) {
		uint64_t value = 0;

		assert_int_equal(fake_kvm.x[n], 100 + n);
		assert_int_equal(cpu_get_x(4, n, &value), 0);
		assert_int_equal(value, 100 + n);
	}
}

static void pc_and_mpidr_are_read(void **state)
{
	uint64_t pc, mpidr;

	fake_kvm.pc = 0x1234;
	fake_kvm.mpidr = 0x80000101;
	assert_int_equal(cpu_get_pc(4, &pc), 0);
	assert_int_equal(cpu_get_mpidr(4, &mpidr), 0);
	assert_int_equal(pc, 0x1234);
	assert_int_equal(mpidr, 0x80000101);
}

static void granules_are_read_from_the_id_register(void **state)
{
	/* Fields TGran4 [31:28] and TGran64 [27:24]: 15 is none; TGran16 [23:20]: 0 is none. */
	static const struct {
		uint64_t mmfr0;
		bool has4, has16, has64;
	} cases[] = {
		{ 0x00000000, true, false, true },   { 0x00100000, true, true, true },
		{ 0xf0100000, false, true, true },   { 0x0f200000, true, true, false },
		{ 0xff000000, false, false, false }, { 0x10100000, true, true, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_kvm.mmfr0 = cases[i].mmfr0;
		assert_int_equal(cpu_has_granule(4, KIB(4)), cases[i].has4);
		assert_int_equal(cpu_has_granule(4, KIB(16)), cases[i].has16);
		assert_int_equal(cpu_has_granule(4, KIB(64)), cases[i].has64);
		assert_true(cpu_has_granule(4, 0));
	}
	fake_kvm.fails = "get_reg";
	fake_kvm.error = -ENOENT;
	assert_true(cpu_has_granule(4, KIB(16)));
}

#define on_kvm(test) cmocka_unit_test_setup_teardown(test, begin, catch_end)

static void lpa2_is_hidden_if_asked_for(void **state)
{
	const struct cpu_wishes none = { 0 }, wish = { .no_lpa2 = true };
	static const struct {
		uint64_t has, left;
	} cases[] = {
		{ 0x0000032310201126, 0x0000032300101125 }, /* LPA2: 4 and 16 KiB, 52 bits */
		{ 0x0000000000101125, 0x0000000000101125 },
		{ 0x00000000f0000022, 0x00000000f0000022 }, /* no 4 KiB */
	};
	struct cpu_model model;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_kvm.mmfr0 = cases[i].has;
		assert_int_equal(cpu_model_create(&model, 3, &none), 0);
		assert_int_equal(cpu_init(&model, 4, false), 0);
		assert_true(fake_kvm.mmfr0 == cases[i].has);
		assert_int_equal(cpu_model_create(&model, 3, &wish), 0);
		assert_int_equal(cpu_init(&model, 4, false), 0);
		assert_true(fake_kvm.mmfr0 == cases[i].left);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_kvm(features_follow_capabilities),
		on_kvm(pmu_is_given_when_wished_for),
		on_kvm(an_el2_is_given_when_wished_for),
		on_kvm(wishes_that_cannot_be_granted),
		on_kvm(no_target_is_an_error),
		on_kvm(first_vcpu_is_on_and_others_off),
		on_kvm(sve_is_finalized_after_init),
		on_kvm(sve_lengths_are_limited),
		on_kvm(sve_lengths_of_all_words_are_limited),
		on_kvm(sve_without_a_length_that_short),
		on_kvm(init_errors_are_said),
		on_kvm(pmu_gets_its_interrupt_before_init),
		on_kvm(pmu_errors_are_said),
		on_kvm(entry_sets_pc_and_x0),
		on_kvm(entry_errors_are_said),
		on_kvm(general_registers_are_told_apart),
		on_kvm(pc_and_mpidr_are_read),
		on_kvm(granules_are_read_from_the_id_register),
		on_kvm(lpa2_is_hidden_if_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
