# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: net
# kernel: net
# programs: passt
# files: tests/net.sh build/programs/net build/programs/tap
# board: --smp 4 --mem 4G --timeout 3000
. tests/lib.sh
# shellcheck source=tests/net.sh
. tests/net.sh

# -n mode=tap: by the kernel's tap devices, with vhost-net and without.

board_network
net_initrd
serve

# shellcheck disable=SC2154	# of tests/net.sh
from=http://$here:$http

# transfers: words for the guest's shell; then the board fetches from it.
transfers="/network $there/24 $here; ping -c 3 -W 20 $here; ping -c 3 -W 20 -s 8000 $here; wget -q -O /tmp/big $from/big; \
md5sum /tmp/big; $serving; $over"

# check_transfers OPTION...: of a guest that start() gets them for.
check_transfers() {
	start "$@" -- "$transfers"
	wait_for '^serving' "$console" &&
		expect [ "$(wget -q -O - http://$there:22/big | md5sum | cut -c -32)" = "$sum" ]
	nc $there 23 </dev/null
	finished
	expect_status 0
	expect [ "$(grep -c '^3 packets transmitted, 3 packets received' "$console")" = 2 ]
	expect_line "^$sum  /tmp/big"
	expect_nothing_left
}

make_tap
for transport in pci mmio; do
	for vhost in 1 0; do
		begin "$transport, vhost=$vhost: 32 MiB each way, and pings of one frame and of several"
		check_transfers -n mode=tap,tapif=tap0,trans=$transport,vhost=$vhost
		expect [ ! -s "$messages" ]
		end
	done
done
take_tap

for vhost in 1 0; do
	begin "four queue pairs for four vCPUs, made on the fly, vhost=$vhost"
	check_transfers --cpus 4 -n mode=tap,host_ip=$here,vhost=$vhost,mq=4
	end
done

begin "what was made on the fly is gone in the end"
expect [ -z "$(ls -d /sys/class/net/tap* 2>/dev/null)" ]
end

begin "an open descriptor"
make_tap
as="build/programs/tap tap0 7"
check_transfers -n mode=tap,fd=7
as=
take_tap
end

begin "scripts bring the device up and down, with its name"
cat >"$scratch/up" <<EOF
#!/bin/sh
echo "up \$1" >>$scratch/scripts
ip address add $here/24 dev "\$1"
ip link set "\$1" up
EOF
cat >"$scratch/down" <<EOF
#!/bin/sh
echo "down \$1" >>$scratch/scripts
EOF
chmod 755 "$scratch/up" "$scratch/down"
check_transfers -n "mode=tap,script=$scratch/up,downscript=$scratch/down"
expect [ "$(sed 's/ tap[0-9]*$//' "$scratch/scripts" | tr '\n' ' ')" = "up down " ]
end

begin "a script that fails is named, and no guest starts"
printf '#!/bin/sh\nexit 7\n' >"$scratch/up"
guest --kernel "$NIDUS_KERNEL" -n "mode=tap,script=$scratch/up" --params quiet
expect_status 2
expect_one_message
expect_line "$scratch/up"
end

begin "addresses that are given are those of both ends"
start -n mode=tap,host_ip=$here,guest_mac=02:15:15:15:15:15,host_mac=02:01:01:01:01:01 -- "/network $there/24; \
cat /sys/class/net/eth0/address; ping -c 1 -W 20 $here; cat /proc/net/arp; $over"
finished
expect_line '^02:15:15:15:15:15'
expect_line '02:01:01:01:01:01'
end

begin "two networks are two devices"
start -n mode=tap,host_ip=$here -n mode=tap,host_ip=192.168.78.1 -- "/network $there/24; ip link set eth1 up; \
ip address add 192.168.78.2/24 dev eth1; ping -c 1 -W 20 $here; ping -c 1 -W 20 192.168.78.1; $over"
finished
expect [ "$(grep -c '^1 packets transmitted, 1 packets received' "$console")" = 2 ]
end

