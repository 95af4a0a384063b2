// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "balloon/balloon.h"
#include "host/clock.h"
#include "host/file.h"
#include "host/kvm.h"
#include "host/kvm_stats.h"
#include "host/log.h"
#include "machine/stats.h"
#include "served/served.h"
#include "util.h"
#include "vcpu/exit.h"
#include "vhost.h"

static json_t *hex(uint64_t value)
{
	return json_sprintf("0x%" PRIx64, value);
}

/* JSON is UTF-8, and what the user calls a guest is any bytes. NULL for NULL. */
static json_t *text(const char *bytes)
{
	json_t *string = json_string(bytes);
	char *copy;

	if (string || !bytes)
		return string;
	copy = strdup(bytes);
	for (char *byte = copy; byte && *byte; byte++)
		if ((unsigned char)*byte >= 0x80)
			*byte = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

/* Numbers of exits by name of their reason, those that occurred, and their sum. */
static json_t *exits_of(const struct counters *const *counters, unsigned int count)
{
	json_t *exits = json_object();
	uint64_t total = 0;

	for (unsigned int reason = 0; reason < COUNTERS_REASONS; reason++) {
		const char *name = exit_name(reason);
		uint64_t sum = 0;
		char number[16];

		for (unsigned int i = 0; i < count; i++)
			sum += counter_read(&counters[i]->exits[reason]);
		if (sum == 0)
			continue;
		snprintf(number, sizeof(number), "%u", reason);
		json_object_set_new(exits, name ? name : number, json_integer(sum));
		total += sum;
	}
	json_object_set_new(exits, "total", json_integer(total));
	return exits;
}

/* One address that vCPUs accessed by MMIO, summed over vCPUs. */
struct mmio_total {
	uint64_t address, reads, writes;
};

static int by_address(const void *left, const void *right)
{
	const struct mmio_total *a = left, *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

static json_t *access_object(const struct machine *machine, const struct mmio_total *total)
{
	const struct device *device = bus_find(&machine->bus, total->address);
	json_t *object = json_pack("{sIsI}", "reads", (json_int_t)total->reads, "writes",
				   (json_int_t)total->writes);
	const char *name;

	if (total->address)
		json_object_set_new(object, "address", hex(total->address));
	if (!device)
		return object;
	json_object_set_new(object, "device", json_string(device->ops->name));
	json_object_set_new(object, "offset", hex(total->address - device->base));
	name = device->ops->register_name(total->address - device->base);
	if (name)
		json_object_set_new(object, "register", json_string(name));
	return object;
}

/* Adds up neighbours with the same address in a sorted list, and turns each into an object. */
static json_t *accesses_array(const struct machine *machine, struct mmio_total *list, size_t count)
{
	json_t *array = json_array();

	qsort(list, count, sizeof(*list), by_address);
	for (size_t i = 0; i < count;) {
		struct mmio_total sum = list[i++];

		for (; i < count && list[i].address == sum.address; i++) {
			sum.reads += list[i].reads;
			sum.writes += list[i].writes;
		}
		if (sum.reads + sum.writes > 0)
			json_array_append_new(array, access_object(machine, &sum));
	}
	return array;
}

/* Of so many vCPUs from first on. */
static json_t *mmio_of(const struct machine *machine, const struct vcpu *first, unsigned int vcpus)
{
	/* Every entry of every vCPU, and one for what found no entry. */
	struct mmio_total *list = calloc(vcpus, (COUNTERS_MMIO + 1) * sizeof(*list));
	json_t *array;
	size_t count = 0;

	if (!list)
		return NULL;
	for (unsigned int i = 0; i < vcpus; i++) {
		const struct counters *counters = &first[i].counters;

		for (unsigned int j = 0; j <= COUNTERS_MMIO; j++) {
			const struct counters_mmio *entry =
				j < COUNTERS_MMIO ? &counters->mmio[j] : &counters->mmio_others;

			list[count++] = (struct mmio_total){
				.address = counter_read(&entry->address),
				.reads = counter_read(&entry->reads),
				.writes = counter_read(&entry->writes),
			};
		}
	}
	array = accesses_array(machine, list, count);
	free(list);
	return array;
}

static json_t *ranges_of(const struct memory_range *range, unsigned int count)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(array, json_pack("{sosI}", "start", hex(range[i].start),
						       "bytes", (json_int_t)range[i].size));
	return array;
}

static json_t *phases_of(const struct machine *machine)
{
	static const char *const name[] = {
		[PHASE_CREATED] = "created",
		[PHASE_FIRST_RUN] = "first_run",
		[PHASE_SHUTDOWN] = "shutdown",
	};
	json_t *phases = json_object();

	for (unsigned int i = PHASE_CREATED; i < PHASES; i++) {
		uint64_t ns =
			machine->phase[i].nanoseconds - machine->phase[PHASE_BEGUN].nanoseconds;

		if (machine->phase[i].reached)
			json_object_set_new(phases, name[i],
					    json_pack("{sfsI}", "seconds", ns / 1e9, "exits",
						      (json_int_t)machine->phase[i].exits));
	}
	return phases;
}

static json_t *clean_of(const struct poc_report *cleaned)
{
	return json_pack("{sssosIsIsf}", "policy", poc_policy_name(cleaned->policy), "ranges",
			 ranges_of(cleaned->range, cleaned->range_count), "line_bytes",
			 (json_int_t)cleaned->line_size, "lines", (json_int_t)cleaned->lines,
			 "seconds", cleaned->nanoseconds / 1e9);
}

/* Instructions of one fate, by class, those that occurred. */
static json_t *by_class(const struct vcpu_env *env, size_t member)
{
	json_t *object = json_object();

	for (unsigned int class = 0; class < INSN_CLASSES; class ++) {
		uint64_t sum = 0;

		for (unsigned int i = 0; i < env->count; i++) {
			const void *counters = &env->vcpus[i].counters;
			const counter *list = (const void *)((const uint8_t *)counters + member);

			sum += counter_read(&list[class]);
		}
		if (sum > 0)
			json_object_set_new(object, insn_class_name(class), json_integer(sum));
	}
	return object;
}

static json_t *nisv_of(const struct vcpu_env *env)
{
	uint64_t retried = 0;

	for (unsigned int i = 0; i < env->count; i++)
		retried += counter_read(&env->vcpus[i].counters.retried);
	return json_pack("{sososI}", "emulated", by_class(env, offsetof(struct counters, emulated)),
			 "aborted", by_class(env, offsetof(struct counters, aborted)), "retried",
			 (json_int_t)retried);
}

static json_t *vcpus_of(const struct vcpu_env *env)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < env->count; i++) {
		const struct counters *counters = &env->vcpus[i].counters;
		json_t *vcpu = json_pack("{siso}", "index", i, "exits", exits_of(&counters, 1));
		json_t *kvm = kvm_stats_read(env->vcpus[i].stats_fd);

		if (kvm)
			json_object_set_new(vcpu, "kvm", kvm);
		json_array_append_new(array, vcpu);
	}
	return array;
}

