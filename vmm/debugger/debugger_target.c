// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a debugger is shown: a thread for each vCPU, with what it is doing now; and once the client
 * has attached to the guest inside, its second process, two of them, one a level, of which one is
 * in and has registers. Of the other its system registers are known, its memory, and where it goes
 * on: the guest inside where its hypervisor returns to, the hypervisor at its vectors.
 */
#include "debugger.h"

#include <errno.h>
#include <string.h>

#include "arm/sysreg.h"
#include "util.h"

/* Registers in the order of describe(). */
#define VECTORS	     32
#define FIRST_VECTOR INSPECT_CORE
#define FPSR	     (FIRST_VECTOR + VECTORS)
#define FPCR	     (FPSR + 1)
#define FIRST_SYSTEM (FPCR + 1)

#define CHUNK KIB(4)
#define EL2H  9

/* Looks into the vCPU of a thread; false: there is none. */
static bool look(struct debugger *debugger, struct gdb_thread thread, struct inspect *inspect)
{
	const struct vcpu *vcpu = debugger_vcpu(debugger, thread.thread - 1);

	return vcpu && inspect_begin(inspect, vcpu) >= 0;
}

/* Whether a thread is what its vCPU does now. */
static bool is_in(const struct debugger *debugger, const struct inspect *inspect,
		  struct gdb_thread thread)
{
	struct inspect_where where;

	inspect_where(inspect, &where);
	return !debugger->split || where.level == (unsigned int)thread.process;
}

struct gdb_thread debugger_target_thread(struct debugger *debugger, const struct vcpu *vcpu)
{
	struct gdb_thread thread = { 1, (int)vcpu->index + 1 };
	struct inspect inspect;

	if (look(debugger, thread, &inspect) && !is_in(debugger, &inspect, thread))
		thread.process = 2;
	return thread;
}

enum inspect_regime debugger_target_regime(struct debugger *debugger, struct gdb_thread thread)
{
	struct inspect inspect;

	if (debugger->regime != INSPECT_NOW)
		return debugger->regime;
	if (!look(debugger, thread, &inspect) || is_in(debugger, &inspect, thread))
		return INSPECT_NOW;
	return thread.process == 2 ? INSPECT_EL1_STAGE2 : INSPECT_EL2;
}

static bool next_thread(void *target, struct gdb_thread *thread)
{
	struct debugger *debugger = target;

	if (thread->process == 0)
		thread->process = 1;
	if (debugger_vcpu(debugger, thread->thread))
		thread->thread++;
	else if (thread->process == 1 && debugger->split && debugger_vcpu(debugger, 0))
		*thread = (struct gdb_thread){ 2, 1 };
	else
		return false;
	return true;
}

static void thread_name(void *target, struct gdb_thread thread, struct gdb_text *text)
{
	struct debugger *debugger = target;
	struct inspect_where where;
	struct inspect inspect;

	gdb_text_add(text, "vCPU %d", thread.thread - 1);
	if (!look(debugger, thread, &inspect))
		return;
	inspect_where(&inspect, &where);
	if (!is_in(debugger, &inspect, thread)) {
		gdb_text_add(text, " is at level %u", where.level);
		return;
	}
	gdb_text_add(text, " level %u: %s, EL%u", where.level, inspect_role_name(where.role),
		     where.el);
	if (where.level == 2)
		gdb_text_add(text, ", VMID %u%s", where.vmid, where.virtual_el2 ? ", its EL2" : "");
}

static int attach(void *target, int process)
{
	struct debugger *debugger = target;
	struct inspect inspect;

	if (process < 1 || process > 2 || !look(debugger, (struct gdb_thread){ 1, 1 }, &inspect) ||
	    (process == 2 && !inspect.el2))
		return -ESRCH;
	debugger->split |= process == 2;
	return 0;
}

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
	for (unsigned int i = 0; i < VECTORS; i++)
		gdb_text_add(text, "<reg name=\"v%u\" bitsize=\"128\" type=\"v\"/>", i);
	gdb_text_add(text, "<reg name=\"fpsr\" bitsize=\"32\"/><reg name=\"fpcr\" bitsize=\"32\"/>"
			   "</feature>");
}

