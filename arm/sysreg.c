// SPDX-License-Identifier: GPL-2.0-only
#include "arm/sysreg.h"

#define TGRAN_NONE 0xf
#define PARANGE_48 5

/* The fields for stage 2 may refer to those for stage 1. */
bool sysreg_has_granule(uint64_t mmfr0, unsigned int stage, unsigned int granule, bool lpa2)
{
	const uint64_t mask = granule == 12   ? MMFR0_TGRAN4
			      : granule == 14 ? MMFR0_TGRAN16
					      : MMFR0_TGRAN64;
	const uint64_t mask2 = granule == 12   ? MMFR0_TGRAN4_2
			       : granule == 14 ? MMFR0_TGRAN16_2
					       : MMFR0_TGRAN64_2;
	const unsigned int field = field_get(mask, mmfr0), field2 = field_get(mask2, mmfr0);

	if (stage == 2 && field2 != 0)
		return field2 >= (lpa2 ? 3 : 2);
	if (granule == 14)
		return field >= (lpa2 ? 2 : 1);
	return field != TGRAN_NONE && field >= lpa2;
}

uint64_t sysreg_without_lpa2(uint64_t mmfr0)
{
	if (field_get(MMFR0_PARANGE, mmfr0) > PARANGE_48)
		mmfr0 = field_set(MMFR0_PARANGE, mmfr0, PARANGE_48);
	if (sysreg_has_granule(mmfr0, 1, 12, true))
		mmfr0 = field_set(MMFR0_TGRAN4, mmfr0, 0);
	if (sysreg_has_granule(mmfr0, 1, 14, true))
		mmfr0 = field_set(MMFR0_TGRAN16, mmfr0, 1);
	return mmfr0;
}
