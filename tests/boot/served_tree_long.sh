# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh disable=SC2154
# ring: long
# images: net
# kernel: net
# programs: virtiofsd storage
# disk: rootfs
# files: tests/served.sh build/programs/tree
# board: --smp 2 --mem 4G --timeout 5400
. tests/lib.sh
# shellcheck source=tests/served.sh
. tests/served.sh

# A directory at work: so many files that virtiofsd has a descriptor for each, and a compiler.

begin "100,000 files are made, found and removed"
# Longer than wait_for does.
start --mem 1G --fs "shared=$dir" -- "$mnt; /tree /mnt 100000; $over"
wait "$pid"
status=$?
pid=
expect_status 0
expect_line '^nidus guest: over'
expect_line '^tree: 100000 files'
expect_line '^tree: 10 of 10'
expect [ -z "$(ls -A "$dir")" ]
expect [ ! -s "$messages" ]
expect_no_daemons
end

begin "what is in a directory is compiled there, and runs"
cat >"$dir/main.c" <<'END'
#include <stdio.h>

int other(void);

int main(void)
{
	return printf("compiled: %d\n", other()) < 0;
}
END
echo 'int other(void) { return 6 * 7; }' >"$dir/other.c"
cat >"$dir/Makefile" <<'END'
main: main.o other.o
	cc -o $@ $^
END
limit=600
guest --kernel "$NIDUS_KERNEL" --mem 512M --console virtio --disk "$NIDUS_DISK,ro" --fs "shared=$dir" --params \
	"console=hvc0 panic=-1 root=/dev/vda ro init=/init -- sh -c \"mkdir /tmp/d; mount -t virtiofs shared /tmp/d; cd /tmp/d; make -j2 && ./main && make\""
expect_status 0
expect_line '^compiled: 42'
# Times of files are the host's.
expect_line "'main' is up to date"
expect_line '^rootfs: status 0'
expect [ -s "$dir/main.o" ]
expect_no_daemons
end
expect_no_report