begin "two guests on a bridge see each other"
brctl addbr br0
ip link set br0 up
for tap in tap1 tap2; do
	tunctl -t $tap >/dev/null
	brctl addif br0 $tap
	ip link set $tap up
done
console=$scratch/first messages=$scratch/first-messages
start -n mode=tap,tapif=tap1 -- "/network 192.168.79.1/24; echo here; nc -l -p 23 </dev/null; $over"
first=$pid
wait_for '^here' "$console"
console=$scratch/console messages=$scratch/messages
start -n mode=tap,tapif=tap2 -- "/network 192.168.79.2/24; ping -c 3 -W 20 192.168.79.1; \
nc 192.168.79.1 23 </dev/null; $over"
finished
expect_status 0
expect_line '^3 packets transmitted, 3 packets received'
expect wait "$first"
for tap in tap1 tap2; do
	tunctl -d $tap >/dev/null
done
ip link set br0 down
brctl delbr br0
end

make_tap
for vhost in 1 0; do
	begin "the tap goes down and comes up, vhost=$vhost: the guest's link follows, and works again"
	start -n mode=tap,tapif=tap0,vhost=$vhost -- "/network $there/24; ups=\$($up); downs=\$($down); \
wget -q -O - $from/small; until [ \$($down) -gt \$downs ]; do usleep 100000; done; echo it is down; \
until [ \$($up) -gt \$ups ]; do usleep 100000; done; echo it is up; \
until timeout 20 wget -q -O /tmp/big $from/big; do sleep 1; done; md5sum /tmp/big; $over"
	wait_for '^so it is' "$console"
	ip link set tap0 down
	wait_for '^it is down' "$console"
	ip link set tap0 up
	wait_for '^it is up' "$console"
	finished
	expect_status 0
	expect_line "^$sum  /tmp/big"
	end

	begin "the tap is taken away, vhost=$vhost: the link goes down, one line says it, and the guest lives"
	start -n mode=tap,tapif=tap0,vhost=$vhost -- "/network $there/24; ping -c 1 -W 20 $here; \
downs=\$($down); echo ready; until [ \$($down) -gt \$downs ]; do usleep 100000; done; ping -c 1 -W 1 $here; $over"
	wait_for '^ready' "$console"
	ip link delete tap0
	finished
	expect_status 0
	expect_one_message
	end
	make_tap
done

begin "the driver is bound anew 20 times under load, by vhost-net on PCI"
check_resets pci 1 20
end

begin "so it is on virtio-mmio, where frames go through nidus"
check_resets mmio 0 20
end

for what in udp-out udp-in; do
	begin "$what by vhost-net on PCI: no exit to user space for a packet"
	spent pci 1 $what 1000
	few=$spent
	spent pci 1 $what 4000
	echo "# $what, vhost-net: $((spent - few)) exits for 3000 packets"
	# What is left is what differs from boot to boot, of interrupts for example.
	expect [ $((spent - few)) -le 30 ]
	end
done
take_tap

begin "bad input is refused before anything starts"
while read -r line; do
	guest --kernel "$NIDUS_KERNEL" -n "${line% = *}"
	expect_status 2
	expect_one_message
	expect_line "${line##* = }"
done <<EOF
mode=what = what
tapif=tap0,frob=1 = frob
mode=tap,guest_mac=1:2 = guest_mac
mode=tap,guest_mac=01:00:00:00:00:01 = guest_mac
mode=tap,host_ip=300.1.1.1 = host_ip
mode=tap,mq=0 = mq
mode=tap,mq=5 = mq
mode=tap,fd=x = fd
mode=tap,trans=isa = trans
mode=tap,tapif=a-name-that-is-too-long = tapif
mode=user,forward=tcp:0:22 = forward
mode=user,forward=icmp:1:2 = forward
mode=user,tapif=tap0 = tapif
EOF
end

begin "what a word names and is none is refused"
guest --kernel "$NIDUS_KERNEL" -n mode=tap,fd=99
expect_status 2
expect_one_message
ip link add veth9 type dummy
guest --kernel "$NIDUS_KERNEL" -n mode=tap,tapif=veth9
expect_status 2
expect_one_message
end
