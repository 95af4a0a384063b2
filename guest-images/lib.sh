#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the scripts of this directory and of board/ have in common. It is sourced, not called:
#
#   note TEXT                          progress, on stderr
#   die TEXT                           one line on stderr, then exit with $failure
#   usage                              the comment that the calling script begins with, on stdout
#   make_once KIND RECIPE INPUT...     print <cache>/KIND-KEY; the function RECIPE makes it if need be
#   fetch DIR NAME VERSION SUITE...    unpack a Debian package
#   fetch_all DIR NAMES SUITE...       unpack some with all that they depend on
#   take_linux COMMAND...              a version of Linux that the mirror has
#   linux_source                       the path of an archive of Linux's source
#   linux_version                      its version, as 7.3
#   unpack_source DIR [OPTION...]      what is in that, with options of tar's
#   first_of SUITE...                  the first of these suites that the mirror has
#   private_apt SUITES COMMAND...      an apt that sees these suites, joined by "+"
#   debian_sources SUITE               a sources.list line for SUITE on the mirror this machine uses
#   installed_qemu                     the version of this machine's QEMU, or nothing
#   usable_qemu VERSION                whether that can be the board
#   unpack_busybox DIR SUITE           a static arm64 busybox in DIR/bin
#   archive                            the files named on stdin as a newc cpio archive, on stdout
#   pack DIR                           a directory as a newc cpio archive, on stdout
#
# The cache is $NIDUS_CACHE, else $XDG_CACHE_HOME/nidus, else ~/.cache/nidus. It may be deleted at any time.
#
# $NIDUS_MADE may name a directory of what was made on another machine, one directory KIND for each: these are taken
# as they are. It is for machines without a network, or too slow to build a kernel.

set -euo pipefail
shopt -s inherit_errexit

failure=1
cache=${NIDUS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nidus}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Whose packages are fetched.
architecture=arm64

# Debian moves on: a version of Linux is in these suites for some months. This is the order in which they are wanted:
# those that kernel/ has patches for, then what is newest.
linux_versions="7.3 7.2 newest"
linux_suites="trixie-backports sid experimental"

# Where arm64 programs for guests are from. The later ones are for the time when the first is in the archive.
# shellcheck disable=SC2034	# for those who source this
program_suites="trixie forky sid"

# Suites that this process has not found on the mirror.
declare -A missing_suites=()

# In minutes.
day=1440

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

