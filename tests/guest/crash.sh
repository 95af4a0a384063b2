# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

kernel="--kernel build/guest/crash.bin --mem 64M"

begin "what a guest does wrong to itself ends nothing"
# shellcheck disable=SC2086	# words
guest $kernel
expect_status 0
expect_line '^crash: all [0-9]+ checks hold$'
end

# nisv FATE: the member "nisv" of the statistics, without blanks, has it.
nisv() {
	tr -d ' \n' <"$scratch/stats" | grep -qF "$1"
}

for how in ldp:pair stp:pair writeback:single; do
	begin "an access that the CPU does not describe is emulated (${how%:*})"
	# shellcheck disable=SC2086
	guest $kernel --params "${how%:*}" --stats "$scratch/stats"
	expect_status 0
	expect_line '^went on$'
	expect [ ! -s "$messages" ]
	expect nisv "\"nisv\":{\"emulated\":{\"${how#*:}\":1},\"aborted\":{},\"retried\":0}"
	expect nisv '"arm_nisv":1'
	expect_nothing_left
	end
done

# With --nisv abort whatever it is, else what is refused: name, class and options.
for how in ldp:not_decoded:--nisv=abort stp:not_decoded:--nisv=abort exclusive:exclusive:; do
	way=${how%%:*} class=${how#*:}
	begin "an access that is not emulated gives the guest an external abort ($way)"
	# shellcheck disable=SC2086
	guest $kernel --params "$way" --stats "$scratch/stats" ${class#*:}
	expect_status 0
	where=$(sed -n 's/^crashing at //p' "$console")
	expect_line "^not ok - exception of kind 0 at ${where:-unknown}, ESR 0x96[0-9a-f]{4}10, "
	refuse_line '^went on$'
	expect_one_message
	expect_line "^nidus: warning: vCPU 0: external abort for the instruction at PC ${where:-unknown} "
	expect nisv "\"nisv\":{\"emulated\":{},\"aborted\":{\"${class%%:*}\":1},\"retried\":0}"
	expect_nothing_left
	end
done

# centiseconds: since the machine started.
centiseconds() {
	sed 's/\.\(..\).*/\1/; s/^0*\(.\)/\1/' /proc/uptime
}

for how in wait spin; do
	for signal in TERM:143 INT:130 HUP:129; do
		begin "SIG${signal%:*} ends a guest at once that would never end ($how)"
		: >"$console"
		# shellcheck disable=SC2086
		interrupted "${signal%:*}" "wait_for waiting $console; centiseconds >$scratch/before" \
			nidus run $kernel --cpus 2 --params "$how"
		before=$(cat "$scratch/before")
		after=$(centiseconds)
		expect_status "${signal#*:}"
		expect [ $((after - before)) -lt 100 ]
		expect [ ! -s "$messages" ]
		expect_nothing_left
		end
	done
done
