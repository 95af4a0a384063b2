// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/crash.h"

/*
 * State that belongs to the process and not to a struct: what a signal's handler, which is passed
 * nothing, has to restore.
 */
static struct termios crash_settings;
static uint8_t main_stack[CRASH_STACK_SIZE];

/* Those below SIGRTMIN whose default action ends the process, and that signals.c does not take. */
static const int fatal[] = { SIGSEGV, SIGBUS,	 SIGILL,  SIGFPE,  SIGABRT,
			     SIGTRAP, SIGSYS,	 SIGXCPU, SIGUSR2, SIGALRM,
			     SIGPROF, SIGVTALRM, SIGIO,	  SIGPWR,  SIGSTKFLT };

/* #syscalls loop: tgkill getpid */
void crash_raise(int signal)
{
	syscall(SYS_tgkill, getpid(), getpid(), signal);
}

/* #syscalls loop: ioctl(TCSETS) */
static void crash_handler(int signal)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &crash_settings);
	/* SA_RESETHAND has put the default action back. */
	crash_raise(signal);
}

static void crash_watch(int signal, void (*from)(int), void (*to)(int))
{
	const struct sigaction action = {
		.sa_handler = to,
		.sa_flags = SA_RESETHAND | SA_NODEFER | SA_ONSTACK,
	};
	struct sigaction before;

	if (sigaction(signal, NULL, &before) == 0 && before.sa_handler == from)
		sigaction(signal, &action, NULL);
}

void crash_restore(const struct termios *settings)
{
	void (*const from)(int) = settings ? SIG_DFL : crash_handler;
	void (*const to)(int) = settings ? crash_handler : SIG_DFL;

	if (settings)
		crash_settings = *settings;
	crash_stack(settings ? main_stack : NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		crash_watch(fatal[i], from, to);
	for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal++)
		crash_watch(signal, from, to);
}

/* #syscalls all: sigaltstack */
void crash_stack(void *stack)
{
	const stack_t alternate = {
		.ss_sp = stack,
		.ss_size = stack ? CRASH_STACK_SIZE : 0,
		.ss_flags = stack ? 0 : SS_DISABLE,
	};

	sigaltstack(&alternate, NULL);
}
