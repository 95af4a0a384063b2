# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

stats=$scratch/stats

# mmio REGEX: sum of reads and writes in the entries of "mmio" that match, as "READS/WRITES".
mmio() {
	tr -d ' \n' <"$stats" | sed 's/.*"mmio":\[//; s/\].*//; s/},{/}\n{/g' | grep -E "$1" |
		sed 's/[^0-9]*\([0-9]*\)[^0-9]*\([0-9]*\).*/\1 \2/' |
		awk '{ r += $1; w += $2 } END { print r + 0 "/" w + 0 }'
}

# exits NAME: the number of exits for that reason, over all vCPUs.
exits() {
	number=$(tr -d ' \n' <"$stats" | sed -n "s/.*\"exits\":{\([^}]*\)},\"mmio\".*/\1/p" |
		grep -o "\"$1\":[0-9]*" | sed 's/.*://')
	echo "${number:-0}"
}

begin "MMIO of every width, and where nothing answers"
guest --kernel build/guest/mmio.bin --mem 256M --stats "$stats"
expect_status 0
expect_line '^mmio: all [0-9]+ checks hold$'
end

begin "what a guest does wrong is said eight times and no more"
expect [ "$(grep -c 'where nothing is' "$messages")" = 8 ]
expect [ "$(grep -c 'which has no such register' "$messages")" = 8 ]
expect [ "$(grep -c '(said no more)$' "$messages")" = 2 ]
expect [ "$(wc -l <"$messages")" = 16 ]
end

begin "statistics count each access, by device and register"
expect [ "$(mmio '"device":"pl011","offset":"0x0","register":"UARTDR"')" = "0/$(wc -c <"$console")" ]
expect [ "$(mmio '"address":"0x9000020","device":"pl011","offset":"0x20","register":"UARTILPR"}')" = 3/1 ]
expect [ "$(mmio '"address":"0x9000024","device":"pl011","offset":"0x24","register":"UARTIBRD"}')" = 3/1 ]
expect [ "$(mmio '"address":"0x9000028","device":"pl011","offset":"0x28","register":"UARTFBRD"}')" = 4/2 ]
expect [ "$(mmio '"device":"pl011","offset":"0xf[ef][048c]","register":"identification"}')" = 8/0 ]
expect [ "$(mmio '"address":"0x9010004","device":"pl031","offset":"0x4","register":"RTCMR"}')" = 6/4 ]
expect [ "$(mmio '"address":"0x1000"}')" = 13/4 ]
expect [ "$(mmio '"address":"0x3ffffff8"}')" = 13/4 ]
expect [ "$(mmio '"address":"0x50000000"}')" = 13/4 ]
end

begin "more addresses than fit are counted together, and none is lost"
expect [ "$(mmio '"address":"0xf000000"}')" = 1/0 ]
expect [ "$(mmio '.' | sed 's/\/.*//')" -gt 200 ]
expect [ "$(mmio '"address":' | sed 's/\/.*//')" -lt "$(mmio . | sed 's/\/.*//')" ]
expect [ "$(($(mmio . | sed 's/\//+/')))" = "$(exits mmio)" ]
expect [ "$(exits system_event)" = 1 ]
expect [ "$(($(exits mmio) + $(exits system_event) + $(exits intr)))" = "$(exits total)" ]
end
