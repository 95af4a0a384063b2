# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# kernel: debian
# board: --mte
. tests/lib.sh

features() {
	guest --kernel build/guest/features.bin --mem 64M "$@"
	expect_status 0
	expect_line '^features: all 1 checks hold$'
	expect [ ! -s "$messages" ]
}

# has FEATURE: whether the host's CPU and kernel have it.
has() {
	grep -Eq "^Features.* $1( |\$)" /proc/cpuinfo
}

begin "a guest gets SVE and pointer authentication as far as the host has them"
features
if has sve; then expect_line '^sve=0x1$'; else expect_line '^sve=0x0$'; fi
if has paca; then expect_line '^ptrauth=0x1$'; else expect_line '^ptrauth=0x0$'; fi
longest=$(sed -n 's/^sve_bits=//p' "$console")
end

begin "--sve-max-vl limits the vectors"
if has sve && [ "$((longest))" -gt 256 ]; then
	features --sve-max-vl 256
	expect_line '^sve_bits=0x100$'
	features --sve-max-vl 128
	expect_line '^sve_bits=0x80$'
	end
else
	skip "this host has no SVE vectors of more than 256 bits"
fi

begin "a guest has a PMU with --pmu only"
features
expect_line '^pmuver=0x0$'
features --pmu
expect_line '^pmuver=0x[1-9a-e]$'
end

begin "a guest has memory tagging with --mte only, and as lkvm where the host has it"
if has mte; then
	features
	expect_line '^mte=0x0$'
	features --mte
	expect_line '^mte=0x[23]$'
	features --mte --mem-backing memfd
	expect_line '^mte=0x[23]$'
	features --mte --disable-mte
	expect_line '^mte=0x0$'
	lkvm="$scratch/lkvm"
	ln -s "$(command -v nidus)" "$lkvm"
	"$lkvm" run -n mode=none -k build/guest/features.bin </dev/null >"$console" 2>/dev/null
	expect_line '^mte=0x[23]$'
	"$lkvm" run -n mode=none --disable-mte -k build/guest/features.bin </dev/null >"$console" 2>/dev/null
	expect_line '^mte=0x0$'
	end
else
	features --mte
	expect_status 3
	expect_one_message
	end
fi

begin "a guest is told about stolen time unless with --no-pvtime"
features
expect_line '^pv_time_features=0x0$'
expect_line '^pv_time_st=0x90a0000$'
features --no-pvtime
expect_line '^pv_time_features=0xffffffff$'
expect_line '^pv_time_st=0xffffffffffffffff$'
end
