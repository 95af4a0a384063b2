// SPDX-License-Identifier: GPL-2.0-only
/*
 * What KVM is asked for, and what is made of its answers. This is linked with vmm/host/kvm.c and
 * not with its fake, as tests/unit.mk has it; the kernel is what is not real here.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "unit.h"

#include "host/kvm.h"

/* The last call, and what is answered. */
static struct {
	int fd;
	unsigned long request;
	uintptr_t argument;
	uint8_t bytes[128]; /* that it points to, if it does */
	unsigned int calls, interruptions;
	uint8_t answer[128]; /* to what it points to */
	int result, error;
} host;

int ioctl(int fd, unsigned long request, ...)
{
	const size_t size = _IOC_SIZE(request);
	va_list args;

	va_start(args, request);
	host.argument = va_arg(args, uintptr_t);
	va_end(args);
	host.fd = fd;
	host.request = request;
	host.calls++;
	assert_true(size <= sizeof(host.bytes));
	if (_IOC_DIR(request) & _IOC_WRITE)
		memcpy(host.bytes, (const void *)host.argument, size);
	errno = host.error;
	if (host.interruptions > 0) {
		host.interruptions--;
		errno = EINTR;
		return -1;
	}
	if (host.result >= 0 && _IOC_DIR(request) & _IOC_READ)
		memcpy((void *)host.argument, host.answer, size);
	return host.result;
}

static int begin(void **state)
{
	memset(&host, 0, sizeof(host));
	host.error = ESRCH; /* of something else, which means nothing where a call succeeds */
	return 0;
}

static void assert_asked(int fd, unsigned long request)
{
	assert_int_equal(host.fd, fd);
	assert_int_equal(host.request, request);
	assert_int_equal(host.calls, 1);
	host.calls = 0;
}

/* Interrupt numbers have a kind above them: 1 << 24 is a shared one of the machine's GIC. */
static void an_interrupt_line_is_a_shared_one(void **state)
{
	struct kvm_irq_level irq;

	assert_int_equal(kvm_irq_line(7, 40, true), 0);
	assert_asked(7, KVM_IRQ_LINE);
	memcpy(&irq, host.bytes, sizeof(irq));
	assert_int_equal(irq.irq, 0x1000028);
	assert_int_equal(irq.level, 1);
	assert_int_equal(kvm_irq_line(7, 1019, false), 0);
	memcpy(&irq, host.bytes, sizeof(irq));
	assert_int_equal(irq.irq, 0x10003fb);
	assert_int_equal(irq.level, 0);
}

static void an_irqfd_has_its_number_and_its_file(void **state)
{
	struct kvm_irqfd irqfd;

	assert_int_equal(kvm_irqfd(7, 33, 12, KVM_IRQFD_FLAG_DEASSIGN), 0);
	assert_asked(7, KVM_IRQFD);
	memcpy(&irqfd, host.bytes, sizeof(irqfd));
	assert_int_equal(irqfd.gsi, 33);
	assert_int_equal(irqfd.fd, 12);
	assert_int_equal(irqfd.flags, KVM_IRQFD_FLAG_DEASSIGN);
}

static void states_are_told_as_they_are(void **state)
{
	static const unsigned int states[] = { KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_STOPPED,
					       KVM_MP_STATE_SUSPENDED };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		memcpy(host.answer, &states[i], sizeof(states[i]));
		assert_int_equal(kvm_get_mp_state(9), states[i]);
		assert_asked(9, KVM_GET_MP_STATE);
		assert_int_equal(kvm_set_mp_state(9, states[i]), 0);
		assert_asked(9, KVM_SET_MP_STATE);
		assert_memory_equal(host.bytes, &states[i], sizeof(states[i]));
	}
}

static void a_vm_is_asked_for_until_no_signal_comes(void **state)
{
	host.interruptions = 3;
	host.result = 5;
	assert_int_equal(kvm_create_vm(4, 40), 5);
	assert_int_equal(host.calls, 4);
	host.calls = 0;
	host.result = -1;
	host.error = ENOMEM;
	assert_int_equal(kvm_create_vm(4, 40), -ENOMEM);
	assert_asked(4, KVM_CREATE_VM);
	assert_int_equal(host.argument, 40);
}

