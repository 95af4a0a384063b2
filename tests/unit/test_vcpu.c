// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads of vCPUs against a KVM_RUN that behaves as the kernel's does: a signal that comes while a
 * thread is outside does nothing, immediate_exit is looked at on the way in, and inside any signal
 * ends it. A thread that sleeps there although it was kicked is woken in the end, and counted.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/clock.h"
#include "unit.h"
#include "util.h"
#include "vcpu/vcpu.h"

#define CPUS	 4
#define RUN_SIZE 4096
#define PATIENCE 300 /* seconds */

/* How long a thread sleeps twice before a kick is taken to be lost. */
#define LOST_SECONDS 5

/* What a vCPU's guest does. */
enum guest {
	SLEEPS, /* inside KVM_RUN until it is kicked */
	WORKS, /* and leaves for user space now and then */
	PAUSES, /* the others, each time */
	WAITS, /* in user space, until it is let go */
	ENDS, /* its thread, at once */
};

static struct vcpu_env env;
static struct event_loop loop;
static struct holds holds;
static unsigned int told[2]; /* how often each of two holds was */
static struct vcpu vcpus[CPUS];
static enum guest guests[CPUS];
static unsigned int created;

static atomic_bool inside[CPUS]; /* executes instructions */
static atomic_uint instructions[CPUS];
static atomic_uint pauses[CPUS], jobs[CPUS];
static atomic_int alone; /* the vCPU that has paused the others; -1: none */
static atomic_uint violations;
static atomic_bool let_go, waiting;
static atomic_uint lost; /* kicks */

/*
 * Where the first vCPU's thread waits to be kicked. From there it goes on to KVM_RUN, and who kicks
 * it is kept in pthread_kill(3) until it is past looking at immediate_exit.
 */
enum place {
	NOWHERE,
	AT_THE_DOOR, /* on its way into KVM_RUN */
	HAS_LOOKED, /* for a job, and found none, or did it */
};

static _Atomic enum place meeting;
static atomic_bool arrived, kicked;
static atomic_uint entries; /* of the first vCPU to KVM_RUN, past that look */
static _Thread_local bool is_first;

static void meet(enum place place)
{
	enum place expected = place;

	if (!is_first || !atomic_compare_exchange_strong(&meeting, &expected, NOWHERE))
		return;
	atomic_store(&arrived, true);
	while (!atomic_load(&kicked))
		usleep(100);
	/* The signal has come when this returns. */
	sched_yield();
}

/* In place of the C library's. */

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	static __typeof__(pthread_mutex_unlock) *unlock;
	int err;

	if (!unlock)
		unlock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_unlock");
	err = unlock(mutex);
	if (mutex == &vcpus[0].job_lock)
		meet(HAS_LOOKED);
	return err;
}

int pthread_kill(pthread_t thread, int signal)
{
	static int (*kill_thread)(pthread_t thread, int signal);
	const unsigned int before = atomic_load(&entries);
	int err;

	if (!kill_thread)
		kill_thread = (int (*)(pthread_t, int))dlsym(RTLD_NEXT, "pthread_kill");
	err = kill_thread(thread, signal);
	if (atomic_exchange(&arrived, false)) {
		atomic_store(&kicked, true);
		while (atomic_load(&entries) == before)
			usleep(100);
	}
	return err;
}

/* In place of vmm/host/kvm.c. */

int kvm_create_vcpu(int vm_fd, unsigned int id)
{
	const int fd = memfd_create("vcpu", MFD_CLOEXEC);

	return fd < 0 || ftruncate(fd, RUN_SIZE) < 0 ? -errno : fd;
}

int kvm_stats_fd(int fd)
{
	return -EINVAL;
}

static unsigned int index_of(int fd)
{
	for (unsigned int i = 0; i < CPUS; i++)
		if (vcpus[i].fd == fd)
			return i;
	return 0;
}

static bool signal_is_pending(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGRTMIN) == 1;
}

