// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A copy is a child process, in a process group of its own, so that what a
 * terminal sends comes here first. Its standard input is /dev/null, its standard output a pipe to
 * here; messages it writes by itself, with its name in them. While standard output takes no more
 * nobody's pipe is read, and it is the copies who wait. A copy is over when its process has ended
 * and its pipe, too. Should this process be killed, the kernel tells the copies to end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children/child.h"
#include "copies_parts.h"
#include "host/log.h"
#include "host/signals.h"
#include "host/verdict.h"
#include "machine/messages.h"
#include "util.h"

/* How long copies that are told to end may take for it. */
#define END_NS UINT64_C(5000000000)

struct watch;

struct copy {
	struct watch *watch;
	char name[NAME_MAX + 1];
	pid_t pid; /* 0: gone */
	struct event_source process, output; /* a pidfd, a pipe; fd -1: is over */
	bool listens; /* to the pipe */
	struct copies_line line;
};

struct watch {
	struct event_loop loop;
	struct verdict verdict;
	struct signals signals;
	struct event_timer timer;
	struct messages messages;
	struct copies_output output;
	struct copy *copies;
	unsigned int count;
	bool ending; /* they were told to */
	int worst; /* exit status */
};

static bool is_over(const struct copy *copy)
{
	return copy->pid == 0 && copy->output.fd < 0;
}

static void look_whether_all_are_over(struct watch *watch)
{
	for (unsigned int i = 0; i < watch->count; i++)
		if (!is_over(&watch->copies[i]))
			return;
	verdict_reach(&watch->verdict, OUTCOME_SHUTDOWN);
}

/* What they say. */

static void listen_to(struct copy *copy, bool listens)
{
	if (copy->output.fd < 0 || copy->listens == listens)
		return;
	if (!listens)
		event_remove(&copy->watch->loop, &copy->output);
	else if (event_add(&copy->watch->loop, &copy->output, EPOLLIN) < 0)
		verdict_reach(&copy->watch->verdict, OUTCOME_HOST_ERROR);
	copy->listens = listens;
}

static void listen_to_all(struct watch *watch, bool listens)
{
	for (unsigned int i = 0; i < watch->count; i++)
		listen_to(&watch->copies[i], listens);
}

static void end_output(struct copy *copy)
{
	listen_to(copy, false);
	copies_output_end(&copy->watch->output, &copy->line);
	close(copy->output.fd);
	copy->output.fd = -1;
}

/* Whether there may be more at once. */
static bool read_output(struct copy *copy)
{
	char bytes[COPIES_PIECE];
	const ssize_t got = read(copy->output.fd, bytes, sizeof(bytes));

	if (got > 0)
		copies_output_take(&copy->watch->output, &copy->line, bytes, got);
	else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		end_output(copy);
	return got > 0;
}

static void output_ready(struct event_source *source, uint32_t events)
{
	struct copy *copy = container_of(source, struct copy, output);
	struct watch *watch = copy->watch;

	(void)events;
	read_output(copy);
	copies_output_write(&watch->output);
	if (copies_output_is_full(&watch->output))
		listen_to_all(watch, false);
	look_whether_all_are_over(watch);
}

static void output_changed(struct copies_output *output, int err)
{
	struct watch *watch = container_of(output, struct watch, output);

	if (err < 0)
		verdict_reach(&watch->verdict, OUTCOME_HOST_ERROR);
	else
		listen_to_all(watch, true);
}

/* Their processes. */

static void reap(struct copy *copy)
{
	const bool told = copy->watch->ending;
	char how[CHILD_HOW];
	int status = -1, worth;

	while (waitpid(copy->pid, &status, 0) < 0 && errno == EINTR)
		;
	copy->pid = 0;
	close(copy->process.fd);
	copy->process.fd = -1;
	worth = WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_SIGNAL + WTERMSIG(status);
	if (worth == STATUS_OK || told)
		return;
	log_error("%s: the copy %s", copy->name, child_how(status, how));
	if (worth > copy->watch->worst)
		copy->watch->worst = worth;
}

static void process_ended(struct event_source *source, uint32_t events)
{
	struct copy *copy = container_of(source, struct copy, process);

	(void)events;
	event_remove(&copy->watch->loop, source);
	reap(copy);
	look_whether_all_are_over(copy->watch);
}