# recipe_text FUNCTION: it and every function that it may call, directly or not, as bash prints them, so without
# comments. A function whose name is in the text of another counts as called; make_once() does not count, for it has
# no part in what is made.
recipe_text() {
	local -A texts=()
	local names=("$1") functions name other

	mapfile -t functions < <(compgen -A function | LC_ALL=C sort | grep -Fvx make_once)
	while ((${#names[@]})); do
		name=${names[0]}
		names=("${names[@]:1}")
		[[ -z ${texts[$name]-} ]] || continue
		texts[$name]=$(declare -f "$name")
		for other in "${functions[@]}"; do
			[[ ! ${texts[$name]} =~ (^|[^a-z_])$other([^a-z_]|$) ]] || names+=("$other")
		done
	done
	for name in "${functions[@]}"; do
		[[ -z ${texts[$name]-} ]] || echo "${texts[$name]}"
	done
}

# make_once KIND RECIPE INPUT...: the key is made of the text of RECIPE, of all functions that it calls, and of the
# inputs, so a change of any of them makes a new directory. An input is whatever else decides what comes out: the
# contents of files, what other scripts have made, the compiler, this machine's release where packages of it are taken.
# RECIPE is called with a fresh directory and the inputs; what it leaves there appears under its final name in one step.
# Those who come at the same time wait.
make_once() (
	kind=$1
	recipe=$2
	shift 2
	if [[ -n ${NIDUS_MADE-} && -d $NIDUS_MADE/$kind ]]; then
		echo "$NIDUS_MADE/$kind"
		exit
	fi
	key=$({ recipe_text "$recipe" && printf '%s\0' "$@"; } | sha256sum)
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
# configuration of this machine nor its package database has a part in it, and no root is needed. refresh() has been
# called for the suites; the lists of all are in one place.
private_apt() {
	local dir=$cache/debian/$1-$architecture lists=$cache/debian/lists suite command=$2

	mkdir -p "$dir/archives/partial" "$lists/partial"
	(
		flock 9
		for suite in ${1//+/ }; do
			cat "$cache/debian/$suite.list"
		done >"$dir/sources.list"
		: >"$dir/status"
		"$command" \
			-o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
			-o Dir::State::Lists="$lists" -o Dir::State::status="$dir/status" -o Dir::Cache="$dir" \
			-o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
			-o APT::Get::List-Cleanup=false -o APT::Sandbox::User=root "${@:3}"
	) 9>"$cache/debian/lock"
}

# refresh SUITE MINUTES: bring its package lists up to date if they are older. False where the mirror does not have it,
# which is said once; where it cannot be reached, that is the end, or we would go on with what nobody wants.
refresh() {
	local list=$cache/debian/$1.list stamp=$cache/debian/$1-$architecture.updated

	[[ -z ${missing_suites[$1]-} ]] || return 1
	if [[ -f $stamp && -n $(find "$stamp" -mmin "-$2") ]]; then
		return
	fi
	rm -f "$stamp"
	mkdir -p "$cache/debian"
	debian_sources "$1" >"$list.$BASHPID"
	mv "$list.$BASHPID" "$list"
	if ! private_apt "$1" apt-get -qq -o APT::Update::Error-Mode=any update >&2; then
		# By default only what will not go away is an error.
		! private_apt "$1" apt-get -qq update 2>/dev/null || die "the mirror cannot be reached"
		note "the mirror has no suite $1: going on without it"
		missing_suites[$1]=yes
		return 1
	fi
	touch "$stamp"
}

# on_mirror SUITES MINUTES: sets $found to those of SUITES, which are joined by "+", that the mirror has; their lists are
# no older than that. False where it has none.
on_mirror() {
	local suite

	found=''
	for suite in ${1//+/ }; do
		! refresh "$suite" "$2" || found=${found:+$found+}$suite
	done
	[[ -n $found ]]
}

# first_of SUITE...: the first that the mirror has.
first_of() {
	local suite

	for suite; do
		refresh "$suite" "$day" && echo "$suite" && return
	done
	die "the mirror has none of these suites: $*"
}

# newest SUITES NAME VERSION: "package=version" of the newest match, or nothing.
newest() {
	local names

	mapfile -t names < <(private_apt "$1" apt-cache pkgnames | grep -Ex "$2")
	((${#names[@]})) || return 0
	private_apt "$1" apt-cache madison "${names[@]}" |
		version="^$3" awk '$3 ~ ENVIRON["version"] { print $1 "=" $3 }' | sort -V | tail -n 1
}

# fetch DIR NAME VERSION SUITES...: NAME is a regular expression for the whole name, VERSION for how the version
# begins. The newest match in the first suite that has one is taken; suites joined by "+" are as one. Lists are a day
# old at most, and are brought up to date at once when they do not lead to the package. False where nothing does.
fetch() {
	local dir=$1 name=$2 version=$3 age suites package found

	shift 3
	for age in "$day" 1; do
		for suites; do
			on_mirror "$suites" "$age" || continue
			package=$(newest "$found" "$name" "$version")
			[[ -n $package ]] || continue
			note "fetching $package from $found"
			take_package "$dir" "$package" "$found" && return
			note "$package is listed, but cannot be had"
		done
	done
	note "no package $name $version for $architecture in: $*"
	return 1
}

# take_package DIR PACKAGE=VERSION SUITES: unpack this one.
take_package() {
	rm -rf "$1/.deb"
	mkdir -p "$1/.deb"
	(cd "$1/.deb" && private_apt "$3" apt-get -qq download "$2" >&2) || return
	dpkg -x "$1/.deb"/*.deb "$1" || return
	rm -r "$1/.deb"
	# shellcheck disable=SC2031	# set by make_once
	echo "$2 $3" >>"$made_from"
}

# take_linux COMMAND...: calls COMMAND VERSION SUITES..., which are as fetch() wants them, for each of $linux_versions
# until it returns true. The newest is a release if the suites have any, and of a named version only releases count.
# As it is a condition, COMMAND has to look after errors by itself.
take_linux() {
	local version all=${linux_suites// /+}

	for version in $linux_versions; do
		if [[ $version == newest ]]; then
			"$@" '[0-9.]+-' "$all" && return
			"$@" '[0-9]' "$all" && return
		else
			# shellcheck disable=SC2086	# a list of suites
			"$@" "${version/./[.]}([.][0-9]+)?-" $linux_suites && return
		fi
		note "going on without Linux $version"
	done
	die "the mirror has no Linux that would do: $linux_versions"
}

# fetch_source DIR VERSION SUITES...
fetch_source() {
	fetch "$1" 'linux-source-[0-9.]+' "${@:2}"
}

# keep_source DIR VERSIONS SUITES: linux.tar.xz, and a file with the version's name.
# shellcheck disable=SC2317	# make_once calls it
keep_source() {
	local source

	take_linux fetch_source "$1/package"
	source=$(echo "$1"/package/usr/src/linux-source-*.tar.xz)
	mv "$source" "$1/linux.tar.xz"
	source=${source##*/linux-source-}
	echo "${source%.tar.xz}" >"$1/version"
	rm -r "$1/package"
}

# linux_source: the path of an archive of Linux's source. It is in the cache, so that all that is built is of one
# version.
linux_source() {
	local dir

	dir=$(make_once linux-source keep_source "$linux_versions" "$linux_suites")
	echo "$dir/linux.tar.xz"
}

# linux_version: which one that is, as 7.3; its source is brought for that.
linux_version() {
	local source

	source=$(linux_source)
	cat "${source%/*}/version"
}

# unpack_source DIR [OPTION...]: what is in the archive, with these options of tar's.
unpack_source() {
	local source

	source=$(linux_source)
	mkdir -p "$1"
	tar -C "$1" --strip-components=1 "${@:2}" -xf "$source"
	# shellcheck disable=SC2031	# set by make_once
	tail -n +2 "${source%/*}/made-from" >>"$made_from"
}

# fetch_all DIR NAMES SUITE...: the newest of these packages of the last suite that the mirror has, what they depend on
# from all of them. Lists are brought up to date, because versions of many packages have to fit.
fetch_all() {
	local dir=$1 debs=$1/.deb names package found

	read -r -d '' -a names <<<"$2" || :

	shift 2
	on_mirror "$(IFS=+ && echo "$*")" 1 || die "the mirror has none of these suites: $*"
	mkdir -p "$debs/partial"
	note "fetching ${names[*]} with what it takes from ${found##*+}"
	private_apt "$found" apt-get -qq -y -o Dir::Cache::Archives="$debs" --download-only --no-install-recommends \
		-t "${found##*+}" install "${names[@]}" >&2
	for package in "$debs"/*.deb; do
		dpkg -x "$package" "$dir"
		# shellcheck disable=SC2031	# set by make_once
		basename "$package" >>"$made_from"
	done
	rm -r "$debs"
}

# installed_qemu: its version, or nothing.
installed_qemu() {
	{ qemu-system-aarch64 --version 2>/dev/null || :; } | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p'
}

# usable_qemu VERSION: nested virtualization of KVM's takes FEAT_NV2, which QEMU has had since 9.0.
usable_qemu() {
	dpkg --compare-versions "${1:-0}" ge 9.0
}

# compiler: what compiles kernels here, so that a kernel is made anew by another one. Nothing where nothing does, and a
# kernel comes ready-made.
compiler() {
	local prefix=''

	[[ $(uname -m) == aarch64 ]] || prefix=aarch64-linux-gnu-
	! command -v "${prefix}gcc" >/dev/null || "${prefix}gcc" --version | head -n 1
}

# unpack_busybox DIR SUITE: Debian's static busybox for arm64 in DIR/bin, with a shell for scripts; it is up to /init to
# link its other commands.
unpack_busybox() {
	fetch "$1/package" busybox-static "" "$2"
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
# shellcheck disable=SC2120	# board/run passes an option
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
