// SPDX-License-Identifier: GPL-2.0-only
#include "console.inc"
	mrs	x3, CNTVCT_EL0
	mov	x5, #0x1000000
next:	mrs	x4, CNTVCT_EL0
	cmp	x4, x3
	b.hi	right
	subs	x5, x5, #1
	b.ne	next
	print	"FAIL: the counter stands still\r\n"
	power_off
right:	print	"PASS: the counter counts\r\n"
	power_off
