#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
#
# /init of the root file system that guest-images/rootfs makes, for a kernel started with "root=/dev/vda ro
# init=/init": runs the command that follows "--" on the kernel's command line, says its status, and powers off.
# The file system stays as it is; /tmp is in memory.
#
# shellcheck shell=dash

export PATH=/usr/sbin:/usr/bin HOME=/root TERM=dumb

mount -t devtmpfs devtmpfs /dev
# The kernel finds no /dev/console on the image, and opens none.
exec </dev/console >/dev/console 2>&1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o size=90% tmpfs /tmp

# The kernel hands over the words that it does not know, then those after "--". We want the latter.
read -r line </proc/cmdline
for word in ${line%% -- *}; do
	[ "$word" != "${1-}" ] || shift
done

status=0
[ $# = 0 ] || "$@" || status=$?
echo "rootfs: status $status"
busybox poweroff -f
