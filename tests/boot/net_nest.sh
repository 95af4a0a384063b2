# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: net
# kernel: net
# programs: passt
# files: tests/net.sh build/programs/names
# board: --icount --mem 6G --timeout 3600
. tests/lib.sh
# shellcheck source=tests/net.sh
. tests/net.sh

# nidus nest --net: the innermost guest has a network, at any depth. On the board whose time goes with work, for three
# levels do not get far in real time.

board_network
# What goes through a nest costs so much more.
big=4
servers=10.77.0.1
serve
busybox=/bin/busybox
# shellcheck disable=SC2154	# of tests/net.sh
from=http://$router:$http

# The host's server of names.
echo "nameserver $servers" >/etc/resolv.conf
build/programs/names $servers 10.77.0.7 &
names=$!

# What runs inside. nidus is init there, so the network is up already.
cat >"$scratch/inside" <<EOF
#!/bin/busybox sh
busybox --install -s /bin
ip -4 -o address show dev eth0
timeout 60 nslookup -type=a names.test
ping -c 3 -W 60 \$1
wget -q -O - http://\$1:$http/small
wget -q -O /big http://\$1:$http/big
md5sum /big
httpd -p 22 -h /
echo serving
nc -l -p 23 </dev/null
echo over
EOF

# check_nest DEPTH NETWORK ADDRESS FORWARDED...: ADDRESS is the board's for the guest. FORWARDED are words for nc and the
# authority of a URL, by which the board reaches the guest's ports 23 and 22.
check_nest() {
	nidus nest --kernel "$NIDUS_KERNEL" --depth "$1" --time-limit 3600 --network "$2" --file "$busybox" \
		--file "$scratch/inside:/inside" -- busybox sh /inside "$3" </dev/null >"$console" 2>"$messages" &
	pid=$!
	wait_for '^serving' "$console" &&
		expect [ "$(wget -q -O - "http://$5/big" | md5sum | cut -c -32)" = "$sum" ]
	# shellcheck disable=SC2086	# address and port
	nc $4 </dev/null
	wait_for '^over' "$console"
	wait $pid
	status=$?
	pid=
	expect_status 0
	expect_line '^3 packets transmitted, 3 packets received'
	expect_line '^so it is'
	expect_line "^$sum  /big"
	expect_nothing_left
}

for depth in 1 2 3; do
	begin "by passt, at depth $depth: ping, files both ways, a forwarded port"
	check_nest $depth mode=user,forward=tcp:2222:22,forward=tcp:2223:23 "$router" "127.0.0.1 2223" 127.0.0.1:2222
	expect_line "inet $address/24"
	expect_line "^Address:.* 10.77.0.7"
	expect [ -z "$(passts)" ]
	end
done

for depth in 1 2; do
	begin "by a tap with fixed addresses, at depth $depth"
	check_nest $depth mode=tap,host_ip=$here,guest_ip=$there $here "$there 23" $there:22
	expect_line "inet $there/"
	end
done

begin "--net alone is passt"
nidus nest --kernel "$NIDUS_KERNEL" --depth 2 --net --file "$busybox" -- busybox wget -q -O - "$from/small" \
	</dev/null >"$console" 2>"$messages"
status=$?
expect_status 0
expect_line '^so it is'
end

begin "a level between has no address, not even one that it takes by itself"
cat >"$scratch/nest" <<EOF
kernel = "$NIDUS_KERNEL";
net = "mode=user";
file = "/bin/busybox";
levels = (
	{ memory = "1G"; command = "busybox cat /proc/net/if_inet6"; },
	{ memory = "256M"; command = "busybox cat /proc/net/if_inet6"; }
);
EOF
nidus nest "$scratch/nest" </dev/null >"$console" 2>"$messages"
status=$?
expect_status 0
# That is of the innermost.
expect [ "$(grep -c '^fe80.* eth0' "$console")" = 1 ]
expect [ "$(grep -c "^fe80" "$console")" = 1 ]
end

begin "without it there is none"
nidus nest --kernel "$NIDUS_KERNEL" --depth 1 --file "$busybox" -- busybox ls /sys/class/net \
	</dev/null >"$console" 2>"$messages"
status=$?
expect_status 0
refuse_line '^eth0'
end

kill $names
