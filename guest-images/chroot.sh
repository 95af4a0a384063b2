#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# chroot.sh DISK COMMAND...: runs COMMAND as root in the root file system that guest-images/rootfs made, which is on
# DISK, a block device or an image. Its mounts are seen by nobody else; /tmp is in memory.

set -e
if [ "${NIDUS_UNSHARED-}" != yes ]; then
	NIDUS_UNSHARED=yes exec unshare -m sh "$0" "$@"
fi

root=$(mktemp -d)
mount -t ext4 -o ro "$1" "$root"
shift
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t devtmpfs devtmpfs "$root/dev"
mount -t tmpfs -o size=90% tmpfs "$root/tmp"
# By its path, or busybox would run its own programs instead of those that are there.
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin HOME=/root "$@"
