// SPDX-License-Identifier: GPL-2.0-only
/*
 * What there is in a device's configuration space (PCI Local Bus 3.0, chapter 6). The kernel has
 * looked at it before, but a device may say what it likes.
 */
#include <linux/pci_regs.h>
#include <string.h>

#include "util.h"
#include "vfio_parts.h"

static uint32_t word_at(const uint8_t *config, unsigned int offset)
{
	return read_le32(config + offset);
}

static uint16_t half_at(const uint8_t *config, unsigned int offset)
{
	return word_at(config, offset & ~3u) >> 8 * (offset & 2);
}

static void parse_identity(struct pci_identity *identity, const uint8_t *config)
{
	*identity = (struct pci_identity){
		.vendor = half_at(config, PCI_VENDOR_ID),
		.device = half_at(config, PCI_DEVICE_ID),
		.subsystem_vendor = half_at(config, PCI_SUBSYSTEM_VENDOR_ID),
		.subsystem = half_at(config, PCI_SUBSYSTEM_ID),
		.class = word_at(config, PCI_CLASS_REVISION) >> 8,
		.revision = config[PCI_CLASS_REVISION],
	};
}

static void parse_bars(struct vfio_config *parsed, const uint8_t *config)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		const uint32_t bar = word_at(config, PCI_BASE_ADDRESS_0 + 4 * i);

		if (bar & PCI_BASE_ADDRESS_SPACE_IO)
			continue;
		parsed->is_memory[i] = true;
		/* What follows is its upper half. */
		if ((bar & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
			i++;
	}
}

static void parse_msix(struct vfio_config *parsed, const uint8_t *config, unsigned int offset)
{
	const uint32_t table = word_at(config, offset + PCI_MSIX_TABLE);

	parsed->msix = offset;
	parsed->table_bar = table & PCI_MSIX_TABLE_BIR;
	parsed->table_offset = table & PCI_MSIX_TABLE_OFFSET;
	parsed->table_size =
		((half_at(config, offset + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1) *
		PCI_MSIX_ENTRY_SIZE;
}

static void parse_vendor(struct vfio_config *parsed, const uint8_t *config, unsigned int offset)
{
	const unsigned int size = config[offset + PCI_CAP_FLAGS];

	if (size <= PCI_CAP_FLAGS || size > VFIO_CONFIG_SIZE - offset ||
	    parsed->vendor_count == VFIO_VENDORS_MAX)
		return;
	parsed->vendor[parsed->vendor_count++] = (struct vfio_capability){ offset, size };
}

/* Those that are passed on; all others the guest does not see. The first one of a kind counts. */
static void parse_capability(struct vfio_config *parsed, const uint8_t *config, unsigned int offset)
{
	const unsigned int room = VFIO_CONFIG_SIZE - offset;

	switch (config[offset]) {
	case PCI_CAP_ID_PM:
		parsed->power = true;
		break;
	case PCI_CAP_ID_MSIX:
		if (!parsed->msix && room >= PCI_CAP_MSIX_SIZEOF)
			parse_msix(parsed, config, offset);
		break;
	case PCI_CAP_ID_VNDR:
		parse_vendor(parsed, config, offset);
		break;
	}
}

const char *vfio_config_parse(struct vfio_config *parsed, const uint8_t *config)
{
	bool seen[VFIO_CONFIG_SIZE / 4] = { false };
	unsigned int offset;

	memset(parsed, 0, sizeof(*parsed));
	if ((config[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_NORMAL)
		return "is a bridge";
	parse_identity(&parsed->identity, config);
	if (parsed->identity.vendor == UINT16_MAX)
		return "does not answer";
	parse_bars(parsed, config);
	if (!(half_at(config, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return NULL;
	offset = config[PCI_CAPABILITY_LIST] & ~3u;
	/* A list may lead back to where it was. */
	while (offset >= PCI_STD_HEADER_SIZEOF && !seen[offset / 4]) {
		seen[offset / 4] = true;
		parse_capability(parsed, config, offset);
		offset = config[offset + PCI_CAP_LIST_NEXT] & ~3u;
	}
	return NULL;
}
