/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers that one thread at a time counts up, without an atomic read-modify-write, and any thread
 * reads at any time: to the last complete count.
 */
#ifndef NIDUS_COUNTER_H
#define NIDUS_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t counter;

static inline uint64_t counter_read(const counter *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static inline void counter_add(counter *value, uint64_t more)
{
	atomic_store_explicit(value, counter_read(value) + more, memory_order_relaxed);
}

#endif
