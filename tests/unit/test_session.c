// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a run ends, with machines that are made up and all else as it is: event loop, signals,
 * terminal, reports and messages, on pipes.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_sandbox.h"
#include "host/file.h"
#include "host/log.h"
#include "machine/session.h"
#include "machine/stats.h"
#include "unit.h"
#include "util.h"

/* Far more than anything here takes; by then something waits that must not. */
#define LIMIT_SECONDS 120
#define PIPE_SIZE     65536

static struct session session;
static struct config config;
static int real[3]; /* what the first three descriptors are put back to */
static int typed, shown, errors; /* the other ends of what they are meanwhile */
static int report_ends[2];

/* What a machine does in its life, and how many there were. */
static void (*life)(void);
static unsigned int lives;
static enum outcome written[8]; /* to the statistics, by life */
static size_t offered; /* to the console */

/* What becomes of a machine that does not come to be; or NULL. */
static void (*comes)(struct verdict *verdict);

/* In place of vmm/machine/machine.c, vmm/machine/resources.c, vmm/machine/stats.c and
 * vmm/vcpu/vcpu.c. */

enum status machine_create(struct machine *machine, struct resources *resources,
			   struct event_loop *loop, struct terminal *terminal, struct sink *report,
			   struct verdict *verdict)
{
	*machine = (struct machine){ .config = resources->config, .verdict = verdict };
	if (comes) {
		comes(verdict);
		return STATUS_HOST;
	}
	lives++;
	return STATUS_OK;
}

enum status resources_open(struct resources *resources, const struct config *config)
{
	*resources = (struct resources){ .config = config };
	return STATUS_OK;
}

void resources_close(struct resources *resources)
{
}

void machine_run(struct machine *machine)
{
	/* A guest that has more lives than it should have, would have them for ever. */
	if (lives > ARRAY_SIZE(written))
		verdict_reach(machine->verdict, OUTCOME_KVM_FAILED);
	else
		life();
	while (verdict_outcome(machine->verdict) == OUTCOME_RUNNING)
		assert_true(event_loop_turn(&session.loop, true) >= 0);
}

void machine_destroy(struct machine *machine)
{
}

int stats_write(struct written *file, const struct machine *machine, unsigned int resets)
{
	assert_int_equal(resets, lives - 1);
	if (lives <= ARRAY_SIZE(written))
		written[lives - 1] = verdict_outcome(machine->verdict);
	return 0;
}

void vcpu_prepare(void)
{
}

/* These machines have no vCPUs. */

void vcpu_look_up(struct vcpu *vcpu)
{
}

bool vcpu_rests(struct vcpu *vcpu)
{
	return true;
}

/* What is around them. */

static int replace(int fd, int access, int *other)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	real[fd] = dup(fd);
	*other = ends[access == O_RDONLY];
	dup2(ends[access != O_RDONLY], fd);
	close(ends[access != O_RDONLY]);
	return 0;
}

static int begin(void **state)
{
	static char name[32];

	fflush(stdout);
	alarm(LIMIT_SECONDS);
	if (replace(0, O_RDONLY, &typed) < 0 || replace(1, O_WRONLY, &shown) < 0 ||
	    replace(2, O_WRONLY, &errors) < 0 || pipe2(report_ends, O_CLOEXEC) < 0)
		return -1;
	snprintf(name, sizeof(name), "fd:%d", report_ends[1]);
	config = (struct config){ .reboot = true, .report = name };
	lives = 0;
	return 0;
}

static int finish(void **state)
{
	for (int fd = 0; fd < 3; fd++) {
		dup2(real[fd], fd);
		close(real[fd]);
	}
	close(typed);
	close(shown);
	close(errors);
	close(report_ends[0]);
	close(report_ends[1]);
	alarm(0);
	return 0;
}

/* The exit status. */
static int run(void (*what)(void))
{
	enum status status;

	life = what;
	assert_int_equal(session_create(&session, &config), STATUS_OK);
	status = session_run(&session);
	session_destroy(&session);
	return status;
}

static void end(enum outcome outcome)
{
	verdict_reach(&session.verdict, outcome);
}

static void type(const char *text)
{
	assert_int_equal(write(typed, text, strlen(text)), strlen(text));
}

/* Until the pipe at standard output is full, and something waits for it. */
static void output_that_nobody_takes(void)
{
	static const uint8_t bytes[1000];
	struct console *console = &session.terminal.console;
	struct pollfd pipe = { .fd = STDOUT_FILENO, .events = POLLOUT };

	for (offered = 0; poll(&pipe, 1, 0) > 0 || !terminal_pending(&session.terminal);) {
		offered += console->offer(console, bytes, sizeof(bytes));
		event_loop_turn(&session.loop, false);
	}
}

static void report_that_nobody_takes(void)
{
	static uint8_t bytes[PIPE_SIZE + 1000];
	const struct iovec segment = { bytes, sizeof(bytes) };

	session.report.sink.keep(&session.report.sink, &segment, 1);
}

