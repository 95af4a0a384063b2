/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs that nidus starts and ends, and that run beside it: what they say on standard error is
 * told, their end is noticed, and none of them is left behind.
 *
 * All calls are the main thread's: a child is killed by the kernel when the thread that started it
 * ends, however that comes. A program that changes its user forgoes this (prctl(2),
 * PR_SET_PDEATHSIG), and has to end by itself when the descriptors close that it was given.
 */
#ifndef NIDUS_CHILD_H
#define NIDUS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "children/porter.h"
#include "host/event.h"
#include "host/log.h"

#define CHILD_LINE_MAX	      256
#define CHILD_DESCRIPTORS_MAX 8

/* What is to be run. All of it stays the caller's. */
struct child_command {
	const char *program; /* looked for in PATH, unless there is a slash in it */
	const char *package; /* of Debian's, where it is to be found; or NULL */
	const char *const *arguments; /* behind the program's name, with NULL at the end */
	/* It gets these as 3, 4 and so on, and no others: its standard input is /dev/null. */
	const int *descriptors;
	unsigned int descriptor_count; /* CHILD_DESCRIPTORS_MAX at most */
};

/* Zeroed before it is used. */
struct child {
	/* The owner's. */
	const char *name; /* for messages */
	const char *const *noise; /* beginnings of lines that are not worth telling, or NULL */
	/*
	 * It has ended by itself, and may be started again: the loop's thread, once. status: as of
	 * waitpid(2). NULL: nothing is called.
	 */
	void (*ended)(struct child *child, int status);
	bool for_parent; /* it is to be a child of our parent: a porter starts it */

	pid_t pid; /* 0: none runs */
	struct event_source end, output; /* a pidfd; standard output and error */
	struct event_loop *loop; /* that watches it, or NULL */
	char line[CHILD_LINE_MAX + 1]; /* that has no end yet */
	size_t used;
	bool cut; /* the rest of this line is dropped */
	struct log_limit said; /* lines, for as long as there is a struct */

	char *kept; /* instead of telling, see child_run() */
	size_t kept_size, kept_used;
};

/*
 * Whether there is such a program, looked for as that of a child_command; then path, of size bytes,
 * is where. Nothing is said.
 */
bool child_find(const char *program, char *path, size_t size);
bool child_is_installed(const char *program);

/*
 * Starts it in a process group of its own, with the signals and limits that nidus was started with.
 * Errors: -errno, said; -ENOENT: there is no such program.
 */
int child_start(struct child *child, const struct child_command *command);

/*
 * What a porter answers with when it has started a child: value is its number. The one makes an
 * answer of a child that was started, and of a descriptor of ours by which it is reached; the other
 * a child of the answer, in a struct where none runs.
 */
enum { PORTER_CHILD_END, PORTER_CHILD_OUTPUT, PORTER_CHILD_SOCKET, PORTER_CHILD_FDS };

void child_hand_over(struct child *child, int fd, struct porter_reply *reply);
void child_adopt(struct child *child, const struct porter_reply *reply);

/* Has loop watch it; and no more. What came meanwhile is told then. Errors: -errno, said. */
int child_watch(struct child *child, struct event_loop *loop);
void child_unwatch(struct child *child);

/*
 * Whether it has ended; then *status is as above, and it may be started again. Waits for that, for
 * so many milliseconds, and tells meanwhile what it says. ended() is not called then.
 */
bool child_wait(struct child *child, unsigned int milliseconds, int *status);

/*
 * Ends it, if it runs: by SIGTERM, and where that does not do in time, or patience is none, by
 * SIGKILL, with all processes of its group. What it has said is told. ended() is not called.
 */
void child_end(struct child *child, bool patience);

/*
 * Runs it to its end, which is no later than in so many seconds: then it is killed, which is said,
 * and -ETIMEDOUT. output: what it says goes there instead, cut to size - 1 bytes, with a NUL behind
 * it; NULL: is told. Errors: -errno, said.
 */
int child_run(const char *name, const struct child_command *command, unsigned int seconds,
	      char *output, size_t size, int *status);

/* How it has ended, as words behind its name: "has ended with status 1". text has CHILD_HOW bytes.
 */
#define CHILD_HOW 64
const char *child_how(int status, char *text);

#endif
