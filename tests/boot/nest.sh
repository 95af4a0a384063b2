# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --icount --mem 4G --timeout 1800
. tests/lib.sh
exec </dev/null

busybox=/bin/busybox
report=$scratch/report
plan=$scratch/plan

# nest OPTION...: nidus nest with the test kernel; what it says is in $messages, its JSON in $report.
nest() {
	rm -f "$report"
	timeout -s KILL "${limit:-200}" nidus nest --kernel "$NIDUS_KERNEL" --json "$report" "$@" \
		>"$console" 2>"$messages"
	status=$?
}

expect_report() {
	grep -Eq -- "$1" "$report" || complain "no line of the report matches: $1"
}

begin "two levels come up and power off, from nothing but a kernel"
nest --depth 2
expect_status 0
expect_line '^level 1: up after [0-9.]+ s: Linux [0-9][^,]*, 1 vCPU, 7[0-9][0-9] MiB'
expect_line '^level 2: up after [0-9.]+ s: Linux [0-9][^,]*, 1 vCPU, 2[0-9][0-9] MiB'
expect_line '^ +1 +[0-9.]+ s +[0-9]+ +shutdown +mmio [0-9]+, system_event 1$'
expect_line '^ +2 +[0-9.]+ s +[0-9]+ +shutdown +mmio [0-9]+, system_event 1$'
expect_report '"status": 0'
expect [ "$(grep -c '"good": true' "$report")" = 2 ]
expect_nothing_left
end

begin "a command runs inside, with the file that it is, and its console comes out"
# shellcheck disable=SC2016	# for the shell inside
nest --depth 2 --file "$busybox" -- busybox sh -c 'echo so deep: $((6 * 7))'
expect_status 0
expect_line '^so deep: 42'
end

begin "what is typed arrives inside"
mkfifo "$scratch/input"
nest --depth 2 --file "$busybox" -- busybox sh -c 'echo ready; busybox head -n 1' <"$scratch/input" &
exec 3>"$scratch/input"
wait_for '^ready' "$console"
echo 'all the way down' >&3
wait $!
# As the terminal of each level echoes it, and once more as the command's output.
expect [ "$(grep -c 'all the way down' "$console")" -ge 2 ]
exec 3>&-
end

begin "two vCPUs at each level, with interrupts and IPIs between them"
nest --depth 2 --cpus 2 --file "$busybox" -- busybox cat /proc/interrupts
expect_status 0
expect_line '^level 2: up after .*, 2 vCPUs, '
expect_line '^ *[0-9]+: +[1-9][0-9]* +[1-9][0-9]* .*arch_timer'
expect_line '^IPI1: +[1-9][0-9]* +[1-9][0-9]* '
end

begin "a nest file: memory, parameters, files and commands level by level"
cat >"$plan" <<END
# Holds for all levels.
params = "nidus.test=all";
levels = (
	{
		memory = "640M";
		file = [ "$busybox" ];
		command = "busybox grep -o nidus.test=.* /proc/cmdline";
	},
	{
		memory = 200;
		params = "nidus.test=inner";
		options = "--rng --no-pvtime";
		file = [ "$busybox:/usr/bin/grep" ];
		command = "grep -o nidus.test=.* /proc/cmdline";
	}
);
END
nest "$plan"
expect_status 0
expect_line '^nidus.test=all'
expect_line '^nidus.test=inner'
expect_line '^level 1: up .*, 6[0-9][0-9] MiB'
expect_line '^level 2: up .*, 1[0-9][0-9] MiB'
end

begin "the last guest hypervisor may be without VHE"
echo 'levels = ( { memory = "768M"; options = "--e2h0"; }, { memory = "256M"; } );' >"$plan"
nest "$plan"
expect_status 0
end

begin "an EL2 without VHE is refused where hypervisors are to be inside"
echo 'levels = ( { memory = "2G"; options = "--e2h0"; }, { memory = "1G"; }, { memory = "256M"; } );' >"$plan"
nest "$plan"
expect_status 2
expect_line 'level 1: --e2h0: .* which is level 2 here'
expect_one_message
end

# What goes wrong is told with the level that it went wrong in.

begin "a command that fails is named"
nest --depth 2 --file "$busybox" -- busybox false
expect_status 1
expect_line '^nidus: error: level 2 had its command end with status 1$'
expect [ "$(grep -c '"good": true' "$report")" = 1 ]
end

begin "a command that is not there is named"
nest --depth 2 -- /bin/nothing
expect_status 1
expect_line 'level 2 had its command end with status 127'
expect_line 'level 2: /bin/nothing: No such file or directory'
end

begin "a level whose kernel panics is named, with the end of its console"
echo 'levels = ( { memory = "768M"; }, { memory = "256M"; params = "rdinit=/nothing loglevel=7"; } );' >"$plan"
nest "$plan"
expect_status 1
expect_line '^nidus: error: level 2 ended by reset before it was up; the end of its console:$'
expect_line '^    .*Kernel panic - not syncing'
expect_report '"by": "reset"'
expect_nothing_left
end

begin "a level that hangs is named, and all is torn down"
nest --depth 2 --time-limit 5 --file "$busybox" -- busybox sleep 1000000
expect_status 1
expect_line '^nidus: error: level 2 was not done when the 5 seconds of level 1 were over; the end'
expect_nothing_left
end

