# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

# What the suite ops of bench/ measures does what it is called.
stats=$scratch/stats
count=50

# operation NAME: that one, counted.
operation() {
	guest --kernel build/guest/ops.bin --mem 512M --cpus 2 --rng --params "$1=$count" --stats "$stats"
	expect_status 0
	expect_line '^ops: all [0-9]+ checks hold$'
	expect [ ! -s "$messages" ]
}

# reads REGISTER: how often nidus was asked for it.
reads() {
	tr -d ' \n' <"$stats" | grep -o "\"reads\":[0-9]*,[^}]*\"register\":\"$1\"" | sed 's/"reads":\([0-9]*\).*/\1/'
}

begin "each operation that is measured can be had"
for name in nothing hypercall mmio_kernel timer wfi sgi_self sgi_other tlbi_va tlbi_asid tlbi_all \
	fault_4k fault_2m; do
	operation $name
done
end

begin "a register of a device costs an exit to nidus each time"
operation mmio_user
expect [ "$(reads RTCMR)" = $count ]
end

begin "so do two at once, whose instruction nidus decodes"
operation mmio_pair
expect [ "$(reads RTCMR)" = $count ]
expect [ "$(reads RTCDR)" = $count ]
expect [ "$(tr -d ' \n' <"$stats" | sed 's/.*"arm_nisv":\([0-9]*\).*/\1/')" = $count ]
end

begin "a kick costs none"
operation kick
expect [ "$(grep -c QueueNotify "$stats")" = 0 ]
end
