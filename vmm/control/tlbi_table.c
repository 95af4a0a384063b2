// SPDX-License-Identifier: GPL-2.0-only
#include "control/tlbi_table.h"

#include <inttypes.h>

#include "kvm_series.h"
#include "util.h"

#define LOCAL KVM_ARM_TLBI_KINDS /* the column that is some of those before it */

static const char *const title[] = {
	[KVM_ARM_TLBI_ALL] = "all",
	[KVM_ARM_TLBI_ASID] = "asid",
	[KVM_ARM_TLBI_VA] = "va",
	[KVM_ARM_TLBI_VA_ALL_ASID] = "va*",
	[KVM_ARM_TLBI_RANGE] = "range",
	[KVM_ARM_TLBI_RANGE_ALL_ASID] = "range*",
	[LOCAL] = "local",
};

#define COLUMNS ARRAY_SIZE(title)

struct row {
	uint64_t count[COLUMNS];
};

/* KVM's statistic of the patches in kernel/; NULL if KVM does not have it. */
static const json_t *counts(const struct peek_vcpu *vcpu)
{
	return json_object_get(vcpu->stats, "tlbi");
}

static struct row row_of(const struct peek_vcpu *vcpu)
{
	const json_t *array = vcpu ? counts(vcpu) : NULL;
	struct row row = { .count = { 0 } };

	for (size_t i = 0; i < KVM_ARM_TLBI_KINDS; i++) {
		const uint64_t local =
			json_integer_value(json_array_get(array, i + KVM_ARM_TLBI_KINDS));

		row.count[i] = json_integer_value(json_array_get(array, i)) + local;
		row.count[LOCAL] += local;
	}
	return row;
}

static const struct peek_vcpu *find(const struct peek *peek, unsigned int index)
{
	for (unsigned int i = 0; i < peek->count; i++)
		if (peek->vcpus[i].index == index)
			return &peek->vcpus[i];
	return NULL;
}

static struct row difference(const struct row *before, const struct row *now)
{
	struct row row = *now;

	for (size_t i = 0; i < COLUMNS; i++)
		if (before->count[i] > now->count[i])
			return row;
	for (size_t i = 0; i < COLUMNS; i++)
		row.count[i] -= before->count[i];
	return row;
}

static void print_row(FILE *stream, const char *name, const struct row *row, double seconds)
{
	uint64_t total = 0;

	fprintf(stream, "%-5s", name);
	for (size_t i = 0; i < COLUMNS; i++) {
		if (i != LOCAL)
			total += row->count[i];
		fprintf(stream, " %9.0f", seconds > 0 ? row->count[i] / seconds : row->count[i]);
	}
	fprintf(stream, " %9.0f\n", seconds > 0 ? total / seconds : total);
}

bool tlbi_table_has(const struct peek *now)
{
	return now->count > 0 && counts(&now->vcpus[0]);
}

void tlbi_table_print(FILE *stream, const struct peek *before, const struct peek *now,
		      double seconds)
{
	struct row sum = { .count = { 0 } };

	fprintf(stream, "%-5s", "vCPU");
	for (size_t i = 0; i < COLUMNS; i++)
		fprintf(stream, " %9s", title[i]);
	fprintf(stream, " %9s\n", seconds > 0 ? "sum/s" : "sum");

	for (unsigned int i = 0; i < now->count; i++) {
		const struct row was = row_of(find(before, now->vcpus[i].index));
		const struct row is = row_of(&now->vcpus[i]);
		const struct row row = difference(&was, &is);
		char name[16];

		for (size_t j = 0; j < COLUMNS; j++)
			sum.count[j] += row.count[j];
		snprintf(name, sizeof(name), "%u", now->vcpus[i].index);
		print_row(stream, name, &row, seconds);
	}
	if (now->count > 1)
		print_row(stream, "sum", &sum, seconds);
}
