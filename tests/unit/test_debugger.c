// SPDX-License-Identifier: GPL-2.0-only
/*
 * The debugger from its client's socket to KVM's registers: what a client asks, what a vCPU's
 * thread makes of KVM_EXIT_DEBUG, and what is left when the client has gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "debugger/debugger.h"
#include "fake_kvm.h"
#include "unit.h"
#include "util.h"
#include "vcpu/exit.h"

#define RAM   GIB(1)
#define SIZE  MIB(2)
#define VCPUS 2

#define SYS(op1, crn, crm, op2) ARM64_SYS_REG(3, op1, crn, crm, op2)
#define PSTATE			KVM_CORE_REG(regs.pstate)
#define ELR_EL1			KVM_CORE_REG(elr_el1)
#define SPSR_EL1		KVM_CORE_REG(spsr[0])
#define SP_EL1			KVM_CORE_REG(sp_el1)
#define MMFR0			SYS(0, 0, 7, 0)
#define VBAR_EL1		SYS(0, 12, 0, 0)
#define ESR_EL1			SYS(0, 5, 2, 0)
#define HCR_EL2			SYS(4, 1, 1, 0)
#define VTTBR_EL2		SYS(4, 2, 1, 0)
#define VBAR_EL2		SYS(4, 12, 0, 0)
#define ELR_EL2			SYS(4, 4, 0, 1)
#define SPSR_EL2		SYS(4, 4, 0, 0)
#define ESR_EL2			SYS(4, 5, 2, 0)
#define SP_EL2			SYS(6, 4, 1, 0)

#define EL1H 5
#define EL2H 9
#define DAIF (15u << 6)

#define HCR_VM	UINT64_C(1)
#define HCR_TGE (UINT64_C(1) << 27)

#define EC(class) ((class) << 26)
#define BREAK	  EC(0x30u)
#define STEP	  EC(0x32u)
#define WATCH	  EC(0x34u)
#define BRK	  EC(0x3cu)

#define BRK_INSN  0xd4200000
#define ERET_INSN 0xd69f03e0

#define STEPS KVM_GUESTDBG_SINGLESTEP
#define ON    KVM_GUESTDBG_ENABLE
#define SW    KVM_GUESTDBG_USE_SW_BP
#define HW    KVM_GUESTDBG_USE_HW

static struct config config;
static struct session session;
static struct debugger *debugger;
static struct cpu_model model;
static struct vcpu vcpus[VCPUS];
static struct kvm_run runs[VCPUS];
static char where[16];
static int client;

/* No vCPU runs here. */

int kvm_run(int vcpu_fd)
{
	return -EINVAL;
}

int kvm_create_vcpu(int vm_fd, unsigned int id)
{
	return -EINVAL;
}

int kvm_stats_fd(int fd)
{
	return -EINVAL;
}

const char *exit_name(unsigned int reason)
{
	return reason == KVM_EXIT_MMIO ? "mmio" : NULL;
}

static uint32_t *insn_at(uint64_t gpa)
{
	return (uint32_t *)(session.machine.memory.host + (gpa - RAM));
}

/* A machine whose vCPUs' threads have not begun, so that they are at rest. */
static void machine_starts(void)
{
	struct vcpu_env *env = &session.machine.env;

	*env = (struct vcpu_env){
		.memory = &session.machine.memory,
		.model = &model,
		.vcpus = vcpus,
		.count = VCPUS,
	};
	for (unsigned int i = 0; i < VCPUS; i++)
		vcpus[i] = (struct vcpu){
			.env = env,
			.index = i,
			.fd = 10 + (int)i,
			.run = &runs[i],
			.job_lock = PTHREAD_MUTEX_INITIALIZER,
			.changed = PTHREAD_COND_INITIALIZER,
		};
	session.machine_exists = true;
	holds_attach(&session.holds, env);
	if (session.watchers)
		session.watchers->begins(session.watchers);
}

