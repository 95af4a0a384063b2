# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
. tests/lib.sh

# Kernels as distributions ship them: gzip-compressed, and as EFI zboot images.

packed=$scratch/Image.gz
zboot=$scratch/vmlinuz
gzip -c "$NIDUS_KERNEL" >"$packed"

# le32 NUMBER: its four bytes, the lowest first.
le32() {
	# shellcheck disable=SC2059	# the format is the bytes
	printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)))"
}

# zboot-header.S of Linux: where the payload is, how long, and how it is compressed.
{
	printf 'MZ\000\000zimg'
	le32 64
	le32 "$(stat -c %s "$packed")"
	printf '\000\000\000\000\000\000\000\000gzip'
	head -c 36 /dev/zero
	cat "$packed"
} >"$zboot"

for kernel in "$packed" "$zboot"; do
	begin "Linux boots from ${kernel##*/}"
	guest --kernel "$kernel" --initrd "$NIDUS_INITRD" --params console=ttyAMA0
	expect_status 0
	expect_line '^nidus guest: up'
	end
done

begin "a compressed kernel that was cut off is refused"
head -c 1000000 "$packed" >"$scratch/cut"
guest --kernel "$scratch/cut" --initrd "$NIDUS_INITRD"
expect_status 2
expect_one_message
end
