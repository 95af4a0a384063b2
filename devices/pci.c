// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Configuration space and the structures of MSI-X are memory that the guest
 * reads by itself. Only writes arrive here; they change that memory, which is all the state there
 * is, so that what the guest reads and what nidus does cannot differ. On a host that cannot give
 * a guest such memory reads arrive here too, and find their answer in it.
 *
 * A driver's writes are looked at a doubleword at a time, with a mask of the bytes that it wrote.
 * BARs keep their place: a write of all ones shows the size, any other one the address again.
 *
 * An interrupt is sent or noted as pending under its vector's lock, and who unmasks a vector looks
 * at the pending bit under the same lock. MSI-X as a whole is turned on, off and masked without
 * it; whoever does so visits every vector afterwards. A vector's message becomes a route when it
 * is unmasked, which is once where the driver writes address and data while it is masked.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "devtree.h"
#include "log.h"
#include "memmap.h"
#include "pci.h"
#include "util.h"

#define SLOTS	      32
#define FUNCTION_SIZE KIB(4)
#define SLOT_SIZE     (8 * FUNCTION_SIZE) /* eight functions, of which there is the first */

/* What a driver may look at before it knows that there is no function. */
#define HEADER_SIZE 64

/* Where things are in the memory that the guest reads. */
#define MSIX_OFFSET	PCI_ECAM_SIZE
#define READABLE_OFFSET (MSIX_OFFSET + SLOTS * MSIX_SIZE)

/* In clocks of a bus that there is none of. */
#define LATENCY_TIMER 32

/* In doublewords: an entry of the MSI-X table, and where the pending bits are. */
#define ENTRY_WORDS	   (PCI_MSIX_ENTRY_SIZE / 4)
#define MSIX_SIZE	   KIB(4)
#define PENDING_WORD	   (PCI_MSIX_VECTOR_MAX * ENTRY_WORDS)
#define MSIX_FLAGS_ENABLE  ((uint32_t)PCI_MSIX_FLAGS_ENABLE << 16)
#define MSIX_FLAGS_MASKALL ((uint32_t)PCI_MSIX_FLAGS_MASKALL << 16)

struct pci {
	struct device device; /* config space, then each function's structures of MSI-X */
	struct bus *bus;
	uint8_t *memory; /* what the guest reads at device.base */
	uint64_t cache_line;
	struct pci_function *function[SLOTS];
	unsigned int count;
	uint64_t memory_next; /* free from here on in the window of BARs */
};

/*
 * The guest is to see what was just written. Without FEAT_S2FWB its accesses, to a device as it
 * believes, go to the Point of Coherency; what was there before its first one KVM has cleaned.
 */
static void publish(const struct pci *pci, const _Atomic uint32_t *where)
{
	const uintptr_t line = align_down((uintptr_t)where, pci->cache_line);

	cache_clean(line, line + pci->cache_line, pci->cache_line);
	cache_sync();
}

static void set(const struct pci *pci, _Atomic uint32_t *where, uint32_t value)
{
	atomic_store(where, value);
	publish(pci, where);
}

static uint32_t merge(uint32_t old, uint32_t value, uint32_t mask)
{
	return (old & ~mask) | (value & mask);
}

/* MSI-X. */

static _Atomic uint32_t *entry_of(const struct pci_function *function, unsigned int vector)
{
	return function->msix_table + vector * ENTRY_WORDS;
}

static uint32_t msix_control(const struct pci_function *function)
{
	return function->msix ? pci_function_config(function, function->msix) : 0;
}

bool pci_function_has_msix(const struct pci_function *function)
{
	return msix_control(function) & MSIX_FLAGS_ENABLE;
}

