#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# kbuild CONFIG [TARGET...]: builds targets of Linux in /tmp/build, on the root file system of guest-images/rootfs, with
# as many jobs as there are CPUs. CONFIG is a configuration (tinyconfig, defconfig, ...), which is then made and
# prepared first, or where to read an archive of a /tmp/build that has been: a path, or - for stdin. Prints
# "kbuild: STEP SECONDS" after each step.

set -e
out=/tmp/build

seconds() {
	read -r up _ </proc/uptime
	echo "$up"
}

# step NAME TARGET...
step() {
	name=$1
	shift
	begun=$(seconds)
	make -s -C /usr/src/linux O="$out" ARCH=arm64 -j "$(nproc)" "$@"
	seconds | awk -v name="$name" -v begun="$begun" '{ printf "kbuild: %s %.2f\n", name, $1 - begun }'
}

config=$1
shift
case $config in
- | /*) tar -C /tmp -xf "$config" ;;
*)
	step configure "$config"
	step prepare prepare
	;;
esac
[ $# = 0 ] || step build "$@"
