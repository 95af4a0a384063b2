# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh disable=SC2034,SC2154
#
# What tests of networks are written with, beside tests/lib.sh, which is sourced before.
#
# The board has no network of its own. passt wants an interface with a default route, which is a dummy one here. A guest
# reaches the board by the address of the host, which passt maps to 127.0.0.1.
#
# What it does not start without:
#   - namespaces for users, PIDs, IPC, UTS and mounts
#   - a root that pivot_root(2) can replace, as that of an initial RAM disk is on the kernels here
#   - started by root, the user nobody in /etc/passwd, whom it becomes
# Echo requests want a group that net.ipv4.ping_group_range allows. It takes neither /dev/net/tun nor root.

address=192.168.33.15
router=192.168.33.1
# The board's end of a tap, and the guest's.
here=192.168.77.1
there=192.168.77.2
# The port of the server that serve() starts.
http=8000
# What it has.
big=32 # MiB

# board_network: what a host with a network has.
board_network() {
	PATH=$NIDUS_PASST:$PATH
	chmod 1777 /tmp
	chmod 755 "$scratch"
	mkdir -p /etc
	cat >/etc/passwd <<-EOF
		root:x:0:0:root:/root:/bin/sh
		user:x:1000:1000:user:$scratch/home:/bin/sh
		nobody:x:65534:65534:nobody:/nonexistent:/bin/false
	EOF
	printf 'root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n' >/etc/group
	echo "nameserver $router" >/etc/resolv.conf
	echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range
	ip link set lo up
	ip link add dummy0 type dummy
	ip address add 10.77.0.1/24 dev dummy0
	ip link set dummy0 up
	ip route add default via 10.77.0.254
}

# make_tap, take_tap: tap0, with an address of the board's. It stays.
make_tap() {
	tunctl -t tap0 >/dev/null
	ip address add $here/24 dev tap0
	ip link set tap0 up
}

take_tap() {
	tunctl -d tap0 >/dev/null
}

# user_home: a home of the ordinary user's, with all that a guest takes: other places may be closed to others than root.
user_home() {
	home=$scratch/home
	mkdir -p "$home/bin"
	cp "$(command -v nidus)" "$home/bin"
	cp -r "$NIDUS_PASST/." "$home/bin"
	cp "$NIDUS_KERNEL" "$home/kernel"
	cp "$initrd" "$home/initrd"
	chown -R user:user "$home"
	chmod 666 /dev/kvm
}

# as_user COMMAND...: as the ordinary user, in place of this shell.
as_user() {
	PATH=$home/bin:$PATH
	program=$(command -v "$1")
	shift
	exec start-stop-daemon -S -n none -c user -a "$program" -- "$@"
}

# net_initrd: $initrd, for guests that have a network: the test initramfs, /network, and the program of bench/net.c.
net_initrd() {
	initrd=$scratch/initrd
	mkdir "$scratch/add"
	cat >"$scratch/add/network" <<'EOF'
#!/bin/sh
# /network dhcp | /network ADDRESS/LENGTH [ROUTER]: brings eth0 up. udhcpc calls it for what a server says.
case $1 in
bound | renew)
	ip address add "$ip/$mask" dev "$interface"
	[ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
	for one in $router; do
		ip route add default via "$one" dev "$interface"
	done
	mkdir -p /etc
	for one in $dns; do
		echo "nameserver $one"
	done >/etc/resolv.conf
	;;
deconfig | leasefail | nak) ;;
*)
	ip link set lo up
	ip link set eth0 up
	if [ "$1" = dhcp ]; then
		udhcpc -q -n -t 20 -T 1 -i eth0 -s /network >/dev/null
	else
		ip address add "$1" dev eth0
		[ -z "$2" ] || ip route add default via "$2"
	fi
	echo "network: $(ip -4 -o address show dev eth0 | sed 's/.*inet \([^ ]*\).*/\1/')"
	;;
esac
EOF
	chmod 755 "$scratch/add/network"
	cp build/programs/net "$scratch/add"
	{
		cat "$NIDUS_INITRD"
		(cd "$scratch/add" && printf 'network\nnet\n' | cpio -o -H newc 2>/dev/null)
	} >"$initrd"
}

