# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

# The emulated board begins in 1970.
[ "$(date +%s)" -gt 1000000000 ] || date -s @1700000000 >/dev/null

begin "the PL031 tells the time and gives the alarm"
before=$(date +%s)
guest --kernel build/guest/pl031.bin --mem 64M
after=$(date +%s)
expect_status 0
expect_line '^pl031: all [0-9]+ checks hold$'
now=$(sed -n 's/^time: //p' "$console")
expect [ "$now" -ge "$before" ]
expect [ "$now" -le "$after" ]
expect [ ! -s "$messages" ]
end

begin "--nodefaults leaves it out"
guest --kernel build/guest/pl031.bin --mem 64M --nodefaults --dump-dtb "$scratch/dtb"
expect_status 0
expect_line '^no clock$'
expect [ "$(grep -c pl031 "$scratch/dtb")" = 0 ]
expect grep -q pl011 "$scratch/dtb"
end
