// SPDX-License-Identifier: GPL-2.0-only
// A hypervisor of one page: begins at EL2, has a guest at EL1 make a hypercall, says so, and powers off.

	.equ PL011, 0x09000000
	.equ SYSTEM_OFF, 0x84000008
	.equ HCR_RW, 1 << 31
	.equ SPSR_EL1H, 0x3c5		// DAIF masked
	.equ EC_HVC64, 0x16

	mrs	x0, CurrentEL
	cmp	x0, #8
	adr	x3, no_el2
	b.ne	say
	adr	x0, vectors
	msr	VBAR_EL2, x0
	mov	x0, #HCR_RW
	msr	HCR_EL2, x0
	mov	x0, #SPSR_EL1H
	msr	SPSR_EL2, x0
	adr	x0, guest
	msr	ELR_EL2, x0
	isb
	eret

guest:	hvc	#21
	b	.

trapped:
	mrs	x0, ESR_EL2
	lsr	x1, x0, #26
	and	x0, x0, #0xffff
	cmp	x1, #EC_HVC64
	ccmp	x0, #21, #0, eq
	adr	x3, right
	adr	x4, wrong
	csel	x3, x3, x4, eq

say:	ldr	x1, =PL011
next:	ldrb	w2, [x3], #1
	cbz	w2, off
	str	w2, [x1]
	b	next
off:	ldr	x0, =SYSTEM_OFF
	smc	#0
	b	.

no_el2:	.asciz	"there is no EL2\r\n"
right:	.asciz	"a guest at EL1 has called\r\n"
wrong:	.asciz	"that was no hypercall\r\n"

	.balign	2048
vectors:
	.rept	16
	b	trapped
	.balign	128
	.endr
