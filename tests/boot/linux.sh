# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --smp 2 --timeout 600
. tests/lib.sh

for cpus in 1 2 8; do
	begin "Linux boots to user space on $cpus vCPUs and powers off"
	linux --cpus $cpus
	expect_status 0
	expect_line "^nidus guest: up, $cpus CPUs, 4[0-9][0-9] MiB, Linux [0-9]+[.][0-9]"
	expect_line 'reboot: Power down'
	expect_nothing_left
	end
done

begin "an interrupt reaches every vCPU, and they talk to each other"
linux --cpus 4 -- cat /proc/interrupts
expect_status 0
expect_line '^ *[0-9]+:( +[1-9][0-9]*){4} .*arch_timer'
expect_line '^IPI[01]:( +[1-9][0-9]*){4} '
end
