# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# kernel: series-test
# board: --timeout 300
# files: build/programs
. tests/lib.sh
exec </dev/null

# --trap-tlbi and nidus tlbi, on a host with the patches of kernel/. What Linux invalidates is known in part: the loop of
# build/programs/invalidate takes the right to write from 16 pages, gives it back and unmaps them, and Linux invalidates
# each of them by its address, in ranges where the CPU has such instructions, or the ASID.

plan=$scratch/plan
stats=$scratch/stats
trace=/sys/kernel/tracing
[ -d "$trace/events" ] || mount -t tracefs tracefs "$trace"

# nest POLICY COMMAND: a guest of two vCPUs, one level deep.
nest() {
	cat >"$plan" <<-END
	levels = ( {
		memory = "256M"; cpus = 2; options = "--name sparrow --stats $stats --trap-tlbi $1";
		file = [ "$PWD/build/programs/invalidate" ]; command = "$2";
	} );
	END
	nidus nest --kernel "$NIDUS_KERNEL" "$plan" >"$console" 2>"$messages"
	status=$?
}

# counts INDICES: the sum of these of the values of tlbi (docs/stats.md), for each vCPU.
counts() {
	sed -n '/"tlbi": \[/,/\]/p' "$stats" | awk -v wanted=" $* " '
		/\[/ { i = n = 0; next }
		/\]/ { print n; next }
		{ if (index(wanted, " " i " ")) n += $1; i++ }'
}

# sum INDICES: the same of both vCPUs together.
sum() {
	counts "$@" | awk '{ n += $1 } END { print n + 0 }'
}

# least INDICES: the same of the vCPU that has fewest.
least() {
	counts "$@" | sort -n | head -n 1
}

any="0 1 2 3 4 5 6 7 8 9 10 11"
non_shareable="6 7 8 9 10 11"
user="1 2 4 7 8 10" # of an address space: by ASID, or by VA or range in one
rounds=300

# Handled outside of the fast path: TLBI is Op0 1, CRn 8 or 9.
event=$trace/events/kvm/kvm_sys_access
echo 'hist:keys=CRn if Op0 == 1 && CRn >= 8' >"$event/trigger"

begin "nothing traps with --trap-tlbi off"
nest off "invalidate mprotect $rounds"
expect_status 0
expect_line "^invalidate: mprotect, $rounds rounds"
expect [ "$(sum "$any")" = 0 ]
expect [ "$(counts "$any" | wc -l)" = 2 ]
expect [ "$(grep -c trap_tlbi "$stats")" = 0 ]
end

for policy in all precise; do
	begin "TLBIs of a guest are trapped and counted, and it runs as it should ($policy)"
	nest $policy "invalidate mprotect $rounds"
	expect_status 0
	expect_line "^invalidate: mprotect, $rounds rounds"
	expect [ "$(sum "$user")" -ge $((3 * rounds)) ]
	expect [ "$(sum "$non_shareable")" -gt 0 ]
	expect grep -q "\"trap_tlbi\": \"$policy\"" "$stats"
	end
done

begin "each vCPU has its own counted"
nest precise "invalidate mprotect $rounds 1"
expect_status 0
expect [ "$(least "$user")" -lt $((3 * rounds)) ]
nest precise "invalidate mprotect $rounds 2"
expect_status 0
expect_line "^invalidate: mprotect, $rounds rounds"
expect [ "$(least "$user")" -ge $((3 * rounds)) ]
end

begin "with shareable others do not trap"
nest precise,shareable "invalidate mprotect $rounds"
expect_status 0
expect_line "^invalidate: mprotect, $rounds rounds"
expect [ "$(sum "$user")" -ge $((3 * rounds)) ]
expect [ "$(sum "$non_shareable")" = 0 ]
end

begin "TLBIs are handled in the fast path"
cp "$event/hist" "$console"
expect_line '^ *Hits: 0$'
end
echo '!hist:keys=CRn if Op0 == 1 && CRn >= 8' >"$event/trigger"

begin "the tracepoint kvm_tlbi has what is counted"
event=$trace/events/kvm/kvm_tlbi
echo 'hist:keys=Op2' >"$event/trigger"
echo 1 >"$event/enable"
nest precise "invalidate mprotect $rounds"
expect_status 0
expect_line "^invalidate: mprotect, $rounds rounds"
cat "$event/hist" >>"$console"
expect_line "^ *Hits: $(sum "$any")\$"
echo 0 >"$event/enable"
echo '!hist:keys=Op2' >"$event/trigger"
# Nowhere a number that should be a name.
tail -n 100 "$trace/trace" >>"$console"
expect_line 'kvm_tlbi: PC: 0x[0-9a-f]{16} TLBI R?VA(L|A|AL)?E1IS, 0x'
refuse_line 'TLBI .*0x.*,'
end

begin "nidus tlbi shows a guest that runs, until it ends"
nest precise "invalidate fork 1000" &
nest=$!
for _ in $(seq 300); do
	nidus tlbi --once sparrow >"$scratch/once" 2>/dev/null && break
	usleep 100000
done
nidus tlbi --interval 0.5 sparrow >"$scratch/table" 2>"$scratch/complaints"
shown=$?
wait $nest
cp "$scratch/table" "$console"
cp "$scratch/complaints" "$messages"
expect [ $shown = 0 ]
expect [ ! -s "$messages" ]
expect_line '^vCPU +all +asid +va +va\* +range +range\* +local +sum$'
expect_line '^vCPU +all +asid +va +va\* +range +range\* +local +sum/s$'
expect_line '^0( +[0-9]+){8}$'
expect_line '^1( +[0-9]+){8}$'
expect [ "$(awk '/^sum/ && $NF > 0' "$console" | wc -l)" -ge 3 ]
expect [ "$(grep -c '^vCPU' "$scratch/once")" = 1 ]
end

begin "--trap-tlbi and --nested are not for the same guest"
guest --kernel build/guest/el2.bin --mem 64M --nested --trap-tlbi all
expect_status 2
expect_one_message
end
