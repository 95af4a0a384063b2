/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where payloads begin: the first vCPU at _start with MMU and caches off, the others at
 * secondary_start as cpu_on() asks. Exceptions from EL1 go to exception() and back.
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
	ldr	x4, =vectors
	msr	vbar_el1, x4
	and	x5, x0, #0xffff
	msr	tpidr_el1, x5
	ldr	x4, =stacks + STACK_SIZE
	add	x4, x4, x5, lsl #STACK_SHIFT
	mov	sp, x4
	isb
	blr	x1
	b	.

	.macro	vector, kind
	.balign	128
	sub	sp, sp, #FRAME_SIZE
	stp	x0, x1, [sp]
	mov	x0, #\kind
	b	common
	.endm

/* Kinds: 0 synchronous, 1 IRQ, 2 FIQ, 3 SError; 4 more for any from where none is expected. */
	.balign	2048
vectors:
	.irp	kind, 4, 5, 6, 7
	vector	\kind
	.endr
	.irp	kind, 0, 1, 2, 3
	vector	\kind
	.endr
	.irp	kind, 4, 5, 6, 7, 4, 5, 6, 7
	vector	\kind
	.endr

common:
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
	mrs	x1, elr_el1
	mrs	x2, spsr_el1
	stp	x30, x1, [sp, #240]
	str	x2, [sp, #256]
	mov	x1, sp
	bl	exception
	ldp	x30, x1, [sp, #240]
	ldr	x2, [sp, #256]
	msr	elr_el1, x1
	msr	spsr_el1, x2
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

	.section .note.GNU-stack, "", %progbits
