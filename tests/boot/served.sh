# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: net
# kernel: net
# programs: virtiofsd storage
# files: tests/served.sh build/programs/fs build/programs/reader build/programs/tree build/programs/vsock
# board: --smp 2 --mem 4G --timeout 900
. tests/lib.sh

# Devices that others serve: directories by virtiofsd, images of other formats by qemu-storage-daemon, sockets by the
# kernel.

# shellcheck source=tests/served.sh
. tests/served.sh

begin "a directory is the guest's to read and to write"
echo 'of the host' >"$dir/host"
dd if=/dev/urandom of="$dir/big" bs=1M count=8 2>/dev/null
sum=$(md5sum <"$dir/big" | cut -c -32)
run --fs "shared=$dir" -- "$mnt; cd /mnt; cat host; md5sum big; mkdir a; echo one >a/one; ln a/one a/two; ln -s one a/three; \
mv a a2; cat a2/three; chmod 640 a2/one; cp big a2/copy; dd if=big of=a2/part bs=4096 skip=3 count=5 2>/dev/null; rm host; \
stat -c '%h %a' a2/one; df -T . | tail -n 1; mkdir tree; /tree tree 1000; sync; $over"
expect_line '^of the host'
expect_line "^$sum  big"
expect_line '^one'
expect_line '^2 640'
expect_line ' virtiofs '
expect_line '^tree: 1000 files'
expect_line '^tree: 10 of 10'
expect [ -z "$(ls -A "$dir/tree")" ]
expect [ ! -e "$dir/host" ]
expect [ "$(cat "$dir/a2/three")" = one ]
expect [ "$(stat -c '%h %a' "$dir/a2/two")" = '2 640' ]
expect [ "$(md5sum <"$dir/a2/copy" | cut -c -32)" = "$sum" ]
expect [ "$(dd if="$dir/big" bs=4096 skip=3 count=5 2>/dev/null | md5sum)" = "$(md5sum <"$dir/a2/part")" ]
expect [ ! -s "$messages" ]
expect grep -q '"by": "virtiofsd"' "$scratch/stats"
expect grep -q '"mem_backing": "memfd"' "$scratch/stats"
expect_no_daemons
end

begin "two of them, one of which it may only read, on virtio-mmio"
mkdir "$scratch/other"
run --fs "shared=$dir,ro" --fs "other=$scratch/other" --virtio-transport mmio -- "$mnt; md5sum /mnt/big; echo x >/mnt/x; rm /mnt/big; \
mkdir /other; mount -t virtiofs other /other; echo y >/other/y; umount /other; $over"
expect_line "^$sum  /mnt/big"
expect_line "can't create /mnt/x: Read-only file system"
expect [ -e "$dir/big" ]
expect [ "$(cat "$scratch/other/y")" = y ]
expect_no_daemons
end

# spent TRANSPORT COUNT: sets $spent, exits to user space of a whole run with so many requests.
spent() {
	run --virtio-transport "$1" --fs "shared=$dir" -- "$mnt; /fs /mnt stat $2; $over"
	expect_line "^fs: $2 times"
	spent=$(sed -n 's/^ *"total": \([0-9]*\),*$/\1/p' "$scratch/stats" | sort -n | tail -n 1)
}

build/programs/reader --make "$dir/small" 1
begin "a request takes no exit to user space"
spent pci 100
few=$spent
spent pci 1100
# The guest's console says a digit more.
expect [ $((spent - few)) -le 20 ]
end

begin "a guest that resets itself finds all of them again"
once='' start --fs "shared=$dir" --vsock 42 -- "$mnt; if [ -e /mnt/again ]; then $over; poweroff -f; fi; echo >/mnt/again; sync; reboot -f"
finished
rm "$dir/again"
expect_no_daemons
end

begin "when virtiofsd is killed, requests fail, the guest lives, and another can be had"
start --fs "shared=$dir" --loglevel info -- "$mnt; cd /; while cat /mnt/big >/dev/null; do [ -e /tmp/told ] || echo reading; touch /tmp/told; done; \
echo failed; umount -l /mnt; until mount -t virtiofs shared /mnt && md5sum /mnt/big; do sleep 1; done; $over"
wait_for '^reading' "$console"
# shellcheck disable=SC2046	# processes
kill -KILL $(daemons)
finished
expect_line '^failed'
expect_line 'warning: virtiofsd, shared was ended by signal 9'
expect_line 'virtiofsd, shared is back'
expect_line "^$sum  /mnt/big"
expect_no_daemons
end

