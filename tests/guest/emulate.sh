# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# files: build/vm
# board: --mops --timeout 240
. tests/lib.sh

# Thousands of random loads and stores, on RAM by the CPU and on a device by nidus.
build/vm/emulate 1 2500 2>"$messages" || failed=1
sed 's/^/    message: /' "$messages" | grep -v 'external abort for' | head -n 20
