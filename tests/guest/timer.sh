# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

begin "both timers fire, wake from WFI, and time goes on"
guest --kernel build/guest/timer.bin --mem 64M
expect_status 0
expect_line '^timer: all [0-9]+ checks hold$'
expect [ ! -s "$messages" ]
end
