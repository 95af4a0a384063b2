/* SPDX-License-Identifier: GPL-2.0-only */
/* virtio-mmio, for drivers (virtio 1.3, 4.2.2). */
#ifndef VIRTIO_MMIO_H
#define VIRTIO_MMIO_H

#include "virtio.h"

#define VIRTIO_BASE UINT64_C(0x0a000000) /* of the first device */

#define MAGIC_VALUE	    0x000
#define DEVICE_ID	    0x008
#define DRIVER_FEATURES	    0x020
#define DRIVER_FEATURES_SEL 0x024
#define QUEUE_SEL	    0x030
#define QUEUE_SIZE_MAX	    0x034
#define QUEUE_SIZE	    0x038
#define QUEUE_READY	    0x044
#define QUEUE_NOTIFY	    0x050
#define INTERRUPT_STATUS    0x060
#define INTERRUPT_ACK	    0x064
#define STATUS		    0x070
#define QUEUE_DESC	    0x080
#define QUEUE_DRIVER	    0x090
#define QUEUE_DEVICE	    0x0a0
#define CONFIG		    0x100

#endif
