// SPDX-License-Identifier: GPL-2.0-only
/*
 * nidus, taken over: linked with all of it (--wrap), and each thread, once it is confined, tries
 * what somebody would who has come out of a guest into it. Prints a line for each attempt to
 * standard error: "attack: KIND: WHAT: refused", or what became of it instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "machine/machine.h"
#include "sandbox/sandbox.h"
#include "util.h"

int __real_sandbox_enter(struct sandbox *sandbox, const struct sandbox_options *options);
void __real_sandbox_enter_thread(enum sandbox_kind kind);
int __wrap_sandbox_enter(struct sandbox *sandbox, const struct sandbox_options *options);
void __wrap_sandbox_enter_thread(enum sandbox_kind kind);
void __real_machine_run(struct machine *machine);
void __wrap_machine_run(struct machine *machine);

/* Whoever is not nidus: its parent, and who is to be left alone by it. */
static pid_t other;

/* Attempts return -1 and errno where they fail, as system calls do. */

static long open_file(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static long open_by_descriptor(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/proc/self/fd/0", O_RDWR);
}

static long make_file(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/tmp/attack", O_WRONLY | O_CREAT, 0777);
}

static long open_kvm(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/dev/kvm", O_RDWR);
}

static long open_by_handle(void)
{
	return syscall(SYS_open_by_handle_at, AT_FDCWD, "", O_RDONLY);
}

static long look_at_file(void)
{
	char status[256];

	return syscall(SYS_statx, AT_FDCWD, "/etc/passwd", 0, 0, status);
}

static long look_at_file_as_ever(void)
{
	struct stat st;

	return syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &st, 0);
}

static long remove_file(void)
{
	return syscall(SYS_unlinkat, AT_FDCWD, "/tmp/victim", 0);
}

static long rename_file(void)
{
	return syscall(SYS_renameat2, AT_FDCWD, "/tmp/victim", AT_FDCWD, "/tmp/other", 0);
}

static long change_mode(void)
{
	return syscall(SYS_fchmodat, AT_FDCWD, "/tmp/victim", 04777);
}

static long link_file(void)
{
	return syscall(SYS_linkat, AT_FDCWD, "/tmp/victim", AT_FDCWD, "/tmp/other", 0);
}

static long execute(void)
{
	const char *const arguments[] = { "/bin/true", NULL };

	return syscall(SYS_execve, arguments[0], arguments, NULL);
}

static long become_process(long pid)
{
	if (pid == 0)
		syscall(SYS_exit_group, 0);
	return pid;
}

static long start_process(void)
{
	return become_process(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static long start_process_3(void)
{
	uint64_t arguments[8] = { [4] = SIGCHLD };

	return become_process(syscall(SYS_clone3, arguments, sizeof(arguments)));
}

static long make_namespace(void)
{
	return syscall(SYS_unshare, CLONE_NEWUSER);
}

static long join_namespace(void)
{
	return syscall(SYS_setns, 0, 0);
}

static long make_inet_socket(void)
{
	return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static long make_unix_socket(void)
{
	return syscall(SYS_socket, AF_UNIX, SOCK_DGRAM, 0);
}

static long make_netlink_socket(void)
{
	return syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0);
}

static long connect_socket(void)
{
	return syscall(SYS_connect, 0, NULL, 0);
}

static long trace(void)
{
	return syscall(SYS_ptrace, PTRACE_ATTACH, other, 0, 0);
}

static long read_memory(void)
{
	char byte;
	const struct iovec here = { &byte, 1 }, there = { (void *)0x400000, 1 };

	return syscall(SYS_process_vm_readv, other, &here, 1, &there, 1, 0);
}

static long kill_parent(void)
{
	return syscall(SYS_kill, other, 0);
}

static long kill_thread_of_parent(void)
{
	return syscall(SYS_tgkill, other, other, 0);
}

static long queue_signal(void)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	return syscall(SYS_rt_sigqueueinfo, other, SIGUSR1, &info);
}

static long get_hold_of_process(void)
{
	return syscall(SYS_pidfd_open, other, 0);
}

static long get_descriptor(void)
{
	return syscall(SYS_pidfd_getfd, 0, 0, 0);
}

static long map_executable(void)
{
	return syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
}

static long make_executable(void)
{
	static _Alignas(65536) char page[65536];

	return syscall(SYS_mprotect, page, sizeof(page), PROT_READ | PROT_EXEC);
}

static long make_ring(void)
{
	struct io_uring_params params = { 0 };

	return syscall(SYS_io_uring_setup, 1, &params);
}

static long load_program(void)
{
	return syscall(SYS_bpf, 5, NULL, 0);
}

static long watch_events(void)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static long handle_faults(void)
{
	return syscall(SYS_userfaultfd, 0);
}

static long add_key(void)
{
	return syscall(SYS_add_key, "user", "attack", "x", 1, -1);
}

static long mount_something(void)
{
	return syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL);
}

static long change_root(void)
{
	return syscall(SYS_chroot, "/tmp");
}

static long become_root(void)
{
	return syscall(SYS_setresuid, 0, 0, 0);
}

static long regain_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { ~0u, ~0u, ~0u }, { ~0u, ~0u, ~0u } };

	return syscall(SYS_capset, &header, data);
}

static long become_undumpable(void)
{
	return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long change_limits(void)
{
	return syscall(SYS_prlimit64, other, 7, NULL, NULL);
}

static long type_into_terminal(void)
{
	return ioctl(0, 0x5412 /* TIOCSTI */, "x");
}

static long restart_machine(void)
{
	return syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		       LINUX_REBOOT_CMD_CAD_ON, NULL);
}

