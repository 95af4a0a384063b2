#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
#
# /init of the guests that guest-images/initramfs makes. On the guest's kernel command line:
#
#   -- COMMAND [ARG...]    run COMMAND
#   shell                  without COMMAND, an interactive shell on the console
#   reboot                 reset in the end, instead of powering off
#
# shellcheck shell=dash

export PATH=/bin HOME=/

busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
for module in /modules/*.ko; do
	[ -e "$module" ] && insmod "$module"
done

# The kernel hands over the words that it does not know, then those after "--". We want the latter.
read -r line </proc/cmdline
shell=no
finish=poweroff
for word in ${line%% -- *}; do
	[ "$word" = "${1-}" ] && shift
	case $word in
	shell) shell=yes ;;
	reboot) finish=reboot ;;
	esac
done

read -r _ kib _ </proc/meminfo
echo "nidus guest: up, $(nproc) CPUs, $((kib / 1024)) MiB, Linux $(uname -r)"

if [ $# -gt 0 ]; then
	"$@" || echo "nidus guest: command failed with status $?"
	# A port that had gone to sleep may not have sent all of it yet; to set it up anew waits for that.
	stty -F /dev/console echo 2>/dev/null
elif [ $shell = yes ]; then
	setsid cttyhack sh
fi
$finish -f
