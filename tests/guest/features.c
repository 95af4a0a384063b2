// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the CPU is: prints the fields that nidus's options decide about.
 */
#include "guest.h"

#define PV_TIME_FEATURES 0xc5000020
#define PV_TIME_ST	 0xc5000021

static void field(const char *name, uint64_t value)
{
	put(name);
	put("=");
	put_hex(value);
	put("\n");
}

/* The longest vector in bits, by asking for more than there is. */
static uint64_t sve_bits(void)
{
	uint64_t bytes;

	write_sysreg(cpacr_el1, 3u << 20 | 3u << 16); /* FPEN, ZEN: no traps */
	write_sysreg(s3_0_c1_c2_0, 0xf); /* ZCR_EL1 */
	__asm__ volatile(".arch_extension sve\n\trdvl %0, #1" : "=r"(bytes));
	return 8 * bytes;
}

int main(void)
{
	const bool sve = read_sysreg(id_aa64pfr0_el1) >> 32 & 0xf;
	const uint64_t isar1 = read_sysreg(id_aa64isar1_el1);
	const uint64_t isar2 = read_sysreg(s3_0_c0_c6_2); /* ID_AA64ISAR2_EL1 */

	field("sve", sve);
	if (sve)
		field("sve_bits", sve_bits());
	/* APA, API, APA3: which of them depends on the algorithm */
	field("ptrauth", ((isar1 >> 4 & 0xff) | (isar2 >> 12 & 0xf)) != 0);
	field("mte", read_sysreg(id_aa64pfr1_el1) >> 8 & 0xf);
	field("pmuver", read_sysreg(id_aa64dfr0_el1) >> 8 & 0xf);
	field("pv_time_features", (uint32_t)hvc(PV_TIME_FEATURES, PV_TIME_ST, 0, 0).x[0]);
	field("pv_time_st", hvc(PV_TIME_ST, 0, 0, 0).x[0]);
	report(true, "all fields could be read");
	done("features");
}
