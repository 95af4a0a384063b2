#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What guest-images/ takes from Debian, on mirrors on which Debian has moved on: versions of Linux are gone, suites are,
# and packages that the lists name. The mirrors are made here, of packages with next to nothing in them; apt is the real
# one.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mirror=$work/mirror
# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")

# The machine's own apt, as one whose mirror is ours, and whose keys nobody has.
cat >"$work/apt.conf" <<END
APT::Architecture "arm64";
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "true";
Acquire::AllowInsecureRepositories "true";
Acquire::Retries "0";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
END
export APT_CONFIG=$work/apt.conf
echo "deb copy:$mirror $codename main" >"$work/sources.list"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
: >"$work/status"

# contents NAME ROOT: what matters of a package.
contents() {
	local release=${1#linux-*-} name

	mkdir -p "$2/usr/share/doc"
	case $1 in
	linux-source-*)
		mkdir -p "$2/usr/src" "$work/$1"
		echo "# Linux" >"$work/$1/Makefile"
		tar -C "$work" -cJf "$2/usr/src/$1.tar.xz" "$1"
		;;
	linux-binary-*)
		mkdir -p "$2/usr/lib/modules/$release"
		printf '%56sARMd' '' >"$2/usr/lib/modules/$release/vmlinuz"
		;;
	linux-modules-*)
		mkdir -p "$2/usr/lib/modules/$release/dtb"
		touch "$2/usr/lib/modules/$release"/modules.{order,builtin}
		;;
	linux-libc-dev)
		mkdir -p "$2"/usr/include/{asm-generic,drm,linux,misc,mtd,rdma,scsi,sound,video,xen} \
			"$2/usr/lib/linux/uapi/arm64/asm"
		;;
	lib*-dev | zlib1g-dev)
		name=${1%-dev}
		mkdir -p "$2/usr/lib/aarch64-linux-gnu" "$2/usr/include"
		touch "$2/usr/lib/aarch64-linux-gnu/${name/lib1g/}.a" "$2/usr/include/$name.h"
		[[ $1 != zlib1g-dev ]] || touch "$2/usr/lib/aarch64-linux-gnu/libz.a"
		;;
	esac
}

# package NAME VERSION [DEPENDS]: prints what the index has of it.
package() {
	local root=$work/package file=pool/$1_${2}_arm64.deb

	rm -rf "$root"
	contents "$1" "$root"
	mkdir -p "$root/DEBIAN" "$mirror/pool"
	cat >"$root/DEBIAN/control" <<-END
		Package: $1
		Version: $2
		Architecture: arm64
		Maintainer: nobody <nobody@localhost>
		Description: $1
		${3:+Depends: $3}
	END
	sed -i '/^$/d' "$root/DEBIAN/control"
	[[ -e $mirror/$file ]] || dpkg-deb --root-owner-group -Znone --build "$root" "$mirror/$file" >/dev/null
	cat "$root/DEBIAN/control"
	echo "Filename: $file"
	echo "Size: $(stat -c %s "$mirror/$file")"
	echo "SHA256: $(sha256sum "$mirror/$file" | cut -d ' ' -f 1)"
	echo
}

# suite NAME PACKAGE...: PACKAGE is NAME=VERSION[:DEPENDS], and linux=VERSION all that there is of a version of Linux.
suite() {
	local dists=$mirror/dists/$1 name=$1 item version series part

	rm -rf "$dists"
	mkdir -p "$dists/main/binary-arm64"
	shift
	for item; do
		version=${item#*=}
		case $item in
		linux=*)
			series=${version%%[~-]*}
			package linux-libc-dev "$version"
			package "linux-source-$(cut -d . -f 1,2 <<<"$series")" "$version"
			for part in binary modules base; do
				package "linux-$part-$series+deb13-arm64" "$version"
			done
			# What is not wanted.
			package "linux-binary-$series+deb13-rt-arm64" "$version"
			;;
		*:*) package "${item%%=*}" "${version%:*}" "${version#*:}" ;;
		*) package "${item%%=*}" "$version" ;;
		esac
	done >"$dists/main/binary-arm64/Packages"
	cat >"$dists/Release" <<-END
		Origin: Debian
		Suite: $name
		Codename: $name
		Architectures: arm64
		Components: main
		SHA256:
		 $(sha256sum <"$dists/main/binary-arm64/Packages" | cut -d ' ' -f 1) $(stat -c %s "$dists/main/binary-arm64/Packages") main/binary-arm64/Packages
	END
}

# begin TEXT: a mirror with this machine's release, and an empty cache.
begin() {
	name=$1
	complaints=''
	rm -rf "$mirror" "$work/nidus"
	export NIDUS_CACHE=$work/nidus
	suite "$codename" {libfdt,libjansson,libaio,liburing,zlib1g,libzstd,libseccomp,libconfig}-dev=1
	apt-get -qq update 2>/dev/null
	: >"$work/said"
}

end() {
	if [[ -z $complaints ]]; then
		echo "ok - $name"
		return
	fi
	echo "not ok - $name$complaints"
	sed 's/^/    said: /' "$work/said"
}

