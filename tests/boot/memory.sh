# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --timeout 900
# files: bench/resident.awk
. tests/lib.sh

limit=200

# What guest RAM is made of.

for backing in anon memfd; do
	begin "Linux boots on RAM of $backing"
	linux --mem 128M --mem-backing $backing
	expect_status 0
	expect_line '^nidus guest: up'
	end
done

begin "without huge pages set aside, RAM of them is refused at once"
linux --mem 128M --mem-backing hugetlbfs
expect_status 3
expect_one_message
expect_line 'guest RAM of 128 MiB: .*huge pages'
end

echo 80 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
mkdir "$scratch/huge"
mount -t hugetlbfs hugetlbfs "$scratch/huge"

for option in "--mem-backing hugetlbfs" "--hugetlbfs $scratch/huge"; do
	begin "Linux boots on huge pages: $option"
	# shellcheck disable=SC2086	# an option and its argument
	linux --mem 128M $option
	expect_status 0
	expect_line '^nidus guest: up'
	expect [ "$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages)" = 80 ]
	expect [ -z "$(ls -A "$scratch/huge")" ]
	end
done

begin "more RAM than there are huge pages is refused as the host's fault"
linux --mem 256M --hugetlbfs "$scratch/huge"
expect_status 3
expect_one_message
expect_line 'guest RAM of 256 MiB: .*huge pages'
end

umount "$scratch/huge"
mount -t hugetlbfs -o pagesize=32M hugetlbfs "$scratch/huge"

begin "RAM that is no multiple of the huge pages is a mistake of who calls"
linux --mem 65M --hugetlbfs "$scratch/huge"
expect_status 2
expect_one_message
expect_line "guest RAM of 65 MiB is no multiple of the 32 MiB huge pages"
linux --mem 65M --mem-backing hugetlbfs
expect_status 2
expect_line "guest RAM of 65 MiB is no multiple of the 2 MiB huge pages"
end

begin "a multiple of them that the host has not set aside is the host's fault"
linux --mem 64M --hugetlbfs "$scratch/huge"
expect_status 3
expect_one_message
end

umount "$scratch/huge"
for directory in "$scratch" "$scratch/missing" "$NIDUS_INITRD"; do
	begin "what is no hugetlbfs mount is refused: ${directory#"$scratch"}"
	linux --mem 128M --hugetlbfs "$directory"
	expect_status 2
	expect_one_message
	expect_line "--hugetlbfs $directory: "
	end
done

echo 0 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages

# The host does not give huge pages to RAM that others may map, by default, and nidus asks for some.

begin "shared RAM has huge pages where it is used first, and no more"
expect grep -q '\[never\]' /sys/kernel/mm/transparent_hugepage/shmem_enabled
nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --mem 512M --mem-backing memfd --loglevel info \
	--params "console=ttyAMA0 quiet -- sleep 1000" </dev/null >"$console" 2>"$messages" &
wait_for '^nidus guest: up' "$console"
huge=$(awk '$1 == "ShmemHugePages:" { print $2 / 1024 }' /proc/meminfo)
expect [ "$huge" -ge 40 ]
expect [ "$huge" -le 64 ]
expect_line 'shmem_enabled is never'
kill $!
wait $!
end

# What nidus itself takes: all that is resident but guest RAM, the program's own pages included.

begin "a plain guest takes less than 1,024 KiB beside its RAM"
nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --mem 512M --console virtio \
	--params "console=hvc0 quiet -- sleep 1000" </dev/null >"$console" 2>"$messages" &
wait_for '^nidus guest: up' "$console"
resident=$(awk -v ram=$((512 * 1024)) -f bench/resident.awk "/proc/$!/smaps")
# A nidus without its threads and the program would be no measurement.
expect [ "$resident" -gt 300 ]
expect [ "$resident" -lt 1024 ]
kill $!
wait $!
end