static void execute(unsigned int index)
{
	const int owner = atomic_load(&alone);

	if (owner >= 0 && owner != (int)index)
		atomic_fetch_add(&violations, 1);
	atomic_fetch_add(&instructions[index], 1);
}

static bool is_wanted(const struct vcpu *vcpu)
{
	return vcpu->job || atomic_load(&vcpu->stop) || holds_any(env.holds);
}

/* Until there is a signal. */
static void sleep_inside(const struct vcpu *vcpu, const sigset_t *outside)
{
	const struct timespec limit = { .tv_sec = LOST_SECONDS };
	unsigned int overslept = 0;

	while (overslept < 2 && ppoll(NULL, 0, &limit, outside) == 0)
		overslept = is_wanted(vcpu) ? overslept + 1 : 0;
	if (overslept == 2)
		atomic_fetch_add(&lost, 1);
}

/* The same of one that does not sleep. */
static bool was_forgotten(unsigned int index)
{
	static uint64_t since[CPUS]; /* 0: nobody wants anything */
	const uint64_t now = clock_ns();

	if (!is_wanted(&vcpus[index]))
		since[index] = 0;
	else if (since[index] == 0)
		since[index] = now;
	if (since[index] == 0 || now - since[index] < 2 * LOST_SECONDS * UINT64_C(1000000000))
		return false;
	since[index] = 0;
	atomic_fetch_add(&lost, 1);
	return true;
}

static int run_guest(unsigned int index, const sigset_t *outside)
{
	if (guests[index] == SLEEPS) {
		if (index == 0)
			atomic_fetch_add(&entries, 1);
		sleep_inside(&vcpus[index], outside);
		return -EINTR;
	}
	for (unsigned int i = 0; i < 50; i++) {
		if (signal_is_pending())
			return -EINTR;
		execute(index);
	}
	return was_forgotten(index) ? -EINTR : 0;
}

int kvm_run(int fd)
{
	const unsigned int index = index_of(fd);
	sigset_t kick, outside;
	int err = -EINTR;

	is_first = index == 0;
	meet(AT_THE_DOOR);
	sigemptyset(&kick);
	sigaddset(&kick, SIGRTMIN);
	pthread_sigmask(SIG_BLOCK, &kick, &outside);
	if (!__atomic_load_n(&vcpus[index].run->immediate_exit, __ATOMIC_SEQ_CST)) {
		atomic_store(&inside[index], true);
		err = run_guest(index, &outside);
		atomic_store(&inside[index], false);
	} else if (index == 0) {
		atomic_fetch_add(&entries, 1);
	}
	pthread_sigmask(SIG_SETMASK, &outside, NULL);
	return err;
}

/* In place of arm/cpu/cpu.c. */
int cpu_init(const struct cpu_model *model, int vcpu_fd, bool off)
{
	return 0;
}

/* What is done about exits. */

static void pause_and_look(struct vcpu *vcpu)
{
	unsigned int before[CPUS];

	vcpu_pause_others(vcpu);
	if (atomic_exchange(&alone, vcpu->index) != -1)
		atomic_fetch_add(&violations, 1);
	for (unsigned int i = 0; i < CPUS; i++)
		before[i] = atomic_load(&instructions[i]);
	for (unsigned int i = 0; i < 20; i++)
		sched_yield();
	for (unsigned int i = 0; i < CPUS; i++)
		if (before[i] != atomic_load(&instructions[i]) ||
		    (i != vcpu->index && atomic_load(&inside[i])))
			atomic_fetch_add(&violations, 1);
	atomic_store(&alone, -1);
	vcpu_resume_others(vcpu);
	atomic_fetch_add(&pauses[vcpu->index], 1);
}

static bool exited(struct vcpu *vcpu, int err)
{
	switch (guests[vcpu->index]) {
	case PAUSES:
		pause_and_look(vcpu);
		return true;
	case WAITS:
		atomic_store(&waiting, true);
		while (!atomic_load(&let_go))
			usleep(1000);
		return true;
	case ENDS:
		return false;
	default:
		return true;
	}
}

