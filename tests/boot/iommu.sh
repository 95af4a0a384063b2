# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# files: tests/counting.sh tests/snapshot.sh
# board: --timeout 1800
. tests/lib.sh

# Those that the short ring does with; iommu_long.sh has all.
: "${vcpus:=4}" "${engines:=aio}" "${network_modes:=iommu.strict=1}" "${size:=2}" # MiB
modes="iommu.strict=0 iommu.strict=1 iommu.passthrough=1"

limit=300

# make_disk FILE: an empty image.
make_disk() {
	rm -f "$1"
	dd if=/dev/zero of="$1" bs=1M seek="$size" count=0 2>/dev/null
}

# in_guest OPTION... -- TEXT: a guest with an IOMMU and two disks behind it.
in_guest() {
	make_disk "$scratch/first"
	make_disk "$scratch/second"
	linux_shell --iommu --disk "$scratch/first" --disk "$scratch/second" "$@"
}

# What a function is a member of.
groups="for i in /sys/bus/pci/devices/*; do echo \${i##*/} \$(cat \$i/device) in \$(readlink \$i/iommu_group | sed s,.*/,,); done"

write_both="dd if=/dev/urandom of=/tmp/data bs=1M count=$size 2>/dev/null; \
for i in a b; do dd if=/tmp/data of=/dev/vd\$i bs=256k oflag=direct conv=fsync 2>/dev/null & done; wait; \
echo 3 >/proc/sys/vm/drop_caches; for i in a b; do cmp /tmp/data /dev/vd\$i && md5sum /dev/vd\$i; done"

# check_disks: that both are what the guest says.
check_disks() {
	expect_status 0
	for i in a:first b:second; do
		told=$(sed -n "s,^\([0-9a-f]\{32\}\)  /dev/vd${i%:*}.*,\1,p" "$console" | tail -n 1)
		expect [ "$told" = "$(md5sum "$scratch/${i#*:}" | cut -c -32)" ]
	done
	refuse_line 'I/O error|fault from EP|Unhandled|swiotlb: .*full'
	expect [ ! -s "$messages" ]
}

for cpus in $vcpus; do
	for params in $modes; do
		begin "disks behind an IOMMU are written and read by $cpus vCPUs, with $params"
		in_guest --cpus "$cpus" --rng -- "dmesg | grep -iE iommu; $groups; $write_both"
		check_disks
		expect_line 'virtio_iommu virtio[0-9]+: input address: 48 bits'
		expect_line '^0000:00:00.0 0x1057 in[^0-9]*$'
		expect_line '^0000:00:01.0 0x1044 in[^0-9]*$'
		expect_line '^0000:00:02.0 0x1042 in [0-9]'
		expect_line '^0000:00:03.0 0x1042 in [0-9]'
		expect [ "$(sed -n 's/^0000.* 0x1042 in \([0-9]*\).*/\1/p' "$console" | sort -u | wc -l)" = 2 ]
		end
	done
done
params=

# The other way of each engine to get at memory.
for engine in $engines; do
	begin "the same with the engine $engine and direct I/O"
	make_disk "$scratch/first"
	make_disk "$scratch/second"
	linux_shell --iommu --block-engine "$engine" --disk "$scratch/first,direct" --disk "$scratch/second,direct" \
		--cpus 2 -- "$write_both"
	check_disks
	end
done

begin "without the option nothing of it is there"
linux_shell --disk "$scratch/first" -- "$groups; ls /sys/class/iommu | wc -l"
expect_status 0
expect_line '^0000:00:00.0 0x1042 in'
expect_line '^0'
end

begin "a function is reset and handed to VFIO"
in_guest --cpus 2 -- "cd /sys/bus/pci/devices/0000:00:01.0; cat reset_method; echo 0000:00:01.0 >driver/unbind; \
echo vfio-pci >driver_override; echo 0000:00:01.0 >/sys/bus/pci/drivers_probe; basename \$(readlink driver); \
ls vfio-dev; ls -d iommu_group/devices/*; cat iommu_group/type; echo 1 >reset && echo was reset; echo >driver_override; \
echo 0000:00:01.0 >/sys/bus/pci/drivers/vfio-pci/unbind; echo 0000:00:01.0 >/sys/bus/pci/drivers_probe; $write_both"
check_disks
expect_line '^flr'
expect_line '^vfio-pci'
expect_line '^vfio0'
expect_line '^was reset'
end

begin "a driver that lets go of a device and takes it again finds it"
in_guest --cpus 2 -- "cd /sys/bus/pci/drivers/virtio-pci; for i in 1 2 3; do echo 0000:00:01.0 >unbind; \
echo 0000:00:01.0 >bind; done; $write_both"
check_disks
end

# shellcheck source=tests/counting.sh
. tests/counting.sh
# shellcheck source=tests/snapshot.sh
. tests/snapshot.sh

begin "a guest is saved with what is mapped, and goes on with its disk"
make_disk "$scratch/first"
counts=$counting_by_disk
start wren --cpus 2 --iommu --disk "$scratch/first"
rounds 3 --disk "$scratch/first"
refuse_line 'I/O error|fault from EP'
expect_nothing_left
end

# move WORDS: a megabyte each way by a network with these words, over a tap of the board's.
move() {
	dd if=/dev/urandom of="$scratch/sent" bs=64k count=16 2>/dev/null
	nc -l -p 5001 -e cat "$scratch/sent" &
	nc -l -p 5002 -e sh -c "cat >$scratch/back" &
	linux_shell --iommu --cpus 2 --network "mode=tap,tapif=tap0$1" -- "ip address add 192.168.77.2/24 dev eth0; \
ip link set eth0 up; ping -c 3 -W 20 -s 4000 192.168.77.1; nc 192.168.77.1 5001 </dev/null >/tmp/big; md5sum /tmp/big; \
nc 192.168.77.1 5002 </tmp/big; readlink /sys/class/net/eth0/device/../iommu_group"
	kill %1 %2 2>/dev/null
	wait
	expect_status 0
	expect_line '^3 packets transmitted, 3 packets received'
	expect_line "^$(md5sum "$scratch/sent" | cut -c -32)  /tmp/big"
	expect cmp "$scratch/sent" "$scratch/back"
	expect_line 'iommu_groups/[0-9]'
	refuse_line 'fault from EP'
	expect [ ! -s "$messages" ]
}

tunctl -t tap0 >/dev/null
ip address add 192.168.77.1/24 dev tap0
ip link set tap0 up
ip link set lo up

for vhost in 0 1; do
	for params in $network_modes; do
		begin "frames go both ways behind an IOMMU, vhost=$vhost, with $params"
		move ,vhost=$vhost
		end
	done
done
params=
