// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frame records as the procedure call standard has them (AAPCS64, "The Frame Pointer"): X29 points
 * at the caller's X29 and the return address. They are the guest's, hence the bound: a chain may
 * lead from one stack to another, and so up or down, or in a circle.
 */
#include "arm/sysreg.h"
#include "inspect/inspect.h"
#include "util.h"

#define FP 29

#define TCR_T0SZ BITS(5, 0)
#define TCR_T1SZ BITS(21, 16)

/* What is left of a return address that has been signed: sign-extended as addresses are. */
static uint64_t plain(const struct regime *regime, uint64_t address)
{
	const bool upper = bit(address, 55);
	const unsigned int txsz = field_get(upper ? TCR_T1SZ : TCR_T0SZ, regime->tcr);
	const uint64_t tag = txsz == 0 ? 0 : BITS(63, 64 - txsz);

	if (!(regime->sctlr & SCTLR_M))
		return address;
	return upper && regime->kind != REGIME_EL2 ? address | tag : address & ~tag;
}

unsigned int inspect_backtrace(struct inspect *inspect, uint64_t *pc, unsigned int max)
{
	uint64_t record[2], fp = 0;
	unsigned int count = 0;

	if (max == 0 || inspect_core(inspect, INSPECT_PC, &pc[count++]) < 0 ||
	    inspect_core(inspect, FP, &fp) < 0)
		return 0;
	while (count < max && fp != 0 && fp % sizeof(uint64_t) == 0 &&
	       inspect_read(inspect, INSPECT_NOW, fp, record, sizeof(record)) == sizeof(record) &&
	       le64toh(record[1]) != 0) {
		pc[count++] = plain(&inspect->regime, le64toh(record[1]));
		fp = le64toh(record[0]);
	}
	return count;
}
