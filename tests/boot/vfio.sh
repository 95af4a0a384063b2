# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: net
# kernel: net
# board: --smp 2 --mem 4G --iommu --nvme 64M --nvme 16M --timeout 2400
. tests/lib.sh

# Those that the short ring does with; vfio_long.sh has all.
: "${vcpus:=4}" "${kills:=1}" "${group_modes:=strict=1}" "${size:=8}" # MiB

limit=300

# address_of SERIAL: where the board has its NVMe disk.
address_of() {
	for disk in /sys/class/nvme/nvme*; do
		if [ "$(tr -d ' ' <"$disk/serial")" = "$1" ]; then
			basename "$(realpath "$disk/device")"
		fi
	done
}
first=$(address_of nvme0)
second=$(address_of nvme1)
devices=/sys/bus/pci/devices

# bind ADDRESS [DRIVER]: to vfio-pci, or to that.
bind() {
	echo "${2-vfio-pci}" >"$devices/$1/driver_override"
	[ ! -e "$devices/$1/driver" ] || echo "$1" >"$devices/$1/driver/unbind"
	echo "$1" >/sys/bus/pci/drivers_probe
}

# refused WORDS STATUS TEXT: nidus ends with it, and one line that holds TEXT.
refused() {
	# shellcheck disable=SC2086	# words
	linux $1
	expect_status "$2"
	expect_one_message
	expect_line "$3"
}

begin "what cannot be passed on is refused in a line"
refused "--vfio nvme0" 2 '--vfio nvme0: must be a PCI address'
refused "--vfio 0000:7f:1f.0" 2 '7f:1f.0: this host has no such PCI device'
refused "--vfio /dev/vfio/devices/vfio77" 2 'vfio77: there is no such device'
refused "--vfio $first" 2 "$first: is bound to the driver nvme, .*driver_override in $devices/$first, .*driver/unbind"
bind "$first"
refused "--vfio $first --balloon" 2 '--balloon with --vfio'
refused "--vfio $first --irqchip gicv3" 2 '--vfio with this --irqchip'
refused "--vfio $first --vfio ${first#0000:}" 2 "$first: is named twice"
echo "$first" >"$devices/$first/driver/unbind"
refused "--vfio $first" 2 "$first: is bound to no driver, .*driver_override"
bind "$first"
end

wait_disk='until [ -b /dev/nvme0n1 ]; do usleep 10000; done'
write_all="dd if=/dev/urandom of=/tmp/data bs=1M count=$size 2>/dev/null; md5sum </tmp/data; \
dd if=/tmp/data of=/dev/nvme0n1 bs=1M oflag=direct conv=fsync 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches"
read_all="dd if=/dev/nvme0n1 bs=1M count=$size iflag=direct 2>/dev/null | md5sum"
# sums: how many sums of a whole disk there are, and how many different ones.
expect_sums() {
	expect [ "$(grep -cE '^[0-9a-f]{32}  -' "$console")" = "$1" ]
	expect [ "$(grep -E '^[0-9a-f]{32}  -' "$console" | sort -u | wc -l)" = 1 ]
}

# check_disk HOW
check_disk() {
	for cpus in $vcpus; do
		begin "$1, $cpus vCPUs: a guest writes and reads an NVMe disk of the host"
		linux_shell --cpus "$cpus" --vfio "$first" -- "$wait_disk; $write_all; $read_all; $read_all"
		expect_status 0
		expect [ ! -s "$messages" ]
		expect_sums 3
		refuse_line 'I/O error|nvme.*(timeout|abort)'
		cp "$console" "$scratch/written"
		# The next guest finds it there. A device that is reset every time is one that works.
		linux_shell --cpus "$cpus" --vfio "${first#0000:}" -- "$wait_disk; $read_all; grep -c nvme0q /proc/interrupts"
		expect_status 0
		expect_line "^$((cpus + 1))"
		expect [ "$(grep -E '^[0-9a-f]{32}' "$console")" = "$(grep -E -m 1 '^[0-9a-f]{32}' "$scratch/written")" ]
		end
	done
}