/* The machine. */

static int begin(void **state)
{
	alarm(PATIENCE);
	memset(instructions, 0, sizeof(instructions));
	memset(pauses, 0, sizeof(pauses));
	memset(jobs, 0, sizeof(jobs));
	atomic_store(&alone, -1);
	atomic_store(&violations, 0);
	atomic_store(&let_go, false);
	atomic_store(&waiting, false);
	atomic_store(&lost, 0);
	atomic_store(&meeting, NOWHERE);
	created = 0;
	env = (struct vcpu_env){
		.exited = exited,
		.thread_name = "test",
		.vcpus = vcpus,
		.count = CPUS,
		.pausing = PTHREAD_MUTEX_INITIALIZER,
		.gate = PTHREAD_RWLOCK_INITIALIZER,
	};
	vcpu_prepare();
	if (event_loop_create(&loop) < 0)
		return -1;
	holds_create(&holds, &loop);
	holds_attach(&holds, &env);
	memset(told, 0, sizeof(told));
	while (created < CPUS && vcpu_create(&vcpus[created], &env, -1, created, RUN_SIZE) == 0)
		created++;
	return created == CPUS ? catch_begin(state) : -1;
}

static void start(enum guest a, enum guest b, enum guest c, enum guest d)
{
	const enum guest wanted[] = { a, b, c, d };

	memcpy(guests, wanted, sizeof(guests));
	for (unsigned int i = CPUS; i-- > 0;)
		assert_int_equal(vcpu_start(&vcpus[i]), 0);
}

static void stop(void)
{
	for (unsigned int i = 0; i < CPUS; i++)
		vcpu_stop(&vcpus[i]);
	for (unsigned int i = 0; i < CPUS; i++)
		vcpu_join(&vcpus[i]);
}

static int finish(void **state)
{
	atomic_store(&let_go, true);
	stop();
	while (created > 0)
		vcpu_destroy(&vcpus[--created]);
	holds_destroy(&holds);
	event_loop_destroy(&loop);
	alarm(0);
	return catch_end(state);
}

static void wait_until(atomic_uint *count, unsigned int wanted)
{
	while (atomic_load(count) < wanted)
		usleep(1000);
}

/* Kicks. */

static int count_job(struct vcpu *vcpu)
{
	if (!pthread_equal(pthread_self(), vcpu->thread) || atomic_load(&inside[vcpu->index]))
		atomic_fetch_add(&violations, 1);
	return atomic_fetch_add(&jobs[vcpu->index], 1);
}

static void a_kick_is_never_lost(void **state)
{
	start(SLEEPS, WORKS, SLEEPS, WORKS);
	for (int round = 0; round < 1000; round++)
		for (unsigned int i = 0; i < CPUS; i++) {
			assert_int_equal(vcpu_call(&vcpus[i], count_job), round);
			assert_int_equal(atomic_load(&lost), 0);
		}
	assert_int_equal(atomic_load(&violations), 0);
}

/* Has the first vCPU's thread go there, by a job: what it does next is that. */
static enum place wanted;

static int go_there(struct vcpu *vcpu)
{
	atomic_store(&meeting, wanted);
	return 0;
}

static void arrange(enum place place)
{
	wanted = place;
	atomic_store(&kicked, false);
	vcpu_call(&vcpus[0], go_there);
	while (!atomic_load(&arrived))
		usleep(100);
}

/*
 * Where a thread can miss what comes: immediate_exit set after the signal is lost at the door, one
 * that is cleared after looking for a job behind that look.
 */
static void no_kick_is_lost_on_the_way_in(void **state)
{
	start(SLEEPS, SLEEPS, SLEEPS, SLEEPS);
	for (int round = 0; round < 100; round++) {
		arrange(round % 2 ? AT_THE_DOOR : HAS_LOOKED);
		assert_int_equal(vcpu_call(&vcpus[0], count_job), round);
		assert_int_equal(atomic_load(&lost), 0);
	}
	arrange(AT_THE_DOOR);
	vcpu_stop(&vcpus[0]);
	vcpu_join(&vcpus[0]);
	assert_int_equal(atomic_load(&lost), 0);
	assert_int_equal(atomic_load(&violations), 0);
}

