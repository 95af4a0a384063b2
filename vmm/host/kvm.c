// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/kvm.h"
#include "kvm_series.h"

static int checked(int result)
{
	return result < 0 ? -errno : result;
}

int kvm_open(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0)
		return -errno;
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		close(fd);
		return -ENOTSUP;
	}
	return fd;
}

/* #syscalls loop: ioctl(KVM_CHECK_EXTENSION) */
int kvm_check(int fd, unsigned int capability)
{
	return checked(ioctl(fd, KVM_CHECK_EXTENSION, capability));
}

int kvm_enable(int vm_fd, unsigned int capability)
{
	return kvm_enable_with(vm_fd, capability, 0);
}

/* #syscalls loop: ioctl(KVM_ENABLE_CAP) */
int kvm_enable_with(int vm_fd, unsigned int capability, uint64_t argument)
{
	const struct kvm_enable_cap enable = { .cap = capability, .args = { argument } };

	return checked(ioctl(vm_fd, KVM_ENABLE_CAP, &enable));
}

/* #syscalls loop: ioctl(KVM_CREATE_VM) */
int kvm_create_vm(int kvm_fd, unsigned int ipa_bits)
{
	int err;

	/*
	 * It registers for changes of our mappings, which gives way to any signal, and io_uring
	 * tells a thread by one that work is done.
	 */
	do
		err = checked(ioctl(kvm_fd, KVM_CREATE_VM, KVM_VM_TYPE_ARM_IPA_SIZE(ipa_bits)));
	while (err == -EINTR);
	return err;
}

/* #syscalls loop: ioctl(KVM_ARM_SET_COUNTER_OFFSET) */
int kvm_set_counter_offset(int vm_fd, uint64_t offset)
{
	const struct kvm_arm_counter_offset counter_offset = { .counter_offset = offset };

	return checked(ioctl(vm_fd, KVM_ARM_SET_COUNTER_OFFSET, &counter_offset));
}

/* Flash memory and devices of the host change their slots while the guest runs.
 * #syscalls loop served: ioctl(KVM_SET_USER_MEMORY_REGION) */
int kvm_set_memory_region(int vm_fd, const struct kvm_userspace_memory_region *region)
{
	return checked(ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, region));
}

/* #syscalls loop: ioctl(KVM_GET_DIRTY_LOG) */
int kvm_get_dirty_log(int vm_fd, unsigned int slot, uint64_t *bitmap)
{
	const struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	return checked(ioctl(vm_fd, KVM_GET_DIRTY_LOG, &log));
}

/* #syscalls loop: ioctl(KVM_ARM_MTE_COPY_TAGS) */
static int copy_tags(int vm_fd, uint64_t gpa, uint64_t length, uint8_t *tags, uint64_t flags)
{
	const struct kvm_arm_copy_mte_tags copy = {
		.guest_ipa = gpa,
		.length = length,
		.addr = tags,
		.flags = flags,
	};
	const int copied = checked(ioctl(vm_fd, KVM_ARM_MTE_COPY_TAGS, &copy));

	if (copied < 0)
		return copied;
	return (uint64_t)copied == length ? 0 : -EFAULT;
}

int kvm_get_tags(int vm_fd, uint64_t gpa, uint64_t length, uint8_t *tags)
{
	return copy_tags(vm_fd, gpa, length, tags, KVM_ARM_TAGS_FROM_GUEST);
}

int kvm_set_tags(int vm_fd, uint64_t gpa, uint64_t length, uint8_t *tags)
{
	return copy_tags(vm_fd, gpa, length, tags, KVM_ARM_TAGS_TO_GUEST);
}

/* #syscalls loop vcpu worker: ioctl(KVM_IRQ_LINE) */
int kvm_irq_line(int vm_fd, unsigned int intid, bool level)
{
	const struct kvm_irq_level irq = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | intid,
		.level = level,
	};

	return checked(ioctl(vm_fd, KVM_IRQ_LINE, &irq));
}

/* #syscalls loop vcpu worker: ioctl(KVM_IRQFD) */
int kvm_irqfd(int vm_fd, unsigned int gsi, int eventfd, unsigned int flags)
{
	const struct kvm_irqfd irqfd = { .fd = eventfd, .gsi = gsi, .flags = flags };

	return checked(ioctl(vm_fd, KVM_IRQFD, &irqfd));
}

/* #syscalls loop vcpu worker: ioctl(KVM_SET_GSI_ROUTING) */
int kvm_set_gsi_routing(int vm_fd, const struct kvm_irq_routing *routing)
{
	return checked(ioctl(vm_fd, KVM_SET_GSI_ROUTING, routing));
}

/* #syscalls loop vcpu: ioctl(KVM_IOEVENTFD) */
int kvm_ioeventfd(int vm_fd, const struct kvm_ioeventfd *ioeventfd)
{
	return checked(ioctl(vm_fd, KVM_IOEVENTFD, ioeventfd));
}

/* #syscalls loop: ioctl(KVM_CREATE_DEVICE) */
int kvm_create_device(int vm_fd, unsigned int type)
{
	struct kvm_create_device device = { .type = type };
	int err = checked(ioctl(vm_fd, KVM_CREATE_DEVICE, &device));

	return err < 0 ? err : (int)device.fd;
}