# check_behind HOW MODES: with an IOMMU of the guest's in front of both disks, each of which is a domain, or bypasses it.
check_behind() {
	for how in $2; do
		begin "$1, behind the guest's IOMMU, iommu.$how"
		params=iommu.$how
		linux_shell --iommu --cpus 2 --vfio "$first" --vfio "$second" -- "$wait_disk; until [ -b /dev/nvme1n1 ]; do usleep 10000; done; \
cat $devices/*/iommu_group/type; sort -u $devices/*/iommu_group/reserved_regions; dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null; \
md5sum </tmp/data; for i in 0 1; do dd if=/tmp/data of=/dev/nvme\${i}n1 bs=1M oflag=direct conv=fsync 2>/dev/null & done; wait; \
echo 3 >/proc/sys/vm/drop_caches; for i in 0 1; do dd if=/dev/nvme\${i}n1 bs=1M count=8 iflag=direct 2>/dev/null | md5sum; done"
		params=
		expect_status 0
		expect [ ! -s "$messages" ]
		expect_sums 3
		type=identity
		[ "$how" = passthrough=1 ] || type=DMA
		expect [ "$(grep -c "^$type" "$console")" = 2 ]
		# Linux's own place for messages of this board's IOMMU, around those of the guest's.
		expect_line '^0x0*8000000 0x0*808ffff reserved'
		expect_line '^0x0*8090000 0x0*809ffff msi'
		expect_line '^0x0*80a0000 0x0*80fffff reserved'
		refuse_line 'I/O error|nvme.*(timeout|abort)'
		end
	done
}

check_disk "by character device"

begin "doorbells and registers take no exits"
linux_shell --stats "$scratch/stats" --vfio "$first" -- "$wait_disk; dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1000 iflag=direct 2>&1 | grep copied"
expect_status 0
tr -d ' \n' <"$scratch/stats" | grep -oE '"writes":[0-9]+,"address":"[^"]*","device":"(vfio|pci)"' >"$scratch/exits"
# The bridge's do, for what is set up.
expect grep -q '"device":"pci"' "$scratch/exits"
expect [ "$(grep -c vfio "$scratch/exits")" = 0 ]
end

begin "the same in the fullest sandbox, on memory of other kinds"
for option in "--sandbox full" "--mem-backing memfd" "--sandbox report"; do
	# shellcheck disable=SC2086	# words
	linux_shell $option --vfio "$first" -- "$wait_disk; $write_all; $read_all"
	expect_status 0
	expect [ ! -s "$messages" ]
	expect_sums 2
done
end

begin "two of them, one by the name of its character device"
bind "$second"
linux_shell --cpus 2 --vfio "$second" --vfio "/dev/vfio/devices/$(ls "$devices/$first/vfio-dev")" -- "$wait_disk; \
until [ -b /dev/nvme1n1 ]; do usleep 10000; done; cat /sys/block/nvme?n1/size | sort; \
dd if=/dev/urandom of=/dev/nvme0n1 bs=1M count=8 oflag=direct & dd if=/dev/urandom of=/dev/nvme1n1 bs=1M count=8 oflag=direct; wait; \
echo done"
expect_status 0
expect_line '^32768'
expect_line '^131072'
expect_line '^done'
refuse_line 'I/O error|nvme.*(timeout|abort)'
end

check_behind "by character device" "strict=1 passthrough=1"

begin "the guest resets, by itself and the device, and finds it each time"
nvme=/sys/class/nvme/nvme0/device
: >"$scratch/lives"
timeout -s KILL "$limit" nidus run --loglevel info --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --vfio "$first" --pidfile "$scratch/pid" \
	--params "console=ttyAMA0 panic=-1 reboot -- sh -c \"$wait_disk; $read_all\"" </dev/null >"$scratch/lives" 2>"$messages" &
pid=$!
wait_for '^[0-9a-f]\{32\}' "$scratch/lives" 3
kill -TERM "$(cat "$scratch/pid")"
wait $pid
pid=
cp "$scratch/lives" "$console"
refuse_line 'I/O error|nvme.*(timeout|abort)'
expect [ "$(grep -E '^[0-9a-f]{32}' "$console" | sort -u | wc -l)" = 1 ]
linux_shell --vfio "$first" -- "$wait_disk; $write_all; cat $nvme/reset_method; echo 1 >$nvme/reset && echo was reset; $read_all"
expect_status 0
expect_line '^flr'
expect_line '^was reset'
expect_sums 2
end

