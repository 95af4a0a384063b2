// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers of a GICv3 as KVM has them for user space
 * (Documentation/virt/kvm/devices/arm-vgic-v3.rst and arm-vgic-its.rst), in the order in which they
 * are to be written.
 *
 * What a guest hypervisor's interface to its own guest is about (ICH_*) is among the registers of
 * the CPU interface. What of messages is pending, and what the ITS knows, KVM writes to tables in
 * guest memory that the guest has set aside for it, and reads there again.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cpu/gic_state.h"
#include "gic_parts.h"
#include "host/log.h"
#include "memmap.h"
#include "util.h"

#define GICD_CTLR      0x0000
#define GICD_STATUSR   0x0010
#define GICD_ICENABLER 0x0180
#define GICD_ICFGR     0x0c00
#define GICD_IROUTER   0x6000
#define GICR_CTLR      0x0000
#define GICR_STATUSR   0x0010
#define GICR_WAKER     0x0014
#define GICR_PROPBASER 0x0070
#define GICR_PENDBASER 0x0078
#define GITS_CTLR      0x0000
#define GITS_IIDR      0x0004
#define GITS_CBASER    0x0080
#define GITS_CWRITER   0x0088
#define GITS_CREADR    0x0090
#define GITS_BASER     0x0100
#define GITS_BASERS    8

