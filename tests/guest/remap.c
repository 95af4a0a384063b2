// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pairs that reach from a page of RAM into a device, which nidus carries out, while another vCPU
 * puts one page after the other in its place. Once its TLBI and DSB are done, the page that was
 * taken away is its own: nobody may write it any more, nor read it. The last vCPU stays off, the
 * one before it replaces pages, the others access them.
 *
 * Parameters: nothing, and it ends by itself; else it goes on for ever. "endless": the same;
 * "flood": the vCPU that replaces pages writes to the console instead, and waits there when nobody
 * reads; "console": the device is the console, which is nearly full, and it is the others that wait
 * there.
 */
#include "tree.h"

#define ROUNDS	 4000 /* of replacing, at least */
#define ACCESSES 100 /* of each of the others */

#define WINDOW UINT64_C(0x80000000) /* two pages: RAM and a device */
#define EDGE   (WINDOW + PAGE)
#define PAGE   UINT64_C(4096)
#define PAGES  64 /* that are in the window in turn */

/* What the word at the end of the page in the window may be, and that of all others. */
#define FRESH  0x11111111
#define STORED 0x22222222
#define SECRET 0x33333333

#define TABLE  3u
#define BLOCK  (1u << 10 | 1u) /* AF */
#define LEAF   (1u << 10 | 3u)
#define NORMAL (1u << 2 | 3u << 8) /* attribute 1, Inner Shareable */

static uint64_t level1[512] __attribute__((aligned(4096)));
static uint64_t level2[512] __attribute__((aligned(4096)));
static volatile uint64_t level3[512] __attribute__((aligned(4096)));
static uint8_t pages[PAGES][PAGE] __attribute__((aligned(4096)));
static uint64_t cpus[CPUS_MAX];

static volatile unsigned int rounds, overwritten;
static volatile bool go, over;
/* Each written by one vCPU, in a cache line of its own. */
static volatile struct {
	unsigned int accesses, leaks, aborts;
} __attribute__((aligned(64))) done_by[CPUS_MAX];

static void make_tables(uint64_t device)
{
	level1[0] = BLOCK;
	level1[1] = RAM_BASE | NORMAL | BLOCK;
	level1[WINDOW >> 30] = (uintptr_t)level2 | TABLE;
	level2[0] = (uintptr_t)level3 | TABLE;
	level3[0] = (uintptr_t)pages[0] | NORMAL | LEAF;
	level3[1] = device | LEAF;
}

static void mmu_on(void)
{
	barrier();
	write_sysreg(mair_el1, 0xff00); /* 0: Device-nGnRnE, 1: Normal Write-Back */
	/* T0SZ 25: 39 bits, which begin at level 1; cacheable walks; no TTBR1_EL1 */
	write_sysreg(tcr_el1, UINT64_C(2) << 32 | 1u << 23 | 3u << 12 | 1u << 10 | 1u << 8 | 25);
	write_sysreg(ttbr0_el1, (uintptr_t)level1);
	__asm__ volatile("tlbi vmalle1\n\tdsb sy" : : : "memory");
	/* M, C and I; not A */
	write_sysreg(sctlr_el1, (read_sysreg(sctlr_el1) | 0x1005) & ~UINT64_C(2));
}

/* While there is no page in the window: tried again, until there is one. */
static bool faulted(struct frame *frame)
{
	(void)frame;
	if (ESR_EC(exception_syndrome()) != EC_DATA_ABORT)
		return false;
	/* Anything but a translation fault at level 3. */
	if ((exception_syndrome() & 0x3f) != 0x07)
		done_by[cpu_index()].aborts++;
	return true;
}

static void access_window(unsigned int self)
{
	while (!over) {
		uint32_t in_ram, in_device;

		__asm__ volatile("stp %w0, %w1, [%2]"
				 :
				 : "r"(STORED), "r"((uint32_t)'.'), "r"(EDGE - 4)
				 : "memory");
		__asm__ volatile("ldp %w0, %w1, [%2]"
				 : "=r"(in_ram), "=r"(in_device)
				 : "r"(EDGE - 4)
				 : "memory");
		if (in_ram != FRESH && in_ram != STORED)
			done_by[self].leaks++;
		done_by[self].accesses++;
	}
}

static volatile uint32_t *last_word(unsigned int page)
{
	return (volatile uint32_t *)&pages[page][PAGE - 4];
}

static void replace(unsigned int page)
{
	level3[0] = 0;
	__asm__ volatile("dsb ishst\n\ttlbi vaae1is, %0\n\tdsb ish\n\tisb"
			 :
			 : "r"(WINDOW >> 12)
			 : "memory");
	level3[0] = (uintptr_t)pages[page] | NORMAL | LEAF;
	barrier();
}

static bool enough(unsigned int accessing)
{
	bool enough = rounds >= ROUNDS && *tree_params() == '\0';

	for (unsigned int i = 0; i < accessing; i++)
		enough &= done_by[i].accesses >= ACCESSES;
	return enough;
}

static void replace_pages(unsigned int accessing)
{
	const uint64_t tick = read_sysreg(cntfrq_el0) / 4000;

	for (unsigned int page = 1; page < PAGES; page++)
		*last_word(page) = SECRET;
	while (!enough(accessing)) {
		const unsigned int old = rounds % PAGES, new = (rounds + 1) % PAGES;

		if (*last_word(new) != SECRET)
			overwritten++;
		*last_word(new) = FRESH;
		replace(new);
		*last_word(old) = SECRET;
		rounds++;
		/* Time to find the new one. */
		for (const uint64_t begin = read_sysreg(cntvct_el0);
		     read_sysreg(cntvct_el0) - begin < tick;)
			;
		if (*tree_params())
			read32(PL031_BASE);
	}
	over = true;
}

#define CONSOLE_BYTES 16384 /* that nidus keeps until somebody reads */

static void flood(void)
{
	for (;;)
		put("nobody reads this\n");
}

/* All with MMU and caches off until then. */
static void begin(unsigned int self, unsigned int count)
{
	while (!go)
		barrier();
	mmu_on();
	if (self < count - 2)
		access_window(self);
	else if (text_begins(tree_params(), "flood"))
		flood();
	else
		replace_pages(count - 2);
}

static void other(uint64_t context)
{
	begin(context & 0xffff, context >> 16);
	cpu_off();
}

int main(void)
{
	const bool console = text_begins(tree_params(), "console");
	const unsigned int count = tree_cpus(cpus);
	unsigned int leaks = 0, aborts = 0;

	make_tables(console ? PL011_BASE : PL031_BASE);
	for (unsigned int i = 0; i < CONSOLE_BYTES - 8 && console; i++)
		put_char('.');
	sync_hook = faulted;
	cpu_main = other;
	for (unsigned int i = 1; i < count - 1; i++)
		cpu_on(cpus[i], (uint64_t)count << 16 | i);
	go = true;
	begin(0, count);

	for (unsigned int i = 0; i < count - 2; i++) {
		leaks += done_by[i].leaks;
		aborts += done_by[i].aborts;
	}
	report_equal(overwritten, 0, "a page that was taken away is not written any more");
	report_equal(leaks, 0, "nor read");
	report_equal(aborts, 0, "and no access is refused");
	done("remap");
}
