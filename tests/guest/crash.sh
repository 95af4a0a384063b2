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

for how in ldp stp writeback; do
	begin "an access that KVM cannot emulate ends the run and names the instruction ($how)"
	# shellcheck disable=SC2086
	guest $kernel --params "$how" --stats "$scratch/stats"
	expect_status 1
	expect_one_message
	where=$(sed -n 's/^crashing at //p' "$console")
	expect_line "^nidus: error: vCPU 0: the instruction at PC ${where:-unknown} "
	refuse_line '^went on$'
	expect grep -q '"outcome": "crashed"' "$scratch/stats"
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
		# shellcheck disable=SC2086
		nidus run $kernel --cpus 2 --params "$how" </dev/null >"$console" 2>"$messages" &
		tries=0
		until grep -q waiting "$console" || [ $((tries += 1)) -gt 600 ]; do
			usleep 50000
		done
		before=$(centiseconds)
		kill -"${signal%:*}" $!
		wait $!
		status=$?
		after=$(centiseconds)
		expect_status "${signal#*:}"
		expect [ $((after - before)) -lt 100 ]
		expect [ ! -s "$messages" ]
		expect_nothing_left
		end
	done
done