/* As KVM's attributes have them: Op0, Op1, CRn, CRm, Op2. */
#define SYSREG(op0, op1, crn, crm, op2) \
	((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

/* Of the CPU interface. A host that lacks one says so. */
static const uint16_t interface[] = {
	SYSREG(3, 0, 12, 12, 5), /* ICC_SRE_EL1 */
	SYSREG(3, 0, 12, 12, 4), /* ICC_CTLR_EL1 */
	SYSREG(3, 0, 4, 6, 0), /* ICC_PMR_EL1 */
	SYSREG(3, 0, 12, 8, 3), /* ICC_BPR0_EL1 */
	SYSREG(3, 0, 12, 12, 3), /* ICC_BPR1_EL1 */
	SYSREG(3, 0, 12, 8, 4),	 SYSREG(3, 0, 12, 8, 5), /* ICC_AP0R<n>_EL1 */
	SYSREG(3, 0, 12, 8, 6),	 SYSREG(3, 0, 12, 8, 7),
	SYSREG(3, 0, 12, 9, 0),	 SYSREG(3, 0, 12, 9, 1), /* ICC_AP1R<n>_EL1 */
	SYSREG(3, 0, 12, 9, 2),	 SYSREG(3, 0, 12, 9, 3),
	SYSREG(3, 0, 12, 12, 6), /* ICC_IGRPEN0_EL1 */
	SYSREG(3, 0, 12, 12, 7), /* ICC_IGRPEN1_EL1 */
	SYSREG(3, 4, 12, 9, 5), /* ICC_SRE_EL2 */
	SYSREG(3, 4, 12, 11, 1), /* ICH_VTR_EL2 */
	SYSREG(3, 4, 12, 8, 0),	 SYSREG(3, 4, 12, 8, 1), /* ICH_AP0R<n>_EL2 */
	SYSREG(3, 4, 12, 8, 2),	 SYSREG(3, 4, 12, 8, 3),
	SYSREG(3, 4, 12, 9, 0),	 SYSREG(3, 4, 12, 9, 1), /* ICH_AP1R<n>_EL2 */
	SYSREG(3, 4, 12, 9, 2),	 SYSREG(3, 4, 12, 9, 3),
	SYSREG(3, 4, 12, 11, 7), /* ICH_VMCR_EL2 */
	SYSREG(3, 4, 12, 12, 0), SYSREG(3, 4, 12, 12, 1), /* ICH_LR<n>_EL2 */
	SYSREG(3, 4, 12, 12, 2), SYSREG(3, 4, 12, 12, 3),
	SYSREG(3, 4, 12, 12, 4), SYSREG(3, 4, 12, 12, 5),
	SYSREG(3, 4, 12, 12, 6), SYSREG(3, 4, 12, 12, 7),
	SYSREG(3, 4, 12, 13, 0), SYSREG(3, 4, 12, 13, 1),
	SYSREG(3, 4, 12, 13, 2), SYSREG(3, 4, 12, 13, 3),
	SYSREG(3, 4, 12, 13, 4), SYSREG(3, 4, 12, 13, 5),
	SYSREG(3, 4, 12, 13, 6), SYSREG(3, 4, 12, 13, 7),
	SYSREG(3, 4, 12, 11, 0), /* ICH_HCR_EL2 */
};

/* What of 32 interrupts is written where: words at offset, per[0] of them for each 32. */
struct row {
	uint32_t offset;
	unsigned int words;
};

/* Kinds before states: what is pending depends on whether it is level-sensitive. */
static const struct row bank[] = {
	{ GICD_IGROUPR, 1 },   { GICD_ICFGR, 2 },   { GICD_IPRIORITYR, 8 },
	{ GICD_ISENABLER, 1 }, { GICD_ISPENDR, 1 }, { GICD_ISACTIVER, 1 },
};

#define BANK_WORDS 14

/* The record of 32 interrupts, in the order of bank[]. */
struct bank_state {
	uint32_t words[BANK_WORDS];
	uint32_t lines; /* whether each interrupt's line is high */
	uint32_t zero;
};

struct distributor_state {
	uint32_t ctlr, statusr;
	uint64_t irouter[GIC_SPI_COUNT];
};

struct redistributor_state {
	uint64_t propbaser, pendbaser;
	uint32_t ctlr, statusr, waker, zero;
};

struct interface_register {
	uint32_t encoding;
	uint32_t zero;
	uint64_t value;
};

struct its_state {
	uint64_t cbaser, creadr, cwriter, baser[GITS_BASERS];
	uint32_t ctlr, iidr;
};

/* Where registers are read or written, and with what. */
struct access {
	int fd;
	uint32_t group;
	uint64_t who; /* as attributes have a vCPU */
	bool write;
	int err;
};

static void transfer(struct access *access, uint64_t offset, void *value)
{
	if (access->err < 0)
		return;
	if (access->write)
		access->err = kvm_set_attr(access->fd, access->group, access->who | offset, value);
	else
		access->err = kvm_get_attr(access->fd, access->group, access->who | offset, value);
}

/* A register of 64 bits, which KVM has as two words. */
static void transfer_halves(struct access *access, uint64_t offset, uint64_t *value)
{
	uint32_t low = *value, high = *value >> 32;

	transfer(access, offset, &low);
	transfer(access, offset + 4, &high);
	*value = low | (uint64_t)high << 32;
}

/* The private interrupts of who, base being GICR_SGI, or the first shared ones. */
static void transfer_bank(struct access *access, bool own, struct bank_state *state)
{
	struct access lines = *access;
	unsigned int word = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bank); i++) {
		const struct row *row = &bank[i];
		const uint32_t base = own ? GICR_SGI + row->offset : row->offset + 4 * row->words;

		/* Lines before what is pending: that of a level-sensitive one is made of both. */
		if (row->offset == GICD_ISPENDR) {
			lines.group = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO;
			lines.err = access->err;
			transfer(&lines, GIC_LINES | (own ? 0 : GIC_SPI_BASE), &state->lines);
			access->err = lines.err;
		}
		/* SGIs begin enabled. */
		if (own && access->write && row->offset == GICD_ISENABLER)
			transfer(access, GICR_SGI + GICD_ICENABLER, &(uint32_t){ UINT32_MAX });
		for (unsigned int j = 0; j < row->words; j++, word++) {
			/* The kind of SGIs is given. */
			if (own && row->offset == GICD_ICFGR && j == 0)
				continue;
			transfer(access, base + 4 * j, &state->words[word]);
		}
	}
}

static void transfer_distributor(struct access *access, struct distributor_state *state)
{
	transfer(access, GICD_CTLR, &state->ctlr);
	transfer(access, GICD_STATUSR, &state->statusr);
	for (unsigned int i = 0; i < GIC_SPI_COUNT; i++)
		transfer_halves(access, GICD_IROUTER + 8 * (GIC_SPI_BASE + i), &state->irouter[i]);
}

