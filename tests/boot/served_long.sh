# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh disable=SC2154
# ring: long
# images: net
# kernel: net
# programs: virtiofsd storage
# files: tests/served.sh build/programs/reader
# board: --smp 2 --mem 4G --timeout 2400
. tests/lib.sh
# shellcheck source=tests/served.sh
. tests/served.sh

# Daemons that are killed under load, at any moment: 54 times, three in each life of a guest, whose first one ends with a
# reset, and whose second one with its end.

# What a life of the guest is. A file's name goes with its content, so that what is in the place of another is found.
cat >"$scratch/life" <<'END'
look() { dd if=/dev/vdb of=/dev/null bs=4k count=1 iflag=direct; }

write_files() {
	n=0
	while echo "$n" >/mnt/new && mv /mnt/new "/mnt/$((n % 50))" && [ "$(cat "/mnt/$((n % 50))")" = "$n" ]; do
		n=$((n + 1))
	done 2>/dev/null
}

mount_directory() {
	until mount -t virtiofs shared /mnt; do
		sleep 0.1
	done 2>/dev/null
}

mkdir -p /mnt
look 2>/dev/null || echo 'no disk'
/reader /dev/vdb write 16 100000000 >/dev/null 2>&1 &
echo 'the disk is written'
for _ in 1 2; do
	mount_directory
	echo 'the directory is written'
	write_files
	umount -l /mnt
done
mount_directory
ls /mnt >/dev/null || echo 'no directory'
: >/tmp/said
until grep -q Input/output /tmp/said; do
	look 2>>/tmp/said &
	sleep 0.3
done
if grep -q last /dev/vda; then
	echo 'nidus guest: over'
	poweroff -f
fi
echo last >/dev/vda
sync /dev/vda
reboot -f
END
(cd "$scratch" && echo life | cpio -o -H newc 2>/dev/null) >>"$initrd"

# chance N: a number below it.
chance() {
	echo $(($(od -An -N2 -tu2 /dev/urandom) % $1))
}

# kill_soon NAME LINE COUNT: the daemon of that name, some time after the guest's COUNTth LINE.
kill_soon() {
	wait_for "^$2" "$console" "$3"
	usleep "$(chance 1500)000"
	daemon=$(grep -l "/libexec/[${1%"${1#?}"}]${1#?}" /proc/[0-9]*/cmdline 2>/dev/null | cut -d / -f 3)
	expect [ -n "$daemon" ]
	# shellcheck disable=SC2086	# processes
	kill -KILL $daemon
}

# kill_in LIFE: the disk's daemon once, the directory's twice.
kill_in() {
	disk=$(chance 3)
	for turn in 0 1 2; do
		if [ "$turn" = "$disk" ]; then
			kill_soon qemu-storage-daemon 'the disk is written' "$1"
		else
			mounts=$((mounts + 1))
			kill_soon virtiofsd 'the directory is written' "$mounts"
		fi
	done
}

expect_sound_files() {
	for file in "$dir"/[0-9]*; do
		expect [ $(($(cat "$file") % 50)) = "${file##*/}" ]
	done
}

build/programs/reader --make "$scratch/raw" 4096
qemu-img convert -f raw -O qcow2 "$scratch/raw" "$scratch/disk.qcow2"
for guest in $(seq 9); do
	begin "guest $guest of 9 lives, daemons that are killed are had again, and the image and the files are sound"
	rm -f "$scratch/lives"
	truncate -s 4K "$scratch/lives"
	mounts=0
	once='' start --disk "$scratch/lives" --disk "$scratch/disk.qcow2,format=qcow2" --fs "shared=$dir" -- '. /life'
	kill_in 1
	kill_in 2
	finished
	refuse_line '^no d'
	expect [ "$(grep -c 'nidus: warning: .* was ended by signal 9' "$messages")" = 6 ]
	expect [ "$(grep -c 'nobody serves' "$messages")" = 2 ]
	expect qemu-img check -q "$scratch/disk.qcow2"
	qemu-img convert -f qcow2 -O raw "$scratch/disk.qcow2" "$scratch/after"
	expect build/programs/reader --check "$scratch/after"
	expect_sound_files
	expect_no_daemons
	end
done
expect_no_report
