# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# board: --gic 2
. tests/lib.sh

begin "a host without a GICv3 gives no EL2, and says so"
guest --kernel build/guest/el2.bin --mem 64M --nested
expect_status 3
expect_one_message
expect_line '^nidus: error: --nested: .*GICv3'
expect [ ! -s "$console" ]
expect_nothing_left
end

begin "its plain guests run"
guest --kernel build/guest/gicv2.bin --mem 64M --cpus 2
expect_status 0
end
