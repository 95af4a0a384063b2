#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# ring: long
#
# Of a debugger, what takes long, and what another GDB than the one that is installed makes of the rest.

set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."

tests/host/gdb.sh steps own
NIDUS_GDB=$(guest-images/program gdb)/gdb-multiarch
export NIDUS_GDB
tests/host/gdb.sh plain attached armed nest processes | sed "s/^ok - .*/& (GDB of Debian 13)/"