static void tell_all(struct watch *watch, int signal)
{
	for (unsigned int i = 0; i < watch->count; i++)
		if (watch->copies[i].pid)
			kill(watch->copies[i].pid, signal);
}

static void told(void *opaque, int signal)
{
	/* None of them has a terminal. */
	if (signal != SIGWINCH)
		tell_all(opaque, signal);
}

static void time_is_over(struct event_timer *timer)
{
	tell_all(container_of(timer, struct watch, timer), SIGKILL);
}

/* Of those whose end the loop tells. */
static bool any_lives(const struct watch *watch)
{
	bool lives = false;

	for (unsigned int i = 0; i < watch->count; i++)
		lives |= watch->copies[i].process.fd >= 0;
	return lives;
}

static void end_all(struct watch *watch)
{
	watch->ending = true;
	event_timer_in(&watch->timer, END_NS);
	tell_all(watch, SIGTERM);
	/* For those that have been stopped. */
	tell_all(watch, SIGCONT);
	while (any_lives(watch) && event_loop_turn(&watch->loop, true) >= 0)
		;
}

/* Starting. */

/* In the child: what it has of us. -errno, not said. */
static int become(const struct watch *watch, struct copy *copy, int output, pid_t parent)
{
	const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setpgid(0, 0);
	/* Its messages go to a terminal that another group has. */
	signal(SIGTTOU, SIG_IGN);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0)
		return -errno;
	close(null);
	close(output);
	for (unsigned int i = 0; i <= watch->count; i++)
		close(watch->copies[i].output.fd);
	log_set_subject(copy->name);
	/* We may be dead already. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	return getppid() == parent ? 0 : -ESRCH;
}

static enum status be_copy(const struct copies *copies, struct copy_plan *plan)
{
	const int err = copies->complete(&plan->config, copies->snapshot);

	return err < 0 ? status_of_error(err, STATUS_USAGE) : copies->live(&plan->config);
}

/* As fork(2), but for -errno, said. */
static pid_t start(struct watch *watch, const struct copy_plan *plan)
{
	struct copy *copy = &watch->copies[watch->count];
	const pid_t parent = getpid();
	int ends[2], err = 0;

	*copy = (struct copy){ .watch = watch, .process.fd = -1, .line.name = copy->name };
	strcpy(copy->name, plan->name);
	if (pipe2(ends, O_CLOEXEC) < 0) {
		err = -errno;
		log_error("%s: %s", copy->name, log_reason(-err));
		return err;
	}
	copy->output = (struct event_source){ ends[0], output_ready };
	copy->pid = fork();
	if (copy->pid == 0)
		err = become(watch, copy, ends[1], parent);
	else if (copy->pid < 0)
		err = -errno;
	if (err < 0)
		log_error("%s: a process for the copy: %s", copy->name, log_reason(-err));
	if (copy->pid == 0)
		return err;
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	if (copy->pid < 0)
		close(ends[0]);
	else
		watch->count++;
	return copy->pid < 0 ? err : copy->pid;
}

/*
 * *is_copy: this is the process of one, plan is what it is to be, and what is returned is what came
 * of its making. Errors: -errno, said.
 */
static int start_all(struct watch *watch, const struct copies *copies, struct copy_plan *plan,
		     bool *is_copy)
{
	const pid_t parent = getpid();

	/* With SIGCHLD ignored, as our parent may have left it, there would be no exit status. */
	signal(SIGCHLD, SIG_DFL);
	for (unsigned int number = 1; number <= copies->count; number++) {
		int err = copies_plan(plan, copies, number);

		if (err == 0)
			err = start(watch, plan);
		*is_copy = getpid() != parent;
		if (*is_copy)
			return err;
		copies_drop(plan);
		if (err < 0)
			return err;
	}
	return 0;
}

/* Watching. */

static int watch_one(struct copy *copy)
{
	int err;

	copy->process =
		(struct event_source){ syscall(SYS_pidfd_open, copy->pid, 0), process_ended };
	err = copy->process.fd < 0 ? -errno
				   : event_add(&copy->watch->loop, &copy->process, EPOLLIN);
	if (err == 0) {
		listen_to(copy, true);
		return 0;
	}
	log_error("%s: %s", copy->name, log_reason(-err));
	if (copy->process.fd >= 0)
		close(copy->process.fd);
	copy->process.fd = -1;
	return err;
}

