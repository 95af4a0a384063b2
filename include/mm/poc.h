/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cleaning guest memory to the Point of Coherency before the first vCPU runs.
 *
 * nidus writes images through a cacheable mapping; a vCPU starts with its MMU off, and on a CPU
 * without FEAT_S2FWB its accesses then bypass the caches. What lies dirty in a cache, a system
 * cache beyond the CPU's own included, the guest would not see.
 *
 * What KVM does by itself, as of Linux 7.2:
 *  - Without FWB it cleans and invalidates a page to the Point of Coherency whenever it maps the
 *    page into stage 2 (stage2_map_walker_try_leaf(), __clean_dcache_guest_page()), again when the
 *    guest turns its MMU on (kvm_toggle_cache()), and when a page is unmapped. KVM_ARM_VCPU_INIT of
 *    a vCPU that ran before unmaps all of stage 2, so that this happens anew.
 *  - With FWB it does none of this: stage 2 makes all accesses to RAM Normal Write-Back, whatever
 *    stage 1 says, MMU off included.
 *
 * What is left to user space: everything that nidus writes after a page is in stage 2, or that has
 * to be coherent for an observer that KVM does not know of: a guest hypervisor's own guests when
 * its host emulates stage 2 by other means, devices assigned to the guest, a host whose KVM leaves
 * it out. KVM also cleans a page at a time in the guest's time, at its stage-2 faults; nidus does
 * it once, outside, and says how much it was. The rule is simple: nothing that nidus wrote is
 * dirty in any cache when the first vCPU starts.
 *
 * DC CVAC needs the page mapped for reading; it changes nothing else (Arm ARM, B2.7 "Caches and
 * memory hierarchy").
 */
#ifndef NIDUS_POC_H
#define NIDUS_POC_H

#include <stdint.h>

#include "mm/memory.h"

enum poc_policy {
	POC_TOUCHED, /* what the load calls recorded */
	POC_ALL, /* the whole of RAM, populated for writing first */
	POC_NONE,
};

/* What was done, for statistics. */
struct poc_report {
	enum poc_policy policy;
	struct memory_range
		range[MEMORY_TOUCHED_MAX]; /* GPA, as asked for; cleaned by whole lines */
	unsigned int range_count;
	uint64_t line_size; /* bytes; 0 where nothing was cleaned */
	uint64_t lines;
	uint64_t nanoseconds;
};

/*
 * Seals memory against further loading and cleans it as policy says. Called between the last load
 * call and the first KVM_RUN. Errors: -errno, said (RAM that cannot be populated).
 */
int poc_clean(struct memory *memory, enum poc_policy policy, struct poc_report *report);

/* The policy's name on the command line. */
const char *poc_policy_name(enum poc_policy policy);

#endif
