#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
#
# /init of the initramfs of a disk that guest-images/disk makes. From the kernel's command line it takes
#
#   root=DEVICE            also as UUID=... or LABEL=...
#   rw                     mount it so
#   init=PROGRAM           what goes on from there; /sbin/init
#
# shellcheck shell=dash

export PATH=/bin

busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
	insmod "$module"
done

root='' mode=ro init=/sbin/init
read -r line </proc/cmdline
for word in ${line%% -- *}; do
	case $word in
	root=*) root=${word#root=} ;;
	rw) mode=rw ;;
	init=*) init=${word#init=} ;;
	esac
done

# Disks are found in their own time.
tries=0
until device=$(findfs "$root" 2>/dev/null) && [ -b "$device" ]; do
	tries=$((tries + 1))
	if [ $tries = 100 ]; then
		echo "disk-init: there is no $root; a shell instead"
		exec setsid cttyhack sh
	fi
	usleep 100000
done

mkdir /disk
mount -t ext4 -o $mode "$device" /disk
for directory in dev proc sys; do
	mount -o move /$directory /disk/$directory
done
exec switch_root /disk "$init"
