# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# files: build/programs/clients tests/counting.sh
# board: --timeout 600
. tests/lib.sh
# shellcheck source=tests/counting.sh
. tests/counting.sh

clients=build/programs/clients
sockets=$XDG_RUNTIME_DIR/nidus
answer=$scratch/answer

# start NAME OPTION...: a guest that is never at rest, in the background, as $pid; it has a socket when this returns.
start() {
	nidus run --kernel build/guest/busy.bin --mem 64M --cpus 2 --name "$@" \
		</dev/null >"$console" 2>"$messages" &
	pid=$!
	wait_for 'still busy' "$console"
}

# ends STATUS: what it exits with.
ends() {
	wait "$pid"
	status=$?
	pid=
	expect_status "$1"
}

# tell COMMAND ARGUMENT...: what it says goes to $answer.
tell() {
	nidus "$@" >"$answer" 2>&1
	told=$?
}

expect_told() {
	[ "$told" = "$1" ] || complain "told $told instead of $1"
	shift
	[ "$(cat "$answer")" = "$*" ] || complain "said: $(cat "$answer")"
}

# exits: all that the guest has made so far.
exits() {
	nidus stat "$1" | sed -n '/^  "exits"/,/}/s/.*"total": \([0-9]*\).*/\1/p'
}

expect_at_rest() {
	before=$(exits "$1")
	usleep 300000
	expect [ -n "$before" ]
	expect [ "$(exits "$1")" = "$before" ]
}

expect_at_work() {
	before=$(exits "$1")
	usleep 300000
	expect [ "$(exits "$1")" -gt "$before" ]
}

begin "a guest with a name is listed, paused, resumed and stopped"
start wren
expect [ "$(stat -c %a "$sockets")" = 700 ]
expect [ "$(stat -c %a "$sockets/wren.sock")" = 600 ]
tell list
expect grep -qx " *$pid wren                 running" "$answer"
expect_at_work wren
tell pause wren
expect_told 0 "Guest wren paused"
expect_at_rest wren
tell pause --name wren
expect_told 0 "Guest wren is already paused."
tell list
expect grep -qx " *$pid wren                 paused" "$answer"
tell resume wren
expect_told 0 "Guest wren resumed"
tell resume --all
expect_told 0 "Guest wren is still running."
expect_at_work wren
tell stop wren
expect_told 0
ends 0
expect [ ! -e "$sockets/wren.sock" ]
expect [ ! -s "$messages" ]
tell list --json
expect_told 0 "[]"
tell stop wren
expect [ "$told" = 2 ]
expect grep -q "^nidus: error: wren: no guest that runs has that name" "$answer"
expect_nothing_left
end

begin "a paused guest ends by a signal, and by stop"
start wren
tell pause wren
kill -TERM $pid
ends 143
start wren
tell pause wren
tell stop wren
expect_told 0
ends 0
end

begin "a guest without a name, and without --control, has nothing for that"
nidus run --kernel build/guest/busy.bin --mem 64M --cpus 2 </dev/null >"$console" 2>"$messages" &
pid=$!
wait_for 'still busy' "$console"
# shellcheck disable=SC2012	# these names have no newlines
ls -l /proc/$pid/fd | sed -n 's/.*-> //p' >"$scratch/plain"
expect [ -z "$(ls "$sockets")" ]
if grep -Eq 'socket|vcpu-stats' "$scratch/plain"; then
	complain "it has: $(cat "$scratch/plain")"
fi
kill -TERM $pid
ends 143
end

begin "statistics are those of --stats, and of each vCPU's accesses; top has their rates"
start wren --control "$scratch/socket"
tell stat "$scratch/socket"
expect [ "$told" = 0 ]
for word in '"schema": "nidus-stats"' '"name": "wren"' '"register": "UARTDR"' '"mmio_exit_user"'; do
	expect grep -q "$word" "$answer"
done
expect [ "$(grep -c '"mmio": \[' "$answer")" = 3 ]
# It goes by one of them.
expect [ -z "$(ls "$sockets")" ]
tell top -1 -i 0.5 "$scratch/socket"
expect [ "$told" = 0 ]
expect grep -Eq "running, pid $pid, 64 MiB, 0 resets, host CPU [0-9.]+ %" "$answer"
expect grep -Eq '^ +0 0x9000000 +pl011 +UARTDR +0 +[1-9]' "$answer"
expect grep -Eq '^ +1 0x9010000 +pl031 +RTCDR +[1-9][0-9]* +0' "$answer"
expect grep -Eq '^ +1 +[1-9][0-9.]* +[1-9][0-9]* +[1-9]' "$answer"
tell top --json -1 -i 0.5 "$scratch/socket"
expect grep -Eq '^\{"seconds":.*"device":"pl031".*"guest":\{"name":"wren"' "$answer"
end

