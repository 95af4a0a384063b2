// SPDX-License-Identifier: GPL-2.0-only
#include "cpu/tlbi.h"

#include <errno.h>
#include <string.h>

#include "host/kvm.h"
#include "host/log.h"
#include "kvm_series.h"

int tlbi_trap(int vm_fd, const struct tlbi_trap *trap)
{
	unsigned int wanted =
		trap->policy == TLBI_ALL ? KVM_ARM_TRAP_TLBI_ALL : KVM_ARM_TRAP_TLBI_PRECISE;
	int supported, err;

	if (trap->policy == TLBI_OFF)
		return 0;
	if (trap->shareable_only)
		wanted |= KVM_ARM_TRAP_TLBI_SHAREABLE_ONLY;

	supported = kvm_check(vm_fd, KVM_CAP_ARM_TRAP_TLBI);
	if (supported <= 0) {
		log_error("--trap-tlbi: this host's KVM cannot: it needs VHE and the kernel "
			  "patches that come with nidus");
		return -ENOTSUP;
	}
	if (wanted & ~(unsigned int)supported) {
		log_error("--trap-tlbi: shareable needs FEAT_EVT, which this host's CPU lacks");
		return -ENOTSUP;
	}
	err = kvm_enable_with(vm_fd, KVM_CAP_ARM_TRAP_TLBI, wanted);
	if (err < 0)
		log_error("--trap-tlbi: KVM_CAP_ARM_TRAP_TLBI: %s", strerror(-err));
	return err;
}
