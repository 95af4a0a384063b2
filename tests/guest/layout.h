/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What start.S and C have in common.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#define CPUS_MAX    256
#define STACK_SHIFT 12
#define STACK_SIZE  (1 << STACK_SHIFT)
#define CURRENT_EL2 8 /* CurrentEL at EL2 */
#define FRAME_SIZE  272 /* of struct frame, a multiple of 16 */

#endif
