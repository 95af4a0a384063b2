# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# board: --lpa2
# files: build/vm
. tests/lib.sh

begin "translation of addresses agrees with a CPU that has 52 bits of them"
timeout -s KILL 60 build/vm/translate el1 200 7 >"$console" 2>"$messages"
status=$?
expect_status 0
expect_line '^translate el1: 200 rounds, [1-9][0-9]+ wide; [0-9]{4,} done, '
end
