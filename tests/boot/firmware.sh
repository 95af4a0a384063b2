# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# disk: disk grub
# firmware: aavmf uboot
# files: tests/talk.sh
# board: --mem 4G --timeout 600
. tests/lib.sh
# shellcheck source=tests/talk.sh
. tests/talk.sh

# Firmware as distributions ship it, and a disk that it boots.

disk=$scratch/disk
vars=$scratch/vars
cp "$NIDUS_DISK" "$disk"

# efi: nidus with UEFI and the disk.
efi() {
	talk_to nidus run --firmware "$NIDUS_AAVMF/AAVMF_CODE.fd,vars=$vars" --disk "$disk" --mem 1G --cpus 2 \
		--stats "$scratch/stats"
}

log_in() {
	hear 'nidus login: ' && type root
	hear 'root@nidus:'
}

# variable: writes what shows it, without its attributes.
efivars='modprobe efivarfs; mount -t efivarfs e /sys/firmware/efi/efivars'
file=/sys/firmware/efi/efivars/Nidus-6e696475-7320-7661-7261-626c65000001

begin "UEFI boots a disk, to a login"
efi
log_in
# shellcheck disable=SC2016	# for the guest
type 'echo "it is $(uname -m)"'
hear 'it is aarch64'
end

begin "a variable is there after a reset, and after a new start"
type "$efivars; printf '\\007\\000\\000\\000kept' >$file && echo wrote it"
hear '^wrote it'
type 'busybox reboot -f'
log_in
type "$efivars; tail -c 4 $file; echo ' it is'"
hear 'kept it is'
type 'busybox poweroff -f'
hang_up
expect_status 0
expect [ ! -s "$messages" ]
efi
log_in
type "$efivars; tail -c 4 $file; echo ' it still is'"
hear 'kept it still is'
type 'busybox poweroff -f'
hang_up
expect_status 0
expect [ ! -s "$messages" ]
end

begin "U-Boot comes to its prompt, in flash and as a kernel"
for how in --firmware --kernel; do
	talk_to nidus run $how "$NIDUS_UBOOT" --mem 256M --flash "$scratch/environment"
	hear 'Hit any key to stop autoboot' && type ''
	hear '=> ' && type 'version'
	hear 'U-Boot 20' && type 'poweroff'
	hang_up
	expect_status 0
done
end

begin "firmware is saved at its prompt, and goes on with its flash memory in a file of its own"
talk_to nidus run --firmware "$NIDUS_UBOOT" --mem 256M --flash "$scratch/variables" --name wren
hear 'Hit any key to stop autoboot' && type ''
hear '=> ' && type 'setenv spoken then'
# shellcheck disable=SC2016	# for U-Boot
hear '=> ' && type 'echo it is $spoken'
hear '^it is then'
nidus snapshot wren "$scratch/snap" --stop >>"$messages" 2>&1
expect [ $? = 0 ]
hang_up
expect_status 0
talk_to nidus restore "$scratch/snap" --flash "$scratch/other"
# shellcheck disable=SC2016	# likewise
type 'echo it still is $spoken'
hear '^it still is then'
expect cmp "$scratch/variables" "$scratch/other"
type 'poweroff'
hang_up
expect_status 0
printf changed | dd of="$scratch/other" conv=notrunc 2>/dev/null
nidus restore "$scratch/snap" --flash "$scratch/other" </dev/null >"$console" 2>"$messages"
expect [ $? = 2 ]
expect_line 'flash .0x1. is not what is in the file that was given for it'
expect grep -aq '^changed' "$scratch/other"
end
