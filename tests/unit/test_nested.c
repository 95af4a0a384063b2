// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "cpu/nested.h"
#include "fake_kvm.h"
#include "unit.h"
#include "util.h"

/* A host that has everything. */
static const struct nested_host able = {
	.release = "7.2.12+deb13-arm64",
	.parameters = "console=ttyAMA0 kvm-arm.mode=nested quiet\n",
	.gicv3 = true,
	.el2 = true,
	.e2h0 = true,
};

static void assert_lacks(const struct nested_host *host, bool e2h0, const char *what)
{
	const char *lack = nested_lacks(host, e2h0);

	if (!what) {
		assert_null(lack);
	} else {
		assert_non_null(lack);
		assert_non_null(strstr(lack, what));
	}
}

static void nothing_is_missing(void **state)
{
	assert_lacks(&able, false, NULL);
	assert_lacks(&able, true, NULL);
}

static void the_first_thing_missing_is_told(void **state)
{
	struct nested_host host = {
		.release = "6.15.9",
		.parameters = "console=ttyAMA0",
	};

	assert_lacks(&host, true, "6.16");
	host.release = "6.16.0";
	assert_lacks(&host, true, "GICv3");
	host.gicv3 = true;
	assert_lacks(&host, true, "kvm-arm.mode=nested");
	host.parameters = "kvm-arm.mode=nested";
	assert_lacks(&host, true, "FEAT_NV2");
	host.el2 = true;
	assert_lacks(&host, true, "--e2h0");
	assert_lacks(&host, false, NULL);
}

static void what_kvm_offers_is_not_doubted(void **state)
{
	struct nested_host host = able;

	/* A vendor's kernel with the feature brought back, its command line hidden. */
	host.release = "5.14.0-el9";
	host.parameters = "quiet";
	assert_lacks(&host, false, NULL);
	host.gicv3 = false;
	assert_lacks(&host, false, "GICv3");
}

static void releases_are_numbers(void **state)
{
	static const struct {
		const char *release;
		bool old;
	} cases[] = {
		{ "5.99.1", true },	 { "6.9.12", true },  { "6.15", true },
		{ "6.16.0-rc1", false }, { "6.100", false },  { "7.0.0", false },
		{ "10.1", false },	 { "custom", false }, { "", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct nested_host host = { .release = cases[i].release,
						  .parameters = "kvm-arm.mode=nested",
						  .gicv3 = true };

		assert_lacks(&host, false, cases[i].old ? "6.16" : "FEAT_NV2");
	}
}

static void the_last_mode_counts(void **state)
{
	static const struct {
		const char *parameters;
		bool nested;
	} cases[] = {
		{ "kvm-arm.mode=nested", true },
		{ "a b kvm-arm.mode=nested\n", true },
		{ "kvm-arm.mode=nested kvm-arm.mode=nvhe", false },
		{ "kvm-arm.mode=protected kvm-arm.mode=nested", true },
		{ "kvm-arm.mode=nestedly", false },
		{ "kvm-arm.mode=nest", false },
		{ "xkvm-arm.mode=nested", false },
		{ "kvm-arm.mode=", false },
		{ "   ", false },
		{ "\n", false },
		/* Not known: nothing can be said of it. */
		{ "", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct nested_host host = { .release = "7.2",
						  .parameters = cases[i].parameters,
						  .gicv3 = true };

		assert_lacks(&host, false,
			     cases[i].nested ? "FEAT_NV2" : "started with kvm-arm.mode=nested");
	}
}

static void kvm_is_asked(void **state)
{
	const struct nested_kernel kernel = { "7.3.4", "kvm-arm.mode=nested" };

	fake_kvm.capability[KVM_CAP_ARM_EL2] = true;
	assert_int_equal(nested_check(3, &kernel, false), 0);
	assert_silent();
	assert_int_equal(nested_check(3, &kernel, true), -ENOTSUP);
	assert_said("--nested: the host's CPU gives EL2 only with VHE: --e2h0 cannot be had");
	fake_kvm.capability[KVM_CAP_ARM_EL2_E2H0] = true;
	assert_int_equal(nested_check(3, &kernel, true), 0);
	fake_kvm.no_gicv3 = true;
	assert_int_equal(nested_check(3, &kernel, true), -ENOTSUP);
	assert_said("--nested: the host has no GICv3 for its guests");
}

static void kernels_that_let_guests_out_are_known(void **state)
{
	static const struct {
		const char *release, *mended;
	} cases[] = {
		{ "6.12.90", NULL },
		{ "6.15.9", NULL },
		{ "6.16", "6.18.51" },
		{ "6.17.3", "6.18.51" },
		{ "6.18.50", "6.18.51" },
		{ "6.18.51", NULL },
		{ "6.19.1", "7.2.5" },
		{ "7.0.14", "7.2.5" },
		{ "7.2.4-arm64", "7.2.5" },
		{ "7.2.5", NULL },
		{ "7.2.12+deb13-arm64", NULL },
		{ "7.3.4", NULL },
		{ "8.0.0", NULL },
		{ "mine", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const mended = nested_mended(cases[i].release);

		if (cases[i].mended)
			assert_string_equal(mended, cases[i].mended);
		else
			assert_null(mended);
	}
}

static int begin(void **state)
{
	fake_kvm_reset();
	return catch_begin(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_missing),
		cmocka_unit_test(the_first_thing_missing_is_told),
		cmocka_unit_test(what_kvm_offers_is_not_doubted),
		cmocka_unit_test(releases_are_numbers),
		cmocka_unit_test(the_last_mode_counts),
		cmocka_unit_test(kernels_that_let_guests_out_are_known),
		cmocka_unit_test_setup_teardown(kvm_is_asked, begin, catch_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
