/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For payloads that are hypervisors (nidus run --nested): a guest at EL1, in the same image and on
 * the same vCPU, behind a stage 2 of ours. The payload calls el2_enter(), which returns when the
 * guest exits, so a test reads from top to bottom. With MMU and caches off at both levels.
 *
 * The guest has RAM and the devices from 0x0800_0000 on, GIC apart, at their own addresses, and
 * what a test maps at WINDOW. It talks to its hypervisor by HVC.
 */
#ifndef EL2_H
#define EL2_H

#include "guest.h"

/* Registers that the assembler knows with FEAT_VHE only. */
#define sctlr_el12     s3_5_c1_c0_0
#define ttbr0_el12     s3_5_c2_c0_0
#define tcr_el12       s3_5_c2_c0_2
#define mair_el12      s3_5_c10_c2_0
#define vbar_el12      s3_5_c12_c0_0
#define cntkctl_el12   s3_5_c14_c1_0
#define cntv_ctl_el02  s3_5_c14_c3_1
#define cntv_cval_el02 s3_5_c14_c3_2
#define cnthv_ctl_el2  s3_4_c14_c3_1
#define cnthv_cval_el2 s3_4_c14_c3_2

#define HCR_VM	(UINT64_C(1) << 0)
#define HCR_FMO (UINT64_C(1) << 3)
#define HCR_IMO (UINT64_C(1) << 4)
#define HCR_AMO (UINT64_C(1) << 5)
#define HCR_RW	(UINT64_C(1) << 31)
#define HCR_E2H (UINT64_C(1) << 34)

/* Of an EL1 with MMU and caches off: what is RES1 there without later features. */
#define SCTLR_EL1_OFF 0x30d00980
#define SPSR_EL1H     0x3c5 /* interrupts masked */

/* IPAs of 39 bits in pages of 4 KiB, from level 1 on, to PAs of 40 bits. */
#define VTCR (UINT64_C(1) << 31 | 2u << 16 | 1u << 6 | 25u)

#define S2_VALID    (UINT64_C(1) << 0)
#define S2_TABLE    (UINT64_C(1) << 1) /* or page, at level 3 */
#define S2_NORMAL   (UINT64_C(15) << 2)
#define S2_DEVICE   (UINT64_C(1) << 2)
#define S2_READ	    (UINT64_C(1) << 6)
#define S2_WRITE    (UINT64_C(1) << 7)
#define S2_SHARED   (UINT64_C(3) << 8)
#define S2_ACCESSED (UINT64_C(1) << 10)
#define S2_XN	    (UINT64_C(2) << 53)

#define S2_RAM	 (S2_VALID | S2_NORMAL | S2_READ | S2_WRITE | S2_SHARED | S2_ACCESSED)
#define S2_MMIO	 (S2_VALID | S2_DEVICE | S2_READ | S2_WRITE | S2_ACCESSED | S2_XN)
#define S2_ENTRY 512
#define S2_BLOCK UINT64_C(0x200000)
#define S2_PAGE	 UINT64_C(0x1000)

/* A list register, ICH_LR<n>_EL2: pending, of group 1. */
#define LR(priority, intid) \
	(UINT64_C(1) << 62 | UINT64_C(1) << 60 | (uint64_t)(priority) << 48 | (intid))
#define SPURIOUS 1023 /* where there is no interrupt to acknowledge */

#define WINDOW	   UINT64_C(0x80000000)
#define RAM_BLOCKS 32 /* the 64 MiB that tests run in */

#define EC_ILLEGAL_STATE	   0x0e
#define EC_HVC64		   0x16
#define EC_INSTRUCTION_ABORT_LOWER 0x20
#define EC_DATA_ABORT_LOWER	   0x24
#define ESR_FSC(esr)		   (0x3f & (esr))
#define FSC_TRANSLATION		   0x04 /* and the level */
#define FSC_PERMISSION		   0x0c
#define ESR_WNR			   (1u << 6)
#define ESR_ISV			   (1u << 24)

/* What el2_enter() returns. */
enum el2_exit { EXIT_SYNC, EXIT_IRQ, EXIT_FIQ, EXIT_SERROR };

/* Laid out as start.S has it. */
struct el2_guest {
	uint64_t x[31], elr, spsr;
};

struct stage2 {
	uint64_t level1[S2_ENTRY], devices[S2_ENTRY], ram[S2_ENTRY];
	/* At level 2 and 3 for the 2 MiB, and the first 512 pages, from WINDOW on. */
	uint64_t window[S2_ENTRY], pages[S2_ENTRY];
} __attribute__((aligned(4096)));

/* Goes on with the guest until an exception takes the vCPU back to EL2. In start.S. */
enum el2_exit el2_enter(struct el2_guest *guest);
extern uint8_t vectors[];

static inline bool has_vhe(void)
{
	return read_sysreg(hcr_el2) & HCR_E2H;
}