/* Where tables are before they are used. */
static void transfer_redistributor(struct access *access, struct redistributor_state *state)
{
	transfer_halves(access, GICR_PROPBASER, &state->propbaser);
	transfer_halves(access, GICR_PENDBASER, &state->pendbaser);
	transfer(access, GICR_CTLR, &state->ctlr);
	transfer(access, GICR_STATUSR, &state->statusr);
	transfer(access, GICR_WAKER, &state->waker);
}

static struct access access_of(const struct gic *gic, uint32_t group, uint64_t mpidr, bool write)
{
	return (struct access){
		.fd = group == KVM_DEV_ARM_VGIC_GRP_ITS_REGS ? gic->its_fd : gic->fd,
		.group = group,
		.who = gic_who(gic, 0, mpidr),
		.write = write,
	};
}

static int control(int fd, uint64_t what)
{
	return kvm_set_attr(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, what, NULL);
}

bool gic_can_be_saved(const struct gic *gic)
{
	return gic->kind != GIC_V2;
}

/* Saving. */

static void save_interface(struct state_writer *writer, const struct gic *gic, unsigned int index,
			   uint64_t mpidr)
{
	state_begin(writer, "gic-interface", index);
	for (size_t i = 0; i < ARRAY_SIZE(interface); i++) {
		struct access access =
			access_of(gic, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, mpidr, false);
		struct interface_register saved = { .encoding = interface[i] };

		transfer(&access, interface[i], &saved.value);
		if (access.err == 0)
			state_add(writer, &saved, sizeof(saved));
	}
	state_end(writer);
}

static void fail(struct state_writer *writer, const char *what, int err)
{
	if (err == 0)
		return;
	log_error("state of the GIC, %s: %s", what, strerror(-err));
	state_fail_write(writer, err);
}

static void save_cpu(struct state_writer *writer, const struct gic *gic, unsigned int index,
		     uint64_t mpidr)
{
	struct access access = access_of(gic, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, mpidr, false);
	struct redistributor_state redistributor = { 0 };
	struct bank_state own = { 0 };

	transfer_redistributor(&access, &redistributor);
	transfer_bank(&access, true, &own);
	fail(writer, "redistributor", access.err);
	state_put(writer, "gic-cpu", index, &redistributor, sizeof(redistributor));
	state_put(writer, "gic-private", index, &own, sizeof(own));
	save_interface(writer, gic, index, mpidr);
}

static void transfer_its(struct access *access, struct its_state *state)
{
	uint64_t iidr = state->iidr;

	transfer(access, GITS_IIDR, &iidr);
	state->iidr = iidr;
	transfer(access, GITS_CBASER, &state->cbaser);
	/* CREADR before CWRITER: what is between them would be carried out. */
	transfer(access, GITS_CREADR, &state->creadr);
	transfer(access, GITS_CWRITER, &state->cwriter);
	for (unsigned int i = 0; i < GITS_BASERS; i++)
		transfer(access, GITS_BASER + 8 * i, &state->baser[i]);
}

static void save_its(struct state_writer *writer, const struct gic *gic)
{
	struct access access = access_of(gic, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0, false);
	struct its_state state = { 0 };
	uint64_t ctlr = 0;

	transfer_its(&access, &state);
	transfer(&access, GITS_CTLR, &ctlr);
	state.ctlr = ctlr;
	fail(writer, "ITS", access.err);
	state_put(writer, "its", 0, &state, sizeof(state));
}

