// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Filters are made when nidus is built (filters/generate.c), and loaded as
 * they are but for the number of the process, which only the process knows.
 *
 * To report, what is forbidden raises SIGSYS instead. Its handler says what it was and makes the
 * call itself, by one instruction (the gate) whose calls the filter lets through. Threads are not
 * told apart by that, so this is no sandbox any more.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "filters.h" /* made at build time */
#include "parts.h"
#include "placeholder.h"
#include "util.h"

#define PROGRAM_MAX 1024 /* instructions */
#define GATE_LENGTH 5
#define SEEN_MAX    64

static const struct {
	const struct sock_filter *program;
	size_t length;
} filters[SANDBOX_KINDS] = {
	[SANDBOX_LOOP] = { filter_loop, ARRAY_SIZE(filter_loop) },
	[SANDBOX_VCPU] = { filter_vcpu, ARRAY_SIZE(filter_vcpu) },
	[SANDBOX_SERVED] = { filter_served, ARRAY_SIZE(filter_served) },
	[SANDBOX_WORKER] = { filter_worker, ARRAY_SIZE(filter_worker) },
};

_Static_assert(ARRAY_SIZE(filter_loop) + GATE_LENGTH <= PROGRAM_MAX &&
		       ARRAY_SIZE(filter_vcpu) + GATE_LENGTH <= PROGRAM_MAX &&
		       ARRAY_SIZE(filter_served) + GATE_LENGTH <= PROGRAM_MAX &&
		       ARRAY_SIZE(filter_worker) + GATE_LENGTH <= PROGRAM_MAX,
	       "all filters fit");

/* The gate. */

#ifdef __aarch64__

extern const char sandbox_gate[]; /* what is behind the instruction that calls the kernel */

/* Not inlined: a second copy would define the label again. */
static __attribute__((noinline)) uint64_t call(uint64_t number, const uint64_t *argument)
{
	register uint64_t x8 asm("x8") = number;
	register uint64_t x0 asm("x0") = argument[0];
	register uint64_t x1 asm("x1") = argument[1];
	register uint64_t x2 asm("x2") = argument[2];
	register uint64_t x3 asm("x3") = argument[3];
	register uint64_t x4 asm("x4") = argument[4];
	register uint64_t x5 asm("x5") = argument[5];

	asm volatile("svc 0\n\t.globl sandbox_gate\nsandbox_gate:"
		     : "+r"(x0)
		     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
		     : "memory");
	return x0;
}

/* Where the forbidden call came from, as a debugger would say it: most are by the C library. */
static unsigned long long *registers(ucontext_t *context)
{
	return context->uc_mcontext.regs;
}

#define CALLER 30

#else /* for unit tests */

static const char sandbox_gate[1];
#define CALLER 0

static uint64_t call(uint64_t number, const uint64_t *argument)
{
	(void)number;
	(void)argument;
	return -ENOSYS;
}

static unsigned long long *registers(ucontext_t *context)
{
	return (unsigned long long *)context->uc_mcontext.gregs;
}

#endif

/* Whether that place has made that call before; when there are too many, all have. */
static bool was_seen(uint64_t number, uint64_t caller)
{
	static _Atomic uint64_t seen[SEEN_MAX];
	const uint64_t key = caller << 12 | (number & 0xfff);

	for (unsigned int i = 0; i < SEEN_MAX; i++) {
		uint64_t is = 0;

		if (atomic_compare_exchange_strong(&seen[i], &is, key))
			return false;
		if (is == key)
			return true;
	}
	return true;
}

static void tell(uint64_t number, const uint64_t *argument, uint64_t caller)
{
	char name[16] = "", text[256];
	const uint64_t name_call[6] = { PR_GET_NAME, (uintptr_t)name };
	uint64_t write_call[6] = { STDERR_FILENO, (uintptr_t)text };

	call(SYS_prctl, name_call);
	write_call[2] = snprintf(text, sizeof(text),
				 "nidus: sandbox: thread %s makes system call %u (0x%llx, 0x%llx, "
				 "0x%llx) at 0x%llx\n",
				 name, (unsigned int)number, (unsigned long long)argument[0],
				 (unsigned long long)argument[1], (unsigned long long)argument[2],
				 (unsigned long long)caller);
	call(SYS_write, write_call);
}

static void forbidden(int signal, siginfo_t *info, void *context)
{
	unsigned long long *const regs = registers(context);
	uint64_t argument[6];

	(void)signal;
	for (unsigned int i = 0; i < ARRAY_SIZE(argument); i++)
		argument[i] = regs[i];
	if (!was_seen(info->si_syscall, regs[CALLER]))
		tell(info->si_syscall, argument, regs[CALLER]);
	regs[0] = call(info->si_syscall, argument);
}

/* In front of a program: what comes by the gate is let through. */
static size_t add_gate(struct sock_filter *program)
{
	const uint64_t gate = (uintptr_t)sandbox_gate;
	const struct sock_filter code[GATE_LENGTH] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)gate, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer) + sizeof(uint32_t)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, gate >> 32, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	memcpy(program, code, sizeof(code));
	return GATE_LENGTH;
}

static void listen_for_forbidden(void)
{
	const struct sigaction action = {
		.sa_sigaction = forbidden,
		.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER,
	};

	sigaction(SIGSYS, &action, NULL);
}

int filter_load(enum sandbox_kind kind, bool report)
{
	struct sock_filter program[PROGRAM_MAX];
	const size_t front = report ? add_gate(program) : 0, length = filters[kind].length;
	const struct sock_fprog loaded = { .len = front + length, .filter = program };

	for (size_t i = 0; i < length; i++) {
		struct sock_filter insn = filters[kind].program[i];

		if (insn.k == SANDBOX_OWN_PID)
			insn.k = getpid();
		if (report && insn.code == (BPF_RET | BPF_K) &&
		    insn.k == (SECCOMP_RET_ERRNO | EPERM))
			insn.k = SECCOMP_RET_TRAP;
		program[front + i] = insn;
	}
	if (report && kind == SANDBOX_LOOP)
		listen_for_forbidden();
	/* Without it, on some CPUs every thread would lose speculation, which guests see nothing
	 * of. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		    &loaded) == 0)
		return 0;
	return -errno;
}
