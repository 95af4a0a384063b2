#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
#
# /init of the emulated Arm board. Runs what nidus-board run has put in /board/command, with stdout and stderr on
# virtio-serial ports of their own (or on the terminal hvc0), reports its status on a third, and powers off.
#
# shellcheck shell=dash

export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/

busybox mount -t proc proc /proc
busybox --install -s
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr

# port NAME: wait for a virtio-serial port and print its device.
port() {
	while :; do
		for dir in /sys/class/virtio-ports/*; do
			if read -r name <"$dir/name" && [ "$name" = "$1" ]; then
				echo "/dev/${dir##*/}"
				return
			fi
		done
		usleep 10000
	done 2>/dev/null
}

# Ports can be opened once only and take 32 KiB a write at most; what runs here gets pipes.
mkfifo /board/out /board/err
cat /board/out >"$(port nidus.out)" &
out=$!
cat /board/err >"$(port nidus.err)" &
err=$!
status=$(port nidus.status)

# Sets the environment, the working directory, "$@", $tty and $network.
# shellcheck source=/dev/null
. /board/command
if [ -n "$network" ]; then
	ip link set lo up
	ip link set eth0 up
	ip addr add 10.0.2.15/24 dev eth0
	ip route add default via 10.0.2.2
	mkdir -p /etc
	echo nameserver 10.0.2.3 >/etc/resolv.conf
fi
if [ -n "$tty" ]; then
	exec 3<>/dev/hvc0
	# shellcheck disable=SC2086	# "rows R cols C"
	stty $tty <&3
	# shellcheck disable=SC2016	# for the inner shell
	setsid -c sh -c 'exec "$@"' sh "$@" <&3 >&3 2>&3 3>&-
	result=$?
	exec 3>&-
	: >/board/out 2>/board/err
else
	(exec "$@") </board/input >/board/out 2>/board/err
	result=$?
fi

# What the command has left running may hold the pipes open.
for process in /proc/[0-9]*; do
	process=${process#/proc/}
	[ "$process" = "$out" ] || [ "$process" = "$err" ] || [ "$process" = 1 ] || kill -KILL "$process"
done 2>/dev/null
wait "$out" "$err"

# A write to a port returns when the other side has got it.
echo "$result" >"$status"
poweroff -f
