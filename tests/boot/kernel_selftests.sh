# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# kernel: series-test
# programs: selftests
# board: --timeout 1800
# ring: kernel
. tests/lib.sh
exec </dev/null

# The selftests that the patches of kernel/ add to KVM's, or those that $selftests names.
for selftest in ${selftests:-$(ls "$NIDUS_SELFTESTS")}; do
	selftest=$NIDUS_SELFTESTS/$selftest
	# Not all in the directory is a selftest, but what is named has to be there.
	[ -x "$selftest" ] || [ -n "${selftests-}" ] || continue
	begin "KVM's selftest ${selftest##*/}"
	"$selftest" >"$console" 2>"$messages"
	status=$?
	if [ $status = 4 ]; then
		skip "$(grep -h '^1..0 # SKIP' "$console" "$messages" | sed 's/^1..0 # SKIP - //')"
		continue
	fi
	expect_status 0
	expect_no_report
	end
done
