// SPDX-License-Identifier: GPL-2.0-only
#include "control/debug_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/printable.h"

#define COLUMNS 3
#define WORD	32

/* What of a register's value is there; NULL: it is not. */
static const char *value_of(const json_t *vcpu, const char *name)
{
	return json_string_value(json_object_get(json_object_get(vcpu, "registers"), name));
}

static uint64_t number_of(const char *text)
{
	return text ? strtoull(text, NULL, 16) : 0;
}

/* Symbols for where this vCPU is, and by how much they have moved; NULL: none. */
static const struct symbols *symbols_of(const struct symbols *symbols, const json_t *vcpu,
					uint64_t *offset)
{
	const json_t *where = json_object_get(vcpu, "where");
	const char *vbar =
		value_of(vcpu, json_integer_value(json_object_get(where, "el")) == 2 ? "VBAR_EL2"
										     : "VBAR_EL1");

	return symbols && vbar && symbols_offset(symbols, number_of(vbar), offset) ? symbols : NULL;
}

/* before: how many bytes in front of it the instruction is that is meant. */
static void print_address(FILE *stream, uint64_t address, unsigned int before,
			  const struct symbols *symbols, uint64_t offset)
{
	uint64_t behind;
	const char *name =
		symbols ? symbols_find(symbols, address - before - offset, &behind) : NULL;

	fprintf(stream, "0x%016" PRIx64, address);
	if (name)
		fprintf(stream, " %s+0x%" PRIx64, name, behind + before);
	fputc('\n', stream);
}

static const char *word(const json_t *object, const char *key, char *text)
{
	return printable(json_string_value(json_object_get(object, key)), text, WORD);
}

static void print_where(FILE *stream, const json_t *vcpu)
{
	const json_t *where = json_object_get(vcpu, "where");
	char power[WORD], role[WORD];
	const json_t *vmid = json_object_get(where, "vmid");

	fprintf(stream, "vCPU %" JSON_INTEGER_FORMAT ": %s",
		json_integer_value(json_object_get(vcpu, "index")), word(vcpu, "power", power));
	if (where)
		fprintf(stream,
			", at EL%" JSON_INTEGER_FORMAT " of level %" JSON_INTEGER_FORMAT ", %s",
			json_integer_value(json_object_get(where, "el")),
			json_integer_value(json_object_get(where, "level")),
			word(where, "role", role));
	if (vmid)
		fprintf(stream, ", VMID %" JSON_INTEGER_FORMAT, json_integer_value(vmid));
	if (json_is_true(json_object_get(where, "virtual_el2")))
		fputs(", at its virtual EL2", stream);
	if (json_is_true(json_object_get(where, "aarch32")))
		fputs(", AArch32", stream);
	fputc('\n', stream);
}

static void print_numbers(FILE *stream, const json_t *numbers, const char *remark)
{
	const json_t *number;
	size_t i;

	json_array_foreach ((json_t *)numbers, i, number) {
		fprintf(stream, " %" JSON_INTEGER_FORMAT "%s", json_integer_value(number), remark);
	}
}

static void print_pending(FILE *stream, const json_t *vcpu)
{
	const json_t *pending = json_object_get(vcpu, "pending");
	const json_t *enabled = json_object_get(pending, "enabled");
	const json_t *disabled = json_object_get(pending, "disabled");

	if (json_array_size(enabled) + json_array_size(disabled) == 0)
		return;
	fputs("  pending:", stream);
	print_numbers(stream, enabled, "");
	print_numbers(stream, disabled, " (disabled)");
	fputc('\n', stream);
}

/* Of EL2, and what of EL1 tells of the last exception there. */
static bool is_telling(const char *name)
{
	static const char *const names[] = { "sp",	"pc",	    "cpsr",	 "x29",
					     "x30",	"ELR_EL1",  "SPSR_EL1",	 "ESR_EL1",
					     "FAR_EL1", "VBAR_EL1", "TTBR0_EL1", "TTBR1_EL1" };
	const size_t length = strlen(name);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return length > 4 && strcmp(name + length - 4, "_EL2") == 0;
}

static void print_registers(FILE *stream, const json_t *vcpu, bool all)
{
	unsigned int column = 0;
	char text[WORD];
	const char *name;
	json_t *value;

	json_object_foreach (json_object_get(vcpu, "registers"), name, value) {
		if (!all && !is_telling(name))
			continue;
		fprintf(stream, "  %-14s 0x%016" PRIx64, printable(name, text, sizeof(text)),
			number_of(json_string_value(value)));
		if (++column % COLUMNS == 0)
			fputc('\n', stream);
	}
	if (column % COLUMNS != 0)
		fputc('\n', stream);
}

static void print_vcpu(FILE *stream, const json_t *vcpu, const struct symbols *symbols, bool all)
{
	const json_t *backtrace = json_object_get(vcpu, "backtrace"), *frame;
	uint64_t offset = 0;
	size_t i;

	symbols = symbols_of(symbols, vcpu, &offset);
	print_where(stream, vcpu);
	json_array_foreach ((json_t *)backtrace, i, frame) {
		fprintf(stream, "  #%-2zu ", i);
		/* All but the PC are where a call returns to. */
		print_address(stream, number_of(json_string_value(frame)), i > 0 ? 4 : 0, symbols,
			      offset);
	}
	print_pending(stream, vcpu);
	print_registers(stream, vcpu, all);
}

void debug_text_print(FILE *stream, const json_t *answer, const struct symbols *symbols,
		      bool all_registers)
{
	const json_t *vcpus = json_object_get(answer, "vcpus"), *vcpu;
	size_t i;

	json_array_foreach ((json_t *)vcpus, i, vcpu) {
		print_vcpu(stream, vcpu, symbols, all_registers);
	}
}
