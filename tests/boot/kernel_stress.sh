# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# kernel: series
# board: --mem 4G --append init_on_free=1 --timeout 7200
# files: build/programs
# ring: kernel-long
. tests/lib.sh
exec </dev/null
PATH=$PWD/build/programs:$PATH

# Nested guests of two vCPUs come and go, while the host takes the guest hypervisor's memory away and gives it back.
# For $NIDUS_STRESS_MINUTES. What the host has freed it clears, so that who still uses it finds out.
minutes=${NIDUS_STRESS_MINUTES:-15}
plan=$scratch/plan
rounds=$scratch/rounds

# What level 1 does. Every other nested guest is killed, at a time of its own; the others verify their memory.
cat >"$rounds" <<'END'
alias sleep='busybox sleep' killall='busybox killall'
round=0
while :; do
	round=$((round + 1))
	nidus nest --kernel /kernel --depth 1 --time-limit 600 --mem 256M --cpus 2 --file /bin/verify \
		-- verify 48 4 >/tmp/out 2>&1 &
	if [ $((round % 2)) = 0 ]; then
		sleep $((RANDOM % 12))
		killall -KILL nidus
		wait
		echo "round $round: killed"
	elif wait $! && busybox grep -q '^verify: 2 threads, 4 passes, all right' /tmp/out; then
		echo "round $round: right"
	else
		echo "round $round: WRONG"
		busybox cat /tmp/out
	fi
done
END
cat >"$plan" <<END
levels = (
	{
		memory = "1G";
		cpus = 2;
		options = "--nested --mem-backing memfd";
		file = [
			"/bin/busybox", "$PWD/build/nidus:/bin/nidus", "$PWD/build/programs/verify:/bin/verify",
			"$NIDUS_KERNEL:/kernel", "$rounds:/rounds"
		];
		command = "busybox sh /rounds";
	}
);
END

begin "$minutes minutes of nested guests that come and go, on memory that does"
nidus nest --kernel "$NIDUS_KERNEL" --time-limit $((minutes * 60 + 600)) "$plan" >"$console" 2>"$messages" &
nest=$!
wait_for '^level 1: up' "$messages"
nidus=$(ram_owner)
until=$(($(date +%s) + minutes * 60))
moved=0
while [ "$(date +%s)" -lt $until ] && kill -0 $nest 2>/dev/null; do
	punch "$nidus" 5 2>>"$messages"
	some=$(punch "$nidus" 4 move 2>>"$messages" | sed -n 's/punch: \([0-9]*\) of .*/\1/p')
	moved=$((moved + ${some:-0}))
	# A block takes some hundred MMU notifier events. Guests have to get on in between.
	usleep 500000
done
kill $nest
wait $nest
status=$?
expect_status 143
refuse_line 'WRONG'
refuse_line 'WARNING: |BUG: |Oops'
right=$(grep -c '^round [0-9]*: right' "$console")
killed=$(grep -c '^round [0-9]*: killed' "$console")
name="$name: $right were right, $killed killed, $moved blocks of 2 MiB moved"
expect [ "$right" -ge $((minutes / 5 + 1)) ]
expect [ "$killed" -ge 1 ]
expect [ "$moved" -ge $((minutes * 10)) ]
expect_no_report
end
