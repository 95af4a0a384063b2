# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

kernel=build/guest/boot.bin

# expect_refused STATUS REGEX: ended before the guest could print, with one line that matches.
expect_refused() {
	expect_status "$1"
	expect_one_message
	expect grep -Eq "^nidus: error: .*$2" "$messages"
	expect [ ! -s "$console" ]
	expect_nothing_left
}

# refused NAME REGEX OPTION...: a mistake of who calls.
refused() {
	begin "$1"
	regex=$2
	shift 2
	guest "$@"
	expect_refused 2 "$regex"
	end
}

: >"$scratch/empty"
gzip -c <$kernel >"$scratch/gzip"

# The beginning of an arm64 Image of 1 MiB, whose only section is said to be 512 KiB from 4096 on.
zeros() {
	head -c "$1" /dev/zero
}
{
	printf MZ && zeros 14 && printf '\000\000\020\000' && zeros 4 && printf '\012' && zeros 31
	printf 'ARM\144\100\000\000\000'
	printf 'PE\000\000\144\252\001\000' && zeros 16
	printf .text && zeros 11 && printf '\000\000\010\000\000\020\000\000' && zeros 16
	zeros 4096
} | head -c 4096 >"$scratch/truncated"
truncate -s 9M "$scratch/large"

refused "no kernel named" "no kernel" --mem 64M
refused "a kernel that is not there" "No such file" --kernel "$scratch/missing"
refused "a kernel that is empty" "is empty" --kernel "$scratch/empty"
refused "a kernel that is cut off" "is truncated" --kernel "$scratch/truncated"
refused "a kernel that is compressed" "is gzip-compressed" --kernel "$scratch/gzip"
refused "a kernel that is an ELF file" "is an ELF file" --kernel "$(command -v nidus)"
truncate -s 65M "$scratch/too-large"
refused "firmware that is not there" "firmware .*: No such file" --firmware "$scratch/missing"
refused "firmware that is empty" "firmware .*: is empty" --firmware "$scratch/empty"
refused "firmware that is larger than its bank" "is larger than the 64 MiB" --firmware "$scratch/too-large"
refused "firmware that is a directory" "firmware .*: is not a regular file" --firmware "$scratch"
refused "firmware and a kernel" "--kernel with --firmware" --firmware $kernel --kernel $kernel
refused "variables of a wrong size" "multiple of 256K" --firmware $kernel,vars=$kernel
refused "variables in a directory that is not there" "No such file" --firmware $kernel,vars="$scratch/missing/vars"
refused "a module that is not there" "module .*: No such file" --kernel $kernel --module "$scratch/missing,kernel"
refused "a module that is empty" "module .*: is empty" --kernel $kernel --module "$scratch/empty,kernel"
refused "a module that does not fit" "device tree, modules and initrd need" --kernel $kernel --mem 64M \
	--module "$scratch/too-large"
refused "a module of a node that is not there" "has no node /chosen/domU1" --kernel $kernel --module "$kernel,node=/chosen/domU1"
refused "an overlay that is none" "is no flattened device tree" --kernel $kernel --dtb-overlay $kernel
refused "a device tree that is none" "is no flattened device tree" --kernel $kernel --dtb "$scratch/gzip"
begin "memory tagging where the host has none"
guest --kernel $kernel --mte
expect_refused 3 "--mte: this host's CPU has no memory tagging"
end
while read -r what magic; do
	# shellcheck disable=SC2059	# the format is the bytes
	{ printf "$magic" && zeros 4096; } >"$scratch/foreign"
	refused "a kernel that is $what" "kernel .*: is .*$what" --kernel "$scratch/foreign"
done <<-'END'
	bzip2-compressed BZh91AY\046SY
	xz-compressed \3757zXZ\000
	lz4-compressed \002\041\114\030
	cpio 070701
	device.tree \320\015\376\355
	Android ANDROID!
	qcow2 QFI\373
	squashfs hsqs
	script #!/bin/sh\n
