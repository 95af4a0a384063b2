// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hypervisor that does what it should not. Parameters:
 *
 *   returns    exception returns to states and places that there are not
 *   loops, leaves, random
 *              the second vCPU overwrites the stage 2 tables of the first one's guest as it runs,
 *              with pointers to each other, with pages that are not RAM, with anything
 *   outside    a stage 2 table that is not in RAM
 *   off        the second powers the machine off while the first one's guest runs
 *   endless    like random, until somebody ends it
 */
#include "el2.h"
#include "gic.h"
#include "tree.h"

#define EXITS			 200
#define TIMER_EL2_PHYSICAL_INTID 26
#define CTL_ENABLE		 1u

#define SPSR_IL	 (1u << 20)
#define NOWHERE	 UINT64_C(0x20000000)
#define PA_BITS	 40
#define READ	 1
#define PATIENCE 1000 /* interrupts a second that take the vCPU out of a guest that hangs */

static struct stage2 stage2;
static struct el2_guest guest;
static uint8_t guest_stack[STACK_SIZE] __attribute__((aligned(16)));
static uint64_t page[512] __attribute__((aligned(4096)));
static uint64_t cpus[CPUS_MAX];
static volatile bool stop, stopped;
static volatile uint64_t scribbled;

/* Exception returns. */

static volatile uint64_t taken_esr;

static bool take_illegal_state(struct frame *frame)
{
	taken_esr = exception_syndrome();
	frame->spsr &= ~(uint64_t)SPSR_IL;
	return ESR_EC(taken_esr) == EC_ILLEGAL_STATE;
}

static void return_to(uint64_t spsr)
{
	uint64_t next;

	__asm__ volatile("adr %0, 1f\n\tmsr elr_el2, %0\n\tmsr spsr_el2, %1\n\tisb\n\teret\n1:"
			 : "=&r"(next)
			 : "r"(spsr)
			 : "memory");
}

static void test_illegal_returns(void)
{
	static const struct {
		uint64_t spsr;
		const char *name;
	} illegal[] = {
		{ 0x3cd, "ERET to EL3" },	    { 0x3c1, "ERET to a mode that is reserved" },
		{ 0x3c6, "ERET to another one" },   { 0x1d3, "ERET to AArch32" },
		{ UINT64_MAX, "ERET to all ones" }, { SPSR_IL | 0x3c9, "ERET with PSTATE.IL" },
	};

	sync_hook = take_illegal_state;
	for (unsigned int i = 0; i < ARRAY_SIZE(illegal); i++) {
		taken_esr = 0;
		return_to(illegal[i].spsr);
		report_equal(ESR_EC(taken_esr), EC_ILLEGAL_STATE, illegal[i].name);
		report(at_el2(), "goes nowhere");
	}
	sync_hook = NULL;
}

static void reads(uint64_t address)
{
	for (;;)
		hypercall(READ, read64(address));
}

static void executes(uint64_t address)
{
	((void (*)(void))address)();
	hypercall(READ, aborts.esr);
}

static void test_guest_returns(void)
{
	sync_hook = take_illegal_state;
	guest_begin(&guest, reads, (uintptr_t)page, guest_stack);
	guest.spsr |= SPSR_IL;
	taken_esr = 0;
	report(guest_calls(&guest, READ) && ESR_EC(taken_esr) == EC_ILLEGAL_STATE,
	       "a guest with PSTATE.IL takes the exception by itself");
	sync_hook = NULL;

	window_map(&stage2, 0, (void *)NOWHERE, S2_RAM);
	aborts.expected = true;
	guest_begin(&guest, executes, WINDOW, guest_stack);
	report(guest_calls(&guest, READ) && ESR_EC(guest.x[1]) == EC_INSTRUCTION_ABORT,
	       "a guest whose PC is mapped to nowhere takes an abort");
	((void (*)(void))NOWHERE)();
	report_equal(ESR_EC(aborts.esr), EC_INSTRUCTION_ABORT, "and so does a hypervisor");
	aborts.expected = false;
}

/* Tables. */

