/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that stays outside when nidus is confined, and does there what was settled before:
 * writes a file, starts a program again, connects to a socket. It is a copy of nidus as it was
 * then, so whoever takes nidus over from inside a guest can ask it for these things and no others,
 * nor for other names.
 *
 * Where there is no porter, because nothing was offered, or nidus is not confined, whoever asks
 * does it himself, by the same function.
 */
#ifndef NIDUS_PORTER_H
#define NIDUS_PORTER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PORTER_FDS_MAX 4

struct porter_reply {
	bool outside; /* it is the porter who answers, as another process than nidus */
	int64_t value;
	int fds[PORTER_FDS_MAX]; /* those that were made for it, and are the asker's then */
	unsigned int fd_count;
};

/* One thing that can be asked for; the struct is its owner's. */
struct porter_service {
	/*
	 * Does it. In the porter, service is what it was when the porter began, and request, of
	 * size bytes, is the word of somebody hostile. Errors: -errno, said as always.
	 */
	int (*serve)(struct porter_service *service, const void *request, size_t size,
		     struct porter_reply *reply);
	const int *keep; /* descriptors that it takes, -1: none; all others are closed there */
	unsigned int keep_count;

	struct porter *porter;
	struct porter_service *next;
	unsigned int index;
};

struct porter {
	struct porter_service *services;
	pid_t pid; /* 0: nobody is there */
	int socket; /* to it; in the porter, to nidus */
	pthread_mutex_t lock; /* one question at a time: any thread's */
};

void porter_create(struct porter *porter);
/* Ends it, if it was started; services may be gone. */
void porter_destroy(struct porter *porter);

/* porter NULL: there will never be one. Before porter_start(), or without effect. */
void porter_offer(struct porter *porter, struct porter_service *service);
void porter_withdraw(struct porter_service *service);

/* Starts it, where there is something to ask for. One thread, no guest memory. -errno, said. */
int porter_start(struct porter *porter);

/* Any thread; waits for the answer. Errors: those of serve(), or -EPIPE, said, when it is gone. */
int porter_ask(struct porter_service *service, const void *request, size_t size,
	       struct porter_reply *reply);

#endif
