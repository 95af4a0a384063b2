# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# board: --no-nested
. tests/lib.sh

for options in --nested "--nested --e2h0"; do
	begin "a host without kvm-arm.mode=nested is told so ($options)"
	# shellcheck disable=SC2086	# words
	guest --kernel build/guest/el2.bin --mem 64M $options
	expect_status 3
	expect_one_message
	expect_line '^nidus: error: --nested: .*kvm-arm.mode=nested'
	expect [ ! -s "$console" ]
	expect_nothing_left
	end
done

begin "its plain guests run"
guest --kernel build/guest/timer.bin --mem 64M
expect_status 0
end