static long load_module(void)
{
	return syscall(SYS_init_module, "", 0, "");
}

static long share_memory(void)
{
	return syscall(SYS_shmget, 0, 4096, 0600 | 01000);
}

static long watch_files(void)
{
	return syscall(SYS_inotify_init1, 0);
}

static long change_personality(void)
{
	return syscall(SYS_personality, 0xffffffff);
}

/* By whatever descriptor; what those that are for something else say does not matter. */
static long on_any(unsigned long request, unsigned long argument)
{
	int error = ENOTTY;

	for (int fd = 3; fd < 128; fd++) {
		if (ioctl(fd, request, argument) >= 0)
			return 0;
		if (errno == EPERM || errno == EBUSY)
			error = errno;
	}
	errno = error;
	return -1;
}

static long ask_kvm_for_more(void)
{
	return on_any(KVM_GET_API_VERSION, 0);
}

static long forget_by_kvm(void)
{
	struct kvm_clear_dirty_log log = { .slot = 0, .num_pages = 64 };

	return on_any(KVM_CLEAR_DIRTY_LOG, (unsigned long)&log);
}

static long make_vcpu(void)
{
	return on_any(KVM_CREATE_VCPU, 77);
}

static const struct {
	const char *what;
	long (*attempt)(void);
	int also; /* an error that is as good as EPERM */
} attempts[] = {
	{ "open a file", open_file, 0 },
	{ "open a descriptor anew", open_by_descriptor, 0 },
	{ "make a file", make_file, 0 },
	{ "open /dev/kvm", open_kvm, 0 },
	{ "open by handle", open_by_handle, 0 },
	{ "look at a file (statx)", look_at_file, 0 },
	{ "look at a file (newfstatat)", look_at_file_as_ever, 0 },
	{ "remove a file", remove_file, 0 },
	{ "rename a file", rename_file, 0 },
	{ "change a file's mode", change_mode, 0 },
	{ "link a file", link_file, 0 },
	{ "execute a program", execute, 0 },
	{ "start a process", start_process, 0 },
	/* For the C library, which then takes clone(2). */
	{ "start a process (clone3)", start_process_3, ENOSYS },
	{ "make a namespace", make_namespace, 0 },
	{ "join a namespace", join_namespace, 0 },
	{ "make a TCP socket", make_inet_socket, 0 },
	{ "make a Unix socket", make_unix_socket, 0 },
	{ "make a netlink socket", make_netlink_socket, 0 },
	{ "connect", connect_socket, 0 },
	{ "trace a process", trace, 0 },
	{ "read a process's memory", read_memory, 0 },
	{ "signal a process", kill_parent, 0 },
	{ "signal a process's thread", kill_thread_of_parent, 0 },
	{ "queue a signal", queue_signal, 0 },
	{ "get hold of a process", get_hold_of_process, 0 },
	{ "take a process's descriptor", get_descriptor, 0 },
	{ "map executable memory", map_executable, 0 },
	{ "make memory executable", make_executable, 0 },
	{ "make a ring of io_uring", make_ring, 0 },
	{ "load a BPF program", load_program, 0 },
	{ "count events", watch_events, 0 },
	{ "handle page faults", handle_faults, 0 },
	{ "add a key", add_key, 0 },
	{ "mount", mount_something, 0 },
	{ "change the root", change_root, 0 },
	{ "become root", become_root, 0 },
	{ "regain capabilities", regain_capabilities, 0 },
	{ "change how it is dumped", become_undumpable, 0 },
	{ "change a process's limits", change_limits, 0 },
	{ "type into the terminal", type_into_terminal, 0 },
	{ "change what Ctrl-Alt-Del does", restart_machine, 0 },
	{ "load a module", load_module, 0 },
	{ "share memory", share_memory, 0 },
	{ "watch files", watch_files, 0 },
	{ "change personality", change_personality, 0 },
	{ "ask KVM what nidus does not ask", ask_kvm_for_more, 0 },
	{ "clear KVM's dirty log", forget_by_kvm, 0 },
	/* Who makes machines is refused by KVM, as this one is complete. */
	{ "make a vCPU", make_vcpu, EBUSY },
};

static bool is_refused(size_t attempt, int error)
{
	return error == EPERM || (attempts[attempt].also && error == attempts[attempt].also);
}

static void attack(const char *kind)
{
	/* Of an attacker who is let have his way there may be nothing left that could try more. */
	const char *const only = getenv("NIDUS_ATTEMPTS");
	const size_t count = only ? strtoul(only, NULL, 10) : ARRAY_SIZE(attempts);

	for (size_t i = 0; i < count; i++) {
		const bool failed = attempts[i].attempt() < 0;
		char line[128];
		int length;

		length =
			snprintf(line, sizeof(line), "attack: %s: %s: %s\n", kind, attempts[i].what,
				 !failed		? "SUCCEEDED"
				 : is_refused(i, errno) ? "refused"
							: strerror(errno));
		syscall(SYS_write, STDERR_FILENO, line, length);
	}
}

int __wrap_sandbox_enter(struct sandbox *sandbox, const struct sandbox_options *options)
{
	other = getppid();
	return __real_sandbox_enter(sandbox, options);
}

void __wrap_machine_run(struct machine *machine)
{
	attack("loop");
	__real_machine_run(machine);
}

void __wrap_sandbox_enter_thread(enum sandbox_kind kind)
{
	static const char *const name[] = {
		[SANDBOX_LOOP] = "loop",
		[SANDBOX_VCPU] = "vcpu",
		[SANDBOX_SERVED] = "served",
		[SANDBOX_WORKER] = "worker",
	};

	__real_sandbox_enter_thread(kind);
	attack(name[kind]);
}
