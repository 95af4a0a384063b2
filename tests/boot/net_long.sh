# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# ring: long
# images: net
# kernel: net
# programs: passt
# files: tests/net.sh build/programs/net
# board: --smp 4 --mem 4G --timeout 2400
. tests/lib.sh
# shellcheck source=tests/net.sh
. tests/net.sh

# Of networks, what takes long: hundreds of lives of a driver, and exits where frames go through nidus.

board_network
net_initrd
serve
# shellcheck disable=SC2154	# of tests/net.sh
from=http://$here:$http
make_tap
for transport in pci mmio; do
	for vhost in 1 0; do
		begin "$transport, vhost=$vhost: the driver is bound anew 150 times under load"
		check_resets $transport $vhost 150
		end
	done
done

for what in udp-out udp-in; do
	begin "$what through nidus: less than one exit to user space a packet, for one kick is for many"
	spent pci 0 $what 1000
	few=$spent
	spent pci 0 $what 4000
	echo "# $what, nidus: $((spent - few)) exits for 3000 packets"
	expect [ $((spent - few)) -lt 3000 ]
	end
done
