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

# wait_until_blocked PID: nidus takes care of signals from then on.
wait_until_blocked() {
	until grep -q 'SigBlk:.*[1-9a-f]' "/proc/$1/status"; do
		:
	done
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
	interrupted "$signal" "usleep $((moment * 1000))" \
		nidus run --kernel build/guest/busy.bin --mem 64M --cpus 2 --stats "$stats" \
		--dump-dtb /dev/null
	[ "$status" = "$wanted" ] || complain "SIG$signal after $moment ms: status $status"
	[ ! -s "$messages" ] || complain "SIG$signal after $moment ms: $(cat "$messages")"
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

begin "signals that are ignored from the start stay ignored"
# By the shell, for what it starts in the background.
nidus run --kernel build/guest/busy.bin --mem 64M --cpus 2 --stats "$stats" \
	</dev/null >"$console" 2>"$messages" &
wait_for busy "$console"
kill -INT $!
kill -QUIT $!
kill -USR1 $!
wait_for '"outcome": "running"' "$stats"
expect grep -q '"outcome": "running"' "$stats"
kill -TERM $!
wait $!
status=$?
expect_status 143
expect grep -q '"outcome": "killed"' "$stats"
end

# The pipe is full to begin with; the guest fills nidus's buffer, and there its vCPU waits.
begin "a guest whose output nobody takes can be asked for statistics, and ended"
mkfifo "$scratch/pipe"
exec 3<>"$scratch/pipe"
head -c 65536 /dev/zero >&3
nidus run --kernel build/guest/busy.bin --mem 64M --cpus 2 --stats "$stats" \
	</dev/null >"$scratch/pipe" 2>"$messages" &
wait_until_blocked $!
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

# full_console: a pipe that is full already is standard output, and another one standard input.
full_console() {
	rm -f "$scratch/pipe" "$scratch/keys"
	mkfifo "$scratch/pipe" "$scratch/keys"
	exec 3<>"$scratch/pipe" 4<>"$scratch/keys"
	head -c 65536 /dev/zero >&3
}

for end in "while it runs" "once it is down"; do
	guest=busy
	[ "$end" = "while it runs" ] || guest=boot
	begin "a guest whose output nobody takes is ended by the escape key, $end"
	full_console
	: >"$stats"
	nidus run --kernel build/guest/$guest.bin --mem 64M --cpus 2 --stats "$stats" --no-reboot \
		<"$scratch/keys" >"$scratch/pipe" 2>"$messages" &
	if [ $guest = boot ]; then
		wait_for '"outcome": "shutdown"' "$stats"
	else
		wait_until_blocked $!
		usleep 500000
	fi
	expect [ -d "/proc/$!" ]
	printf '\001x' >&4
	wait $!
	status=$?
	exec 3>&- 4>&-
	expect_status 0
	expect [ ! -s "$messages" ]
	if [ $guest = boot ]; then
		expect grep -q '"outcome": "shutdown"' "$stats"
	else
		expect grep -q '"outcome": "quit"' "$stats"
	fi
	end
done
