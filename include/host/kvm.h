/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Thin wrappers of the KVM API (Linux, Documentation/virt/kvm/api.rst), the lowest layer: they add
 * argument structs and errno, no policy and no messages. Everything returns a value >= 0, or
 * -errno. File descriptors are the caller's to close. Any thread may call them; vCPU ioctls wait
 * while another thread is inside KVM_RUN of the same vCPU.
 */
#ifndef NIDUS_KVM_H
#define NIDUS_KVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

/* Opens /dev/kvm and checks the API version (-ENOTSUP when it is not the one that exists). */
int kvm_open(void);

/* The value of a capability on /dev/kvm or on a VM; what is unknown to the kernel is 0. */
int kvm_check(int fd, unsigned int capability);
int kvm_enable(int vm_fd, unsigned int capability);
/* The same, for a capability with an argument, args[0]. */
int kvm_enable_with(int vm_fd, unsigned int capability, uint64_t argument);

/* A VM whose guest physical addresses have ipa_bits bits. */
int kvm_create_vm(int kvm_fd, unsigned int ipa_bits);
/* Sets how many ticks all counters of the VM are behind the host's; before the first vCPU. */
int kvm_set_counter_offset(int vm_fd, uint64_t offset);
int kvm_set_memory_region(int vm_fd, const struct kvm_userspace_memory_region *region);

/* Into a bit for each of the host's pages of a slot; what it tells is forgotten with that. */
int kvm_get_dirty_log(int vm_fd, unsigned int slot, uint64_t *bitmap);

/* Tags of guest memory, one in each byte for 16 of it; gpa and length in pages of the host's. */
int kvm_get_tags(int vm_fd, uint64_t gpa, uint64_t length, uint8_t *tags);
int kvm_set_tags(int vm_fd, uint64_t gpa, uint64_t length, uint8_t *tags);

/* Level of an interrupt as KVM_IRQ_LINE encodes it: KVM_ARM_IRQ_TYPE_SPI, intid from 32 on. */
int kvm_irq_line(int vm_fd, unsigned int intid, bool level);

/* flags: 0, or KVM_IRQFD_FLAG_DEASSIGN. */
int kvm_irqfd(int vm_fd, unsigned int gsi, int eventfd, unsigned int flags);
/* Replaces the whole table. */
int kvm_set_gsi_routing(int vm_fd, const struct kvm_irq_routing *routing);
int kvm_ioeventfd(int vm_fd, const struct kvm_ioeventfd *ioeventfd);

int kvm_create_device(int vm_fd, unsigned int type);
/* Whether kvm_create_device() could. */
bool kvm_has_device(int vm_fd, unsigned int type);
bool kvm_has_attr(int fd, unsigned int group, uint64_t attr);
int kvm_set_attr(int fd, unsigned int group, uint64_t attr, const void *value);
int kvm_get_attr(int fd, unsigned int group, uint64_t attr, void *value);

int kvm_create_vcpu(int vm_fd, unsigned int id);
int kvm_preferred_target(int vm_fd, struct kvm_vcpu_init *init);
int kvm_vcpu_init(int vcpu_fd, const struct kvm_vcpu_init *init);
int kvm_vcpu_finalize(int vcpu_fd, int feature);
int kvm_run(int vcpu_fd);

/* One register, as wide as its id says. */
int kvm_get_reg(int vcpu_fd, uint64_t id, void *value);
int kvm_set_reg(int vcpu_fd, uint64_t id, const void *value);

/* -E2BIG: list->n is too small, and has become what is needed. */
int kvm_get_reg_list(int vcpu_fd, struct kvm_reg_list *list);

struct kvm_arm_translation;
/* The rest of it from linear_address and flags. For kernels with KVM_CAP_ARM_TRANSLATE. */
int kvm_translate(int vcpu_fd, struct kvm_arm_translation *translation);

int kvm_get_mp_state(int vcpu_fd);
int kvm_set_mp_state(int vcpu_fd, unsigned int state);
int kvm_get_vcpu_events(int vcpu_fd, struct kvm_vcpu_events *events);
int kvm_set_vcpu_events(int vcpu_fd, const struct kvm_vcpu_events *events);
int kvm_set_guest_debug(int vcpu_fd, const struct kvm_guest_debug *debug);

/* Bytes of the struct kvm_run mapping of every vCPU. */
int kvm_run_size(int kvm_fd);

/* Binary statistics of a VM or a vCPU: a descriptor to read, the caller's to close. */
int kvm_stats_fd(int fd);

/* A member of struct kvm_regs in the form that kvm_get_reg() takes. */
#define KVM_CORE_REG(member) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(member))

#endif