void gic_save(struct state_writer *writer, const struct gic *gic, const uint64_t *mpidr)
{
	struct access access = access_of(gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, false);
	struct distributor_state distributor = { 0 };
	struct bank_state shared = { 0 };

	if (gic->its_fd >= 0) {
		fail(writer, "tables of pending messages",
		     control(gic->fd, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES));
		fail(writer, "tables of the ITS",
		     control(gic->its_fd, KVM_DEV_ARM_ITS_SAVE_TABLES));
	}
	transfer_distributor(&access, &distributor);
	transfer_bank(&access, false, &shared);
	fail(writer, "distributor", access.err);
	state_put(writer, "gic", 0, &distributor, sizeof(distributor));
	for (unsigned int i = 0; i < gic->cpus; i++)
		save_cpu(writer, gic, i, mpidr[i]);
	state_put(writer, "gic-shared", 0, &shared, sizeof(shared));
	if (gic->its_fd >= 0)
		save_its(writer, gic);
}

/* Restoring. */

static void restore_interface(struct state_reader *reader, const struct gic *gic,
			      unsigned int index, uint64_t mpidr)
{
	size_t size;
	const struct interface_register *saved = state_take(reader, "gic-interface", index, &size);

	if (!saved)
		return;
	if (size % sizeof(*saved) != 0 || size > sizeof(*saved) * ARRAY_SIZE(interface)) {
		state_refuse(reader, "gic-interface", index, "is of another size");
		return;
	}
	for (size_t i = 0, j = 0; i < size / sizeof(*saved); i++, j++) {
		struct access access =
			access_of(gic, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, mpidr, true);
		uint64_t value = saved[i].value;

		/* As they were saved, perhaps not all. */
		while (j < ARRAY_SIZE(interface) && interface[j] != saved[i].encoding)
			j++;
		if (j == ARRAY_SIZE(interface)) {
			state_refuse(reader, "gic-interface", index, "has a register that is none");
			return;
		}
		transfer(&access, interface[j], &value);
		if (access.err < 0) {
			log_error("snapshot: register 0x%x of vCPU %u's GIC interface: this host "
				  "does not take the value 0x%" PRIx64 " that it has",
				  saved[i].encoding, index, value);
			state_fail_read(reader, -ENOTSUP);
			return;
		}
	}
}

static void restore_cpu(struct state_reader *reader, const struct gic *gic, unsigned int index,
			uint64_t mpidr)
{
	struct access access = access_of(gic, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, mpidr, true);
	struct redistributor_state redistributor;
	struct bank_state own;

	if (!state_get(reader, "gic-cpu", index, &redistributor, sizeof(redistributor)) ||
	    !state_get(reader, "gic-private", index, &own, sizeof(own)))
		return;
	transfer_redistributor(&access, &redistributor);
	transfer_bank(&access, true, &own);
	if (access.err < 0)
		state_refuse(reader, "gic-cpu", index, "has what this host's GIC does not take");
	restore_interface(reader, gic, index, mpidr);
}

static void restore_its(struct state_reader *reader, const struct gic *gic)
{
	struct access access = access_of(gic, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0, true);
	struct its_state state;
	uint64_t ctlr;

	if (!state_get(reader, "its", 0, &state, sizeof(state)))
		return;
	transfer_its(&access, &state);
	if (access.err == 0)
		access.err = control(gic->its_fd, KVM_DEV_ARM_ITS_RESTORE_TABLES);
	ctlr = state.ctlr;
	transfer(&access, GITS_CTLR, &ctlr);
	if (access.err < 0)
		state_refuse(reader, "its", 0, "or its tables have what this host does not take");
}

void gic_restore(struct state_reader *reader, const struct gic *gic, const uint64_t *mpidr)
{
	struct access access = access_of(gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, true);
	struct distributor_state distributor;
	struct bank_state shared;

	if (!state_get(reader, "gic", 0, &distributor, sizeof(distributor)))
		return;
	transfer_distributor(&access, &distributor);
	for (unsigned int i = 0; i < gic->cpus; i++)
		restore_cpu(reader, gic, i, mpidr[i]);
	if (!state_get(reader, "gic-shared", 0, &shared, sizeof(shared)))
		return;
	transfer_bank(&access, false, &shared);
	if (access.err < 0)
		state_refuse(reader, "gic", 0, "has what this host's GIC does not take");
	if (gic->its_fd >= 0)
		restore_its(reader, gic);
}
