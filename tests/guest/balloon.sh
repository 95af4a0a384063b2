# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# board: --timeout 300
. tests/lib.sh

# resident: MiB that the guest's nidus has.
resident() {
	awk '$1 == "Rss:" { sum += $2 } END { print int(sum / 1024) }' /proc/$pid/smaps
}

# of_balloon MEMBER: as nidus stat has it.
of_balloon() {
	nidus stat wren | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p"
}

# ask SIZE PAGES: and waits until the guest has done it.
ask() {
	nidus balloon wren "$1" >"$scratch/said"
	wait_for "^followed: $2\$" "$console"
}

for backing in anon memfd; do
	begin "the host has what the guest gives, and gives it again, of RAM of $backing"
	nidus run --kernel build/guest/balloon.bin --mem 64M --balloon --mem-backing $backing --name wren --nodefaults \
		</dev/null >"$console" 2>"$messages" &
	pid=$!
	wait_for '^followed: 0' "$console"
	full=$(resident)
	expect [ "$(of_balloon given_bytes)" = 0 ]
	ask 12M 3072
	expect [ "$(cut -d , -f 1 "$scratch/said")" = 'wren: asked for 12 MiB' ]
	expect [ "$(of_balloon given_bytes)" = 12582912 ]
	expect [ "$(of_balloon inflated_bytes)" = 12582912 ]
	taken=$(resident)
	expect [ "$taken" -le $((full - 11)) ]
	ask 1M 256
	expect [ "$(of_balloon given_bytes)" = 1048576 ]
	expect [ "$(resident)" -ge $((taken + 10)) ]
	# The first look has asked for new ones.
	expect [ "$(of_balloon free_bytes)" = 4712 ]
	ask 4K 1
	expect [ "$(of_balloon reported_bytes)" = 16777216 ]
	expect [ "$(resident)" -le $((full - 15)) ]
	nidus balloon wren 8K >"$scratch/said"
	wait $pid
	status=$?
	pid=
	expect_status 0
	expect_line '^balloon: all [0-9]+ checks hold$'
	refuse_line '^not ok'
	expect_line 'virtio-balloon: its driver gives page 0x0, which is no RAM'
	expect_one_message
	end
done

begin "who has no balloon is asked for nothing"
nidus run --kernel build/guest/busy.bin --mem 64M --cpus 2 --name wren </dev/null >"$console" 2>"$messages" &
pid=$!
wait_for 'still busy' "$console"
nidus balloon wren 16 >"$scratch/said" 2>&1
expect [ $? = 3 ]
expect grep -q 'the guest has no balloon: it runs without --balloon' "$scratch/said"
expect [ "$(wc -l <"$scratch/said")" = 1 ]
nidus stop wren
wait $pid
end

begin "pages of a guest hypervisor, huge pages that were set aside and vhost-user are left alone"
for options in --nested "--mem-backing hugetlbfs" "--vhost-user rng,socket=/none"; do
	# shellcheck disable=SC2086	# words
	guest --kernel build/guest/off.bin --balloon $options
	expect_status 2
	expect_one_message
	expect_line "^nidus: error: --balloon with ${options%% *}"
done
end
