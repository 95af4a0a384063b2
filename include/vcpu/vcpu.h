/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vCPU: its descriptors, its thread, and the ways to interrupt that thread.
 */
#ifndef NIDUS_VCPU_H
#define NIDUS_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "bus/bus.h"
#include "cpu/cpu.h"
#include "host/kvm.h"
#include "host/verdict.h"
#include "mm/memory.h"
#include "sandbox/sandbox.h"
#include "vcpu/counters.h"
#include "vcpu/holds.h"

struct vcpu;

/* What all vCPUs of a machine share. Everything outlives them. */
struct vcpu_env {
	const struct bus *bus;
	const struct memory *memory;
	const struct cpu_model *model;
	struct verdict *verdict;
	/*
	 * What is done about a vCPU that came back from KVM_RUN with err, -EINTR and -EAGAIN apart:
	 * exit_handle(). Called by its thread. False: it must not run again, and the verdict says
	 * why.
	 */
	bool (*exited)(struct vcpu *vcpu, int err);
	const char *thread_name; /* prefix of the threads' names */
	enum sandbox_kind kind; /* of the threads: SANDBOX_VCPU or SANDBOX_SERVED */
	bool emulation; /* of what the CPU does not describe; else an abort */
	bool lookup_by_kvm; /* lookup_enable() said so */
	bool statistics; /* KVM's statistics may be asked for while vCPUs run */
	struct vcpu *vcpus;
	unsigned int count;
	/* Held while an atomic instruction is emulated: two of them exclude each other. */
	pthread_mutex_t read_modify_write;
	pthread_mutex_t suspending; /* held by the vCPU that asked for PSCI SYSTEM_SUSPEND */

	/* vcpu_pause_others(): held by the vCPU that is at it, and until the others have had rest.
	 */
	pthread_mutex_t pausing;
	pthread_rwlock_t gate; /* written: they are paused; read: they look whether they are */
	uint64_t paused_at; /* clock_ns(); with pausing */
	struct holds *holds; /* holds_attach(); NULL: nobody ever holds them */

	/*
	 * What is done about KVM_EXIT_DEBUG, by the vCPU's thread; as exited. NULL: nobody debugs
	 * the guest, and KVM has no reason for it.
	 */
	bool (*debugged)(struct vcpu *vcpu);
	void *debugger; /* debugged's */
};

struct vcpu {
	struct vcpu_env *env;
	unsigned int index;
	int fd;
	struct kvm_run *run; /* shared with KVM */
	size_t run_size;
	/* Opened beforehand, as KVM_GET_STATS_FD waits while the vCPU runs; -1: none. */
	int stats_fd;
	struct counters counters;
	/* An instruction that could not be emulated for the moment, and how often in a row. */
	uint64_t again_pc;
	unsigned int again_count;

	pthread_t thread;
	bool started;
	atomic_bool stop;
	atomic_bool stays; /* it is held by itself, until vcpu_go() */
	atomic_bool
		in_guest; /* about to enter KVM_RUN, inside, or not yet out; by its own thread */

	/* A function for the vCPU's own thread to call between two runs. */
	pthread_mutex_t job_lock;
	pthread_cond_t changed; /* job, ended, in_guest, or what it is held for */
	int (*job)(struct vcpu *vcpu);
	int job_result;
	bool ended; /* the thread takes no more jobs */
	bool rests; /* it is held, and does nothing but jobs */
};

/* Prepares the process: the signal that takes a thread out of KVM_RUN. */
void vcpu_prepare(void);

/*
 * A vCPU of vm_fd with the model's features; all but the first wait for PSCI CPU_ON. run_size is
 * kvm_run_size(). Errors: -errno, said; nothing to destroy then.
 */
int vcpu_create(struct vcpu *vcpu, struct vcpu_env *env, int vm_fd, unsigned int index,
		size_t run_size);
/* Closes what holds the VM. Its thread has been stopped. */
void vcpu_destroy(struct vcpu *vcpu);

/* Starts the thread. Errors: -errno, said. */
int vcpu_start(struct vcpu *vcpu);

/* Not from a vCPU thread: has the thread leave the guest and see whether it is held or to stop. */
void vcpu_look_up(struct vcpu *vcpu);
/*
 * Has one vCPU rest as if it were held: before its thread is started, by that thread outside
 * KVM_RUN, or by the loop's while it is held. vcpu_go(), the loop's thread: it goes on, unless it
 * is held.
 */
void vcpu_stay(struct vcpu *vcpu);
void vcpu_go(struct vcpu *vcpu);
/* Any thread: whether it is held and has come to rest, or does not run at all. */
bool vcpu_rests(struct vcpu *vcpu);

/* Has the thread leave the guest and end; vcpu_join() waits for that. Not from a vCPU thread. */
void vcpu_stop(struct vcpu *vcpu);
void vcpu_join(struct vcpu *vcpu);

/*
 * Has the vCPU's own thread call job between two runs, and returns what job returns, or -ESRCH
 * when the thread has ended. For ioctls that KVM lets wait while a vCPU runs. Not from the thread
 * itself.
 */
int vcpu_call(struct vcpu *vcpu, int (*job)(struct vcpu *vcpu));

/*
 * From the return of vcpu_pause_others() to vcpu_resume_others() no other vCPU of the machine
 * executes an instruction of the guest, and what each has executed before can be seen. Between two
 * calls vCPUs have as much time as the last one took. Called by vCPU's own thread outside KVM_RUN,
 * which holds none of job_lock, pausing, gate, nor what another may hold inside KVM_RUN. Waits for
 * others to leave KVM_RUN, and for those that want the same, each of whom is done in a bounded
 * time; never for one that does something outside, as wait for the console. vcpu_call() is not for
 * between the two.
 */
void vcpu_pause_others(struct vcpu *vcpu);
void vcpu_resume_others(struct vcpu *vcpu);

#endif