begin "nidus debug tells where the vCPUs are, with names"
tell debug "$scratch/socket" --symbols build/guest/busy.elf
expect [ "$told" = 0 ]
expect grep -Eq '^vCPU 0: on, at EL1 of level 1' "$answer"
expect grep -Eq '^vCPU 1: on, at EL1 of level 1' "$answer"
expect grep -Eq '^  #0  0x00000000400[0-9a-f]+ [a-z_0-9]+\+0x' "$answer"
expect grep -Eq '^  #[0-9]+ +0x00000000400[0-9a-f]+ main\+0x' "$answer"
expect grep -Eq '^  #[0-9]+ +0x00000000400[0-9a-f]+ second\+0x' "$answer"
expect grep -Eq ' pc +0x00000000400' "$answer"
expect_at_work "$scratch/socket"
tell pause "$scratch/socket"
tell debug "$scratch/socket" --json
expect grep -q '"x30": "0x' "$answer"
expect grep -q '"power": "on"' "$answer"
expect_at_rest "$scratch/socket"
tell resume "$scratch/socket"
end

begin "GDB's protocol comes by the same socket, to a guest that nobody had thought of debugging"
# The board has no GDB; tests/host/gdb.sh does. As long as one is there nobody else gets in, and the guest stands.
{
	printf '\044?#3f\044qC#b4'
	until [ -e "$scratch/enough" ]; do usleep 10000; done
} | nidus debug --gdb "$scratch/socket" >"$scratch/gdb" 2>&1 &
debugger=$!
wait_for 'T05thread:p1' "$scratch/gdb"
expect grep -q 'QCp1' "$scratch/gdb"
expect_at_rest "$scratch/socket"
tell debug --gdb "$scratch/socket"
expect [ "$told" = 3 ]
expect grep -q "another debugger is there" "$answer"
: >"$scratch/enough"
wait $debugger
expect [ $? = 0 ]
expect_at_work "$scratch/socket"
expect [ ! -s "$messages" ]
end

begin "half lines, a hundred clients, and those that never read change nothing"
$clients halves "$scratch/socket" 100 >"$scratch/halves" &
halves=$!
$clients many "$scratch/socket" 100 '{"request":"stat"}
' >"$scratch/many" &
many=$!
$clients deaf "$scratch/socket" '{"request":"stat"}' >"$scratch/deaf" &
deaf=$!
for client in halves many deaf; do
	wait_for there "$scratch/$client"
done
expect_at_work "$scratch/socket"
lines=$(wc -l <"$console")
usleep 300000
expect [ "$(wc -l <"$console")" -gt "$lines" ]
expect [ "$($clients ask "$scratch/socket" '{"request":"version","id":[1]}')" = \
	'{"result":{"schema":"nidus-control","version":1,"nidus":"0.1"},"id":[1]}' ]
# No more than it allows, whoever they are.
expect [ "$(find /proc/$pid/fd | wc -l)" -lt 110 ]
expect [ "$(awk '/VmRSS/ { print $2 }' /proc/$pid/status)" -lt 20000 ]
expect kill -0 $halves $many $deaf
tell stop "$scratch/socket"
expect_told 0
ends 0
expect [ ! -s "$messages" ]
kill $halves $many $deaf
wait $halves $many $deaf
end

begin "nonsense is answered, and no harm"
start wren
for line in 'no JSON' '' '{"request":"jump"}' '{"request":"pause","arguments":{"time":1}}' '[[[[' "$(printf '\001\377')"; do
	$clients ask "$sockets/wren.sock" "$line" >"$answer"
	expect grep -Eq '^\{"error":\{"kind":"(bad|unknown)-request","message":".*"\}\}$' "$answer"
done
expect_at_work wren
end

begin "a second guest of a name is refused"
timeout 20 nidus run --kernel build/guest/off.bin --mem 64M --name wren </dev/null >"$scratch/second" 2>&1
expect [ $? = 2 ]
expect grep -q "^nidus: error: .*/wren.sock: a guest that runs listens there already" "$scratch/second"
expect [ "$(wc -l <"$scratch/second")" = 1 ]
expect_at_work wren
end

