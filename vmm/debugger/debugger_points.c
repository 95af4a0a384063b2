// SPDX-License-Identifier: GPL-2.0-only
/*
 * Breakpoints and watchpoints. Those of software are instructions in RAM, found by where they are,
 * and so exact whatever maps them; all others are in the CPU's registers, which know virtual
 * addresses and nothing of levels: one that is hit elsewhere is stepped over in silence.
 */
#include <errno.h>
#include <string.h>

#include "arm/sysreg.h"
#include "debugger.h"
#include "host/log.h"
#include "util.h"

#define BRK UINT32_C(0xd4200000)

/* DBGBCR and DBGWCR, as the Arm ARM has them: at EL1 and EL0, where vEL2 is to the CPU. */
#define CONTROL_ENABLE	BIT(0)
#define CONTROL_EL10	BITS(2, 1)
#define CONTROL_LOAD	BIT(3)
#define CONTROL_STORE	BIT(4)
#define CONTROL_BAS	BITS(12, 5)
#define CONTROL_MASK	BITS(28, 24)
#define CONTROL_INSN	field_set(CONTROL_BAS, CONTROL_ENABLE | CONTROL_EL10, 0xf)
#define WATCH_SIZE_MAX	(UINT64_C(1) << 31)
#define DOUBLEWORD_SIZE 8

static bool is_watch(enum gdb_point kind)
{
	return kind >= GDB_WATCH_WRITE;
}

static unsigned int count_of(const struct debugger *debugger, bool watch)
{
	unsigned int count = 0;

	for (const struct point *point = debugger->points; point < debugger->points + POINTS_MAX;
	     point++)
		count += point->used && point->kind != GDB_BREAK_SOFTWARE &&
			 is_watch(point->kind) == watch;
	return count;
}

/* What registers can watch: within a doubleword, or a power of two that is aligned. */
static bool can_watch(uint64_t address, uint64_t size)
{
	if (size == 0 || size > WATCH_SIZE_MAX)
		return false;
	if (size <= DOUBLEWORD_SIZE)
		return address % DOUBLEWORD_SIZE + size <= DOUBLEWORD_SIZE;
	return (size & (size - 1)) == 0 && address % size == 0;
}

static bool is_same(const struct point *a, const struct point *b)
{
	return a->used && a->kind == b->kind && a->address == b->address && a->level == b->level;
}

bool debugger_points_full(const struct debugger *debugger)
{
	return count_of(debugger, false) >= debugger->breakpoints;
}

bool debugger_points_await(const struct debugger *debugger, const struct debugged *debugged)
{
	const struct debugged *const stepped = debugger->stepped;

	if (!stepped || debugger_points_full(debugger))
		return false;
	if (debugged == stepped)
		return debugged->awaited;
	return stepped->lands || stepped->where.level == 2;
}

const struct point *debugger_points_at(const struct debugger *debugger, uint64_t gpa)
{
	for (const struct point *point = debugger->points; point < debugger->points + POINTS_MAX;
	     point++)
		if (point->used && point->present && point->gpa == gpa)
			return point;
	return NULL;
}

static int plant(struct debugger *debugger, struct point *point, struct inspect *inspect,
		 enum inspect_regime regime)
{
	const uint32_t brk = htole32(BRK);
	const struct point *other;
	struct translation translation;

	if (point->address % INSN_SIZE != 0)
		return -EINVAL;
	if (inspect_translate(inspect, regime, point->address, &translation) != TRANSLATE_DONE)
		return -EFAULT;
	point->gpa = translation.gpa;
	other = debugger_points_at(debugger, point->gpa);
	if (other)
		point->insn = other->insn;
	else if (inspect_read(inspect, INSPECT_PHYSICAL, point->gpa, &point->insn, INSN_SIZE) !=
			 INSN_SIZE ||
		 !inspect_write_physical(inspect->memory, point->gpa, &brk, INSN_SIZE))
		return -EFAULT;
	point->present = true;
	return 0;
}

static void pull(struct debugger *debugger, struct point *point)
{
	const struct vcpu *vcpu = debugger_vcpu(debugger, 0);

	point->used = false;
	if (!point->present || !vcpu || debugger_points_at(debugger, point->gpa))
		return;
	inspect_write_physical(vcpu->env->memory, point->gpa, &point->insn, INSN_SIZE);
}

int debugger_points_insert(struct debugger *debugger, const struct point *wanted,
			   struct inspect *inspect, enum inspect_regime regime)
{
	const bool watch = is_watch(wanted->kind);
	struct point *free_point = NULL;
	int err = 0;

	for (struct point *point = debugger->points; point < debugger->points + POINTS_MAX;
	     point++) {
		if (is_same(point, wanted) &&
		    (point->present || watch || point->kind == GDB_BREAK_HARDWARE))
			return 0;
		if (!point->used || is_same(point, wanted))
			free_point = point;
	}
	if (!free_point)
		return -ENOSPC;
	if (wanted->kind != GDB_BREAK_SOFTWARE &&
	    count_of(debugger, watch) >= (watch ? debugger->watchpoints : debugger->breakpoints))
		return -ENOSPC;
	if (watch && !can_watch(wanted->address, wanted->size))
		return -EINVAL;
	*free_point = *wanted;
	if (wanted->kind == GDB_BREAK_SOFTWARE)
		err = plant(debugger, free_point, inspect, regime);
	free_point->used = err == 0;
	return err;
}

