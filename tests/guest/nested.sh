# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

# What the kernel has complained about.
warnings() {
	dmesg | grep -cE 'WARNING:|BUG:|Oops|Call trace|stall|Unsupported FSC'
}

available() {
	sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo
}

# The second word is a payload, the others are its parameters and options of nidus.
hypervisor() {
	payload=$1
	parameters=$2
	shift 2
	guest --kernel "build/guest/$payload.bin" --mem 64M --nested --params "$parameters" "$@"
}

expect_all_hold() {
	expect_status 0
	expect_line "^$payload: all [0-9]+ checks hold\$"
	expect_nothing_left
}

expect_silence() {
	expect [ ! -s "$messages" ]
}

warnings_before=$(warnings)
begin "guests that are hypervisors"
hypervisor el2 ""
if [ "$status" = 3 ]; then
	skip "$(cat "$messages")"
	exit
fi
available_before=$(available)

while read -r payload cpus what; do
	for e2h0 in "" e2h0; do
		begin "$what${e2h0:+, without VHE}"
		hypervisor "$payload" "$e2h0" --cpus "$cpus" ${e2h0:+--e2h0}
		if [ "$status" = 3 ] && grep -q -- '--e2h0 cannot be had' "$messages"; then
			skip "$(cat "$messages")"
			continue
		fi
		expect_all_hold
		expect_silence
		end
	done
done <<-END
	el2 1 an EL2 with what belongs to it
	el2_fault 1 a guest behind a stage 2 of its hypervisor, and its faults
	el2_tlbi 1 every TLBI after which a guest has to see another page
	el2_timer 1 timers of a hypervisor and of its guest
	el2_gic 1 list registers and the maintenance interrupt
	el2_smp 2 two vCPUs with a guest each, which interrupt each other
END

begin "exception returns to states and places that there are not"
hypervisor el2_wreck returns
expect_all_hold
expect_silence
end

for how in loops leaves random; do
	begin "stage 2 tables overwritten while the guest runs ($how)"
	hypervisor el2_wreck $how --cpus 2
	expect_all_hold
	refuse_line '^nidus: error'
	end
done

# Of KVM's, see el2_wreck.c; with a host that gives the guest its abort the payload has to say what it got.
begin "a stage 2 table outside RAM ends the run"
hypervisor el2_wreck outside
expect_status 1
expect_one_message
expect_line '^nidus: error: vCPU 0: KVM_RUN: Bad address'
refuse_line '^not ok'
expect_nothing_left
end

begin "the machine is powered off while the other vCPU's guest runs"
hypervisor el2_wreck off --cpus 2
expect_status 0
refuse_line '^not ok'
expect_silence
expect_nothing_left
end

begin "nidus is killed while a hypervisor's guest runs"
for delay in 0 40 100; do
	: >"$console"
	nidus run --kernel build/guest/el2_wreck.bin --mem 64M --nested --cpus 2 --params endless \
		</dev/null >"$console" 2>"$messages" &
	tries=0
	until grep -q '^ok - the second vCPU begins' "$console" || [ $((tries += 1)) -gt 100 ]; do
		usleep 50000
	done
	usleep $((delay * 1000))
	kill -KILL $!
	wait $! 2>/dev/null
	status=$?
	expect_status 137
	expect_line '^ok - the second vCPU begins$'
	expect_nothing_left
done
end

begin "after all of that a nested guest runs as before"
hypervisor el2_fault ""
expect_all_hold
expect_silence
end

begin "and the host has its memory, and nothing to complain of"
tries=0
until [ "$(available)" -gt $((available_before - 16384)) ] || [ $((tries += 1)) -gt 50 ]; do
	usleep 100000
done
expect [ "$(available)" -gt $((available_before - 16384)) ]
expect [ "$(warnings)" -le "$warnings_before" ]
end
