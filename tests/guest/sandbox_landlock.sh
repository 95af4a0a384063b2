# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# What whoever has taken over a thread of nidus can still do: build/board/attack is nidus with threads that try. By a kernel with Landlock.
# board: --smp 2 --timeout 300
# kernel: debian
# files: tests/sandbox.sh
. tests/lib.sh
. tests/sandbox.sh
attacks