static void whoever_has_ended_takes_no_job(void **state)
{
	start(ENDS, SLEEPS, SLEEPS, SLEEPS);
	/* It may take one on its way. */
	while (vcpu_call(&vcpus[0], count_job) != -ESRCH)
		;
	assert_int_equal(vcpu_call(&vcpus[0], count_job), -ESRCH);
	assert_int_equal(vcpu_call(&vcpus[1], count_job), 0);
	vcpu_stop(&vcpus[1]);
	vcpu_join(&vcpus[1]);
	assert_int_equal(vcpu_call(&vcpus[1], count_job), -ESRCH);
}

static void all_can_be_stopped_at_any_time(void **state)
{
	for (unsigned int round = 0; round < 60; round++) {
		start(SLEEPS, WORKS, PAUSES, PAUSES);
		usleep(round % 10 * 100);
		stop();
		for (unsigned int i = 0; i < CPUS; i++) {
			atomic_store(&vcpus[i].stop, false);
			vcpus[i].ended = false;
		}
	}
	assert_int_equal(atomic_load(&violations), 0);
}

/* Pauses. */

static void a_pause_is_alone_with_the_guest(void **state)
{
	start(PAUSES, WORKS, SLEEPS, WORKS);
	wait_until(&pauses[0], 200);
	assert_int_equal(atomic_load(&violations), 0);
}

static void several_pauses_take_turns(void **state)
{
	start(PAUSES, PAUSES, PAUSES, WORKS);
	for (unsigned int i = 0; i < 3; i++)
		wait_until(&pauses[i], 60);
	assert_int_equal(atomic_load(&violations), 0);
}

/* Whoever is paused again and again gets on with its work all the same. */
static void the_others_get_on(void **state)
{
	start(PAUSES, PAUSES, PAUSES, WORKS);
	wait_until(&instructions[3], 1000);
}

static void pauses_and_jobs_go_together(void **state)
{
	start(PAUSES, PAUSES, SLEEPS, WORKS);
	for (int round = 0; round < 100; round++)
		for (unsigned int i = 0; i < CPUS; i++)
			assert_int_equal(vcpu_call(&vcpus[i], count_job), round);
	assert_int_equal(atomic_load(&violations), 0);
}

static void nobody_is_waited_for_outside(void **state)
{
	start(PAUSES, WAITS, ENDS, SLEEPS);
	while (!atomic_load(&waiting))
		usleep(1000);
	wait_until(&pauses[0], atomic_load(&pauses[0]) + 20);
	assert_false(atomic_load(&let_go));
	assert_int_equal(atomic_load(&violations), 0);
}

static void whoever_comes_from_outside_waits(void **state)
{
	const unsigned int before = 50;
	unsigned int meanwhile;

	start(SLEEPS, WAITS, SLEEPS, SLEEPS);
	wait_until(&instructions[1], before);
	while (!atomic_load(&waiting))
		usleep(1000);
	vcpu_pause_others(&vcpus[0]);
	atomic_store(&alone, 0);
	atomic_store(&let_go, true);
	for (unsigned int i = 0; i < 100; i++)
		usleep(1000);
	meanwhile = atomic_load(&instructions[1]);
	atomic_store(&alone, -1);
	vcpu_resume_others(&vcpus[0]);
	assert_int_equal(meanwhile, before);
	wait_until(&instructions[1], 2 * before);
	assert_int_equal(atomic_load(&violations), 0);
}

