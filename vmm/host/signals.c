// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "host/crash.h"
#include "host/log.h"
#include "host/signals.h"
#include "util.h"

static const int ending[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
static const int telling[] = { SIGUSR1, SIGWINCH, SIGTSTP, SIGCONT };

/* Signals that were ignored stay so: nohup(1), for one, has us outlive the terminal. */
static void add_unless_ignored(sigset_t *set, const int *signals, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct sigaction action;

		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
	}
}

void signals_stop_here(void)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	crash_raise(SIGTSTP);
	pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
	/* Continued, if it came to that. */
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
}

/* #syscalls loop: read */
static void signals_ready(struct event_source *source, uint32_t events)
{
	struct signals *signals = container_of(source, struct signals, source);
	struct signalfd_siginfo info;

	(void)events;
	if (read(source->fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGUSR1:
	case SIGWINCH:
	case SIGCONT:
		signals->told(signals->opaque, info.ssi_signo);
		break;
	case SIGTSTP:
		signals->told(signals->opaque, SIGTSTP);
		signals_stop_here();
		signals->told(signals->opaque, SIGCONT);
		break;
	default:
		verdict_kill(signals->verdict, info.ssi_signo);
	}
}

int signals_create(struct signals *signals, struct event_loop *loop, struct verdict *verdict,
		   void (*told)(void *opaque, int signal), void *opaque)
{
	sigset_t set;
	int err;

	*signals = (struct signals){
		.source = { .ready = signals_ready },
		.loop = loop,
		.verdict = verdict,
		.told = told,
		.opaque = opaque,
	};
	/* These are errors of write(2) and read(2) as well, and handled as such. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	sigemptyset(&signals->ending);
	add_unless_ignored(&signals->ending, ending, ARRAY_SIZE(ending));
	set = signals->ending;
	add_unless_ignored(&set, telling, ARRAY_SIZE(telling));
	pthread_sigmask(SIG_BLOCK, &set, NULL);

	signals->source.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	err = signals->source.fd < 0 ? -errno : event_add(loop, &signals->source, EPOLLIN);
	if (err < 0) {
		log_error("signalfd: %s", log_reason(-err));
		signals_destroy(signals);
	}
	return err;
}

void signals_destroy(struct signals *signals)
{
	struct signalfd_siginfo info;

	if (signals->source.fd >= 0) {
		event_remove(signals->loop, &signals->source);
		/* A second wish to end changes nothing. */
		while (read(signals->source.fd, &info, sizeof(info)) > 0)
			;
		close(signals->source.fd);
	}
	pthread_sigmask(SIG_UNBLOCK, &signals->ending, NULL);
}