static bool masked(const struct pci_function *function, unsigned int vector)
{
	const _Atomic uint32_t *entry = entry_of(function, vector);

	return msix_control(function) & MSIX_FLAGS_MASKALL ||
	       atomic_load(&entry[PCI_MSIX_ENTRY_VECTOR_CTRL / 4]) & PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

/* Returns whether the bit changed. Neighbours in its doubleword are other vectors'. */
static bool set_pending(struct pci_function *function, unsigned int vector, bool pending)
{
	_Atomic uint32_t *word = &function->msix_table[PENDING_WORD + vector / 32];
	const uint32_t bit = UINT32_C(1) << vector % 32;
	uint32_t old = pending ? atomic_fetch_or(word, bit) : atomic_fetch_and(word, ~bit);

	if (!(old & bit) == !pending)
		return false;
	publish(function->pci, word);
	return true;
}

void pci_function_interrupt(struct pci_function *function, unsigned int vector)
{
	if (vector >= function->vector_count || !pci_function_has_msix(function))
		return;
	pthread_mutex_lock(&function->vectors[vector].lock);
	if (masked(function, vector))
		set_pending(function, vector, true);
	else
		irq_edge_raise(&function->vectors[vector].msi.edge);
	pthread_mutex_unlock(&function->vectors[vector].lock);
}

/* A vector's lock held: something of it changed. */
static void update_vector(struct pci_function *function, unsigned int vector)
{
	const _Atomic uint32_t *entry = entry_of(function, vector);
	struct irq_msi *msi = &function->vectors[vector].msi;
	uint64_t address;

	if (!pci_function_has_msix(function) || masked(function, vector))
		return;
	address = atomic_load(&entry[PCI_MSIX_ENTRY_LOWER_ADDR / 4]) |
		  (uint64_t)atomic_load(&entry[PCI_MSIX_ENTRY_UPPER_ADDR / 4]) << 32;
	irq_msi_route(msi, address, atomic_load(&entry[PCI_MSIX_ENTRY_DATA / 4]));
	if (set_pending(function, vector, false))
		irq_edge_raise(&msi->edge);
}

static void update_vectors(struct pci_function *function)
{
	for (unsigned int i = 0; i < function->vector_count; i++) {
		pthread_mutex_lock(&function->vectors[i].lock);
		update_vector(function, i);
		pthread_mutex_unlock(&function->vectors[i].lock);
	}
}

/* A write to the table; offset may lie behind it. */
static void write_table(struct pci_function *function, uint64_t offset, uint32_t value,
			uint32_t mask)
{
	static const uint32_t writable[ENTRY_WORDS] = {
		[PCI_MSIX_ENTRY_LOWER_ADDR / 4] = ~UINT32_C(3),
		[PCI_MSIX_ENTRY_UPPER_ADDR / 4] = UINT32_MAX,
		[PCI_MSIX_ENTRY_DATA / 4] = UINT32_MAX,
		[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] = PCI_MSIX_ENTRY_CTRL_MASKBIT,
	};
	const unsigned int vector = offset / PCI_MSIX_ENTRY_SIZE, word = offset / 4 % ENTRY_WORDS;
	_Atomic uint32_t *where;

	if (vector >= function->vector_count)
		return;
	where = entry_of(function, vector) + word;
	pthread_mutex_lock(&function->vectors[vector].lock);
	set(function->pci, where, merge(atomic_load(where), value, mask & writable[word]));
	update_vector(function, vector);
	pthread_mutex_unlock(&function->vectors[vector].lock);
}

/* Configuration space. */

uint32_t pci_function_config(const struct pci_function *function, unsigned int offset)
{
	return atomic_load(&function->config[offset / 4]);
}

void pci_function_set_config(struct pci_function *function, unsigned int offset, uint32_t value)
{
	set(function->pci, &function->config[offset / 4], value);
}

static void write_bar(struct pci_function *function, unsigned int bar, uint32_t value)
{
	const bool sizing = (value | ~(uint32_t)PCI_BASE_ADDRESS_MEM_MASK) == UINT32_MAX;

	pci_function_set_config(function, PCI_BASE_ADDRESS_0 + 4 * bar,
				sizing ? -function->bar[bar].size : function->bar[bar].address);
}

static void write_config(struct pci_function *function, uint64_t offset, uint32_t value,
			 uint32_t mask)
{
	const uint32_t old = pci_function_config(function, offset);
	const unsigned int bar = (offset - PCI_BASE_ADDRESS_0) / 4;
	uint32_t writable;

	if (offset >= PCI_BASE_ADDRESS_0 && bar < PCI_BARS) {
		if (function->bar[bar].size > 0)
			write_bar(function, bar, merge(old, value, mask));
		return;
	}
	if (offset / 4 >= ARRAY_SIZE(function->writable))
		return;
	writable = function->writable[offset / 4] & mask;
	if (writable == 0)
		return;
	pci_function_set_config(function, offset, merge(old, value, writable));
	if (function->msix && offset == function->msix)
		update_vectors(function);
	else if (function->config_written)
		function->config_written(function, offset);
}

/* The bridge. */

/* A doubleword of a function's config space or MSI-X table, of which the bytes in mask change. */
typedef void word_writer(struct pci_function *function, uint64_t offset, uint32_t value,
			 uint32_t mask);

static void write_words(struct pci_function *function, const struct mmio *mmio,
			word_writer *write_word)
{
	const uint64_t end = mmio->offset + mmio->size;
	uint64_t offset = mmio->offset, value = mmio->value;

	while (offset < end) {
		const unsigned int first = offset % 4;
		const unsigned int count = end - offset < 4 - first ? end - offset : 4 - first;
		const uint32_t mask = (UINT64_C(1) << 8 * count) - 1;

		write_word(function, offset - first, (uint32_t)value << 8 * first,
			   mask << 8 * first);
		offset += count;
		value >>= 8 * count;
	}
}

/* The function of a slot, or NULL; what would reach beyond the slot's bytes is no function's. */
static struct pci_function *function_at(struct pci *pci, struct mmio *mmio, uint64_t slot_size)
{
	const uint64_t slot = mmio->offset / slot_size;

	mmio->offset %= slot_size;
	if (slot >= pci->count || mmio->size > slot_size - mmio->offset)
		return NULL;
	return pci->function[slot];
}

static void write_ecam(struct pci *pci, struct mmio mmio)
{
	struct pci_function *function = function_at(pci, &mmio, SLOT_SIZE);

	if (!function)
		return;
	pthread_mutex_lock(&function->lock);
	write_words(function, &mmio, write_config);
	pthread_mutex_unlock(&function->lock);
}

static enum mmio_result write_msix(struct pci *pci, struct mmio mmio)
{
	struct pci_function *function;

	mmio.offset -= MSIX_OFFSET;
	function = function_at(pci, &mmio, MSIX_SIZE);
	if (!function || !function->msix)
		return MMIO_BAD;
	write_words(function, &mmio, write_table);
	return MMIO_DONE;
}

static enum mmio_result pci_access(struct device *device, struct mmio *mmio)
{
	struct pci *pci = container_of(device, struct pci, device);

	if (mmio->write && mmio->offset >= MSIX_OFFSET)
		return write_msix(pci, *mmio);
	if (mmio->write) {
		write_ecam(pci, *mmio);
	} else {
		mmio->value = 0;
		memcpy(&mmio->value, pci->memory + mmio->offset, mmio->size);
	}
	return MMIO_DONE;
}

static void pci_describe(const struct device *device, struct devtree *tree)
{
	static const uint64_t windows[][2] = {
		{ PCI_BARS_BASE, PCI_BARS_SIZE },
		{ PCI_READABLE_BASE, PCI_READABLE_SIZE },
	};
	const uint32_t buses[] = { 0, 0 };
	const uint32_t msi_map[] = { 0, PHANDLE_ITS, 0, 0x10000 };
	uint32_t ranges[7 * ARRAY_SIZE(windows)], *cell = ranges;

	for (unsigned int i = 0; i < ARRAY_SIZE(windows); i++) {
		*cell++ = 0x02000000; /* memory, 32 bits of address */
		*cell++ = 0;
		*cell++ = windows[i][0];
		*cell++ = 0;
		*cell++ = windows[i][0];
		*cell++ = 0;
		*cell++ = windows[i][1];
	}
	devtree_begin_at(tree, "pcie", device->base);
	devtree_string(tree, "compatible", "pci-host-ecam-generic");
	devtree_string(tree, "device_type", "pci");
	devtree_u32(tree, "#address-cells", 3);
	devtree_u32(tree, "#size-cells", 2);
	devtree_reg(tree, device->base, PCI_ECAM_SIZE);
	devtree_cells(tree, "bus-range", buses, ARRAY_SIZE(buses));
	devtree_u32(tree, "linux,pci-domain", 0);
	devtree_cells(tree, "ranges", ranges, ARRAY_SIZE(ranges));
	devtree_cells(tree, "msi-map", msi_map, ARRAY_SIZE(msi_map));
	devtree_flag(tree, "dma-coherent");
	devtree_end(tree);
}

static const char *pci_register_name(uint64_t offset)
{
	static const char *const header[HEADER_SIZE / 4] = {
		[PCI_VENDOR_ID / 4] = "VendorID",
		[PCI_COMMAND / 4] = "Command",
		[PCI_CLASS_REVISION / 4] = "RevisionID",
		[PCI_CACHE_LINE_SIZE / 4] = "CacheLineSize",
		[PCI_BASE_ADDRESS_0 / 4] = "BAR0",
		[PCI_BASE_ADDRESS_1 / 4] = "BAR1",
		[PCI_BASE_ADDRESS_2 / 4] = "BAR2",
		[PCI_BASE_ADDRESS_3 / 4] = "BAR3",
		[PCI_BASE_ADDRESS_4 / 4] = "BAR4",
		[PCI_BASE_ADDRESS_5 / 4] = "BAR5",
		[PCI_CARDBUS_CIS / 4] = "CardbusCISPointer",
		[PCI_SUBSYSTEM_VENDOR_ID / 4] = "SubsystemVendorID",
		[PCI_ROM_ADDRESS / 4] = "ExpansionROM",
		[PCI_CAPABILITY_LIST / 4] = "CapabilitiesPointer",
		[PCI_INTERRUPT_LINE / 4] = "InterruptLine",
	};
	static const char *const entry[ENTRY_WORDS] = {
		[PCI_MSIX_ENTRY_LOWER_ADDR / 4] = "MSIXMessageAddress",
		[PCI_MSIX_ENTRY_UPPER_ADDR / 4] = "MSIXMessageUpperAddress",
		[PCI_MSIX_ENTRY_DATA / 4] = "MSIXMessageData",
		[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] = "MSIXVectorControl",
	};

	if (offset >= MSIX_OFFSET)
		return entry[offset / 4 % ENTRY_WORDS];
	offset %= FUNCTION_SIZE;
	return offset < HEADER_SIZE ? header[offset / 4] : "Capability";
}

static void pci_destroy(struct device *device)
{
	free(container_of(device, struct pci, device));
}

static const struct device_ops pci_ops = {
	.name = "pci",
	.access = pci_access,
	.describe = pci_describe,
	.register_name = pci_register_name,
	.destroy = pci_destroy,
};

struct pci *pci_create(struct bus *bus, void *memory)
{
	struct pci *pci = calloc(1, sizeof(*pci));

	if (!pci) {
		log_error("pci: %s", strerror(ENOMEM));
		return NULL;
	}
	pci->device = (struct device){ &pci_ops, PCI_ECAM_BASE, READABLE_OFFSET };
	pci->bus = bus;
	pci->memory = memory;
	pci->cache_line = cache_line_size();
	pci->memory_next = PCI_BARS_BASE;
	/* No function, no identity: all ones. What lies behind a header nobody asks for then. */
	for (uint64_t offset = 0; offset < PCI_ECAM_SIZE; offset += FUNCTION_SIZE)
		memset(pci->memory + offset, 0xff, HEADER_SIZE);
	return bus_add(bus, &pci->device) < 0 ? NULL : pci;
}

struct bus *pci_bus(const struct pci *pci)
{
	return pci->bus;
}

/* Making functions. */

int pci_function_init(struct pci_function *function, struct pci *pci,
		      const struct pci_identity *identity)
{
	const uint32_t subsystem = (uint32_t)identity->subsystem << 16 | identity->subsystem_vendor;

	*function = (struct pci_function){ .pci = pci, .slot = pci->count };
	pthread_mutex_init(&function->lock, NULL);
	if (pci->count == SLOTS) {
		log_error("pci: more than %d devices", SLOTS);
		return -ENOSPC;
	}
	pci->function[pci->count++] = function;
	function->config = (void *)(pci->memory + function->slot * SLOT_SIZE);
	function->capabilities_end = HEADER_SIZE;
	memset((void *)function->config, 0, HEADER_SIZE);
	pci_function_set_config(function, PCI_VENDOR_ID,
				(uint32_t)identity->device << 16 | identity->vendor);
	pci_function_set_config(function, PCI_CLASS_REVISION,
				identity->class << 8 | identity->revision);
	pci_function_set_config(function, PCI_SUBSYSTEM_VENDOR_ID, subsystem);
	/* As firmware leaves it, to save drivers the writes. */
	pci_function_set_config(function, PCI_COMMAND,
				PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	pci_function_set_config(function, PCI_CACHE_LINE_SIZE, LATENCY_TIMER << 8);
	pci_function_make_writable(function, PCI_COMMAND,
				   PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
					   PCI_COMMAND_INTX_DISABLE);
	pci_function_make_writable(function, PCI_CACHE_LINE_SIZE, 0xffff);
	pci_function_make_writable(function, PCI_INTERRUPT_LINE, 0xff);
	return 0;
}

void pci_function_fini(struct pci_function *function)
{
	for (unsigned int i = 0; i < function->vector_count; i++) {
		irq_msi_destroy(&function->vectors[i].msi);
		pthread_mutex_destroy(&function->vectors[i].lock);
	}
	free(function->vectors);
	pthread_mutex_destroy(&function->lock);
}

static void place_bar(struct pci_function *function, unsigned int bar, uint32_t address,
		      uint32_t size)
{
	function->bar[bar].address = address;
	function->bar[bar].size = size;
	pci_function_set_config(function, PCI_BASE_ADDRESS_0 + 4 * bar, address);
}

uint64_t pci_function_add_memory(struct pci_function *function, unsigned int bar, uint32_t size)
{
	uint64_t address = align_up(function->pci->memory_next, size);

	function->pci->memory_next = address + size;
	place_bar(function, bar, address, size);
	return address;
}

uint64_t pci_function_add_readable(struct pci_function *function, unsigned int bar)
{
	const uint32_t place = READABLE_OFFSET + function->slot * PCI_READABLE_BAR_SIZE;

	function->readable = (void *)(function->pci->memory + place);
	place_bar(function, bar, PCI_ECAM_BASE + place, PCI_READABLE_BAR_SIZE);
	return PCI_ECAM_BASE + place;
}

uint32_t pci_function_readable(const struct pci_function *function, unsigned int offset,
			       unsigned int size)
{
	const uint32_t word = atomic_load(&function->readable[offset / 4]) >> 8 * (offset % 4);

	return word & UINT32_MAX >> (32 - 8 * size);
}

void pci_function_set_readable(struct pci_function *function, unsigned int offset, uint32_t value)
{
	_Atomic uint32_t *where = &function->readable[offset / 4];

	if (atomic_load(where) != value)
		set(function->pci, where, value);
}

unsigned int pci_function_add_capability(struct pci_function *function, const void *capability,
					 unsigned int size)
{
	const unsigned int offset = function->capabilities_end;
	uint8_t *config = (uint8_t *)function->config;

	memcpy(config + offset, capability, size);
	config[offset + PCI_CAP_LIST_NEXT] = 0;
	if (function->last_capability)
		config[function->last_capability + PCI_CAP_LIST_NEXT] = offset;
	else
		config[PCI_CAPABILITY_LIST] = offset;
	config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	function->last_capability = offset;
	function->capabilities_end = align_up(offset + size, 4);
	return offset;
}

void pci_function_make_writable(struct pci_function *function, unsigned int offset, uint32_t bits)
{
	function->writable[offset / 4] |= bits;
}

/* Every vector begins masked. */
static int add_vector(struct pci_function *function, struct irq_routes *routes)
{
	struct pci_vector *vector = &function->vectors[function->vector_count];
	const uint32_t requester = function->slot << 3;
	int err = irq_msi_create(&vector->msi, routes, requester);

	if (err < 0)
		return err;
	pthread_mutex_init(&vector->lock, NULL);
	atomic_store(&entry_of(function, function->vector_count)[PCI_MSIX_ENTRY_VECTOR_CTRL / 4],
		     PCI_MSIX_ENTRY_CTRL_MASKBIT);
	function->vector_count++;
	return 0;
}

int pci_function_add_msix(struct pci_function *function, struct irq_routes *routes,
			  unsigned int bar, unsigned int count)
{
	const uint32_t capability[PCI_CAP_MSIX_SIZEOF / 4] = {
		[PCI_MSIX_FLAGS / 4] = (count - 1) << 16 | PCI_CAP_ID_MSIX,
		[PCI_MSIX_TABLE / 4] = bar,
		[PCI_MSIX_PBA / 4] = 4 * PENDING_WORD | bar,
	};
	const uint32_t place = MSIX_OFFSET + function->slot * MSIX_SIZE;
	int err = 0;

	function->vectors = calloc(count, sizeof(*function->vectors));
	if (!function->vectors) {
		log_error("pci: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	function->msix_table = (void *)(function->pci->memory + place);
	while (function->vector_count < count && err == 0)
		err = add_vector(function, routes);
	if (err < 0)
		return err;
	place_bar(function, bar, PCI_ECAM_BASE + place, MSIX_SIZE);
	function->msix = pci_function_add_capability(function, capability, sizeof(capability));
	pci_function_make_writable(function, function->msix,
				   MSIX_FLAGS_ENABLE | MSIX_FLAGS_MASKALL);
	return 0;
}