END
{ zeros 32769 && printf CD001 && zeros 4096; } >"$scratch/foreign"
refused "a kernel that is an ISO image" "is an ISO 9660" --kernel "$scratch/foreign"
# What GRUB is: a PE file without the magic number of an Image.
{ printf MZ && zeros 58 && printf '\100\000\000\000PE\000\000\144\252' && zeros 4096; } >"$scratch/foreign"
refused "a kernel that is an EFI program" "is an EFI program" --kernel "$scratch/foreign"

refused "a kernel that is a directory" "is not a regular file" --kernel "$scratch"
refused "a kernel larger than RAM" "RAM, but the guest has 8 MiB" --kernel "$scratch/large" --mem 8M
refused "an initrd that is not there" "No such file" --kernel $kernel --initrd "$scratch/missing"
refused "an initrd that is empty" "is empty" --kernel $kernel --initrd "$scratch/empty"

truncate -s 600M "$scratch/huge"
refused "an initrd larger than RAM" "60[0-9] MiB of RAM, but the guest has 512 MiB" \
	--kernel $kernel --initrd "$scratch/huge"
truncate -s 8000G "$scratch/huge"
refused "an initrd larger than any RAM" "RAM, but the guest has 512 MiB" \
	--kernel $kernel --initrd "$scratch/huge"

begin "an initrd of 500 MB is none too large"
truncate -s 500M "$scratch/huge"
guest --kernel $kernel --initrd "$scratch/huge" --mem 1G
expect_status 0
expect_line '^boot: all [0-9]+ checks hold$'
expect_line '^initrd at 0x[0-9a-f]+, 524288000 bytes'
expect [ ! -s "$messages" ]
end
rm "$scratch/huge"

for size in 0 -1 300G 99999999999999999999 1.5G 5X 1K ""; do
	refused "a memory size of '$size'" "mem" --kernel $kernel -m "$size"
done
for cpus in 0 -1 100000 2x ""; do
	refused "a number of vCPUs of '$cpus'" "cpus" --kernel $kernel -c "$cpus"
done
refused "an option that does not exist" "unknown-thing" --kernel $kernel --unknown-thing
refused "a letter that does not exist" "-Z" --kernel $kernel -Z
refused "an option of lkvm that nidus has not" "--debug-mmio" --kernel $kernel --debug-mmio
refused "an option without its argument" "--mem" --kernel $kernel --mem
refused "one argument too many" "another" --kernel $kernel another
refused "an interrupt controller that does not exist" "gicv3, gicv3-its or gicv2" --kernel $kernel --irqchip gicv1
refused "a log level that does not exist" "debug" --kernel $kernel --loglevel loud
refused "statistics into a directory that is not there" "missing/stats.*No such file" \
	--kernel $kernel --stats "$scratch/missing/stats"
refused "a device tree into a directory that is not there" "missing/dtb.*No such file" \
	--kernel $kernel --dump-dtb "$scratch/missing/dtb"
refused "statistics into a directory as if it were a file" "Is a directory" \
	--kernel $kernel --stats "$scratch"

refused "reports into a directory" "report $scratch: Is a directory" --kernel $kernel --report "$scratch"
refused "reports into a directory that is not there" "report .*missing/report: No such file" \
	--kernel $kernel --report "$scratch/missing/report"
refused "reports into a device that is not there" "report /dev/vport9p9: No such file" \
	--kernel $kernel --report /dev/vport9p9
for descriptor in fd:99 fd: fd:-1 fd:x; do
	refused "reports into descriptor '$descriptor'" "report $descriptor: Bad file descriptor" \
		--kernel $kernel --report $descriptor
done

begin "more vCPUs than KVM allows"
guest --kernel $kernel --cpus 4096
expect_refused 3 "--cpus 4096: .* at most"
end

begin "a command that does not exist"
nidus walk >"$console" 2>"$messages" </dev/null
status=$?
expect_refused 2 walk
end

begin "no command"
nidus >"$console" 2>"$messages" </dev/null
status=$?
expect_refused 2 "no command"
end

