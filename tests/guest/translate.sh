# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# files: build/vm
. tests/lib.sh

# Figures of the last line: DONE AGAIN FAIL EXECUTED NOT_EXECUTED. Each kind has to have occurred.
enough() {
	tail -n 1 "$console" | tr -dc '0-9 \n' | awk -v least="$1" '{
		for (i = NF - 4; i <= NF; i++)
			if ($i < least)
				exit 1
	}'
}

# against WHOM MODE: begin to end.
against() {
	begin "translation of addresses agrees with $1"
	timeout -s KILL 60 build/vm/translate "$2" 200 >"$console" 2>"$messages"
	status=$?
	if [ $status = 77 ]; then
		skip "$(tail -n 1 "$console")"
		return
	fi
	expect_status 0
	expect enough 100
	end
}

against "the CPU, at EL1 and EL0" el1
against "the CPU and KVM, at EL2 with VHE" el2-e2h
against "the CPU and KVM, at EL2 without VHE" el2
