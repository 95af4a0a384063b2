#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the documents quote is in the tree: each line of C stands in the sources, white space apart, and files and
# functions that are named exist.

set -euo pipefail
shopt -s globstar
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

documents=(docs/*.md README.md CONTRIBUTING.md {guest-images,bench,kernel,board}/README.md)
git ls-files --cached --others --exclude-standard >"$work/tree"

# verdict WHAT: what is wrong is in $work/wrong, a line each.
verdict() {
	if [[ -s $work/wrong ]]; then
		echo "not ok - $1"
		sort -u "$work/wrong"
	else
		echo "ok - $1"
	fi
}

squeeze() {
	tr -d ' \t'
}

# Lines of C. "..." stands for what is left out.
grep '\.[chS]$' "$work/tree" | xargs cat | squeeze | sort -u >"$work/sources"
for document in "${documents[@]}"; do
	awk '/^```/ { in_it = $0 == "```c"; next } in_it' "$document" | squeeze | grep -vxE '|.*\.\.\..*' |
		grep -vxFf "$work/sources" | sed "s|^|$document: |" || true
done >"$work/wrong"
verdict "each line of C in the documents stands in the sources"

# missing LIST: of lines "DOCUMENT NAME", those whose name is not in the list.
missing() {
	awk -v list="$1" 'BEGIN { while ((getline name <list) > 0) there[name] }
		!($2 in there) { print $1 ": there is no " $2 }'
}

# Words between backquotes, outside of blocks, with the name of the document before them.
for document in "${documents[@]}"; do
	# shellcheck disable=SC2016	# these are not the shell's
	awk '/^```/ { in_it = !in_it; next } !in_it' "$document" | grep -oE '`[^`]+`' | tr -d '`' | sort -u |
		sed "s|^|$document |"
done >"$work/words"
(($(wc -l <"$work/words") > 500)) || echo "not ok - the documents have words between backquotes"

# Files: NAME.c, or what begins with a directory of the tree. An asterisk stands for anything, {a,b} for both.
# names: each file and directory, with and without the directories before it.
awk -F / '{
	for (first = 1; first <= NF; first++) {
		name = ""
		for (i = first; i <= NF; i++)
			print name = name (i > first ? "/" : "") $i
	}
}' "$work/tree" | sort -u >"$work/names"
directories=$(sed -n 's|/.*||p' "$work/tree" | sort -u | paste -sd '|')
grep -E "^[^ ]+ (($directories)/[^ ]*|[a-z_0-9{},*]+\.[chS])$" "$work/words" | grep -v ' .*[<>[:upper:]]' |
	sed 's|/$||' >"$work/files"
{
	missing "$work/names" < <(grep -v '[{*]' "$work/files")
	grep '[{*]' "$work/files" | while read -r document word; do
		pattern=$(sed 's/[.+]/\\&/g; s/\*/[^ ]*/g; s/{/(/; s/}/)/; s/,/|/g' <<<"$word")
		grep -qxE "$pattern" "$work/names" || echo "$document: there is no $word"
	done
} >"$work/wrong"
verdict "each file that the documents name is there"

# Functions: NAME(), but those of Linux and of the C library.
others='assert|dcache_clean_inval_poc|kvm_arch_flush_remote_tlbs'
grep -E '\.([chS]|py|patch|sh)$|^(tests|bench|guest-images)/[a-z/]*$' "$work/tree" |
	xargs -d '\n' grep -ohE '\b[a-zA-Z_0-9]+\(' | tr -d '(' | sort -u >"$work/functions"
sed -nE 's/^([^ ]+) ([a-z_0-9]+)\(\)$/\1 \2/p' "$work/words" | grep -vE " ($others)$" |
	missing "$work/functions" >"$work/wrong"
verdict "each function that the documents name is there"
