#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What is installed: by packages, which are built of copies of the tree in two places, and by make.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# verdict WHAT COMMAND...: what COMMAND says is shown where it fails.
verdict() {
	local what=$1
	shift
	if "$@" >"$work/said" 2>&1; then
		echo "ok - $what"
	else
		echo "not ok - $what"
		tail -n 40 "$work/said"
	fi
}

version=$(sed -n '1s/^nidus (\(.*\)) .*/\1/p' debian/changelog)
names=("nidus_${version}_arm64.deb" "nidus-board_${version}_all.deb")

build() {
	debian/build "$work/one"
}
# Somewhere else, by somebody with other habits, and without git, as of the archive of `make dist`.
build_elsewhere() {
	mkdir -p "$work/else/where"
	git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -cT - 2>/dev/null |
		tar -C "$work/else/where" -x
	(umask 077 && TZ=Asia/Tokyo LC_ALL=C.UTF-8 "$work/else/where/debian/build" "$work/two")
}
same_packages() {
	local name
	for name in "${names[@]}"; do
		cmp "$work/one/$name" "$work/two/$name" || return
	done
}
verdict "packages are built" build
verdict "and elsewhere" build_elsewhere
verdict "from the same tree the same bytes" same_packages
verdict "nidus in its package is the one that make builds" \
	cmp build/nidus <(dpkg --fsys-tarfile "$work/one/${names[0]}" | tar -xO ./usr/bin/nidus)

# lintian says nothing about errors and warnings but those that debian/*.lintian-overrides has a reason for.
quiet_lintian() {
	lintian --allow-root --fail-on error,warning,none "$work/one"/nidus_*.changes >"$work/lintian" 2>&1 || true
	! grep -E '^[EWM]: ' "$work/lintian"
}
explained() {
	local file
	for file in debian/*.lintian-overrides; do
		awk 'BEGIN { explained = 0 } /^#/ { explained = 1; next } !explained { exit 1 }' "$file" || return
	done
}
verdict "lintian has no errors and no warnings" quiet_lintian
verdict "what it is told to overlook has a reason" explained

# The installed size of dpkg's, in KiB.
small() {
	local size
	size=$(dpkg-deb --field "$work/one/${names[0]}" Installed-Size)
	echo "$size KiB"
	((size <= 2048))
}
verdict "nidus takes no more than 2 MiB" small

# A page for each subcommand, which man and its warnings are content with.
mkdir "$work/root"
for name in "${names[@]}"; do
	dpkg-deb -x "$work/one/$name" "$work/root"
done
pages() {
	local page command
	for command in $(build/unit/nidus help | sed -n 's/^  nidus \([a-z]*\) .*/\1/p'); do
		page=$work/root/usr/share/man/man1/nidus-$command.1.gz
		[[ -e $page ]] || { echo "there is no page of $command" && return 1; }
		zgrep -q "^nidus.-$command .- [a-z]" "$page" || { echo "the page of $command has no name" && return 1; }
	done
	for page in "$work"/root/usr/share/man/man1/*.gz; do
		LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l "$page" >/dev/null 2>"$work/warnings"
		[[ ! -s $work/warnings ]] || { cat "$work/warnings" && return 1; }
	done
}
verdict "each subcommand has a page of the manual, which man is content with" pages

# What the pages of nidus leave out of docs/nidus.1, if anything: each line is on one of them.
all_there() {
	zcat "$work"/root/usr/share/man/man1/nidus*.gz | sort -u >"$work/lines"
	sed '/^\.TH/d; /^\.SH /d' docs/nidus.1 | sed '/^The schema of the statistics/,$d' | sort -u | comm -23 - "$work/lines" >"$work/missing"
	cat "$work/missing"
	[[ ! -s $work/missing ]]
}
verdict "nothing of docs/nidus.1 is lost on the way there" all_there

# By make: the same files, and none when it is uninstalled.
files_of() {
	(cd "$1" && find . ! -type d | sed 's|\.gz$||; s|^\./||' | sort)
}
make_installs() {
	make -s install install-board DESTDIR="$work/made" PREFIX=/usr ZSH_FUNCTIONS=/usr/share/zsh/vendor-completions
	diff <(files_of "$work/root" | grep -vE '^usr/share/(doc|lintian)/') <(files_of "$work/made")
}
make_uninstalls() {
	make -s uninstall uninstall-board DESTDIR="$work/made" PREFIX=/usr \
		ZSH_FUNCTIONS=/usr/share/zsh/vendor-completions
	! files_of "$work/made" | grep .
}
verdict "make installs what packages do" make_installs
verdict "and uninstalls it" make_uninstalls

# The version is told once.
one_version() {
	build/unit/nidus version | grep -qx "nidus $version" || return
	! git grep -nE "(nidus|version) ${version//./[.]}([^0-9]|$)" -- '*.c' '*.h' Makefile README.md 'docs/*.1'
}
verdict "the version is that of the changelog, and stands nowhere else" one_version

dist() {
	make -s dist BUILD="$work/dist"
	tar -tJf "$work/dist/nidus-$version.tar.xz" | grep -x "nidus-$version/Makefile"
}
verdict "make dist makes an archive of it" dist

# The board's scripts where they are installed, and its manual.
board=$work/root/usr/bin/nidus-board
help_of() {
	"$board" "$1" --help | sed -n 's/^  *\(--[a-z0-9-]*\).*/\1/p' | sort -u
}
manual_of() {
	awk -v head=".SH OPTIONS OF ${1^^}" '/^\.SH/ { in_it = $0 == head } in_it' docs/nidus-board.1 | sed 's/\\-/-/g' |
		grep -A 1 '^\.TP' | grep -oE -e '--[a-z][a-z0-9-]+' | sort -u
}
board_manual() {
	local command
	for command in run test; do
		[[ -n $(help_of "$command") ]] && diff <(help_of "$command") <(manual_of "$command") || return
	done
}
verdict "the manual of nidus-board has the options that help lists" board_manual
