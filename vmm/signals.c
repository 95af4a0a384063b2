// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "log.h"
#include "signals.h"
#include "util.h"

static sigset_t signals_set(void)
{
	static const int wanted[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGWINCH };
	struct sigaction hangup;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		sigaddset(&set, wanted[i]);
	/* nohup(1) has us outlive the terminal. */
	sigaction(SIGHUP, NULL, &hangup);
	if (hangup.sa_handler == SIG_IGN)
		sigdelset(&set, SIGHUP);
	return set;
}

static void signals_ready(struct event_source *source, uint32_t events)
{
	struct signals *signals = container_of(source, struct signals, source);
	struct signalfd_siginfo info;

	(void)events;
	if (read(source->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1 || info.ssi_signo == SIGWINCH)
		signals->told(signals->opaque, info.ssi_signo);
	else
		verdict_kill(signals->verdict, info.ssi_signo);
}

int signals_create(struct signals *signals, struct event_loop *loop, struct verdict *verdict,
		   void (*told)(void *opaque, int signal), void *opaque)
{
	const sigset_t set = signals_set();
	int err;

	/* Both are errors of write(2) as well, and handled as these. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	pthread_sigmask(SIG_BLOCK, &set, NULL);

	*signals = (struct signals){
		.source = { .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
			    .ready = signals_ready },
		.loop = loop,
		.verdict = verdict,
		.told = told,
		.opaque = opaque,
	};
	err = signals->source.fd < 0 ? -errno : event_add(loop, &signals->source, EPOLLIN);
	if (err < 0) {
		log_error("signalfd: %s", log_reason(-err));
		signals_destroy(signals);
	}
	return err;
}

void signals_destroy(struct signals *signals)
{
	if (signals->source.fd < 0)
		return;
	event_remove(signals->loop, &signals->source);
	close(signals->source.fd);
}
