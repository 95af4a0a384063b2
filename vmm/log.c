// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* Long enough for a path and a sentence; what is longer is cut, the line still ends. */
#define LINE_MAX_BYTES 1024

static _Atomic enum log_level limit_level = LOG_WARNING;

void log_set_level(enum log_level level)
{
	atomic_store(&limit_level, level);
}

/* With the colon and blank that follow it. */
static char log_subject[256];

void log_set_subject(const char *subject)
{
	snprintf(log_subject, sizeof(log_subject) - 2, "%s", subject);
	if (*subject)
		strcat(log_subject, ": ");
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

	used = snprintf(line, room, "nidus: %s%s", tag[level], log_subject);
	used += vsnprintf(line + used, room - used, format, args);
	if (used < room)
		used += snprintf(line + used, room - used, "%s", remark);
	if (used > room - 1)
		used = room - 1;
	/* One line it stays, whatever is in a file's name. */
	for (size_t i = 0; i < used; i++)
		if ((unsigned char)line[i] < ' ')
			line[i] = '?';
	line[used++] = '\n';

	/* Nobody is left to tell that standard error is gone. */
	ssize_t ignored = write(STDERR_FILENO, line, used);
	(void)ignored;
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
