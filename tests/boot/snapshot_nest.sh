# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# files: tests/counting.sh tests/snapshot.sh
# images: small
# board: --mem 4G --timeout 1500
. tests/lib.sh
# shellcheck source=tests/counting.sh
. tests/counting.sh
# shellcheck source=tests/snapshot.sh
. tests/snapshot.sh

begin "a nest of two with two vCPUs, counting, goes on 6 times"
counts=$counting_inside
nested 2 768M 256M
rounds 6
expect_nothing_left
end

begin "one with four vCPUs goes on 4 times"
nested 4 768M 256M
rounds 4
expect_nothing_left
end

begin "one is saved while its vCPU is at each of its exception levels, and goes on"
counts=$counting_busily
nested 1 768M 256M
for where in "EL2 of level 1" "EL0 of level 1" "EL1 of level 2" "EL0 of level 2"; do
	expect caught "$where"
	go_on
done
ends_in_order
expect_nothing_left
end

begin "a nest has increments"
counts=$counting_inside
nested 2 768M 256M
increments
nidus restore "$snap" --base "$scratch/base" --base "$scratch/second" --base "$scratch/first" --name wren \
	</dev/null >"$again" 2>>"$messages" &
pid=$!
there=$(last_count "$console")
wait_for "^count $((there + 20))" "$again"
tell stop wren
wait $pid
expect in_order "$console" "$again"
expect_nothing_left
end

# nest OPTION...: nidus nest; what it says is in $messages.
nest() {
	timeout -s KILL 200 nidus nest "$@" </dev/null >"$console" 2>"$messages"
	status=$?
}

begin "a nest of two is saved when all levels are up, and runs a command each time"
nest --kernel "$NIDUS_KERNEL" --depth 2 --cpus 2 --file /bin/busybox --save "$snap"
expect_status 0
expect_line '^level 2: up after '
expect_line 'the nest is saved to .*: [0-9]+ MiB of RAM'
# shellcheck disable=SC2016	# for the shell inside
nest --from "$snap" -- busybox sh -c 'echo so deep: $((6 * 7))'
expect_status 0
expect_line '^so deep: 42'
nest --from "$snap" -- busybox sh -c 'exit 3'
expect_status 1
expect_line 'level 2 had its command end with status 3'
expect_nothing_left
end

begin "two of them at the same time"
nidus nest --from "$snap" -- busybox cat /proc/interrupts </dev/null >"$scratch/one" 2>"$messages" &
one=$!
nidus nest --from "$snap" -- busybox sh -c 'sleep 1; busybox uname -a' </dev/null >"$scratch/two" 2>"$messages" &
wait $one
expect [ $? = 0 ]
wait $!
expect [ $? = 0 ]
expect grep -Eq '^ *[0-9]+: +[1-9][0-9]* .*arch_timer' "$scratch/one"
expect grep -q '^Linux ' "$scratch/two"
expect_nothing_left
end

begin "what makes no sense of a nest and a snapshot is said"
nest --from "$snap"
expect_status 2
expect_line 'give a command for the innermost level'
nest --from "$snap" --depth 2 -- true
expect_status 2
expect_line 'what the nest is was saved with it'
nest --kernel "$NIDUS_KERNEL" --depth 2 --save "$scratch/no/such/snap"
expect_status 2
expect_line 'no/such/snap: No such file'
nest --from "$NIDUS_INITRD" -- true
expect_status 2
expect_line 'is no snapshot of nidus'
expect_nothing_left
end