begin "a guest turns Memory Space off and on, and removes and finds the device again"
place="head -n 1 $devices/0000:00:00.0/resource"
linux_shell --vfio "$first" -- "$wait_disk; $write_all; $place; cd /sys/bus/pci/drivers/nvme; \
for i in 1 2 3; do echo 0000:00:00.0 >unbind; echo 0 >$devices/0000:00:00.0/enable; echo 0000:00:00.0 >bind; $wait_disk; done; $read_all; \
echo 1 >$devices/0000:00:00.0/remove; [ -b /dev/nvme0n1 ] || echo gone; echo 1 >/sys/bus/pci/rescan; $wait_disk; $place; $read_all"
expect_status 0
expect_line '^gone'
expect_sums 3
refuse_line 'I/O error|nvme.*(timeout|abort)'
end

begin "nidus that is killed with I/O under way leaves a device that works"
for round in $(seq "$kills"); do
	: >"$scratch/busy"
	nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --vfio "$first" --cpus 2 --params "console=ttyAMA0 panic=-1 -- sh -c \"$wait_disk; \
echo busy; while dd if=/dev/zero of=/dev/nvme0n1 bs=1M count=32 oflag=direct 2>/dev/null; do echo round; done\"" \
		</dev/null >"$scratch/busy" 2>&1 &
	pid=$!
	wait_for '^round' "$scratch/busy" "$round"
	kill -KILL $pid
	wait $pid 2>/dev/null
	pid=
done
linux_shell --vfio "$first" -- "$wait_disk; $write_all; $read_all"
expect_status 0
expect_sums 2
expect_no_report
expect_nothing_left
end

begin "a host that wants the device back gets it, and the guest ends in a line"
: >"$console"
nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --vfio "$first" --params "console=ttyAMA0 panic=-1 -- sh -c \"$wait_disk; \
echo there; sleep 1000\"" </dev/null >"$console" 2>"$messages" &
pid=$!
wait_for '^there' "$console"
echo "$first" >"$devices/$first/driver/unbind"
wait $pid
status=$?
pid=
expect_status 3
expect_one_message
expect_line "$first: the host wants the device back"
bind "$first"
end

begin "one device is one guest's"
nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --vfio "$first" --name holder --params "console=ttyAMA0 panic=-1 -- sh -c \"$wait_disk; \
echo there; sleep 1000\"" </dev/null >"$scratch/holder" 2>&1 &
pid=$!
wait_for '^there' "$scratch/holder"
refused "--vfio $first" 3 'somebody else has the device'
nidus snapshot holder "$scratch/saved" >"$console" 2>"$messages"
status=$?
expect_line 'it has a device of the host.s \(--vfio\)'
expect [ ! -e "$scratch/saved" ]
kill -TERM $pid
wait $pid 2>/dev/null
pid=
end

begin "an ordinary user with the device's nodes passes it on, within his limit of locked memory"
know_users
cp "$NIDUS_KERNEL" "$scratch/kernel"
cp "$NIDUS_INITRD" "$scratch/initrd"
chmod 755 "$scratch"
chmod 666 /dev/kvm /dev/iommu "/dev/vfio/devices/$(ls "$devices/$first/vfio-dev")"
# as_user KIB: with that limit.
as_user() {
	(
		# shellcheck disable=SC3045	# busybox has it
		ulimit -l "$1"
		start-stop-daemon -S -c nobody -x "$(command -v nidus)" -- run --no-reboot --kernel "$scratch/kernel" --initrd "$scratch/initrd" \
			--vfio "$first" --params "console=ttyAMA0 panic=-1 -- sh -c \"$wait_disk; echo there\"" \
			</dev/null >"$console" 2>"$messages"
	)
	status=$?
}
as_user 8192
expect_status 3
expect_one_message
expect_line 'RAM of 512 MiB is pinned, but this user may pin 8 MiB'
as_user 600000
expect_status 0
expect_line '^there'
end

# Older hosts have no more than that.
rm /dev/iommu
check_disk "by group"
check_behind "by group" "$group_modes"
