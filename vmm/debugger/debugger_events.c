// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. KVM takes all debug exceptions of a vCPU as soon as anything of it is
 * debugged, at whatever level it is (MDCR_EL2.TDE): those that nobody here has asked for are the
 * guest's, and it gets them.
 *
 * A step is KVM's, with interrupts masked, which would come first else. The guest sees nothing of
 * the masks: they are taken back from PSTATE afterwards, from SPSR_ELx where the instruction has
 * taken an exception, and from what it has read or made of them. In the guest inside its
 * hypervisor's interrupts are not masked by that. Then the vCPU stands at a vector, and its ELR_ELx
 * is where it was: it runs until it is there again, with the same SP and at the same level, and
 * takes the step anew.
 *
 * Where KVM emulates a change of level (ERET to the guest inside, exceptions from there), the first
 * instruction at the other end would be a part of the step. Breakpoints at these ends stop before
 * it; and an ERET that leads down is no step to KVM at all, but the way to such a breakpoint, as an
 * interrupt that waits for it leads straight up again. Having seen to that the hypervisor may go
 * down with another vCPU: one that gets there with the same SP ends the step.
 *
 * All of this is the vCPU's thread's, but for the beginning of a step, while all stay.
 */
#include "debugger.h"

#include "arm/sysreg.h"
#include "util.h"

#define SYS_REG(op1, crn, crm, op2) ARM64_SYS_REG(3, op1, crn, crm, op2)
#define SYS_VBAR_EL1		    SYS_REG(0, 12, 0, 0)

/* Exception classes, ESR_ELx.EC. */
#define ESR_EC	      BITS(31, 26)
#define EC_BREAKPOINT 0x30
#define EC_STEP	      0x32
#define EC_WATCHPOINT 0x34

#define INSN_ERET UINT32_C(0xd69f03e0)
/* SVC, HVC, SMC, BRK. */
#define INSN_EXCEPTION UINT32_C(0xd4000000)
/* Of a register, and of immediate bits 11 to 8: D, A, I, F. */
#define INSN_MRS_DAIF UINT32_C(0xd53b4220)
#define INSN_MSR_DAIF UINT32_C(0xd51b4220)
#define INSN_DAIFSET  UINT32_C(0xd50340df)
#define INSN_DAIFCLR  UINT32_C(0xd50340ff)

/* PSTATE.I and F. */
#define MASKS BITS(7, 6)

/* A table of vectors, in bytes, and the bits of an offset that tell kinds apart. */
#define VECTOR_KIND BITS(8, 7) /* 0: synchronous */
#define VECTORS	    0x800

/* An access may begin before what is watched: DC ZVA is the longest. */
#define ACCESS_MAX 2048

/* Where a vCPU that has exited is; everything else is looked up if need be. */
struct place {
	struct inspect inspect;
	struct inspect_where where;
	uint64_t pc, sp;
};

/* By inspect.now. */
static int fill_place(struct place *place)
{
	place->pc = place->inspect.now.pc;
	place->sp = 0;
	inspect_where(&place->inspect, &place->where);
	return inspect_core(&place->inspect, INSPECT_SP, &place->sp);
}

static int find_place(struct place *place, const struct vcpu *vcpu)
{
	const int err = inspect_begin(&place->inspect, vcpu);

	return err < 0 ? err : fill_place(place);
}

static uint64_t get(const struct place *place, uint64_t id)
{
	uint64_t value = 0;

	/* What the vCPU does not have leads nowhere. */
	kvm_get_reg(place->inspect.vcpu_fd, id, &value);
	return value;
}

static uint32_t fetch(struct place *place)
{
	uint32_t insn = 0;

	inspect_read(&place->inspect, INSPECT_NOW, place->pc, &insn, sizeof(insn));
	return le32toh(insn);
}

/* Whether the hypervisor is about to go to what is below it. */
static bool leads_down(struct place *place)
{
	return place->where.el == 2 && fetch(place) == INSN_ERET &&
	       field_get(PSTATE_EL, get(place, SYS_SPSR_EL2)) < 2;
}

