/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of this room have for each other.
 */
#ifndef NIDUS_MONITOR_PARTS_H
#define NIDUS_MONITOR_PARTS_H

#include "monitor/monitor.h"

/* Requests, of a struct monitor. */
void monitor_pause(struct control_client *client, json_t *arguments, void *opaque);
void monitor_resume(struct control_client *client, json_t *arguments, void *opaque);

void monitor_debug(struct control_client *client, json_t *arguments, void *opaque);

void monitor_snapshot(struct control_client *client, json_t *arguments, void *opaque);
/* What saving takes. Errors: -errno, said. */
int monitor_snapshot_prepare(struct monitor *monitor);

void monitor_migrate(struct control_client *client, json_t *arguments, void *opaque);
/* The machine is about to go. */
void monitor_migrate_end(struct monitor *monitor);

void monitor_gdb(struct control_client *client, json_t *arguments, void *opaque);
void monitor_balloon(struct control_client *client, json_t *arguments, void *opaque);

/* A life of the guest is about to begin: it is asked for as much as the last one. */
void monitor_balloon_begins(struct monitor *monitor);

/* Statistics have been shown: those that the guest tells are to be newer the next time. */
void monitor_balloon_ask(const struct monitor *monitor);

/* The last life of the guest has ended, and is not looked at any more. */
void monitor_debug_end(struct monitor *monitor);

/* A life of the guest is about to begin; the last one has ended, and is not held any more. */
void monitor_pause_begins(struct monitor *monitor);
void monitor_pause_end(struct monitor *monitor);

const char *monitor_pause_name(enum monitor_state state);

/* Process id and service manager. Errors: -errno, said. */
int monitor_service_open(struct monitor *monitor);
/* Removes the file with the process id. */
void monitor_service_remove(const struct monitor *monitor);
void monitor_service_close(struct monitor *monitor);

/* A life of the guest is about to begin; the last one has ended. */
void monitor_service_begins(struct monitor *monitor);
void monitor_service_ends(struct monitor *monitor);

#endif
