# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

# The last has more vCPUs than the first region of redistributors holds.
limit=100
for cpus in 1 8 130; do
	begin "$cpus vCPUs start and send each other interrupts"
	guest --kernel build/guest/smp.bin --mem 64M --cpus "$cpus"
	expect_status 0
	expect_line "^vCPUs: $cpus\$"
	expect_line '^smp: all [0-9]+ checks hold$'
	expect [ ! -s "$messages" ]
	expect_nothing_left
	end
done