/* Where an ERET of the hypervisor's leads, with that HCR_EL2. */
static struct place find_target(const struct place *place, uint64_t hcr)
{
	struct place target = *place;

	target.inspect.now.pc = get(place, SYS_ELR_EL2);
	target.inspect.now.hcr = hcr;
	target.inspect.now.pstate = get(place, SYS_SPSR_EL2);
	fill_place(&target);
	return target;
}

static void mask(const struct debugger *debugger, struct debugged *debugged, struct place *place)
{
	const uint64_t pstate = place->inspect.now.pstate;

	debugged->insn = fetch(place);
	/*
	 * ERET takes its own. And where an exception ends beyond its vector, nobody could tell that
	 * it was one.
	 */
	if ((pstate & MASKS) == MASKS || debugged->insn >> 16 == INSN_ERET >> 16 ||
	    (place->inspect.el2 && debugger->breakpoints < LANDINGS_MAX))
		return;
	debugged->masked = inspect_set_core(&place->inspect, INSPECT_CPSR, pstate | MASKS) >= 0;
	debugged->masks = pstate & MASKS;
}

/* Whether the vCPU is at a vector, with the instruction of the step, or the next one, to go on at.
 */
static bool is_at_vector(const struct debugged *debugged, const struct place *place,
			 uint64_t *offset)
{
	const bool at_el2 = place->where.el == 2;
	const uint64_t elr = get(place, at_el2 ? SYS_ELR_EL2 : KVM_CORE_REG(elr_el1));
	const bool is_call = debugged->insn >> 24 == INSN_EXCEPTION >> 24;

	*offset = place->pc - get(place, at_el2 ? SYS_VBAR_EL2 : SYS_VBAR_EL1);
	return place->where.el > 0 && *offset < VECTORS && *offset % VECTOR_SIZE == 0 &&
	       (elr == debugged->pc || (is_call && elr == debugged->pc + INSN_SIZE));
}

/* What an instruction that has been executed has to do with masks; false: it has set PSTATE's. */
static bool correct(struct debugged *debugged, struct place *place)
{
	const uint32_t insn = debugged->insn;
	const uint64_t named = (uint64_t)bits(insn, 11, 8) << 6 & MASKS;
	const unsigned int n = insn & 31;
	uint64_t x;

	if ((insn & ~UINT32_C(0xf00)) == INSN_DAIFSET)
		debugged->masks |= named;
	else if ((insn & ~UINT32_C(0xf00)) == INSN_DAIFCLR)
		debugged->masks &= ~named;
	else if ((insn & ~UINT32_C(0x1f)) == INSN_MSR_DAIF)
		return false;
	else if ((insn & ~UINT32_C(0x1f)) == INSN_MRS_DAIF && n < INSPECT_SP &&
		 inspect_core(&place->inspect, n, &x) >= 0)
		inspect_set_core(&place->inspect, n, (x & ~MASKS) | debugged->masks);
	return true;
}

static void unmask(struct debugged *debugged, struct place *place)
{
	uint64_t id = KVM_CORE_REG(regs.pstate), value, offset;

	if (!debugged->masked)
		return;
	debugged->masked = false;
	if (is_at_vector(debugged, place, &offset))
		id = place->where.el == 2 ? SYS_SPSR_EL2 : KVM_CORE_REG(spsr[0]);
	else if (place->pc == debugged->pc + INSN_SIZE && !correct(debugged, place))
		return;
	value = (get(place, id) & ~MASKS) | debugged->masks;
	kvm_set_reg(place->inspect.vcpu_fd, id, &value);
	regime_read_state(&place->inspect.now, place->inspect.vcpu_fd);
}

/* Where KVM would go on beyond the end of a step: down, or up to vectors for what is below. */
static void find_landings(struct debugged *debugged, struct place *place, bool down)
{
	const uint64_t vectors = get(place, SYS_VBAR_EL2) + VECTOR_LOWER;

	debugged->landings = 0;
	if (!place->inspect.el2)
		return;
	if (down)
		debugged->landing[debugged->landings++] = get(place, SYS_ELR_EL2);
	for (unsigned int i = 0; i < 2 && place->where.el < 2; i++)
		debugged->landing[debugged->landings++] = vectors + i * VECTOR_SIZE;
}