/* xorshift64 */
static uint64_t draw(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t draw_loop(bool last)
{
	(void)last;
	return ((uintptr_t)&stage2 + draw() % sizeof(stage2) / S2_PAGE * S2_PAGE) | S2_VALID |
	       S2_TABLE | S2_READ | S2_ACCESSED;
}

/* With bit 39, and so far from our own memory, which the guest might write to else. */
static uint64_t draw_leaf(bool last)
{
	return (draw() & 0x7ffffff000) | UINT64_C(1) << 39 | S2_RAM | (last ? S2_TABLE : 0);
}

/*
 * What cannot be a table is as it comes. A table outside RAM would end the run (see "outside"): it
 * is bent to the first page of RAM, in which there is nothing.
 */
static uint64_t draw_any(bool last)
{
	const uint64_t any = draw();

	if (!last && (any & 3) == 3 && (any & 0xffffffffffff) >> PA_BITS == 0)
		return RAM_BASE | 3;
	return any;
}

/* A descriptor to overwrite another with, which is of the last level or not. */
static uint64_t (*draw_descriptor)(bool last);

static void scribble(uint64_t context)
{
	(void)context;
	while (!stop) {
		uint64_t *entry = &((uint64_t *)&stage2)[draw() % (sizeof(stage2) / 8)];

		table_set(entry, draw_descriptor(entry >= stage2.pages));
		scribbled++;
		tlbi_ipa(draw() % 2 ? RAM_BASE : WINDOW + draw() % S2_ENTRY * S2_PAGE);
	}
	stopped = true;
	barrier();
	cpu_off();
}

/* The guest: also where it begins again after whatever came over it. */
static void wanders(uint64_t unused)
{
	(void)unused;
	for (unsigned int n = 0;; n++) {
		read64(WINDOW + n % (S2_ENTRY + 1) * S2_PAGE);
		if (n % 8 == 0)
			hypercall(READ, 0);
	}
}

static bool begin_again(struct frame *frame)
{
	frame->elr = (uintptr_t)wanders;
	return !at_el2();
}

static void timer_start(void)
{
	write_sysreg(cnthp_cval_el2, read_sysreg(cntpct_el0) + read_sysreg(cntfrq_el0) / PATIENCE);
	write_sysreg(cnthp_ctl_el2, CTL_ENABLE);
}

static void timer_stop(unsigned int intid)
{
	(void)intid;
	write_sysreg(cnthp_ctl_el2, 0);
}

/* Runs the guest until it exits, or its time is over, and mends its tables one time in four. */
static void run_wrecked(unsigned int n)
{
	timer_start();
	if (el2_enter(&guest) == EXIT_IRQ)
		gic_dispatch();
	timer_stop(0);
	if (ESR_EC(read_sysreg(esr_el2)) != EC_HVC64)
		guest_begin(&guest, wanders, 0, guest_stack);
	if (n % 4 == 0) {
		stage2_create(&stage2);
		window_map(&stage2, n % S2_ENTRY, page, S2_RAM);
		tlbi_ipa(RAM_BASE);
	}
}

static void tables_clear(void)
{
	for (unsigned int i = 0; i < sizeof(stage2) / 8; i++)
		table_set(&((uint64_t *)&stage2)[i], 0);
	stage2_create(&stage2);
	window_map(&stage2, 0, page, S2_RAM);
	tlbi_all();
}

static void test_good_guest(void)
{
	tables_clear();
	sync_hook = NULL;
	page[0] = 0x600d;
	guest_begin(&guest, reads, WINDOW, guest_stack);
	report(guest_calls(&guest, READ) && guest.x[1] == 0x600d, "a guest with good tables runs");
}

static void start_second(void (*function)(uint64_t context))
{
	cpu_main = function;
	report_equal(cpu_on(cpus[1], 1), PSCI_SUCCESS, "the second vCPU begins");
}

static void test_scribbling(uint64_t (*descriptor)(bool last), bool endless)
{
	draw_descriptor = descriptor;
	sync_hook = begin_again;
	gic_init(timer_stop);
	gic_enable(gic_cpu_init(), TIMER_EL2_PHYSICAL_INTID);
	guest_begin(&guest, wanders, 0, guest_stack);
	start_second(scribble);
	while (!scribbled)
		barrier();
	for (unsigned int n = 0; n < EXITS || scribbled < EXITS || endless; n++)
		run_wrecked(n);
	stop = true;
	while (!stopped)
		barrier();
	report(true, "the second vCPU stops");
	test_good_guest();
}

/*
 * KVM, as of Linux 7.2, does not give the guest the external abort on a translation table walk that
 * it should: kvm_handle_guest_abort() returns the error of reading the table, and KVM_RUN fails.
 */
static void test_outside(void)
{
	table_set(&stage2.level1[2], NOWHERE | S2_VALID | S2_TABLE);
	guest_begin(&guest, reads, WINDOW, guest_stack);
	put("reading\n");
	el2_enter(&guest);
	report(false, "the run ends");
}

static void power_off_later(uint64_t context)
{
	const uint64_t end = read_sysreg(cntpct_el0) + read_sysreg(cntfrq_el0) / 20;

	(void)context;
	while (read_sysreg(cntpct_el0) < end)
		;
	power_off();
}

static void test_off(void)
{
	window_map(&stage2, 0, page, S2_RAM);
	guest_begin(&guest, reads, WINDOW, guest_stack);
	start_second(power_off_later);
	while (guest_calls(&guest, READ))
		;
	report(false, "the guest goes on until the end");
}

int main(void)
{
	const char *what = tree_params();

	tree_cpus(cpus);
	stage2_create(&stage2);
	el2_init(&stage2, 1);
	if (text_equal(what, "returns")) {
		test_illegal_returns();
		test_guest_returns();
		test_good_guest();
	} else if (text_equal(what, "loops")) {
		test_scribbling(draw_loop, false);
	} else if (text_equal(what, "leaves")) {
		test_scribbling(draw_leaf, false);
	} else if (text_equal(what, "random")) {
		test_scribbling(draw_any, false);
	} else if (text_equal(what, "endless")) {
		test_scribbling(draw_any, true);
	} else if (text_equal(what, "outside")) {
		test_outside();
	} else if (text_equal(what, "off")) {
		test_off();
	}
	done("el2_wreck");
}