static int begin(void **state)
{
	int pair[2];

	catch_begin(state);
	fake_kvm_reset();
	fake_kvm.capability[KVM_CAP_GUEST_DEBUG_HW_BPS] = 2;
	fake_kvm.capability[KVM_CAP_GUEST_DEBUG_HW_WPS] = 1;
	config = (struct config){ .gdb = where };
	session = (struct session){ .config = &config };
	session.machine.memory = (struct memory){ .base = RAM, .size = SIZE };
	session.machine.memory.host = aligned_alloc(MIB(2), SIZE);
	memset(session.machine.memory.host, 0, SIZE);
	assert_int_equal(event_loop_create(&session.loop), 0);
	assert_int_equal(verdict_create(&session.verdict, &session.loop), 0);
	holds_create(&session.holds, &session.loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	snprintf(where, sizeof(where), "fd:%d", pair[0]);
	client = pair[1];
	fake_kvm_give(PSTATE, EL1H);
	fake_kvm_give(MMFR0, 2);
	fake_kvm_give(KVM_CORE_REG(regs.sp), 0x4000);
	fake_kvm_give(SP_EL1, 0x5000);
	fake_kvm_give(ELR_EL1, 0);
	fake_kvm_give(SPSR_EL1, 0);
	fake_kvm_give(VBAR_EL1, RAM + 0x10000);
	fake_kvm_give(ESR_EL1, 0);
	fake_kvm.pc = RAM + 0x1000;
	return 0;
}

static void listen_now(void)
{
	assert_int_equal(debugger_create(&debugger, &session), 0);
	assert_non_null(debugger);
	machine_starts();
}

static int end(void **state)
{
	if (debugger)
		debugger_destroy(debugger, 0);
	debugger = NULL;
	close(client);
	holds_destroy(&session.holds);
	verdict_destroy(&session.verdict);
	event_loop_destroy(&session.loop);
	free(session.machine.memory.host);
	return catch_end(state);
}

static void turn(void)
{
	while (event_loop_turn(&session.loop, false) > 0)
		;
}

/* What has come, without acknowledgements and frames. */
static const char *hear(void)
{
	static char text[16384];
	char *start, *stop;
	ssize_t got;

	turn();
	got = recv(client, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[got > 0 ? got : 0] = '\0';
	start = strchr(text, '$');
	stop = start ? strchr(start, '#') : NULL;
	if (!stop)
		return got == 0 ? "(end)" : "nothing";
	*stop = '\0';
	return start + 1;
}

static const char *ask(const char *body)
{
	char frame[4096];
	uint8_t sum = 0;

	for (const char *c = body; *c; c++)
		sum += *c;
	snprintf(frame, sizeof(frame), "$%s#%02x", body, sum);
	assert_int_equal(write(client, frame, strlen(frame)), strlen(frame));
	return hear();
}

static void monitor(const char *line, char *said, size_t size)
{
	char request[256] = "qRcmd,";
	const char *answer;
	size_t n = 0;

	for (const char *c = line; *c; c++)
		snprintf(request + strlen(request), 3, "%02x", *c);
	answer = ask(request);
	for (; n + 1 < size && answer[2 * n] && strcmp(answer, "OK") != 0; n++) {
		unsigned int byte;

		sscanf(answer + 2 * n, "%2x", &byte);
		said[n] = byte;
	}
	said[n] = '\0';
}

static void attach_client(void)
{
	listen_now();
	turn();
	ask("QStartNoAckMode");
	ask("qSupported:multiprocess+;swbreak+;hwbreak+");
}

static void give_el2(uint64_t hcr, uint64_t pstate)
{
	fake_kvm_give(HCR_EL2, hcr);
	fake_kvm_give(VTTBR_EL2, UINT64_C(3) << 48 | (RAM + 0x100000));
	fake_kvm_give(VBAR_EL2, RAM + 0x20000);
	fake_kvm_give(ELR_EL2, RAM + 0x3000);
	fake_kvm_give(SPSR_EL2, EL1H);
	fake_kvm_give(SP_EL2, 0x6000);
	fake_kvm_give(ESR_EL2, 0);
	fake_kvm_give(PSTATE, pstate);
}

/* A vCPU comes out with KVM_EXIT_DEBUG, at pc; whether it stays. */
static bool exits(unsigned int i, uint32_t hsr, uint64_t pc)
{
	fake_kvm.pc = pc;
	runs[i].debug.arch.hsr = hsr;
	assert_true(vcpus[i].env->debugged(&vcpus[i]));
	return atomic_load(&vcpus[i].stays);
}

static bool run_all(void)
{
	assert_string_equal(ask("vCont;c"), "nothing");
	return !atomic_load(&vcpus[0].stays) && !atomic_load(&vcpus[1].stays);
}

static void interrupt(void)
{
	assert_int_equal(write(client, "\x03", 1), 1);
	assert_string_equal(hear(), "T02thread:p1.1;");
}

#define assert_control(flags) assert_int_equal(fake_kvm.debug.control, flags)

static void what_is_no_place_is_said(void **state)
{
	config.gdb = "nowhere";
	assert_int_equal(debugger_create(&debugger, &session), -EINVAL);
	assert_said("--gdb nowhere");
	assert_null(debugger);
	assert_null(session.watchers);
}

static void a_client_finds_all_stopped(void **state)
{
	attach_client();
	assert_true(atomic_load(&vcpus[0].stays));
	assert_true(atomic_load(&vcpus[1].stays));
	assert_string_equal(ask("?"), "T05thread:p1.1;");
	assert_control(0);
	assert_true(run_all());
	/* Nobody debugs anything: KVM need not know. */
	assert_control(0);
	interrupt();
	assert_true(atomic_load(&vcpus[1].stays));
}

/* As by the control socket: the guest was started by somebody who thought of no debugger. */
static void a_client_may_come_to_a_guest_that_runs(void **state)
{
	const int fd = atoi(where + strlen("fd:"));

	config.gdb = NULL;
	machine_starts();
	assert_null(vcpus[0].env->debugged);
	fake_kvm.journal[0] = '\0';
	assert_int_equal(debugger_create(&debugger, &session), 0);
	assert_false(debugger_has_client(debugger));
	turn();
	assert_false(atomic_load(&vcpus[0].stays));
	/* A vCPU may be in the guest: KVM would wait for it. */
	assert_string_equal(fake_kvm.journal, "");
	debugger_attach(debugger, fd);
	assert_true(debugger_has_client(debugger));
	turn();
	assert_true(atomic_load(&vcpus[1].stays));
	ask("QStartNoAckMode");
	assert_string_equal(ask("?"), "T05thread:p1.1;");
	assert_string_equal(ask("Z1,40001000,4"), "OK");
	assert_true(run_all());
	assert_control(ON | HW);
	assert_true(exits(0, BREAK, RAM + 0x1000));
	assert_string_equal(hear(), "T05thread:p1.1;");
	ask("D;1");
	assert_control(0);
	assert_string_equal(hear(), "(end)");
	assert_false(debugger_has_client(debugger));
}

static void a_guest_may_wait_for_its_debugger(void **state)
{
	config.gdb_wait = true;
	attach_client();
	assert_true(atomic_load(&vcpus[0].stays));
	assert_int_equal(runs[0].immediate_exit, 1);
	assert_string_equal(ask("?"), "T05thread:p1.1;");
	assert_true(run_all());
}

static void threads_say_where_they_are(void **state)
{
	attach_client();
	assert_non_null(strstr(ask("qXfer:threads:read::0,fff"), "vCPU 1 level 1: guest, EL1"));
	give_el2(HCR_VM, EL1H);
	assert_non_null(strstr(ask("qXfer:threads:read::0,fff"),
			       "vCPU 0 level 2: guest inside, EL1, VMID 3"));
	assert_string_equal(ask("Tp2.1"), "E03");
	assert_string_equal(ask("vAttach;2"), "T00thread:p2.1;");
	assert_string_equal(ask("Tp2.2"), "OK");
	assert_string_equal(ask("Tp1.2"), "OK");
	assert_non_null(strstr(ask("qXfer:threads:read::0,fff"), "\"vCPU 0 is at level 2\""));
	assert_string_equal(ask("vAttach;3"), "E03");
}

static void a_guest_without_el2_has_nothing_inside(void **state)
{
	attach_client();
	assert_string_equal(ask("vAttach;2"), "E03");
	assert_string_equal(ask("vAttach;1"), "T00thread:p1.1;");
}

static void registers_of_the_level_that_is_out_are_few(void **state)
{
	attach_client();
	give_el2(HCR_TGE, EL2H);
	ask("vAttach;2");
	/* Where its hypervisor goes on: pc, cpsr; SP_EL1; and no X0. */
	assert_string_equal(ask("p20"), "0030004000000000");
	assert_string_equal(ask("p21"), "05000000");
	assert_string_equal(ask("p1f"), "0050000000000000");
	assert_string_equal(ask("p0"), "xxxxxxxxxxxxxxxx");
	assert_string_equal(ask("P0=0000000000000000"), "E02");
	assert_string_equal(ask("Hgp1.1"), "OK");
	assert_string_equal(ask("p0"), "0000000000000000");
	assert_string_equal(ask("p1f"), "0060000000000000");
	/* And the other way round. */
	give_el2(HCR_VM, EL1H);
	assert_string_equal(ask("p20"), "0004024000000000");
	assert_string_equal(ask("p21"), "09000000");
	assert_string_equal(ask("p1f"), "0060000000000000");
}

static void registers_are_set(void **state)
{
	attach_client();
	assert_string_equal(ask("P2=8877665544332211"), "OK");
	assert_int_equal(fake_kvm.x[2], 0x1122334455667788);
	/* Of PSTATE a debugger knows 32 bits. */
	fake_kvm_give(PSTATE, UINT64_C(1) << 34 | EL1H);
	assert_string_equal(ask("P21=05000080"), "OK");
	assert_int_equal(fake_kvm_value(PSTATE), UINT64_C(1) << 34 | 0x80000000 | EL1H);
	assert_non_null(strstr(ask("qXfer:features:read:target.xml:0,fff"), "aarch64.core"));
}

static void vectors_may_be_long(void **state)
{
	const char *text;

	model.init.features[0] = 1 << KVM_ARM_VCPU_SVE;
	fake_kvm.sve_lengths[0] = 3;
	fake_kvm_give(ARM64_SYS_REG(3, 0, 1, 2, 0), 0);
	fake_kvm_give(KVM_REG_ARM64_SVE_ZREG(1, 0), 0x1122);
	fake_kvm_give(KVM_REG_ARM64_SVE_PREG(2, 0), 0xabcd);
	attach_client();
	text = ask("qXfer:features:read:target.xml:0,fff");
	assert_null(strstr(text, "aarch64.fpu"));
	assert_non_null(strstr(text, "org.gnu.gdb.aarch64.sve"));
	/* Z1 of 256 bits, P2 of 32, VG by ZCR_EL1; then system registers. */
	assert_string_equal(ask("p23"),
			    "2211000000000000000000000000000000000000000000000000000000000000");
	assert_string_equal(ask("p46"), "cdab0000");
	assert_string_equal(ask("p55"), "0200000000000000");
	assert_string_equal(ask("p56"), "0040000000000000");
	assert_string_equal(ask("P46=01020304"), "OK");
	assert_int_equal(fake_kvm_value(KVM_REG_ARM64_SVE_PREG(2, 0)), 0x04030201);
	assert_string_equal(
		ask("P23=3344000000000000000000000000000000000000000000000000000000000000"), "OK");
	assert_int_equal(fake_kvm_value(KVM_REG_ARM64_SVE_ZREG(1, 0)), 0x4433);
	assert_string_equal(ask("P55=0400000000000000"), "E01");
	model.init.features[0] = 0;
}

static void a_breakpoint_of_another_level_is_passed_in_silence(void **state)
{
	char said[512];

	attach_client();
	give_el2(HCR_TGE, EL2H);
	monitor("level 2", said, sizeof(said));
	assert_string_equal(said, "");
	assert_string_equal(ask("Z1,40001000,4"), "OK");
	monitor("levels", said, sizeof(said));
	assert_non_null(strstr(said, "hbreak 0x40001000: level 2\n"));
	assert_true(run_all());
	assert_control(ON | HW);
	assert_int_equal(fake_kvm.debug.arch.dbg_bvr[0], RAM + 0x1000);
	assert_int_equal(fake_kvm.debug.arch.dbg_bcr[0], 0x1e7);
	/* The hypervisor is there: one step past it, then it is armed again. */
	assert_false(exits(0, BREAK, RAM + 0x1000));
	assert_control(ON | STEPS);
	assert_false(exits(0, STEP, RAM + 0x1004));
	assert_control(ON | HW);
	assert_string_equal(hear(), "nothing");
	/* The guest inside. */
	give_el2(HCR_VM, EL1H);
	assert_true(exits(0, BREAK, RAM + 0x1000));
	assert_string_equal(hear(), "T05thread:p1.1;hwbreak:;");
	assert_true(atomic_load(&vcpus[1].stays));
	assert_string_equal(ask("z1,40001000,4"), "OK");
	assert_string_equal(ask("z1,40001000,4"), "E02");
	assert_true(run_all());
	assert_control(0);
}

static void a_breakpoint_may_be_for_one_vmid(void **state)
{
	char said[128];

	attach_client();
	give_el2(HCR_VM, EL1H);
	monitor("level 2 4", said, sizeof(said));
	ask("Z1,40001000,4");
	assert_true(run_all());
	assert_false(exits(0, BREAK, RAM + 0x1000));
	assert_false(exits(0, STEP, RAM + 0x1004));
	fake_kvm_give(VTTBR_EL2, UINT64_C(4) << 48);
	assert_true(exits(0, BREAK, RAM + 0x1000));
}

static void processes_have_breakpoints_of_their_own(void **state)
{
	attach_client();
	give_el2(HCR_VM, EL1H);
	ask("vAttach;2");
	assert_string_equal(ask("Z1,40001000,4"), "OK");
	assert_true(run_all());
	assert_true(exits(0, BREAK, RAM + 0x1000));
	assert_string_equal(hear(), "T05thread:p2.1;hwbreak:;");
	assert_true(run_all());
	give_el2(HCR_TGE, EL2H);
	assert_false(exits(1, BREAK, RAM + 0x1000));
}

static void software_breakpoints_are_not_seen(void **state)
{
	attach_client();
	*insn_at(RAM + 0x1000) = 0x11223344;
	assert_string_equal(ask("Z0,40001000,4"), "OK");
	assert_int_equal(*insn_at(RAM + 0x1000), BRK_INSN);
	assert_string_equal(ask("m40000ffe,8"), "0000443322110000");
	/* What is written there is what will be there. */
	assert_string_equal(ask("M40001002,2:aabb"), "OK");
	assert_int_equal(*insn_at(RAM + 0x1000), BRK_INSN);
	assert_string_equal(ask("m40001000,4"), "4433aabb");
	assert_true(run_all());
	assert_control(ON | SW);
	assert_true(exits(1, BRK, RAM + 0x1000));
	assert_string_equal(hear(), "T05thread:p1.2;swbreak:;");
	assert_string_equal(ask("z0,40001000,4"), "OK");
	assert_int_equal(*insn_at(RAM + 0x1000), 0xbbaa3344);
	assert_string_equal(ask("Z0,40001002,4"), "E16");
	assert_string_equal(ask("Z0,80001000,4"), "E0e");
}

static void a_client_that_goes_leaves_nothing(void **state)
{
	attach_client();
	*insn_at(RAM + 0x1000) = 0x11223344;
	ask("Z0,40001000,4");
	ask("Z1,40002000,4");
	assert_true(run_all());
	assert_control(ON | SW | HW);
	/* In the middle of the run: the connection breaks. */
	shutdown(client, SHUT_RDWR);
	turn();
	assert_int_equal(*insn_at(RAM + 0x1000), 0x11223344);
	assert_control(0);
	assert_false(atomic_load(&vcpus[0].stays));
	assert_false(atomic_load(&vcpus[1].stays));
}

static void a_client_lets_go(void **state)
{
	attach_client();
	*insn_at(RAM + 0x1000) = 0x11223344;
	ask("Z0,40001000,4");
	assert_string_equal(ask("D;1"), "OK");
	assert_int_equal(*insn_at(RAM + 0x1000), 0x11223344);
	assert_control(0);
	assert_false(atomic_load(&vcpus[0].stays));
	assert_string_equal(hear(), "(end)");
}

static void the_guests_own_brk_reaches_it(void **state)
{
	attach_client();
	ask("Z0,40001000,4");
	assert_true(run_all());
	fake_kvm_give(PSTATE, UINT64_C(0x80000000) | EL1H);
	assert_false(exits(0, BRK | 0x2000055, RAM + 0x2000));
	assert_int_equal(fake_kvm.pc, RAM + 0x10200);
	assert_int_equal(fake_kvm_value(PSTATE), 0x80000000 | DAIF | EL1H);
	assert_int_equal(fake_kvm_value(ELR_EL1), RAM + 0x2000);
	assert_int_equal(fake_kvm_value(SPSR_EL1), 0x80000000 | EL1H);
	assert_int_equal(fake_kvm_value(ESR_EL1), BRK | 0x2000055);
	/* User space. */
	fake_kvm_give(PSTATE, 0);
	assert_false(exits(0, BRK, RAM + 0x2000));
	assert_int_equal(fake_kvm.pc, RAM + 0x10400);
	/* The host of a hypervisor with TGE. */
	give_el2(HCR_TGE, 0);
	assert_false(exits(0, BRK, RAM + 0x2000));
	assert_int_equal(fake_kvm.pc, RAM + 0x20400);
	assert_int_equal(fake_kvm_value(ESR_EL2), BRK);
	assert_int_equal(fake_kvm_value(ELR_EL2), RAM + 0x2000);
	assert_int_equal(fake_kvm_value(PSTATE), DAIF | EL2H);
	assert_string_equal(hear(), "nothing");
}

static void a_step_is_one_instruction(void **state)
{
	attach_client();
	ask("Z1,40001004,4");
	assert_string_equal(ask("vCont;s:p1.1"), "nothing");
	assert_false(atomic_load(&vcpus[0].stays));
	assert_true(atomic_load(&vcpus[1].stays));
	assert_non_null(strstr(fake_kvm.journal, "set_guest_debug 10 0x3\n"));
	/* Interrupts are masked meanwhile, and the guest has its own masks afterwards. */
	assert_int_equal(fake_kvm_value(PSTATE), EL1H | 3 << 6);
	assert_true(exits(0, STEP, RAM + 0x1004));
	assert_string_equal(hear(), "T05thread:p1.1;");
	assert_int_equal(fake_kvm_value(PSTATE), EL1H);
}

static void step_masked(uint32_t insn, uint64_t pstate)
{
	*insn_at(RAM + 0x1000) = insn;
	fake_kvm.pc = RAM + 0x1000;
	fake_kvm_give(PSTATE, pstate);
	ask("vCont;s:p1.1");
}

static void the_guest_does_not_see_masks(void **state)
{
	attach_client();
	/* MRS X3, DAIF */
	step_masked(0xd53b4223, EL1H | 1 << 6);
	assert_int_equal(fake_kvm_value(PSTATE), EL1H | 3 << 6);
	fake_kvm.x[3] = 3 << 6;
	assert_true(exits(0, STEP, RAM + 0x1004));
	assert_int_equal(fake_kvm.x[3], 1 << 6);
	assert_int_equal(fake_kvm_value(PSTATE), EL1H | 1 << 6);
	hear();
	/* MSR DAIFSet, #2; MSR DAIFClr, #1; each with what it leaves of the masks. */
	step_masked(0xd50342df, EL1H);
	assert_true(exits(0, STEP, RAM + 0x1004));
	assert_int_equal(fake_kvm_value(PSTATE), EL1H | 2 << 6);
	hear();
	step_masked(0xd50341ff, EL1H | 1 << 6);
	fake_kvm_give(PSTATE, EL1H | 2 << 6);
	assert_true(exits(0, STEP, RAM + 0x1004));
	assert_int_equal(fake_kvm_value(PSTATE), EL1H);
	hear();
	/* MSR DAIF, X3 */
	step_masked(0xd51b4223, EL1H);
	fake_kvm_give(PSTATE, EL1H | 8 << 6);
	assert_true(exits(0, STEP, RAM + 0x1004));
	assert_int_equal(fake_kvm_value(PSTATE), EL1H | 8 << 6);
	hear();
	/* ERET takes PSTATE from elsewhere. */
	step_masked(ERET_INSN, EL1H);
	assert_int_equal(fake_kvm_value(PSTATE), EL1H);
	assert_true(exits(0, STEP, RAM + 0x4000));
	hear();
	/* SVC #0 saves it, and the address of the next instruction. */
	step_masked(0xd4000001, EL1H);
	fake_kvm_give(ELR_EL1, RAM + 0x1004);
	fake_kvm_give(SPSR_EL1, EL1H | 3 << 6);
	fake_kvm_give(PSTATE, EL1H | DAIF);
	assert_true(exits(0, STEP, RAM + 0x10200));
	assert_int_equal(fake_kvm_value(SPSR_EL1), EL1H);
	assert_int_equal(fake_kvm_value(PSTATE), EL1H | DAIF);
	hear();
	/* One that faults has saved what was in PSTATE. */
	step_masked(0xf9400000, EL1H | 1 << 6); /* LDR X0, [X0] */
	assert_int_equal(fake_kvm_value(PSTATE), EL1H | 3 << 6);
	fake_kvm_give(ELR_EL1, RAM + 0x1000);
	fake_kvm_give(SPSR_EL1, EL1H | 3 << 6);
	fake_kvm_give(PSTATE, EL1H | DAIF);
	assert_true(exits(0, STEP, RAM + 0x10200));
	assert_int_equal(fake_kvm_value(SPSR_EL1), EL1H | 1 << 6);
	assert_int_equal(fake_kvm_value(PSTATE), EL1H | DAIF);
	assert_string_equal(hear(), "T05thread:p1.1;");
	/* An interrupt of the user's in the middle. */
	fake_kvm.pc = RAM + 0x1000;
	fake_kvm_give(PSTATE, EL1H);
	ask("vCont;s:p1.1");
	assert_int_equal(fake_kvm_value(PSTATE), EL1H | 3 << 6);
	interrupt();
	assert_int_equal(fake_kvm_value(PSTATE), EL1H);
}

static void an_interrupt_takes_no_step_away(void **state)
{
	attach_client();
	ask("vCont;s:p1.1;c");
	/* At the vector of IRQs from EL1, before the instruction: back to it first. */
	fake_kvm_give(ELR_EL1, RAM + 0x1000);
	assert_false(exits(0, STEP, RAM + 0x10280));
	assert_control(ON | HW);
	assert_int_equal(fake_kvm.debug.arch.dbg_bvr[0], RAM + 0x1000);
	/* Somebody else comes by, with another stack. */
	fake_kvm_give(SP_EL1, 0x9000);
	assert_false(exits(0, BREAK, RAM + 0x1000));
	assert_control(ON | STEPS);
	assert_false(exits(0, STEP, RAM + 0x1004));
	assert_control(ON | HW);
	fake_kvm_give(SP_EL1, 0x5000);
	assert_false(exits(0, BREAK, RAM + 0x1000));
	assert_control(ON | STEPS);
	assert_string_equal(hear(), "nothing");
	assert_true(exits(0, STEP, RAM + 0x1004));
	assert_string_equal(hear(), "T05thread:p1.1;");
}

static void another_vcpu_may_take_the_step(void **state)
{
	attach_client();
	give_el2(HCR_VM, EL1H);
	ask("vCont;s:p1.1;c");
	/* The last one armed is the second, which waits for who comes by. */
	assert_control(ON | HW);
	assert_int_equal(fake_kvm.debug.arch.dbg_bvr[0], RAM + 0x1000);
	/* The hypervisor is interrupted, and goes on with its guest there. */
	give_el2(HCR_VM, EL2H);
	fake_kvm_give(ELR_EL2, RAM + 0x1000);
	assert_false(exits(0, BREAK, RAM + 0x20480));
	assert_string_equal(hear(), "nothing");
	give_el2(HCR_VM, EL1H);
	fake_kvm_give(SP_EL1, 0x9000);
	assert_false(exits(1, BREAK, RAM + 0x1000));
	assert_false(exits(1, STEP, RAM + 0x1004));
	fake_kvm_give(SP_EL1, 0x5000);
	assert_false(exits(1, BREAK, RAM + 0x1000));
	assert_true(exits(1, STEP, RAM + 0x1004));
	assert_string_equal(hear(), "T05thread:p1.2;");
	/* Nobody waits when all go on. */
	assert_true(run_all());
	assert_control(0);
}

static void an_exception_of_its_own_is_a_steps_end(void **state)
{
	attach_client();
	ask("vCont;s:p1.1;c");
	fake_kvm_give(ELR_EL1, RAM + 0x1000);
	assert_true(exits(0, STEP, RAM + 0x10200));
	assert_string_equal(hear(), "T05thread:p1.1;");
}

static void a_step_leads_down_by_eret(void **state)
{
	attach_client();
	give_el2(HCR_VM, EL2H);
	*insn_at(RAM + 0x1000) = ERET_INSN;
	ask("vCont;s:p1.1;c");
	assert_non_null(strstr(fake_kvm.journal, "set_guest_debug 10 0x20001\n"));
	give_el2(HCR_VM, EL1H);
	assert_true(exits(0, BREAK, RAM + 0x3000));
	assert_string_equal(hear(), "T05thread:p1.1;");
}

static void where_an_eret_leads_another_vcpu_may_come(void **state)
{
	attach_client();
	give_el2(HCR_VM, EL2H);
	*insn_at(RAM + 0x1000) = ERET_INSN;
	ask("vCont;s:p1.1;c");
	/* The last one armed is the second. */
	assert_control(ON | HW);
	assert_int_equal(fake_kvm.debug.arch.dbg_bvr[0], RAM + 0x3000);
	/* The hypervisor itself comes by, and another guest of its. */
	assert_false(exits(1, BREAK, RAM + 0x3000));
	assert_false(exits(1, STEP, RAM + 0x3004));
	give_el2(HCR_VM, EL1H);
	fake_kvm_give(SP_EL1, 0x9000);
	assert_false(exits(1, BREAK, RAM + 0x3000));
	assert_false(exits(1, STEP, RAM + 0x3004));
	assert_string_equal(hear(), "nothing");
	fake_kvm_give(SP_EL1, 0x5000);
	assert_true(exits(1, BREAK, RAM + 0x3000));
	assert_string_equal(hear(), "T05thread:p1.2;");
}

static void a_step_from_inside_ends_at_the_hypervisors_vector(void **state)
{
	attach_client();
	give_el2(HCR_VM, EL1H);
	fake_kvm.journal[0] = '\0';
	ask("vCont;s:p1.1");
	assert_non_null(strstr(fake_kvm.journal, "set_guest_debug 10 0x20003\n"));
	give_el2(HCR_VM, EL2H);
	assert_true(exits(0, BREAK, RAM + 0x20400));
	assert_string_equal(hear(), "T05thread:p1.1;");
}

static void the_level_that_is_out_can_be_stepped_to(void **state)
{
	attach_client();
	give_el2(HCR_TGE, EL2H);
	ask("vAttach;2");
	fake_kvm.journal[0] = '\0';
	ask("vCont;s:p2.1");
	assert_false(atomic_load(&vcpus[0].stays));
	assert_true(atomic_load(&vcpus[1].stays));
	assert_non_null(strstr(fake_kvm.journal, "set_guest_debug 10 0x20001\n"));
	give_el2(HCR_VM, EL1H);
	assert_true(exits(0, BREAK, RAM + 0x3000));
	assert_string_equal(hear(), "T05thread:p2.1;");
	/* With another vCPU than it was left on, too. */
	give_el2(HCR_TGE, EL2H);
	ask("vCont;s:p2.1;c");
	give_el2(HCR_VM, EL1H);
	assert_true(exits(1, BREAK, RAM + 0x3000));
	assert_string_equal(hear(), "T05thread:p2.2;");
}

static void exits_are_told_so_far_and_since_the_last_stop(void **state)
{
	char said[256];

	attach_client();
	counters_exit(&vcpus[0].counters, KVM_EXIT_MMIO);
	assert_true(run_all());
	for (unsigned int i = 0; i < 3; i++)
		counters_exit(&vcpus[0].counters, KVM_EXIT_MMIO);
	counters_exit(&vcpus[1].counters, KVM_EXIT_MMIO);
	interrupt();
	monitor("exits", said, sizeof(said));
	assert_string_equal(said, "vCPU 0: mmio 4 +3\nvCPU 1: mmio 1 +1\n");
	/* It is the same until they go on. */
	assert_true(run_all());
	interrupt();
	monitor("exits", said, sizeof(said));
	assert_string_equal(said, "vCPU 0: mmio 4 +0\nvCPU 1: mmio 1 +0\n");
}

static void watchpoints_are_what_registers_can_do(void **state)
{
	attach_client();
	assert_string_equal(ask("Z2,40001006,4"), "E16");
	assert_string_equal(ask("Z2,40001000,18"), "E16");
	assert_string_equal(ask("Z2,40001000,0"), "E16");
	assert_string_equal(ask("Z2,40001004,2"), "OK");
	assert_string_equal(ask("Z3,40002000,8"), "E1c");
	assert_true(run_all());
	assert_control(ON | HW);
	assert_int_equal(fake_kvm.debug.arch.dbg_wvr[0], RAM + 0x1000);
	/* BAS bytes 4 and 5, stores, EL1 and EL0, enabled. */
	assert_int_equal(fake_kvm.debug.arch.dbg_wcr[0], 0x30 << 5 | 2 << 3 | 3 << 1 | 1);
	/* An STP that began before. */
	runs[0].debug.arch.far = RAM + 0xff8;
	assert_true(exits(0, WATCH, RAM + 0x1000));
	assert_string_equal(hear(), "T05thread:p1.1;watch:40001004;");
	ask("z2,40001004,2");
	assert_string_equal(ask("Z4,40010000,1000"), "OK");
	assert_true(run_all());
	assert_int_equal(fake_kvm.debug.arch.dbg_wcr[0],
			 12 << 24 | 0xff << 5 | 3 << 3 | 3 << 1 | 1);
	runs[0].debug.arch.far = RAM + 0x10800;
	assert_true(exits(0, WATCH, RAM + 0x1000));
	assert_string_equal(hear(), "T05thread:p1.1;awatch:40010000;");
}

static void a_watchpoint_of_another_level_takes_no_step_away(void **state)
{
	char said[64];

	attach_client();
	give_el2(HCR_TGE, EL2H);
	monitor("level 2", said, sizeof(said));
	ask("Z2,40005000,8");
	ask("vCont;s:p1.1");
	runs[0].debug.arch.far = RAM + 0x5000;
	assert_false(exits(0, WATCH, RAM + 0x1000));
	assert_int_equal(fake_kvm.debug.arch.dbg_wcr[0], 0);
	assert_int_equal(fake_kvm_value(PSTATE), EL2H | 3 << 6);
	assert_true(exits(0, STEP, RAM + 0x1004));
	assert_int_equal(fake_kvm_value(PSTATE), EL2H);
	assert_string_equal(hear(), "T05thread:p1.1;");
	/* And where nobody has asked for a step, it goes on, watched again. */
	assert_true(run_all());
	assert_false(exits(0, WATCH, RAM + 0x1000));
	assert_false(exits(0, STEP, RAM + 0x1004));
	assert_int_not_equal(fake_kvm.debug.arch.dbg_wcr[0], 0);
}

static void a_reset_takes_software_breakpoints_along(void **state)
{
	attach_client();
	ask("Z0,40001000,4");
	ask("Z1,40002000,4");
	assert_true(run_all());
	session.machine_exists = false;
	*insn_at(RAM + 0x1000) = 0x55667788;
	machine_starts();
	assert_control(ON | HW);
	assert_false(atomic_load(&vcpus[0].stays));
	assert_true(exits(0, BREAK, RAM + 0x2000));
	assert_string_equal(hear(), "T05thread:p1.1;hwbreak:;");
	/* Nothing is put back over what is there now. */
	assert_string_equal(ask("z0,40001000,4"), "OK");
	assert_int_equal(*insn_at(RAM + 0x1000), 0x55667788);
}

static void a_guest_is_killed(void **state)
{
	attach_client();
	assert_string_equal(ask("vKill;1"), "OK");
	assert_int_equal(verdict_outcome(&session.verdict), OUTCOME_QUIT);
}

static void the_end_is_told(void **state)
{
	attach_client();
	assert_true(run_all());
	session.machine_exists = false;
	debugger_destroy(debugger, 3);
	debugger = NULL;
	assert_string_equal(hear(), "W03;process:1");
	assert_string_equal(hear(), "(end)");
}

static void after_the_guest_has_gone_there_is_nothing(void **state)
{
	attach_client();
	session.machine_exists = false;
	holds_attach(&session.holds, NULL);
	assert_string_equal(ask("Tp1.1"), "E03");
	assert_string_equal(ask("m40001000,4"), "E0e");
	assert_string_equal(ask("p0"), "xxxxxxxxxxxxxxxx");
	assert_string_equal(ask("P0=0100000000000000"), "E03");
	assert_string_equal(ask("Z1,40001000,4"), "E03");
	assert_string_equal(ask("vCont;c"), "E03");
}

static void users_ask_for_more(void **state)
{
	char said[2048];

	attach_client();
	give_el2(HCR_TGE, EL2H);
	*insn_at(RAM + 0x1000) = 0x11223344;
	monitor("levels", said, sizeof(said));
	assert_non_null(strstr(said, "vCPU 0: level 1, hypervisor, EL2 at 0x40001000\n"));
	monitor("translate 0x40001000", said, sizeof(said));
	assert_string_equal(said, "0x40001000 -> 0x40001000 (auto)\n");
	monitor("translate 0x80001000", said, sizeof(said));
	assert_non_null(strstr(said, "no RAM"));
	monitor("pa 0x40001000", said, sizeof(said));
	assert_non_null(strstr(said, "0x40001000: 44 33 22 11 00"));
	monitor("pa", said, sizeof(said));
	assert_non_null(strstr(said, "a number is missing"));
	monitor("s2 0x1000", said, sizeof(said));
	assert_non_null(strstr(said, "(s2)"));
	monitor("regime", said, sizeof(said));
	assert_non_null(strstr(said, "auto el1 el1+s2 el2 s2 physical"));
	monitor("regime physical", said, sizeof(said));
	assert_string_equal(said, "");
	monitor("translate 0x40001000", said, sizeof(said));
	assert_non_null(strstr(said, "(physical)"));
	monitor("level 3", said, sizeof(said));
	assert_non_null(strstr(said, "a number"));
	monitor("what", said, sizeof(said));
	assert_non_null(strstr(said, "monitor regime"));
	ask("vAttach;2");
	monitor("level 2", said, sizeof(said));
	assert_non_null(strstr(said, "each process"));
}

/* Of a hypervisor with two list registers, of which one is in use. */
static uint64_t vgic_register(uint64_t attr)
{
	switch (attr & 0xffff) {
	case 0xc230: /* ICC_PMR_EL1 */
		return 0xf0;
	case 0xc667: /* ICC_IGRPEN1_EL1 */
		return 1;
	case 0xe658: /* ICH_HCR_EL2 */
		return 1;
	case 0xe659: /* ICH_VTR_EL2 */
		return 1;
	case 0xe65f: /* ICH_VMCR_EL2 */
		return 0xe0000003;
	case 0xe661: /* ICH_LR1_EL2 */
		return UINT64_C(0x70a0001b0000001e);
	default:
		return 0;
	}
}

/* Of its own, 27 is pending and active; of SPIs, 33 pending. */
static uint32_t vgic_attribute(unsigned int group, uint64_t attr)
{
	const uint32_t offset = (uint32_t)attr;

	if (group == KVM_DEV_ARM_VGIC_GRP_REDIST_REGS)
		return offset == 0x10200 || offset == 0x10300 || offset == 0x10100 ? 1u << 27
		       : offset == 0x10418					   ? 0xa0000000
										   : 0;
	return group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS && offset == 0x204 ? 2 : 0;
}

static void interrupts_are_shown(void **state)
{
	char said[2048];

	attach_client();
	session.machine.gic.kind = GIC_V3;
	monitor("vgic", said, sizeof(said));
	assert_string_equal(said, "vCPU 0, gicv3\nCPU interface: KVM does not tell\n"
				  "interrupts: KVM does not tell\n");
	fake_kvm.get_attr = vgic_attribute;
	fake_kvm.get_attr_64 = vgic_register;
	give_el2(HCR_VM, EL1H);
	monitor("vgic", said, sizeof(said));
	assert_string_equal(
		said,
		"vCPU 0, gicv3\n"
		"CPU interface: priority mask 0xf0, groups enabled: 1, EOImode 0, active priorities "
		"0x0 0x0\n"
		"INTID 27: pending and active, enabled, priority 0xa0, group 0\n"
		"INTID 33: pending, disabled, priority 0x00, group 0\n"
		"ICH_HCR_EL2 0x00000001: the guest's interface is on, EOIs without a list register: "
		"0\n"
		"ICH_VMCR_EL2 0xe0000003: priority mask 0xe0, groups enabled: 0 and 1, EOImode 0\n"
		"ICH_LR1_EL2 0x70a0001b0000001e: virtual INTID 30, pending, priority 0xa0, group 1, "
		"HW: INTID 27\n"
		"1 of 2 list registers in use\n");
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_is_no_place_is_said),
		test(a_client_finds_all_stopped),
		test(a_client_may_come_to_a_guest_that_runs),
		test(a_guest_may_wait_for_its_debugger),
		test(threads_say_where_they_are),
		test(a_guest_without_el2_has_nothing_inside),
		test(registers_of_the_level_that_is_out_are_few),
		test(registers_are_set),
		test(vectors_may_be_long),
		test(a_breakpoint_of_another_level_is_passed_in_silence),
		test(a_breakpoint_may_be_for_one_vmid),
		test(processes_have_breakpoints_of_their_own),
		test(software_breakpoints_are_not_seen),
		test(a_client_that_goes_leaves_nothing),
		test(a_client_lets_go),
		test(the_guests_own_brk_reaches_it),
		test(a_step_is_one_instruction),
		test(the_guest_does_not_see_masks),
		test(an_interrupt_takes_no_step_away),
		test(another_vcpu_may_take_the_step),
		test(an_exception_of_its_own_is_a_steps_end),
		test(a_step_leads_down_by_eret),
		test(where_an_eret_leads_another_vcpu_may_come),
		test(a_step_from_inside_ends_at_the_hypervisors_vector),
		test(the_level_that_is_out_can_be_stepped_to),
		test(exits_are_told_so_far_and_since_the_last_stop),
		test(watchpoints_are_what_registers_can_do),
		test(a_watchpoint_of_another_level_takes_no_step_away),
		test(a_reset_takes_software_breakpoints_along),
		test(a_guest_is_killed),
		test(the_end_is_told),
		test(after_the_guest_has_gone_there_is_nothing),
		test(users_ask_for_more),
		test(interrupts_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