/* Where others may come by, to take the step there or to end it. */
static void await_at(struct debugged *debugged, const struct place *place)
{
	debugged->awaited = false;
	debugged->pc = place->pc;
	debugged->sp = place->sp;
	debugged->where = place->where;
}

/* Begins a step at the place; phase: STEP_ONE or STEP_OVER. */
static void begin_step(const struct debugger *debugger, struct debugged *debugged,
		       struct place *place, enum step_phase phase)
{
	struct place target;

	debugged->phase = phase;
	debugged->lands = leads_down(place);
	find_landings(debugged, place, debugged->lands);
	if (phase != STEP_ONE)
		return;
	if (debugged->lands)
		target = find_target(place, place->inspect.now.hcr);
	await_at(debugged, debugged->lands ? &target : place);
	mask(debugger, debugged, place);
}

static void begin_crossing(struct debugged *debugged, struct place *place)
{
	/* The hypervisor may be in its host: it is its guest that the way leads to. */
	const uint64_t hcr = (place->inspect.now.hcr | HCR_VM) & ~HCR_TGE;
	const bool down = place->where.el == 2;
	struct place target;

	debugged->phase = STEP_ONE;
	debugged->lands = true;
	find_landings(debugged, place, down);
	/* Up, it may be interrupted as it likes. */
	debugged->pc = UINT64_MAX;
	if (!down)
		return;
	target = find_target(place, hcr);
	await_at(debugged, &target);
}

/* Whether the vCPU is at a vector of interrupts, having left what was to be stepped as it was. */
static bool is_interrupted(const struct debugged *debugged, const struct place *place)
{
	uint64_t offset;

	return is_at_vector(debugged, place, &offset) && (offset & VECTOR_KIND) != 0;
}

static bool is_back(const struct debugged *debugged, const struct place *place)
{
	return place->pc == debugged->pc && place->sp == debugged->sp &&
	       place->where.el == debugged->where.el &&
	       place->where.level == debugged->where.level &&
	       place->where.vmid == debugged->where.vmid;
}

/* The vCPU stays, and the loop is told; reason: NULL for a step. */
static bool stop(struct debugger *debugger, struct vcpu *vcpu, const char *reason, uint64_t address)
{
	struct debugged *debugged = &debugger->debugged[vcpu->index];

	debugged->phase = STEP_NONE;
	debugged->awaited = debugged->asked = false;
	debugged->hit = true;
	debugged->reason = reason;
	debugged->address = address;
	vcpu_stay(vcpu);
	event_notify(&debugger->hits);
	return true;
}

static bool go_on(struct debugger *debugger, struct vcpu *vcpu)
{
	debugger_points_arm(debugger, vcpu);
	return true;
}

/* An instruction has been executed, or not for an interrupt. */
static bool step_ended(struct debugger *debugger, struct vcpu *vcpu, struct place *place)
{
	struct debugged *debugged = &debugger->debugged[vcpu->index];
	const bool asked = debugged->phase == STEP_ONE || debugged->asked;

	debugged->asked = false;
	debugged->awaited |=
		asked && is_interrupted(debugged, place) && !debugger_points_full(debugger);
	if (asked && !debugged->awaited)
		return stop(debugger, vcpu, NULL, 0);
	debugged->phase = STEP_NONE;
	return go_on(debugger, vcpu);
}

static bool step_over(struct debugger *debugger, struct vcpu *vcpu, struct place *place)
{
	struct debugged *debugged = &debugger->debugged[vcpu->index];

	/* It may be in the midst of a step, at a watchpoint: that one is told of all the same. */
	if (debugged->phase == STEP_ONE) {
		begin_step(debugger, debugged, place, STEP_ONE);
		debugged->asked = true;
	}
	begin_step(debugger, debugged, place, STEP_OVER);
	return go_on(debugger, vcpu);
}

