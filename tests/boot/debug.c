// SPDX-License-Identifier: GPL-2.0-only
/*
 * debug: whether single-step and watchpoints work here. Single-steps a child, which has to advance
 * by one instruction each time, then has perf watch a variable and writes to it. Prints "debug: N
 * steps, N hits" and exits with 0 when both are what they should be.
 *
 * debug brk: whether BRK does, "debug: N breakpoints" likewise.
 */
#include <elf.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS  100
#define WRITES 100

static volatile uint64_t watched __attribute__((aligned(8)));

static uint64_t child_pc(pid_t child)
{
	struct user_regs_struct regs;
	struct iovec iov = { &regs, sizeof(regs) };

	return ptrace(PTRACE_GETREGSET, child, NT_PRSTATUS, &iov) < 0 ? 0 : regs.pc;
}

/* The child sleeps in between, so that it is scheduled, and the host's vCPU with it. */
static int steps(void)
{
	int status, done = 0;
	uint64_t pc, next;
	pid_t child = fork();

	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		asm volatile(".rept 400\n\tnop\n\t.endr");
		_exit(0);
	}
	waitpid(child, &status, 0);
	/* Out of raise(), to where there are only NOPs. */
	for (int i = 0, nops = 0; i < 2000 && nops < 3; i++) {
		pc = child_pc(child);
		if (ptrace(PTRACE_SINGLESTEP, child, 0, 0) < 0 || waitpid(child, &status, 0) < 0)
			return -1;
		nops = (uint32_t)ptrace(PTRACE_PEEKTEXT, child, (void *)pc, 0) == 0xd503201f
			       ? nops + 1
			       : 0;
	}
	for (pc = child_pc(child); done < STEPS; done++, pc = next) {
		usleep(1000);
		ptrace(PTRACE_SINGLESTEP, child, 0, 0);
		if (waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status) ||
		    WSTOPSIG(status) != SIGTRAP)
			break;
		next = child_pc(child);
		if (next != pc + 4)
			break;
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return done;
}

static int64_t hits(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_W,
		.bp_addr = (uintptr_t)&watched,
		.bp_len = HW_BREAKPOINT_LEN_8,
	};
	int64_t count = 0;
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	for (int i = 0; i < WRITES; i++) {
		watched = i;
		if (i % 10 == 0)
			usleep(1000);
	}
	if (fd < 0 || read(fd, &count, sizeof(count)) != sizeof(count))
		return -1;
	close(fd);
	return count;
}

static volatile int traps;

/* Past the instruction, whose address is the one that is to be told. */
static void trapped(int signal, siginfo_t *info, void *opaque)
{
	ucontext_t *context = opaque;

	(void)signal;
	traps += (uintptr_t)info->si_addr == context->uc_mcontext.pc;
	context->uc_mcontext.pc += 4;
}

static int breakpoints(void)
{
	const struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };

	sigaction(SIGTRAP, &action, NULL);
	for (int i = 0; i < WRITES; i++)
		asm volatile("brk #0" ::: "memory");
	printf("debug: %d breakpoints\n", traps);
	return traps == WRITES ? 0 : 1;
}

int main(int argc, char **argv)
{
	int64_t hit;
	int stepped;

	if (argc > 1 && strcmp(argv[1], "brk") == 0)
		return breakpoints();
	stepped = steps();
	hit = hits();
	printf("debug: %d steps, %lld hits\n", stepped, (long long)hit);
	return stepped == STEPS && hit == WRITES ? 0 : 1;
}
