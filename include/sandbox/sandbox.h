/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What nidus gives up once all is open that a guest needs: whoever takes it over from inside a
 * guest has what is open, and nothing besides. What each kind of thread may still call is said
 * beside the functions that call it, in comments of this form:
 *
 *	#syscalls KIND...: CALL CALL(VALUE) ...
 *
 * where VALUE is the one value of the argument that says what the call does, ioctl(2)'s request
 * for example; filters/collect has the rest. All else is refused (EPERM).
 */
#ifndef NIDUS_SANDBOX_H
#define NIDUS_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

enum sandbox_mode {
	SANDBOX_ON,
	SANDBOX_FULL, /* and namespaces of its own */
	SANDBOX_REPORT, /* as on, but what is forbidden is told and let through */
	SANDBOX_OFF,
};

/* Kinds of threads, each with a filter of its own. */
enum sandbox_kind {
	SANDBOX_LOOP, /* that of the event loop, which starts the others: it may call what they may
		       */
	SANDBOX_VCPU,
	SANDBOX_SERVED, /* a vCPU's, of a guest whose devices others serve, or with flash memory */
	SANDBOX_WORKER, /* of queues */
	SANDBOX_KINDS,
};

struct sandbox_options {
	enum sandbox_mode mode;
	uint64_t capabilities; /* that are kept, a bit for each, of those that nidus has */
	bool signals_children; /* which run outside, so Landlock is not to keep signals in */
};

/* What has become of it. */
struct sandbox {
	enum sandbox_mode mode;
	int landlock_abi; /* 0: the kernel has no Landlock */
	unsigned int namespaces; /* CLONE_NEW*, those that are its own */
	uint64_t capabilities; /* that are left */
	const char *failed; /* what could not be entered, on an error */
};

/*
 * For the process, which has one thread yet; those that it starts from then on are in it as well.
 * Errors: -errno, not said, with sandbox->failed; then nidus must not go on.
 */
int sandbox_enter(struct sandbox *sandbox, const struct sandbox_options *options);

/*
 * For the calling thread, at its beginning: the filter of its kind besides, where the process is in
 * a sandbox. Where the kernel has no room for one it keeps to that of the loop.
 */
void sandbox_enter_thread(enum sandbox_kind kind);

const char *sandbox_mode_name(enum sandbox_mode mode);

#endif
