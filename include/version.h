/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_VERSION_H
#define NIDUS_VERSION_H

#define NIDUS_VERSION "0.1"

#endif