static json_t *all_exits_of(const struct vcpu_env *env)
{
	const struct counters **list = calloc(env->count, sizeof(*list));
	json_t *exits;

	if (!list)
		return NULL;
	for (unsigned int i = 0; i < env->count; i++)
		list[i] = &env->vcpus[i].counters;
	exits = exits_of(list, env->count);
	free(list);
	return exits;
}

/* As --trap-tlbi has it; NULL: off. */
static json_t *trap_tlbi_of(const struct tlbi_trap *trap)
{
	if (trap->policy == TLBI_OFF)
		return NULL;
	return json_sprintf("%s%s", trap->policy == TLBI_ALL ? "all" : "precise",
			    trap->shareable_only ? ",shareable" : "");
}

static json_t *config_of(const struct machine *machine)
{
	static const char *const backings[] = {
		[MEMORY_ANON] = "anon",
		[MEMORY_MEMFD] = "memfd",
		[MEMORY_HUGETLBFS] = "hugetlbfs",
	};
	const struct config *config = machine->config;

	return json_pack("{sisIssssso*so*}", "cpus", config->cpus, "mem_bytes",
			 (json_int_t)config->mem_size, "mem_backing",
			 backings[machine->mem_backing], "irqchip",
			 gic_kind_name(machine->gic.kind), "name", text(config->name), "trap_tlbi",
			 trap_tlbi_of(&config->trap_tlbi));
}