/* What is left of what they said, as far as it is taken at once. */
static void read_rest(struct watch *watch)
{
	for (unsigned int i = 0; i < watch->count; i++) {
		struct copy *copy = &watch->copies[i];

		while (copy->output.fd >= 0 && !copies_output_is_full(&watch->output) &&
		       read_output(copy))
			copies_output_write(&watch->output);
		if (copy->output.fd >= 0)
			end_output(copy);
	}
	copies_output_write(&watch->output);
}

/* Who reads may take his time, unless a signal comes. */
static void drain(struct watch *watch)
{
	log_flush();
	while ((watch->output.used > 0 || log_pending()) &&
	       verdict_outcome(&watch->verdict) == OUTCOME_SHUTDOWN &&
	       event_loop_turn(&watch->loop, true) >= 0)
		;
}

static void watch_loop(struct watch *watch, int err)
{
	messages_start(&watch->messages, &watch->loop);
	for (unsigned int i = 0; i < watch->count && err >= 0; i++)
		err = watch_one(&watch->copies[i]);
	if (err < 0)
		verdict_reach(&watch->verdict, OUTCOME_HOST_ERROR);
	while (err >= 0 && verdict_outcome(&watch->verdict) == OUTCOME_RUNNING)
		err = event_loop_turn(&watch->loop, true);
	end_all(watch);
	read_rest(watch);
	drain(watch);
	messages_stop(&watch->messages);
}

/* err: what came of starting them, of which some may live. The same, or -errno, said. */
static int watch_all(struct watch *watch, int err)
{
	int failed = event_loop_create(&watch->loop);

	if (failed < 0)
		return failed;
	failed = verdict_create(&watch->verdict, &watch->loop);
	if (failed < 0)
		goto destroy_loop;
	failed = signals_create(&watch->signals, &watch->loop, &watch->verdict, told, watch);
	if (failed < 0)
		goto destroy_verdict;
	failed = event_timer_create(&watch->timer, &watch->loop, CLOCK_MONOTONIC, time_is_over);
	if (failed < 0)
		goto destroy_signals;
	watch->output.changed = output_changed;
	failed = copies_output_open(&watch->output, &watch->loop);
	if (failed == 0) {
		watch_loop(watch, err);
		copies_output_close(&watch->output);
	}
	event_timer_destroy(&watch->timer);
destroy_signals:
	signals_destroy(&watch->signals);
destroy_verdict:
	verdict_destroy(&watch->verdict);
destroy_loop:
	event_loop_destroy(&watch->loop);
	return failed < 0 ? failed : err;
}

/* Those that no loop has told the end of. */
static void kill_all(struct watch *watch)
{
	tell_all(watch, SIGKILL);
	for (unsigned int i = 0; i < watch->count; i++) {
		struct copy *copy = &watch->copies[i];

		if (copy->pid)
			waitpid(copy->pid, NULL, 0);
		if (copy->output.fd >= 0)
			close(copy->output.fd);
		if (copy->process.fd >= 0)
			close(copy->process.fd);
	}
}

static enum status status_of(const struct watch *watch)
{
	switch (verdict_outcome(&watch->verdict)) {
	case OUTCOME_KILLED:
		return STATUS_SIGNAL + watch->verdict.signal;
	case OUTCOME_SHUTDOWN:
		return watch->worst;
	default:
		return STATUS_HOST;
	}
}

enum status copies_watch(const struct copies *copies)
{
	/* Not on the stack: it holds what all of them say. */
	static struct watch watch;
	static struct copy_plan plan;
	bool is_copy = false;
	enum status status;
	int err;

	watch.copies = calloc(copies->count, sizeof(*watch.copies));
	if (!watch.copies) {
		log_error("copies: %s", strerror(ENOMEM));
		return STATUS_HOST;
	}
	err = start_all(&watch, copies, &plan, &is_copy);
	if (is_copy)
		return err < 0 ? STATUS_HOST : be_copy(copies, &plan);
	err = watch_all(&watch, err);
	kill_all(&watch);
	status = err < 0 ? STATUS_HOST : status_of(&watch);
	free(watch.copies);
	return status;
}
