# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

# A kernel that counts TLBIs is one that traps them if asked (tests/boot/kernel_tlbi.sh).
debugfs=/sys/kernel/debug
[ -d $debugfs/kvm ] || mount -t debugfs debugfs $debugfs

for policy in all precise precise,shareable; do
	begin "a stock kernel that cannot trap TLBIs is told so ($policy)"
	if [ -e $debugfs/kvm/tlbi ]; then
		skip "this kernel can"
		continue
	fi
	guest --kernel build/guest/timer.bin --mem 64M --trap-tlbi $policy
	expect_status 3
	expect_one_message
	expect_line "^nidus: error: --trap-tlbi: this host's KVM cannot"
	expect [ ! -s "$console" ]
	expect_nothing_left
	end
done

begin "guests run with --trap-tlbi off"
guest --kernel build/guest/timer.bin --mem 64M --trap-tlbi off
expect_status 0
end

# look ARGUMENT...: nidus tlbi.
look() {
	nidus tlbi "$@" >"$console" 2>"$messages"
	status=$?
}

begin "nidus tlbi says who is not there, and who has nothing to show"
look 2147483647
expect_status 2
expect_one_message
expect_line '^nidus: error: 2147483647: there is no such process'
look nobody
expect_status 2
expect_one_message
expect_line '^nidus: error: nobody: no guest has that name'
look $$
expect_status 3
expect_one_message
expect_line "^nidus: error: $$: shows no statistics"
end

begin "nidus tlbi says that a stock kernel does not count TLBIs"
nidus run --kernel build/guest/busy.bin --mem 64M --cpus 2 --name sparrow --stats "$scratch/stats" </dev/null >/dev/null 2>&1 &
busy=$!
for _ in $(seq 100); do
	grep -qx 'sparrow/0' /proc/$busy/task/*/comm 2>/dev/null && break
	usleep 100000
done
if [ -e $debugfs/kvm/tlbi ]; then
	skip "this kernel does"
else
	look sparrow
	expect_status 3
	expect_one_message
	expect_line "^nidus: error: sparrow: this host's KVM does not count TLBIs"
	end
fi
kill $busy
wait $busy || :
