// SPDX-License-Identifier: GPL-2.0-only
#include "control/top_table.h"

#include <stdlib.h>
#include <string.h>

#include "control/printable.h"
#include "util.h"

#define CAUSES	 5 /* columns */
#define ROWS	 20
#define VCPUS	 64 /* rows of vCPUs; JSON has all */
#define TEXT_MAX 40

/* Rates. */

static double rate_of(const json_t *before, const json_t *now, double seconds)
{
	const json_int_t was = json_integer_value(before), is = json_integer_value(now);

	return (double)(is >= was ? is - was : is) / seconds;
}

/* Of all numbers of an object. */
static json_t *rates_of(const json_t *before, const json_t *now, double seconds)
{
	json_t *rates = json_object(), *value;
	const char *key;

	json_object_foreach ((json_t *)now, key, value) {
		if (json_is_integer(value))
			json_object_set_new(
				rates, key,
				json_real(rate_of(json_object_get(before, key), value, seconds)));
		/* What tells which one it is: names, addresses. */
		else if (json_is_string(value))
			json_object_set(rates, key, value);
	}
	return rates;
}

/* The entry of an array whose member key is the same as in that. */
static const json_t *twin(const json_t *array, const json_t *that, const char *key)
{
	const json_t *wanted = json_object_get(that, key), *entry;
	size_t i;

	json_array_foreach ((json_t *)array, i, entry) {
		if (json_equal(json_object_get(entry, key), wanted))
			return entry;
	}
	return NULL;
}

/* Of an array of such objects, which are told apart by one member. */
static json_t *all_rates(const json_t *before, const json_t *now, const char *key, double seconds)
{
	json_t *rates = json_array(), *entry;
	size_t i;

	json_array_foreach ((json_t *)now, i, entry) {
		json_array_append_new(rates, rates_of(twin(before, entry, key), entry, seconds));
	}
	return rates;
}

/* Nanoseconds of CPU in a second, as percents. */
static json_t *percent(const json_t *before, const json_t *now, double seconds)
{
	return json_real(rate_of(json_object_get(before, "cpu_ns"), json_object_get(now, "cpu_ns"),
				 seconds) /
			 1e7);
}

static json_t *vcpu_rates(const json_t *before, const json_t *now, double seconds)
{
	return json_pack(
		"{sOsosososo}", "index", json_object_get(now, "index"), "cpu_percent",
		percent(before, now, seconds), "exits",
		rates_of(json_object_get(before, "exits"), json_object_get(now, "exits"), seconds),
		"mmio",
		all_rates(json_object_get(before, "mmio"), json_object_get(now, "mmio"), "address",
			  seconds),
		"kvm",
		rates_of(json_object_get(before, "kvm"), json_object_get(now, "kvm"), seconds));
}

json_t *top_table_rates(const json_t *before, const json_t *now, double seconds)
{
	const json_t *were = json_object_get(before, "vcpus"), *are = json_object_get(now, "vcpus");
	json_t *vcpus = json_array(), *vcpu;
	size_t i;

	json_array_foreach ((json_t *)are, i, vcpu) {
		json_array_append_new(vcpus, vcpu_rates(twin(were, vcpu, "index"), vcpu, seconds));
	}
	return json_pack(
		"{sfsOsososososo}", "seconds", seconds, "resets", json_object_get(now, "resets"),
		"cpu_percent", percent(before, now, seconds), "exits",
		rates_of(json_object_get(before, "exits"), json_object_get(now, "exits"), seconds),
		"networks",
		all_rates(json_object_get(before, "networks"), json_object_get(now, "networks"),
			  "mac", seconds),
		"disks",
		all_rates(json_object_get(before, "disks"), json_object_get(now, "disks"), "name",
			  seconds),
		"vcpus", vcpus);
}

/* What people see. */