static void messages_that_nobody_takes(void)
{
	for (unsigned int i = 0; i < PIPE_SIZE / 16; i++)
		log_error("message %u of very many", i);
}

/* Reasons that come while the guest resets. */

static void reset_with_escape_key(void)
{
	end(OUTCOME_RESET);
	type("\001x");
}

static void escape_key_in_a_reset(void **state)
{
	assert_int_equal(run(reset_with_escape_key), STATUS_OK);
	assert_int_equal(lives, 1);
	assert_int_equal(written[0], OUTCOME_QUIT);
}

static void reset_with_lost_output(void)
{
	const uint8_t byte = 'a';

	close(shown);
	shown = -1;
	end(OUTCOME_RESET);
	session.terminal.console.offer(&session.terminal.console, &byte, 1);
	/* Until the loop would know. */
	usleep(20000);
}

static void lost_output_in_a_reset(void **state)
{
	assert_int_equal(run(reset_with_lost_output), STATUS_HOST);
	assert_int_equal(lives, 1);
	assert_int_equal(written[0], OUTCOME_HOST_ERROR);
}

static void reset_with_signal(void)
{
	end(OUTCOME_RESET);
	raise(SIGTERM);
}

static void signal_in_a_reset(void **state)
{
	assert_int_equal(run(reset_with_signal), STATUS_SIGNAL + SIGTERM);
	assert_int_equal(lives, 1);
	assert_int_equal(written[0], OUTCOME_KILLED);
}

static void reset_twice(void)
{
	end(lives < 3 ? OUTCOME_RESET : OUTCOME_SHUTDOWN);
}

static void resets_go_on(void **state)
{
	assert_int_equal(run(reset_twice), STATUS_OK);
	assert_int_equal(lives, 3);
	assert_int_equal(written[1], OUTCOME_RESET);
	assert_int_equal(written[2], OUTCOME_SHUTDOWN);
	config.reboot = false;
	lives = 0;
	assert_int_equal(run(reset_twice), STATUS_OK);
	assert_int_equal(lives, 1);
}

/* Who waits for a reader that never reads. */

static void (*nobody_takes)(void);
static enum outcome guests_end;

static void down_then_escape_key(void)
{
	nobody_takes();
	end(guests_end);
	type("\001x");
}

static void escape_key_then_down(void)
{
	nobody_takes();
	type("\001x");
}

static void down_then_signal(void)
{
	nobody_takes();
	end(guests_end);
	raise(SIGHUP);
}

static void nobody_is_kept(void (*what)(void))
{
	nobody_takes = what;
	guests_end = OUTCOME_SHUTDOWN;
	lives = 0;
	assert_int_equal(run(down_then_escape_key), STATUS_OK);
	assert_int_equal(written[0], OUTCOME_SHUTDOWN);
	lives = 0;
	assert_int_equal(run(escape_key_then_down), STATUS_OK);
	assert_int_equal(written[0], OUTCOME_QUIT);
	lives = 0;
	assert_int_equal(run(down_then_signal), STATUS_SIGNAL + SIGHUP);
	assert_int_equal(written[0], OUTCOME_KILLED);
	/* The escape key is no excuse for a crash. */
	guests_end = OUTCOME_CRASHED;
	lives = 0;
	assert_int_equal(run(down_then_escape_key), STATUS_CRASHED);
}

static void output_that_waits_keeps_nobody(void **state)
{
	nobody_is_kept(output_that_nobody_takes);
}

static void reports_that_wait_keep_nobody(void **state)
{
	nobody_is_kept(report_that_nobody_takes);
}

static void messages_that_wait_keep_nobody(void **state)
{
	nobody_is_kept(messages_that_nobody_takes);
}

/* A reader that is late gets all, with and without the escape key. */

static size_t got[3];

static void *read_late(void *opaque)
{
	const int *fd = opaque;
	char bytes[4096];
	ssize_t count;

	usleep(200000);
	while ((count = read(*fd, bytes, sizeof(bytes))) > 0)
		*(fd == &shown ? &got[1] : fd == &errors ? &got[2] : &got[0]) += count;
	return NULL;
}

static void all_then_down(void)
{
	output_that_nobody_takes();
	report_that_nobody_takes();
	for (unsigned int i = 0; i < PIPE_SIZE / 64 + 100; i++)
		log_error("%-49u", i);
	end(OUTCOME_SHUTDOWN);
}

/* All is read late, and got. */
static void assert_all_is_got(void)
{
	pthread_t reader[3];

	memset(got, 0, sizeof(got));
	pthread_create(&reader[0], NULL, read_late, &report_ends[0]);
	pthread_create(&reader[1], NULL, read_late, &shown);
	pthread_create(&reader[2], NULL, read_late, &errors);
	assert_int_equal(run(all_then_down), STATUS_OK);
	/* Then nobody has the other ends any more. */
	close(report_ends[1]);
	dup2(real[1], 1);
	dup2(real[2], 2);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(reader[i], NULL);
	report_ends[1] = -1;
	assert_int_equal(got[0], PIPE_SIZE + 1000);
	assert_int_equal(got[1], offered);
	assert_int_equal(got[2], (PIPE_SIZE / 64 + 100) * strlen("nidus: error: \n") +
					 (PIPE_SIZE / 64 + 100) * 49);
}

