# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: debian
# board: --timeout 300
# files: build/programs/devmem
. tests/lib.sh

# A disk whose contents are the program, in whole sectors.
dd if=build/programs/devmem of="$scratch/disk" bs=64K conv=sync 2>/dev/null
program=/tmp/devmem

begin "a program in Linux drives a device by LDP, STP, write-back and LD1"
# The driver of the clock has claimed it.
params=iomem=relaxed limit=240 linux --mem 1G --disk "$scratch/disk,ro" --stats "$scratch/stats" \
	-- sh -c "\"cat /dev/vda >$program; chmod +x $program; $program\""
expect_status 0
expect_line '^went well'
refuse_line '^wrong'
expect_line 'external abort for the instruction at PC 0x[0-9a-f]* \(exclusive\), which accessed 0x9010000 '
tr -d ' \n' <"$scratch/stats" >"$scratch/flat"
expect grep -qE '"emulated":\{("[a-z]*":[0-9]*,)*"pair":2[,}]' "$scratch/flat"
expect grep -qE '"emulated":\{("[a-z]*":[0-9]*,)*"structure":1[,}]' "$scratch/flat"
expect grep -qF '"aborted":{"exclusive":1}' "$scratch/flat"
end
