# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: net small
# kernel: net
# programs: virtiofsd
# board: --smp 2 --mem 4G --timeout 900
. tests/lib.sh
exec </dev/null

# --root: a directory of the host is the guest's root, that of the board itself for one. nidus is init there where the
# guest may only read, and Linux mounts it by itself where it writes.

[ -z "${NIDUS_VIRTIOFSD-}" ] || PATH=$NIDUS_VIRTIOFSD:$PATH
limit=200

# rooted OPTION... -- TEXT: a guest whose init is a shell that runs TEXT, which has no double quotes.
rooted() {
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	# shellcheck disable=SC2086	# options have no blanks in them
	guest --kernel "${kernel:-$NIDUS_KERNEL}" $options \
		--params "console=ttyAMA0 panic=-1 quiet ${params:-init=/bin/sh} -- -c \"$2; poweroff -f\""
}

# All files that the board has, and what is in them. What is in /tmp is this test's own.
files="find / -xdev '(' -path /dev -o -path /proc -o -path /sys -o -path /tmp ')' -prune -o"
contents="$files -type f -exec md5sum {} + | sort | md5sum"
tree() {
	eval "$contents"
	eval "$files ! -type p -exec stat -c '%n %f %h %u %g %s %Y' {} + | sort | md5sum"
}

# A user space of a page, which may be written to.
dir=$scratch/dir
mkdir -p "$dir/bin" "$dir/dev" "$dir/proc"
cp /bin/busybox "$dir/bin"
for applet in sh cat mkdir mount ln ls poweroff; do
	ln -s busybox "$dir/bin/$applet"
done
echo 'as it was' >"$dir/file"

before=$(tree)
begin "a guest has all of the board's files, writes as it likes, and has changed nothing in the end"
rooted --root / -- "mount; $contents; mkdir -p /etc; echo new >/etc/new; cat /etc/new; rm -r /board; mkdir /board; ls -a /board; \
touch /run/x /tmp/x; ls /run /tmp"
expect_status 0
expect_line '^overlay on / type overlay'
expect_line '^tmpfs on /tmp type tmpfs'
expect_line "^$(echo "$before" | head -n 1)"
expect_line '^new'
refuse_line 'Read-only|No such file|Directory not empty'
expect [ "$(tree)" = "$before" ]
expect_nothing_left
end

begin "one that goes behind the tmpfs cannot write either"
rooted --root / -- 'mkdir /x; mount -t virtiofs nidus-root /x; mount -o remount,rw /x; cat /x/init | md5sum; \
echo evil >/x/evil; rm /x/init; chmod 777 /x/init'
expect_status 0
expect_line "^$(md5sum </init)"
expect_line "can't create /x/evil: Read-only file system"
expect_line 'init.: Read-only file system'
expect [ "$(tree)" = "$before" ]
end

begin "a directory in a disk's place is the same"
rooted -d "$dir" -- 'cat /file; echo other >/file; cat /file'
expect_status 0
expect_line '^as it was'
expect_line '^other'
expect [ "$(cat "$dir/file")" = 'as it was' ]
end

begin "so it is on virtio-mmio"
rooted --root "$dir" --virtio-transport mmio -- 'cat /file'
expect_status 0
expect_line '^as it was'
end

begin "with rw what the guest writes is there"
rooted --root "$dir,rw" -- 'mount -t proc proc /proc; mount; echo written >/file; mkdir /made; ln /file /made/linked'
expect_status 0
expect_line 'on / type virtiofs \(rw'
expect [ "$(cat "$dir/file")" = written ]
expect [ "$(stat -c %h "$dir/made/linked")" = 2 ]
end

begin "an initial RAM disk is told by parameters, and mounts it"
linux_shell --root "$dir" -- 'cat /proc/cmdline; mkdir /x; mount -t virtiofs nidus-root /x; cat /x/file; echo x >/x/file'
expect_status 0
expect_line '^root=nidus-root rootfstype=virtiofs ro console='
expect_line '^written'
expect_line 'Read-only file system'
end

begin "without init= there is the first that is found, with the arguments behind --"
guest --kernel "$NIDUS_KERNEL" --root "$dir" --params "console=ttyAMA0 panic=-1 quiet -- -c \"echo so it is; poweroff -f\""
expect_status 0
expect_line '^so it is'
end

begin "an init that cannot be had is said, and the guest ends"
params=init=/none rooted --root "$dir" -- true
expect_status 0
expect_line 'error: root: init=/none: No such file or directory'
mv "$dir/bin/sh" "$dir/bin/bash"
params=quiet rooted --root "$dir" -- true
mv "$dir/bin/bash" "$dir/bin/sh"
expect_status 0
expect_line 'error: root: the directory has no init that can be started: name one by init='
refuse_line panic
end

begin "a kernel without virtiofs says what it would need, and ends"
# The one that was brought along beside $NIDUS_KERNEL.
set -- "${NIDUS_KERNEL%/*/*}"/kernel-small-*/Image
kernel=$1 rooted --root "$dir" -- true
expect_status 0
expect_line 'error: root: this kernel has no virtiofs: it takes CONFIG_VIRTIO_FS=y and CONFIG_FUSE_FS=y'
refuse_line panic
end

begin "what is no directory is refused with one line"
while read -r line; do
	guest --kernel "$NIDUS_KERNEL" --root "${line% = *}"
	expect_status 2
	expect_one_message
	expect_line "${line##* = }"
done <<END
/nothing = root /nothing: No such file or directory
/nothing,rw = root /nothing: No such file or directory
$dir/file = is not a directory
$dir,rx = what follows the name must be ro or rw
END
end
expect_no_report
