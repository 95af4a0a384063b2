// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands of nidus's own, which GDB passes on as they are typed after "monitor".
 */
#include "debugger.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "options/number.h"
#include "util.h"
#include "vcpu/exit.h"

#define WORDS_MAX 3
#define LINE	  128
#define DUMP	  64 /* bytes */

static const char *const regime_names[INSPECT_REGIMES] = {
	[INSPECT_NOW] = "auto",		 [INSPECT_EL1] = "el1",	  [INSPECT_EL2] = "el2",
	[INSPECT_EL1_STAGE2] = "el1+s2", [INSPECT_STAGE2] = "s2", [INSPECT_PHYSICAL] = "physical",
};

struct command {
	struct debugger *debugger;
	struct gdb_thread thread;
	struct gdb_text *text;
	struct inspect inspect;
	char *word[WORDS_MAX + 1]; /* the command's name first, NULL last */
};

static bool get_number(const struct command *command, unsigned int n, uint64_t max,
		       uint64_t *number)
{
	if (command->word[n] && number_parse(command->word[n], 0, max, number) >= 0)
		return true;
	gdb_text_add(command->text, "%s: a number is missing\n", command->word[0]);
	return false;
}

static void show_levels(struct command *command)
{
	struct debugger *debugger = command->debugger;
	struct inspect_where where;
	const struct vcpu *vcpu;

	for (unsigned int i = 0; (vcpu = debugger_vcpu(debugger, i)); i++) {
		if (inspect_begin(&command->inspect, vcpu) < 0)
			continue;
		inspect_where(&command->inspect, &where);
		gdb_text_add(command->text, "vCPU %u: level %u, %s, EL%u at 0x%" PRIx64, i,
			     where.level, inspect_role_name(where.role), where.el,
			     command->inspect.now.pc);
		if (where.level == 2)
			gdb_text_add(command->text, ", VMID %u%s", where.vmid,
				     where.virtual_el2 ? ", at what it takes for EL2" : "");
		gdb_text_add(command->text, "\n");
	}
	for (const struct point *point = debugger->points; point < debugger->points + POINTS_MAX;
	     point++) {
		static const char *const kind[] = { "break", "hbreak", "watch", "rwatch",
						    "awatch" };

		if (!point->used)
			continue;
		gdb_text_add(command->text, "%s 0x%" PRIx64 ": ", kind[point->kind],
			     point->address);
		if (point->level == LEVEL_ANY)
			gdb_text_add(command->text, "any level\n");
		else if (point->vmid == VMID_ANY)
			gdb_text_add(command->text, "level %u\n", point->level);
		else
			gdb_text_add(command->text, "level %u, VMID %d\n", point->level,
				     point->vmid);
	}
}

static void set_level(struct command *command)
{
	uint64_t level, vmid;

	if (command->debugger->split) {
		gdb_text_add(command->text, "each process has its own level\n");
		return;
	}
	if (command->word[1] && strcmp(command->word[1], "any") == 0)
		level = LEVEL_ANY;
	else if (!get_number(command, 1, 2, &level))
		return;
	command->debugger->vmid = VMID_ANY;
	if (command->word[2] && get_number(command, 2, UINT16_MAX, &vmid))
		command->debugger->vmid = (int)vmid;
	command->debugger->level = level;
}

static void set_regime(struct command *command)
{
	for (unsigned int i = 0; i < INSPECT_REGIMES && command->word[1]; i++)
		if (strcmp(command->word[1], regime_names[i]) == 0) {
			command->debugger->regime = i;
			return;
		}
	gdb_text_add(command->text,
		     "memory is read by %s; others:", regime_names[command->debugger->regime]);
	for (unsigned int i = 0; i < INSPECT_REGIMES; i++)
		gdb_text_add(command->text, " %s", regime_names[i]);
	gdb_text_add(command->text, "\n");
}

static void tell_translation(struct command *command, enum inspect_regime regime, uint64_t address)
{
	struct translation translation;

	switch (inspect_translate(&command->inspect, regime, address, &translation)) {
	case TRANSLATE_DONE:
		gdb_text_add(command->text, "0x%" PRIx64 " -> 0x%" PRIx64 " (%s)%s\n", address,
			     translation.gpa, regime_names[regime],
			     memory_at(command->inspect.memory, translation.gpa, 1) ? ""
										    : ", no RAM");
		return;
	case TRANSLATE_AGAIN:
		gdb_text_add(command->text, "0x%" PRIx64 " is not mapped (%s)\n", address,
			     regime_names[regime]);
		return;
	case TRANSLATE_FAIL:
		gdb_text_add(command->text, "0x%" PRIx64 ": cannot be told (%s)\n", address,
			     regime_names[regime]);
	}
}

