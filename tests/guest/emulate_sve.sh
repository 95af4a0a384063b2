# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# files: build/vm
# board: --mops --timeout 240
# kernel: debian
. tests/lib.sh

# The same as emulate.sh with SVE, whose registers KVM keeps in another way.
build/vm/emulate 2 2500 2>"$messages" || failed=1
sed 's/^/    message: /' "$messages" | grep -v 'external abort for' | head -n 20
begin "vCPUs had SVE"
build/vm/emulate 3 1 >"$console" 2>"$messages"
expect_line '^SVE: yes'
end
