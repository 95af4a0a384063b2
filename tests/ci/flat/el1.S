// SPDX-License-Identifier: GPL-2.0-only
#include "console.inc"
	mrs	x3, CurrentEL
	cmp	x3, #4
	b.ne	wrong
	print	"PASS: a guest begins at EL1\r\n"
	power_off
wrong:	print	"FAIL: a guest does not begin at EL1\r\n"
	power_off
