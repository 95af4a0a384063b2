/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPU time of another nidus and of its vCPUs, as the host's kernel tells it of a process.
 */
#ifndef NIDUS_THREADS_H
#define NIDUS_THREADS_H

#include <jansson.h>
#include <sys/types.h>

/*
 * Adds cpu_ns, nanoseconds of CPU, to an answer to `stat`: of all threads of the process, and of
 * each vCPU to that. What cannot be told is left out.
 */
void threads_add_cpu(json_t *stats, pid_t pid);

#endif
