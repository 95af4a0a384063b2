# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# files: tests/counting.sh tests/snapshot.sh
# images: small
# board: --icount --mem 4G --timeout 600
#
# Where time goes with instructions: by the clock on the wall, timers of three levels take longer than they are apart.
. tests/lib.sh
# shellcheck source=tests/counting.sh
. tests/counting.sh
# shellcheck source=tests/snapshot.sh
. tests/snapshot.sh

begin "a nest of three, counting, goes on 8 times"
counts=$counting_inside
nested 1 1280M 768M 256M
rounds 8
expect_nothing_left
end
