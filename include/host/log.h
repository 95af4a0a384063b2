/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages to the person who started nidus: one line each on standard error, written by one
 * write(2), so that lines of several threads do not mix. Any thread may call these.
 *
 * The contract of a function that can fail tells whether the error is "said". If so, the function,
 * or one that it called, has written one line with what failed and why, and its caller passes the
 * error on without a word; if it is "not said", the caller knows better what it means, and has to
 * write that line itself or do without.
 */
#ifndef NIDUS_LOG_H
#define NIDUS_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

#define LOG_FORMAT(text, first) __attribute__((format(printf, text, first)))

/* Messages above this level are dropped from now on. The level at start is LOG_WARNING. */
void log_set_level(enum log_level level);

/*
 * All messages from now on begin with what they are about; "" for nothing. It is copied, and cut if
 * it is long. Before there is more than one thread.
 */
void log_set_subject(const char *subject);

/*
 * Where standard error goes to the journal (JOURNAL_STREAM, systemd.exec(5)), all messages from now
 * on begin with their priority (sd-daemon(3)). Before there is more than one thread.
 */
void log_find_journal(void);

/*
 * How much of what standard error does not take at once is kept. 16 KiB is a hundred lines or so,
 * more than a guest can provoke in the places that log_guest() bounds.
 */
#define LOG_KEPT_MAX 16384

/*
 * At the start a message waits for the reader of standard error. From now on none does: it is kept
 * instead, and what there is no room for is counted. Returns the descriptor at which to call
 * log_flush() when it can be written to (again), or -errno, not said: then messages wait as before.
 */
int log_keep(void);
/* Writes what was kept, as far as that can be done at once. Any thread. */
void log_flush(void);
/* Whether something that was kept is still to be written. */
bool log_pending(void);
/* Messages wait again. What is still kept is dropped. */
void log_keep_no_more(void);

void log_error(const char *format, ...) LOG_FORMAT(1, 2);
void log_warning(const char *format, ...) LOG_FORMAT(1, 2);
void log_info(const char *format, ...) LOG_FORMAT(1, 2);
void log_debug(const char *format, ...) LOG_FORMAT(1, 2);

/* A line that is a result and no message about one: without a prefix, at any level. */
void log_plain(const char *format, ...) LOG_FORMAT(1, 2);

/*
 * The words for an error number in messages: those of strerror(3), and where it is a limit of the
 * process or the host that was reached, which one, and what raises it.
 */
const char *log_reason(int error);

/* How often one place in the code has complained about a guest's behaviour. */
struct log_limit {
	atomic_uint said;
};

#define LOG_LIMIT 8

/*
 * A warning that a guest can provoke at will: said LOG_LIMIT times for each struct log_limit, the
 * last time with a remark that no more will follow.
 */
void log_guest(struct log_limit *limit, const char *format, ...) LOG_FORMAT(2, 3);

#endif
