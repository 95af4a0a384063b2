# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# ring: long
# files: tests/counting.sh tests/snapshot.sh
# images: small
# board: --icount --mem 4G --timeout 3600
. tests/lib.sh
# shellcheck source=tests/counting.sh
. tests/counting.sh
# shellcheck source=tests/snapshot.sh
. tests/snapshot.sh

begin "a nest of three goes on from its snapshot 50 times in a row"
counts=$counting_inside
nested 1 1280M 768M 256M
rounds 50
expect_nothing_left
end
