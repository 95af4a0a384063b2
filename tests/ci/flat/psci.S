// SPDX-License-Identifier: GPL-2.0-only
#include "console.inc"
	mov	x0, #0x84000000		// PSCI_VERSION
	hvc	#0
	lsr	w3, w0, #16
	cmp	w3, #1
	b.ne	wrong
	print	"PASS: PSCI is version 1\r\n"
	power_off
wrong:	print	"FAIL: PSCI is not version 1\r\n"
	power_off