begin "so is one that never comes up"
cat >"$plan" <<END
levels = (
	{ memory = "768M"; },
	{
		memory = "256M";
		time-limit = 5;
		file = [ "$busybox:/bin/sleep" ];
		params = "rdinit=/bin/sleep -- 1000000";
	}
);
END
nest "$plan"
expect_status 1
expect_line '^nidus: error: level 2 was not up within 5 seconds'
expect_nothing_left
end

# A guest may write to its port what it likes.

cat >"$scratch/lines" <<END

{"level":1,"is":"begun"}
{"level":1,"is":"up","linux":"forged","cpus":1,"memory":1}
{"level":1,"is":"ended","by":"shutdown","status":0,"stats":{"exits":{"total":1,"forged":1}}}
{"level":2,"is":"begun"}
{"level":2,"is":"up","linux":"forged","cpus":1,"memory":1}
{"level":2,"is":"ended","by":"shutdown","status":0,"stats":{"exits":{"total":1,"forged":1}}}
END
# An init that says so, and then does what follows.
cat >"$scratch/forge" <<'END'
bin() {
	/bin/busybox "$@"
}
bin mkdir -p /sys /dev
bin mount -t sysfs sysfs /sys
bin mount -t devtmpfs devtmpfs /dev
until name=$(bin grep -l '^org.nidus.report$' /sys/class/virtio-ports/*/name); do
	bin usleep 10000
done
name=${name%/name}
bin cat /lines >"/dev/${name##*/}"
END
# forger WHAT-FOLLOWS: a level with that init.
forger() {
	{
		cat "$scratch/forge"
		echo "$1"
	} >"$scratch/init"
	cat <<END
	{
		memory = "256M";
		time-limit = 8;
		file = [ "$busybox:/bin/busybox", "$scratch/init:/forge", "$scratch/lines:/lines" ];
		params = "rdinit=/bin/busybox -- sh /forge";
	}
END
}

begin "a level that reports its own end and goes on keeps its time limit"
echo "levels = ( $(forger 'while :; do :; done') );" >"$plan"
nest "$plan"
expect_status 1
expect_line '^nidus: error: level 1 was not done within 8 seconds'
expect_nothing_left
end

begin "a level that reports its own good end and crashes has crashed, and its exits are those that nidus counted"
echo "levels = ( $(forger 'exit') );" >"$plan"
nest "$plan"
expect_status 1
expect_line '^level 1: up .*Linux forged'
expect_line '^nidus: warning: a line that level 1 reports is not for it to say'
expect_line '^nidus: error: level 1 ended by reset; the end of its console:'
expect_line '^ +1 +[0-9.]+ s +[0-9]+ +reset +mmio [0-9]+'
expect [ "$(grep -c forged "$report")" = 1 ]
end

begin "a level inside another reports nothing of that, nor of its own end"
echo "levels = ( { memory = \"768M\"; }, $(forger 'exit') );" >"$plan"
nest "$plan"
expect_status 1
expect_line 'warning: level 1: a line that level 2 reports is not for it to say'
expect_line '^level 2: up .*Linux forged'
expect_line '^ +1 +[0-9.]+ s +[0-9]+ +shutdown +mmio [0-9]+, system_event 1$'
expect_line '^nidus: error: level 2 ended by reset; the end of its console:'
expect [ "$(grep -c forged "$report")" = 1 ]
expect [ "$(grep -c '"good": true' "$report")" = 1 ]
end

begin "an inner level that cannot be started is named"
echo 'levels = ( { memory = "512M"; }, { memory = "256M"; options = "--mem-backing hugetlbfs"; } );' >"$plan"
nest "$plan"
expect_status 1
expect_line '^nidus: error: level 2 could not be started \(status 3\)'
expect_line 'level 1: guest RAM of 256 MiB: Cannot allocate memory'
end

begin "SIGTERM ends all of it"
nidus nest --kernel "$NIDUS_KERNEL" --depth 2 --file "$busybox" -- busybox sleep 1000000 \
	</dev/null >"$console" 2>"$messages" &
wait_for '^level 2: up' "$messages"
kill $!
wait $!
status=$?
expect_line '^level 2: up'
expect_status 143
expect_nothing_left
end

begin "bad input is refused before anything starts"
echo 'levels = ( { memory = "512M"; }, { memroy = "256M"; } );' >"$scratch/typo"
echo 'levels = ( { memory = "512M" ' >"$scratch/short"
echo 'kernel = "x";' >"$scratch/none"
while read -r line; do
	# shellcheck disable=SC2086	# words
	nest ${line% = *}
	expect_status 2
	expect_one_message
	expect_line "${line##* = }"
done <<END
--depth 0 = --depth 0: must be a number from 1 to 8
--depth 9 = --depth 9: must be a number from 1 to 8
--depth 2 --cpus 0 = level 2: --cpus 0: must be a number
--depth 2 --mem 3Q = --mem 3Q: must be
--depth 2 --mem 1M = level 2: kernel, device tree and initrd need
--depth 2 --time-limit 0 = time-limit 0: must be a number of seconds
--depth 2 --file /nothing = level 2: /nothing: No such file
--depth 2 --file $busybox:bin = level 2: initramfs, bin: Invalid
--depth 2 --file $busybox:/dev/x = what is in /dev, /proc and /sys
--depth 2 $plan = --depth with nest file
--mem 1G $plan = --mem with nest file
one two = two: nest takes options and no further argument
/nothing = /nothing: No such file
$scratch/typo = typo, line 1: memroy: a level has no such thing
$scratch/short = short, line 2: syntax error
$scratch/none = has no levels
--frob = --frob: not an option of nest
--depth = --depth: needs an argument
--depth 2 --json / = /: Is a directory
END
end
