#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# ring: long
#
# Of a debugger, what takes long.

exec bash "$(dirname "$(realpath "$0")")/gdb.sh" steps own