begin "the socket of a nidus that was killed is replaced"
kill -KILL $pid
ends 137
expect [ -S "$sockets/wren.sock" ]
tell list
expect [ "$(wc -l <"$answer")" = 2 ]
start wren
tell stop wren
expect_told 0
ends 0
expect [ ! -e "$sockets/wren.sock" ]
end

begin "a guest is paused over its resets"
nidus run --kernel build/guest/reset.bin --mem 64M --cpus 2 --name lark </dev/null >"$console" 2>"$messages" &
pid=$!
wait_for 'second=0x1' "$console" 3
for _ in 1 2 3 4 5; do
	tell pause lark
	expect_told 0 "Guest lark paused"
	lines=$(wc -l <"$console")
	usleep 200000
	expect [ "$(wc -l <"$console")" = "$lines" ]
	tell resume lark
	expect_told 0 "Guest lark resumed"
	wait_for 'second=0x1' "$console" $((lines + 2))
done
tell stop lark
expect_told 0
ends 0
expect [ ! -s "$messages" ]
end

# How far the time of a Linux guest has got, in seconds.
uptime_of_guest() {
	last_count "$console"
}

# elapsed OPTION...: how much time goes by for it while it is paused for 20 seconds.
elapsed() {
	first=$(uptime_of_guest)
	tell pause wren "$@"
	sleep 20
	tell resume wren
	wait_for '^count' "$console" $(($(grep -c '^count' "$console") + 3))
	echo $(($(uptime_of_guest) - first))
}

for option in '' '--counter-offset 0'; do
	begin "time goes on for a paused guest, or is stopped with it ${option:+($option)}"
	limit=300
	# shellcheck disable=SC2086,SC2016	# words; for the guest's shell
	linux_shell --name wren $option -- 'while :; do echo count $(cut -d. -f1 /proc/uptime); sleep 1; done' &
	pid=$!
	wait_for '^count [0-9]' "$console" 3
	expect [ "$(elapsed)" -ge 20 ]
	expect [ "$(elapsed --stop-time)" -le 12 ]
	expect [ "$(elapsed --stop-time)" -le 12 ]
	tell stop wren
	wait $pid
	pid=
	end
done

begin "its process id is in a file while it runs"
start wren --pidfile "$scratch/pid"
expect [ "$(cat "$scratch/pid")" = $pid ]
tell stop wren
ends 0
expect [ ! -e "$scratch/pid" ]
end

for socket in "$scratch/notify" @nidus-control-test; do
	begin "a service manager is told at $socket"
	$clients manager "$socket" "$scratch/told" &
	manager=$!
	wait_for "$socket" /proc/net/unix
	NOTIFY_SOCKET=$socket
	export NOTIFY_SOCKET
	start wren
	wait_for '^READY=1' "$scratch/told"
	expect [ "$(cat "$scratch/told")" = READY=1 ]
	tell stop wren
	ends 0
	wait_for '^STOPPING=1' "$scratch/told"
	unset NOTIFY_SOCKET
	kill $manager
	wait $manager
	end
done

begin "in the journal messages have their priority"
device=$(stat -c %d "$messages")
inode=$(stat -c %i "$messages")
: >"$messages"
JOURNAL_STREAM=$device:$inode nidus run --mem 1Q none >"$console" 2>>"$messages"
expect_line '^<3>nidus: error: --mem 1Q'
end

begin "level 1 of a nest has a socket, too"
nidus nest --kernel "$NIDUS_KERNEL" --depth 2 --time-limit 1000 --name robin --file /bin/busybox \
	-- busybox sh -c 'while :; do :; done' \
	</dev/null >"$console" 2>"$messages" &
pid=$!
wait_for 'level 2: up' "$messages"
inside=0
for _ in $(seq 20); do
	tell debug robin
	! grep -Eq '^vCPU 0: on, at EL[01] of level 2, .*VMID [0-9]' "$answer" || inside=$((inside + 1))
	expect grep -q 'HCR_EL2' "$answer"
done
# It does little else.
expect [ $inside -gt 5 ]
tell pause robin
expect_told 0 "Guest robin paused"
tell top -1 -i 0.2 robin
expect grep -q '^robin: paused' "$answer"
tell stop robin
expect_told 0
wait $pid
pid=
expect [ ! -e "$sockets/robin.sock" ]
end
