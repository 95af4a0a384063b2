// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation: level 1 runs in a child process, whose input and output are ours, so that
 * the innermost console is used as if there were nothing between. Reports come by a pipe from that
 * process, which passes on what its guest may say. Whether the nest is still there, and whether it
 * came to a good end, is not taken from reports: the end of the process tells that.
 */
#include "nest/nest_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/event.h"
#include "host/file.h"
#include "host/log.h"
#include "host/signals.h"
#include "host/verdict.h"
#include "machine/messages.h"
#include "machine/session.h"
#include "nest_level.h"
#include "nest_report.h"
#include "nest_summary.h"
#include "nest_terminal.h"
#include "util.h"

/* How long a nest that is told to end may take for it. */
#define END_SECONDS 5

#define SECOND UINT64_C(1000000000)

struct watch {
	struct event_loop loop;
	struct verdict verdict;
	struct signals signals;
	struct event_timer timer;
	struct nest_terminal terminal;
	struct nest_summary summary;

	pid_t child; /* 0: gone */
	struct event_source process, reports, stops;
	struct messages messages;
	struct nest_line line;
	bool ending; /* told to end, and the timer says when it had time enough */
};

/* Time limits. */

static void arm_timer(struct watch *watch)
{
	unsigned int level;
	const uint64_t deadline = nest_summary_deadline(&watch->summary, &level), now = clock_ns();

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
	unsigned int level;

	if (watch->ending) {
		kill(watch->child, SIGKILL);
		return;
	}
	nest_summary_deadline(&watch->summary, &level);
	nest_summary_late(&watch->summary, level);
	verdict_reach(&watch->verdict, OUTCOME_CRASHED);
}

/* Reports. */

static void take_line(struct watch *watch)
{
	static struct log_limit limit;
	json_t *report;

	if (watch->line.size == 0)
		return;
	report = nest_line_report(&watch->line);
	if (!nest_summary_take(&watch->summary, report))
		log_guest(&limit, "a report of the nest makes no sense");
	json_decref(report);
	arm_timer(watch);
}

static void take_bytes(struct watch *watch, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] != '\n') {
			nest_line_add(&watch->line, bytes[i]);
			continue;
		}
		take_line(watch);
		watch->line.size = 0;
	}
}

/* As read(2). */
static ssize_t read_reports(struct watch *watch)
{
	char bytes[4096];
	const ssize_t got = read(watch->reports.fd, bytes, sizeof(bytes));

	if (got > 0)
		take_bytes(watch, bytes, got);
	return got;
}

static void reports_ready(struct event_source *source, uint32_t events)
{
	struct watch *watch = container_of(source, struct watch, reports);

	(void)events;
	if (read_reports(watch) == 0)
		event_remove(&watch->loop, source);
}

/* The child. */

static void child_reap(struct watch *watch)
{
	int status = -1;
	pid_t reaped;

	do
		reaped = waitpid(watch->child, &status, 0);
	while (reaped < 0 && errno == EINTR);
	watch->child = 0;
	nest_summary_gone(&watch->summary, reaped < 0	       ? STATUS_HOST
					   : WIFEXITED(status) ? WEXITSTATUS(status)
							       : STATUS_SIGNAL + WTERMSIG(status));
}

static void process_ended(struct event_source *source, uint32_t events)
{
	struct watch *watch = container_of(source, struct watch, process);

	(void)events;
	event_remove(&watch->loop, source);
	child_reap(watch);
	verdict_reach(&watch->verdict, OUTCOME_SHUTDOWN);
}

/* As in fork(2): 0 in the child, which gets the other end of the pipe. Errors: -errno. */
static pid_t child_start(struct watch *watch, int *report_fd)
{
	const pid_t parent = getpid();
	int ends[2], err;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	/* With SIGCHLD ignored, as our parent may have left it, there would be no exit status. */
	signal(SIGCHLD, SIG_DFL);
	watch->child = fork();
	err = errno;
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
	if (watch->child > 0)
		return watch->child;
	close(ends[0]);
	return -err;
}

