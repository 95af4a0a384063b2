# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# kernel: series-test
# board: --smp 2 --mem 4G --timeout 1500
# files: build/programs
# ring: kernel
. tests/lib.sh
exec </dev/null
PATH=$PWD/build/programs:$PATH

# Pages of a guest hypervisor are taken from it all the time while its guest computes with them. What a shadow
# stage-2 MMU went on mapping would be somebody else's memory.

plan=$scratch/plan
stats=$scratch/stats

# stat NAME: KVM's statistic of the VM or the sum of those of its vCPUs, as level 1's nidus tells it now.
stat() {
	rm -f "$stats"
	kill -USR1 "$nidus"
	wait_for '^}' "$stats"
	sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$stats" | awk '{ n += $1 } END { print n + 0 }'
}

# What is the same each time is read and written over and over again; the rounds are told.
cat >"$scratch/work" <<'END'
cd /tmp
head -c 8000000 /dev/urandom >a
sum=$(md5sum <a)
for round in 1 2 3 4 5 6 7 8; do
	cp a b
	cp b a
	[ "$(md5sum <a)" = "$sum" ] && echo "round $round is good"
done
END

cat >"$plan" <<END
levels = (
	{ memory = "1G"; cpus = 2; options = "--mem-backing memfd --stats $stats"; },
	{ memory = "256M"; cpus = 2; file = [ "/bin/busybox", "$scratch/work:/work" ]; command = "busybox sh /work"; }
);
END
nidus nest --kernel "$NIDUS_KERNEL" --time-limit 3600 "$plan" >"$console" 2>"$messages" &
nest=$!
wait_for '^level 2: up' "$messages"
nidus=$(ram_owner)

seed=0 evicted=0
while evict "$nidus" 200 $seed >"$scratch/evicted" 2>/dev/null; do
	punch "$nidus" 10 2>/dev/null
	evicted=$((evicted + $(sed -n 's/^evict: \([0-9]*\) pages/\1/p' "$scratch/evicted")))
	[ $seed != 40 ] || partial=$(stat nested_s2_unmap_partial) full=$(stat nested_s2_unmap_full)
	seed=$((seed + 1))
done
wait "$nest"
status=$?

begin "a nested guest computes rightly while $evicted pages are taken from its hypervisor"
expect_status 0
expect [ "$(grep -c '^round [0-9] is good' "$console")" = 8 ]
expect [ "$evicted" -gt 2000 ]
expect [ "${partial:-0}" -gt 100 ]
end
echo "# nested_s2_unmap_partial $partial, nested_s2_unmap_full $full"

begin "the host's kernel has nothing to say about it"
expect_no_report
end
