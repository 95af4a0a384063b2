// SPDX-License-Identifier: GPL-2.0-only
/*
 * capability NUMBER...: what KVM says of each of these capabilities of a VM, a line for each: what
 * KVM_CHECK_EXTENSION returns, and what KVM_ENABLE_CAP without arguments fails with, or 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	int i;

	if (vm < 0) {
		perror("capability: making a VM");
		return 1;
	}

	for (i = 1; i < argc; i++) {
		struct kvm_enable_cap cap = { .cap = strtoul(argv[i], NULL, 0) };
		int check = ioctl(vm, KVM_CHECK_EXTENSION, cap.cap);
		int enable = ioctl(vm, KVM_ENABLE_CAP, &cap);

		printf("capability %s: check %d, enable %d\n", argv[i], check, enable ? errno : 0);
	}
	return 0;
}
