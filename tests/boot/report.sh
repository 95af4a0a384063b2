# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --timeout 600
. tests/lib.sh

report=$scratch/report
fifo=$scratch/fifo
mkfifo "$fifo"

# lines NAME COUNT: lines of 64 bytes, in the words of a shell whose command has no double quotes in it.
lines() {
	echo "awk -v n=$1 -v f='%s %06d ......................................................\n' \
'BEGIN { for (i = 0; i < $2; i++) { printf f, n, i; fflush() } }'"
}

# The port by its name, as descriptor 3.
# shellcheck disable=SC2034	# for linux_shell
prelude="for p in /sys/class/virtio-ports/*; do grep -sqx org.nidus.report \$p/name && exec 3>/dev/\${p##*/}; done; "

# in_guest OPTION... -- TEXT: a guest whose shell runs TEXT.
in_guest() {
	# shellcheck disable=SC2086,SC2154	# options have no blanks in them
	linux_shell $machine "$@"
}

# start OPTION...: in the background, as $pid.
start() {
	"$@" &
	pid=$!
}

# check_lines NAME COUNT: all of them are there, in their order.
check_lines() {
	sh -c "$(lines "$1" "$2")" >"$scratch/expected"
	grep "^$1 " "$report" >"$scratch/found"
	expect cmp "$scratch/expected" "$scratch/found"
}

expect_silent() {
	expect [ ! -s "$messages" ]
}

for transport in mmio pci; do
	for kind in serial virtio; do
		machine="--virtio-transport $transport --console $kind --cpus 2"
		params="console=hvc0 quiet"
		[ $kind = virtio ] || params=quiet

		# Once it is 1 MiB, and else less: each line is a write of its own.
		count=1024
		[ $transport$kind = mmioserial ] && count=8192
		begin "virtio-$transport, $kind console: $count lines from each of two processes, then power off: all are there"
		in_guest --report "$report" -- "$(lines a $count) >&3 & $(lines b $count) >&3 & wait"
		expect_status 0
		expect_silent
		expect_line '^nidus guest: up, 2 CPUs'
		expect [ "$(wc -c <"$report")" = $((2 * count * 64)) ]
		check_lines a $count
		check_lines b $count
		end

		begin "virtio-$transport, $kind console: what is written last is not lost, twice"
		for _ in 1 2; do
			in_guest --report "$report" -- "$(lines a 50) >&3"
			expect_status 0
			check_lines a 50
		done
		end
	done
done

machine="--virtio-transport mmio --console serial"
params=quiet

begin "with a serial console there is no other, and the port has its name"
in_guest --report "$report" -- "ls /dev /sys/class/virtio-ports; cat /proc/consoles; echo told >&3"
expect_status 0
expect_line "^vport0p0"
refuse_line 'vport0p1'
refuse_line 'hvc'
expect [ "$(cat "$report")" = told ]
end

begin "a port may be opened and closed as often as one likes, and has nothing to read"
in_guest --report "$report" -- "exec 3>&-; for i in 1 2 3 4 5 6 7 8 9; do echo \$i >/dev/vport0p0; done; \
timeout 1 cat /dev/vport0p0 && echo read nothing"
expect_status 0
expect [ "$(tr -d '\n' <"$report")" = 123456789 ]
refuse_line '^read nothing'
end

begin "without --report there is no port"
in_guest --rng -- "ls /dev /sys/class/virtio-ports"
expect_status 0
refuse_line 'vport0p'
end

begin "a reader that comes late and is slow gets all"
{
	sleep 4
	while dd bs=4096 count=1 2>/dev/null >"$scratch/block"; [ -s "$scratch/block" ]; do
		cat "$scratch/block"
		usleep 5000
	done
} <"$fifo" >"$report" &
reader=$!
in_guest --report "$fifo" -- "$(lines a 3000) >&3; echo console goes on"
wait $reader
expect_status 0
expect_silent
expect_line '^console goes on'
check_lines a 3000
end

# A pipe holds 1024 lines and a queue 64: with so many the pipe is full, and a guest does not wait.
full=1040

