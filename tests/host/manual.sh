#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The options that the command's own help lists, the manual page's and, of run, the README's are the same.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

gcc -D_GNU_SOURCE -Iinclude -x c -o "$work/help" - -x c vmm/machine/config.c vmm/host/log.c vmm/host/stream.c <<'C'
#include "machine/config.h"
int main(void)
{
	config_help(stdout);
}
C
options() {
	grep -oE -e '--[a-z][a-z0-9-]+' | sort -u
}
"$work/help" | sed 's/^ *\(-., \)\?\(--[a-z0-9-]*\).*/\2/' | options >"$work/help.options"
# Only where an option is introduced: a paragraph's tag, or the first column of a table.
# manual COMMAND: the manual's options of a command.
manual() {
	awk -v head=".SH OPTIONS OF $1" '/^\.SH/ { in_it = $0 == head } in_it' docs/nidus.1 |
		sed 's/\\-/-/g' | grep -A 1 '^\.TP' | options
}
manual RUN >"$work/manual.options"
sed -n 's/^| *\(`[^|]*\)|.*/\1/p' README.md | options >"$work/readme.options"

for page in manual readme; do
	if difference=$(diff "$work/help.options" "$work/$page.options"); then
		echo "ok - the $page has the options that help lists"
	else
		echo "not ok - the $page has the options that help lists"
		echo "$difference"
	fi
done

for command in nest tlbi; do
	sed -n "/^void cmd_${command}_help/,/^}/p" vmm/commands/cmd_$command.c |
		sed -n 's/^[^-]*"  \( *-., \| *\)\(--[a-z0-9-]*\).*/\2/p' | options >"$work/help.options"
	manual "${command^^}" >"$work/manual.options"
	if difference=$(diff "$work/help.options" "$work/manual.options"); then
		echo "ok - the manual has the options that help lists of $command"
	else
		echo "not ok - the manual has the options that help lists of $command"
		echo "$difference"
	fi
done
