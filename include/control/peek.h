/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A look at the virtual machine of another process, which is not told and loses no time: KVM's
 * statistics of its vCPUs, by way of the descriptors that it has of them (pidfd_getfd(2)). A nidus
 * has them open with --stats and --trap-tlbi.
 */
#ifndef NIDUS_PEEK_H
#define NIDUS_PEEK_H

#include <jansson.h>
#include <sys/types.h>

/*
 * The process that who means: its id, or the --name of a guest, of which the first ten
 * characters count. -errno, said, where there is none, or more than one by that name.
 */
pid_t peek_find(const char *who);

struct peek_vcpu {
	unsigned int index;
	json_t *stats; /* as kvm_stats_read() has them */
};

struct peek {
	struct peek_vcpu *vcpus; /* by ascending index */
	unsigned int count;
};

/*
 * Reads the statistics of all vCPUs; holds nothing of the machine when it returns. None, and no
 * error, where the process has no such descriptors or has ended. Errors: -errno, said; peek is
 * empty then.
 */
int peek_take(struct peek *peek, pid_t pid);
void peek_drop(struct peek *peek);

#endif
