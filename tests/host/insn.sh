#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The decoder of loads and stores agrees with the assembler about what it is asked for, and with the
# disassembler about what is a load or store at all.

set -uo pipefail
cases=44000 words=200000
tools=aarch64-linux-gnu-
[[ $(uname -m) == aarch64 ]] && tools=
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# assemble NAME: NAME.s to NAME.bin.
assemble() {
	"${tools}as" -march=armv8.8-a+sve+mops+ls64+memtag "$work/$1.s" -o "$work/$1.o" &&
		"${tools}objcopy" -O binary "$work/$1.o" "$work/$1.bin"
}

# ok CONDITION NAME FILE: reports, with the first lines of FILE where it is not so.
report() {
	if [[ $1 == 0 ]]; then
		echo "ok - $2"
	else
		echo "not ok - $2"
		head -n 40 "$3" | sed 's/^/    /'
	fi
}

gcc -std=gnu11 -O1 -g -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all -Iinclude \
	-o "$work/cases" tests/host/insn_cases.c arm/insn.c || exit 1

seed=${INSN_SEED:-1}
"$work/cases" asm "$seed" $cases >"$work/known.s"
assemble known >"$work/log" 2>&1 || cat "$work/log"
"$work/cases" check "$seed" $cases <"$work/known.bin" >/dev/null 2>"$work/wrong"
report $? "$cases loads and stores are decoded as the assembler was asked for them" "$work/wrong"

# Any word: what the disassembler calls a load or store, and what the decoder does.
"$work/cases" words "$seed" $words >"$work/random.s"
assemble random >"$work/log" 2>&1 || cat "$work/log"
"${tools}objdump" -D -b binary -m aarch64 -z "$work/random.bin" | awk -F'\t' '
	$1 ~ /^ *[0-9a-f]+:$/ { print $2, $3, $4 }' >"$work/text"
"$work/cases" classes <"$work/random.bin" | paste -d ' ' - "$work/text" >"$work/both"

expect_lines() {
	[[ $(wc -l <"$work/both") == "$words" ]]
}
expect_lines
report $? "all $words random words were looked at" "$work/both"

awk '
	# By class, the mnemonics that it may have.
	function may(class, name) {
		if (class == "single") return name ~ /^(ldu?r|stu?r|ldtr|sttr)(s?[bhw])?$/
		if (class == "pair") return name ~ /^(ldp|stp|ldnp|stnp|ldpsw|ldiapp|stilp)$/
		if (class == "ordered")
			return name ~ /^(ldap?u?r|stlu?r|ldlar|stllr|ldapr|ldapur|stlur)(s?[bhw])?$/
		if (class == "exclusive") return name ~ /^(ldxr|ldaxr|stxr|stlxr)[bh]?$|^(ldxp|ldaxp|stxp|stlxp)$/
		if (class == "compare_and_swap") return name ~ /^cas(p?)(a|l|al)?[bh]?$/
		if (class == "atomic")
			return name ~ /^(swp|(ld|st)(add|clr|eor|set|smax|smin|umax|umin))(a|l|al)?[bh]?$/
		if (class == "structure") return name ~ /^(ld|st)[1-4]$|^ld[1-4]r$/
		if (class == "sve") return name ~ /^(ld1s?[bhwd]|st1[bhwd]|ldr|str)$/
		if (class == "zero") return $0 ~ / dc zva,/
		if (class == "copy") return name ~ /^cpyf?[pme](wt|rt|t)?(n|wn|rn)?$/
		if (class == "set") return name ~ /^set[pme]t?n?$/
		if (class == "ldst64b") return name ~ /^(ld64b|st64b|st64bv|st64bv0)$/
		if (class == "prefetch") return name ~ /^(prfum?|prfm|rprfm)$/
		if (class == "refused")
			return name ~ /^(ldr|ldrsw|ldraa|ldrab|stgp?|st2g|stzg|stz2g|ldg|ldgm|stgm|stzgm|setg[pme]t?n?|dc)$|^(swp|ldclr|ldset)pa?l?$/
		return 1
	}
	# What is no load or store here although a mnemonic above stands for it: of SVE what has a vector of
	# addresses, or more registers than one, or does not fault, and all of SME.
	function beside(text) { return text ~ /z[0-9]+\.[bhsdq]|za/ }
	# LDPSW to its own base, and LDAR without all of the bits that should be one: instructions, if
	# UNPREDICTABLE ones.
	function unpredictable(word) { return word ~ /^6[89]|^[048c]8[cd]/ }
	# No instructions, and the disassembler has them: ST64BV of an odd register; of FEAT_LRCPC3 pairs of less than
	# 32 bits, and what is written back otherwise than they do.
	function none(word, name) { return name ~ /^st64bv/ || (name ~ /^(ldiapp|stilp)$/ && word ~ /^[0-7]/) }
	# FEAT_LRCPC3 and FEAT_LSE128, which binutils know from 2.42 on.
	function recent(class, word) {
		return (class == "ordered" && word ~ /^[159d]d/) || (class == "pair" && word ~ /^[9d]9/) ||
			(class == "refused" && word ~ /^19/)
	}
	{
		class = $1; name = $3
		if (name ~ /^\.inst/ || name == "undefined" || $0 ~ /undefined/) {
			if (class != "not_decoded" && !unpredictable($2) && !recent(class, $2))
				print "no instruction: " $0
			next
		}
		if (!may(class, name)) print "another: " $0
		if (class != "not_decoded" || beside($0)) next
		if (name ~ /^(ld|st|cas|swp|prf|cpy|set[pme])/ && name !~ /^prf[bhwd]$/ && !none($2, name))
			print "missed: " $0
	}' "$work/both" >"$work/wrong"
[[ ! -s $work/wrong ]]
report $? "the decoder and the disassembler agree about random words" "$work/wrong"
