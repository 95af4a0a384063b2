# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/boot/root_nest.sh
# images: net
# kernel: net
# programs: passt virtiofsd
# files: tests/net.sh tests/boot/root_nest.sh
# board: --icount --mem 6G --timeout 7200
# ring: long
# shellcheck disable=SC2034	# what is sourced has it
depths=3
. tests/boot/root_nest.sh
