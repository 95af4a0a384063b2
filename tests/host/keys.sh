#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Under what names guest-images/ keeps what it makes: a change of anything that it is made by or of is another name, a
# change of what is not has none. A copy of the scripts is asked, on a machine whose apt has nothing.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
top=$PWD
mkdir "$work/bin"
for program in apt-get apt-cache; do
	printf '#!/bin/sh\nexit 1\n' >"$work/bin/$program"
	chmod +x "$work/bin/$program"
done

# fresh: a copy of what makes things, as it is.
fresh() {
	rm -rf "$work/tree" "$work/cache"
	mkdir -p "$work/tree/tests" "$work/cache"
	cp -r "$top/guest-images" "$top/kernel" "$work/tree"
	cp -r "$top/tests/board" "$work/tree/tests"
	cp -r "$top/board" "$work/tree"
}

# key SCRIPT ARGUMENT...: the name of the first thing that it sets out to make.
key() {
	PATH=$work/bin:$PATH NIDUS_CACHE=$work/cache "$work/tree/guest-images/$1" "${@:2}" 2>&1 >/dev/null |
		sed -n '1s|.*: making .*/||p' || :
}

# has DIRECTORY: as if that had been made; of what depends on it the key is then asked for.
has() {
	mkdir -p "$work/cache/$1"
}

begin() {
	name=$1
	complaints=''
}

end() {
	if [[ -z $complaints ]]; then
		echo "ok - keys: $name"
	else
		echo "not ok - keys: $name$complaints"
	fi
}

# change FILE SED-SCRIPT: in the copy.
change() {
	sed -i "$2" "$work/tree/$1"
	! cmp -s "$work/tree/$1" "$top/$1" || complaints+="
    $1 has not changed by: $2"
}

# another SCRIPT ARGUMENT...: it has a key, which is none of $known.
another() {
	local now

	now=$(key "$@")
	[[ -n $now && " $known " != *" $now "* ]] || complaints+="
    the key of $* is ${now:-none}; before: $known"
	known+=" $now"
}

same() {
	[[ $(key "$@") == "${known##* }" ]] || complaints+="
    the key of $* has changed"
}

begin "the kernel for networks follows both configurations, the small one only its own"
fresh
known=$(key kernel net)
change guest-images/small.config 's/^CONFIG_TTY=y/# &/'
another kernel net
change guest-images/net.config 's/^CONFIG_VETH=y/# &/'
another kernel net
fresh
known=$(key kernel small)
change guest-images/net.config 's/^CONFIG_VETH=y/# &/'
same kernel small
end

begin "a change of a function that a recipe calls, directly or not, makes a new kernel"
fresh
known=$(key kernel small)
change guest-images/lib.sh 's/^unpack_source() {/&\n\ttrue/'
another kernel small
change guest-images/lib.sh 's/^debian_sources() {/&\n\ttrue/'
another kernel small
change guest-images/kernel 's/^build_small() {/&\n\ttrue/'
another kernel small
change guest-images/small.config 's/^CONFIG_TTY=y/# &/'
another kernel small
change guest-images/lib.sh 's/^linux_versions=.*/linux_versions="7.2 newest"/'
another kernel small
end

begin "a change of a function that it does not call, or of a comment, does not"
fresh
known=$(key kernel small)
change guest-images/lib.sh 's/^cpio_header() {/&\n\ttrue/'
same kernel small
change guest-images/lib.sh 's/^# take_package .*/& Then again./'
same kernel small
end

begin "nor does the name of the release, but another compiler does"
fresh
known=$(key kernel small)
change guest-images/lib.sh 's/^note() {/VERSION_CODENAME=another\n\n&/'
same kernel small
printf '#!/bin/sh\necho another\n' | tee "$work/bin/gcc" >"$work/bin/aarch64-linux-gnu-gcc"
chmod +x "$work/bin"/*gcc
another kernel small
rm "$work/bin"/*gcc
known=$(key sysroot)
change guest-images/lib.sh 's/^VERSION_CODENAME=.*/VERSION_CODENAME=a_third/'
another sysroot
end

begin "a change of a patch makes a new patched kernel, and of what unpacks the source"
fresh
source=$(key kernel series)
has "$source"
echo 7.3 >"$work/cache/$source/version"
known=$(key kernel series)
[[ $known == kernel-series-* ]] || complaints+="
    $known is no kernel"
change kernel/0001-*.patch '1s/$/ /'
another kernel series
change kernel/build 's/^apply() {/&\n\ttrue/'
another kernel series
known=$(key program selftests)
change kernel/build 's/^build_tests() {/&\n\ttrue/'
another program selftests
end

begin "the initial RAM disk, the file system and programs follow what makes them"
fresh
known=$(key initramfs small)
change guest-images/init.sh '1s/$/ /'
another initramfs small
change guest-images/lib.sh 's/^unpack_busybox() {/&\n\ttrue/'
another initramfs small
change guest-images/lib.sh 's/^pack() {/&\n\ttrue/'
another initramfs small
known=$(key rootfs)
change guest-images/rootfs 's/^configure() {/&\n\ttrue/'
another rootfs
change guest-images/kbuild.sh '1s/$/ /'
another rootfs
known=$(key program e2fsprogs)
change guest-images/program 's/^needed() {/&\n\ttrue/'
another program e2fsprogs
known=$(key firmware xen)
change guest-images/firmware 's/^keep_xen() {/&\n\ttrue/'
another firmware xen
has "$(key rootfs)"
known=$(key kbuild)
for script in guest-images/chroot.sh board/run board/init.sh; do
	change "$script" '1s/$/ /'
	another kbuild
done
end

begin "a disk follows what is on it: its kernel, its initramfs, its root file system and its loader"
fresh
known=$(key disk grub)
change guest-images/kernel 's/^fetch_debian() {/&\n\ttrue/'
another disk grub
has "$(key disk grub)"
known=$(key disk grub)
[[ $known == initramfs-disk-* ]] || complaints+="
    $known is no initramfs"
change guest-images/disk-init.sh '1s/$/ /'
another disk grub
has "$(key disk grub)"
known=$(key disk grub)
change guest-images/disk 's/^entries() {/&\n\ttrue/'
another disk grub
change guest-images/disk 's/^packages="/&less /'
another disk grub
same disk systemd-boot
has "$(key disk grub)"
known=$(key disk grub)
another disk systemd-boot
known=$(key disk grub)
change guest-images/disk 's/^add_grub() {/&\n\ttrue/'
another disk grub
end

begin "the source of Linux is the same to all that is built of it"
fresh
known=$(key kernel series)
[[ $known == linux-source-* ]] || complaints+="
    $known is no source"
same program selftests
# What makes the small kernel says its own key first.
PATH=$work/bin:$PATH NIDUS_CACHE=$work/cache "$work/tree/guest-images/kernel" small >"$work/out" 2>&1 || :
grep -q "making .*/$known\$" "$work/out" || complaints+="
    not to the small kernel: $(grep making "$work/out")"
end
