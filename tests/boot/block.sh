# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# files: tests/counting.sh
# board: --timeout 1200
. tests/lib.sh
# shellcheck source=tests/counting.sh
. tests/counting.sh

disk=$scratch/disk
size=8 # MiB

# make_disk FILE: an empty image; what is never written takes no room.
make_disk() {
	rm -f "$1"
	dd if=/dev/zero of="$1" bs=1M seek=$size count=0 2>/dev/null
}

# in_guest OPTION... -- TEXT: a guest whose shell runs TEXT.
in_guest() {
	linux_shell --block-engine "$engine" --virtio-transport "$transport" "$@"
}

md5() {
	md5sum "$1" | cut -c -32
}

# told: the last sum that the guest printed, of its disk.
told() {
	sed -n 's,^\([0-9a-f]\{32\}\)  /dev/vda.*,\1,p' "$console" | tail -n 1
}

# start OPTION...: the test kernel in the background, as $pid.
start() {
	: >"$scratch/first"
	nidus run --no-reboot --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --virtio-transport "$transport" \
		--block-engine "$engine" "$@" </dev/null >"$scratch/first" 2>"$scratch/first-messages" &
	pid=$!
}

# stop: the guest in the background, at once.
stop() {
	kill -KILL $pid
	wait $pid 2>/dev/null
}

write_all="dd if=/dev/urandom of=/tmp/data bs=1M count=$size 2>/dev/null; \
dd if=/tmp/data of=/dev/vda bs=1M conv=fsync 2>/dev/null; cmp /tmp/data /dev/vda && md5sum /dev/vda"

# check_content FLAGS: of the disk.
check_content() {
	make_disk "$disk"
	in_guest --cpus 2 --disk "$disk$1" -- "$write_all"
	expect_status 0
	expect [ "$(told)" = "$(md5 "$disk")" ]
	expect [ ! -s "$messages" ]
	in_guest --loglevel info --disk "$disk$1" -- "md5sum /dev/vda"
	expect_status 0
	expect [ "$(told)" = "$(md5 "$disk")" ]
	refuse_line 'I/O error'
	refuse_line 'the host has no'
}

for transport in mmio pci; do
	for engine in io_uring aio sync; do
		begin "virtio-$transport, $engine: what a guest writes is in the file, and read by the next one"
		check_content ''
		end
	done
done

transport=mmio
for engine in io_uring aio sync; do
	begin "$engine: the same with direct I/O"
	check_content ,direct
	end

	begin "$engine: a full file system is an I/O error of the guest"
	mkdir "$scratch/full"
	mount -t tmpfs -o size=4m full "$scratch/full"
	make_disk "$scratch/full/disk"
	in_guest --disk "$scratch/full/disk" -- \
		"dd if=/dev/zero of=/dev/vda bs=1M conv=fsync; echo alive; dd if=/dev/vda of=/dev/null bs=1M"
	umount "$scratch/full"
	rmdir "$scratch/full"
	expect_status 0
	expect_line 'I/O error, dev vda'
	expect_line '^alive'
	expect_line 'disk .*: write: No space left on device'
	end

	begin "$engine: an image that becomes shorter is an I/O error of the guest, until it has its size again"
	shrinking=$scratch/shrinking
	make_disk "$shrinking"
	read="dd if=/dev/vda of=/dev/null bs=4k count=16 iflag=direct"
	start --disk "$shrinking" --params "console=ttyAMA0 panic=-1 -- sh -c \"while $read skip=1500; do \
[ -e /tmp/ready ] || echo ready; touch /tmp/ready; usleep 10000; done; echo refused; $read && echo alive; \
until $read skip=1500; do usleep 10000; done; echo whole again\""
	wait_for '^ready' "$scratch/first"
	truncate -s 5M "$shrinking"
	wait_for '^alive' "$scratch/first"
	truncate -s ${size}M "$shrinking"
	wait_for '^whole again' "$scratch/first"
	[ -z "$complaints" ] || kill -KILL $pid
	wait $pid
	expect [ $? = 0 ]
	expect grep -q 'I/O error, dev vda, sector 12000 op 0x0:(READ)' "$scratch/first"
	expect grep -q '^refused' "$scratch/first"
	expect grep -q 'disk .*: read: Input/output error' "$scratch/first-messages"
	expect [ "$(wc -l <"$scratch/first-messages")" -le 8 ]
	end
done
engine=io_uring

begin "discarded sectors take no room"
used=$(du -k "$disk" | cut -f 1)
in_guest --disk "$disk" -- "blkdiscard /dev/vda; md5sum /dev/vda"
expect_status 0
expect [ "$(told)" = "$(md5 "$disk")" ]
expect [ "$(du -k "$disk" | cut -f 1)" -lt "$used" ]
end

begin "a disk that may only be read is not written"
make_disk "$disk"
sum=$(md5 "$disk")
in_guest --disk "$disk,ro" -- \
	"cat /sys/block/vda/ro; md5sum /dev/vda; dd if=/dev/urandom of=/dev/vda bs=4k count=1 conv=fsync || echo refused"
expect_status 0
expect_line '^1'
expect_line '^refused'
expect [ "$(told)" = "$sum" ]
expect [ "$(md5 "$disk")" = "$sum" ]
end

begin "two disks are told apart, and have their files' names"
make_disk "$disk"
make_disk "$scratch/other"
in_guest --disk "$disk" --disk "$scratch/other" -- \
	"echo first >/dev/vda; echo second >/dev/vdb; sync; cat /sys/block/vda/serial; echo; cat /sys/block/vdb/serial; echo"
expect_status 0
expect_line '^disk'
expect_line '^other'
expect [ "$(head -c 5 "$disk")" = first ]
expect [ "$(head -c 6 "$scratch/other")" = second ]
end

begin "a disk that one nidus writes is refused to another"
start --disk "$disk" --params "console=ttyAMA0 panic=-1 -- sleep 1000"
wait_for 'nidus guest: up' "$scratch/first"
for flags in '' ,ro; do
	in_guest --disk "$disk$flags" -- "echo unreachable"
	expect_status 2
	expect_one_message
	expect_line 'disk .*: a nidus uses it already'
done
stop
in_guest --disk "$disk" -- "echo free again"
expect_status 0
expect_line '^free again'
end

begin "what cannot be a disk is refused"
: >"$scratch/empty"
echo odd >"$scratch/odd"
for file in empty odd missing; do
	in_guest --disk "$scratch/$file" -- "echo unreachable"
	expect_status 2
	expect_one_message
done
end

# Block i is full of i, and the guest says so when it has been flushed.
begin "what a guest was told to be stable is there after nidus was killed"
for round in 1 2 3; do
	make_disk "$disk"
	start --disk "$disk" --params "console=ttyAMA0 panic=-1 quiet -- sh -c \"i=0; \
while [ \$i -lt 127 ]; do yes \$i | head -c 65536 | dd of=/dev/vda bs=64k seek=\$i conv=fsync,notrunc 2>/dev/null; \
echo stable \$i; i=\$((i + 1)); done\""
	wait_for "^stable $((round * 7 + 1))" "$scratch/first"
	stop
	last=$(last_number stable "$scratch/first")
	expect [ "$last" -ge $((round * 7)) ]
	i=0
	while [ $i -le "$last" ]; do
		yes $i | head -c 65536 >"$scratch/expected"
		dd if="$disk" of="$scratch/found" bs=64k skip=$i count=1 2>/dev/null
		expect cmp "$scratch/expected" "$scratch/found"
		i=$((i + 1))
	done
done
expect_nothing_left
end
