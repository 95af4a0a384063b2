# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --icount
. tests/lib.sh

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
