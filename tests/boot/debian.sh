# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: debian
# board: --timeout 300
. tests/lib.sh

begin "a stock Debian kernel boots on two vCPUs, loads its modules and powers off"
limit=240 linux --cpus 2 --mem 1G -- sh -c \"cat /proc/modules\"
expect_status 0
expect_line '^nidus guest: up, 2 CPUs, 9[0-9][0-9] MiB, Linux .*arm64'
for module in virtio_mmio virtio_blk ext4; do
	expect_line "^$module .*Live"
done
expect_line 'reboot: Power down'
end