/* One of the counters, at this place of the first in a row of structs of that size, of all of them.
 */
static json_int_t sum_of(const void *first, size_t size, unsigned int count, size_t member)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < count; i++) {
		const uint8_t *counts = (const uint8_t *)first + i * size;

		sum += counter_read((const counter *)(const void *)(counts + member));
	}
	return sum;
}

#define SUM_OF(list, member) \
	sum_of(list, sizeof((list)[0]), ARRAY_SIZE(list), offsetof(typeof((list)[0]), member))

static json_t *link_object(const struct link *link)
{
	const uint8_t *mac = link->mac;

	return json_pack("{sssssosisbsIsIsIsIsIsI}", "kind", link->ops->name, "by",
			 link->vhost ? link->vhost->ops->name : "nidus", "mac",
			 json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
				      mac[3], mac[4], mac[5]),
			 "pairs", (int)link->pairs, "up", atomic_load(&link->up), "sent",
			 SUM_OF(link->counts, sent), "received", SUM_OF(link->counts, received),
			 "sent_bytes", SUM_OF(link->counts, sent_bytes), "received_bytes",
			 SUM_OF(link->counts, received_bytes), "send_dropped",
			 SUM_OF(link->counts, send_dropped), "receive_dropped",
			 SUM_OF(link->counts, receive_dropped));
}

/* NULL: there are none. */
static json_t *networks_of(const struct resources *resources)
{
	json_t *array = resources->link_count > 0 ? json_array() : NULL;

	for (unsigned int i = 0; i < resources->link_count; i++)
		if (resources->links[i])
			json_array_append_new(array, link_object(resources->links[i]));
	return array;
}

static json_t *disk_object(const struct disk *disk, unsigned int index)
{
	return json_pack("{sososIsIsIsIsIsI}", "name", json_sprintf("disk%u", index), "path",
			 text(disk->path), "reads", SUM_OF(disk->counts, reads), "writes",
			 SUM_OF(disk->counts, writes), "flushes", SUM_OF(disk->counts, flushes),
			 "discards", SUM_OF(disk->counts, discards), "read_bytes",
			 SUM_OF(disk->counts, read_bytes), "written_bytes",
			 SUM_OF(disk->counts, written_bytes));
}

/* Those that nidus serves itself; NULL: there are none. */
static json_t *disks_of(const struct resources *resources)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < resources->disk_count; i++)
		if (!resources->served_disks[i])
			json_array_append_new(array, disk_object(&resources->disks[i], i));
	if (json_array_size(array) > 0)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *served_object(const struct served *served)
{
	return json_pack("{sssssb}", "kind", served_kind(served), "by", served_by(served), "up",
			 served_is_up(served));
}

/* NULL: there are none. */
static json_t *served_of(const struct resources *resources)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < resources->disk_count; i++)
		if (resources->served_disks[i])
			json_array_append_new(array, served_object(resources->served_disks[i]));
	for (unsigned int i = 0; i < resources->served_count; i++)
		json_array_append_new(array, served_object(resources->served[i]));
	if (json_array_size(array) > 0)
		return array;
	json_decref(array);
	return NULL;
}

/* What the guest has told of its memory; NULL: nothing. */
static json_t *guest_memory_of(const struct balloon_state *state)
{
	json_t *object;

	if (state->moment == 0)
		return NULL;
	object = json_pack("{sf}", "seconds", (clock_ns() - state->moment) / 1e9);
	for (unsigned int i = 0; i < BALLOON_STATISTICS; i++)
		/* A number that JSON's readers cannot have is none that a guest can mean. */
		if (state->has[i] && state->statistics[i] <= INT64_MAX)
			json_object_set_new(object, balloon_statistic_name(i),
					    json_integer(state->statistics[i]));
	return object;
}

