// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers as GDB wants them described (Debugging with GDB, "Target Descriptions"): features of
 * AArch64 by the names and with the registers that it knows, and one of our own.
 */
#include "debugger.h"
#include "util.h"

static void describe_vectors(struct gdb_text *text)
{
	gdb_text_add(text, "<feature name=\"org.gnu.gdb.aarch64.fpu\">"
			   "<vector id=\"d2\" type=\"ieee_double\" count=\"2\"/>"
			   "<vector id=\"s4\" type=\"ieee_single\" count=\"4\"/>"
			   "<vector id=\"b16\" type=\"uint8\" count=\"16\"/>");
	gdb_text_add(text, "<vector id=\"q1\" type=\"uint128\" count=\"1\"/>"
			   "<union id=\"v\"><field name=\"d\" type=\"d2\"/>"
			   "<field name=\"s\" type=\"s4\"/><field name=\"b\" type=\"b16\"/>"
			   "<field name=\"q\" type=\"q1\"/></union>");
	for (unsigned int i = 0; i < INSPECT_VECTORS; i++)
		gdb_text_add(text, "<reg name=\"v%u\" bitsize=\"128\" type=\"v\"/>", i);
	gdb_text_add(text, "<reg name=\"fpsr\" bitsize=\"32\"/><reg name=\"fpcr\" bitsize=\"32\"/>"
			   "</feature>");
}

/* A vector by lanes of so many bits, as unsigned, signed and, if there are such, floating point. */
static void describe_lanes(struct gdb_text *text, const char *name, unsigned int bits,
			   const char *floats, unsigned int length)
{
	const unsigned int count = length * 8 / bits;

	gdb_text_add(text, "<vector id=\"%su\" type=\"uint%u\" count=\"%u\"/>", name, bits, count);
	gdb_text_add(text, "<vector id=\"%ss\" type=\"int%u\" count=\"%u\"/>", name, bits, count);
	if (floats)
		gdb_text_add(text, "<vector id=\"%sf\" type=\"%s\" count=\"%u\"/>", name, floats,
			     count);
	gdb_text_add(text, "<union id=\"%sn\">", name);
	if (floats)
		gdb_text_add(text, "<field name=\"f\" type=\"%sf\"/>", name);
	gdb_text_add(text,
		     "<field name=\"u\" type=\"%su\"/><field name=\"s\" type=\"%ss\"/></union>",
		     name, name);
}

static void describe_sve(struct gdb_text *text, unsigned int length)
{
	static const struct {
		unsigned int bits;
		const char *name, *floats;
	} lanes[] = {
		{ 128, "q", NULL },	  { 64, "d", "ieee_double" }, { 32, "s", "ieee_single" },
		{ 16, "h", "ieee_half" }, { 8, "b", NULL },
	};

	gdb_text_add(text, "<feature name=\"org.gnu.gdb.aarch64.sve\">");
	for (size_t i = 0; i < ARRAY_SIZE(lanes); i++)
		describe_lanes(text, lanes[i].name, lanes[i].bits, lanes[i].floats, length);
	gdb_text_add(text, "<union id=\"z\">");
	for (size_t i = 0; i < ARRAY_SIZE(lanes); i++)
		gdb_text_add(text, "<field name=\"%s\" type=\"%sn\"/>", lanes[i].name,
			     lanes[i].name);
	gdb_text_add(text, "</union><vector id=\"p\" type=\"uint8\" count=\"%u\"/>", length / 8);
	for (unsigned int i = 0; i < INSPECT_VECTORS; i++)
		gdb_text_add(text, "<reg name=\"z%u\" bitsize=\"%u\" type=\"z\"/>", i, length * 8);
	gdb_text_add(text,
		     "<reg name=\"fpsr\" bitsize=\"32\"/><reg name=\"fpcr\" bitsize=\"32\"/>");
	for (unsigned int i = INSPECT_P; i < INSPECT_FFR; i++)
		gdb_text_add(text, "<reg name=\"p%u\" bitsize=\"%u\" type=\"p\"/>", i - INSPECT_P,
			     length);
	gdb_text_add(text,
		     "<reg name=\"ffr\" bitsize=\"%u\" type=\"p\"/>"
		     "<reg name=\"vg\" bitsize=\"64\" type=\"int\"/></feature>",
		     length);
}

void debugger_describe(unsigned int sve_length, struct gdb_text *text)
{
	gdb_text_add(text, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
			   "<target><architecture>aarch64</architecture>"
			   "<feature name=\"org.gnu.gdb.aarch64.core\">");
	for (unsigned int i = 0; i < INSPECT_SP; i++)
		gdb_text_add(text, "<reg name=\"x%u\" bitsize=\"64\"/>", i);
	gdb_text_add(text, "<reg name=\"sp\" bitsize=\"64\" type=\"data_ptr\"/>"
			   "<reg name=\"pc\" bitsize=\"64\" type=\"code_ptr\"/>"
			   "<reg name=\"cpsr\" bitsize=\"32\"/></feature>");
	if (sve_length > 0)
		describe_sve(text, sve_length);
	else
		describe_vectors(text);
	gdb_text_add(text, "<feature name=\"nidus.system\">");
	for (unsigned int i = 0; i < inspect_system_count(); i++)
		gdb_text_add(text, "<reg name=\"%s\" bitsize=\"64\" group=\"system\"/>",
			     inspect_system_name(i));
	gdb_text_add(text, "</feature></target>");
}
