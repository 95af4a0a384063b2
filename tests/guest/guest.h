/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every payload is written with. A payload is main() in a file of its own, on the first vCPU,
 * with MMU and caches off: all memory is Device memory there, so no unaligned and no exclusive
 * accesses; vCPUs talk by plain loads and stores with barriers. It says "ok - NAME" or
 * "not ok - NAME" for each thing that must hold, and a last line that counts them.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#define RAM_BASE   UINT64_C(0x40000000)
#define PL011_BASE UINT64_C(0x09000000)
#define PL031_BASE UINT64_C(0x09010000)
#define PL011_SPI  1
#define PL031_SPI  2

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* X0 to X3 as they were at the start; the stacks; where cpu_on()'s vCPUs go. For start.S. */
uint64_t boot_registers[4];
uint8_t stacks[CPUS_MAX][STACK_SIZE] __attribute__((aligned(16)));
void (*cpu_main)(uint64_t context);
extern uint8_t image_start[], image_end[];
void secondary_start(void);
int main(void);

/* Registers and barriers. A register may have a name that is a macro. */

#define TEXT(name) #name

#define read_sysreg(name)                                                            \
	({                                                                           \
		uint64_t value_;                                                     \
		__asm__ volatile("mrs %0, " TEXT(name) : "=r"(value_) : : "memory"); \
		value_;                                                              \
	})

#define write_sysreg(name, value) \
	__asm__ volatile("msr " TEXT(name) ", %x0\n\tisb" : : "r"((uint64_t)(value)) : "memory")

static inline void barrier(void)
{
	__asm__ volatile("dsb sy\n\tisb" : : : "memory");
}

static inline void wfi(void)
{
	__asm__ volatile("dsb sy\n\twfi" : : : "memory");
}

