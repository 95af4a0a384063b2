# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: small
# board: --timeout 400
. tests/lib.sh

# status_of SIGNAL: what nidus, or the shell for SIGKILL, makes of it.
status_of() {
	case $1 in
	HUP) echo 129 ;;
	INT) echo 130 ;;
	KILL) echo 137 ;;
	TERM) echo 143 ;;
	esac
}

begin "killed at fifty moments of a boot, nidus ends at once and leaves nothing"
boots=0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13; do
	for signal in TERM INT HUP KILL; do
		# Up to two seconds: from before /dev/kvm is opened to user space.
		interrupted $signal "usleep $(($(hexdump -n 2 -e '"%u"' /dev/urandom) * 2000000 / 65536))" \
			nidus run --kernel "$NIDUS_KERNEL" --initrd "$NIDUS_INITRD" --cpus 2 \
			--stats "$scratch/stats" --params "console=ttyAMA0 -- sleep 1000"
		expect_status "$(status_of $signal)"
		expect [ ! -s "$messages" ]
		expect_nothing_left
		boots=$((boots + 1))
	done
done
expect [ $boots = 52 ]
end
