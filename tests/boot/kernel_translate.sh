# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# kernel: series-test
# board: --mops --timeout 600
# files: build/vm
. tests/lib.sh

# Looking at the guest, on a host whose KVM has KVM_TRANSLATE: it and nidus's own walk say the same of random tables.

# agreed LEAST: how often they were compared.
agreed() {
	[ "$(sed -n 's/^KVM_TRANSLATE agrees \([0-9]*\) times$/\1/p' "$console")" -ge "$1" ]
}

for mode in el1 el2-e2h el2 nested; do
	begin "KVM_TRANSLATE says what nidus's own walk does ($mode)"
	timeout -s KILL 120 build/vm/translate $mode 200 >"$console" 2>"$messages"
	status=$?
	expect_status 0
	expect agreed 10000
	end
done

# With the instruction and addresses by KVM; the lines are those of the test itself.
build/vm/emulate 1 1000 2>"$messages" || failed=1
sed 's/^/    message: /' "$messages" | grep -v 'external abort for' | head -n 20
