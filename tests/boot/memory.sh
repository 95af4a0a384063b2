# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
. tests/lib.sh

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

begin "a directory that is no hugetlbfs mount is refused"
linux --mem 128M --hugetlbfs "$scratch"
expect_status 3
expect_one_message
expect_line "not a hugetlbfs mount"
end

umount "$scratch/huge"
echo 0 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