static void child_end(struct watch *watch)
{
	watch->ending = true;
	event_timer_in(&watch->timer, END_SECONDS * SECOND);
	if (watch->child)
		kill(watch->child, SIGTERM);
	while (watch->child && event_loop_turn(&watch->loop, true) >= 0)
		;
	while (read_reports(watch) > 0)
		;
}

/* Ends a child that there is no event loop to wait for with. */
static void child_kill(struct watch *watch)
{
	if (!watch->child)
		return;
	kill(watch->child, SIGKILL);
	child_reap(watch);
}

/* Job control: we and the child stop and go on together, and a shell gets its terminal. */

static void go_on(struct watch *watch)
{
	nest_terminal_take_up(&watch->terminal);
	if (watch->child)
		kill(watch->child, SIGCONT);
}

static void stop(struct watch *watch)
{
	const uint64_t begin = clock_ns();

	if (watch->child)
		kill(watch->child, SIGTSTP);
	nest_terminal_give_back(&watch->terminal);
	signals_stop_here();
	nest_summary_paused(&watch->summary, clock_ns() - begin);
	go_on(watch);
	arm_timer(watch);
}

static void stops_ready(struct event_source *source, uint32_t events)
{
	struct watch *watch = container_of(source, struct watch, stops);
	struct signalfd_siginfo info;

	(void)events;
	if (read(source->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP)
		stop(watch);
	else
		go_on(watch);
}

static int stops_open(void)
{
	struct sigaction stopping;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	sigaction(SIGTSTP, NULL, &stopping);
	if (stopping.sa_handler != SIG_IGN)
		sigaddset(&set, SIGTSTP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* All of it. */

static void nothing_told(void *opaque, int signal)
{
	(void)opaque;
	(void)signal;
}

/* Adds a source whose fd has just been opened, or was not: then errno says why. -errno, said. */
static int source_add(struct watch *watch, struct event_source *source, const char *what)
{
	const int err = source->fd < 0 ? -errno : event_add(&watch->loop, source, EPOLLIN);

	if (err < 0)
		log_error("%s: %s", what, strerror(-err));
	return err;
}

/* Messages: the loop must not wait for their reader, as a time limit may be over meanwhile. */

/* Now that the nest has gone, the reader may take its time, unless a signal comes. */
static void messages_drain(struct watch *watch)
{
	if (watch->messages.source.fd < 0)
		return;
	log_flush();
	while (log_pending() && verdict_outcome(&watch->verdict) != OUTCOME_KILLED &&
	       event_loop_turn(&watch->loop, true) >= 0)
		;
}

static int sources_open(struct watch *watch)
{
	int err;

	watch->process =
		(struct event_source){ syscall(SYS_pidfd_open, watch->child, 0), process_ended };
	err = source_add(watch, &watch->process, "pidfd_open");
	if (err < 0)
		return err;
	watch->stops = (struct event_source){ stops_open(), stops_ready };
	err = source_add(watch, &watch->stops, "signalfd");
	if (err < 0)
		return err;
	return source_add(watch, &watch->reports, "the pipe of reports");
}

static void sources_close(struct watch *watch)
{
	const int fds[] = { watch->process.fd, watch->stops.fd };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int watch_loop(struct watch *watch)
{
	int err = sources_open(watch);

	if (err == 0) {
		messages_start(&watch->messages, &watch->loop);
		arm_timer(watch);
		while (err >= 0 && verdict_outcome(&watch->verdict) == OUTCOME_RUNNING)
			err = event_loop_turn(&watch->loop, true);
		child_end(watch);
		messages_drain(watch);
		messages_stop(&watch->messages);
	}
	sources_close(watch);
	return err;
}

static int watch_all(struct watch *watch)
{
	int err = event_loop_create(&watch->loop);

	if (err < 0)
		return err;
	err = verdict_create(&watch->verdict, &watch->loop);
	if (err < 0)
		goto destroy_loop;
	err = signals_create(&watch->signals, &watch->loop, &watch->verdict, nothing_told, NULL);
	if (err < 0)
		goto destroy_verdict;
	err = event_timer_create(&watch->timer, &watch->loop, CLOCK_MONOTONIC, time_is_over);
	if (err < 0)
		goto destroy_signals;
	err = watch_loop(watch);
	event_timer_destroy(&watch->timer);
destroy_signals:
	signals_destroy(&watch->signals);
destroy_verdict:
	verdict_destroy(&watch->verdict);
destroy_loop:
	event_loop_destroy(&watch->loop);
	return err;
}

static int status_of(const struct watch *watch)
{
	const struct nest_summary *summary = &watch->summary;

	if (verdict_outcome(&watch->verdict) == OUTCOME_KILLED)
		return STATUS_SIGNAL + watch->verdict.signal;
	/* Level 1 may not have begun to run at all. */
	if (summary->status == STATUS_USAGE || summary->status == STATUS_HOST)
		return summary->status;
	return nest_summary_good(summary) ? STATUS_OK : STATUS_CRASHED;
}

/* Until the child is gone, one way or the other. */
static int watch_child(struct watch *watch)
{
	const int err = watch_all(watch);

	child_kill(watch);
	close(watch->reports.fd);
	nest_terminal_give_back(&watch->terminal);
	return err < 0 ? STATUS_HOST : status_of(watch);
}

static int tell(const struct nest_summary *summary, const char *json_path, int status)
{
	nest_summary_print(summary);
	if (nest_summary_write(summary, json_path, status) < 0 && status == STATUS_OK)
		return STATUS_HOST;
	return status;
}

/* Returns what to exit with, in the child too, which has run level 1 then, and *is_child says so.
 */
static int live(struct watch *watch, const struct nest *nest, bool *is_child)
{
	int report_fd = -1;
	pid_t child;

	watch->process.fd = watch->stops.fd = -1;
	nest_summary_create(&watch->summary, nest);
	nest_terminal_save(&watch->terminal);
	nest_summary_started(&watch->summary);
	if (nest->from)
		nest_summary_restored(&watch->summary);
	child = child_start(watch, &report_fd);
	*is_child = child == 0;
	if (child == 0)
		return nest_level_run(nest, 1, report_fd);
	if (child > 0)
		return watch_child(watch);
	log_error("a process for the nest: %s", strerror(-child));
	return STATUS_HOST;
}

/* Not on the stack: it holds the longest report that there may be. */
static struct watch watch;

int nest_watch(const struct nest *nest, const char *json_path)
{
	bool is_child;
	int status = live(&watch, nest, &is_child);

	if (!is_child)
		status = tell(&watch.summary, json_path, status);
	nest_summary_destroy(&watch.summary);
	return status;
}

/* The file is whole: it gets its name. */
static int keep(struct file_new *file, const struct nest_summary *summary)
{
	json_int_t ram, paused;

	json_unpack(summary->saved_report, "{sIsI}", "ram", &ram, "paused", &paused);
	if (file_new_keep(file) < 0)
		return STATUS_HOST;
	log_plain("the nest is saved to %s: %" JSON_INTEGER_FORMAT " MiB of RAM", file->path,
		  ram >> 20);
	return STATUS_OK;
}

int nest_watch_save(struct nest *nest, const char *path)
{
	struct file_new file;
	bool is_child;
	int status;

	if (file_new_open(&file, path) < 0)
		return STATUS_USAGE;
	nest->waits = true;
	nest->save_fd = file.fd;
	status = live(&watch, nest, &is_child);
	if (is_child)
		return status;
	if (watch.summary.saved_report && verdict_outcome(&watch.verdict) != OUTCOME_KILLED)
		status = keep(&file, &watch.summary);
	else
		nest_summary_print(&watch.summary);
	file_new_close(&file);
	nest_summary_destroy(&watch.summary);
	return status;
}
