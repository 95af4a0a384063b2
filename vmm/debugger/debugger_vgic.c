// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an interrupt that does not come is waiting for: the interface of a vCPU to its GIC, what the
 * GIC holds for it, and what its hypervisor has put into list registers for a guest inside (IHI
 * 0069). KVM's own list registers, of the host, are not for user space; what they would hold is
 * pending or active.
 */
#include <inttypes.h>

#include "arm/sysreg.h"
#include "cpu/gic.h"
#include "debugger.h"

#define ICC(crm, op2) ARM64_SYS_REG(3, 0, 12, crm, op2)
#define ICH(crm, op2) ARM64_SYS_REG(3, 4, 12, crm, op2)

#define ICC_PMR_EL1	ARM64_SYS_REG(3, 0, 4, 6, 0)
#define ICC_AP0R0_EL1	ICC(8, 4)
#define ICC_AP1R0_EL1	ICC(9, 0)
#define ICC_CTLR_EL1	ICC(12, 4)
#define ICC_IGRPEN0_EL1 ICC(12, 6)
#define ICC_IGRPEN1_EL1 ICC(12, 7)
#define ICH_HCR_EL2	ICH(11, 0)
#define ICH_VTR_EL2	ICH(11, 1)
#define ICH_VMCR_EL2	ICH(11, 7)
#define ICH_LR_EL2(n)	ICH(12 + (n) / 8, (n) % 8)

#define CTLR_EOIMODE BIT(1)
#define VTR_LISTREGS BITS(4, 0)
#define HCR_EN	     BIT(0)
#define HCR_EOICOUNT BITS(31, 27)
#define VMCR_VENG0   BIT(0)
#define VMCR_VENG1   BIT(1)
#define VMCR_VEOIM   BIT(9)
#define VMCR_VPMR    BITS(31, 24)
#define LR_STATE     BITS(63, 62)
#define LR_HW	     BIT(61)
#define LR_GROUP     BIT(60)
#define LR_PRIORITY  BITS(55, 48)
#define LR_PINTID    BITS(44, 32)
#define LR_EOI	     BIT(41)
#define LR_VINTID    BITS(31, 0)

struct view {
	const struct gic *gic;
	uint64_t mpidr;
	struct gdb_text *text;
};

static bool get(const struct view *view, uint64_t id, uint64_t *value)
{
	return gic_cpu_register(view->gic, view->mpidr, id, value) >= 0;
}

static const char *groups(bool group0, bool group1)
{
	return group0 ? group1 ? "0 and 1" : "0" : group1 ? "1" : "none";
}

static void show_interface(const struct view *view)
{
	uint64_t mask, control, group0, group1, active0, active1;

	if (!get(view, ICC_PMR_EL1, &mask) || !get(view, ICC_CTLR_EL1, &control) ||
	    !get(view, ICC_IGRPEN0_EL1, &group0) || !get(view, ICC_IGRPEN1_EL1, &group1) ||
	    !get(view, ICC_AP0R0_EL1, &active0) || !get(view, ICC_AP1R0_EL1, &active1)) {
		gdb_text_add(view->text, "CPU interface: KVM does not tell\n");
		return;
	}
	gdb_text_add(view->text, "CPU interface: priority mask 0x%02" PRIx64 ", groups enabled: %s",
		     mask, groups(group0 & 1, group1 & 1));
	gdb_text_add(view->text, ", EOImode %d, active priorities 0x%" PRIx64 " 0x%" PRIx64 "\n",
		     (control & CTLR_EOIMODE) != 0, active0, active1);
}

static void show_interrupts(const struct view *view, unsigned int index)
{
	struct gic_look look;

	if (gic_look(view->gic, index, view->mpidr, &look) < 0) {
		gdb_text_add(view->text, "interrupts: KVM does not tell\n");
		return;
	}
	for (unsigned int i = 0; i < 64; i++) {
		const bool pending = look.pending & BIT(i), active = look.active & BIT(i);

		if (!pending && !active)
			continue;
		gdb_text_add(view->text, "INTID %u: %s%s%s, %s, priority 0x%02x, group %d\n", i,
			     pending ? "pending" : "", pending && active ? " and " : "",
			     active ? "active" : "", look.enabled & BIT(i) ? "enabled" : "disabled",
			     look.priority[i], (look.group1 & BIT(i)) != 0);
	}
	if (!(look.pending | look.active))
		gdb_text_add(view->text,
			     "no interrupt of its own nor an SPI is pending or active\n");
}

static void show_list_register(const struct view *view, unsigned int n, uint64_t value)
{
	static const char *const state[] = { "invalid", "pending", "active", "pending and active" };

	gdb_text_add(view->text, "ICH_LR%u_EL2 0x%016" PRIx64 ": virtual INTID %" PRIu64 ", %s", n,
		     value, field_get(LR_VINTID, value), state[field_get(LR_STATE, value)]);
	gdb_text_add(view->text, ", priority 0x%02" PRIx64 ", group %d",
		     field_get(LR_PRIORITY, value), (value & LR_GROUP) != 0);
	if (value & LR_HW)
		gdb_text_add(view->text, ", HW: INTID %" PRIu64 "\n", field_get(LR_PINTID, value));
	else
		gdb_text_add(view->text, "%s\n", value & LR_EOI ? ", EOI is told" : "");
}

static void show_hypervisor(const struct view *view)
{
	uint64_t control, machine, type, value;
	unsigned int count, used = 0;

	if (!get(view, ICH_HCR_EL2, &control) || !get(view, ICH_VMCR_EL2, &machine) ||
	    !get(view, ICH_VTR_EL2, &type)) {
		gdb_text_add(view->text, "interface of EL2: KVM does not tell (Linux 6.17 does)\n");
		return;
	}
	gdb_text_add(view->text,
		     "ICH_HCR_EL2 0x%08" PRIx64 ": the guest's interface is %s, EOIs "
		     "without a list register: %" PRIu64 "\n",
		     control, control & HCR_EN ? "on" : "off", field_get(HCR_EOICOUNT, control));
	gdb_text_add(view->text,
		     "ICH_VMCR_EL2 0x%08" PRIx64 ": priority mask 0x%02" PRIx64
		     ", groups enabled: %s, EOImode %d\n",
		     machine, field_get(VMCR_VPMR, machine),
		     groups(machine & VMCR_VENG0, machine & VMCR_VENG1),
		     (machine & VMCR_VEOIM) != 0);
	count = field_get(VTR_LISTREGS, type) + 1;
	for (unsigned int i = 0; i < count && i < 16; i++) {
		if (!get(view, ICH_LR_EL2(i), &value))
			continue;
		if (field_get(LR_STATE, value) != 0) {
			show_list_register(view, i, value);
			used++;
		}
	}
	gdb_text_add(view->text, "%u of %u list registers in use\n", used, count);
}

void debugger_vgic(const struct debugger *debugger, const struct vcpu *vcpu, bool el2,
		   struct gdb_text *text)
{
	struct view view = { .gic = &debugger->session->machine.gic, .text = text };

	if (cpu_get_mpidr(vcpu->fd, &view.mpidr) < 0) {
		gdb_text_add(text, "KVM does not tell\n");
		return;
	}
	gdb_text_add(text, "vCPU %u, %s\n", vcpu->index, gic_kind_name(view.gic->kind));
	if (view.gic->kind != GIC_V2)
		show_interface(&view);
	show_interrupts(&view, vcpu->index);
	if (el2)
		show_hypervisor(&view);
}