begin "nidus that is killed takes its daemons with it"
start --fs "shared=$dir" -- "$mnt; echo mounted; sleep 1000"
wait_for '^mounted' "$console"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
pid=
expect_no_daemons
end

begin "a disk of another format, between two raw ones"
qemu-img create -q -f qcow2 "$scratch/disk.qcow2" 64M
truncate -s 4M "$scratch/first" "$scratch/last"
run --disk "$scratch/first" --disk "$scratch/disk.qcow2,format=qcow2" --disk "$scratch/last" -- "cat /sys/block/vd?/size | tr '\n' ' '; \
dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null; md5sum /tmp/data; dd if=/tmp/data of=/dev/vdb bs=1M seek=8 conv=fsync 2>/dev/null; $over"
expect_line '^8192 131072 8192'
data=$(sed -n "s,^.* \([0-9a-f]\{32\}\)  /tmp/data.*,\1,p" "$console")
expect qemu-img check -q "$scratch/disk.qcow2"
qemu-img convert -f qcow2 -O raw "$scratch/disk.qcow2" "$scratch/raw"
expect [ "$(dd if="$scratch/raw" bs=1M skip=8 count=16 2>/dev/null | md5sum | cut -c -32)" = "$data" ]
expect [ ! -s "$messages" ]
expect_no_daemons
end

begin "when qemu-storage-daemon is killed under load, requests fail, the guest lives, and the image is sound"
build/programs/reader --make "$scratch/raw" 4096
for pause in 50000 600000; do
	qemu-img convert -f raw -O qcow2 "$scratch/raw" "$scratch/disk.qcow2"
	start --disk "$scratch/disk.qcow2,format=qcow2" -- "echo writing; /reader /dev/vda write 16 2000000 & \
until grep Input/output /tmp/said; do dd if=/dev/vda of=/dev/null bs=4k count=1 iflag=direct 2>>/tmp/said & sleep 0.3; done; $over"
	wait_for '^writing' "$console"
	usleep $pause
	# shellcheck disable=SC2046	# processes
	kill -KILL $(daemons)
	finished
	expect_line 'dd: .*Input/output error'
	expect_line 'warning: qemu-storage-daemon, .* was ended by signal 9'
	expect_line 'nobody serves'
	expect qemu-img check -q "$scratch/disk.qcow2"
	qemu-img convert -f qcow2 -O raw "$scratch/disk.qcow2" "$scratch/after"
	expect build/programs/reader --check "$scratch/after"
	expect_no_daemons
done
end

# While it has nothing to do the first time, and with requests in flight the second time, which nobody answers: only a
# reset of the machine makes an end of them.
begin "where it was killed, a driver that begins anew has its disk again, and so has the guest's next life"
truncate -s 4K "$scratch/lives"
once='' start --disk "$scratch/lives" --disk "$scratch/disk.qcow2,format=qcow2" --loglevel info -- "\
look() { dd if=/dev/vdb of=/dev/null bs=4k count=1 iflag=direct 2>>/tmp/said; }; if grep -q second /dev/vda; then look && $over; poweroff -f; fi; \
cd /sys/bus/virtio/drivers/virtio_blk; device=\$(basename \$(readlink /sys/block/vdb/device)); echo rests; sleep 2; look || echo gone; \
echo \$device >unbind; echo \$device >bind; look && echo writes; /reader /dev/vdb write 16 2000000 & : >/tmp/said; \
until grep -q Input/output /tmp/said; do look & sleep 0.3; done; echo second >/dev/vda; sync /dev/vda; reboot -f"
for does in rests writes; do
	wait_for "^$does" "$console"
	# shellcheck disable=SC2046	# processes
	kill -KILL $(daemons)
done
finished
expect_line '^gone'
expect [ "$(grep -c 'qemu-storage-daemon, .* was ended by signal 9' "$messages")" = 2 ]
expect [ "$(grep -c 'nobody serves' "$messages")" = 2 ]
expect [ "$(grep -c 'qemu-storage-daemon, .* is back' "$messages")" = 2 ]
expect qemu-img check -q "$scratch/disk.qcow2"
qemu-img convert -f qcow2 -O raw "$scratch/disk.qcow2" "$scratch/after"
expect build/programs/reader --check "$scratch/after"
expect_no_daemons
end