static bool at_breakpoint(struct debugger *debugger, struct vcpu *vcpu, struct place *place)
{
	struct debugged *debugged = &debugger->debugged[vcpu->index];

	if (debugged->phase == STEP_ONE || debugged->phase == STEP_OVER)
		return step_ended(debugger, vcpu, place);
	if (debugger_points_await(debugger, debugged) && is_back(debugger->stepped, place)) {
		if (debugger->stepped->lands)
			return stop(debugger, vcpu, NULL, 0);
		begin_step(debugger, debugged, place, STEP_ONE);
		return go_on(debugger, vcpu);
	}
	for (const struct point *point = debugger->points; point < debugger->points + POINTS_MAX;
	     point++)
		if (point->kind == GDB_BREAK_HARDWARE && point->address == place->pc &&
		    debugger_points_match(point, &place->where))
			return stop(debugger, vcpu, "hwbreak", 0);
	return step_over(debugger, vcpu, place);
}

static const char *watch_name(enum gdb_point kind)
{
	return kind == GDB_WATCH_WRITE ? "watch" : kind == GDB_WATCH_READ ? "rwatch" : "awatch";
}

static bool at_watchpoint(struct debugger *debugger, struct vcpu *vcpu, struct place *place)
{
	const uint64_t far = vcpu->run->debug.arch.far;

	for (const struct point *point = debugger->points; point < debugger->points + POINTS_MAX;
	     point++) {
		const uint64_t last = point->address + point->size - 1;

		if (point->kind < GDB_WATCH_WRITE || far > last ||
		    (far < point->address && point->address - far > ACCESS_MAX))
			continue;
		if (debugger_points_match(point, &place->where))
			return stop(debugger, vcpu, watch_name(point->kind), point->address);
	}
	return step_over(debugger, vcpu, place);
}

static bool at_instruction(struct debugger *debugger, struct vcpu *vcpu, struct place *place,
			   uint64_t esr)
{
	struct translation translation;

	if (inspect_translate(&place->inspect, INSPECT_NOW, place->pc, &translation) ==
		    TRANSLATE_DONE &&
	    debugger_points_at(debugger, translation.gpa))
		return stop(debugger, vcpu, "swbreak", 0);
	return debugger_inject(&place->inspect, &place->where, esr) >= 0
		       ? true
		       : stop(debugger, vcpu, NULL, 0);
}

bool debugger_events_exit(struct vcpu *vcpu)
{
	struct debugger *debugger = vcpu->env->debugger;
	const uint64_t esr = vcpu->run->debug.arch.hsr;
	struct place place;

	if (find_place(&place, vcpu) < 0)
		return stop(debugger, vcpu, NULL, 0);
	unmask(&debugger->debugged[vcpu->index], &place);
	switch (field_get(ESR_EC, esr)) {
	case EC_STEP:
		return step_ended(debugger, vcpu, &place);
	case EC_BREAKPOINT:
		return at_breakpoint(debugger, vcpu, &place);
	case EC_WATCHPOINT:
		return at_watchpoint(debugger, vcpu, &place);
	default:
		return at_instruction(debugger, vcpu, &place, esr);
	}
}

void debugger_events_end(struct debugger *debugger, struct vcpu *vcpu)
{
	struct place place;

	if (debugger->debugged[vcpu->index].masked && find_place(&place, vcpu) >= 0)
		unmask(&debugger->debugged[vcpu->index], &place);
}

void debugger_events_begin(struct debugger *debugger, struct vcpu *vcpu)
{
	struct debugged *debugged = &debugger->debugged[vcpu->index];
	struct place place;

	debugged->hit = debugged->awaited = debugged->asked = false;
	debugged->phase = STEP_NONE;
	if ((debugged->action != GDB_STEP && !debugged->crosses) || find_place(&place, vcpu) < 0)
		return;
	if (debugged->crosses)
		begin_crossing(debugged, &place);
	else
		begin_step(debugger, debugged, &place, STEP_ONE);
	/* On the way up nobody else comes by. */
	if (!debugged->crosses || place.where.el == 2)
		debugger->stepped = debugged;
}
