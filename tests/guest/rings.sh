# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

disk=$scratch/disk
head -c 1048576 /dev/zero >"$disk"

# How long it may take until something is there that needs no time; the machine may be slow.
patience=600 # tenths of a second

# ends PID: whether the process ends within that time.
ends() {
	tries=$patience
	while [ -d "/proc/$1" ] && ! grep -q '^State:.*Z' "/proc/$1/status"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		usleep 100000
	done
}

# As long as the ring feeds itself nidus's main thread, or the disk's, would look at nothing else.
for device in "--rng" "--console virtio" "--disk $disk" "--report $scratch/report"; do
	begin "a ring whose parts overlap: SIGTERM ends nidus with ${device%% "$scratch"*}"
	# What the last one said is not to be taken for what this one says.
	: >"$console"
	# shellcheck disable=SC2086	# options have no blanks in them
	nidus run --no-reboot --kernel build/guest/rings.bin --mem 64M --virtio-transport mmio $device \
		</dev/null >"$console" 2>"$messages" &
	pid=$!
	tries=$patience
	until grep -q '^left' "$console" || [ $tries = 0 ]; do
		tries=$((tries - 1))
		usleep 100000
	done
	kill -TERM $pid
	if ends $pid; then
		wait $pid
		status=$?
		expect_status 143
	else
		complain "it is still there"
		kill -KILL $pid
		wait $pid
	fi
	expect_line '^ok - a ring that feeds itself wants a reset'
	expect_line '^ok - and the device works after it'
	refuse_line '^not ok'
	expect_line 'its driver violated the virtio protocol'
	end
done