bool kvm_has_device(int vm_fd, unsigned int type)
{
	const struct kvm_create_device device = {
		.type = type,
		.flags = KVM_CREATE_DEVICE_TEST,
	};

	return ioctl(vm_fd, KVM_CREATE_DEVICE, &device) == 0;
}

/* #syscalls loop: ioctl(KVM_HAS_DEVICE_ATTR) */
bool kvm_has_attr(int fd, unsigned int group, uint64_t attr)
{
	const struct kvm_device_attr device_attr = { .group = group, .attr = attr };

	return ioctl(fd, KVM_HAS_DEVICE_ATTR, &device_attr) == 0;
}

/* #syscalls loop: ioctl(KVM_SET_DEVICE_ATTR) */
int kvm_set_attr(int fd, unsigned int group, uint64_t attr, const void *value)
{
	const struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return checked(ioctl(fd, KVM_SET_DEVICE_ATTR, &device_attr));
}

/* #syscalls loop: ioctl(KVM_GET_DEVICE_ATTR) */
int kvm_get_attr(int fd, unsigned int group, uint64_t attr, void *value)
{
	const struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return checked(ioctl(fd, KVM_GET_DEVICE_ATTR, &device_attr));
}

/* #syscalls loop: ioctl(KVM_CREATE_VCPU) */
int kvm_create_vcpu(int vm_fd, unsigned int id)
{
	return checked(ioctl(vm_fd, KVM_CREATE_VCPU, id));
}

/* #syscalls loop: ioctl(KVM_ARM_PREFERRED_TARGET) */
int kvm_preferred_target(int vm_fd, struct kvm_vcpu_init *init)
{
	return checked(ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, init));
}

/* #syscalls loop vcpu: ioctl(KVM_ARM_VCPU_INIT) */
int kvm_vcpu_init(int vcpu_fd, const struct kvm_vcpu_init *init)
{
	return checked(ioctl(vcpu_fd, KVM_ARM_VCPU_INIT, init));
}

/* #syscalls loop: ioctl(KVM_ARM_VCPU_FINALIZE) */
int kvm_vcpu_finalize(int vcpu_fd, int feature)
{
	return checked(ioctl(vcpu_fd, KVM_ARM_VCPU_FINALIZE, &feature));
}

/* #syscalls vcpu: ioctl(KVM_RUN) */
int kvm_run(int vcpu_fd)
{
	return checked(ioctl(vcpu_fd, KVM_RUN, 0));
}

/* #syscalls loop vcpu: ioctl(KVM_GET_ONE_REG) */
int kvm_get_reg(int vcpu_fd, uint64_t id, void *value)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return checked(ioctl(vcpu_fd, KVM_GET_ONE_REG, &reg));
}

/* #syscalls loop vcpu: ioctl(KVM_SET_ONE_REG) */
int kvm_set_reg(int vcpu_fd, uint64_t id, const void *value)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return checked(ioctl(vcpu_fd, KVM_SET_ONE_REG, &reg));
}

/* #syscalls loop: ioctl(KVM_GET_REG_LIST) */
int kvm_get_reg_list(int vcpu_fd, struct kvm_reg_list *list)
{
	return checked(ioctl(vcpu_fd, KVM_GET_REG_LIST, list));
}

/* #syscalls vcpu: ioctl(KVM_TRANSLATE) */
int kvm_translate(int vcpu_fd, struct kvm_arm_translation *translation)
{
	return checked(ioctl(vcpu_fd, KVM_TRANSLATE, translation));
}

/* #syscalls loop vcpu: ioctl(KVM_GET_MP_STATE) */
int kvm_get_mp_state(int vcpu_fd)
{
	struct kvm_mp_state state;
	int err = checked(ioctl(vcpu_fd, KVM_GET_MP_STATE, &state));

	return err < 0 ? err : (int)state.mp_state;
}

/* #syscalls loop vcpu: ioctl(KVM_SET_MP_STATE) */
int kvm_set_mp_state(int vcpu_fd, unsigned int state)
{
	const struct kvm_mp_state mp_state = { .mp_state = state };

	return checked(ioctl(vcpu_fd, KVM_SET_MP_STATE, &mp_state));
}

/* #syscalls loop vcpu: ioctl(KVM_SET_GUEST_DEBUG) */
int kvm_set_guest_debug(int vcpu_fd, const struct kvm_guest_debug *debug)
{
	return checked(ioctl(vcpu_fd, KVM_SET_GUEST_DEBUG, debug));
}

/* #syscalls loop: ioctl(KVM_GET_VCPU_EVENTS) */
int kvm_get_vcpu_events(int vcpu_fd, struct kvm_vcpu_events *events)
{
	return checked(ioctl(vcpu_fd, KVM_GET_VCPU_EVENTS, events));
}

/* #syscalls loop vcpu: ioctl(KVM_SET_VCPU_EVENTS) */
int kvm_set_vcpu_events(int vcpu_fd, const struct kvm_vcpu_events *events)
{
	return checked(ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, events));
}

/* #syscalls loop: ioctl(KVM_GET_VCPU_MMAP_SIZE) */
int kvm_run_size(int kvm_fd)
{
	return checked(ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0));
}

/* #syscalls loop: ioctl(KVM_GET_STATS_FD) */
int kvm_stats_fd(int fd)
{
	return checked(ioctl(fd, KVM_GET_STATS_FD, 0));
}
