# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
#
# Whether cleaning was needed shows on hardware only, where the payload sums up what is in memory
# with MMU and caches off: emulation has no caches. Here it is about what was cleaned.
. tests/lib.sh

stats=$scratch/stats
head -c 3000000 /dev/urandom >"$scratch/initrd"
sum=$(gzip -c <"$scratch/initrd" | tail -c 8 | od -An -tx4 -N4 | tr -d ' ' | sed 's/^0*//')

# ranges NAME: the list that follows this name in the statistics.
ranges() {
	tr -d ' \n' <"$stats" | sed "s/.*$1\\(\\[[^]]*\\]\\).*/\\1/"
}

for policy in none touched all; do
	begin "--cache-clean $policy: the guest starts, and what was cleaned is told"
	guest --kernel build/guest/boot.bin --initrd "$scratch/initrd" --mem 64M \
		--cache-clean "$policy" --stats "$stats"
	expect_status 0
	expect_line '^boot: all [0-9]+ checks hold$'
	expect_line "^initrd at .*, 3000000 bytes, sum 0x$sum\$"
	cleaned=$(ranges "\"clean\":{\"policy\":\"$policy\",\"ranges\":")
	case $policy in
	none) expect [ "$cleaned" = '[]' ] ;;
	touched)
		expect [ "$cleaned" = "$(ranges '"loaded":')" ]
		expect [ "$(echo "$cleaned" | grep -o '"bytes":3000000}' | wc -l)" = 1 ]
		# The binary, its tree, a copy of that, and the initrd.
		expect [ "$(echo "$cleaned" | grep -o start | wc -l)" = 4 ]
		;;
	all) expect [ "$cleaned" = '[{"start":"0x40000000","bytes":67108864}]' ] ;;
	esac
	end
done