static void describe(void *target, struct gdb_text *text)
{
	(void)target;
	gdb_text_add(text, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
			   "<target><architecture>aarch64</architecture>"
			   "<feature name=\"org.gnu.gdb.aarch64.core\">");
	for (unsigned int i = 0; i < INSPECT_SP; i++)
		gdb_text_add(text, "<reg name=\"x%u\" bitsize=\"64\"/>", i);
	gdb_text_add(text, "<reg name=\"sp\" bitsize=\"64\" type=\"data_ptr\"/>"
			   "<reg name=\"pc\" bitsize=\"64\" type=\"code_ptr\"/>"
			   "<reg name=\"cpsr\" bitsize=\"32\"/></feature>");
	describe_vectors(text);
	gdb_text_add(text, "<feature name=\"nidus.system\">");
	for (unsigned int i = 0; i < inspect_system_count(); i++)
		gdb_text_add(text, "<reg name=\"%s\" bitsize=\"64\" group=\"system\"/>",
			     inspect_system_name(i));
	gdb_text_add(text, "</feature></target>");
}

static unsigned int register_count(void *target)
{
	(void)target;
	return FIRST_SYSTEM + inspect_system_count();
}

static unsigned int register_size(unsigned int n)
{
	if (n == INSPECT_CPSR || n == FPSR || n == FPCR)
		return sizeof(uint32_t);
	return n >= FIRST_VECTOR && n < FPSR ? 16 : sizeof(uint64_t);
}

/* Of a thread that is not in. */
static int get_stored(const struct inspect *inspect, bool hypervisor, unsigned int n,
		      uint64_t *value)
{
	int err;

	*value = EL2H;
	switch (n) {
	case INSPECT_SP:
		return kvm_get_reg(inspect->vcpu_fd, hypervisor ? SYS_SP_EL2 : KVM_CORE_REG(sp_el1),
				   value);
	case INSPECT_PC:
		err = kvm_get_reg(inspect->vcpu_fd, hypervisor ? SYS_VBAR_EL2 : SYS_ELR_EL2, value);
		*value += hypervisor ? VECTOR_LOWER : 0;
		return err;
	case INSPECT_CPSR:
		return hypervisor ? 0 : kvm_get_reg(inspect->vcpu_fd, SYS_SPSR_EL2, value);
	default:
		return -ENOENT;
	}
}

static int get_number(const struct inspect *inspect, struct gdb_thread thread, bool in,
		      unsigned int n, uint64_t *value)
{
	if (n >= FIRST_SYSTEM)
		return inspect_system(inspect, n - FIRST_SYSTEM, value);
	if (!in)
		return get_stored(inspect, thread.process == 1, n, value);
	if (n < INSPECT_CORE)
		return inspect_core(inspect, n, value);
	return inspect_fp_status(inspect, n == FPCR, (uint32_t *)value);
}

static unsigned int get_register(void *target, struct gdb_thread thread, unsigned int n,
				 uint8_t value[GDB_REGISTER], bool *known)
{
	struct debugger *debugger = target;
	struct inspect inspect;
	uint64_t number = 0;
	bool in;

	*known = false;
	if (!look(debugger, thread, &inspect))
		return register_size(n);
	in = is_in(debugger, &inspect, thread);
	if (n >= FIRST_VECTOR && n < FPSR) {
		*known = in && inspect_vector(&inspect, n - FIRST_VECTOR, value) >= 0;
	} else {
		*known = get_number(&inspect, thread, in, n, &number) >= 0;
		number = htole64(number);
		memcpy(value, &number, sizeof(number));
	}
	return register_size(n);
}

static int set_register(void *target, struct gdb_thread thread, unsigned int n,
			const uint8_t value[GDB_REGISTER])
{
	struct debugger *debugger = target;
	struct inspect inspect;
	uint64_t number = 0;

	if (!look(debugger, thread, &inspect))
		return -ESRCH;
	memcpy(&number, value,
	       register_size(n) < sizeof(number) ? register_size(n) : sizeof(number));
	number = le64toh(number);
	if (n >= FIRST_SYSTEM)
		return inspect_set_system(&inspect, n - FIRST_SYSTEM, number);
	if (!is_in(debugger, &inspect, thread))
		return -ENOENT;
	if (n == INSPECT_CPSR)
		number |= inspect.now.pstate & BITS(63, 32);
	if (n < INSPECT_CORE)
		return inspect_set_core(&inspect, n, number);
	if (n == FPSR || n == FPCR)
		return inspect_set_fp_status(&inspect, n == FPCR, number);
	return inspect_set_vector(&inspect, n - FIRST_VECTOR, value);
}

/* Where the bytes at an address are, and how many of them lie there together. */
static bool find(struct inspect *inspect, enum inspect_regime regime, uint64_t address,
		 uint64_t *gpa, size_t *size)
{
	struct translation translation;

	if (inspect_translate(inspect, regime, address, &translation) != TRANSLATE_DONE)
		return false;
	*gpa = translation.gpa;
	if (*size > translation.size)
		*size = translation.size;
	if (*size > CHUNK - *gpa % CHUNK)
		*size = CHUNK - *gpa % CHUNK;
	return true;
}

