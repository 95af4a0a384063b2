// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation: level 1 runs in a child process, whose input and output are ours, so that
 * the innermost console is used as if there were nothing between. Reports come by a pipe. What is
 * in them was said inside guests, and is checked.
 */
#include "nest_watch.h"

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

#include "clock.h"
#include "event.h"
#include "log.h"
#include "nest_level.h"
#include "nest_summary.h"
#include "session.h"
#include "signals.h"
#include "util.h"
#include "verdict.h"

#define LINE_MAX_BYTES KIB(256)

/* How long a nest that is told to end may take for it. */
#define END_SECONDS 5

#define SECOND UINT64_C(1000000000)

struct watch {
	const struct nest *nest;
	struct event_loop loop;
	struct verdict verdict;
	struct signals signals;
	struct event_timer timer;
	struct nest_summary summary;

	pid_t child; /* 0: gone */
	int status; /* its exit status, once it is gone */
	struct event_source process, reports;
	char line[LINE_MAX_BYTES];
	size_t line_size; /* more than the array has: the line is too long and dropped */
	bool ending; /* told to end, and the timer says when it had time enough */
};

/* Time limits. */

static uint64_t deadline_of(const struct watch *watch, unsigned int level)
{
	const struct nest_level *state = &watch->summary.level[level - 1];

	if (!state->begun || state->ended)
		return UINT64_MAX;
	return state->begun + nest_time_limit(watch->nest, level) * SECOND;
}

/* The level whose time is over first, the innermost of several. */
static unsigned int most_urgent(const struct watch *watch)
{
	unsigned int urgent = 1;

	for (unsigned int level = 2; level <= nest_depth(watch->nest); level++)
		if (deadline_of(watch, level) <= deadline_of(watch, urgent))
			urgent = level;
	return urgent;
}

static void arm_timer(struct watch *watch)
{
	uint64_t deadline = deadline_of(watch, most_urgent(watch)), now = clock_ns();

	if (watch->ending)
		return;
	if (deadline == UINT64_MAX)
		event_timer_disarm(&watch->timer);
	else
		event_timer_in(&watch->timer, deadline > now ? deadline - now : 1);
}

static void time_is_over(struct event_timer *timer)
{
	struct watch *watch = container_of(timer, struct watch, timer);
	unsigned int level = most_urgent(watch);

	if (watch->ending) {
		kill(watch->child, SIGKILL);
		return;
	}
	nest_summary_late(&watch->summary, level);
	verdict_reach(&watch->verdict, OUTCOME_CRASHED);
}

/* Reports. */

static void take_line(struct watch *watch)
{
	static struct log_limit limit;
	json_t *report;

	if (watch->line_size > sizeof(watch->line)) {
		log_guest(&limit, "a report of the nest is too long");
		return;
	}
	if (watch->line_size == 0)
		return;
	report = json_loadb(watch->line, watch->line_size, 0, NULL);
	if (!report || !nest_summary_take(&watch->summary, report))
		log_guest(&limit, "a report of the nest makes no sense");
	json_decref(report);
	arm_timer(watch);
}

static void take_bytes(struct watch *watch, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n') {
			take_line(watch);
			watch->line_size = 0;
			continue;
		}
		if (watch->line_size < sizeof(watch->line))
			watch->line[watch->line_size] = bytes[i];
		if (watch->line_size <= sizeof(watch->line))
			watch->line_size++;
	}
}

/* Whether there may be more. */
static bool read_reports(struct watch *watch)
{
	char bytes[4096];
	ssize_t got = read(watch->reports.fd, bytes, sizeof(bytes));

	if (got > 0)
		take_bytes(watch, bytes, got);
	return got > 0;
}

static void reports_ready(struct event_source *source, uint32_t events)
{
	struct watch *watch = container_of(source, struct watch, reports);

	(void)events;
	if (!read_reports(watch))
		event_remove(&watch->loop, source);
}

/* The child. */

