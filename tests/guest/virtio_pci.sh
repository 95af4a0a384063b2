# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

begin "a device on PCI obeys its Command register, and answers where its BARs say"
limit=100
guest --kernel build/guest/virtio_pci.bin --mem 64M --rng --virtio-transport pci
expect_status 0
expect_line '^virtio_pci: all [0-9]+ checks hold$'
refuse_line '^not ok'
expect [ "$(wc -l <"$messages")" -le 30 ]
end
