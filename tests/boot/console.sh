# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --smp 2 --timeout 500
. tests/lib.sh

limit=200

for cpus in 1 2; do
	begin "a guest with $cpus vCPUs starts, whatever input there is"
	input=/dev/zero linux --cpus $cpus
	expect_status 0
	expect_line "nidus guest: up, $cpus CPUs"
	expect_line 'reboot: Power down'
	end
done

# Linux throws away up to 32 bytes, and no line is as short as that.
begin "input that waits is not lost"
seq 2000 | sed 's/.*/line & of a file that the guest gets as its input/' >"$scratch/lines"
params=quiet
input=$scratch/lines linux -- 'sh -c "stty -echo; head -n 100 | tail -n +2 | md5sum"'
expect_status 0
# What came before `stty -echo` may stand before it.
expect_line "$(head -n 100 "$scratch/lines" | tail -n +2 | md5sum | cut -c -32)  -"
end

# It dies before it has found out where memory is, and does nothing any more.
begin "with --console virtio, a kernel that dies early says so"
guest_early() {
	exec nidus run --no-reboot --console virtio --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" \
		--params "earlycon console=hvc0 mem=8M" </dev/null >"$console" 2>"$messages"
}
guest_early &
wait_for 'end Kernel panic' "$console"
kill $!
wait $!
status=$?
expect_status 143
expect_line 'Kernel panic - not syncing'
end

for earlycon in '' earlycon; do
	begin "the console is the virtio console (${earlycon:-no earlycon})"
	guest --console virtio --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" \
		--params "$earlycon console=hvc0 panic=-1 -- cat /proc/consoles"
	expect_status 0
	expect_line '^hvc0 .*\(EC'
	refuse_line '^ttyAMA0 '
	end
done
