# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --timeout 1200
. tests/lib.sh

limit=300

# A disk that says where it is.
disk=$scratch/disk
dd if=/dev/zero of="$disk" bs=1M count=2 2>/dev/null
echo "a disk it is" | dd of="$disk" conv=notrunc 2>/dev/null

# in_guest OPTION... -- TEXT: a guest with the disk, whose shell runs TEXT.
in_guest() {
	linux_shell --disk "$disk" --virtio-transport pci --stats "$scratch/stats" "$@"
}

first=/sys/bus/pci/devices/0000:00:00.0
second=/sys/bus/pci/devices/0000:00:01.0
rescan="echo 1 >/sys/bus/pci/rescan"
use="head -c 12 /dev/vda; echo; dd if=/dev/urandom of=/dev/vda bs=64k seek=8 count=8 conv=fsync 2>/dev/null && echo written"

begin "a disk that is removed and found again works, in its old place"
in_guest -- "head -n 3 $first/resource; echo 1 >$first/remove; ls /sys/block; $rescan; head -n 3 $first/resource; $use; \
grep -c virtio0 /proc/interrupts"
expect_status 0
expect_line '^a disk it is'
expect_line '^written'
refuse_line 'error updating|BAR .*(failed|no space)'
expect [ "$(grep -c '^0x.* 0x.* 0x' "$console")" = 6 ]
expect [ "$(grep '^0x.* 0x.* 0x' "$console" | sort -u | wc -l)" = 3 ]
# Its registers are still read without an exit.
expect_no_reads() {
	tr -d ' \n' <"$scratch/stats" | grep -oE '"reads":[0-9]+,"writes":[0-9]+,"address":"[^"]*","device":"virtio-pci","offset":"[^"]*","register":"(device_status|num_queues|queue_[a-z_]*)"' |
		grep -v '"reads":0' >"$scratch/reads"
	expect [ ! -s "$scratch/reads" ]
}
expect_no_reads
expect grep -q device_status "$scratch/stats"
end

begin "two devices that were removed change places, or not, and work"
in_guest --rng -- "echo 1 >$first/remove; echo 1 >$second/remove; $rescan; $use; \
head -c 16 /dev/hwrng | wc -c; for i in 1 2 3; do echo 1 >$second/remove; $rescan; done; $use"
expect_status 0
expect [ "$(grep -c '^a disk it is' "$console")" = 2 ]
expect [ "$(grep -c '^written' "$console")" = 2 ]
expect_line '^16'
refuse_line 'error updating'
end

begin "a driver that lets go of a device and takes it again finds it"
in_guest -- "cd /sys/bus/pci/drivers/virtio-pci; for i in 1 2 3; do echo 0000:00:00.0 >unbind; echo 0000:00:00.0 >bind; \
done; $use"
expect_status 0
expect_line '^a disk it is'
expect_line '^written'
end

begin "a function can be reset by itself: what it is used for goes on afterwards, and a new driver finds it"
in_guest -- "cat $first/reset_method; echo 1 >$first/reset && echo reset; $use; cd /sys/bus/pci/drivers/virtio-pci; \
echo 0000:00:00.0 >unbind; echo 1 >$first/reset && echo reset; echo 0000:00:00.0 >bind; $use; \
echo 1 >$first/remove; $rescan; echo 1 >$first/reset && echo reset; $use"
expect_status 0
expect_line '^flr'
refuse_line 'not ready|timed out|I/O error'
expect [ "$(grep -c '^reset' "$console")" = 3 ]
expect [ "$(grep -c '^a disk it is' "$console")" = 3 ]
expect [ "$(grep -c '^written' "$console")" = 3 ]
expect_no_reads
end
