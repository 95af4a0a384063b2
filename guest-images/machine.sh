#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# machine.sh ARCHIVE COMMAND...: runs COMMAND as root on the machine that ARCHIVE (a file or block device, made by
# guest-images/machine) is the root file system of: unpacked into memory and entered. It may be written to and is
# gone afterwards. What is where this script runs is seen below /board; /dev, /proc and /sys are shared.

set -e
if [ "${NIDUS_UNSHARED-}" != yes ]; then
	NIDUS_UNSHARED=yes exec unshare -m sh "$0" "$@"
fi

archive=$1 root=$(mktemp -d)
shift
mount -t tmpfs -o size=90%,mode=755 tmpfs "$root"
tar -C "$root" -xf "$archive"
mkdir -p "$root/board"
mount --bind / "$root/board"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
