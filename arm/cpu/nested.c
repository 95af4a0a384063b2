// SPDX-License-Identifier: GPL-2.0-only
#include "cpu/nested.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "host/kvm.h"
#include "host/log.h"

/* The first release of Linux whose KVM gives EL2 to vCPUs. */
#define LINUX_MAJOR 6
#define LINUX_MINOR 16

static bool is_older(const char *release)
{
	unsigned int major, minor;

	/* A name that does not look like a release is no reason to refuse. */
	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return false;
	return major < LINUX_MAJOR || (major == LINUX_MAJOR && minor < LINUX_MINOR);
}

/* Whether the last kvm-arm.mode= names this mode: the last one wins, as in Linux. */
static bool has_nested_mode(const char *parameters)
{
	static const char option[] = "kvm-arm.mode=", mode[] = "nested";
	const char *value = NULL;

	for (const char *word = parameters; *word; word += strcspn(word, " \n")) {
		word += strspn(word, " \n");
		if (strncmp(word, option, strlen(option)) == 0)
			value = word + strlen(option);
	}
	return value && strcspn(value, " \n") == strlen(mode) &&
	       strncmp(value, mode, strlen(mode)) == 0;
}

const char *nested_lacks(const struct nested_host *host, bool e2h0)
{
	if (!host->el2 && is_older(host->release))
		return "the host's kernel is too old: Linux 6.16 is the first that can";
	/* Before the mode, in which a kernel without GICv3 gives no VM at all. */
	if (!host->gicv3)
		return "the host has no GICv3 for its guests";
	if (!host->el2 && *host->parameters && !has_nested_mode(host->parameters))
		return "the host's kernel has to be started with kvm-arm.mode=nested";
	if (!host->el2)
		return "the host's CPU cannot: it has no FEAT_NV2, or runs KVM without VHE";
	if (e2h0 && !host->e2h0)
		return "the host's CPU gives EL2 only with VHE: --e2h0 cannot be had";
	return NULL;
}

/* Releases from one on, and the first in which it is mended. */
#define RELEASE(major, minor, patch) ((major)*1000000 + (minor)*1000 + (patch))

const char *nested_mended(const char *release)
{
	unsigned int major, minor, patch = 0, number;

	if (sscanf(release, "%u.%u.%u", &major, &minor, &patch) < 2)
		return NULL;
	number = RELEASE(major, minor, patch);
	if (number < RELEASE(LINUX_MAJOR, LINUX_MINOR, 0) || number >= RELEASE(7, 2, 5))
		return NULL;
	if (major == 6 && minor == 18)
		return patch < 51 ? "6.18.51" : NULL;
	return number < RELEASE(6, 18, 0) ? "6.18.51" : "7.2.5";
}

static void read_parameters(char *text, size_t size)
{
	FILE *file = fopen("/proc/cmdline", "re");

	*text = '\0';
	if (file && !fgets(text, size, file))
		*text = '\0';
	if (file)
		fclose(file);
}

void nested_look(struct nested_kernel *kernel, int kvm_fd)
{
	struct utsname name;
	const char *mended;

	uname(&name);
	snprintf(kernel->release, sizeof(kernel->release), "%s", name.release);
	*kernel->parameters = '\0';
	/* They explain a lack, and are of no other use. */
	if (kvm_check(kvm_fd, KVM_CAP_ARM_EL2) <= 0)
		read_parameters(kernel->parameters, sizeof(kernel->parameters));
	mended = nested_mended(kernel->release);
	if (mended)
		log_warning("--nested: a guest can get out of this host's kernel, Linux %s, unless "
			    "its maker has mended CVE-2026-89775 in it; %s is the first without",
			    kernel->release, mended);
}

int nested_check(int vm_fd, const struct nested_kernel *kernel, bool e2h0)
{
	const struct nested_host host = {
		.release = kernel->release,
		.parameters = kernel->parameters,
		.gicv3 = kvm_has_device(vm_fd, KVM_DEV_TYPE_ARM_VGIC_V3),
		.el2 = kvm_check(vm_fd, KVM_CAP_ARM_EL2) > 0,
		.e2h0 = kvm_check(vm_fd, KVM_CAP_ARM_EL2_E2H0) > 0,
	};
	const char *const lack = nested_lacks(&host, e2h0);

	if (!lack)
		return 0;
	log_error("--nested: %s", lack);
	return -ENOTSUP;
}
