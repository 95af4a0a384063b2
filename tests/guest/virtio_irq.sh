# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

begin "an interrupt of virtio-mmio is there while there is something to acknowledge"
limit=100
guest --kernel build/guest/virtio_irq.bin --mem 64M --rng --virtio-transport mmio
expect_status 0
expect_line '^virtio_irq: all [0-9]+ checks hold$'
refuse_line '^not ok'
expect [ ! -s "$messages" ]
end
