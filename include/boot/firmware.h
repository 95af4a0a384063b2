/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Firmware images, which are programs without a header, packed like kernels or not.
 */
#ifndef NIDUS_FIRMWARE_H
#define NIDUS_FIRMWARE_H

#include <stdint.h>

/*
 * Reads what the file at path holds, unpacked, to content, which is all zeroes and has room bytes;
 * what of it is zeroes, as padding is, is not touched. size: how many bytes there are. Errors:
 * -errno, said.
 */
int firmware_read(const char *path, uint8_t *content, uint64_t room, uint64_t *size);

#endif
