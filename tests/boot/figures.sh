# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --icount
# files: tests/boot/figures
. tests/lib.sh

# What a plain boot costs the host, beside the best figure so far, on a board that counts
# instructions: one vCPU, 512 MiB, quiet, page cache warm.

best() {
	sed -n "s/^$1 //p" tests/boot/figures
}

# plain_boot CONSOLE [OPTION...]
plain_boot() {
	kind=$1
	shift
	device=ttyAMA0
	[ "$kind" = serial ] || device=hvc0
	icnt nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --mem 512 --kaslr-seed 1 \
		--console "$kind" --params "console=$device quiet" "$@" </dev/null >"$console" 2>"$messages"
	status=$?
}

for kind in serial virtio; do
	# The first warms the page cache. A housekeeping thread of the host may run into one of the others.
	host=
	for _ in 1 2 3 4; do
		plain_boot "$kind"
		counted=$(sed -n 's/^ICNT host //p' "$console")
		[ "${host:-$counted}" -lt "$counted" ] || host=$counted
	done
	record=$(best "${kind}_host_instructions")
	begin "a plain boot with a $kind console costs the host $host instructions, $record at best"
	expect_status 0
	expect_line '^nidus guest: up'
	expect [ "$host" -gt 0 ]
	expect [ "$host" -le $((record * 102 / 100)) ]
	end

	plain_boot "$kind" --stats "$scratch/stats"
	exits=$(sed -n '/^  "exits"/,/}/s/.*"total": \([0-9]*\).*/\1/p' "$scratch/stats")
	record=$(best "${kind}_user_exits")
	begin "a plain boot with a $kind console exits to user space $exits times, $record at best"
	expect_status 0
	expect [ "$exits" -gt 0 ]
	expect [ "$exits" -le "$record" ]
	end
done

# Two sizes of RAM cleaned whole: what a line more costs nidus.
clean_all() {
	icnt nidus run --kernel "$NIDUS_KERNEL" --mem "$1" --cache-clean all --no-reboot --stats "$scratch/stats" \
		--params "console=ttyAMA0 quiet panic=-1" </dev/null >"$console" 2>"$messages"
	user=$(sed -n 's/^ICNT host_user //p' "$console")
	lines=$(sed -n 's/.*"lines": \([0-9]*\).*/\1/p' "$scratch/stats")
}

clean_all 64
small_user=$user small_lines=$lines
clean_all 192
begin "cleaning $((lines - small_lines)) lines more costs $((user - small_user)) instructions, at most 4 a line"
expect [ "$((lines - small_lines))" = $((128 * 1024 * 1024 / 64)) ]
expect [ "$((user - small_user))" -le $((4 * (lines - small_lines))) ]
end
