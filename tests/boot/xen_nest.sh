# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: net
# firmware: xen
# board: --mem 4G --timeout 300
. tests/lib.sh

# Xen as a level of a nest.

report=$scratch/report
cat >"$scratch/nest" <<-END
	levels = ( {
		hypervisor = "$NIDUS_XEN console=dtuart dom0_mem=512M";
		kernel = "$NIDUS_KERNEL";
		memory = "1G";
		cpus = 2;
		file = "/bin/busybox";
		command = "busybox cat /sys/hypervisor/type";
	} );
END

begin "a level is the first domain of Xen, with its command, and its exits are counted"
timeout -s KILL 200 nidus nest "$scratch/nest" --json "$report" </dev/null >"$console" 2>"$messages"
status=$?
expect_status 0
expect_line '^xen'
expect_line '^level 1: up after [0-9.]+ s: Linux [0-9][^,]*, 2 vCPUs, 4[0-9][0-9] MiB'
expect_line '^ +1 +[0-9.]+ s +[0-9]+ +shutdown +mmio [0-9]+,.* system_event 1$'
expect grep -q '"good": true' "$report"
expect_nothing_left
end