begin "who does not read holds up neither console nor SIGTERM"
sh -c "exec sleep 1000" <"$fifo" &
reader=$!
limit=300 start in_guest --cpus 2 --stats "$scratch/stats" --report "$fifo" -- \
	"$(lines a $full) >&3; $(lines b 3000) >&3 & sleep 1; echo console goes on; sleep 1000"
wait_for '^console goes on' "$console"
killall -TERM nidus
wait $pid
expect_line '^console goes on'
expect grep -q '"outcome": "killed"' "$scratch/stats"
expect_silent
kill $reader
wait $reader 2>/dev/null
end

begin "after a power-off it is waited for who does not read, until SIGTERM"
sh -c "exec sleep 1000" <"$fifo" &
reader=$!
limit=300 start in_guest --report "$fifo" -- "$(lines a $full) >&3"
wait_for 'reboot: Power down' "$console"
sleep 2
expect_line 'reboot: Power down'
expect [ -d /proc/$pid ]
killall -TERM nidus
wait $pid
kill $reader
wait $reader 2>/dev/null
end

begin "a reader that goes is said once, and the guest lives on"
head -n 1 <"$fifo" >"$report" &
reader=$!
in_guest --report "$fifo" -- "$(lines a 1) >&3; sleep 2; $(lines b 4096) >&3; echo console goes on"
wait $reader
expect_status 0
expect_one_message
expect_line "warning: report $fifo: Broken pipe"
expect_line '^console goes on'
check_lines a 1
end

begin "so is a full file system"
mkdir "$scratch/full"
mount -t tmpfs -o size=64k full "$scratch/full"
in_guest --report "$scratch/full/report" -- "$(lines a 4096) >&3; echo console goes on"
cp "$scratch/full/report" "$report"
umount "$scratch/full"
expect_status 0
expect_one_message
expect_line "warning: report $scratch/full/report: No space left on device"
expect_line '^console goes on'
expect [ "$(wc -c <"$report")" = 65536 ]
end

begin "a descriptor that is handed down, with what is in its file already"
{
	echo before
	in_guest --report fd:4 -- "$(lines a 100) >&3" 4>&1 >/dev/null
	echo after
} >"$report"
expect_status 0
expect_silent
expect [ "$(sed -n '1p;$p' "$report" | tr '\n' ' ')" = "before after " ]
expect [ "$(wc -l <"$report")" = 102 ]
check_lines a 100
end

begin "a guest that resets itself goes on with the same stream"
: >"$report"
nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --report "$report" \
	--params "console=ttyAMA0 quiet reboot -- sh -c \"exec 3>/dev/vport0p0; $(lines a 50) >&3\"" \
	</dev/null >"$console" 2>"$messages" &
pid=$!
for _ in $(seq 600); do
	[ "$(wc -l <"$report")" -lt 200 ] || break
	usleep 100000
done
kill -TERM $pid
wait $pid
status=$?
expect_status 143
expect_silent
# Four lives, each with all of its lines.
head -n 200 "$report" >"$scratch/lives"
for _ in 1 2 3 4; do
	sh -c "$(lines a 50)"
done >"$scratch/expected"
expect cmp "$scratch/expected" "$scratch/lives"
end

# exits_of LINES: of a guest that writes so many, to user space.
exits_of() {
	in_guest --console virtio --stats "$scratch/stats" --report "$report" -- "$(lines a "$1") >&3"
	sed -n '/^  "exits"/,/}/s/.*"total": \([0-9]*\).*/\1/p' "$scratch/stats"
}

for transport in mmio pci; do
	machine="--virtio-transport $transport --cpus 2"
	params="console=hvc0 quiet"
	few=$(exits_of 100)
	many=$(exits_of 2100)
	begin "virtio-$transport: 2000 lines more make $((many - few)) exits to user space, 100 at most"
	expect [ "${few:-0}" -gt 0 ]
	expect [ "$((many - few))" -le 100 ]
	check_lines a 2100
	end
done
expect_nothing_left
