// SPDX-License-Identifier: GPL-2.0-only
#include "vcpu/counters.h"

static void count(counter *value)
{
	counter_add(value, 1);
}

void counters_exit(struct counters *counters, unsigned int reason)
{
	count(&counters->exits[reason < COUNTERS_REASONS ? reason : 0]);
}

void counters_emulated(struct counters *counters, enum insn_class class)
{
	count(&counters->emulated[class]);
}

void counters_aborted(struct counters *counters, enum insn_class class)
{
	count(&counters->aborted[class]);
}

void counters_retried(struct counters *counters)
{
	count(&counters->retried);
}

/* The entry of gpa, a new one if need be. Address 0, where no device is, is one of the others. */
static struct counters_mmio *counters_find(struct counters *counters, uint64_t gpa)
{
	/* Fibonacci hashing: registers lie a few bytes apart, devices many. */
	unsigned int start = gpa * UINT64_C(0x9e3779b97f4a7c15) >> 57;

	for (unsigned int i = 0; i < COUNTERS_MMIO && gpa != 0; i++) {
		struct counters_mmio *entry = &counters->mmio[(start + i) % COUNTERS_MMIO];
		uint64_t address = counter_read(&entry->address);

		if (address == gpa)
			return entry;
		if (address == 0) {
			atomic_store_explicit(&entry->address, gpa, memory_order_relaxed);
			return entry;
		}
	}
	return &counters->mmio_others;
}

void counters_access(struct counters *counters, uint64_t gpa, bool write)
{
	struct counters_mmio *entry = counters_find(counters, gpa);

	count(write ? &entry->writes : &entry->reads);
}

uint64_t counters_total(const struct counters *counters)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < COUNTERS_REASONS; i++)
		total += counter_read(&counters->exits[i]);
	return total;
}
