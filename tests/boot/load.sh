# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --smp 4 --timeout 360
# files: build/programs/load
. tests/lib.sh

# Mixed load on all queues of a disk. What was read is verified in the guest (load.c), what is left on the disk
# once more in the file.

initrd=$scratch/initrd
{
	cat "$NIDUS_INITRD"
	(cd build/programs && echo load | cpio -o -H newc 2>/dev/null)
} >"$initrd"

# load CPUS OPTION...
load() {
	cpus=$1
	shift
	dd if=/dev/zero of="$scratch/disk" bs=1M seek=32 count=0 2>/dev/null
	guest --kernel "$NIDUS_KERNEL" --initrd "$initrd" --cpus "$cpus" --disk "$scratch/disk$direct" "$@" \
		--params "console=ttyAMA0 panic=-1 quiet -- sh -c \"/load /dev/vda $cpus $((requests / cpus)) $seed; \
ls -d /sys/block/vda/mq/*; md5sum /dev/vda\""
	expect_status 0
	expect_line "^load: [0-9]+ reads, [0-9]+ writes, [0-9]+ flushes, [1-9][0-9]* ranges, all verified"
	expect_line "^$(md5sum "$scratch/disk" | cut -c -32)  /dev/vda"
	expect_line "/sys/block/vda/mq/$((cpus - 1))([^0-9]|\$)"
	refuse_line 'I/O error'
	expect [ ! -s "$messages" ]
	rm "$scratch/disk"
}

requests=${NIDUS_LOAD_REQUESTS:-4000}
seed=${NIDUS_LOAD_SEED:-$(hexdump -n 4 -e '"%u"' /dev/urandom)}
for engine in io_uring aio sync; do
	direct=''
	[ $engine != aio ] || direct=,direct
	begin "$engine: load on four queues is read as it was written, with seed $seed"
	load 4 --virtio-transport pci --block-engine $engine
	end
done

direct=''
begin "load on two queues of a disk on virtio-mmio, with seed $seed"
load 2 --virtio-transport mmio
end
