// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fake_kvm.h"
#include "kvm_series.h"
#include "unit.h"
#include "util.h"

struct fake_kvm fake_kvm;

void fake_kvm_reset(void)
{
	fake_kvm = (struct fake_kvm){ .device_fd = -1, .its_fd = -1 };
}

/* Notes a call, and returns what it shall return. */
static int call(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int call(const char *name, const char *format, ...)
{
	size_t used = strlen(fake_kvm.journal);
	char *end = fake_kvm.journal + used;
	size_t room = sizeof(fake_kvm.journal) - used;
	va_list args;

	used = snprintf(end, room, "%s", name);
	va_start(args, format);
	used += vsnprintf(end + used, room - used, format, args);
	va_end(args);
	snprintf(end + used, room - used, "\n");
	return fake_kvm.fails && strcmp(fake_kvm.fails, name) == 0 ? fake_kvm.error : 0;
}

int kvm_check(int fd, unsigned int capability)
{
	if (capability == KVM_CAP_ARM_TRAP_TLBI)
		return fake_kvm.trap_tlbi;
	assert_true(capability < ARRAY_SIZE(fake_kvm.capability));
	return fake_kvm.capability[capability];
}

int kvm_enable_with(int vm_fd, unsigned int capability, uint64_t argument)
{
	return call("enable_with", " 0x%x %" PRIu64, capability, argument);
}

bool kvm_has_device(int vm_fd, unsigned int type)
{
	return type == KVM_DEV_TYPE_ARM_VGIC_V3 && !fake_kvm.no_gicv3;
}

int kvm_create_device(int vm_fd, unsigned int type)
{
	int err = call("create_device", " %s",
		       type == KVM_DEV_TYPE_ARM_VGIC_V3	   ? "gicv3"
		       : type == KVM_DEV_TYPE_ARM_VGIC_V2  ? "gicv2"
		       : type == KVM_DEV_TYPE_ARM_VGIC_ITS ? "its"
							   : "unknown");

	if (type == KVM_DEV_TYPE_ARM_VGIC_ITS)
		return fake_kvm.no_its ? -ENODEV : err < 0 ? err : fake_kvm.its_fd;
	if (type == KVM_DEV_TYPE_ARM_VGIC_V3 ? fake_kvm.no_gicv3 : fake_kvm.no_gicv2)
		return -ENODEV;
	return err < 0 ? err : fake_kvm.device_fd;
}

int kvm_set_attr(int fd, unsigned int group, uint64_t attr, const void *value)
{
	/* What value points at is as wide as group says. */
	if (!value)
		return call("set_attr", " %u %" PRIu64, group, attr);
	if (group == KVM_DEV_ARM_VGIC_GRP_ADDR &&
	    (fd == fake_kvm.device_fd || fd == fake_kvm.its_fd))
		return call("set_attr", " %u %" PRIu64 " 0x%" PRIx64, group, attr,
			    *(const uint64_t *)value);
	return call("set_attr", " %u %" PRIu64 " %" PRIu32, group, attr, *(const uint32_t *)value);
}

int kvm_get_attr(int fd, unsigned int group, uint64_t attr, void *value)
{
	if (group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS && fake_kvm.get_attr_64) {
		*(uint64_t *)value = fake_kvm.get_attr_64(attr);
		return 0;
	}
	if (group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS || !fake_kvm.get_attr)
		return -ENXIO;
	*(uint32_t *)value = fake_kvm.get_attr(group, attr);
	return 0;
}

int kvm_set_memory_region(int vm_fd, const struct kvm_userspace_memory_region *region)
{
	return call("set_memory_region", " %u %u 0x%" PRIx64 " 0x%" PRIx64, region->slot,
		    region->flags, (uint64_t)region->guest_phys_addr,
		    (uint64_t)region->memory_size);
}

int kvm_get_dirty_log(int vm_fd, unsigned int slot, uint64_t *bitmap)
{
	const int err =
		fake_kvm.fails && strcmp(fake_kvm.fails, "get_dirty_log") == 0 ? fake_kvm.error : 0;

	if (err == 0) {
		memcpy(bitmap, fake_kvm.dirty, fake_kvm.dirty_bytes);
		memset(fake_kvm.dirty, 0, fake_kvm.dirty_bytes);
	}
	return err;
}

int kvm_get_tags(int vm_fd, uint64_t gpa, uint64_t length, uint8_t *tags)
{
	const int err = call("get_tags", " 0x%" PRIx64 " 0x%" PRIx64, gpa, length);

	if (err == 0)
		memcpy(tags, fake_kvm.tags + (gpa - fake_kvm.tags_at) / 16, length / 16);
	return err;
}

int kvm_set_tags(int vm_fd, uint64_t gpa, uint64_t length, uint8_t *tags)
{
	const int err = call("set_tags", " 0x%" PRIx64 " 0x%" PRIx64, gpa, length);

	if (err == 0)
		memcpy(fake_kvm.tags + (gpa - fake_kvm.tags_at) / 16, tags, length / 16);
	return err;
}

int kvm_irq_line(int vm_fd, unsigned int intid, bool level)
{
	return call("irq_line", " %u %d", intid, level);
}

int kvm_irqfd(int vm_fd, unsigned int gsi, int eventfd, unsigned int flags)
{
	int err = call("irqfd", " %u%s", gsi, flags & KVM_IRQFD_FLAG_DEASSIGN ? " off" : "");

	assert_in_range(gsi, 0, FAKE_KVM_GSIS - 1);
	fake_kvm.irqfd[gsi] = eventfd;
	if (err == 0)
		fake_kvm.irqfd_on[gsi] = !(flags & KVM_IRQFD_FLAG_DEASSIGN);
	return err;
}

int kvm_set_gsi_routing(int vm_fd, const struct kvm_irq_routing *routing)
{
	assert_in_range(routing->nr, 0, FAKE_KVM_GSIS);
	assert_int_equal(routing->flags, 0);
	fake_kvm.route_count = routing->nr;
	memcpy(fake_kvm.route, routing->entries, routing->nr * sizeof(routing->entries[0]));
	return call("set_gsi_routing", " %u", routing->nr);
}

int kvm_ioeventfd(int vm_fd, const struct kvm_ioeventfd *ioeventfd)
{
	return call("ioeventfd", " 0x%" PRIx64 " %u %u", (uint64_t)ioeventfd->addr, ioeventfd->len,
		    ioeventfd->flags);
}

int kvm_preferred_target(int vm_fd, struct kvm_vcpu_init *init)
{
	*init = (struct kvm_vcpu_init){ .target = KVM_ARM_TARGET_GENERIC_V8 };
	return call("preferred_target", "%s", "");
}

int kvm_vcpu_init(int vcpu_fd, const struct kvm_vcpu_init *init)
{
	fake_kvm.init = *init;
	fake_kvm.timer_cval = fake_kvm.timer_ctl = 0;
	fake_kvm.ptimer_cval = fake_kvm.ptimer_ctl = 0;
	return call("vcpu_init", "%s", "");
}

int kvm_vcpu_finalize(int vcpu_fd, int feature)
{
	int err = call("vcpu_finalize", " %d", feature);

	if (fake_kvm.sve_finalized)
		return -EPERM;
	fake_kvm.sve_finalized = true;
	return err;
}

/* Where a register's value is kept; NULL: KVM has no such register. */
static void *storage(uint64_t id)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(fake_kvm.x); i++)
		if (id == KVM_CORE_REG(regs.regs[0]) + 2 * i)
			return &fake_kvm.x[i];
	if (id == KVM_CORE_REG(regs.pc))
		return &fake_kvm.pc;
	if (id == ARM64_SYS_REG(3, 0, 0, 0, 5))
		return &fake_kvm.mpidr;
	if (id == ARM64_SYS_REG(3, 0, 0, 7, 0))
		return &fake_kvm.mmfr0;
	if (id == KVM_REG_ARM64_SVE_VLS)
		return fake_kvm.sve_lengths;
	if (id == KVM_REG_ARM_TIMER_CVAL)
		return &fake_kvm.timer_cval;
	if (id == KVM_REG_ARM_TIMER_CTL)
		return &fake_kvm.timer_ctl;
	if (id == KVM_REG_ARM_PTIMER_CVAL)
		return &fake_kvm.ptimer_cval;
	if (id == KVM_REG_ARM_PTIMER_CTL)
		return &fake_kvm.ptimer_ctl;
	for (unsigned int i = 0; i < fake_kvm.given_count; i++)
		if (id == fake_kvm.given[i].id)
			return fake_kvm.given[i].value;
	return NULL;
}

