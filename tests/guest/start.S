/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where payloads begin: the first vCPU at _start with MMU and caches off, the others at
 * secondary_start as cpu_on() asks. Exceptions go to exception() and back, at EL1 as at EL2.
 */
#include "layout.h"

	.section .text.start, "ax"
	.globl	_start
_start:
	ldr	x4, =boot_registers
	stp	x0, x1, [x4]
	stp	x2, x3, [x4, #16]
	mov	x0, #0
	ldr	x1, =main
	b	enter

/* X0: the context id, whose low 16 bits are the vCPU's index. */
	.globl	secondary_start
secondary_start:
	ldr	x1, =cpu_main
	ldr	x1, [x1]

/* To the function in X1 with argument X0, on the vCPU's own stack. */
enter:
	mrs	x4, CurrentEL
	cmp	x4, #CURRENT_EL2
	b.eq	1f
	ldr	x4, =vectors
	msr	vbar_el1, x4
	b	2f
1:	ldr	x4, =el2_vectors
	msr	vbar_el2, x4
2:	and	x5, x0, #0xffff
	msr	tpidr_el1, x5
	ldr	x4, =stacks + STACK_SIZE
	add	x4, x4, x5, lsl #STACK_SHIFT
	mov	sp, x4
	isb
	blr	x1
	b	.

	.macro	vector, kind, common
	.balign	128
	sub	sp, sp, #FRAME_SIZE
	stp	x0, x1, [sp]
	mov	x0, #\kind
	b	\common
	.endm

	.macro	exit_vector, kind
	.balign	128
	stp	x0, x1, [sp, #-16]!
	mov	x1, #\kind
	b	el2_exit
	.endm

/* Kinds: 0 synchronous, 1 IRQ, 2 FIQ, 3 SError; 4 more for any from where none is expected. */
	.balign	2048
	.globl	vectors
vectors:
	.irp	kind, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7
	vector	\kind, common_el1
	.endr

/* Of a payload that began at EL2: what comes from a guest of its own leaves el2_enter(). */
	.balign	2048
el2_vectors:
	.irp	kind, 4, 5, 6, 7, 0, 1, 2, 3
	vector	\kind, common_el2
	.endr
	.irp	kind, 0, 1, 2, 3
	exit_vector \kind
	.endr
	.irp	kind, 4, 5, 6, 7
	vector	\kind, common_el2
	.endr

	.macro	common, el
common_\el:
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x19, [sp, #144]
	stp	x20, x21, [sp, #160]
	stp	x22, x23, [sp, #176]
	stp	x24, x25, [sp, #192]
	stp	x26, x27, [sp, #208]
	stp	x28, x29, [sp, #224]
	mrs	x1, elr_\el
	mrs	x2, spsr_\el
	stp	x30, x1, [sp, #240]
	str	x2, [sp, #256]
	mov	x1, sp
	bl	exception
	ldp	x30, x1, [sp, #240]
	ldr	x2, [sp, #256]
	msr	elr_\el, x1
	msr	spsr_\el, x2
	ldp	x28, x29, [sp, #224]
	ldp	x26, x27, [sp, #208]
	ldp	x24, x25, [sp, #192]
	ldp	x22, x23, [sp, #176]
	ldp	x20, x21, [sp, #160]
	ldp	x18, x19, [sp, #144]
	ldp	x16, x17, [sp, #128]
	ldp	x14, x15, [sp, #112]
	ldp	x12, x13, [sp, #96]
	ldp	x10, x11, [sp, #80]
	ldp	x8, x9, [sp, #64]
	ldp	x6, x7, [sp, #48]
	ldp	x4, x5, [sp, #32]
	ldp	x2, x3, [sp, #16]
	ldp	x0, x1, [sp]
	add	sp, sp, #FRAME_SIZE
	eret
	.endm

	common	el1
	common	el2

/*
 * unsigned int el2_enter(struct el2_guest *guest): see el2.h. The guest's registers are in *guest,
 * ours on our stack, which an exit finds as it was.
 */
	.globl	el2_enter
el2_enter:
	stp	x19, x20, [sp, #-96]!
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	msr	tpidr_el2, x0
	ldp	x30, x1, [x0, #240]
	ldr	x2, [x0, #256]
	msr	elr_el2, x1
	msr	spsr_el2, x2
	ldp	x28, x29, [x0, #224]
	ldp	x26, x27, [x0, #208]
	ldp	x24, x25, [x0, #192]
	ldp	x22, x23, [x0, #176]
	ldp	x20, x21, [x0, #160]
	ldp	x18, x19, [x0, #144]
	ldp	x16, x17, [x0, #128]
	ldp	x14, x15, [x0, #112]
	ldp	x12, x13, [x0, #96]
	ldp	x10, x11, [x0, #80]
	ldp	x8, x9, [x0, #64]
	ldp	x6, x7, [x0, #48]
	ldp	x4, x5, [x0, #32]
	ldp	x2, x3, [x0, #16]
	ldp	x0, x1, [x0]
	eret

/* X1: the kind; X0 and X1 of the guest are on the stack. */
el2_exit:
	mrs	x0, tpidr_el2
	stp	x2, x3, [x0, #16]
	stp	x4, x5, [x0, #32]
	stp	x6, x7, [x0, #48]
	stp	x8, x9, [x0, #64]
	stp	x10, x11, [x0, #80]
	stp	x12, x13, [x0, #96]
	stp	x14, x15, [x0, #112]
	stp	x16, x17, [x0, #128]
	stp	x18, x19, [x0, #144]
	stp	x20, x21, [x0, #160]
	stp	x22, x23, [x0, #176]
	stp	x24, x25, [x0, #192]
	stp	x26, x27, [x0, #208]
	stp	x28, x29, [x0, #224]
	mrs	x2, elr_el2
	mrs	x3, spsr_el2
	stp	x30, x2, [x0, #240]
	str	x3, [x0, #256]
	ldp	x2, x3, [sp], #16
	stp	x2, x3, [x0]
	mov	x0, x1
	ldp	x29, x30, [sp, #80]
	ldp	x27, x28, [sp, #64]
	ldp	x25, x26, [sp, #48]
	ldp	x23, x24, [sp, #32]
	ldp	x21, x22, [sp, #16]
	ldp	x19, x20, [sp], #96
	ret

	.section .note.GNU-stack, "", %progbits
