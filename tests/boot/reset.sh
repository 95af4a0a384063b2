# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --timeout 240
. tests/lib.sh

# lives: how often the guest reached user space.
lives() {
	grep -c '^nidus guest: up' "$console"
}

cp "$NIDUS_KERNEL" "$scratch/kernel"
cp "$NIDUS_INITRD" "$scratch/initrd"

begin "a guest that resets itself starts again, ten times, from files that are gone by then"
nidus run --kernel "$scratch/kernel" --initrd "$scratch/initrd" --cpus 2 --stats "$scratch/stats" \
	--params "console=ttyAMA0 quiet reboot" </dev/null >"$console" 2>"$messages" &
pid=$!
wait_for '^nidus guest: up' "$console"
rm "$scratch/kernel" "$scratch/initrd"
while [ "$(lives)" -lt 11 ] && kill -0 $pid; do
	usleep 100000
done
kill -TERM $pid
wait $pid
status=$?
expect_status 143
expect [ "$(lives)" -ge 11 ]
expect grep -Eq '"resets": 1[0-9],' "$scratch/stats"
expect grep -q '"outcome": "killed"' "$scratch/stats"
expect_nothing_left
end

begin "with --no-reboot a reset is the end"
linux -- reboot
expect_status 0
expect [ "$(lives)" = 1 ]
end
