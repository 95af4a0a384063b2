# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# programs: e2fsprogs
# files: build/programs/files
# board: --smp 4 --timeout 360
. tests/lib.sh

# Four threads of a guest make small files on ext4 (files.c) when nidus is killed. The host's page cache outlives
# nidus, so what fsync(2) has acknowledged has to be there in the next guest, which mounts the disk as it was left,
# and journal and file system have to be whole. (That ext4 leaves totals in the superblock behind is no error to
# e2fsck.)

disk=$scratch/disk
initrd=$scratch/initrd
{
	cat "$NIDUS_INITRD"
	(cd build/programs && echo files | cpio -o -H newc 2>/dev/null)
} >"$initrd"

# start OPTION...: a guest on the disk, in the background, as $pid.
start() {
	: >"$console"
	nidus run --no-reboot --kernel "$NIDUS_KERNEL" --initrd "$initrd" --cpus 4 --console virtio "$@" \
		--params "console=hvc0 panic=-1 quiet -- sh -c \"mkdir /mnt; \
mount -t ext4 /dev/vda /mnt && /files /mnt $acknowledged\"" </dev/null >"$console" 2>"$messages" &
	pid=$!
}

# last WRITER: the last file that the guest said to be stable, or what it was before.
last() {
	number=$(sed -n "s/^stable $1 \([0-9]*\)\..*/\1/p" "$console" | tail -n 1)
	echo "${number:-$2}"
}

dd if=/dev/zero of="$disk" bs=1M seek=128 count=0 2>/dev/null
"$NIDUS_E2FSPROGS/mke2fs" -q -t ext4 -j "$disk" >"$messages" 2>&1 || cat "$messages"

acknowledged="0 0 0 0"
for options in "$disk" "$disk,direct --block-engine aio" "$disk --block-engine sync" "$disk,direct" "$disk"; do
	begin "killed with a guest at work on --disk ${options##*/}, nidus leaves all that was stable, and ext4 whole"
	# shellcheck disable=SC2086	# options have no blanks in them
	start --disk $options
	wait_for '^files: [0-9]* are as they should be' "$console" 1
	wait_for '^stable' "$console" 40
	usleep $(($(hexdump -n 2 -e '"%u"' /dev/urandom) * 1000000 / 65536))
	expect kill -KILL $pid
	wait $pid
	refuse_line '^files: .*:|does not hold|EXT4-fs error|I/O error'
	# shellcheck disable=SC2086	# four numbers
	set -- $acknowledged
	acknowledged="$(last 1 "$1") $(last 2 "$2") $(last 3 "$3") $(last 4 "$4")"

	cp "$disk" "$scratch/copy"
	expect "$NIDUS_E2FSPROGS/e2fsck" -E journal_only -y "$scratch/copy" >>"$messages" 2>&1
	expect "$NIDUS_E2FSPROGS/e2fsck" -f -n "$scratch/copy" >>"$messages" 2>&1
	rm "$scratch/copy"
	end
done

begin "all that was ever stable is there in the end: $acknowledged"
start --disk "$disk"
wait_for '^files: [0-9]* are as they should be' "$console" 1
wait_for '^stable' "$console" 4
kill -KILL $pid
wait $pid
refuse_line '^files: .*:|does not hold|EXT4-fs error|I/O error'
expect_nothing_left
end
