# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# board: --timeout 300
. tests/lib.sh

limit=15
crc() {
	printf 0x
	gzip -c | tail -c 8 | od -An -tx4 -N4 | tr -d ' ' | sed 's/^0*//'
}

# uart PARAMETERS: the payload with these; standard input is the caller's, who may be a pipe.
uart() {
	timeout -s KILL "$limit" nidus run --no-reboot --console serial --mem 64M \
		--kernel build/guest/pl011.bin --params "$1" >"$console" 2>"$messages"
	echo $? >"$scratch/status"
}

# type_in FILE: what stands in FILE, once the guest listens.
type_in() {
	until grep -q ready "$console"; do
		usleep 20000
	done
	cat "$1"
}

expect_ended() {
	status=$(cat "$scratch/status")
	expect_status 0
	expect [ ! -s "$messages" ]
}

# expect_received FILE: that was what the guest got.
expect_received() {
	expect_ended
	expect_line '^pl011: all [0-9]+ checks hold$'
	expect_line "^sum: $(crc <"$1")\$"
}

# Without Ctrl-A, the escape key.
head -c 20000 /dev/urandom | tr '\001' x >"$scratch/random"
printf hello >"$scratch/hello"

for how in echo "bare echo" poll "bare poll"; do
	begin "bytes come from a pipe when the guest listens ($how)"
	: >"$console"
	type_in "$scratch/hello" | uart "$how 5"
	expect_line '^hello$'
	expect_received "$scratch/hello"
	end

	begin "bytes that were in a pipe before that are not lost ($how)"
	printf hello | uart "$how 5"
	expect_line '^hello$'
	expect_received "$scratch/hello"
	end

	begin "bytes come from a regular file ($how)"
	uart "$how 5" <"$scratch/hello"
	expect_line '^hello$'
	expect_received "$scratch/hello"
	end
done

limit=60
begin "20 KB come from a pipe, complete and in order"
: >"$console"
type_in "$scratch/random" | uart "count 20000"
expect_received "$scratch/random"
end

begin "20 KB come from a file, complete and in order"
uart "count 20000" <"$scratch/random"
expect_received "$scratch/random"
end

begin "bytes whose interrupt is cleared before they are taken interrupt again"
: >"$console"
{
	type_in /dev/null
	# More than the guest takes meanwhile, so that there are always some.
	for _ in $(seq 40); do
		echo 'twenty-seven bytes, no more'
		usleep 20000
	done
} | uart "late 560"
expect_ended
expect_line '^pl011: all [0-9]+ checks hold$'
end

begin "a guest is not kept busy by input without end"
uart "busy" </dev/zero
expect_ended
expect_line '^pl011: all [0-9]+ checks hold$'
end

begin "Ctrl-A x is the end"
: >"$console"
printf 'ab\001xcd' >"$scratch/escape"
type_in "$scratch/escape" | uart "echo 5"
expect_ended
refuse_line '^pl011:'
end

begin "Ctrl-A Ctrl-A is one Ctrl-A"
: >"$console"
printf 'a\001\001x' >"$scratch/escape"
printf 'a\001x' >"$scratch/escaped"
type_in "$scratch/escape" | uart "echo 3"
expect_received "$scratch/escaped"
end

for nothing in /dev/null closed; do
	begin "no input from $nothing, and no harm"
	if [ "$nothing" = closed ]; then
		uart "flood 69" <&-
	else
		uart "flood 69" <"$nothing"
	fi
	expect_ended
	expect_line '^the quick brown fox .* EOL$'
	end
done

# The pipe is full to begin with, so the guest fills nidus's buffer and has to wait.
begin "a slow reader gets all output"
rm -f "$scratch/status"
{
	head -c 65536 /dev/zero
	timeout -s KILL "$limit" nidus run --kernel build/guest/pl011.bin --mem 64M \
		--params "flood 27600" </dev/null 2>"$messages"
	echo $? >"$scratch/status"
} | {
	# By then a guest that nobody stops would be done.
	sleep 5
	[ -e "$scratch/status" ] && : >"$scratch/early"
	tail -c +65537 >"$console"
}
expect_ended
expect [ "$(wc -c <"$console")" = 27600 ]
expect [ "$(sort -u "$console" | wc -l)" = 1 ]
expect [ ! -e "$scratch/early" ]
end
