/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the debugger's parts share. Points and what vCPUs are to do change only while all vCPUs
 * stay, by the loop's thread; vCPU threads read them, and write what belongs to their own vCPU.
 */
#ifndef NIDUS_DEBUGGER_PARTS_H
#define NIDUS_DEBUGGER_PARTS_H

#include "children/porter.h"
#include "debugger/debugger.h"
#include "gdb/gdb_server.h"
#include "inspect/inspect.h"

#define SYS_SPSR_EL2 ARM64_SYS_REG(3, 4, 4, 0, 0)
#define SYS_ELR_EL2  ARM64_SYS_REG(3, 4, 4, 0, 1)
#define SYS_VBAR_EL2 ARM64_SYS_REG(3, 4, 12, 0, 0)
#define SYS_SP_EL2   ARM64_SYS_REG(3, 6, 4, 1, 0)

#define INSN_SIZE sizeof(uint32_t)

/* Offsets in a table of vectors: what comes synchronously from below, by AArch64. */
#define VECTOR_LOWER 0x400
#define VECTOR_SIZE  0x80

#define LEVEL_ANY  0
#define VMID_ANY   (-1)
#define POINTS_MAX 64

/* A breakpoint or a watchpoint. */
struct point {
	bool used;
	enum gdb_point kind;
	unsigned int level; /* of a nest: 1, 2 or LEVEL_ANY */
	int vmid; /* of level 2, or VMID_ANY */
	uint64_t address; /* virtual */
	uint64_t size;
	/* Of software: the instruction's place, and what it was; not there after a reset. */
	bool present;
	uint64_t gpa;
	uint32_t insn;
};

#define LANDINGS_MAX 2

/* What becomes of a vCPU that is to execute one instruction. */
enum step_phase {
	STEP_NONE,
	STEP_ONE, /* the instruction is being executed */
	STEP_OVER, /* so it is, past a point that is none of this level's: nobody is told */
};

struct debugged {
	enum gdb_action action;
	bool asked; /* STEP_OVER is the rest of a STEP_ONE */
	bool crosses; /* to the level that it is not at, and no further */
	enum step_phase phase;
	bool masked; /* interrupts, for STEP_ONE; masks: what the guest has of them in PSTATE */
	uint64_t masks;
	uint32_t insn; /* that is stepped */
	bool awaited; /* an interrupt came before STEP_ONE, which begins anew where it began */
	/* Where that is, or if it lands, where that ends. */
	uint64_t pc, sp;
	struct inspect_where where;
	/* Where it may end without KVM's counting that as a step. */
	uint64_t landing[LANDINGS_MAX];
	unsigned int landings;
	bool lands; /* at one of them, and that is all that ends the step */

	uint64_t exits[COUNTERS_REASONS]; /* as it had them when it last went on */
	atomic_bool hit; /* it has come to a stop by itself */
	const char *reason;
	uint64_t address;
};

struct debugger {
	struct session *session;
	struct session_watcher watcher;
	struct gdb_place place;
	struct porter_service removal; /* of its path, in the end */
	struct gdb_server server;
	struct event_notifier hits; /* of any vCPU */
	struct hold hold;

	bool holding; /* hold has begun */
	bool stopped; /* all vCPUs stay, those of machines to come included */
	bool interrupted; /* by the client */
	bool leaving; /* the client has gone: nothing of it is to be left */
	bool waiting; /* a client is to be told when all has stopped */
	int last; /* the vCPU of the last stop */

	unsigned int sve_length; /* as the client has been told, in bytes; 0: vCPUs have no SVE */
	bool split; /* the client has the guest inside as a process of its own */
	enum inspect_regime regime; /* of memory; INSPECT_NOW: as the thread has it */
	unsigned int level; /* of points to come, as long as the processes are not split */
	int vmid;

	struct point points[POINTS_MAX];
	unsigned int breakpoints, watchpoints; /* that KVM has */
	struct debugged *debugged; /* one a vCPU */
	/*
	 * That of the vCPU that was told to step, or NULL. A hypervisor may go on with its guest on
	 * another vCPU than was interrupted, which takes the step then.
	 */
	const struct debugged *stepped;
	unsigned int count;
};

/* The machine's vCPU of that number; NULL: there is no machine. */
struct vcpu *debugger_vcpu(struct debugger *debugger, unsigned int index);

/* Points. Errors: -errno. */
int debugger_points_insert(struct debugger *debugger, const struct point *point,
			   struct inspect *inspect, enum inspect_regime regime);
int debugger_points_remove(struct debugger *debugger, enum gdb_point kind, unsigned int level,
			   uint64_t address);
/* All of them; they are gone from memory as well. */
void debugger_points_clear(struct debugger *debugger);
/* The guest's RAM is another one: software breakpoints are not in it. */
void debugger_points_forget(struct debugger *debugger);
/* data has been read from gpa on: shows what the guest has there. To be written: keeps points. */
void debugger_points_hide(const struct debugger *debugger, uint64_t gpa, void *data, size_t size);
void debugger_points_keep(struct debugger *debugger, uint64_t gpa, void *data, size_t size);
/* Whether a vCPU that is there is one of those that a point is for. */
bool debugger_points_match(const struct point *point, const struct inspect_where *where);
/* The software breakpoint at a place in RAM, or NULL. */
const struct point *debugger_points_at(const struct debugger *debugger, uint64_t gpa);
/* Whether all breakpoints that KVM has are taken. */
bool debugger_points_full(const struct debugger *debugger);
/* Whether a vCPU may come by where the step began and take it. */
bool debugger_points_await(const struct debugger *debugger, const struct debugged *debugged);
/* Tells KVM what the vCPU is to exit for. */
void debugger_points_arm(struct debugger *debugger, const struct vcpu *vcpu);

/* Events, in vCPU threads: vcpu_env.debugged. */
bool debugger_events_exit(struct vcpu *vcpu);
/* All stay: whatever the vCPU was at, it shows the guest's own registers. */
void debugger_events_end(struct debugger *debugger, struct vcpu *vcpu);
/* All stay: a vCPU is to go on as its action says; to be armed when all are. */
void debugger_events_begin(struct debugger *debugger, struct vcpu *vcpu);
/* The guest takes the exception that it has caused itself; where: inspect_where() of it. */
int debugger_inject(struct inspect *inspect, const struct inspect_where *where, uint64_t esr);

/* What gdb asks. */
extern const struct gdb_ops debugger_target;
/* The thread that a vCPU is now. */
struct gdb_thread debugger_target_thread(struct debugger *debugger, const struct vcpu *vcpu);
/* All stay: what is to be told of vCPUs to a client that has come. */
void debugger_target_begin(struct debugger *debugger);
/* The target description of vCPUs, with SVE of that length. */
void debugger_describe(unsigned int sve_length, struct gdb_text *text);
enum inspect_regime debugger_target_regime(struct debugger *debugger, struct gdb_thread thread);
void debugger_monitor(struct debugger *debugger, struct gdb_thread thread, const char *line,
		      struct gdb_text *text);

/* What interrupts of a vCPU that rests are waiting for; el2: it has one. */
void debugger_vgic(const struct debugger *debugger, const struct vcpu *vcpu, bool el2,
		   struct gdb_text *text);

/* Running and stopping. */
void debugger_stop(struct debugger *debugger);
void debugger_resume(struct debugger *debugger);
void debugger_gone(struct debugger *debugger);

#endif
