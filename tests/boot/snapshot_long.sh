# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# ring: long
# files: tests/counting.sh tests/snapshot.sh
# images: small
# board: --mem 4G --timeout 7200
. tests/lib.sh
# shellcheck source=tests/counting.sh
. tests/counting.sh
# shellcheck source=tests/snapshot.sh
. tests/snapshot.sh

begin "Linux goes on from its snapshot 400 times in a row"
start wren --cpus 2
rounds 400
expect_nothing_left
end

begin "300 times with its disk at work"
truncate -s 16M "$scratch/disk"
counts=$counting_by_disk
start wren --cpus 2 --disk "$scratch/disk"
rounds 300 --disk "$scratch/disk"
expect_nothing_left
end

begin "a nest of two 150 times"
counts=$counting_inside
nested 2 768M 256M
rounds 150
expect_nothing_left
end

begin "with four vCPUs 100 times"
nested 4 768M 256M
rounds 100
expect_nothing_left
end
