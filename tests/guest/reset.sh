# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

stats=$scratch/stats
options="--kernel build/guest/reset.bin --mem 64M --cpus 2"

expect_lives() {
	expect [ "$(grep -c '^life: ram=0x0 .* second=0x1$' "$console")" "$1" "$2" ]
	# The last may have been cut off.
	expect [ "$(grep ' second=0x1$' "$console" | sort -u | wc -l)" = 1 ]
}

begin "a reset makes RAM, vCPUs, GIC and devices new, again and again"
# shellcheck disable=SC2086	# words
nidus run $options --stats "$stats" --name reset </dev/null >"$console" 2>"$messages" &
tries=0
until [ "$(wc -l <"$console")" -ge 8 ] || [ $((tries += 1)) -gt 600 ]; do
	usleep 50000
done
kill -TERM $!
wait $!
status=$?
expect_status 143
expect_lives -ge 8
expect [ ! -s "$messages" ]
lives=$(wc -l <"$console")
resets=$(sed -n 's/.*"resets": \([0-9]*\).*/\1/p' "$stats")
# The last life may have ended before it could print.
expect [ "$resets" -ge $((lives - 1)) ]
expect [ "$resets" -le "$lives" ]
expect grep -q '"outcome": "killed"' "$stats"
expect_nothing_left
end

begin "with --no-reboot a reset is the end"
# shellcheck disable=SC2086
guest $options --stats "$stats"
expect_status 0
expect_lives -eq 1
expect grep -q '"resets": 0' "$stats"
expect grep -q '"outcome": "reset"' "$stats"
end

begin "so it is for who calls nidus by the name of lkvm"
ln -s "$(command -v nidus)" "$scratch/lkvm"
# shellcheck disable=SC2086
timeout -s KILL 60 "$scratch/lkvm" run $options </dev/null >"$console" 2>"$messages"
status=$?
expect_status 0
expect_lives -eq 1
end

# A guest from copies of its own, in the background, with all that is opened by a path.
files=$scratch/files
mkdir "$files" "$files/out" "$files/huge"
echo 80 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages

start() {
	cp build/guest/reset.bin "$files/kernel"
	echo "an initial RAM disk" >"$files/initrd"
	dd if=/dev/zero of="$files/disk" bs=1M seek=1 count=0 2>/dev/null
	# shellcheck disable=SC2086
	nidus run ${options#*.bin} --kernel "$files/kernel" --initrd "$files/initrd" --disk "$files/disk" "$@" \
		</dev/null >"$console" 2>"$messages" &
	pid=$!
	wait_lives 2
}

# wait_lives N: for N more.
wait_lives() {
	wanted=$(($(wc -l <"$console") + $1))
	tries=0
	until [ "$(wc -l <"$console")" -ge $wanted ] || ! kill -0 $pid || [ $((tries += 1)) -gt 1200 ]; do
		usleep 50000
	done 2>/dev/null
}

finish_guest() {
	wait $pid
	status=$?
}

begin "a reset takes the files that were opened at the start, whatever has become of their names"
mount -t hugetlbfs hugetlbfs "$files/huge"
start --hugetlbfs "$files/huge" --stats "$files/out/stats" --dump-dtb "$files/out/dtb"
mv /dev/kvm /dev/kvm.gone
mv "$files/kernel" "$files/kernel.moved"
cp build/guest/off.bin "$files/kernel"
rm "$files/initrd"
mkdir "$files/initrd"
mv "$files/disk" "$files/disk.moved"
mv "$files/out" "$files/out.moved"
umount -l "$files/huge"
lives=$(wc -l <"$console")
wait_lives 3
mv /dev/kvm.gone /dev/kvm
expect [ "$(wc -l <"$console")" -ge $((lives + 3)) ]
expect [ ! -s "$messages" ]
expect [ -s "$files/out.moved/dtb" ]
nidus run --kernel build/guest/off.bin --disk "$files/disk.moved" </dev/null >/dev/null 2>"$scratch/second"
expect [ $? = 2 ]
expect grep -q 'a nidus uses it already' "$scratch/second"
kill -TERM $pid
finish_guest
expect_status 143
expect grep -q '"outcome": "killed"' "$files/out.moved/stats"
expect [ "$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages)" = 80 ]
expect [ "$(find "$files/out.moved" -type f | wc -l)" = 2 ]
rm -r "$files/initrd"
end

begin "what is in them by then is what the guest gets"
start
dd if=build/guest/off.bin of="$files/kernel" bs=64k conv=notrunc 2>/dev/null
finish_guest
expect_status 0
expect [ ! -s "$messages" ]
end

begin "a kernel that has been emptied ends the run"
start
: >"$files/kernel"
finish_guest
expect_status 2
expect_one_message
expect_line "kernel $files/kernel: (is empty|ended while it was being read)"
end

begin "so does a disk that is none any more"
start
dd if=/dev/zero of="$files/disk" bs=1 seek=1000 count=0 2>/dev/null
finish_guest
expect_status 2
expect_one_message
expect_line "disk $files/disk: its size, 1000 bytes"
end