# with_lib COMMAND...: COMMAND with the functions of guest-images/lib.sh.
with_lib() {
	# shellcheck disable=SC2016	# for the inner shell
	made_from=$work/made-from bash -c '. guest-images/lib.sh && "$@"' lib "$@" 2>>"$work/said"
}

# expect_linux VERSION: the source, the headers and Debian's own kernel are of this one.
expect_linux() {
	local source directory

	source=$(with_lib linux_source) || complaints+="
    no source"
	grep -qs "^linux-source-[0-9.]*=$1-" "${source%/*}/made-from" || complaints+="
    the source is not that of $1"
	[[ $(with_lib linux_version) == "$(cut -d . -f 1,2 <<<"${1%%~*}")" ]] || complaints+="
    linux_version does not say that"
	directory=$(guest-images/sysroot 2>>"$work/said") || complaints+="
    no headers"
	grep -qs "^linux-libc-dev=$1-" "$directory/made-from" || complaints+="
    the headers are not those of $1"
	directory=$(dirname "$(guest-images/kernel debian 2>>"$work/said")") || complaints+="
    no kernel"
	grep -qs "^linux-binary-${1%%~*}+deb13-arm64=$1-" "$directory/made-from" || complaints+="
    the kernel is not that of $1"
}

# expect_said TEXT
expect_said() {
	grep -qF -- "$1" "$work/said" || complaints+="
    not said: $1"
}

begin "Linux 7.3 is taken before 7.2, wherever they are, and of it the newest"
suite trixie-backports linux=7.2.12-1~bpo13+1 linux=7.3.4-1~bpo13+1 linux=7.3.10-1~bpo13+1
suite sid linux=7.2.13-1
suite experimental linux=7.4~rc1-1~exp1
expect_linux 7.3.10
end

begin "where there is no Linux 7.3 any more, 7.2 is taken"
suite trixie-backports linux=7.2.12-1~bpo13+1
suite sid linux=7.2.13-1
suite experimental
expect_linux 7.2.12
expect_said "going on without Linux 7.3"
end

begin "a release is taken before a release candidate of what is wanted more"
suite trixie-backports linux=6.19.14-1~bpo13+1
suite sid linux=7.2.13-1
suite experimental linux=7.3~rc7-1~exp1
expect_linux 7.2.13
end

begin "where all known versions are gone, the newest release is taken, and there are no patches for it"
suite trixie-backports linux=6.19.14-1~bpo13+1 linux=7.4.2-1~bpo13+1
suite sid linux=7.10.1-1
suite experimental linux=7.11~rc2-1~exp1
expect_linux 7.10.1
status=0
kernel/build --selftests >"$work/out" 2>>"$work/said" || status=$?
[[ $status == 77 && ! -s $work/out ]] || complaints+="
    kernel/build ends with $status"
expect_said "no patches for Linux 7.10"
end

begin "a release candidate is taken where there is nothing else"
suite trixie-backports
suite sid
suite experimental linux=7.4~rc1-1~exp1
expect_linux 7.4~rc1
end

begin "a suite that the mirror does not have is passed over"
suite sid linux=7.3.4-1
expect_linux 7.3.4
expect_said "no suite trixie-backports"
[[ $(with_lib first_of buster stretch sid) == sid ]] || complaints+="
    first_of does not find sid"
end

begin "a package that is listed and gone is passed over"
suite trixie-backports linux=7.2.12-1~bpo13+1 linux=7.3.4-1~bpo13+1
suite sid linux=7.2.13-1
suite experimental
rm "$mirror"/pool/*_7.3.4-1~bpo13+1_*
expect_linux 7.2.12
expect_said "linux-source-7.3=7.3.4-1~bpo13+1 is listed, but cannot be had"
end

begin "lists that have become old are brought up to date"
suite trixie-backports linux=7.3.4-1~bpo13+1
suite sid linux=7.2.13-1
suite experimental
for suite in trixie-backports sid experimental; do
	with_lib refresh $suite 1440
done
suite trixie-backports linux=7.3.5-1~bpo13+1
rm "$mirror"/pool/*_7.3.4-1~bpo13+1_*
# As if that had been hours ago.
touch -d '5 hours ago' "$NIDUS_CACHE"/debian/*.updated
expect_linux 7.3.5
end

begin "where the mirror has nothing that would do, that is an error"
suite sid
suite experimental
if with_lib linux_source >/dev/null; then
	complaints+="
    it is none"
fi
expect_said "the mirror has no Linux that would do"
end

begin "programs come with what they depend on, out of backports where there are any"
suite trixie tool=1:library library=1
with_lib fetch_all "$work/tool" tool trixie trixie-backports || complaints+="
    they do not"
grep -q '^library_1_' "$work/made-from" || complaints+="
    the library is missing"
suite trixie-backports tool=2
with_lib fetch_all "$work/tool" tool trixie trixie-backports || complaints+="
    not from backports"
grep -q '^tool_2_' "$work/made-from" || complaints+="
    not from backports"
end
