# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh disable=SC2034,SC2154
#
# For tests of the sandbox, after tests/lib.sh: on the board's own kernel, which has no Landlock, and on one that has it.

know_users
chmod 666 /dev/kvm
guest=$scratch/guest
cp build/guest/off.bin "$guest"
chmod 755 "$scratch" "$guest"
touch /tmp/victim && chmod 666 /tmp/victim
head -c 1048576 /dev/zero >/tmp/disk
head -c 262144 /dev/zero >/tmp/flash
chmod 666 /tmp/disk /tmp/flash

# attacked MODE USER OPTION...: nidus as USER, each of whose threads attacks; a guest that shuts down at once.
attacked() {
	how=$1 as=$2
	shift 2
	rm -f /tmp/attack /tmp/other
	: >"$console"
	start-stop-daemon -S -c "$as" -x "$(command -v attack)" -- run --sandbox "$how" --no-reboot --disk /tmp/disk "$@" \
		--kernel "$guest" </dev/null >"$messages" 2>&1
	status=$?
}

# expect_refused KIND...: threads of each kind were refused all that they tried, and others there were none.
expect_refused() {
	for kind; do
		tried=$(grep -c "^attack: $kind: " "$messages")
		[ "$tried" -ge 48 ] || complain "$kind: $tried attempts"
	done
	left=$(grep '^attack: ' "$messages" | grep -v ': refused$')
	[ -z "$left" ] || complain "$left"
	for file in /tmp/attack /tmp/other; do
		[ ! -e $file ] || complain "$file was made"
	done
	[ -e /tmp/victim ] || complain "/tmp/victim was removed"
}

attacks() {
	for user in root nobody; do
		for mode in on full; do
			begin "an attacker gets nowhere ($mode, as $user)"
			attacked $mode $user
			expect_status 0
			expect_refused loop vcpu worker
			end
		done
		begin "nor by a guest with more devices (as $user)"
		attacked on $user --flash /tmp/flash
		expect_status 0
		expect_refused loop served worker
		end
	done

	begin "without a sandbox it would be another matter"
	export NIDUS_ATTEMPTS=7
	attacked off root
	unset NIDUS_ATTEMPTS
	expect_line '^attack: loop: open a file: SUCCEEDED'
	expect_line '^attack: vcpu: make a file: SUCCEEDED'
	end
}
