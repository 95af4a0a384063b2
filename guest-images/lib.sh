#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the scripts of this directory and tests/board/run have in common. It is sourced, not called:
#
#   note TEXT                          progress, on stderr
#   die TEXT                           one line on stderr, then exit with $failure
#   usage                              the comment that the calling script begins with, on stdout
#   make_once KIND RECIPE INPUT...     print <cache>/KIND-KEY; the function RECIPE makes it if need be
#   fetch DIR NAME VERSION SUITE...    unpack an arm64 Debian package
#   fetch_all DIR NAMES SUITE...       unpack some with all that they depend on
#   private_apt SUITES COMMAND...      an apt that sees these suites, joined by "+", for arm64
#   debian_sources SUITE               a sources.list line for SUITE on the mirror this machine uses
#   unpack_busybox DIR                 a static arm64 busybox in DIR/bin
#   archive                            the files named on stdin as a newc cpio archive, on stdout
#   pack DIR                           a directory as a newc cpio archive, on stdout
#
# The cache is $NIDUS_CACHE, else $XDG_CACHE_HOME/nidus, else ~/.cache/nidus. It may be deleted at any time.

set -euo pipefail
shopt -s inherit_errexit

failure=1
cache=${NIDUS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nidus}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# shellcheck source=/dev/null
. /etc/os-release	# for VERSION_CODENAME

note() {
	echo "${0##*/}: $*" >&2
}

die() {
	note "$*"
	exit "$failure"
}

usage() {
	sed -n '4,/^[^#]/s/^# \{0,1\}//p' "$0"
}

# make_once KIND RECIPE INPUT...: the key is made of the text of RECIPE, the release of this machine and the
# inputs, so a change of any of them makes a new directory. RECIPE is called with a fresh directory and the
# inputs; what it leaves there appears under its final name in one step. Those who come at the same time wait.
make_once() (
	kind=$1
	recipe=$2
	shift 2
	key=$({ declare -f "$recipe" && printf '%s\0' "${VERSION_CODENAME-}" "$@"; } | sha256sum)
	dir=$cache/$kind-${key:0:12}

	if [[ ! -d $dir ]]; then
		mkdir -p "$cache"
		exec {lock}>"$cache/$kind.lock"
		flock "$lock"
	fi
	if [[ ! -d $dir ]]; then
		note "making $dir"
		new=$cache/$kind.new
		trap 'rm -rf "$new"' EXIT
		rm -rf "$new"
		mkdir "$new"
		# shellcheck disable=SC2030	# for fetch, which the recipe calls in this subshell
		made_from=$new/made-from
		echo "$kind, on ${PRETTY_NAME-}" >"$made_from"
		"$recipe" "$new" "$@" >&2
		mv "$new" "$dir"
	fi
	echo "$dir"
)

# debian_sources SUITE: the mirror is the one from which apt takes this machine's own release.
debian_sources() {
	local wanted=("Created-By: Packages" "Origin: Debian" "Codename: ${VERSION_CODENAME-}" "Component: main")
	local uris

	# shellcheck disable=SC2016	# apt's variable, not ours
	uris=$(apt-get indextargets --format '$(REPO_URI)' "${wanted[@]}")
	if [[ -z $uris ]] && ((EUID == 0)); then
		apt-get -qq update >&2
		# shellcheck disable=SC2016
		uris=$(apt-get indextargets --format '$(REPO_URI)' "${wanted[@]}")
	fi
	[[ -n $uris ]] || die "apt has no package lists of a Debian release: run 'apt-get update' as root"
	echo "deb [signed-by=$keyring] ${uris%%$'\n'*} $1 main"
}

# private_apt SUITES COMMAND...: run apt-get or apt-cache on lists and sources of our own, so that neither the
# configuration of this machine nor its package database has a part in it, and no root is needed.
private_apt() {
	local dir=$cache/apt/$1 command=$2

	shift 2
	flock "$dir.lock" "$command" \
		-o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$dir/lists" -o Dir::State::status="$dir/status" -o Dir::Cache="$dir" \
		-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root "$@"
}

