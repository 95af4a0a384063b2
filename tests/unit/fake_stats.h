/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In place of vmm/host/kvm.c and of files of which statistics take a name only: a host whose
 * statistics are a file that a test has made. Included once, by the test itself.
 */
#ifndef FAKE_STATS_H
#define FAKE_STATS_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/gic.h"
#include "host/kvm.h"
#include "mm/poc.h"
#include "vcpu/exit.h"

/* What a VM's and a vCPU's descriptor of statistics can be read for. */
static int fake_stats_fd = -1;

int kvm_stats_fd(int fd)
{
	int copy = fake_stats_fd >= 0 ? dup(fake_stats_fd) : -1;

	return copy >= 0 ? copy : -ENOTTY;
}

const char *exit_name(unsigned int reason)
{
	return reason == KVM_EXIT_MMIO ? "mmio" : NULL;
}

const char *gic_kind_name(enum gic_kind kind)
{
	return "gicv3";
}

const char *poc_policy_name(enum poc_policy policy)
{
	return "touched";
}

static inline int fake_stats_file(const void *data, size_t size)
{
	int fd = memfd_create("stats", MFD_CLOEXEC);

	return fd >= 0 && write(fd, data, size) == (ssize_t)size ? fd : -1;
}

#endif
