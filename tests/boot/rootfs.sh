# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# disk: rootfs
# board: --timeout 300
# ring: long
. tests/lib.sh

# The root file system with a toolchain: its compiler runs in a guest, and what it makes does.

# compile DISK: what is on DISK is the source, padded to whole sectors.
compile() {
	guest --kernel "$NIDUS_KERNEL" --mem 512M --console virtio --disk "$NIDUS_DISK,ro" --disk "$1,ro" --params \
		"console=hvc0 panic=-1 root=/dev/vda ro init=/init -- sh -c \"cat /dev/vdb | cc -x c -o /tmp/hello - && /tmp/hello\""
}

# sector FILE: pads it.
sector() {
	printf '%512s' '' | dd of="$1" oflag=append conv=notrunc status=none
	dd if=/dev/null of="$1" bs=512 seek=1 status=none
}

limit=240

begin "the root file system's compiler makes a program that runs"
cat >"$scratch/hello.c" <<'END'
#include <stdio.h>
#include <sys/utsname.h>

int main(void)
{
	struct utsname name;

	return uname(&name) || printf("hello from %s %d\n", name.machine, 6 * 7) < 0;
}
END
sector "$scratch/hello.c"
compile "$scratch/hello.c"
expect_status 0
expect_line '^hello from aarch64 42'
expect_line '^rootfs: status 0'
end

begin "what is no program does not compile, and its status comes out"
echo 'int main(void) { return undeclared; }' >"$scratch/wrong.c"
sector "$scratch/wrong.c"
compile "$scratch/wrong.c"
expect_status 0
expect_line "'undeclared' undeclared"
expect_line '^rootfs: status 1'
refuse_line '^hello'
end
