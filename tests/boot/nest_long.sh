# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --icount --mem 6G --timeout 1200
# ring: long
. tests/lib.sh
exec </dev/null

nest() {
	timeout -s KILL 900 nidus nest --kernel "$NIDUS_KERNEL" --time-limit 3600 "$@" >"$console" 2>"$messages"
	status=$?
}

for round in $(seq 20); do
	begin "nest $round of 20 in a row"
	nest --depth 2 --cpus $((round % 2 + 1))
	expect_status 0
	expect_nothing_left
	end
done

begin "three levels, each hypervisor's kernel with nested virtualization"
nest --depth 3
expect_status 0
for level in 1 2 3; do
	expect_line "^level $level: up after "
done
expect_nothing_left
end

# KVM offers an EL2 without VHE only where it runs at a real EL2 itself.
begin "three levels, the last hypervisor without VHE: level 1 says that it cannot"
echo 'levels = ( { memory = "2G"; }, { memory = "1G"; options = "--e2h0"; }, { memory = "256M"; } );' >"$scratch/plan"
nest "$scratch/plan"
expect_status 1
expect_line 'level 1: --nested: the host.s CPU gives EL2 only with VHE: --e2h0 cannot be had'
expect_line '^nidus: error: level 2 could not be started \(status 3\)'
expect_nothing_left
end
