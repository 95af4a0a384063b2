# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# files: build/programs/reader
# board: --icount --mem 4G --timeout 1800
. tests/lib.sh
exec </dev/null

# Devices that the levels of a nest hand on.

busybox=/bin/busybox
disk=$scratch/disk

# plan WORD...: a nest of two, with what is said of level 1.
plan() {
	cat >"$scratch/plan" <<-end
		$2
		levels = ( { memory = "1G"; $1 }, { memory = "256M"; file = [ "build/programs/reader", "$busybox" ]; } );
	end
}

# nest WORD...: runs a command in the innermost.
nest() {
	timeout -s KILL 300 nidus nest --kernel "$NIDUS_KERNEL" --time-limit 280 "$scratch/plan" -- "$@" >"$console" 2>"$messages"
	status=$?
}

# exits LEVEL: to its nidus, as the table has it.
exits() {
	awk -v level="$1" '$1 == level && $3 == "s" { print $4 }' "$messages"
}

begin "a guest's guest reads and writes the host's disk, and nobody between it and the host leaves for user space"
build/programs/reader --make "$disk" 4096
plan "disk = \"$disk\";" 'passthrough = [ "disk0" ];'
nest /bin/reader /dev/vda write 4 100
expect_status 0
expect_line '^reader: 100 requests'
first=$(exits 1)
between=$(exits 2)
nest /bin/reader /dev/vda write 4 1100
expect_status 0
expect_line '^reader: 1100 requests'
# A thousand requests make none more, but for what a console has to say.
expect [ "$(($(exits 1) - first))" -lt 40 ]
expect [ "$(($(exits 2) - between))" -lt 40 ]
build/programs/reader --check "$disk" >"$scratch/check"
expect grep -q 'reader: [1-9][0-9]* written' "$scratch/check"
end

begin "two disks are handed on in the order in which they are named"
cp "$disk" "$scratch/second"
printf second | dd of="$scratch/second" conv=notrunc 2>/dev/null
plan "disk = [ \"$scratch/second\", \"$disk\" ];" 'passthrough = [ "disk1", "disk0" ];'
# shellcheck disable=SC2016	# for the shell inside
nest busybox sh -c 'echo vda is $(busybox head -c 6 /dev/vda), vdb is $(busybox head -c 6 /dev/vdb)'
expect_status 0
expect_line 'vdb is second'
refuse_line 'vda is second'
end

for vhost in 0 1; do
	begin "a guest's guest has the host's network, with vhost=$vhost"
	plan '' "passthrough = \"net0\"; net = \"mode=tap,vhost=$vhost,host_ip=192.168.33.1,guest_ip=192.168.33.15\";"
	nest busybox ping -c 5 -i 0.2 192.168.33.1
	expect_status 0
	expect_line ' 5 packets received'
	end
done

begin "what is not there is said"
plan '' 'passthrough = "disk0";'
nest busybox true
expect_status 2
expect_line 'error: level 1: passthrough disk0: there are 0 disks to hand on'
expect_one_message
end