# elsewhere SCRIPT: with a /dev of its own, made by SCRIPT, and a full file system on $scratch/full.
mkdir "$scratch/full"
elsewhere() {
	unshare -m sh -c "
		mount -t tmpfs none /dev
		mknod /dev/null c 1 3
		mknod /dev/zero c 1 5
		mount -t tmpfs -o size=8k none '$scratch/full'
		head -c 100000 /dev/zero >'$scratch/full/filler' 2>/dev/null
		$1" >"$console" 2>"$messages" </dev/null
	status=$?
}

begin "a host without KVM"
elsewhere "nidus run --kernel $kernel"
expect_refused 3 "no /dev/kvm"
end

begin "a /dev/kvm that is something else"
elsewhere "mknod /dev/kvm c 1 3; nidus run --kernel $kernel"
expect_refused 3 "/dev/kvm"
end

begin "a /dev/kvm that one may not use"
if command -v start-stop-daemon >/dev/null; then
	cp $kernel "$scratch/kernel"
	chmod 755 "$scratch" "$scratch/kernel"
	know_users
	elsewhere "mknod -m 600 /dev/kvm c 10 232
		cp '$(command -v nidus)' /dev/nidus
		start-stop-daemon -S -c nobody -x /dev/nidus -- run --kernel '$scratch/kernel'"
	expect_refused 3 "/dev/kvm: Permission denied"
	end
else
	skip "there is no start-stop-daemon here"
fi

begin "a full disk leaves no half of a device tree"
elsewhere "mknod /dev/kvm c 10 232
	nidus run --kernel $kernel --dump-dtb '$scratch/full/dtb'; status=\$?
	ls '$scratch/full' >'$scratch/list'; exit \$status"
expect_refused 3 "No space left on device"
expect [ "$(cat "$scratch/list")" = filler ]
end

begin "nor of statistics"
elsewhere "mknod /dev/kvm c 10 232
	nidus run --kernel $kernel --stats '$scratch/full/stats'; status=\$?
	ls '$scratch/full' >'$scratch/list'; exit \$status"
expect_status 3
expect_one_message
expect_line 'No space left on device'
expect_line '^boot: all [0-9]+ checks hold$'
expect [ "$(cat "$scratch/list")" = filler ]
end

begin "a read-only place is refused at once"
elsewhere "mknod /dev/kvm c 10 232; mount -o remount,ro '$scratch/full'
	nidus run --kernel $kernel --dump-dtb '$scratch/full/dtb'"
expect_refused 2 "Read-only file system"
end

begin "a symbolic link that another user has left in a sticky directory is not followed"
protection=$(cat /proc/sys/fs/protected_symlinks)
echo 1 >/proc/sys/fs/protected_symlinks
mkdir -m 1777 "$scratch/sticky"
chmod 755 "$scratch"
echo precious >"$scratch/precious"
ln -s "$scratch/precious" "$scratch/sticky/stats"
chown -h 65534:65534 "$scratch/sticky/stats"
guest --kernel $kernel --stats "$scratch/sticky/stats"
expect_refused 2 "sticky/stats: Permission denied"
expect [ "$(cat "$scratch/precious")" = precious ]
echo "$protection" >/proc/sys/fs/protected_symlinks
end

begin "standard output that is closed"
timeout -s KILL 60 nidus run --kernel $kernel </dev/null 2>"$messages" >&-
status=$?
: >"$console"
expect_refused 3 "standard output"
end

begin "standard output that is full"
timeout -s KILL 60 nidus run --kernel $kernel </dev/null 2>"$messages" >/dev/full
status=$?
: >"$console"
expect_refused 3 "console output: No space left on device"
end

begin "standard output that is closed in mid-run"
: >"$messages"
{
	timeout -s KILL 60 nidus run --kernel build/guest/pl011.bin --params "flood 100000000" \
		</dev/null 2>"$messages"
	echo $? >"$scratch/status"
} | head -c 1 >/dev/null
status=$(cat "$scratch/status")
expect_refused 3 "console output: Broken pipe"
end
