# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# board: --gic 2
. tests/lib.sh

for options in "" "--irqchip gicv2"; do
	begin "a host with a GICv2 gives a guest one${options:+ ($options)}"
	# shellcheck disable=SC2086	# words
	guest --kernel build/guest/gicv2.bin --mem 64M --cpus 2 $options --stats "$scratch/stats"
	expect_status 0
	expect_line '^gicv2: all [0-9]+ checks hold$'
	expect grep -q '"irqchip": "gicv2"' "$scratch/stats"
	expect [ ! -s "$messages" ]
	end
done

begin "it has no GICv3 to give"
guest --kernel build/guest/gicv2.bin --irqchip gicv3
expect_status 3
expect_one_message
expect_line 'gicv3'
expect [ ! -s "$console" ]
end

begin "and serves no more than eight vCPUs"
guest --kernel build/guest/gicv2.bin --cpus 9
expect_status 3
expect_one_message
end