/* Threads that wait at the gate end when it opens, whatever they have been told meanwhile. */
static void stopping_comes_through_a_pause(void **state)
{
	start(SLEEPS, WORKS, WORKS, PAUSES);
	vcpu_pause_others(&vcpus[0]);
	for (unsigned int i = 0; i < CPUS; i++)
		vcpu_stop(&vcpus[i]);
	vcpu_resume_others(&vcpus[0]);
	for (unsigned int i = 0; i < CPUS; i++)
		vcpu_join(&vcpus[i]);
	assert_int_equal(atomic_load(&violations), 0);
}

static void *pause_and_note(void *opaque)
{
	uint64_t *when = opaque;

	vcpu_pause_others(&vcpus[1]);
	*when = clock_ns();
	vcpu_resume_others(&vcpus[1]);
	return NULL;
}

/* Whoever wants the next one. */
static void a_pause_is_followed_by_as_much_rest(void **state)
{
	const uint64_t five_ms = 5000000;
	uint64_t begin, next = 0;
	pthread_t thread;

	start(SLEEPS, SLEEPS, SLEEPS, SLEEPS);
	vcpu_pause_others(&vcpus[0]);
	assert_int_equal(pthread_create(&thread, NULL, pause_and_note, &next), 0);
	for (begin = clock_ns(); clock_ns() - begin < five_ms;)
		;
	begin = clock_ns();
	vcpu_resume_others(&vcpus[0]);
	pthread_join(thread, NULL);
	assert_true(next - begin >= five_ms);
}

/* Holds. */

static bool any_inside(void)
{
	for (unsigned int i = 0; i < CPUS; i++)
		if (atomic_load(&inside[i]))
			return true;
	return false;
}

static void first_held(struct hold *hold)
{
	told[0]++;
}

static void second_held(struct hold *hold)
{
	told[1]++;
}

static struct hold first = { .held = first_held }, second = { .held = second_held };

static void turn_until_told(const unsigned int *times, unsigned int wanted)
{
	while (*times < wanted)
		assert_true(event_loop_turn(&loop, true) >= 0);
}

static void nobody_runs_while_held(void **state)
{
	unsigned int before[CPUS];

	start(SLEEPS, WORKS, PAUSES, PAUSES);
	for (unsigned int round = 1; round <= 200; round++) {
		assert_int_equal(hold_begin(&holds, &first), 0);
		turn_until_told(&told[0], round);
		assert_false(any_inside());
		for (unsigned int i = 0; i < CPUS; i++)
			before[i] = atomic_load(&instructions[i]);
		for (unsigned int i = 0; i < 20; i++)
			sched_yield();
		for (unsigned int i = 0; i < CPUS; i++)
			assert_int_equal(before[i], atomic_load(&instructions[i]));
		assert_false(any_inside());
		hold_end(&holds, &first);
		wait_until(&instructions[1], before[1] + 1);
	}
	assert_int_equal(told[0], 200);
	assert_int_equal(atomic_load(&lost), 0);
	assert_int_equal(atomic_load(&violations), 0);
}

static void the_held_do_jobs(void **state)
{
	start(SLEEPS, WORKS, SLEEPS, WORKS);
	assert_int_equal(hold_begin(&holds, &first), 0);
	turn_until_told(&told[0], 1);
	for (int round = 0; round < 100; round++)
		for (unsigned int i = 0; i < CPUS; i++)
			assert_int_equal(vcpu_call(&vcpus[i], count_job), round);
	assert_false(any_inside());
	hold_end(&holds, &first);
	assert_int_equal(atomic_load(&violations), 0);
}

static void the_last_hold_lets_them_go(void **state)
{
	unsigned int before;

	start(WORKS, WORKS, SLEEPS, SLEEPS);
	assert_int_equal(hold_begin(&holds, &first), 0);
	assert_int_equal(hold_begin(&holds, &second), 0);
	turn_until_told(&told[0], 1);
	turn_until_told(&told[1], 1);
	before = atomic_load(&instructions[0]);
	hold_end(&holds, &first);
	usleep(10000);
	assert_int_equal(atomic_load(&instructions[0]), before);
	hold_end(&holds, &second);
	wait_until(&instructions[0], before + 1);
}

