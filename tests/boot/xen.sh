# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: debian
# firmware: xen
# files: build/guest/domU1.dtbo
# board: --mem 4G --timeout 400
. tests/lib.sh

# Xen as a guest hypervisor, at EL2 without VHE, and its domains.

limit=200

# xen MEM ARGS OPTION...: ARGS are the first domain's.
xen() {
	mem=$1 args=$2
	shift 2
	guest --kernel "$NIDUS_XEN" --nested --e2h0 --cpus 2 --mem "$mem" --params 'console=dtuart dom0_mem=512M' \
		--module "$NIDUS_KERNEL,kernel,args=console=hvc0 quiet $args" --module "$NIDUS_INITRD,ramdisk" \
		--stats "$scratch/stats" "$@"
	expect [ ! -s "$messages" ]
}

begin "Xen's first domain comes to its init on two CPUs, and powers off"
xen 1G ''
expect_status 0
expect_line '^\(XEN\) Brought up 2 CPUs'
expect_line '^nidus guest: up, 2 CPUs'
expect_line '^\(XEN\) Hardware Dom0 halted: halting machine'
expect grep -q '"outcome": "shutdown"' "$scratch/stats"
end

begin "a domain beside it starts without it, and the first one resets the machine"
xen 1500M '-- sh -c "sleep 20; reboot -f"' --dtb-overlay build/guest/domU1.dtbo \
	--module "$NIDUS_KERNEL,kernel,node=/chosen/domU1,args=console=ttyAMA0 quiet -- echo this is domU1" \
	--module "$NIDUS_INITRD,ramdisk,node=/chosen/domU1"
expect_status 0
expect_line 'DOM1: nidus guest: up, 1 CPUs'
expect_line 'DOM1: this is domU1'
expect grep -q '"outcome": "reset"' "$scratch/stats"
end
