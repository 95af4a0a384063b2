// SPDX-License-Identifier: GPL-2.0-only
/*
 * SVE as KVM has it (Documentation/virt/kvm/api.rst, KVM_REG_ARM64_SVE_*): registers are as long as
 * the architecture allows, and of lengths there is a bit for each multiple of 128.
 */
#include <string.h>

#include "arm/sysreg.h"
#include "inspect/inspect.h"
#include "util.h"

#define SYS_ZCR_EL1 ARM64_SYS_REG(3, 0, 1, 2, 0)
#define SYS_ZCR_EL2 ARM64_SYS_REG(3, 4, 1, 2, 0)
#define ZCR_LEN	    BITS(3, 0)
#define QUADWORD    16 /* bytes */

/* The longest that is no longer than max quadwords; 0: there is none. */
static unsigned int longest(const struct inspect *inspect, unsigned int max)
{
	uint64_t lengths[KVM_ARM64_SVE_VLS_WORDS] = { 0 };

	if (!inspect->sve || kvm_get_reg(inspect->vcpu_fd, KVM_REG_ARM64_SVE_VLS, lengths) < 0)
		return 0;
	while (max > 0 && !(lengths[(max - 1) / 64] >> (max - 1) % 64 & 1))
		max--;
	return max;
}

unsigned int inspect_sve_length(const struct inspect *inspect)
{
	return longest(inspect, INSPECT_SVE_BYTES / QUADWORD) * QUADWORD;
}

static uint64_t sve_id(unsigned int n)
{
	if (n < INSPECT_P)
		return KVM_REG_ARM64_SVE_ZREG(n, 0);
	return n < INSPECT_FFR ? KVM_REG_ARM64_SVE_PREG(n - INSPECT_P, 0)
			       : KVM_REG_ARM64_SVE_FFR(0);
}

int inspect_sve(const struct inspect *inspect, unsigned int n, uint8_t value[INSPECT_SVE_BYTES])
{
	return kvm_get_reg(inspect->vcpu_fd, sve_id(n), value);
}

int inspect_set_sve(const struct inspect *inspect, unsigned int n,
		    const uint8_t value[INSPECT_SVE_BYTES])
{
	return kvm_set_reg(inspect->vcpu_fd, sve_id(n), value);
}

/* Lowers *max to what a ZCR allows. */
static int limit(const struct inspect *inspect, uint64_t id, unsigned int *max)
{
	uint64_t zcr;
	const int err = kvm_get_reg(inspect->vcpu_fd, id, &zcr);

	if (err >= 0 && *max > field_get(ZCR_LEN, zcr) + 1)
		*max = field_get(ZCR_LEN, zcr) + 1;
	return err;
}

int inspect_sve_length_now(const struct inspect *inspect, uint64_t *length)
{
	unsigned int max = INSPECT_SVE_BYTES / QUADWORD;
	struct inspect_where where;
	int err = 0;

	inspect_where(inspect, &where);
	if (inspect->el2)
		err = limit(inspect, SYS_ZCR_EL2, &max);
	/* EL0 of a hypervisor's host is EL2's with TGE. */
	if (err >= 0 && where.el < 2 && !(inspect->el2 && inspect->now.hcr & HCR_TGE))
		err = limit(inspect, SYS_ZCR_EL1, &max);
	*length = longest(inspect, max) * QUADWORD;
	return err;
}
