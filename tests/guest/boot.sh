# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

kernel=build/guest/boot.bin
sum() {
	printf 0x
	gzip -c <"$1" | tail -c 8 | od -An -tx4 -N4 | tr -d ' ' | sed 's/^0*//'
}

# 100000 bytes need 25 pages.
head -c 100000 /dev/urandom >"$scratch/initrd"

# expect_boot TREE: all that every start has in common, with the device tree at TREE.
expect_boot() {
	expect_status 0
	expect_line '^boot: all [0-9]+ checks hold$'
	expect_line "^tree at $1, [0-9]+ bytes\$"
	expect [ ! -s "$messages" ]
}

while read -r size bytes tree initrd; do
	begin "a flat binary, its device tree and initrd are where they belong in $size"
	guest --kernel $kernel --initrd "$scratch/initrd" --mem "$size" --params "some thing"
	expect_boot "$tree"
	expect_line "^initrd at $initrd, 100000 bytes, sum $(sum "$scratch/initrd")\$"
	expect_line "^memory $bytes bytes\$"
	expect_line '^parameters: some thing$'
	end
done <<-END
	4M   4194304    0x40200000 0x401e7000
	64M  67108864   0x43e00000 0x43de7000
	512M 536870912  0x4fe00000 0x4fde7000
	2G   2147483648 0x4fe00000 0x4fde7000
END

begin "the image arrives as it is in the file"
guest --kernel $kernel
expect_boot 0x4fe00000
size=$(sed -n 's/^image at .*, \([0-9]*\) bytes.*/\1/p' "$console")
cp $kernel "$scratch/image"
truncate -s "${size:-0}" "$scratch/image"
expect_line "^image at 0x40080000, $size bytes, sum $(sum "$scratch/image")\$"
refuse_line '^initrd'
end

ln -s "$(command -v nidus)" "$scratch/lkvm"
lkvm() {
	timeout -s KILL 60 "$scratch/lkvm" "$@" </dev/null >"$console" 2>"$messages"
	status=$?
}

begin "what scripts for lkvm say works by that name"
lkvm run -k $kernel -m 128 -c 2 --console serial --irqchip gicv3 --nodefaults \
	--network mode=none --loglevel error
expect_boot 0x47e00000
end

begin "by that name memory goes with the number of vCPUs, and a kernel may stand alone"
lkvm run --cpus 2 --loglevel=warning $kernel
expect_boot 0x4fe00000
expect_line '^memory 335544320 bytes$'
lkvm run --loglevel=warning $kernel
expect_line '^memory 268435456 bytes$'
end

begin "the device tree that is dumped is the guest's"
guest --kernel $kernel --dump-dtb "$scratch/dtb"
expect_boot 0x4fe00000
expect_line "^tree at 0x4fe00000, $(wc -c <"$scratch/dtb") bytes\$"
expect [ "$(od -An -tx1 -N4 "$scratch/dtb" | tr -d ' ')" = d00dfeed ]
end