static void process_ended(struct event_source *source, uint32_t events)
{
	struct watch *watch = container_of(source, struct watch, process);
	int status;

	(void)events;
	while (waitpid(watch->child, &status, 0) < 0 && errno == EINTR)
		;
	watch->child = 0;
	watch->status = WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_SIGNAL + WTERMSIG(status);
	event_remove(&watch->loop, source);
	verdict_reach(&watch->verdict, OUTCOME_SHUTDOWN);
}

/* As in fork(2): 0 in the child, which gets the other end of the pipe. Errors: -errno. */
static pid_t child_start(struct watch *watch, int *report_fd)
{
	const pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	watch->child = fork();
	if (watch->child == 0) {
		close(ends[0]);
		*report_fd = ends[1];
		/* Should we be killed, the nest goes as well; we may be dead already. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		return getppid() == parent ? 0 : -ESRCH;
	}
	close(ends[1]);
	watch->reports = (struct event_source){ .fd = ends[0], .ready = reports_ready };
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return watch->child < 0 ? -errno : watch->child;
}

static void child_end(struct watch *watch)
{
	watch->ending = true;
	event_timer_in(&watch->timer, END_SECONDS * SECOND);
	if (watch->child)
		kill(watch->child, SIGTERM);
	while (watch->child && event_loop_turn(&watch->loop, true) >= 0)
		;
	while (read_reports(watch))
		;
}

/* All of it. */

static void nothing_told(void *opaque, int signal)
{
	(void)opaque;
	(void)signal;
}

static int watch_loop(struct watch *watch)
{
	int err = 0;

	watch->process = (struct event_source){
		.fd = syscall(SYS_pidfd_open, watch->child, 0),
		.ready = process_ended,
	};
	if (watch->process.fd < 0) {
		log_error("pidfd_open: %s", strerror(errno));
		return -errno;
	}
	event_add(&watch->loop, &watch->process, EPOLLIN);
	event_add(&watch->loop, &watch->reports, EPOLLIN);
	while (err >= 0 && verdict_outcome(&watch->verdict) == OUTCOME_RUNNING)
		err = event_loop_turn(&watch->loop, true);
	child_end(watch);
	close(watch->process.fd);
	return err;
}

static int status_of(const struct watch *watch)
{
	if (verdict_outcome(&watch->verdict) == OUTCOME_KILLED)
		return STATUS_SIGNAL + watch->verdict.signal;
	/* Level 1 may not have begun to run at all. */
	if (watch->status == STATUS_USAGE || watch->status == STATUS_HOST)
		return watch->status;
	return nest_summary_good(&watch->summary) ? STATUS_OK : STATUS_CRASHED;
}

static int watch_child(struct watch *watch)
{
	int err = event_loop_create(&watch->loop);

	if (err == 0)
		err = verdict_create(&watch->verdict, &watch->loop);
	if (err == 0)
		err = signals_create(&watch->signals, &watch->loop, &watch->verdict, nothing_told,
				     NULL);
	if (err == 0)
		err = event_timer_create(&watch->timer, &watch->loop, CLOCK_MONOTONIC,
					 time_is_over);
	if (err == 0)
		err = watch_loop(watch);
	return err < 0 ? STATUS_HOST : status_of(watch);
}

static int tell(const struct nest_summary *summary, const char *json_path, int status)
{
	nest_summary_print(summary);
	if (nest_summary_write(summary, json_path, status) < 0 && status == STATUS_OK)
		return STATUS_HOST;
	return status;
}

int nest_watch(const struct nest *nest, const char *json_path)
{
	/* Not on the stack: it holds the longest report that there may be. */
	static struct watch watch;
	int status, report_fd = -1;
	pid_t child;

	watch.nest = nest;
	nest_summary_create(&watch.summary, nest);
	child = child_start(&watch, &report_fd);
	if (child == 0)
		return nest_level_run(nest, 1, report_fd);
	if (child < 0) {
		log_error("a process for the nest: %s", strerror(-child));
		return STATUS_HOST;
	}
	status = tell(&watch.summary, json_path, watch_child(&watch));
	nest_summary_destroy(&watch.summary);
	return status;
}
