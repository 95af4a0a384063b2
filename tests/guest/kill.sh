# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

# Signals and moments are drawn anew each time; a failure names them.
random() {
	echo $(($(od -An -tu2 -N2 /dev/urandom) % $1))
}

# number_of DIRECTORY: entries below it.
number_of() {
	find "$1" | wc -l
}

begin "50 signals at any moment leave nothing behind"
stats=$scratch/stats
files=$(($(number_of "$scratch") + 1))
round=0
while [ $((round += 1)) -le 50 ]; do
	case $(random 4) in
	0) signal=TERM wanted=143 ;;
	1) signal=INT wanted=130 ;;
	2) signal=HUP wanted=129 ;;
	3) signal=KILL wanted=137 ;;
	esac
	moment=$(random 300)
	rm -f "$stats"
	nidus run --kernel build/guest/busy.bin --mem 64M --cpus 2 --stats "$stats" \
		--dump-dtb /dev/null </dev/null >"$console" 2>"$messages" &
	# What a shell starts in the background ignores SIGINT, until nidus takes care of it.
	until [ "$signal" != INT ] || grep -q 'SigBlk:.*[1-9a-f]' "/proc/$!/status"; do
		:
	done
	usleep $((moment * 1000))
	kill -"$signal" $!
	wait $! 2>/dev/null
	status=$?
	[ "$status" = "$wanted" ] || complain "SIG$signal after $moment ms: status $status"
	[ ! -s "$messages" ] || complain "SIG$signal after $moment ms: $(cat "$messages")"
	[ ! -d "/proc/$!" ] || complain "SIG$signal after $moment ms: it is still there"
	if [ "$signal" = KILL ]; then
		rm -f "$stats".*
	elif [ -s "$console" ]; then
		grep -q '"outcome": "killed"' "$stats" ||
			complain "SIG$signal after $moment ms: no statistics"
	fi
	: >"$stats"
	[ "$(number_of "$scratch")" -le "$files" ] ||
		complain "SIG$signal after $moment ms: left $(ls "$scratch")"
done
end

# The pipe is full to begin with; the guest fills nidus's buffer, and there its vCPU waits.
begin "a guest whose output nobody takes can be asked for statistics, and ended"
mkfifo "$scratch/pipe"
exec 3<>"$scratch/pipe"
head -c 65536 /dev/zero >&3
nidus run --kernel build/guest/busy.bin --mem 64M --cpus 2 --stats "$stats" \
	</dev/null >"$scratch/pipe" 2>"$messages" &
until grep -q 'SigBlk:.*[1-9a-f]' "/proc/$!/status"; do
	:
done
written=0
tries=0
until [ "$written" -ge 16384 ] || [ $((tries += 1)) -gt 600 ]; do
	usleep 100000
	kill -USR1 $!
	written=$(tr -d ' \n' <"$stats" | grep -o '"writes":[0-9]*,[^}]*"UARTDR"' | grep -o '[0-9]*' | head -n 1)
	written=${written:-0}
done
expect [ "$written" -ge 16384 ]
kill -TERM $!
wait $!
status=$?
exec 3>&-
expect_status 143
expect [ ! -s "$messages" ]
expect grep -q '"outcome": "killed"' "$stats"
end
