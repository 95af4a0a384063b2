# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# kernel: series-test
# board: --timeout 300
. tests/lib.sh

# The KUnit tests of kernel/ have run when the board is up: what they say is in its log.

ktap=$scratch/ktap
dmesg | sed 's/^\[[^]]*\] //' | sed -n '/^KTAP version/,$p' >"$ktap"
grep -E '^ *(ok|not ok|#) ' "$ktap" >"$console"

# suite NAME CASES: all of them are there, and pass.
suite() {
	begin "KUnit: $1"
	expect [ "$(sed -n "/# Subtest: $1\$/,/ok [0-9]* $1\$/p" "$ktap" | grep -cE '^ {4}ok [0-9]+ [a-z_0-9]+$')" = "$2" ]
	expect grep -qE "^ok [0-9]+ $1\$" "$ktap"
	end
}

suite kvm_arm64_nested_revmap 9
suite kvm_arm64_pgtable_collapse 11

begin "KUnit: no test fails"
expect grep -q '^ok ' "$ktap"
expect [ "$(grep -cE '^ *not ok ' "$ktap")" = 0 ]
end
