// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A thread is taken out of KVM_RUN by setting kvm_run.immediate_exit and then
 * sending it a signal. If it is in the guest, the signal brings it back; if it is about to go
 * there, KVM sees immediate_exit; so no kick is lost, and the signal's handler does nothing. The
 * thread clears immediate_exit before it looks for what it was kicked for.
 *
 * A vCPU that pauses the others closes the gate, sets their immediate_exit and waits for each whose
 * in_guest says so. One that is outside KVM_RUN may stay there with whatever it does: on its next
 * way into the guest KVM sends it back at once, and it looks at the gate. It says that it is out
 * when it finds immediate_exit set, whatever brought it back. Both sides write first (in_guest
 * here, immediate_exit there) and then, behind a full barrier, look at what the other has written.
 *
 * A vCPU that is held (holds.h) was kicked as for a job, and stays where it looks for jobs.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/crash.h"
#include "host/log.h"
#include "sandbox/sandbox.h"
#include "vcpu/vcpu.h"

#define KICK_SIGNAL SIGRTMIN

/* A pause that took longer did so because the host had other things to do. */
#define REST_NS_MAX 10000000

static void vcpu_kicked(int signal)
{
	(void)signal;
}

void vcpu_prepare(void)
{
	/* No SA_RESTART: system calls other than KVM_RUN are to come back too. */
	const struct sigaction action = { .sa_handler = vcpu_kicked };

	sigaction(KICK_SIGNAL, &action, NULL);
}

static int vcpu_map_run(struct vcpu *vcpu, size_t run_size)
{
	void *run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);

	if (run == MAP_FAILED)
		return -errno;
	vcpu->run = run;
	vcpu->run_size = run_size;
	return 0;
}

int vcpu_create(struct vcpu *vcpu, struct vcpu_env *env, int vm_fd, unsigned int index,
		size_t run_size)
{
	int err;

	*vcpu = (struct vcpu){
		.env = env,
		.index = index,
		.fd = kvm_create_vcpu(vm_fd, index),
		.stats_fd = -1,
		.job_lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	err = vcpu->fd;
	if (err >= 0)
		err = vcpu_map_run(vcpu, run_size);
	/* A kernel without statistics (before Linux 5.14) has a guest all the same. */
	if (err >= 0 && env->statistics)
		vcpu->stats_fd = kvm_stats_fd(vcpu->fd);
	if (err < 0)
		log_error("vCPU %u: %s", index, log_reason(-err));
	else
		err = cpu_init(env->model, vcpu->fd, index != 0);
	if (err < 0)
		vcpu_destroy(vcpu);
	return err;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	if (vcpu->stats_fd >= 0)
		close(vcpu->stats_fd);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->run = NULL;
	vcpu->fd = vcpu->stats_fd = -1;
}

static void vcpu_do_job(struct vcpu *vcpu)
{
	if (!vcpu->job)
		return;
	vcpu->job_result = vcpu->job(vcpu);
	vcpu->job = NULL;
	pthread_cond_broadcast(&vcpu->changed);
}

static bool vcpu_is_held(const struct vcpu *vcpu)
{
	return (holds_any(vcpu->env->holds) || atomic_load(&vcpu->stays)) &&
	       !atomic_load(&vcpu->stop);
}

/* Does what the thread was kicked for, stopping apart. */
static void vcpu_serve(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);

	pthread_rwlock_rdlock(&vcpu->env->gate);
	pthread_rwlock_unlock(&vcpu->env->gate);

	pthread_mutex_lock(&vcpu->job_lock);
	vcpu_do_job(vcpu);
	while (vcpu_is_held(vcpu)) {
		if (!vcpu->rests && holds_any(vcpu->env->holds))
			holds_rested(vcpu->env->holds);
		vcpu->rests = true;
		pthread_cond_wait(&vcpu->changed, &vcpu->job_lock);
		vcpu_do_job(vcpu);
	}
	vcpu->rests = false;
	pthread_mutex_unlock(&vcpu->job_lock);
}

static void vcpu_end(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->job_lock);
	vcpu->ended = true;
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->job_lock);
	if (holds_any(vcpu->env->holds))
		holds_rested(vcpu->env->holds);
}

/* Runs KVM_RUN, and tells a thread that waits for its end. */
static int vcpu_run(struct vcpu *vcpu)
{
	int err;

	atomic_store_explicit(&vcpu->in_guest, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	err = kvm_run(vcpu->fd);
	atomic_store_explicit(&vcpu->in_guest, false, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED)) {
		pthread_mutex_lock(&vcpu->job_lock);
		pthread_cond_broadcast(&vcpu->changed);
		pthread_mutex_unlock(&vcpu->job_lock);
	}
	return err;
}

/* By the thread itself: of another's name the C library writes to a file in /proc. */
static void vcpu_name(const struct vcpu *vcpu)
{
	char name[16];

	/* Cut to what the kernel takes: a name is a help, not a promise. */
	snprintf(name, sizeof(name), "%.10s/%u", vcpu->env->thread_name, vcpu->index % 10000);
	pthread_setname_np(pthread_self(), name);
}

