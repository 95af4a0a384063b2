# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# files: build/programs/reader
# board: --icount --mem 4G --timeout 1800
. tests/lib.sh
exec </dev/null

# A device that is handed on twice: the nidus of level 1 has its guest's own IOMMU in front of a device of its host's.

disk=$scratch/disk

# nest WORD...: runs reader in the innermost of three.
nest() {
	cat >"$scratch/plan" <<-end
		passthrough = [ "disk0" ];
		levels = (
			{ memory = "1536M"; disk = "$disk"; },
			{ memory = "768M"; },
			{ memory = "256M"; file = "build/programs/reader"; }
		);
	end
	timeout -s KILL 900 nidus nest --kernel "$NIDUS_KERNEL" --time-limit 880 "$scratch/plan" -- /bin/reader /dev/vda "$@" \
		>"$console" 2>"$messages"
	status=$?
}

# exits LEVEL: to its nidus, as the table has it.
exits() {
	awk -v level="$1" '$1 == level && $3 == "s" { print $4 }' "$messages"
}

begin "a guest two guests down reads and writes the host's disk, and nobody between them leaves for user space"
build/programs/reader --make "$disk" 4096
nest write 4 100
expect_status 0
expect_line '^reader: 100 requests'
before="$(exits 1) $(exits 2) $(exits 3)"
nest write 4 400
expect_status 0
expect_line '^reader: 400 requests'
# Three hundred requests make none more, but for what a console has to say.
level=0
for count in $before; do
	level=$((level + 1))
	expect [ "$(($(exits $level) - count))" -lt 40 ]
done
expect [ $level = 3 ]
build/programs/reader --check "$disk" >"$scratch/check"
expect grep -q 'reader: [1-9][0-9]* written' "$scratch/check"
expect_nothing_left
end