static double real(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

/* No longer than a column. */
static const char *word(const json_t *object, const char *key, char *text)
{
	return printable(json_string_value(json_object_get(object, key)), text, TEXT_MAX);
}

struct cause {
	const char *name;
	double rate;
};

static int by_cause(const void *left, const void *right)
{
	const struct cause *a = left, *b = right;

	return (a->rate < b->rate) - (a->rate > b->rate);
}

/* The most frequent ones. Returns how many. */
static size_t find_causes(const json_t *exits, struct cause *causes)
{
	const size_t size = json_object_size(exits);
	struct cause *all = calloc(size + 1, sizeof(*all));
	size_t count = 0;
	const char *key;
	json_t *value;

	if (!all)
		return 0;
	json_object_foreach ((json_t *)exits, key, value) {
		if (strcmp(key, "total") != 0)
			all[count++] = (struct cause){ key, json_number_value(value) };
	}
	qsort(all, count, sizeof(*all), by_cause);
	if (count > CAUSES)
		count = CAUSES;
	memcpy(causes, all, count * sizeof(*all));
	free(all);
	return count;
}

static void print_exits(FILE *stream, const char *name, const json_t *row, double in_kvm,
			const struct cause *causes, size_t count, const char *end)
{
	const json_t *exits = json_object_get(row, "exits");

	fprintf(stream, "%5s %7.1f %9.0f %9.0f", name, real(row, "cpu_percent"), in_kvm,
		real(exits, "total"));
	for (size_t i = 0; i < count; i++)
		fprintf(stream, " %9.0f", real(exits, causes[i].name));
	fputs(end, stream);
}

static void print_vcpus(FILE *stream, const json_t *rates, const char *end)
{
	const json_t *vcpus = json_object_get(rates, "vcpus"), *vcpu;
	struct cause causes[CAUSES];
	const size_t count = find_causes(json_object_get(rates, "exits"), causes);
	double in_kvm = 0;
	char text[TEXT_MAX];
	size_t i;

	fprintf(stream, "%5s %7s %9s %9s", "vCPU", "CPU %", "KVM/s", "exits/s");
	for (i = 0; i < count; i++)
		fprintf(stream, " %9.9s", printable(causes[i].name, text, sizeof(text)));
	fputs(end, stream);
	json_array_foreach ((json_t *)vcpus, i, vcpu) {
		const double kvm = real(json_object_get(vcpu, "kvm"), "exits");

		in_kvm += kvm;
		snprintf(text, sizeof(text), "%zu", i);
		if (i < VCPUS)
			print_exits(stream, text, vcpu, kvm, causes, count, end);
	}
	if (json_array_size(vcpus) > 1)
		print_exits(stream, "all", rates, in_kvm, causes, count, end);
}

/* One register, accessed by one vCPU. */
struct access {
	size_t vcpu;
	unsigned long long address;
	double rate;
	const json_t *counts;
};

static int by_rate(const void *left, const void *right)
{
	const struct access *a = left, *b = right;

	return (a->rate < b->rate) - (a->rate > b->rate);
}

static int by_vcpu(const void *left, const void *right)
{
	const struct access *a = left, *b = right;

	return a->vcpu == b->vcpu ? by_rate(a, b) : (a->vcpu > b->vcpu) - (a->vcpu < b->vcpu);
}

static int by_address(const void *left, const void *right)
{
	const struct access *a = left, *b = right;

	return a->address == b->address ? by_rate(a, b)
					: (a->address > b->address) - (a->address < b->address);
}

/* Those that there were; *count of them, the caller's to free. NULL: none, or no memory. */
static struct access *find_accesses(const json_t *vcpus, size_t *count)
{
	const json_t *vcpu, *mmio;
	struct access *list;
	size_t i, j, room = 0;

	json_array_foreach ((json_t *)vcpus, i, vcpu) {
		room += json_array_size(json_object_get(vcpu, "mmio"));
	}
	*count = 0;
	list = room > 0 ? calloc(room, sizeof(*list)) : NULL;
	if (!list)
		return NULL;
	json_array_foreach ((json_t *)vcpus, i, vcpu) {
		json_array_foreach (json_object_get(vcpu, "mmio"), j, mmio) {
			const char *text = json_string_value(json_object_get(mmio, "address"));
			const double rate = real(mmio, "reads") + real(mmio, "writes");

			if (rate > 0)
				list[(*count)++] = (struct access){
					.vcpu = i,
					.address = text ? strtoull(text, NULL, 16) : 0,
					.rate = rate,
					.counts = mmio,
				};
		}
	}
	return list;
}

static void print_accesses(FILE *stream, const json_t *rates, enum top_sort sort, const char *end)
{
	static int (*const orders[])(const void *left, const void *right) = {
		[TOP_BY_RATE] = by_rate,
		[TOP_BY_VCPU] = by_vcpu,
		[TOP_BY_ADDRESS] = by_address,
	};
	size_t count;
	struct access *list = find_accesses(json_object_get(rates, "vcpus"), &count);

	if (list)
		qsort(list, count, sizeof(*list), orders[sort]);
	if (count > 0)
		fprintf(stream, "%s%5s %-11s %-14s %-22s %9s %9s%s", end, "vCPU", "address",
			"device", "register", "reads/s", "writes/s", end);
	for (size_t i = 0; i < count && i < ROWS; i++) {
		const json_t *counts = list[i].counts;
		char address[TEXT_MAX], device[TEXT_MAX], name[TEXT_MAX];

		fprintf(stream, "%5zu %-11s %-14s %-22s %9.0f %9.0f%s", list[i].vcpu,
			word(counts, "address", address), word(counts, "device", device),
			word(counts, "register", name), real(counts, "reads"),
			real(counts, "writes"), end);
	}
	if (count > ROWS)
		fprintf(stream, "      and %zu more%s", count - ROWS, end);
	free(list);
}

static void print_networks(FILE *stream, const json_t *rates, const char *end)
{
	const json_t *networks = json_object_get(rates, "networks"), *network;
	char mac[TEXT_MAX], kind[TEXT_MAX];
	size_t i;

	if (json_array_size(networks) > 0)
		fprintf(stream, "%s%-17s %-6s %9s %9s %10s %10s %9s%s", end, "network", "kind",
			"sent/s", "recv/s", "sent KiB/s", "recv KiB/s", "dropped/s", end);
	json_array_foreach ((json_t *)networks, i, network) {
		fprintf(stream, "%-17s %-6s %9.0f %9.0f %10.0f %10.0f %9.0f%s",
			word(network, "mac", mac), word(network, "kind", kind),
			real(network, "sent"), real(network, "received"),
			real(network, "sent_bytes") / 1024, real(network, "received_bytes") / 1024,
			real(network, "send_dropped") + real(network, "receive_dropped"), end);
	}
}

static void print_disks(FILE *stream, const json_t *rates, const char *end)
{
	const json_t *disks = json_object_get(rates, "disks"), *disk;
	char name[TEXT_MAX];
	size_t i;

	if (json_array_size(disks) > 0)
		fprintf(stream, "%s%-17s %9s %9s %10s %10s %9s %9s%s", end, "disk", "reads/s",
			"writes/s", "read KiB/s", "writ KiB/s", "flushes/s", "discard/s", end);
	json_array_foreach ((json_t *)disks, i, disk) {
		fprintf(stream, "%-17s %9.0f %9.0f %10.0f %10.0f %9.0f %9.0f%s",
			word(disk, "name", name), real(disk, "reads"), real(disk, "writes"),
			real(disk, "read_bytes") / 1024, real(disk, "written_bytes") / 1024,
			real(disk, "flushes"), real(disk, "discards"), end);
	}
}

void top_table_print(FILE *stream, const char *name, const json_t *status, const json_t *rates,
		     enum top_sort sort, const char *end)
{
	char state[TEXT_MAX];

	fprintf(stream,
		"%s: %s, pid %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
		" MiB, %" JSON_INTEGER_FORMAT " resets, host CPU %.1f %%%s",
		name, word(status, "state", state),
		json_integer_value(json_object_get(status, "pid")),
		json_integer_value(json_object_get(status, "mem_bytes")) >> 20,
		json_integer_value(json_object_get(status, "resets")), real(rates, "cpu_percent"),
		end);
	print_vcpus(stream, rates, end);
	print_accesses(stream, rates, sort, end);
	print_networks(stream, rates, end);
	print_disks(stream, rates, end);
}