static void a_device_is_its_file(void **state)
{
	struct kvm_create_device device = { .type = 5, .fd = 21 };

	memcpy(host.answer, &device, sizeof(device));
	assert_int_equal(kvm_create_device(7, 5), 21);
	assert_asked(7, KVM_CREATE_DEVICE);
	memcpy(&device, host.bytes, sizeof(device));
	assert_int_equal(device.type, 5);
	assert_int_equal(device.flags, 0);
	/* To know of it none is made. */
	assert_true(kvm_has_device(7, 6));
	memcpy(&device, host.bytes, sizeof(device));
	assert_int_equal(device.type, 6);
	assert_int_equal(device.flags, KVM_CREATE_DEVICE_TEST);
	host.result = -1;
	host.error = ENODEV;
	assert_false(kvm_has_device(7, 6));
	assert_int_equal(kvm_create_device(7, 6), -ENODEV);
}

static void attributes_are_named_and_set(void **state)
{
	const uint64_t value = 64;
	struct kvm_device_attr attr;

	assert_true(kvm_has_attr(8, 3, 17));
	assert_asked(8, KVM_HAS_DEVICE_ATTR);
	assert_int_equal(kvm_set_attr(8, 3, 17, &value), 0);
	assert_asked(8, KVM_SET_DEVICE_ATTR);
	memcpy(&attr, host.bytes, sizeof(attr));
	assert_int_equal(attr.group, 3);
	assert_int_equal(attr.attr, 17);
	assert_int_equal(attr.addr, (uintptr_t)&value);
	host.result = -1;
	host.error = ENXIO;
	assert_false(kvm_has_attr(8, 3, 17));
	assert_int_equal(kvm_set_attr(8, 3, 17, &value), -ENXIO);
}

static void registers_are_named_and_placed(void **state)
{
	uint64_t value = 0;
	struct kvm_one_reg reg;

	assert_int_equal(kvm_get_reg(9, 0x6030000000100002, &value), 0);
	assert_asked(9, KVM_GET_ONE_REG);
	memcpy(&reg, host.bytes, sizeof(reg));
	assert_int_equal(reg.id, 0x6030000000100002);
	assert_int_equal(reg.addr, (uintptr_t)&value);
	assert_int_equal(kvm_set_reg(9, 0x6030000000100004, &value), 0);
	assert_asked(9, KVM_SET_ONE_REG);
	memcpy(&reg, host.bytes, sizeof(reg));
	assert_int_equal(reg.id, 0x6030000000100004);
	assert_int_equal(reg.addr, (uintptr_t)&value);
}

static void errors_are_those_of_the_kernel(void **state)
{
	uint64_t value = 0;

	host.result = -1;
	host.error = EFAULT;
	assert_int_equal(kvm_check(3, 1), -EFAULT);
	assert_int_equal(kvm_enable(3, 1), -EFAULT);
	assert_int_equal(kvm_irq_line(3, 40, true), -EFAULT);
	assert_int_equal(kvm_get_mp_state(3), -EFAULT);
	assert_int_equal(kvm_set_mp_state(3, 0), -EFAULT);
	assert_int_equal(kvm_get_reg(3, 1, &value), -EFAULT);
	assert_int_equal(kvm_run(3), -EFAULT);
	assert_int_equal(kvm_run_size(3), -EFAULT);
	/* And what is no error is what the kernel says. */
	host.result = 12288;
	assert_int_equal(kvm_run_size(3), 12288);
	assert_int_equal(kvm_check(3, 1), 12288);
}

#define on_kernel(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_kernel(an_interrupt_line_is_a_shared_one),
		on_kernel(an_irqfd_has_its_number_and_its_file),
		on_kernel(states_are_told_as_they_are),
		on_kernel(a_vm_is_asked_for_until_no_signal_comes),
		on_kernel(a_device_is_its_file),
		on_kernel(attributes_are_named_and_set),
		on_kernel(registers_are_named_and_placed),
		on_kernel(errors_are_those_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
