// SPDX-License-Identifier: GPL-2.0-only
#include "tlbi_table.h"

#include <inttypes.h>
#include <string.h>

#include "util.h"

/* KVM's statistics of the patches in kernel/; the last is some of those before it. */
static const struct {
	const char *title, *stat;
} kinds[] = {
	{ "all", "tlbi_all" },
	{ "asid", "tlbi_asid" },
	{ "va", "tlbi_va" },
	{ "va*", "tlbi_va_all_asid" },
	{ "range", "tlbi_range" },
	{ "range*", "tlbi_range_all_asid" },
	{ "local", "tlbi_non_shareable" },
};

#define KINDS ARRAY_SIZE(kinds)
#define LOCAL (KINDS - 1)

struct row {
	uint64_t count[KINDS];
};

static struct row row_of(const struct peek_vcpu *vcpu)
{
	struct row row = { .count = { 0 } };

	for (size_t i = 0; vcpu && i < KINDS; i++)
		row.count[i] = json_integer_value(json_object_get(vcpu->stats, kinds[i].stat));
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

	for (size_t i = 0; i < KINDS; i++)
		if (before->count[i] > now->count[i])
			return row;
	for (size_t i = 0; i < KINDS; i++)
		row.count[i] -= before->count[i];
	return row;
}

static void print_row(FILE *stream, const char *name, const struct row *row, double seconds)
{
	uint64_t total = 0;

	fprintf(stream, "%-5s", name);
	for (size_t i = 0; i < KINDS; i++) {
		if (i != LOCAL)
			total += row->count[i];
		fprintf(stream, " %9.0f", seconds > 0 ? row->count[i] / seconds : row->count[i]);
	}
	fprintf(stream, " %9.0f\n", seconds > 0 ? total / seconds : total);
}

bool tlbi_table_has(const struct peek *now)
{
	return now->count > 0 && json_object_get(now->vcpus[0].stats, kinds[0].stat);
}

void tlbi_table_print(FILE *stream, const struct peek *before, const struct peek *now,
		      double seconds)
{
	struct row sum = { .count = { 0 } };

	fprintf(stream, "%-5s", "vCPU");
	for (size_t i = 0; i < KINDS; i++)
		fprintf(stream, " %9s", kinds[i].title);
	fprintf(stream, " %9s\n", seconds > 0 ? "sum/s" : "sum");

	for (unsigned int i = 0; i < now->count; i++) {
		const struct row was = row_of(find(before, now->vcpus[i].index));
		const struct row is = row_of(&now->vcpus[i]);
		const struct row row = difference(&was, &is);
		char name[16];

		for (size_t kind = 0; kind < KINDS; kind++)
			sum.count[kind] += row.count[kind];
		snprintf(name, sizeof(name), "%u", now->vcpus[i].index);
		print_row(stream, name, &row, seconds);
	}
	if (now->count > 1)
		print_row(stream, "sum", &sum, seconds);
}