static size_t read_memory(void *target, struct gdb_thread thread, uint64_t address, void *data,
			  size_t size)
{
	struct debugger *debugger = target;
	const enum inspect_regime regime = debugger_target_regime(debugger, thread);
	struct inspect inspect;
	size_t done = 0, step;
	uint64_t gpa;

	if (!look(debugger, thread, &inspect))
		return 0;
	for (; done < size; done += step) {
		uint8_t *const to = (uint8_t *)data + done;

		step = size - done;
		if (!find(&inspect, regime, address + done, &gpa, &step))
			break;
		step = inspect_read(&inspect, INSPECT_PHYSICAL, gpa, to, step);
		if (step == 0)
			break;
		debugger_points_hide(debugger, gpa, to, step);
		inspect.cached = regime;
	}
	return done;
}

static size_t write_memory(void *target, struct gdb_thread thread, uint64_t address,
			   const void *data, size_t size)
{
	struct debugger *debugger = target;
	const enum inspect_regime regime = debugger_target_regime(debugger, thread);
	struct inspect inspect;
	uint8_t copy[CHUNK];
	size_t done = 0, step;
	uint64_t gpa;

	if (!look(debugger, thread, &inspect))
		return 0;
	for (; done < size; done += step) {
		step = size - done;
		if (!find(&inspect, regime, address + done, &gpa, &step) ||
		    !memory_at(inspect.memory, gpa, step))
			break;
		memcpy(copy, (const uint8_t *)data + done, step);
		debugger_points_keep(debugger, gpa, copy, step);
		inspect_write_physical(inspect.memory, gpa, copy, step);
	}
	return done;
}

static unsigned int level_of(const struct debugger *debugger, struct gdb_thread thread)
{
	return debugger->split ? (unsigned int)thread.process : debugger->level;
}

static int insert(void *target, struct gdb_thread thread, enum gdb_point kind, uint64_t address,
		  uint64_t size)
{
	struct debugger *debugger = target;
	const struct point point = {
		.kind = kind,
		.level = level_of(debugger, thread),
		.vmid = debugger->vmid,
		.address = address,
		.size = size,
	};
	struct inspect inspect;

	if (!look(debugger, thread, &inspect))
		return -ESRCH;
	return debugger_points_insert(debugger, &point, &inspect,
				      debugger_target_regime(debugger, thread));
}

static int take_out(void *target, struct gdb_thread thread, enum gdb_point kind, uint64_t address,
		    uint64_t size)
{
	struct debugger *debugger = target;

	(void)size;
	return debugger_points_remove(debugger, kind, level_of(debugger, thread), address);
}

/*
 * Of the two threads of a vCPU, which come in the order of their processes, the one counts that is
 * in. To step the other is to get to where it goes on.
 */
static void act(void *target, struct gdb_thread thread, enum gdb_action action)
{
	struct debugger *debugger = target;
	struct debugged *debugged = &debugger->debugged[thread.thread - 1];
	struct inspect inspect;

	if (thread.process == 1)
		debugged->crosses = false;
	if (!look(debugger, thread, &inspect))
		return;
	if (is_in(debugger, &inspect, thread))
		debugged->action = action;
	else if (action == GDB_STEP)
		debugged->crosses = true;
}

static void resume(void *target)
{
	debugger_resume(target);
}

static void monitor(void *target, struct gdb_thread thread, const char *line, struct gdb_text *text)
{
	debugger_monitor(target, thread, line, text);
}

static void interrupted(void *target)
{
	struct debugger *debugger = target;

	debugger->interrupted = true;
	debugger_stop(debugger);
}

static void kill_guest(void *target)
{
	struct debugger *debugger = target;

	verdict_reach(&debugger->session->verdict, OUTCOME_QUIT);
}

static void gone(void *target)
{
	debugger_gone(target);
}

const struct gdb_ops debugger_target = {
	.next_thread = next_thread,
	.thread_name = thread_name,
	.attach = attach,
	.describe = describe,
	.register_count = register_count,
	.get_register = get_register,
	.set_register = set_register,
	.read = read_memory,
	.write = write_memory,
	.insert = insert,
	.remove = take_out,
	.act = act,
	.resume = resume,
	.monitor = monitor,
	.interrupted = interrupted,
	.kill = kill_guest,
	.gone = gone,
};
