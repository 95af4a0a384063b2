/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the user says of devices that somebody else serves (served.h).
 */
#ifndef NIDUS_SERVED_TYPE_H
#define NIDUS_SERVED_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#define SERVED_TAG_MAX	  36 /* bytes of a file system's tag, without an end (virtio 1.3, 5.11.4) */
#define SERVED_CID_MIN	  3 /* context identifiers below are taken (virtio 1.3, 5.10.4) */
#define SERVED_CID_MAX	  0xfffffffe
#define SERVED_QUEUES_MAX 16
#define SERVED_CONFIG_MAX 256 /* bytes of a device's configuration */

/*
 * A type of device as the user calls it: "fs", "blk", "vsock", others that need no more than rings
 * and configuration, and any by its number (virtio 1.3, 5). False: it is none.
 */
bool served_type_parse(const char *text, uint32_t *device_id);

#endif
