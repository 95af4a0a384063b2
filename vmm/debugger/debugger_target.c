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

/* Registers in the order of describe(): a vector is a Z with SVE, else a V. */
#define FIRST_VECTOR INSPECT_CORE
#define FPSR	     (FIRST_VECTOR + INSPECT_VECTORS)
#define FPCR	     (FPSR + 1)
/* With SVE only. */
#define FIRST_PREDICATE (FPCR + 1)
#define PREDICATES	(INSPECT_SVE - INSPECT_P) /* with FFR */
#define VG		(FIRST_PREDICATE + PREDICATES)
#define V_SIZE		16 /* bytes */

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

static void describe(void *target, struct gdb_text *text)
{
	const struct debugger *debugger = target;

	debugger_describe(debugger->sve_length, text);
}

static unsigned int first_system(const struct debugger *debugger)
{
	return debugger->sve_length > 0 ? VG + 1 : FPCR + 1;
}

static unsigned int watchpoint_count(void *target)
{
	const struct debugger *debugger = target;

	return debugger->watchpoints;
}

static unsigned int register_count(void *target)
{
	return first_system(target) + inspect_system_count();
}

static bool is_vector(unsigned int n)
{
	return n >= FIRST_VECTOR && n < FPSR;
}

static bool is_predicate(const struct debugger *debugger, unsigned int n)
{
	return debugger->sve_length > 0 && n >= FIRST_PREDICATE && n < VG;
}

static unsigned int register_size(const struct debugger *debugger, unsigned int n)
{
	if (n == INSPECT_CPSR || n == FPSR || n == FPCR)
		return sizeof(uint32_t);
	if (is_predicate(debugger, n))
		return debugger->sve_length / 8;
	if (!is_vector(n))
		return sizeof(uint64_t);
	return debugger->sve_length > 0 ? debugger->sve_length : V_SIZE;
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

static int get_number(const struct debugger *debugger, const struct inspect *inspect,
		      struct gdb_thread thread, bool in, unsigned int n, uint64_t *value)
{
	int err;

	if (n >= first_system(debugger))
		return inspect_system(inspect, n - first_system(debugger), value);
	if (!in)
		return get_stored(inspect, thread.process == 1, n, value);
	if (n < INSPECT_CORE)
		return inspect_core(inspect, n, value);
	if (n != VG)
		return inspect_fp_status(inspect, n == FPCR, (uint32_t *)value);
	err = inspect_sve_length_now(inspect, value);
	*value /= sizeof(uint64_t);
	return err;
}

/* As inspect_sve() numbers what is_vector() or is_predicate(). */
static unsigned int sve_number(unsigned int n)
{
	return is_vector(n) ? n - FIRST_VECTOR : INSPECT_P + n - FIRST_PREDICATE;
}

static int get_vector(const struct debugger *debugger, const struct inspect *inspect,
		      unsigned int n, uint8_t value[GDB_REGISTER])
{
	if (debugger->sve_length == 0)
		return inspect_vector(inspect, n - FIRST_VECTOR, value);
	return inspect_sve(inspect, sve_number(n), value);
}

static int set_vector(const struct debugger *debugger, struct inspect *inspect, unsigned int n,
		      const uint8_t value[GDB_REGISTER])
{
	uint8_t padded[INSPECT_SVE_BYTES] = { 0 };

	if (debugger->sve_length == 0)
		return inspect_set_vector(inspect, n - FIRST_VECTOR, value);
	memcpy(padded, value, register_size(debugger, n));
	return inspect_set_sve(inspect, sve_number(n), padded);
}

void debugger_target_begin(struct debugger *debugger)
{
	struct inspect inspect;

	debugger->sve_length = 0;
	if (look(debugger, (struct gdb_thread){ 1, 1 }, &inspect))
		debugger->sve_length = inspect_sve_length(&inspect);
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
		return register_size(debugger, n);
	in = is_in(debugger, &inspect, thread);
	if (is_vector(n) || is_predicate(debugger, n)) {
		*known = in && get_vector(debugger, &inspect, n, value) >= 0;
	} else {
		*known = get_number(debugger, &inspect, thread, in, n, &number) >= 0;
		number = htole64(number);
		memcpy(value, &number, sizeof(number));
	}
	return register_size(debugger, n);
}

static int set_register(void *target, struct gdb_thread thread, unsigned int n,
			const uint8_t value[GDB_REGISTER])
{
	struct debugger *debugger = target;
	const unsigned int size = register_size(debugger, n);
	struct inspect inspect;
	uint64_t number = 0;

	if (!look(debugger, thread, &inspect))
		return -ESRCH;
	memcpy(&number, value, size < sizeof(number) ? size : sizeof(number));
	number = le64toh(number);
	if (n >= first_system(debugger))
		return inspect_set_system(&inspect, n - first_system(debugger), number);
	if (!is_in(debugger, &inspect, thread))
		return -ENOENT;
	if (n == INSPECT_CPSR)
		number |= inspect.now.pstate & BITS(63, 32);
	if (n < INSPECT_CORE)
		return inspect_set_core(&inspect, n, number);
	if (n == FPSR || n == FPCR)
		return inspect_set_fp_status(&inspect, n == FPCR, number);
	/* That is ZCR_EL1's, or ZCR_EL2's. */
	if (n == VG)
		return -EPERM;
	return set_vector(debugger, &inspect, n, value);
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
	.watchpoint_count = watchpoint_count,
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