# refresh SUITES DAYS: bring the package lists of SUITES up to date if they are older than DAYS.
refresh() {
	local dir=$cache/apt/$1 suite

	if [[ -f $dir/updated && -n $(find "$dir/updated" -mtime "-$2") ]]; then
		return
	fi
	mkdir -p "$dir/lists/partial" "$dir/archives/partial"
	for suite in ${1//+/ }; do
		debian_sources "$suite"
	done >"$dir/sources.list"
	: >"$dir/status"
	private_apt "$1" apt-get -qq update >&2
	touch "$dir/updated"
}

# newest SUITE NAME VERSION: "package=version" of the newest match, or nothing.
newest() {
	local names

	mapfile -t names < <(private_apt "$1" apt-cache pkgnames | grep -Ex "$2")
	((${#names[@]})) || return 0
	private_apt "$1" apt-cache madison "${names[@]}" |
		awk -v version="^$3" '$3 ~ version { print $1 "=" $3 }' | sort -V | tail -n 1
}

# fetch DIR NAME VERSION SUITE...: NAME is a regular expression for the whole name, VERSION for how the version
# begins. The newest match in the first suite that has one is taken. Lists are a day old at most, and are
# brought up to date at once when they do not lead to the package.
fetch() {
	local dir=$1 name=$2 version=$3 days suite package

	shift 3
	mkdir -p "$dir/.deb"
	for days in 1 0; do
		for suite in "$@"; do
			refresh "$suite" "$days"
			package=$(newest "$suite" "$name" "$version")
			[[ -n $package ]] || continue
			note "fetching $package from $suite"
			(cd "$dir/.deb" && private_apt "$suite" apt-get -qq download "$package") || continue
			dpkg -x "$dir/.deb"/*.deb "$dir"
			rm -r "$dir/.deb"
			# shellcheck disable=SC2031	# set by make_once
			echo "$package $suite" >>"$made_from"
			return
		done
	done
	die "no package $name $version for arm64 in: $*"
}

# fetch_all DIR NAMES SUITE...: the newest of these packages of the last suite, what they depend on from all of them.
# Lists are brought up to date, because versions of many packages have to fit.
fetch_all() {
	local dir=$1 suites names package

	read -r -d '' -a names <<<"$2" || :

	shift 2
	suites=$(IFS=+ && echo "$*")
	refresh "$suites" 0
	note "fetching ${names[*]} with what it takes from ${*: -1}"
	private_apt "$suites" apt-get -qq -y --download-only --no-install-recommends -t "${*: -1}" install \
		"${names[@]}" >&2
	for package in "$cache/apt/$suites/archives"/*.deb; do
		dpkg -x "$package" "$dir"
		# shellcheck disable=SC2031	# set by make_once
		basename "$package" >>"$made_from"
	done
	rm "$cache/apt/$suites/archives"/*.deb
}

# unpack_busybox DIR: Debian's static busybox for arm64 in DIR/bin, with a shell for scripts; it is up to /init to
# link its other commands.
unpack_busybox() {
	fetch "$1/package" busybox-static "" "$VERSION_CODENAME"
	mkdir "$1/bin"
	mv "$(find "$1/package" -path '*/bin/busybox')" "$1/bin"
	ln -s busybox "$1/bin/sh"
	rm -r "$1/package"
}

# cpio_header NAME MODE MAJOR MINOR: one newc entry without contents.
cpio_header() {
	local length=$((${#1} + 1))

	printf '070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\0' \
		0 "$2" 0 0 1 0 0 0 0 "$3" "$4" "$length" 0 "$1"
	# The header is 110 bytes, and header and name together end on a multiple of four.
	head -c $(((4 - (110 + length) % 4) % 4)) /dev/zero
}

# archive [CPIO-OPTION...]: a newc archive of the files named on stdin (each name ended by NUL), owned by root.
# shellcheck disable=SC2120	# tests/board/run passes an option
archive() {
	cpio --quiet -o0 -H newc --reproducible --owner=+0:+0 "$@"
}

# pack DIR: everything dated 1970 and in the order of its names, so that the same contents make the same archive.
# /dev/console, which only root may make, is written by hand.
pack() {
	cpio_header dev 0040755 0 0
	cpio_header dev/console 0020600 5 1
	find "$1" -exec touch -h -d @0 {} +
	# shellcheck disable=SC2119
	(cd "$1" && find . -mindepth 1 -printf '%P\0' | LC_ALL=C sort -z | archive)
}
