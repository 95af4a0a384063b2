/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices that somebody else serves: file systems, disks and sockets whose rings the host's kernel
 * or another process works on. nidus has the device's registers and sees no request.
 *
 * What serves one is opened once, with the resources of a guest, and lent to the device of each of
 * its lives. A daemon that nidus has started is started again when it ends, and dies with nidus.
 */
#ifndef NIDUS_SERVED_H
#define NIDUS_SERVED_H

#include <stdbool.h>
#include <stdint.h>

#include "host/event.h"
#include "mm/memory.h"
#include "served/served_type.h"
#include "virtio/virtio.h"

#define SERVED_VIRTIOFSD "/usr/libexec/virtiofsd" /* where distributions have it */

struct porter;
struct served;

/* A directory of the host, by virtiofsd. In each of these: porter, which starts it again, or NULL.
 */
struct served_fs_options {
	const char *directory, *tag;
	bool read_only;
	/*
	 * What is mounted in the directory looks like a part of it, and not like a mount, which
	 * overlay would refuse to have in a layer (EREMOTE).
	 */
	bool no_submounts;
	struct porter *porter;
};

/* Where the virtiofsd is that served_fs_open() starts, or NULL: nowhere. path has PATH_MAX bytes.
 */
const char *served_fs_find(char *path);

/* A disk image of a format that nidus does not know, by qemu-storage-daemon. */
struct served_disk_options {
	const char *path, *format;
	bool read_only, direct;
	unsigned int queues; /* as virtio_block_queues() says */
	struct porter *porter;
};

/* Whoever listens at a socket. */
struct served_socket_options {
	const char *type; /* as the user calls it, for messages */
	uint32_t device_id; /* virtio 1.3, 5 */
	const char *path;
	const char *tag; /* of a file system, or NULL: it says so itself */
	unsigned int queues; /* that the device has; 0: those of its kind, or as many as it says */
	uint32_t config_size; /* bytes; of kinds that are known theirs holds */
	unsigned int reconnect; /* seconds that its end is waited out, 0: not at all */
	struct porter *porter;
};

/* Strings of options outlive what is opened. Errors: -errno, said; -EINVAL: of what was named. */
int served_fs_open(struct served **opened, const struct served_fs_options *options);
int served_disk_open(struct served **opened, const struct served_disk_options *options);
int served_socket_open(struct served **opened, const struct served_socket_options *options);
/* cid: the guest's context identifier. By vhost-vsock of the kernel. */
int served_vsock_open(struct served **opened, uint32_t cid);
/* After the last life of the guest; ends a daemon that was started. */
void served_close(struct served *served);

/* Whether it maps the guest's RAM, which then has to have a descriptor (memory.fd). */
bool served_shares_memory(const struct served *served);
/* For statistics: "fs", "block", ...; and who serves it: "virtiofsd", "vhost-vsock", ... */
const char *served_kind(const struct served *served);
const char *served_by(const struct served *served);
/* Whether it is there now. Any thread. */
bool served_is_up(const struct served *served);

/*
 * A device that it serves. loop: the main one. All of this outlives the device. Errors: -errno,
 * said.
 */
int served_create(struct virtio **created, const struct memory *memory, struct event_loop *loop,
		  struct served *served);

#endif
