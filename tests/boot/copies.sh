# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: debian
# files: tests/counting.sh
# board: --mem 3G --timeout 900
. tests/lib.sh
# shellcheck source=tests/counting.sh
. tests/counting.sh

# Copies of one snapshot. Debian's kernel knows the generation ID.

snap=$scratch/snap
again=$scratch/again

# saved OPTION... -- TEXT: a Linux guest that runs TEXT each time it has counted on and has looked how often its kernel
# was told that it is a copy ($forks); it is saved, and ends, when it
# has counted to 3.
saved() {
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	# shellcheck disable=SC2016	# for the guest's shell
	counts='i=0; while :; do i=$((i + 1)); forks=$(dmesg | grep -c machine.[f]ork)'
	# shellcheck disable=SC2086	# options have no blanks in them
	nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --mem 384M --name wren $options \
		--params "console=ttyAMA0 quiet -- sh -c \"$counts; $2; done\"" </dev/null >"$console" 2>"$messages" &
	pid=$!
	wait_for '^count 3' "$console"
	tell snapshot wren "$snap" --stop
	expect [ "$told" = 0 ]
	wait $pid
	pid=
}

# copies OPTION...: of that guest, in the background, as $pid.
copies() {
	nidus restore "$snap" "$@" </dev/null >"$again" 2>"$messages" &
	pid=$!
}

# over STATUS: they have ended, with that.
over() {
	wait $pid
	status=$?
	pid=
	expect_status "$1"
	expect_nothing_left
}

# word NAME WORD: what stands behind it in the first line of that copy that says it is one.
word() {
	sed -n "s/^$1: count .* forks 1 .*$2 \([^ ]*\).*/\1/p" "$again" | head -n 1
}

# all_gone: within a minute there is no nidus any more, nor a socket of that name.
all_gone() {
	for _ in $(seq 600); do
		pidof nidus >/dev/null || break
		usleep 100000
	done
	expect [ -z "$(pidof nidus)" ]
	set -- "$XDG_RUNTIME_DIR"/nidus/wren*
	expect [ ! -e "$1" ]
}

begin "three copies have names, consoles and random numbers of their own"
# The driver, which has the ID for itself, is taken away to look at it.
# shellcheck disable=SC2016	# for the guest's shell
saved -- 'random=$(head -c 16 /dev/urandom | md5sum | cut -c 1-32); id=none; [ $forks = 0 ] || {
	for rng in /sys/bus/platform/drivers/vmgenid/*.rng; do [ ! -e $rng ] || echo ${rng##*/} >${rng%/*}/unbind; done;
	id=$(for i in 0 4 8 12; do devmem $((0x90a0040 + i)); done | md5sum | cut -c 1-32); };
	echo count $i forks $forks random $random id $id end'
there=$(last_count "$console")
copies --name wren --count 3
for n in 1 2 3; do
	wait_for "^wren-$n: count [0-9]* forks 1 .* end" "$again" 3
	expect [ "$(sed -n "s/^wren-$n: count \([0-9]*\) .*/\1/p" "$again" | head -n 1)" -le $((there + 2)) ]
done
nidus list >"$scratch/list"
expect [ "$(grep -c ' wren-[123] ' "$scratch/list")" = 3 ]
for what in random id; do
	for n in 1 2 3; do
		word wren-$n $what
	done >"$scratch/words"
	expect [ "$(sort -u "$scratch/words" | grep -c '^[0-9a-f]\{32\}$')" = 3 ]
done
tell stop --all
expect [ "$told" = 0 ]
over 0
end

begin "one that is killed is named, and others go on"
copies --count 2 --pidfile "$scratch/pid-{}"
wait_for '^snap-1: count' "$again"
wait_for '^snap-2: count' "$again"
kill -KILL "$(cat "$scratch/pid-2")"
wait_for 'error: snap-2: the copy was ended by signal 9' "$messages"
lines=$(grep -c '^snap-1: count' "$again")
wait_for '^snap-1: count' "$again" $((lines + 2))
tell stop snap-1
rm "$scratch/pid-2"
over 137
end

