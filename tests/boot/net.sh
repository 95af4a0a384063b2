# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: net
# kernel: net
# programs: passt
# files: tests/net.sh build/programs/net
# board: --smp 2 --mem 4G --timeout 1800
. tests/lib.sh
# shellcheck source=tests/net.sh
. tests/net.sh

# -n mode=user: any user's guest has a network, by passt.

board_network
net_initrd
user_home
serve

# shellcheck disable=SC2154	# of tests/net.sh
from=http://$router:$http

# check_user OPTIONS: of -n mode=user, for whoever $as is.
check_user() {
	start -n mode=user,forward=tcp:2222:22,forward=tcp:2223:23"$1" -- "/network dhcp; ping -c 3 -W 20 $router; \
wget -q -O - $from/small; wget -q -O /tmp/big $from/big; md5sum /tmp/big; $serving; $over"
	wait_for '^serving' "$console" &&
		expect [ "$(wget -q -O - http://127.0.0.1:2222/big | md5sum | cut -c -32)" = "$sum" ]
	nc 127.0.0.1 2223 </dev/null
	finished
	expect_status 0
	expect_line "^network: $address/24"
	expect_line '^3 packets transmitted, 3 packets received'
	expect_line '^so it is'
	expect_line "^$sum  /tmp/big"
	expect_nothing_left
	expect [ -z "$(passts)" ]
}

begin "an ordinary user's guest has an address, pings, fetches, and serves by a forwarded port"
as=as_user kernel=$home/kernel image=$home/initrd
check_user ''
end

begin "so it has by passt's stream socket, without vhost-user"
check_user ,vhost=0
end

begin "what an ordinary user may not is refused with one line"
(as_user nidus run -n mode=tap --kernel "$home/kernel" --params quiet </dev/null >"$console" 2>"$messages")
status=$?
expect_status 3
expect_one_message
end
as='' kernel='' image=''

begin "so has root's, and on virtio-mmio"
check_user ,trans=mmio
end

begin "and with four vCPUs"
start --cpus 4 -n mode=user -- "/network dhcp; wget -q -O /tmp/big $from/big; md5sum /tmp/big; $over"
finished
expect_status 0
expect_line "^$sum  /tmp/big"
end

begin "without passt there is one line that says what is missing"
(PATH=/bin:$(dirname "$(command -v nidus)") && guest --kernel "$NIDUS_KERNEL" -n mode=user --params quiet &&
	echo "$status" >"$scratch/status")
status=$(cat "$scratch/status")
expect_status 3
expect_one_message
expect_line passt
end

begin "mode=none is no network"
start -n mode=none -- "ls /sys/class/net; $over"
finished
expect_status 0
refuse_line '^eth0'
end

# check_killed OPTIONS: passt is killed in the middle of a transfer, three times.
check_killed() {
	start --loglevel info -n mode=user"$1" -- "/network dhcp; first=\$($down); echo load; rounds=0; \
while [ \$rounds -lt 3 ]; do timeout 5 wget -q -O /dev/null $from/big; now=\$((\$($down) - first)); \
[ \$now = \$rounds ] || { rounds=\$now; echo down \$now; }; done; \
until [ \$(cat /sys/class/net/eth0/carrier) = 1 ]; do usleep 100000; done; \
until timeout 60 wget -q -O /tmp/big $from/big; do sleep 1; done; md5sum /tmp/big; $over"
	wait_for '^load' "$console"
	for round in 1 2 3; do
		victim=$(passts)
		# shellcheck disable=SC2086	# as many as there are
		kill -KILL $victim
		wait_for "^down $round" "$console" || break
		wait_for 'passt is back' "$messages" $round || break
		expect [ "$(grep -c passt "$messages")" -ge $round ]
	done
	finished
	expect_status 0
	expect_line "^$sum  /tmp/big"
	expect [ "$(passts | wc -l)" = 0 ]
	expect_nothing_left
}

begin "passt is killed under load: the link goes down, one line says it, and it comes up again"
check_killed ''
end

begin "so it does with the stream socket"
check_killed ,vhost=0
end

begin "a guest that resets itself has its network again"
once='' params=reboot
start -n mode=user -- "/network dhcp; wget -q -O - $from/small"
once=--no-reboot params=''
wait_for '^so it is' "$console" 5
kill -0 $pid || complain "nidus has ended"
stop
expect_status 143
expect [ -z "$(passts)" ]
end

begin "nidus is killed: passt ends with it"
start -n mode=user -- "/network dhcp; sleep 100000"
wait_for '^network: ' "$console"
expect [ -n "$(passts)" ]
kill -KILL $pid
wait $pid
pid=
for _ in $(seq 600); do
	[ -n "$(passts)" ] || break
	usleep 100000
done
expect [ -z "$(passts)" ]
end
expect_no_report
