# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

# Hardware may have both kinds.
begin "a host with a GICv3 alone has no GICv2 to give"
guest --kernel build/guest/gicv2.bin --irqchip gicv2 --cpus 2 --mem 64M
if [ "$status" = 0 ]; then
	skip "this host has a GICv3 that can be a GICv2"
else
	expect_status 3
	expect_one_message
	expect_line 'gicv2'
	expect [ ! -s "$console" ]
	end
fi