json_t *stats_balloon(const struct machine *machine)
{
	struct balloon_state state;

	if (!machine->balloon)
		return NULL;
	balloon_look(machine->balloon, &state);
	return json_pack("{sbsIsIsIsIso*}", "driver", state.driver, "target_bytes",
			 (json_int_t)state.target, "given_bytes", (json_int_t)state.given,
			 "inflated_bytes", (json_int_t)state.inflated, "reported_bytes",
			 (json_int_t)state.reported, "guest", guest_memory_of(&state));
}

static json_t *vm_stats(int vm_fd)
{
	int stats_fd = kvm_stats_fd(vm_fd);
	json_t *stats = kvm_stats_read(stats_fd);

	if (stats_fd >= 0)
		close(stats_fd);
	return stats;
}

static json_t *sandbox_of(const struct sandbox *sandbox)
{
	static const struct {
		unsigned int flag;
		const char *name;
	} names[] = {
		{ CLONE_NEWUSER, "user" }, { CLONE_NEWNS, "mount" }, { CLONE_NEWIPC, "ipc" },
		{ CLONE_NEWUTS, "uts" },   { CLONE_NEWNET, "net" },
	};
	char capabilities[32];
	json_t *namespaces = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (sandbox->namespaces & names[i].flag)
			json_array_append_new(namespaces, json_string(names[i].name));
	snprintf(capabilities, sizeof(capabilities), "0x%" PRIx64, sandbox->capabilities);
	return json_pack("{sssissso}", "mode", sandbox_mode_name(sandbox->mode), "landlock",
			 sandbox->landlock_abi, "capabilities", capabilities, "namespaces",
			 namespaces);
}

json_t *stats_collect(const struct machine *machine, unsigned int resets)
{
	json_t *stats = json_pack("{sssisssssisosososososo*}", "schema", "nidus-stats", "version",
				  STATS_VERSION, "nidus", NIDUS_VERSION, "outcome",
				  verdict_name(verdict_outcome(machine->verdict)), "resets", resets,
				  "config", config_of(machine), "phases", phases_of(machine),
				  "exits", all_exits_of(&machine->env), "mmio",
				  mmio_of(machine, machine->env.vcpus, machine->env.count), "clean",
				  clean_of(&machine->cleaned), "kvm", vm_stats(machine->vm_fd));
	json_t *networks, *disks, *served, *balloon;

	if (!stats)
		return NULL;
	json_object_set_new(stats, "loaded",
			    ranges_of(machine->memory.touched, machine->memory.touched_count));
	json_object_set_new(stats, "nisv", nisv_of(&machine->env));
	json_object_set_new(stats, "sandbox", sandbox_of(&machine->resources->sandbox));
	json_object_set_new(stats, "vcpus", vcpus_of(&machine->env));
	networks = networks_of(machine->resources);
	if (networks)
		json_object_set_new(stats, "networks", networks);
	disks = disks_of(machine->resources);
	if (disks)
		json_object_set_new(stats, "disks", disks);
	served = served_of(machine->resources);
	if (served)
		json_object_set_new(stats, "served", served);
	balloon = stats_balloon(machine);
	if (balloon)
		json_object_set_new(stats, "balloon", balloon);
	return stats;
}

void stats_add_mmio(json_t *stats, const struct machine *machine)
{
	const struct vcpu_env *env = &machine->env;
	json_t *vcpus = json_object_get(stats, "vcpus");

	for (unsigned int i = 0; i < env->count; i++)
		json_object_set_new(json_array_get(vcpus, i), "mmio",
				    mmio_of(machine, &env->vcpus[i], 1));
}

int stats_write(struct written *written, const struct machine *machine, unsigned int resets)
{
	json_t *stats;
	char *text;
	int err;

	if (!written->place.path)
		return 0;
	stats = stats_collect(machine, resets);
	text = stats ? json_dumps(stats, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(stats);
	if (!text) {
		log_error("statistics: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = written_write(written, text, strlen(text));
	free(text);
	return err;
}