void fake_kvm_give(uint64_t id, uint64_t value)
{
	if (!storage(id)) {
		assert_in_range(fake_kvm.given_count, 0, FAKE_KVM_REGISTERS - 1);
		fake_kvm.given[fake_kvm.given_count++].id = id;
	}
	memcpy(storage(id), &value, sizeof(value));
}

uint64_t fake_kvm_value(uint64_t id)
{
	uint64_t value = 0;

	if (storage(id))
		memcpy(&value, storage(id), sizeof(value));
	return value;
}

static size_t width(uint64_t id)
{
	return 1 << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

int kvm_get_reg(int vcpu_fd, uint64_t id, void *value)
{
	if (fake_kvm.fails && strcmp(fake_kvm.fails, "get_reg") == 0)
		return fake_kvm.error;
	if (!storage(id))
		return -ENOENT;
	memcpy(value, storage(id), width(id));
	return 0;
}

int kvm_set_reg(int vcpu_fd, uint64_t id, const void *value)
{
	const bool sve = id == KVM_REG_ARM64_SVE_VLS;
	uint64_t first;
	int err;

	memcpy(&first, value, sizeof(first));
	err = call("set_reg", " 0x%" PRIx64 " 0x%" PRIx64, id, first);
	if (!storage(id))
		return -ENOENT;
	if (sve && fake_kvm.sve_finalized)
		return -EPERM;
	if (err == 0)
		memcpy(storage(id), value, width(id));
	return err;
}

/* Those that were given. */
int kvm_get_reg_list(int vcpu_fd, struct kvm_reg_list *list)
{
	const bool fits = list->n >= fake_kvm.given_count;

	list->n = fake_kvm.given_count;
	for (unsigned int i = 0; i < fake_kvm.given_count && fits; i++)
		list->reg[i] = fake_kvm.given[i].id;
	return fits ? 0 : -E2BIG;
}

int kvm_get_vcpu_events(int vcpu_fd, struct kvm_vcpu_events *events)
{
	*events = fake_kvm.events;
	return 0;
}

int kvm_get_mp_state(int vcpu_fd)
{
	return fake_kvm.mp_state;
}

int kvm_set_mp_state(int vcpu_fd, unsigned int state)
{
	int err = call("set_mp_state", " %u", state);

	if (err == 0)
		fake_kvm.mp_state = state;
	return err;
}

int kvm_set_guest_debug(int vcpu_fd, const struct kvm_guest_debug *debug)
{
	fake_kvm.debug = *debug;
	return call("set_guest_debug", " %d 0x%x", vcpu_fd, debug->control);
}

int kvm_set_vcpu_events(int vcpu_fd, const struct kvm_vcpu_events *events)
{
	fake_kvm.events = *events;
	return call("set_vcpu_events", "%s", "");
}
