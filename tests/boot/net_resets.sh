# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# ring: long
# images: net
# kernel: net
# programs: passt
# files: tests/net.sh build/programs/net
# board: --smp 4 --mem 4G --timeout 3000
. tests/lib.sh
# shellcheck source=tests/net.sh
. tests/net.sh

# Lives of a network driver, hundreds of them.

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