static void who_is_late_gets_all(void **state)
{
	assert_all_is_got();
}

static pthread_t who_waits;

static void no_reason_to_end(int number)
{
}

static void *interrupt(void *opaque)
{
	for (unsigned int i = 0; i < 30; i++) {
		usleep(5000);
		pthread_kill(who_waits, SIGUSR2);
	}
	return NULL;
}

/* As when it was stopped meanwhile, and goes on. */
static void who_is_late_gets_all_from_one_that_is_interrupted(void **state)
{
	const struct sigaction action = { .sa_handler = no_reason_to_end };
	struct sigaction before;
	pthread_t thread;

	who_waits = pthread_self();
	sigaction(SIGUSR2, &action, &before);
	pthread_create(&thread, NULL, interrupt, NULL);
	assert_all_is_got();
	pthread_join(thread, NULL);
	sigaction(SIGUSR2, &before, NULL);
}

static void down(void)
{
	end(guests_end);
}

static void all_ends(void **state)
{
	static const struct {
		enum outcome outcome;
		int status;
	} ends[] = {
		{ OUTCOME_SHUTDOWN, STATUS_OK },     { OUTCOME_QUIT, STATUS_OK },
		{ OUTCOME_CRASHED, STATUS_CRASHED }, { OUTCOME_KVM_FAILED, STATUS_CRASHED },
		{ OUTCOME_HOST_ERROR, STATUS_HOST },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		guests_end = ends[i].outcome;
		lives = 0;
		assert_int_equal(run(down), ends[i].status);
		assert_int_equal(written[0], guests_end);
	}
}

static void nothing_comes(struct verdict *verdict)
{
}

static void it_is_killed(struct verdict *verdict)
{
	verdict_kill(verdict, SIGTERM);
}

static void the_user_has_enough(struct verdict *verdict)
{
	verdict_reach(verdict, OUTCOME_QUIT);
}

/* As where a guest is waited for that moves here. */
static void ends_before_there_is_a_guest(void **state)
{
	comes = nothing_comes;
	assert_int_equal(run(down), STATUS_HOST);
	comes = it_is_killed;
	assert_int_equal(run(down), STATUS_SIGNAL + SIGTERM);
	comes = the_user_has_enough;
	assert_int_equal(run(down), STATUS_OK);
	comes = NULL;
	assert_int_equal(lives, 0);
}

/* What is still to be done then (a nest's last report) can be ended, but not by mistake. */
static void signals_after_the_end(void **state)
{
	sigset_t blocked;

	guests_end = OUTCOME_SHUTDOWN;
	assert_int_equal(run(down), STATUS_OK);
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	assert_false(sigismember(&blocked, SIGTERM));
	assert_false(sigismember(&blocked, SIGINT));
	assert_true(sigismember(&blocked, SIGUSR1));
}

#define in_session(test) cmocka_unit_test_setup_teardown(test, begin, finish)

/* The sandbox. */

static void shut_down(void)
{
	end(OUTCOME_SHUTDOWN);
}

static uint64_t kept_with(struct config with)
{
	with.report = config.report;
	config = with;
	life = shut_down;
	assert_int_equal(session_create(&session, &config), STATUS_OK);
	assert_int_equal(session_run(&session), STATUS_OK);
	session_destroy(&session);
	return fake_sandbox_options.capabilities;
}

static void whoever_needs_none_keeps_no_capability(void **state)
{
	assert_int_equal(kept_with((struct config){ .sandbox = SANDBOX_FULL }), 0);
	assert_int_equal(fake_sandbox_options.mode, SANDBOX_FULL);
	assert_false(fake_sandbox_options.signals_children);
}

static void a_sandbox_that_cannot_be_entered_is_the_hosts_fault(void **state)
{
	char said[128] = "";

	fake_sandbox_error = -EPERM;
	assert_int_equal(session_create(&session, &config), STATUS_OK);
	assert_int_equal(session_run(&session), STATUS_HOST);
	session_destroy(&session);
	fake_sandbox_error = 0;
	assert_true(read(errors, said, sizeof(said) - 1) > 0);
	assert_string_equal(said, "nidus: error: --sandbox on: seccomp: Operation not permitted\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_session(escape_key_in_a_reset),
		in_session(lost_output_in_a_reset),
		in_session(signal_in_a_reset),
		in_session(resets_go_on),
		in_session(output_that_waits_keeps_nobody),
		in_session(reports_that_wait_keep_nobody),
		in_session(messages_that_wait_keep_nobody),
		in_session(who_is_late_gets_all),
		in_session(who_is_late_gets_all_from_one_that_is_interrupted),
		in_session(all_ends),
		in_session(ends_before_there_is_a_guest),
		in_session(signals_after_the_end),
		in_session(whoever_needs_none_keeps_no_capability),
		in_session(a_sandbox_that_cannot_be_entered_is_the_hosts_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
