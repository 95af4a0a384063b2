// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest with an EL2 begins with; and what the device tree tells of it. Parameters: "e2h0"
 * if its EL2 is to be one without VHE.
 */
#include "el2.h"
#include "tree.h"

#define ID_AA64MMFR1_VH(value)	 ((value) >> 8 & 0xf)
#define ID_AA64MMFR4_E2H0(value) ((value) >> 24 & 0xf)
#define ID_AA64PFR0_EL2(value)	 ((value) >> 8 & 0xf)
#define IRQ_TYPE_PPI		 1

static uint64_t hvc_esr;

static bool take_hvc(struct frame *frame)
{
	hvc_esr = read_sysreg(esr_el2);
	frame->x[0] = 0x1234;
	return ESR_EC(hvc_esr) == EC_HVC64;
}

/* Whether a register of EL1 is EL2's here, as with E2H. */
static bool is_redirected(uint64_t value)
{
	write_sysreg(far_el2, 0);
	write_sysreg(far_el1, value);
	return read_sysreg(far_el2) == value;
}

/*
 * E2H cannot be changed. It can be written all the same, for with FEAT_NV2 HCR_EL2 is a word of
 * memory that KVM reads when it has to: there is no exit that would take the write back.
 */
static void test_vhe(bool e2h0)
{
	const uint64_t hcr = read_sysreg(hcr_el2);

	report_equal(ID_AA64MMFR1_VH(read_sysreg(id_aa64mmfr1_el1)), !e2h0, "ID_AA64MMFR1_EL1.VH");
	report_equal(has_vhe(), !e2h0, "HCR_EL2.E2H");
	report_equal(is_redirected(0x1000), !e2h0, "registers are redirected with VHE only");
	write_sysreg(hcr_el2, hcr ^ HCR_E2H);
	psci(PSCI_VERSION, 0, 0, 0);
	report_equal(is_redirected(0x2000), !e2h0, "whatever is written to E2H");
	write_sysreg(hcr_el2, hcr);
	/* ID_AA64MMFR4_EL1.E2H0 is negative where E2H cannot be 0. */
	if (!e2h0)
		report(ID_AA64MMFR4_E2H0(read_sysreg(s3_0_c0_c7_4)) >= 8, "ID_AA64MMFR4_EL1.E2H0");
}

static void test_calls(void)
{
	const uint32_t version = psci(PSCI_VERSION, 0, 0, 0);

	report(version >= 0x10000 && version < 0x20000, "PSCI_VERSION by SMC is 1.x");
	sync_hook = take_hvc;
	report_equal(hvc(PSCI_VERSION, 0, 0, 0).x[0], 0x1234, "an HVC at EL2 is our own");
	report_equal(ESR_EC(hvc_esr), EC_HVC64, "ESR_EL2 says so");
	sync_hook = NULL;
}

/* Whether the cells of an interrupts property are PPIs of these numbers, and no more. */
static bool are_ppis(const uint32_t *cells, const unsigned int *ppi, unsigned int count)
{
	/* A property's length is two cells before its value. */
	if (!cells || tree_cell(cells - 2) != 12 * count)
		return false;
	for (unsigned int i = 0; i < count; i++)
		if (tree_cell(cells + 3 * i) != IRQ_TYPE_PPI ||
		    tree_cell(cells + 3 * i + 1) != ppi[i])
			return false;
	return true;
}

static void test_tree(void)
{
	static const unsigned int timers[] = { 13, 14, 11, 10, 12 }, maintenance[] = { 9 };
	const char *method = tree_find("psci", 0, "method");

	report(method && text_equal(method, "smc"), "the device tree's conduit for PSCI is smc");
	report(are_ppis(tree_find("timer", 0, "interrupts"), timers, 5), "five timer interrupts");
	report(are_ppis(tree_find("intc", 0, "interrupts"), maintenance, 1),
	       "the GIC's maintenance interrupt");
}

int main(void)
{
	report(at_el2(), "CurrentEL is EL2");
	report(ID_AA64PFR0_EL2(read_sysreg(id_aa64pfr0_el1)) == 1,
	       "ID_AA64PFR0_EL1.EL2: AArch64 only");
	test_vhe(text_equal(tree_params(), "e2h0"));
	test_calls();
	test_tree();
	done("el2");
}
