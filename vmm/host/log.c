// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A line is one write(2) by the thread whose message it is. While vCPUs run it
 * must not wait for the reader of standard error (`2>&1 | less`). So what cannot be written at
 * once is kept, and written when it can be, by log_flush() or together with a later line. What is
 * beyond LOG_KEPT_MAX is counted, and that is said instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/log.h"
#include "host/stream.h"

/* Long enough for a path and a sentence; what is longer is cut, the line still ends. */
#define LINE_MAX_BYTES 1024

static _Atomic enum log_level limit_level = LOG_WARNING;

void log_set_level(enum log_level level)
{
	atomic_store(&limit_level, level);
}

static bool in_journal;

void log_find_journal(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	char found[48];
	struct stat st;

	if (!named || fstat(STDERR_FILENO, &st) < 0)
		return;
	snprintf(found, sizeof(found), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	in_journal = strcmp(named, found) == 0;
}

/* What a line of that level begins with. */
static const char *priority(enum log_level level)
{
	static const char *const words[] = {
		[LOG_ERROR] = "<3>",
		[LOG_WARNING] = "<4>",
		[LOG_INFO] = "<6>",
		[LOG_DEBUG] = "<7>",
	};

	return in_journal ? words[level] : "";
}

/* Ends in the colon and blank that follow it in a line. */
static char log_subject[256];

void log_set_subject(const char *subject)
{
	snprintf(log_subject, sizeof(log_subject) - 2, "%s", subject);
	if (*subject)
		strcat(log_subject, ": ");
}

/* Lines that are not written yet, and where to: one for the process, as standard error is. */
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER; /* guards all of this, and writing */
static bool keeping;
static struct stream kept_stream;
static char kept[LOG_KEPT_MAX];
static size_t kept_start, kept_count;
static unsigned int kept_lost; /* messages that had no room */

/* Once standard error is gone lines are dropped: there is nowhere left to say so. */
static void kept_write(void)
{
	while (kept_count > 0) {
		const size_t left = kept_count < STREAM_SHARED_MAX ? kept_count : STREAM_SHARED_MAX;
		const struct iovec rest = { kept + kept_start, left };
		const ssize_t done = stream_write(&kept_stream, &rest, 1);
		const size_t gone = done < 0 ? left : (size_t)done;

		if (done == -EAGAIN)
			return;
		kept_start += gone;
		kept_count -= gone;
	}
	kept_start = 0;
}

static bool kept_append(const char *line, size_t size)
{
	if (size > sizeof(kept) - kept_count)
		return false;
	memmove(kept, kept + kept_start, kept_count);
	kept_start = 0;
	memcpy(kept + kept_count, line, size);
	kept_count += size;
	return true;
}

/* Says how many are missing, as soon as there is room for that. */
static void kept_own_up(void)
{
	char line[100];
	int size;

	if (kept_lost == 0)
		return;
	size = snprintf(line, sizeof(line),
			"%snidus: warning: standard error was not read: %u messages are lost\n",
			priority(LOG_WARNING), kept_lost);
	if (kept_append(line, size))
		kept_lost = 0;
}

static void line_write(const char *line, size_t size)
{
	pthread_mutex_lock(&kept_lock);
	if (keeping) {
		kept_own_up();
		if (kept_lost > 0 || !kept_append(line, size))
			kept_lost++;
		kept_write();
	} else {
		ssize_t ignored = write(STDERR_FILENO, line, size);

		(void)ignored;
	}
	pthread_mutex_unlock(&kept_lock);
}

int log_keep(void)
{
	int err;

	pthread_mutex_lock(&kept_lock);
	err = stream_open(&kept_stream, STDERR_FILENO, O_WRONLY);
	keeping = err == 0;
	pthread_mutex_unlock(&kept_lock);
	return err < 0 ? err : kept_stream.fd;
}

void log_flush(void)
{
	pthread_mutex_lock(&kept_lock);
	kept_write();
	kept_own_up();
	kept_write();
	pthread_mutex_unlock(&kept_lock);
}

bool log_pending(void)
{
	bool pending;

	pthread_mutex_lock(&kept_lock);
	pending = kept_count > 0;
	pthread_mutex_unlock(&kept_lock);
	return pending;
}

void log_keep_no_more(void)
{
	pthread_mutex_lock(&kept_lock);
	if (keeping)
		stream_close(&kept_stream);
	keeping = false;
	kept_start = kept_count = kept_lost = 0;
	pthread_mutex_unlock(&kept_lock);
}

/* Ends the line that so many bytes of it are, and writes it. There is room for one more. */
static void line_end(char *line, size_t used)
{
	/* One line it stays, whatever is in a file's name. */
	for (size_t i = 0; i < used; i++)
		if ((unsigned char)line[i] < ' ')
			line[i] = '?';
	line[used++] = '\n';
	line_write(line, used);
}

static void log_line(enum log_level level, const char *remark, const char *format, va_list args)
{
	static const char *const tag[] = {
		[LOG_ERROR] = "error: ",
		[LOG_WARNING] = "warning: ",
		[LOG_INFO] = "",
		[LOG_DEBUG] = "debug: ",
	};
	char line[LINE_MAX_BYTES];
	/* Room is kept for the newline that every line gets, cut or not. */
	const size_t room = sizeof(line) - 1;
	size_t used;

	if (level > atomic_load(&limit_level))
		return;

	used = snprintf(line, room, "%snidus: %s%s", priority(level), tag[level], log_subject);
	used += vsnprintf(line + used, room - used, format, args);
	if (used < room)
		used += snprintf(line + used, room - used, "%s", remark);
	line_end(line, used < room ? used : room - 1);
}

void log_plain(const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	const size_t room = sizeof(line) - 1;
	va_list args;
	size_t used;

	va_start(args, format);
	used = vsnprintf(line, room, format, args);
	va_end(args);
	line_end(line, used < room ? used : room - 1);
}

#define LOG_FUNCTION(name, level)                  \
	void name(const char *format, ...)         \
	{                                          \
		va_list args;                      \
                                                   \
		va_start(args, format);            \
		log_line(level, "", format, args); \
		va_end(args);                      \
	}

LOG_FUNCTION(log_error, LOG_ERROR)
LOG_FUNCTION(log_warning, LOG_WARNING)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_debug, LOG_DEBUG)

const char *log_reason(int error)
{
	switch (error) {
	case EMFILE:
		return "Too many open files; raise the limit of this process (ulimit -n)";
	case ENFILE:
		return "Too many open files in the system; raise its limit (sysctl fs.file-max)";
	case EAGAIN:
		return "the host allows no more of them; raise the limit of threads (ulimit -u, "
		       "pids.max of the cgroup)";
	default:
		return strerror(error);
	}
}

void log_guest(struct log_limit *limit, const char *format, ...)
{
	unsigned int said = atomic_load(&limit->said);
	va_list args;

	/* Stop counting at the limit, so that a guest cannot wrap the counter round. */
	if (said >= LOG_LIMIT)
		return;
	said = atomic_fetch_add(&limit->said, 1);
	if (said >= LOG_LIMIT)
		return;

	va_start(args, format);
	log_line(LOG_WARNING, said + 1 == LOG_LIMIT ? " (said no more)" : "", format, args);
	va_end(args);
}
