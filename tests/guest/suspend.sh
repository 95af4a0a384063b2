# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

limit=20
for event in alarm timer; do
	begin "SYSTEM_SUSPEND: denied while others are on, ended by an interrupt ($event)"
	guest --kernel build/guest/suspend.bin --mem 64M --cpus 2 --params "$event"
	expect_status 0
	expect_line '^suspend: all 11 checks hold$'
	expect [ ! -s "$messages" ]
	end
done
