# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
. tests/lib.sh

# Images whose header asks for other places than the base of RAM.

# with_text_offset BYTES...: the kernel with this text_offset, a 64-bit number, its lowest byte first.
with_text_offset() {
	cp "$NIDUS_KERNEL" "$scratch/Image"
	# shellcheck disable=SC2059	# the format is the bytes
	printf "$1" | dd of="$scratch/Image" bs=1 seek=8 conv=notrunc 2>/dev/null
}

while read -r place offset; do
	begin "Linux boots at $place"
	with_text_offset "$offset"
	guest --kernel "$scratch/Image" --initrd "$NIDUS_INITRD" --params console=ttyAMA0 --loglevel info
	expect_status 0
	expect_line "kernel at $place, "
	expect_line '^nidus guest: up'
	end
done <<-'END'
	0x40200000 \000\000\040\000\000\000\000\000
	0x40600000 \000\000\140\000\000\000\000\000
END

# Linux itself wants a multiple of 2 MiB. This writes a character and powers off, wherever it is.
program() {
	printf '\020\000\000\024\000\000\000\000' # b 64
	# shellcheck disable=SC2059	# the format is the bytes
	printf "$1"
	printf '\000\020\000\000\000\000\000\000' # image_size
	head -c 32 /dev/zero
	printf 'ARM\144\000\000\000\000'
	printf '\001\040\241\122'		# mov w1, #0x09000000
	printf '\002\012\200\122'		# mov w2, #'P'
	printf '\042\000\000\271'		# str w2, [x1]
	printf '\000\001\200\122\000\200\260\162' # mov w0, #0x84000008
	printf '\002\000\000\324'		# hvc #0
}

while read -r place offset; do
	begin "so does another Image at $place"
	program "$offset" >"$scratch/Image"
	guest --kernel "$scratch/Image" --loglevel info
	expect_status 0
	expect_line "kernel at $place, "
	expect [ "$(cat "$console")" = P ]
	end
done <<-'END'
	0x40080800 \000\010\010\000\000\000\000\000
	0x40480000 \000\000\110\000\000\000\000\000
	0x5fa00004 \004\000\240\037\000\000\000\000
END

begin "a place beyond RAM is refused"
with_text_offset '\000\000\000\100\000\000\000\000'
guest --kernel "$scratch/Image"
expect_status 2
expect_one_message
expect_line "the kernel's header \(text_offset\) wants it beyond that"
end

begin "parameters that Linux cuts get a warning"
guest --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" \
	--params "console=ttyAMA0 panic=-1 x=$(head -c 3000 /dev/zero | tr '\000' x)"
expect_status 0
expect_one_message
expect_line 'warning: --params has 3027 bytes, of which Linux on arm64 takes the first 2047 only'
end
