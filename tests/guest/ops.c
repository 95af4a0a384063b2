// SPDX-License-Identifier: GPL-2.0-only
/*
 * One thing that a guest does, many times over, so that its cost shows in the difference of two
 * runs (bench/suites/ops.py). Parameters: OPERATION=COUNT. A guest at EL1, on any level of a nest;
 * it tells how long it took by the counter. sgi_other wants two vCPUs, kick wants --rng.
 */
#include "gic.h"
#include "tree.h"

#define VIRTIO_BASE	    UINT64_C(0x0a000000)
#define VIRTIO_DEVICE_ID    0x008
#define VIRTIO_QUEUE_NOTIFY 0x050
#define VIRTIO_ID_RNG	    4

#define RTCMR	   0x04
#define CTL_ENABLE 1u
#define SGI	   1

/* Where nidus puts nothing. */
#define FRESH_RAM UINT64_C(0x50000000)

static uint64_t cpus[CPUS_MAX], redistributor, ram_end;
static volatile unsigned int taken[2];

static void handler(unsigned int intid)
{
	if (intid == TIMER_VIRTUAL_INTID)
		write_sysreg(cntv_ctl_el0, 0);
	taken[cpu_index()]++;
}

/* Takes the interrupt that is on its way, spinning or asleep. */

static void spin_for_interrupt(void)
{
	const unsigned int before = taken[cpu_index()];

	irq_enable();
	while (taken[cpu_index()] == before)
		;
	irq_disable();
}

static void sleep_for_interrupt(void)
{
	const unsigned int before = taken[cpu_index()];

	while (taken[cpu_index()] == before) {
		wfi();
		irq_enable();
		irq_disable();
	}
}

static void nothing(unsigned int n)
{
	(void)n;
}

static void op_hypercall(unsigned int n)
{
	(void)n;
	psci(PSCI_VERSION, 0, 0, 0);
}

static void op_mmio_user(unsigned int n)
{
	(void)n;
	read32(PL031_BASE + RTCMR);
}

/* Two registers at once, for which the CPU gives no syndrome: nidus decodes the instruction. */
static void op_mmio_pair(unsigned int n)
{
	uint32_t first, second;

	(void)n;
	asm volatile("ldp %w0, %w1, [%2]" : "=r"(first), "=r"(second) : "r"(PL031_BASE));
}

static void op_mmio_kernel(unsigned int n)
{
	(void)n;
	read32(GICD_BASE + GICD_TYPER);
}

static void begin_kick(void)
{
	report_equal(read32(VIRTIO_BASE + VIRTIO_DEVICE_ID), VIRTIO_ID_RNG, "a virtio device");
}

/* Of a queue that is not there, so that only the doorbell costs. */
static void op_kick(unsigned int n)
{
	(void)n;
	write32(VIRTIO_BASE + VIRTIO_QUEUE_NOTIFY, 0);
}

static void begin_timer(void)
{
	gic_enable(redistributor, TIMER_VIRTUAL_INTID);
}

static void timer_start(unsigned int microseconds)
{
	write_sysreg(cntv_cval_el0,
		     read_sysreg(cntvct_el0) + read_sysreg(cntfrq_el0) * microseconds / 1000000);
	write_sysreg(cntv_ctl_el0, CTL_ENABLE);
}

static void op_timer(unsigned int n)
{
	(void)n;
	timer_start(10);
	spin_for_interrupt();
}

static void op_wfi(unsigned int n)
{
	(void)n;
	timer_start(100);
	sleep_for_interrupt();
}

static void begin_sgi(void)
{
	gic_enable(redistributor, SGI);
}

static void op_sgi_self(unsigned int n)
{
	(void)n;
	gic_send(cpus[0], SGI);
	spin_for_interrupt();
}

static void answer(uint64_t context)
{
	(void)context;
	gic_enable(gic_cpu_init(), SGI);
	for (;;) {
		gic_send(cpus[0], SGI);
		sleep_for_interrupt();
	}
}

/* The other one says that it is there by the first of its answers. */
static void begin_sgi_other(void)
{
	begin_sgi();
	report_equal(tree_cpus(cpus), 2, "two vCPUs");
	cpu_main = answer;
	cpu_on(cpus[1], 1);
	sleep_for_interrupt();
}

static void op_sgi_other(unsigned int n)
{
	(void)n;
	gic_send(cpus[1], SGI);
	sleep_for_interrupt();
}

#define TLBI(name, instruction)                                           \
	static void name(unsigned int n)                                  \
	{                                                                 \
		__asm__ volatile("tlbi " instruction "\n\tdsb ish\n\tisb" \
				 :                                        \
				 : "r"((uint64_t)n)                       \
				 : "memory");                             \
	}

TLBI(op_tlbi_va, "vae1is, %0")
TLBI(op_tlbi_asid, "aside1is, %0")
TLBI(op_tlbi_all, "vmalle1is")

static void touch(uint64_t address)
{
	if (address < ram_end)
		write64(address, 1);
	else
		report(false, "there is as much RAM");
}

static void op_fault_4k(unsigned int n)
{
	touch(FRESH_RAM + n * UINT64_C(0x1000));
}

static void op_fault_2m(unsigned int n)
{
	touch(FRESH_RAM + n * UINT64_C(0x200000));
}

static void no_begin(void)
{
}

static const struct op {
	const char *name;
	void (*begin)(void);
	void (*once)(unsigned int n);
} ops[] = {
	{ "nothing", no_begin, nothing },
	{ "hypercall", no_begin, op_hypercall },
	{ "mmio_user", no_begin, op_mmio_user },
	{ "mmio_pair", no_begin, op_mmio_pair },
	{ "mmio_kernel", no_begin, op_mmio_kernel },
	{ "kick", begin_kick, op_kick },
	{ "timer", begin_timer, op_timer },
	{ "wfi", begin_timer, op_wfi },
	{ "sgi_self", begin_sgi, op_sgi_self },
	{ "sgi_other", begin_sgi_other, op_sgi_other },
	{ "tlbi_va", no_begin, op_tlbi_va },
	{ "tlbi_asid", no_begin, op_tlbi_asid },
	{ "tlbi_all", no_begin, op_tlbi_all },
	{ "fault_4k", no_begin, op_fault_4k },
	{ "fault_2m", no_begin, op_fault_2m },
};

/* The number after the first "=" of text. */
static unsigned int number_in(const char *text)
{
	unsigned int number = 0;

	while (*text && *text++ != '=')
		;
	for (; *text >= '0' && *text <= '9'; text++)
		number = 10 * number + *text - '0';
	return number;
}

static const struct op *find(const char *text)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++)
		if (text_begins(text, ops[i].name))
			return &ops[i];
	return NULL;
}

static void run(const struct op *op, unsigned int count)
{
	uint64_t begin;

	op->begin();
	begin = read_sysreg(cntpct_el0);
	for (unsigned int n = 0; n < count; n++)
		op->once(n);
	begin = read_sysreg(cntpct_el0) - begin;
	put("# ");
	put_number(count);
	put(" took ");
	put_number(begin * 1000000 / read_sysreg(cntfrq_el0));
	put(" us\n");
}

int main(void)
{
	const uint32_t *memory = tree_find("memory@", 0, "reg");
	const struct op *op = find(tree_params());

	ram_end = memory ? tree_cells(memory) + tree_cells(memory + 2) : 0;
	tree_cpus(cpus);
	gic_init(handler);
	redistributor = gic_cpu_init();
	report(op, "an operation by that name");
	if (op)
		run(op, number_in(tree_params()));
	done("ops");
}
