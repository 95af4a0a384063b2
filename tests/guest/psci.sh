# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

begin "PSCI calls and their errors"
guest --kernel build/guest/psci.bin --mem 64M --cpus 2
expect_status 0
expect_line '^psci: all [0-9]+ checks hold$'
expect [ ! -s "$messages" ]
expect_nothing_left
end
