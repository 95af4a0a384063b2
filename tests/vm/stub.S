/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guests of translate.c run: it asks the CPU about the addresses in a mailbox, writes the
 * answers beside them, and stores to a device when all are there. Position-independent; X20 is the
 * mailbox, X21 the device, X22 a value for VBAR. Entries of the mailbox: see struct query there.
 *
 * An exception, of AT or of a trial to execute, ends a query: its ESR and FAR are the answer.
 */
	.arch	armv8.2-a

/* Kinds 0 to 3 and, with PSTATE.PAN, 6 and 7 are an AT; 4 and 5 execute at the address. */
	.macro	stub, name, el, tlbi, at0, at1, at2, at3, at6, at7
	.section .rodata
	.globl	\name, \name\()_end
	.balign	2048
\name:
	msr	vbar_\el, x22
	isb
	dsb	sy
	tlbi	\tlbi
	dsb	sy
	isb
	ldp	x1, x2, [x20]
1:	cbz	x1, 3f
	ldp	x0, x3, [x2]
	mov	x4, #0
	mov	x5, #0
	adr	x30, 2f
	adr	x6, 4f
	add	x6, x6, x3, lsl #5
	br	x6
2:	isb
	mrs	x3, par_el1
	stp	x3, x4, [x2, #16]
	str	x5, [x2, #32]
	add	x2, x2, #40
	sub	x1, x1, #1
	b	1b
3:	str	xzr, [x21]
	b	\name

	.balign	32
4:	at	\at0, x0
	b	2b
	.balign	32
	at	\at1, x0
	b	2b
	.balign	32
	at	\at2, x0
	b	2b
	.balign	32
	at	\at3, x0
	b	2b
	.balign	32
	br	x0
	.balign	32
	mov	x7, #0x3c0
	msr	spsr_\el, x7
	msr	elr_\el, x0
	eret
	.balign	32
	msr	pan, #1
	at	\at6, x0
	msr	pan, #0
	b	2b
	.balign	32
	msr	pan, #1
	at	\at7, x0
	msr	pan, #0
	b	2b

	/* X22 points here. Synchronous exceptions from this level, and from EL0. */
	.balign	2048
	.skip	0x200
	.rept	2
	.balign	0x200
	mrs	x4, esr_\el
	mrs	x5, far_\el
	msr	pan, #0
	mrs	x6, currentel
	mov	x7, #0x3c1
	orr	x6, x6, x7
	msr	spsr_\el, x6
	msr	elr_\el, x30
	eret
	.endr
\name\()_end:
	.endm

	stub	stub_el1, el1, vmalle1, s1e1r, s1e1w, s1e0r, s1e0w, s1e1rp, s1e1wp
	stub	stub_el2, el2, alle2, s1e2r, s1e2w, s1e2r, s1e2w, s1e2r, s1e2w

	.section .note.GNU-stack, "", %progbits