int debugger_points_remove(struct debugger *debugger, enum gdb_point kind, unsigned int level,
			   uint64_t address)
{
	const struct point wanted = { .kind = kind, .level = level, .address = address };
	int err = -ENOENT;

	for (struct point *point = debugger->points; point < debugger->points + POINTS_MAX; point++)
		if (is_same(point, &wanted)) {
			pull(debugger, point);
			err = 0;
		}
	return err;
}

void debugger_points_clear(struct debugger *debugger)
{
	for (struct point *point = debugger->points; point < debugger->points + POINTS_MAX; point++)
		if (point->used)
			pull(debugger, point);
}

void debugger_points_forget(struct debugger *debugger)
{
	for (struct point *point = debugger->points; point < debugger->points + POINTS_MAX; point++)
		point->present = false;
}

/* Puts insn where the point lies in data, which is from gpa on; or takes it from there. */
static void overlay(const struct point *point, uint32_t *insn, uint64_t gpa, void *data,
		    size_t size, bool take)
{
	uint8_t *const of_insn = (uint8_t *)insn, *const of_data = data;

	for (size_t i = 0; point->used && point->present && i < INSN_SIZE; i++) {
		const uint64_t at = point->gpa + i - gpa;

		if (at < size && take)
			of_insn[i] = of_data[at];
		else if (at < size)
			of_data[at] = of_insn[i];
	}
}

void debugger_points_hide(const struct debugger *debugger, uint64_t gpa, void *data, size_t size)
{
	for (unsigned int i = 0; i < POINTS_MAX; i++) {
		uint32_t insn = debugger->points[i].insn;

		overlay(&debugger->points[i], &insn, gpa, data, size, false);
	}
}

void debugger_points_keep(struct debugger *debugger, uint64_t gpa, void *data, size_t size)
{
	uint32_t brk = htole32(BRK);

	/* All points of a place learn of it before it becomes a breakpoint's. */
	for (unsigned int i = 0; i < POINTS_MAX; i++)
		overlay(&debugger->points[i], &debugger->points[i].insn, gpa, data, size, true);
	for (unsigned int i = 0; i < POINTS_MAX; i++)
		overlay(&debugger->points[i], &brk, gpa, data, size, false);
}

bool debugger_points_match(const struct point *point, const struct inspect_where *where)
{
	return point->used && (point->level == LEVEL_ANY || point->level == where->level) &&
	       (point->vmid == VMID_ANY || where->level == 1 || point->vmid == where->vmid);
}

static void arm_breakpoint(struct kvm_guest_debug *debug, unsigned int *slot, uint64_t address)
{
	debug->arch.dbg_bvr[*slot] = address;
	debug->arch.dbg_bcr[(*slot)++] = CONTROL_INSN;
	debug->control |= KVM_GUESTDBG_USE_HW;
}

static void arm_watchpoint(struct kvm_guest_debug *debug, unsigned int slot,
			   const struct point *point)
{
	const unsigned int offset = point->address % DOUBLEWORD_SIZE;
	uint64_t control = CONTROL_ENABLE | CONTROL_EL10;

	if (point->kind != GDB_WATCH_WRITE)
		control |= CONTROL_LOAD;
	if (point->kind != GDB_WATCH_READ)
		control |= CONTROL_STORE;
	if (point->size <= DOUBLEWORD_SIZE) {
		control = field_set(CONTROL_BAS, control, ((1u << point->size) - 1) << offset);
	} else {
		control = field_set(CONTROL_BAS, control, 0xff);
		control = field_set(CONTROL_MASK, control, __builtin_ctzll(point->size));
	}
	debug->arch.dbg_wvr[slot] = point->address - offset;
	debug->arch.dbg_wcr[slot] = control;
	debug->control |= KVM_GUESTDBG_USE_HW;
}

/*
 * In a step the breakpoints are only those of where it may land: one of the user's on the way would
 * be the step's end just the same. Past a point of another level there are none.
 */
void debugger_points_arm(struct debugger *debugger, const struct vcpu *vcpu)
{
	const struct debugged *debugged = &debugger->debugged[vcpu->index];
	const bool steps = debugged->phase == STEP_ONE || debugged->phase == STEP_OVER;
	struct kvm_guest_debug debug = { 0 };
	unsigned int breakpoints = 0, watchpoints = 0;
	int err;

	if (steps && !(debugged->lands && debugger->breakpoints > 0))
		debug.control |= KVM_GUESTDBG_SINGLESTEP;
	if (!steps && debugger_points_await(debugger, debugged))
		arm_breakpoint(&debug, &breakpoints, debugger->stepped->pc);
	for (unsigned int i = 0; i < debugged->landings && steps; i++)
		if (breakpoints < debugger->breakpoints)
			arm_breakpoint(&debug, &breakpoints, debugged->landing[i]);
	for (const struct point *point = debugger->points; point < debugger->points + POINTS_MAX;
	     point++) {
		if (!point->used)
			continue;
		if (point->kind == GDB_BREAK_SOFTWARE)
			debug.control |= point->present ? KVM_GUESTDBG_USE_SW_BP : 0;
		else if (is_watch(point->kind) && debugged->phase != STEP_OVER)
			arm_watchpoint(&debug, watchpoints++, point);
		else if (point->kind == GDB_BREAK_HARDWARE && !steps &&
			 breakpoints < debugger->breakpoints)
			arm_breakpoint(&debug, &breakpoints, point->address);
	}
	if (debug.control != 0)
		debug.control |= KVM_GUESTDBG_ENABLE;
	err = kvm_set_guest_debug(vcpu->fd, &debug);
	if (err < 0 && debug.control != 0)
		log_warning("debugging vCPU %u: %s", vcpu->index, strerror(-err));
}