/* A register of the guest's EL1, which is another one for us if we have VHE. */
#define write_el1(name, value)                            \
	do {                                              \
		if (has_vhe())                            \
			write_sysreg(name##_el12, value); \
		else                                      \
			write_sysreg(name##_el1, value);  \
	} while (0)

/* Takes it to memory: the host reads tables past our disabled caches, and through its own. */
static inline void table_set(uint64_t *entry, uint64_t descriptor)
{
	*(volatile uint64_t *)entry = descriptor;
	__asm__ volatile("dsb sy\n\tdc civac, %0\n\tdsb sy\n\tisb" : : "r"(entry) : "memory");
}

static inline uint64_t table_pointer(const uint64_t *table)
{
	return (uintptr_t)table | S2_VALID | S2_TABLE;
}

/* The n-th page from WINDOW on. */
static inline void window_map(struct stage2 *stage2, unsigned int n, const void *page,
			      uint64_t attributes)
{
	table_set(&stage2->pages[n], (uintptr_t)page | attributes | S2_TABLE);
}

static inline void window_unmap(struct stage2 *stage2, unsigned int n)
{
	table_set(&stage2->pages[n], 0);
}

static inline void stage2_create(struct stage2 *stage2)
{
	table_set(&stage2->devices[PL011_BASE / S2_BLOCK],
		  PL011_BASE / S2_BLOCK * S2_BLOCK | S2_MMIO);
	for (unsigned int i = 0; i < RAM_BLOCKS; i++)
		table_set(&stage2->ram[i], (RAM_BASE + i * S2_BLOCK) | S2_RAM);
	table_set(&stage2->window[0], table_pointer(stage2->pages));
	table_set(&stage2->level1[0], table_pointer(stage2->devices));
	table_set(&stage2->level1[1], table_pointer(stage2->ram));
	table_set(&stage2->level1[2], table_pointer(stage2->window));
}

/* All guests. Seldom, for it costs KVM a walk of all that a shadow table could hold. */
static inline void tlbi_all(void)
{
	__asm__ volatile("dsb sy\n\ttlbi alle1is\n\tdsb sy\n\tisb" : : : "memory");
}

/* The page or block at an IPA of the present VMID. */
static inline void tlbi_ipa(uint64_t ipa)
{
	__asm__ volatile("dsb sy\n\ttlbi ipas2e1is, %0\n\tdsb sy\n\ttlbi vmalle1is\n\tdsb sy\n\tisb"
			 :
			 : "r"(ipa / S2_PAGE)
			 : "memory");
}

/* This vCPU's EL2, with interrupts routed to it, and the EL1 of its guest. */
static inline void el2_init(struct stage2 *stage2, unsigned int vmid)
{
	const uint64_t e2h = read_sysreg(hcr_el2) & HCR_E2H;

	write_sysreg(hcr_el2, e2h | HCR_RW | HCR_AMO | HCR_IMO | HCR_FMO | HCR_VM);
	write_sysreg(vtcr_el2, VTCR);
	write_sysreg(vttbr_el2, (uint64_t)vmid << 48 | (uintptr_t)stage2->level1);
	write_sysreg(vpidr_el2, read_sysreg(midr_el1));
	write_sysreg(vmpidr_el2, read_sysreg(mpidr_el1));
	/* EL1PCTEN and EL1PCEN: the physical counter and timer are the guest's as well. */
	write_sysreg(cnthctl_el2, e2h ? 3 << 10 : 3);
	write_sysreg(cntvoff_el2, 0);
	write_el1(sctlr, SCTLR_EL1_OFF);
	write_el1(vbar, (uintptr_t)vectors);
	tlbi_all();
}

/* A guest that is to begin with function(argument) on that stack. */
static inline void guest_begin(struct el2_guest *guest, void (*function)(uint64_t argument),
			       uint64_t argument, uint8_t *stack)
{
	guest->x[0] = argument;
	guest->elr = (uintptr_t)function;
	guest->spsr = SPSR_EL1H;
	write_sysreg(sp_el1, (uintptr_t)stack + STACK_SIZE);
}

/* For the guest: tells its hypervisor something, and returns what that put into X0. */
static inline uint64_t hypercall(uint64_t number, uint64_t value)
{
	return hvc(number, value, 0, 0).x[0];
}

/* For the hypervisor: whether the guest goes on to a hypercall of that number. */
static inline bool guest_calls(struct el2_guest *guest, uint64_t number)
{
	return el2_enter(guest) == EXIT_SYNC && ESR_EC(read_sysreg(esr_el2)) == EC_HVC64 &&
	       guest->x[0] == number;
}

/* The IPA that a stage 2 fault was about, to the page. */
static inline uint64_t fault_ipa(void)
{
	return (read_sysreg(hpfar_el2) & 0xfffffffffff0) << 8;
}

#endif
