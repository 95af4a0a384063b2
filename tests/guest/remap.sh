# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# board: --timeout 240
. tests/lib.sh

stats=$scratch/stats

begin "an access that is emulated is over when an invalidation is"
limit=150
guest --kernel build/guest/remap.bin --mem 64M --cpus 6
expect_status 0
expect_line '^remap: all [0-9]+ checks hold$'
refuse_line 'external abort'
end

# start CPUS MODE: in the background, with its console where our standard output is.
start() {
	nidus run --kernel build/guest/remap.bin --mem 64M --cpus "$1" --params "$2" \
		--stats "$stats" </dev/null 2>"$messages" &
	until grep -q 'SigBlk:.*[1-9a-f]' "/proc/$!/status"; do
		:
	done
}

# number SED: what the expression finds in the statistics of the nidus in the background, or 0.
number() {
	rm -f "$stats"
	kill -USR1 $!
	until [ -s "$stats" ]; do
		usleep 10000
	done
	found=$(tr -d ' \n' <"$stats" | sed -n "$1" | head -n 1)
	echo "${found:-0}"
}

# wait_beyond SED NUMBER: for so much; sets reached.
wait_beyond() {
	tries=0
	until reached=$(number "$1") && [ "$reached" -gt "$2" ]; do
		if [ $((tries += 1)) -gt 300 ]; then
			complain "no more than $reached, waiting for $2: $1"
			return
		fi
		usleep 100000
	done
}

pairs='s/.*"emulated":{[^}]*"pair":\([0-9]*\).*/\1/p'
written='s/.*"writes":\([0-9]*\),[^}]*"UARTDR".*/\1/p'
clock='s/.*"reads":\([0-9]*\),[^}]*"RTCDR".*/\1/p'

begin "it can be ended at any moment meanwhile"
for moment in 10 100 200 300 400 500 600 700 800 900; do
	start 5 endless >"$console"
	usleep $((moment * 1000))
	kill -TERM $!
	wait $!
	status=$?
	[ "$status" = 143 ] || complain "after $moment ms: status $status"
done
end

# Nobody reads the pipe, which is full to begin with.
mkfifo "$scratch/pipe"
exec 3<>"$scratch/pipe"
head -c 65536 /dev/zero >&3

begin "a vCPU that waits for the console holds nobody up"
start 4 flood >"$scratch/pipe"
wait_beyond "$written" 16383
wait_beyond "$pairs" $(($(number "$pairs") + 200))
kill -TERM $!
wait $!
status=$?
expect_status 143
end

begin "nor does one that waits in the middle of a pair"
start 4 console >"$scratch/pipe"
wait_beyond "$written" 16383
wait_beyond "$clock" $(($(number "$clock") + 200))
kill -TERM $!
wait $!
status=$?
exec 3>&-
expect_status 143
end
