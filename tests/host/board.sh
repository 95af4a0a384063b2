#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nidus-board by itself, as those use it who have no tree: what it takes to the board, what comes back, and what it says.

set -euo pipefail
top=$PWD
if [[ $(uname -m) == aarch64 ]]; then
	echo "skip - nidus-board: this machine is one with KVM, and may have no emulator"
	exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
board=$top/board/nidus-board
cd "$work"

# expect WHAT STATUS PATTERN COMMAND...: its status, and a line of its output.
expect() {
	local what=$1 expected=$2 pattern=$3 status=0
	shift 3
	"$@" >said 2>&1 || status=$?
	if ((status == expected)) && grep -qaE -e "$pattern" said; then
		echo "ok - nidus-board: $what"
	else
		echo "not ok - nidus-board: $what"
		echo "    status $status"
		tail -n 20 said | sed 's/^/    /'
	fi
}

cat >program.c <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int twice(int n);
int main(int argc, char **argv)
{
	char text[100];
	fprintf(stderr, "kvm %d\n", access("/dev/kvm", R_OK | W_OK));
	while (fgets(text, sizeof(text), stdin))
		printf("%s %s %s", argv[argc - 1], getenv("WORD"), text);
	return twice(21);
}
END
mkdir libraries
echo 'int twice(int n) { return 2 * n; }' | aarch64-linux-gnu-gcc -shared -o libraries/libtwice.so -x c -
aarch64-linux-gnu-gcc -o program program.c -Llibraries -ltwice
echo "a line" >input

WORD="it's" expect "a program with libraries, its words, environment, input, output and status" 42 "^a'b it's a line" \
	"$board" run --library-path libraries --env WORD --input input -- ./program "a'b"
expect "whose stderr is passed, too, and that may use KVM" 42 "^kvm 0" \
	"$board" run --library-path libraries --input /dev/null -- ./program
expect "a library that is nowhere is named" 125 "needs libtwice.so, which is not there" "$board" run -- ./program

truncate -s 1M one.img two.img
echo first >two.img
truncate -s 1M two.img
# shellcheck disable=SC2016	# for the board's shell
expect "disks, one of them to write to, and a network" 0 "^first eth0" "$board" run --disk one.img --disk two.img,rw --network -- \
	sh -c 'echo "$(head -n 1 /dev/vdb) $(ls /sys/class/net | grep eth)" && ! echo x 2>/dev/null >"$NIDUS_DISK" &&
		printf other >/dev/vdb && ip addr show eth0 | grep -q 10.0.2.15 && ping -c 1 10.0.2.2 >/dev/null'
expect "what is written to a disk stays" 0 "^other" head -c 5 two.img
expect "and so does what is not to be written to" 0 "^$" sh -c 'cmp one.img /dev/zero 2>&1 | grep -v EOF; echo'
expect "a shell reads its commands from a pipe" 3 "^aarch64" "$board" shell <<<'uname -m; exit 3'
# shellcheck disable=SC2016
expect "time is counted, on one CPU" 0 "^1 CPU" "$board" run --icount --smp 2 -- sh -c 'echo "$(nproc) CPU"'
# A program of three instructions, the last of which does not return.
printf '.globl _start\n_start: mov x0, #9\nmov x8, #93\nsvc #0\n' |
	aarch64-linux-gnu-gcc -nostdlib -static -o three -x assembler -
first=$(aarch64-linux-gnu-nm three | sed -n 's/ T _start$//p')
printf '0x%016x ' $((0x$first)) $((0x$first + 4)) $((0x$first + 8)) >wanted
# shellcheck disable=SC2016
expect "what is executed can be written down" 0 "^9" \
	"$board" run --smp 1 --trace trace --trace-range "0x${first}+0xc" --file three -- sh -c './three; echo $?'
expect "and is each instruction in its order" 0 "same" \
	sh -c 'cut -d " " -f 2 trace | uniq | tr "\n" " " | cmp - wanted && echo same'
expect "a range for that which is none is refused" 125 "wants START[+]SIZE" \
	"$board" run --trace-range 1-2 -- true
expect "its kernel can be had" 0 "^/.*/Image$" "$board" kernel
cp "$("$board" kernel)" Image
expect "and be another one, with parameters" 0 "of=mine" "$board" run --kernel Image --append of=mine -- cat /proc/cmdline
# A terminal, whose other end is ours.
# shellcheck disable=SC2016
expect "a shell at a terminal" 5 "^42" script -qec "stty rows 24 cols 80; $board shell" /dev/null \
	<<<'echo $((6 * 7)); exit 5'
expect "the time may be over" 124 "not done after 8 seconds" "$board" run --timeout 8 -- sleep 100
expect "a command that is not there" 127 "not found" "$board" run -- nothing-of-that-name
expect "nonsense is refused" 125 "what is '--no-such'" "$board" run --no-such -- true
expect "so is no command at all" 2 "one of 'run'" "$board" walk

mkdir tests
printf 'echo "verdict: fine"\n' >tests/good
printf 'echo "verdict: <bad> & \033[1m\377"; exit 1\n' >tests/bad
printf 'exit 77\n' >tests/none
expect "tests, each on a board of its own" 1 "^1 passed, 1 failed, 1 skipped$" \
	"$board" test --jobs 2 --junit junit.xml --suite "a & b" -- sh {} ::: tests/*
expect "what came of them in the XML of JUnit" 0 "^a & b 3 1 1 tests/bad status 1 verdict: <bad> & .1m$" python3 -c '
import xml.etree.ElementTree as tree
suite = tree.parse("junit.xml").getroot().find("testsuite")
case = next(case for case in suite if case.find("failure") is not None)
print(*(suite.get(name) for name in ("name", "tests", "failures", "skipped")), case.get("name"),
      case.find("failure").get("message"), case.find("system-out").text.strip())'
expect "a verdict by lines of the output" 1 "it wrote verdict: <bad>" \
	"$board" test --pass '^verdict' --fail bad -- sh {} ::: tests/good tests/bad
expect "not a regular expression" 2 "not an extended regular expression" "$board" test --pass '(' -- true
expect "a file that is not there" 2 "no such file: tests/gone" "$board" test -- true ::: tests/gone