static inline void irq_enable(void)
{
	__asm__ volatile("msr daifclr, #2\n\tisb" : : : "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("msr daifset, #2\n\tisb" : : : "memory");
}

static inline bool at_el2(void)
{
	return read_sysreg(CurrentEL) == CURRENT_EL2;
}

static inline unsigned int cpu_index(void)
{
	return read_sysreg(tpidr_el1);
}

/* Memory-mapped registers: one load or store of the plainest form, which KVM can describe. */

#define MMIO_FUNCTIONS(bits, load, store, form)                                \
	static inline uint##bits##_t read##bits(uint64_t address)              \
	{                                                                      \
		uint64_t value;                                                \
                                                                               \
		__asm__ volatile(load " %" form "0, [%1]"                      \
				 : "=r"(value)                                 \
				 : "r"(address)                                \
				 : "memory");                                  \
		return value;                                                  \
	}                                                                      \
                                                                               \
	static inline void write##bits(uint64_t address, uint##bits##_t value) \
	{                                                                      \
		__asm__ volatile(store " %" form "0, [%1]"                     \
				 :                                             \
				 : "r"((uint64_t)value), "r"(address)          \
				 : "memory");                                  \
	}

MMIO_FUNCTIONS(8, "ldrb", "strb", "w")
MMIO_FUNCTIONS(16, "ldrh", "strh", "w")
MMIO_FUNCTIONS(32, "ldr", "str", "w")
MMIO_FUNCTIONS(64, "ldr", "str", "x")

/* Text. */

#define UARTDR 0x00

static inline void put_char(char c)
{
	write32(PL011_BASE + UARTDR, (uint8_t)c);
}

static inline void put(const char *text)
{
	while (*text)
		put_char(*text++);
}

static inline void put_hex(uint64_t value)
{
	unsigned int shift = 60;

	while (shift > 0 && value >> shift == 0)
		shift -= 4;
	put("0x");
	for (;; shift -= 4) {
		put_char("0123456789abcdef"[value >> shift & 0xf]);
		if (shift == 0)
			break;
	}
}

static inline void put_number(uint64_t value)
{
	if (value >= 10)
		put_number(value / 10);
	put_char('0' + value % 10);
}

/* The CRC-32 of gzip and zlib, to be begun with 0. */
static inline uint32_t crc32(uint32_t crc, uint8_t byte)
{
	crc = ~crc ^ byte;
	for (unsigned int bit = 0; bit < 8; bit++)
		crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	return ~crc;
}

/* SMC Calling Convention; the conduit to KVM is HVC, and from EL2 SMC. */

struct smccc {
	uint64_t x[4];
};

#define SMCCC_FUNCTION(name)                                                                       \
	static inline struct smccc name(uint64_t function, uint64_t arg1, uint64_t arg2,           \
					uint64_t arg3)                                             \
	{                                                                                          \
		register uint64_t x0 __asm__("x0") = function;                                     \
		register uint64_t x1 __asm__("x1") = arg1;                                         \
		register uint64_t x2 __asm__("x2") = arg2;                                         \
		register uint64_t x3 __asm__("x3") = arg3;                                         \
                                                                                                   \
		__asm__ volatile(#name " #0"                                                       \
				 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)                          \
				 :                                                                 \
				 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", \
				   "x14", "x15", "x16", "x17", "memory");                          \
		return (struct smccc){ { x0, x1, x2, x3 } };                                       \
	}

SMCCC_FUNCTION(hvc)
SMCCC_FUNCTION(smc)

#define SMCCC_NOT_SUPPORTED (-1)

enum psci_function {
	PSCI_VERSION = 0x84000000,
	PSCI_CPU_OFF = 0x84000002,
	PSCI_MIGRATE_INFO_TYPE = 0x84000006,
	PSCI_SYSTEM_OFF = 0x84000008,
	PSCI_SYSTEM_RESET = 0x84000009,
	PSCI_FEATURES = 0x8400000a,
	PSCI_CPU_SUSPEND64 = 0xc4000001,
	PSCI_CPU_ON64 = 0xc4000003,
	PSCI_AFFINITY_INFO64 = 0xc4000004,
	PSCI_SYSTEM_SUSPEND64 = 0xc400000e,
};

enum psci_result {
	PSCI_SUCCESS = 0,
	PSCI_NOT_SUPPORTED = -1,
	PSCI_INVALID_PARAMETERS = -2,
	PSCI_DENIED = -3,
	PSCI_ALREADY_ON = -4,
	PSCI_INVALID_ADDRESS = -9,
};

static inline int psci(enum psci_function function, uint64_t arg1, uint64_t arg2, uint64_t arg3)
{
	return at_el2() ? smc(function, arg1, arg2, arg3).x[0]
			: hvc(function, arg1, arg2, arg3).x[0];
}

/* Has the vCPU of that MPIDR run cpu_main(context), whose low 16 bits are the vCPU's index. */
static inline int cpu_on(uint64_t mpidr, uint64_t context)
{
	barrier();
	return psci(PSCI_CPU_ON64, mpidr, (uintptr_t)secondary_start, context);
}

static inline void cpu_off(void)
{
	psci(PSCI_CPU_OFF, 0, 0, 0);
}

/* Aff3 to Aff0 of the vCPU that this runs on. */
static inline uint64_t cpu_mpidr(void)
{
	return read_sysreg(mpidr_el1) & 0xff00ffffff;
}

static inline void __attribute__((noreturn)) power_off(void)
{
	for (;;)
		psci(PSCI_SYSTEM_OFF, 0, 0, 0);
}

/* Reports. Only the first vCPU makes them. */

static unsigned int report_count, report_failures;

static inline void report_line(bool ok, const char *name)
{
	report_count++;
	report_failures += !ok;
	put(ok ? "ok - " : "not ok - ");
	put(name);
}

static inline void report(bool ok, const char *name)
{
	report_line(ok, name);
	put("\n");
}

static inline void report_equal(uint64_t got, uint64_t want, const char *name)
{
	report_line(got == want, name);
	if (got != want) {
		put(": ");
		put_hex(got);
		put(" instead of ");
		put_hex(want);
	}
	put("\n");
}

/* The last line, which the script waits for, and the end. */
static inline void __attribute__((noreturn)) done(const char *payload)
{
	put(payload);
	if (report_failures) {
		put(": ");
		put_number(report_failures);
		put(" of ");
		put_number(report_count);
		put(" checks failed\n");
	} else {
		put(": all ");
		put_number(report_count);
		put(" checks hold\n");
	}
	power_off();
}

/* Exceptions. */

struct frame {
	uint64_t x[31], elr, spsr;
};

_Static_assert(sizeof(struct frame) <= FRAME_SIZE, "start.S reserves FRAME_SIZE");

#define ESR_EC(esr)	     ((esr) >> 26 & 0x3f)
#define EC_INSTRUCTION_ABORT 0x21
#define EC_PC_ALIGNMENT	     0x22
#define EC_DATA_ABORT	     0x25

static inline uint64_t exception_syndrome(void)
{
	return at_el2() ? read_sysreg(esr_el2) : read_sysreg(esr_el1);
}

static inline uint64_t fault_address(void)
{
	return at_el2() ? read_sysreg(far_el2) : read_sysreg(far_el1);
}

/* Where interrupts go; and synchronous exceptions, for what is not taken care of there. */
static void (*irq_hook)(void);
static bool (*sync_hook)(struct frame *frame);

/*
 * Synchronous exceptions that a payload asks for: while expected, they are counted, and the guest
 * goes on behind the instruction, or where the function at an impossible address would return to.
 */
static struct {
	bool expected;
	unsigned int count;
	uint64_t esr, far, elr;
} aborts;

static inline bool abort_take(struct frame *frame)
{
	if (!aborts.expected)
		return false;
	aborts.count++;
	aborts.esr = exception_syndrome();
	aborts.far = fault_address();
	aborts.elr = frame->elr;
	if (ESR_EC(aborts.esr) == EC_INSTRUCTION_ABORT || ESR_EC(aborts.esr) == EC_PC_ALIGNMENT)
		frame->elr = frame->x[30];
	else
		frame->elr += 4;
	return true;
}

void exception(unsigned int kind, struct frame *frame)
{
	if (kind == 0 && (abort_take(frame) || (sync_hook && sync_hook(frame))))
		return;
	if (kind == 1 && irq_hook) {
		irq_hook();
		return;
	}
	put("\nnot ok - exception of kind ");
	put_number(kind);
	put(" at ");
	put_hex(frame->elr);
	put(", ESR ");
	put_hex(exception_syndrome());
	put(", FAR ");
	put_hex(fault_address());
	put("\n");
	power_off();
}

#endif