begin "a signal ends all of them"
copies --name wren --count 2
wait_for '^wren-1: count' "$again"
wait_for '^wren-2: count' "$again"
kill -TERM $pid
over 143
all_gone
end

begin "they end with who has started them"
copies --name wren --count 2
wait_for '^wren-1: count' "$again"
wait_for '^wren-2: count' "$again"
kill -KILL $pid
wait $pid
pid=
all_gone
end

begin "one whose name is taken says so by it"
nidus restore "$snap" --name wren-2 </dev/null >/dev/null 2>&1 &
other=$!
until nidus list | grep -q wren-2; do usleep 100000; done
copies --name wren --count 2
wait_for 'error: wren-2: .*a guest that runs listens there already' "$messages"
wait_for '^wren-1: count' "$again"
tell stop --all
wait $other
over 2
expect_line 'error: wren-2: the copy has ended with status 2'
end

begin "what copies cannot share is refused"
: >"$messages"
tell restore "$snap" --count 2 --stats "$scratch/stats"
expect [ "$told" = 2 ]
expect_line "--stats $scratch/stats: copies cannot have the same one"
expect_one_message
: >"$messages"
tell restore "$snap" --count 2 --disk "$snap"
expect [ "$told" = 2 ]
expect_line "--disk $snap: copies cannot write to the same one"
expect_one_message
: >"$messages"
tell restore "$snap" --count 2 --disk "$snap,ro"
expect [ "$told" = 2 ]
expect_line 'has 0 disks and 0 networks, and was given 1 and 0'
expect_one_message
expect_nothing_left
end

# A guest that is told that it is a copy goes on with the address that it had, then looks anew.
begin "a copy has an address of its own, and one that has the name has the address"
truncate -s 16M "$scratch/disk"
network=mode=tap,host_ip=192.168.77.1,host_mac=02:00:00:00:77:01,vhost=0
# shellcheck disable=SC2016	# for the guest's shell
saved --disk "$scratch/disk,ro" --network $network -- 'copied=$((copied + forks)); up() {
	ip link set eth0 up; ip address add 192.168.77.2/24 dev eth0; }; [ $i -gt 1 ] || up; [ $copied != 4 ] || {
	net=$(ls -d /sys/bus/virtio/drivers/virtio_net/virtio*); echo ${net##*/} >${net%/*}/unbind; echo ${net##*/} >${net%/*}/bind; up; };
	ping -c 1 -W 5 192.168.77.1 >/dev/null && ping=yes || ping=no;
	echo count $i forks $forks copied $copied mac $(cat /sys/class/net/eth0/address) ping $ping end'
mac=$(sed -n 's/^count 3 .* mac \([^ ]*\) ping yes end.*/\1/p' "$console")
expect [ ${#mac} = 17 ]
copies --name wren --count 1 --disk "$scratch/disk,ro" --network $network
wait_for "^wren-1: count .* copied 3 mac $mac ping yes end" "$again"
wait_for "^wren-1: count .* copied 6 mac .* ping yes end" "$again"
tell stop --all
over 0
first=$(sed -n 's/^wren-1: count .* copied 6 mac \([^ ]*\) .*/\1/p' "$again")
copies --name wren --count 2 --disk "$scratch/disk,ro" --network $network
wait_for "^wren-1: count .* copied 6 mac $first" "$again"
wait_for "^wren-2: count .* copied 6 mac" "$again"
tell stop --all
over 0
second=$(sed -n 's/^wren-2: count .* copied 6 mac \([^ ]*\) .*/\1/p' "$again")
expect [ "$(printf '%s\n' "$mac" "$first" "$second" | sort -u | grep -c '^..:..:..:..:..:..$')" = 3 ]
for option in "--name wren" ""; do
	# shellcheck disable=SC2086	# an option and its argument, or none
	nidus restore "$snap" $option --control "$scratch/control" --disk "$scratch/disk,ro" --network $network \
		</dev/null >"$again" 2>"$messages" &
	pid=$!
	wait_for "^count .* copied 6 mac $mac ping yes end" "$again"
	tell stop "$scratch/control"
	over 0
done
end
