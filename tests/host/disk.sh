#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The disks that guest-images/disk makes are what they are said to be, by the programs of this machine that know such
# things: a firmware finds a loader on them, the loader its menu, the menu a kernel, and the kernel its root file system.
# Likewise what guest-images/firmware has.

set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export MTOOLSRC=/dev/null

begin() {
	name=$1
	complaints=''
	: >"$work/said"
}

expect() {
	"$@" >>"$work/said" 2>&1 || complaints+="
    not so: $*"
}

end() {
	if [[ -z $complaints ]]; then
		echo "ok - $name"
	else
		echo "not ok - $name$complaints"
		sed 's/^/    said: /' "$work/said"
	fi
}

# magic FILE OFFSET TEXT: TEXT is there.
magic() {
	cmp -i "$2:0" -n ${#3} "$1" <(printf %s "$3")
}

# efi_program FILE: of arm64's.
efi_program() {
	local header

	header=$(od -An -tu4 -j 60 -N 4 "$1")
	magic "$1" 0 MZ && magic "$1" "$((header))" PE && [[ $(od -An -tx2 -j $((header + 4)) -N 2 "$1") == *aa64 ]]
}

# table_is_whole: both copies of it. Of one that is not sfdisk only says so.
table_is_whole() {
	sfdisk --verify "$image" >"$work/table" 2>&1 && grep -q "No errors detected" "$work/table" &&
		! grep -i corrupt "$work/table"
}

# partition NUMBER: sets $start and $size, in bytes, and $type.
partition() {
	read -r start size type < <(sfdisk --dump "$image" | tr -d , |
		sed -n "s/.*img$1 : start= *\([0-9]*\) *size= *\([0-9]*\) *type=\([^ ]*\).*/\1 \2 \3/p")
	start=$((start * 512)) size=$((size * 512))
}

# Files of the EFI system partition and of the root file system, and what debugfs says to a request. A file that is
# not there is empty.
esp_file() {
	mtype -i "$image@@$esp" "::$1" 2>>"$work/said" || true
}
in_root() {
	debugfs -R "$1" "$image?offset=$root" 2>/dev/null
}
root_file() {
	in_root "cat $1"
}

# named WORD: the file that follows it in each of the menu's two entries.
named() {
	awk -v word="$1" '$1 == word { print $2 }' "$work/menu" | sort | uniq -c | awk '$1 == 2 { print $2 }'
}

# begins_linux READ: the kernel and the initramfs that the menu names are there, by READ, and have what they need.
begins_linux() {
	local uuid release init

	"$1" "$(named linux)" >"$work/kernel"
	expect cmp "$work/kernel" "$kernel"
	expect efi_program "$work/kernel"
	"$1" "$(named initrd)" >"$work/initramfs"
	expect cmp "$work/initramfs" "$initramfs"
	uuid=$(in_root stats | sed -n 's/^Filesystem UUID: *//p')
	expect [ "$(grep -c "root=UUID=$uuid .*console=ttyAMA0" "$work/menu")" = 2 ]
	for init in $(sed -n 's/.*init=//p' "$work/menu") /sbin/init; do
		expect grep -q "^Inode:" <(in_root "stat $init")
	done
	release=$(strings -n 8 "$kernel" | sed -n 's/^Linux version \([^ ]*\) .*/\1/p' | head -n 1)
	expect grep -q "^Inode: .*directory" <(in_root "stat /usr/lib/modules/$release")
}

# The group of this one is another in its package.
of_root() {
	in_root "stat $1" | grep -q '^User: *0 *Group: *0 '
}

# check_disk LOADER
check_disk() {
	begin "the disk with $1 has an EFI system partition and one with ext4, and both are whole"
	image=$(guest-images/disk "$1")
	expect table_is_whole
	partition 1
	esp=$start
	expect [ "$type" = C12A7328-F81F-11D2-BA4B-00A0C93EC93B ]
	expect mdir -/ -i "$image@@$esp" ::
	partition 2
	root=$start
	expect e2fsck -fn "$image?offset=$root"
	expect [ "$(in_root stats | sed -n 's/^Block count: *//p')" = $((size / 4096)) ]
	end

	begin "the disk with $1 has a loader for arm64, and a kernel and an initramfs for its menu"
	esp_file EFI/BOOT/BOOTAA64.EFI >"$work/loader"
	expect efi_program "$work/loader"
	"menu_of_$1"
	end

	begin "the disk with $1 has a system to log in to, whose files are root's"
	expect grep -q '^root::0:0:' <(root_file /etc/passwd)
	expect of_root /usr/sbin/unix_chkpwd
	expect grep -q login-on <(root_file /etc/inittab)
	end
}

# As GRUB goes about it, from the partition that it has been read from.
menu_of_grub() {
	esp_file EFI/debian/grub.cfg >"$work/prefix"
	expect grep -q "^search.fs_uuid $(in_root stats | sed -n 's/^Filesystem UUID: *//p') root$" "$work/prefix"
	root_file /boot/grub/grub.cfg >"$work/menu"
	begins_linux root_file
}

menu_of_systemd-boot() {
	local entry

	esp_file loader/loader.conf >"$work/loader.conf"
	expect grep -qx 'default debian.conf' "$work/loader.conf"
	for entry in debian systemd; do
		esp_file loader/entries/$entry.conf
	done >"$work/menu"
	begins_linux esp_file
}

kernel=$(guest-images/kernel debian)
initramfs=$(guest-images/initramfs disk)
check_disk grub
check_disk systemd-boot

begin "firmware is there: UEFI as flash has it, U-Boot, and Xen as a kernel"
directory=$(guest-images/firmware aavmf)
for file in "$directory"/AAVMF_{CODE,VARS}.fd; do
	expect [ "$(stat -c '%F %s' "$file")" = "regular file 67108864" ]
	expect grep -qa _FVH "$file"
done
expect grep -qa 'U-Boot 20' "$(guest-images/firmware uboot)"
xen=$(guest-images/firmware xen)
expect magic "$xen" 56 ARMd
expect grep -qa 'Xen version' "$xen"
end