/* It may be waiting for who holds it. */
static void whoever_is_outside_is_waited_for_by_the_loop(void **state)
{
	start(SLEEPS, WAITS, ENDS, SLEEPS);
	while (!atomic_load(&waiting))
		usleep(1000);
	assert_int_equal(hold_begin(&holds, &first), 0);
	for (unsigned int i = 0; i < 20; i++) {
		assert_true(event_loop_turn(&loop, false) >= 0);
		usleep(1000);
	}
	assert_int_equal(told[0], 0);
	atomic_store(&let_go, true);
	turn_until_told(&told[0], 1);
	hold_end(&holds, &first);
}

static void they_are_stopped_while_held(void **state)
{
	start(SLEEPS, WORKS, PAUSES, SLEEPS);
	assert_int_equal(hold_begin(&holds, &first), 0);
	turn_until_told(&told[0], 1);
	stop();
	hold_end(&holds, &first);
	assert_false(any_inside());
}

static void they_begin_held(void **state)
{
	assert_int_equal(hold_begin(&holds, &first), 0);
	turn_until_told(&told[0], 1);
	start(WORKS, WORKS, WORKS, WORKS);
	usleep(10000);
	for (unsigned int i = 0; i < CPUS; i++)
		assert_int_equal(atomic_load(&instructions[i]), 0);
	hold_end(&holds, &first);
	wait_until(&instructions[0], 1);
}

/* A debugger's: each stays by itself, whoever holds all, and goes on by itself. */
static void they_stay_and_go_one_by_one(void **state)
{
	unsigned int before[CPUS];

	start(SLEEPS, WORKS, WORKS, SLEEPS);
	assert_int_equal(hold_begin(&holds, &first), 0);
	turn_until_told(&told[0], 1);
	for (unsigned int i = 0; i < CPUS; i++)
		vcpu_stay(&vcpus[i]);
	hold_end(&holds, &first);
	for (unsigned int i = 0; i < CPUS; i++)
		before[i] = atomic_load(&instructions[i]);
	usleep(10000);
	for (unsigned int i = 0; i < CPUS; i++) {
		assert_int_equal(atomic_load(&instructions[i]), before[i]);
		assert_true(vcpu_rests(&vcpus[i]));
	}
	vcpu_go(&vcpus[1]);
	wait_until(&instructions[1], before[1] + 1);
	assert_int_equal(atomic_load(&instructions[2]), before[2]);
	/* Those that stay are at rest for who holds all. */
	assert_int_equal(hold_begin(&holds, &first), 0);
	turn_until_told(&told[0], 2);
	vcpu_go(&vcpus[2]);
	usleep(10000);
	assert_int_equal(atomic_load(&instructions[2]), before[2]);
	hold_end(&holds, &first);
	wait_until(&instructions[2], before[2] + 1);
}

#define on_vcpus(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_vcpus(a_kick_is_never_lost),
		on_vcpus(no_kick_is_lost_on_the_way_in),
		on_vcpus(whoever_has_ended_takes_no_job),
		on_vcpus(all_can_be_stopped_at_any_time),
		on_vcpus(a_pause_is_alone_with_the_guest),
		on_vcpus(several_pauses_take_turns),
		on_vcpus(the_others_get_on),
		on_vcpus(pauses_and_jobs_go_together),
		on_vcpus(nobody_is_waited_for_outside),
		on_vcpus(whoever_comes_from_outside_waits),
		on_vcpus(stopping_comes_through_a_pause),
		on_vcpus(a_pause_is_followed_by_as_much_rest),
		on_vcpus(nobody_runs_while_held),
		on_vcpus(the_held_do_jobs),
		on_vcpus(the_last_hold_lets_them_go),
		on_vcpus(they_stay_and_go_one_by_one),
		on_vcpus(whoever_is_outside_is_waited_for_by_the_loop),
		on_vcpus(they_are_stopped_while_held),
		on_vcpus(they_begin_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