# serve: a server of files on the board, with one of $big MiB; its sum is $sum.
serve() {
	mkdir "$scratch/www"
	echo 'so it is' >"$scratch/www/small"
	dd if=/dev/urandom of="$scratch/www/big" bs=1M count=$big 2>/dev/null
	sum=$(md5sum <"$scratch/www/big" | cut -c -32)
	httpd -p $http -h "$scratch/www"
}

control=$scratch/control

# start OPTION... -- TEXT: a guest in the background, as $pid, whose shell runs TEXT, which has no double quotes. $as is
# what goes before nidus. All messages are kept.
start() {
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	: >"$console"
	# shellcheck disable=SC2086	# options have no blanks in them
	${as-} nidus run ${once---no-reboot} --kernel "${kernel:-$NIDUS_KERNEL}" --initrd "${image:-$initrd}" $options \
		--params "console=ttyAMA0 panic=-1 quiet ${params-} -- sh -c \"$2\"" \
		</dev/null >"$console" 2>"$messages" &
	pid=$!
}

# finished: waits for the guest to end by itself. One that does not says where it is, if it has a socket for that.
finished() {
	wait_for '^nidus guest: over' "$console" || {
		[ ! -S "$control" ] || {
			nidus debug "$control"
			nidus stat "$control"
		} >>"$messages" 2>&1
		kill -TERM "$pid"
	}
	wait "$pid"
	status=$?
	pid=
}

# stop: ends the guest at once.
stop() {
	kill -TERM "$pid" 2>/dev/null
	wait "$pid"
	status=$?
	pid=
}

# Words for a guest's shell. Its last words are "nidus guest: over", without which it was cut short.
over='echo nidus guest: over'
# Serves its own copy of the big file, on port 22, until someone has connected to port 23.
serving='httpd -p 22 -h /tmp; echo serving; nc -l -p 23 </dev/null'
# How often the link has gone down, and come up.
down='cat /sys/class/net/eth0/carrier_down_count'
up='cat /sys/class/net/eth0/carrier_up_count'

# check_resets TRANSPORT VHOST TIMES: the driver of a guest on tap0 is bound anew so often, with frames under way in both
# directions. $from is where the board serves.
check_resets() {
	driver=/sys/bus/virtio/drivers/virtio_net
	start --cpus 2 --control "$control" -n mode=tap,tapif=tap0,trans="$1",vhost="$2" -- "/network $there/24; echo ready; \
device=\$(basename \$(readlink /sys/class/net/eth0/device)); n=0; while [ \$n -lt $3 ]; do \
ping -c 3 -i 0.01 -s 1400 $here >/dev/null & echo \$device >$driver/unbind; echo \$device >$driver/bind; \
ip address add $there/24 dev eth0; ip link set eth0 up; ip link set eth0 down; ip link set eth0 up; n=\$((n + 1)); done; \
wait; wget -q -O /tmp/big $from/big; md5sum /tmp/big; $over"
	wait_for '^ready' "$console"
	ping -i 0.001 -s 1400 $there >/dev/null 2>&1 &
	flood=$!
	finished
	kill $flood
	wait $flood 2>/dev/null
	expect_status 0
	expect_line "^$sum  /tmp/big"
	expect [ ! -s "$messages" ]
	expect_nothing_left
}

# spent TRANSPORT VHOST WHAT COUNT: sets $spent, exits to user space of a whole run with so many datagrams of 64 bytes.
spent() {
	build/programs/net serve 9000 1 >"$scratch/server" &
	server=$!
	wait_for '^net: serving' "$scratch/server"
	start --stats "$scratch/stats" -n mode=tap,tapif=tap0,trans="$1",vhost="$2" -- "/network $there/24; \
/net $3 $here 9000 22 $4; $over"
	finished
	expect_status 0
	wait $server
	expect_line "^net: $3: $4 wanted, $4 arrived"
	spent=$(exits "$scratch/stats")
}

# passts: the processes of passt's that there are, by what was executed; not the grep that looks for them.
passts() {
	grep -ls 'libexec/pass[t]' /proc/[0-9]*/cmdline | sed 's,/proc/\([0-9]*\)/cmdline,\1,'
}

# exits FILE: of statistics, exits to user space of all vCPUs.
exits() {
	sed -n '/"exits": {/,/}/s/.*"total": \([0-9]*\).*/\1/p' "$1" | head -n 1
}
