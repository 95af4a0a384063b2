// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the filters of the sandbox, on the machine that nidus is built on, of what the comments
 * beside its functions ask for (collect, whose lines are CALLS). So a start pays for loading them
 * only. Prints a header: an array of struct sock_filter for each kind of thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/iommufd.h>
#include <linux/kvm.h>
#include <linux/reboot.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <linux/vfio.h>
#include <linux/vhost.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kvm_series.h"
#include "sandbox/sandbox.h"
#include "vmm/sandbox/placeholder.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct call {
	enum sandbox_kind kind;
	const char *name;
	bool has_value;
	uint64_t value;
};

static const struct call calls[] = {
#include CALLS
};

static const char *const kinds[] = { "loop", "vcpu", "served", "worker" };

/* Which argument it is that has one value for each thing that a call does. */
static const struct {
	const char *name;
	unsigned int argument;
} selectors[] = {
	{ "fcntl", 1 }, { "ioctl", 1 },	 { "madvise", 2 },
	{ "prctl", 0 }, { "reboot", 2 }, { "seccomp", 0 },
};

/* Of a thread as the C library starts it. What is more would be a process, or a namespace. */
#define THREAD                                                                              \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static void fail(const char *what, int err)
{
	fprintf(stderr, "filters: %s: %s\n", what, strerror(-err));
	exit(1);
}

/* What is to hold of a call's arguments, whoever makes it. Returns how many conditions there are.
 */
static unsigned int conditions(const struct call *call, struct scmp_arg_cmp *condition)
{
	unsigned int count = 0;

	if (strcmp(call->name, "mmap") == 0 || strcmp(call->name, "mprotect") == 0)
		condition[count++] = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	else if (strcmp(call->name, "clone") == 0)
		condition[count++] = SCMP_A0(SCMP_CMP_EQ, THREAD);
	else if (strcmp(call->name, "tgkill") == 0)
		condition[count++] = SCMP_A0(SCMP_CMP_EQ, SANDBOX_OWN_PID);
	else if (strncmp(call->name, "sched_", 6) == 0 && strcmp(call->name, "sched_yield") != 0)
		condition[count++] = SCMP_A0(SCMP_CMP_EQ, 0);
	if (!call->has_value)
		return count;
	for (size_t i = 0; i < ARRAY_SIZE(selectors); i++)
		if (strcmp(selectors[i].name, call->name) == 0) {
			condition[count++] =
				SCMP_CMP(selectors[i].argument, SCMP_CMP_EQ, call->value);
			return count;
		}
	fail(call->name, -EINVAL);
	return 0;
}

static void add(scmp_filter_ctx filter, const struct call *call)
{
	const int number = seccomp_syscall_resolve_name(call->name);
	struct scmp_arg_cmp condition[2];
	const unsigned int count = conditions(call, condition);
	int err;

	if (number == __NR_SCMP_ERROR)
		fail(call->name, -ENOSYS);
	err = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, count, condition);
	if (err < 0 && err != -EEXIST)
		fail(call->name, err);
}

static bool is_for(const struct call *call, enum sandbox_kind kind)
{
	/* All others come from that thread, and have its filter as well. */
	return call->kind == kind || kind == SANDBOX_LOOP ||
	       (call->kind == SANDBOX_VCPU && kind == SANDBOX_SERVED);
}

static scmp_filter_ctx make(enum sandbox_kind kind)
{
	const uint32_t arch = SCMP_ARCH_AARCH64;
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = filter ? 0 : -ENOMEM;

	if (err == 0 && arch != seccomp_arch_native())
		err = seccomp_arch_add(filter, arch);
	if (err == 0 && arch != seccomp_arch_native())
		err = seccomp_arch_remove(filter, SCMP_ARCH_NATIVE);
	/* A tree of numbers, and not a list. */
	if (err == 0)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/* The C library then takes clone(2), whose arguments can be looked at. */
	if (err == 0)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
				       seccomp_syscall_resolve_name("clone3"), 0);
	if (err < 0)
		fail(kinds[kind], err);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (is_for(&calls[i], kind))
			add(filter, &calls[i]);
	return filter;
}

#define PROGRAM_MAX 1024

/* How a program of libseccomp begins, for one architecture: this is counted on. */
static const struct sock_filter beginning[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SCMP_ARCH_AARCH64, 0, 0),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
};

/*
 * What is called most comes first: by its value it would be the last of all that ioctl(2) does. For
 * other calls it is one step more, since the kernel takes each number through the whole program
 * when it is loaded.
 */
static const struct sock_filter shortcut[] = {
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 29 /* arm64's ioctl */, 0, 6),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, KVM_RUN, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		 offsetof(struct seccomp_data, args[1]) + sizeof(uint32_t)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
};

/* Returns the new length. */
static size_t add_shortcut(struct sock_filter *program, size_t length)
{
	const size_t first = ARRAY_SIZE(beginning);

	for (size_t i = 0; i < first; i++)
		if (program[i].code != beginning[i].code || program[i].k != beginning[i].k)
			fail("libseccomp: a program begins in another way", -EINVAL);
	if (program[1].jf + ARRAY_SIZE(shortcut) > UINT8_MAX)
		fail("a program is too long for its jumps", -E2BIG);
	program[1].jf += ARRAY_SIZE(shortcut);
	memmove(program + first + ARRAY_SIZE(shortcut), program + first,
		(length - first) * sizeof(*program));
	memcpy(program + first, shortcut, sizeof(shortcut));
	return length + ARRAY_SIZE(shortcut);
}

static void print(enum sandbox_kind kind, scmp_filter_ctx filter)
{
	struct sock_filter program[PROGRAM_MAX + ARRAY_SIZE(shortcut)];
	const int fd = memfd_create("filter", 0);
	int err = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);
	ssize_t got;
	size_t length;

	if (err < 0)
		fail(kinds[kind], err);
	got = pread(fd, program, PROGRAM_MAX * sizeof(*program), 0);
	close(fd);
	if (got <= 0 || got == (ssize_t)(PROGRAM_MAX * sizeof(*program)))
		fail(kinds[kind], -EFBIG);
	length = got / sizeof(*program);
	if (kind != SANDBOX_WORKER)
		length = add_shortcut(program, length);
	printf("static const struct sock_filter filter_%s[] = {\n", kinds[kind]);
	for (size_t i = 0; i < length; i++)
		printf("\t{ 0x%x, %u, %u, 0x%x },\n", program[i].code, program[i].jt, program[i].jf,
		       program[i].k);
	printf("};\n");
}

/* How many different calls such a thread may make. */
static unsigned int count(enum sandbox_kind kind)
{
	unsigned int found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		bool again = !is_for(&calls[i], kind);

		for (size_t j = 0; j < i && !again; j++)
			again = strcmp(calls[i].name, calls[j].name) == 0 &&
				is_for(&calls[j], kind);
		found += !again;
	}
	return found;
}

int main(int argc, char **argv)
{
	printf("/* Made by vmm/sandbox/filters/generate.c */\n");
	for (int kind = 0; kind < SANDBOX_KINDS; kind++) {
		scmp_filter_ctx filter = make(kind);

		printf("/* %s: %u calls */\n", kinds[kind], count(kind));
		if (argc > 1 && strcmp(argv[1], "text") == 0)
			seccomp_export_pfc(filter, STDERR_FILENO);
		print(kind, filter);
		seccomp_release(filter);
	}
	return 0;
}
