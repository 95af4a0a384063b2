# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# kernel: series-test
# board: --icount --mem 4G --lpa2 --timeout 900
# files: build/programs
. tests/lib.sh
exec </dev/null
PATH=$PWD/build/programs:$PATH

# What kernel/ is for, on a host with its patches and an IPA space of 52 bits. Bars are in instructions; what they are
# to be compared with is in docs/kernel-series.md.

plan=$scratch/plan
stats=$scratch/stats
trace=/sys/kernel/tracing
[ -d "$trace/events" ] || mount -t tracefs tracefs "$trace"

count() {
	sed -n "s/^ICNT $1 //p" "$console"
}

# stat NAME: KVM's statistic of the VM, as level 1's nidus tells it now.
stat() {
	rm -f "$stats"
	kill -USR1 "$nidus"
	wait_for '^}' "$stats"
	sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$stats"
}

nest() {
	"$@" nidus nest --kernel "$NIDUS_KERNEL" --depth 2 >"$console" 2>"$messages"
	status=$?
}

nest env
nest icnt
begin "a nest of two levels at 52 bits takes $(count host) instructions of the host"
expect_status 0
expect [ "$(count host)" -le 60000000 ]
end

# Writes of MDSCR_EL1, and TLBIs (Op0 is 1, CRn 8 or 9) at all, that KVM handled outside its fast path.
echo 'hist:keys=Op0,CRm,Op2 if (Op0 == 1 && CRn >= 8) || (Op0 == 2 && CRn == 0 && CRm == 2)' >"$trace/events/kvm/kvm_sys_access/trigger"
nest env
cp "$trace/events/kvm/kvm_sys_access/hist" "$console"
begin "hardly a TLBI and no access to MDSCR_EL1 of a guest hypervisor makes KVM exit"
expect_status 0
expect [ "$(sed -n 's/^{ Op0: *1,.*hitcount: *//p' "$console" | awk '{ n += $1 } END { print n + 0 }')" -le 20 ]
expect [ "$(sed -n 's/^{ Op0: *2,.*hitcount: *//p' "$console" | awk '{ n += $1 } END { print n + 0 }')" -le 40 ]
end

debug=$PWD/build/programs/debug
cat >"$plan" <<END
levels = (
	{ memory = "768M"; file = [ "$debug:/debug" ]; command = "/debug"; },
	{ memory = "256M"; file = [ "$debug:/debug" ]; command = "/debug"; }
);
END
begin "processes of a guest hypervisor and of its guest can be single-stepped, and their writes watched"
nidus nest --kernel "$NIDUS_KERNEL" "$plan" >"$console" 2>"$messages"
status=$?
expect_status 0
expect [ "$(grep -c '^debug: 100 steps, 100 hits' "$console")" = 2 ]
end

cat >"$plan" <<END
levels = (
	{ memory = "1G"; options = "--mem-backing memfd --stats $stats"; },
	{ memory = "256M"; file = [ "/bin/busybox" ]; command = "busybox sleep 1000000"; }
);
END
nidus nest --kernel "$NIDUS_KERNEL" "$plan" >"$console" 2>"$messages" &
nest=$!
wait_for '^level 2: up' "$messages"
nidus=$(ram_owner)

# What differs between one event and 1001 is 1000 events.
icnt punch "$nidus" 1 >"$scratch/icnt"
one=$(sed -n 's/^ICNT host //p' "$scratch/icnt")
before=$(stat nested_s2_unmap_full)
icnt punch "$nidus" 1001 >"$scratch/icnt"
cost=$((($(sed -n 's/^ICNT host //p' "$scratch/icnt") - one) / 1000))
after=$(stat nested_s2_unmap_full)
begin "taking a page from a guest hypervisor with a live guest costs $cost instructions"
expect [ "$one" -gt 0 ]
expect [ "$cost" -gt 1000 ]
expect [ "$cost" -le 60000 ]
end

begin "nothing is unmapped from a guest that has not used it, and KVM's statistics say so"
expect [ -n "$before" ]
expect [ "$after" = "$before" ]
expect [ "$(stat shadow_s2_fault)" -gt 100 ]
for statistic in nested_s2_unmap_partial nested_s2_wp shadow_mmu_recycle revmap_overflow; do
	expect [ "$(stat $statistic)" -ge 0 ]
done
end

icnt sh -c "kill $nest; while [ -e /proc/$nest/exe ]; do usleep 50000; done" >"$scratch/icnt"
cost=$(sed -n 's/^ICNT host //p' "$scratch/icnt")
begin "ending it costs $cost instructions"
expect [ "$cost" -le 80000000 ]
end