static void translate_address(struct command *command)
{
	uint64_t address;

	if (get_number(command, 1, UINT64_MAX, &address))
		tell_translation(command,
				 debugger_target_regime(command->debugger, command->thread),
				 address);
}

static void translate_stage2(struct command *command)
{
	uint64_t address;

	if (get_number(command, 1, UINT64_MAX, &address))
		tell_translation(command, INSPECT_STAGE2, address);
}

static void dump_physical(struct command *command)
{
	uint8_t data[DUMP];
	uint64_t address;
	size_t size;

	if (!get_number(command, 1, UINT64_MAX, &address))
		return;
	size = inspect_read(&command->inspect, INSPECT_PHYSICAL, address, data, sizeof(data));
	debugger_points_hide(command->debugger, address, data, size);
	for (size_t i = 0; i < size; i++) {
		if (i % 16 == 0)
			gdb_text_add(command->text, "%s0x%" PRIx64 ":", i ? "\n" : "", address + i);
		gdb_text_add(command->text, " %02x", data[i]);
	}
	gdb_text_add(command->text, size ? "\n" : "no RAM\n");
}

static void count_exits(struct command *command)
{
	const struct vcpu *vcpu;

	for (unsigned int i = 0; (vcpu = debugger_vcpu(command->debugger, i)); i++) {
		const uint64_t *before = command->debugger->debugged[i].exits;

		gdb_text_add(command->text, "vCPU %u:", i);
		for (unsigned int reason = 0; reason < COUNTERS_REASONS; reason++) {
			const uint64_t count = counter_read(&vcpu->counters.exits[reason]);

			if (count > 0 && exit_name(reason))
				gdb_text_add(command->text, " %s %" PRIu64 " +%" PRIu64,
					     exit_name(reason), count, count - before[reason]);
		}
		gdb_text_add(command->text, "\n");
	}
}

static void show_vgic(struct command *command)
{
	debugger_vgic(command->debugger,
		      debugger_vcpu(command->debugger, command->thread.thread - 1),
		      command->inspect.el2, command->text);
}

static void help(struct command *command);

static const struct {
	const char *name;
	void (*run)(struct command *command);
	const char *help;
} commands[] = {
	{ "help", help, "this" },
	{ "levels", show_levels, "where vCPUs are, and which level breakpoints are for" },
	{ "level", set_level, "any|1|2 [VMID]: which level breakpoints are for from now on" },
	{ "regime", set_regime, "[NAME]: by whose tables memory is read and written" },
	{ "translate", translate_address, "ADDRESS: where it leads" },
	{ "s2", translate_stage2, "ADDRESS: where stage 2 of the guest inside leads it" },
	{ "pa", dump_physical, "ADDRESS: bytes at a physical address" },
	{ "vgic", show_vgic, "what interrupts of this vCPU are waiting for" },
	{ "exits", count_exits,
	  "what vCPUs have come out to nidus for, behind + since the last stop" },
};

static void help(struct command *command)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		gdb_text_add(command->text, "monitor %s %s\n", commands[i].name, commands[i].help);
}

void debugger_monitor(struct debugger *debugger, struct gdb_thread thread, const char *line,
		      struct gdb_text *text)
{
	const struct vcpu *vcpu = debugger_vcpu(debugger, thread.thread - 1);
	struct command command = { .debugger = debugger, .thread = thread, .text = text };
	char copy[LINE], *rest = copy;

	if (!vcpu || inspect_begin(&command.inspect, vcpu) < 0) {
		gdb_text_add(text, "there is no such vCPU\n");
		return;
	}
	strncpy(copy, line, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	for (unsigned int i = 0; i < WORDS_MAX && (command.word[i] = strtok_r(rest, " ", &rest));)
		i++;
	for (size_t i = 0; i < ARRAY_SIZE(commands) && command.word[0]; i++)
		if (strcmp(command.word[0], commands[i].name) == 0) {
			commands[i].run(&command);
			return;
		}
	help(&command);
}