static void *vcpu_thread(void *opaque)
{
	struct vcpu *vcpu = opaque;
	uint8_t stack[CRASH_STACK_SIZE];
	bool carry_on = true;

	crash_stack(stack);
	vcpu_name(vcpu);
	sandbox_enter_thread(vcpu->env->kind);
	while (carry_on && !atomic_load(&vcpu->stop)) {
		int err = vcpu_run(vcpu);

		if (err == -EINTR || err == -EAGAIN) {
			counters_exit(&vcpu->counters, KVM_EXIT_INTR);
			vcpu_serve(vcpu);
		} else {
			carry_on = vcpu->env->exited(vcpu, err);
		}
	}
	vcpu_end(vcpu);
	crash_stack(NULL);
	return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
	int err;

	/* Holds may have begun before. */
	if (vcpu_is_held(vcpu))
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	err = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);

	if (err != 0) {
		log_error("thread of vCPU %u: %s", vcpu->index, log_reason(err));
		return -err;
	}
	vcpu->started = true;
	return 0;
}

/* #syscalls loop vcpu: tgkill getpid */
static void vcpu_kick(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

/* Whoever waits for a change of what it is held or asked for looks again. */
static void vcpu_wake(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->job_lock);
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->job_lock);
}

void vcpu_look_up(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	vcpu_kick(vcpu);
	vcpu_wake(vcpu);
}

void vcpu_stay(struct vcpu *vcpu)
{
	atomic_store(&vcpu->stays, true);
	/* KVM_RUN returns at once, and the thread looks whether it is held. */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

void vcpu_go(struct vcpu *vcpu)
{
	atomic_store(&vcpu->stays, false);
	vcpu_wake(vcpu);
}

bool vcpu_rests(struct vcpu *vcpu)
{
	bool rests;

	pthread_mutex_lock(&vcpu->job_lock);
	rests = !vcpu->started || vcpu->rests || vcpu->ended;
	pthread_mutex_unlock(&vcpu->job_lock);
	return rests;
}

void vcpu_stop(struct vcpu *vcpu)
{
	atomic_store(&vcpu->stop, true);
	vcpu_look_up(vcpu);
}

void vcpu_join(struct vcpu *vcpu)
{
	if (vcpu->started)
		pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
}

int vcpu_call(struct vcpu *vcpu, int (*job)(struct vcpu *vcpu))
{
	int result = -ESRCH;

	pthread_mutex_lock(&vcpu->job_lock);
	if (!vcpu->ended) {
		vcpu->job = job;
		vcpu_kick(vcpu);
		pthread_cond_broadcast(&vcpu->changed);
		while (vcpu->job && !vcpu->ended)
			pthread_cond_wait(&vcpu->changed, &vcpu->job_lock);
		if (!vcpu->job)
			result = vcpu->job_result;
		vcpu->job = NULL;
	}
	pthread_mutex_unlock(&vcpu->job_lock);
	return result;
}

/* Waits until a vCPU that has been kicked is out of KVM_RUN. */
static void vcpu_wait_outside(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->job_lock);
	while (atomic_load(&vcpu->in_guest))
		pthread_cond_wait(&vcpu->changed, &vcpu->job_lock);
	pthread_mutex_unlock(&vcpu->job_lock);
}

void vcpu_pause_others(struct vcpu *vcpu)
{
	struct vcpu_env *env = vcpu->env;

	pthread_mutex_lock(&env->pausing);
	env->paused_at = clock_ns();
	pthread_rwlock_wrlock(&env->gate);
	for (unsigned int i = 0; i < env->count; i++) {
		struct vcpu *other = &env->vcpus[i];

		if (other == vcpu)
			continue;
		__atomic_store_n(&other->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(&other->in_guest))
			pthread_kill(other->thread, KICK_SIGNAL);
	}
	for (unsigned int i = 0; i < env->count; i++)
		if (&env->vcpus[i] != vcpu)
			vcpu_wait_outside(&env->vcpus[i]);
}

/*
 * What one of a guest's processes can bring about may cost its other vCPUs half of their time, not
 * all of it.
 */
static void vcpu_let_rest(struct vcpu *vcpu)
{
	const uint64_t now = clock_ns(), taken = now - vcpu->env->paused_at;
	const uint64_t until = now + (taken < REST_NS_MAX ? taken : REST_NS_MAX);
	const struct timespec end = { until / 1000000000, until % 1000000000 };
	int err = vcpu->env->count > 1 ? 0 : ETIMEDOUT;

	pthread_mutex_lock(&vcpu->job_lock);
	while (err == 0 && !atomic_load(&vcpu->stop))
		err = pthread_cond_clockwait(&vcpu->changed, &vcpu->job_lock, CLOCK_MONOTONIC,
					     &end);
	pthread_mutex_unlock(&vcpu->job_lock);
}

void vcpu_resume_others(struct vcpu *vcpu)
{
	pthread_rwlock_unlock(&vcpu->env->gate);
	vcpu_let_rest(vcpu);
	pthread_mutex_unlock(&vcpu->env->pausing);
}