sockets() {
	begin "by sockets guest and host reach each other"
	build/programs/vsock listen 700 >"$scratch/server" &
	start --vsock 42 -- "/vsock connect 2 700 up; /vsock listen 800; $over"
	wait_for '^vsock: listens' "$console"
	expect [ "$(build/programs/vsock connect 42 800 down)" = 'vsock: DOWN' ]
	finished
	expect_line '^vsock: UP'
	expect_line '^vsock: from 2'
	expect grep -q '^vsock: from 42' "$scratch/server"
	expect [ ! -s "$messages" ]
	end

	begin "so they do on level 2"
	echo 'vsock listen 700 & vsock connect 42 800 down &' >"$scratch/outer"
	echo 'vsock connect 2 700 up; vsock listen 800' >"$scratch/inner"
	files='"/bin/busybox", "build/programs/vsock"'
	cat >"$scratch/nest" <<EOF
kernel = "$NIDUS_KERNEL";
levels = (
	{ memory = "1G"; file = [ $files, "$scratch/outer:/outer" ]; command = "busybox sh /outer"; },
	{ memory = "256M"; file = [ $files, "$scratch/inner:/inner" ]; command = "busybox sh /inner";
	  options = "--vsock 42"; }
);
EOF
	nidus nest "$scratch/nest" </dev/null >"$console" 2>"$messages"
	status=$?
	expect_status 0
	expect_line '^vsock: UP'
	expect_line '^vsock: from 42'
	expect_line '^vsock: DOWN'
	expect_line '^vsock: from 2'
	end

	begin "an identifier that another guest has is refused"
	start --vsock 42 -- 'echo up; sleep 1000'
	wait_for '^up' "$console"
	nidus run --kernel "$NIDUS_KERNEL" --vsock 42 </dev/null >"$scratch/out" 2>"$scratch/said"
	expect [ $? = 2 ]
	expect grep -q -- '--vsock 42: another guest has this context identifier' "$scratch/said"
	kill "$pid"
	wait "$pid"
	pid=
	end
}

if [ -e /dev/vhost-vsock ]; then
	sockets
else
	begin "by sockets guest and host reach each other"
	skip "this host's kernel has no vhost-vsock"
fi

begin "another process at a socket serves as well, and may go and come"
daemon() {
	virtiofsd --socket-path "$scratch/socket" --shared-dir "$dir" --log-level error --sandbox chroot &
	daemon=$!
	until [ -S "$scratch/socket" ]; do
		usleep 10000
	done
}
daemon
start --vhost-user "fs,socket=$scratch/socket,tag=shared,reconnect=60" --loglevel info -- "$mnt; md5sum /mnt/big; echo first; \
until [ -e /mnt/second ]; do umount -l /mnt; mount -t virtiofs shared /mnt; sleep 1; done; $over"
wait_for '^first' "$console"
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
rm "$scratch/socket"
echo >"$dir/second"
daemon
finished
expect_line "^$sum  /mnt/big"
expect_line 'warning: fs, .*: the connection has ended'
expect_line 'fs, .* is back'
wait "$daemon"
end

begin "what cannot be is refused with one line"
touch "$dir/file"
while IFS='|' read -r option line; do
	# shellcheck disable=SC2086	# an option and its argument
	guest --kernel "$NIDUS_KERNEL" $option
	expect [ "$status" = 2 ]
	expect_one_message
	expect_line "$line"
done <<END
--fs shared=/nothing|/nothing: No such file or directory
--fs shared=$dir/file|$dir/file: Not a directory
--fs /tmp|must be a tag and a directory
--disk $dir/none.qcow2,format=qcow2|none.qcow2: No such file or directory
--disk $dir/file,format=auto|none is guessed
--vhost-user fs,socket=/nothing|fs, /nothing: No such file or directory
--vhost-user fs|where it listens is missing
--vhost-user cow,socket=/x|must be fs, blk,
--vsock 2|--vsock 2:
--fs a=/tmp --mem-backing anon|another process has to map the guest's RAM
END
end

begin "where a daemon is not installed its package is named"
PATH=${PATH#"$NIDUS_VIRTIOFSD:$NIDUS_STORAGE:"}
guest --kernel "$NIDUS_KERNEL" --fs "shared=$dir"
expect_one_message
expect_line "there is no virtiofsd here; Debian's package virtiofsd has it"
guest --kernel "$NIDUS_KERNEL" --disk "$scratch/disk.qcow2,format=qcow2"
expect_one_message
expect_line "Debian's package qemu-utils has it"
end
expect_no_report
