// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Configuration space is memory that the guest reads by itself. Only writes
 * arrive here; they change that memory, which is all the state there is, so that what the guest
 * reads and what nidus does cannot differ. On a host that cannot give a guest such memory reads
 * arrive here too, and find their answer in it. A driver's writes are looked at a doubleword at a
 * time, with a mask of the bytes that it wrote.
 *
 * BARs answer in two windows. Accesses to the one come here. The other, for what may be read
 * without side effects, which PCI calls prefetchable, is of the same memory as configuration space:
 * where a BAR answers a page shows its registers (pci_view.c), all else is all ones. So a
 * BAR that moves, or stops to answer, costs a copy of a page and no change of a memory slot. The
 * device tree calls that window prefetchable, and so do the BARs that belong there themselves, so
 * that software which places BARs anew puts them there again. Where BARs overlap the first one
 * answers.
 *
 * An interrupt is sent or noted as pending under its vector's lock; a write that unmasks a vector
 * looks at the pending bit under the same lock. MSI-X as a whole is turned on, off and masked
 * without it, and so is Bus Master; each such write visits every vector afterwards. A vector's
 * message becomes a route when it is unmasked, which is once where the driver writes address and
 * data while it is masked. What KVM refuses stays pending, and is tried again when there is more to
 * send.
 *
 * A vector's eventfd may be lent to somebody who raises it without asking here. While nothing may
 * be sent KVM is disconnected from it then: its counter keeps what comes, and a loop that waits for
 * that has it shown as pending.
 *
 * A function can be reset by itself (PCI Express Base 5.0, 6.6.2). What that clears is what a
 * driver can write; identity and capabilities stay. It is done when the write that asks for it is.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "arm/devtree.h"
#include "devices/pci.h"
#include "host/log.h"
#include "memmap.h"
#include "mm/cache.h"
#include "pci_parts.h"
#include "util.h"

#define FUNCTION_SIZE KIB(4)
#define SLOT_SIZE     (8 * FUNCTION_SIZE) /* eight functions, of which there is the first */

/* The bytes that a driver may read before it knows that there is no function. */
#define HEADER_SIZE 64

/* At most that many BARs of a function; they fill their window. */
#define READABLE_BARS 2
_Static_assert(PCI_READABLE_SIZE == PCI_SLOTS * READABLE_BARS * PCI_BAR_SIZE, "a BAR has no place");

#define EXPRESS_VERSION 2
#define EXPRESS_SIZE	0x3c /* bytes */

/*
 * Makes a change visible to the guest. Without FEAT_S2FWB its accesses, to a device as it believes,
 * go to the Point of Coherency; KVM has cleaned what was there before the first of them.
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

uint32_t pci_merge(uint32_t old, uint32_t value, uint32_t mask)
{
	return (old & ~mask) | (value & mask);
}

/* MSI-X. */

static uint32_t msix_control(const struct pci_function *function)
{
	return function->msix ? pci_function_config(function, function->msix) : 0;
}

bool pci_function_has_msix(const struct pci_function *function)
{
	if (function->msi)
		return pci_function_config(function, function->msi) & MSI_FLAGS_ENABLE;
	return msix_control(function) & MSIX_FLAGS_ENABLE;
}

static uint32_t entry_word(const struct pci_function *function, unsigned int vector,
			   unsigned int offset)
{
	return pci_view_get(&function->msix_table, vector * PCI_MSIX_ENTRY_SIZE + offset, 4);
}

static bool masters(const struct pci_function *function)
{
	return pci_function_config(function, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

/* Whether a vector's message has to wait. */
static bool held(const struct pci_function *function, unsigned int vector)
{
	return msix_control(function) & MSIX_FLAGS_MASKALL || !masters(function) ||
	       entry_word(function, vector, PCI_MSIX_ENTRY_VECTOR_CTRL) &
		       PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

/* Returns whether the bit changed. Neighbours in its doubleword are other vectors'. */
static bool set_pending(struct pci_function *function, unsigned int vector, bool pending)
{
	const uint32_t bit = UINT32_C(1) << vector % 32;
	const uint32_t old = pci_view_set(&function->msix_table, PCI_MSIX_PENDING + vector / 32 * 4,
					  pending ? bit : 0, bit);

	return !(old & bit) != !pending;
}

/* Whether the loop waits for what a vector that is lent may not send. */
static void wait_for(struct pci_vector *vector, bool wait)
{
	if (vector->waits == wait)
		return;
	vector->waits = wait;
	/* Where that fails what comes is seen when it may be sent. */
	if (wait)
		event_add(vector->loop, &vector->kept, EPOLLIN | EPOLLET);
	else
		event_remove(vector->loop, &vector->kept);
}

/* Has KVM send for a vector what its eventfd tells; false where KVM refuses. */
static bool reconnect(struct pci_function *function, unsigned int index)
{
	struct pci_vector *vector = &function->vectors[index];

	if (vector->msi.connected)
		return true;
	/* What it has kept is sent once, and by who calls. */
	if (irq_msi_taken(&vector->msi) && pci_function_has_msix(function))
		set_pending(function, index, true);
	if (irq_msi_connect(&vector->msi) < 0)
		return false;
	wait_for(vector, false);
	return true;
}

/* The eventfd of a vector that is lent sends nothing from now on. */
static void withhold(struct pci_vector *vector)
{
	irq_msi_disconnect(&vector->msi);
	wait_for(vector, true);
}

/* Has KVM send for a vector what its entry says; false where KVM refuses. */
static bool route(struct pci_function *function, unsigned int vector)
{
	const uint64_t address = entry_word(function, vector, PCI_MSIX_ENTRY_LOWER_ADDR) |
				 (uint64_t)entry_word(function, vector, PCI_MSIX_ENTRY_UPPER_ADDR)
					 << 32;

	return irq_msi_route(&function->vectors[vector].msi, address,
			     entry_word(function, vector, PCI_MSIX_ENTRY_DATA)) == 0 &&
	       reconnect(function, vector);
}

/* A vector's lock held: something of it changed. */
static void update_vector(struct pci_function *function, unsigned int vector)
{
	if (pci_function_has_msix(function) && !held(function, vector) && route(function, vector)) {
		if (set_pending(function, vector, false))
			irq_edge_raise(&function->vectors[vector].msi.edge);
	} else if (function->vectors[vector].lent > 0) {
		withhold(&function->vectors[vector]);
	}
}

/* A vector's lock held. */
static void send(struct pci_function *function, unsigned int vector)
{
	const struct irq_msi *msi = &function->vectors[vector].msi;
	const bool connected = msi->connected;

	if (connected && !held(function, vector) && route(function, vector)) {
		irq_edge_raise(&msi->edge);
		return;
	}
	set_pending(function, vector, true);
	if (!connected)
		update_vector(function, vector);
}

void pci_function_interrupt(struct pci_function *function, unsigned int vector)
{
	if (vector >= function->vector_count)
		return;
	pthread_mutex_lock(&function->vectors[vector].lock);
	/* Under the lock: after a reset, which turns MSI-X off first, nothing becomes pending. */
	if (pci_function_has_msix(function))
		send(function, vector);
	pthread_mutex_unlock(&function->vectors[vector].lock);
}

/* The loop's thread: the eventfd of a vector that is lent was raised while it may not send. */
static void vector_kept(struct event_source *source, uint32_t events)
{
	struct pci_vector *vector = container_of(source, struct pci_vector, kept);
	struct pci_function *function = vector->function;
	const unsigned int index = vector - function->vectors;

	(void)events;
	pthread_mutex_lock(&vector->lock);
	if (!vector->msi.connected && pci_function_has_msix(function) &&
	    irq_msi_taken(&vector->msi))
		send(function, index);
	pthread_mutex_unlock(&vector->lock);
}

int pci_function_lend(struct pci_function *function, unsigned int index, struct event_loop *loop)
{
	struct pci_vector *vector = &function->vectors[index];

	if (index >= function->vector_count || !pci_function_has_msix(function))
		return -1;
	pthread_mutex_lock(&vector->lock);
	if (vector->lent++ == 0)
		vector->loop = loop;
	update_vector(function, index);
	pthread_mutex_unlock(&vector->lock);
	return vector->msi.edge.eventfd;
}

void pci_function_return(struct pci_function *function, unsigned int index)
{
	struct pci_vector *vector = &function->vectors[index];

	pthread_mutex_lock(&vector->lock);
	/* Where KVM refuses, the next message that is to be sent asks it again. */
	if (vector->lent == 1)
		reconnect(function, index);
	if (--vector->lent == 0)
		wait_for(vector, false);
	pthread_mutex_unlock(&vector->lock);
}

void pci_function_update_vectors(struct pci_function *function)
{
	for (unsigned int i = 0; i < function->vector_count; i++) {
		pthread_mutex_lock(&function->vectors[i].lock);
		update_vector(function, i);
		pthread_mutex_unlock(&function->vectors[i].lock);
	}
}

unsigned int pci_function_vectors_used(const struct pci_function *function)
{
	unsigned int used = pci_function_has_msix(function) ? function->vector_count : 0;

	while (used > 0 && entry_word(function, used - 1, PCI_MSIX_ENTRY_VECTOR_CTRL) &
				   PCI_MSIX_ENTRY_CTRL_MASKBIT)
		used--;
	return used;
}

static void tell_vectors(struct pci_function *function)
{
	if (function->ops->vectors)
		function->ops->vectors(function);
}

/* A write to the table; offset may lie behind it. */
static void write_table(struct pci_function *function, uint64_t offset, uint32_t value,
			uint32_t mask)
{
	static const uint32_t writable[PCI_ENTRY_WORDS] = {
		[PCI_MSIX_ENTRY_LOWER_ADDR / 4] = ~UINT32_C(3),
		[PCI_MSIX_ENTRY_UPPER_ADDR / 4] = UINT32_MAX,
		[PCI_MSIX_ENTRY_DATA / 4] = UINT32_MAX,
		[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] = PCI_MSIX_ENTRY_CTRL_MASKBIT,
	};
	const unsigned int vector = offset / PCI_MSIX_ENTRY_SIZE,
			   word = offset / 4 % PCI_ENTRY_WORDS;

	if (vector >= function->vector_count)
		return;
	pthread_mutex_lock(&function->vectors[vector].lock);
	pci_view_set(&function->msix_table, offset, value, mask & writable[word]);
	update_vector(function, vector);
	pthread_mutex_unlock(&function->vectors[vector].lock);
	if (word == PCI_MSIX_ENTRY_VECTOR_CTRL / 4)
		tell_vectors(function);
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

/* Where BARs answer. */

/* Whether all of an access or a BAR is in a window. */
static bool lies_in(uint64_t address, uint64_t size, uint64_t window, uint64_t window_size)
{
	return address >= window && size <= window_size && address - window <= window_size - size;
}

/* Where a BAR is to answer by what its register and Command say, 0: nowhere. */
static uint32_t place_of(const struct pci_function *function, unsigned int bar)
{
	const struct pci *pci = function->pci;
	const uint32_t address = pci_function_config(function, PCI_BASE_ADDRESS_0 + 4 * bar) &
				 (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;

	if (!(pci_function_config(function, PCI_COMMAND) & PCI_COMMAND_MEMORY))
		return 0;
	if (lies_in(address, function->bar[bar].device->size, PCI_BARS_BASE, PCI_BARS_SIZE))
		return address;
	if (function->bar[bar].view && lies_in(address, PCI_BAR_SIZE, PCI_READABLE_BASE,
					       pci->readable_next - PCI_READABLE_BASE))
		return address;
	return 0;
}

/* place_lock held: shows at an address, if it is in memory, the BAR that answers there. */
static void show_at(struct pci *pci, uint32_t place)
{
	bool shown = false;
	void *page;

	if (place < PCI_READABLE_BASE)
		return;
	page = pci->memory + (place - PCI_ECAM_BASE);
	for (unsigned int i = 0; i < pci->count; i++) {
		for (unsigned int j = 0; j < PCI_BARS; j++) {
			struct pci_bar *bar = &pci->function[i]->bar[j];

			if (!bar->view || atomic_load(&bar->place) != place)
				continue;
			pci_view_show(bar->view, shown ? NULL : page);
			shown = true;
		}
	}
	if (!shown)
		pci_view_blank(page, pci->cache_line);
}

static void place(struct pci_function *function, unsigned int index, uint32_t to)
{
	struct pci_bar *bar = &function->bar[index];
	struct pci *pci = function->pci;
	const uint32_t from = atomic_load(&bar->place);

	if (from == to)
		return;
	pthread_mutex_lock(&pci->place_lock);
	atomic_store(&bar->place, to);
	if (bar->view) {
		pci_view_show(bar->view, NULL);
		show_at(pci, from);
		show_at(pci, to);
	}
	if (to)
		__atomic_store_n(&bar->device->base, to, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&pci->place_lock);
	if (function->ops->placed)
		function->ops->placed(function, index, from, to);
}

static void place_bars(struct pci_function *function)
{
	for (unsigned int i = 0; i < PCI_BARS; i++)
		if (function->bar[i].device)
			place(function, i, place_of(function, i));
}

/* Bits that the size makes zero, and those that say what kind of BAR it is, are not writable. */
void pci_function_set_bar(struct pci_function *function, unsigned int index, uint32_t address)
{
	const struct pci_bar *bar = &function->bar[index];
	const uint32_t kind = bar->view ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0;

	pci_function_set_config(function, PCI_BASE_ADDRESS_0 + 4 * index,
				(address & -(uint32_t)bar->device->size) | kind);
}

/* What Command turns on and off. */
void pci_function_command_written(struct pci_function *function, uint32_t old)
{
	const uint32_t changed = old ^ pci_function_config(function, PCI_COMMAND);

	if (changed & PCI_COMMAND_MEMORY)
		place_bars(function);
	if (!(changed & PCI_COMMAND_MASTER))
		return;
	if (function->ops->mastering)
		function->ops->mastering(function, masters(function));
	pci_function_update_vectors(function);
}

/* As before its first use: masked, without a message. */
static void reset_vector(struct pci_function *function, unsigned int vector)
{
	const unsigned int entry = vector * PCI_MSIX_ENTRY_SIZE;

	pthread_mutex_lock(&function->vectors[vector].lock);
	for (unsigned int offset = 0; offset < PCI_MSIX_ENTRY_SIZE; offset += 4)
		pci_view_set(&function->msix_table, entry + offset,
			     offset == PCI_MSIX_ENTRY_VECTOR_CTRL ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0,
			     UINT32_MAX);
	set_pending(function, vector, false);
	pthread_mutex_unlock(&function->vectors[vector].lock);
}

/* What the function does is turned off before what it does it with. */
static void reset(struct pci_function *function)
{
	const uint32_t command = pci_function_config(function, PCI_COMMAND);

	for (unsigned int i = 0; i < ARRAY_SIZE(function->writable); i++)
		if (function->writable[i])
			pci_function_set_config(function, 4 * i,
						pci_function_config(function, 4 * i) &
							~function->writable[i]);
	for (unsigned int i = 0; i < PCI_BARS; i++)
		if (function->bar[i].device)
			pci_function_set_bar(function, i, 0);
	pci_function_command_written(function, command);
	if (function->ops->reset)
		function->ops->reset(function);
	for (unsigned int i = 0; i < function->vector_count; i++)
		reset_vector(function, i);
}

/* What MSI-X, or MSI, is turned on and off by, or sends. */
static void messages_written(struct pci_function *function)
{
	pci_function_update_vectors(function);
	tell_vectors(function);
}

static void write_config(struct pci_function *function, uint64_t offset, uint32_t value,
			 uint32_t mask)
{
	const uint32_t old = pci_function_config(function, offset);
	const unsigned int bar = (offset - PCI_BASE_ADDRESS_0) / 4;
	uint32_t writable;

	if (offset >= PCI_BASE_ADDRESS_0 && bar < PCI_BARS) {
		if (function->bar[bar].device) {
			pci_function_set_bar(function, bar, pci_merge(old, value, mask));
			place(function, bar, place_of(function, bar));
		}
		return;
	}
	if (offset == function->express + PCI_EXP_DEVCTL && value & mask & PCI_EXP_DEVCTL_BCR_FLR)
		reset(function);
	if (offset / 4 >= ARRAY_SIZE(function->writable))
		return;
	writable = function->writable[offset / 4] & mask;
	if (writable == 0)
		return;
	pci_function_set_config(function, offset, pci_merge(old, value, writable));
	if (offset == PCI_COMMAND)
		pci_function_command_written(function, old);
	else if ((function->msix && offset == function->msix) || pci_msi_written(function, offset))
		messages_written(function);
	else if (function->ops->config_written)
		function->ops->config_written(function, offset);
}

/* The bridge. */

/* A doubleword of a function's config space or MSI-X table, of which the bytes in mask change. */
typedef void word_writer(struct pci_function *function, uint64_t offset, uint32_t value,
			 uint32_t mask);

static void write_words(struct pci_function *function, const struct mmio_access *mmio,
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

static void write_ecam(struct pci *pci, struct mmio_access mmio)
{
	const uint64_t slot = mmio.offset / SLOT_SIZE;
	struct pci_function *function;

	/* What would reach beyond the slot's bytes is no function's. */
	mmio.offset %= SLOT_SIZE;
	if (slot >= pci->count || mmio.size > SLOT_SIZE - mmio.offset)
		return;
	function = pci->function[slot];
	pthread_mutex_lock(&function->lock);
	write_words(function, &mmio, write_config);
	pthread_mutex_unlock(&function->lock);
}

/* An access to what BAR there is at gpa. */
static enum mmio_result access_bars(const struct pci *pci, uint64_t gpa, struct mmio_access *mmio)
{
	for (unsigned int i = 0; i < pci->count; i++) {
		for (unsigned int j = 0; j < PCI_BARS; j++) {
			const struct pci_bar *bar = &pci->function[i]->bar[j];
			const uint32_t base = atomic_load(&bar->place);

			if (base == 0 || !lies_in(gpa, mmio->size, base, bar->device->size))
				continue;
			mmio->offset = gpa - base;
			if (bar->view && mmio->offset >= PCI_VIEW_PAGE)
				return MMIO_BAD;
			return bar->device->ops->access(bar->device, mmio);
		}
	}
	return MMIO_BAD;
}

static enum mmio_result window_access(struct device *window, struct mmio_access *mmio)
{
	return access_bars(container_of(window, struct pci, window), window->base + mmio->offset,
			   mmio);
}

static enum mmio_result pci_access(struct device *device, struct mmio_access *mmio)
{
	struct pci *pci = container_of(device, struct pci, device);

	if (mmio->offset >= PCI_ECAM_SIZE)
		return access_bars(pci, device->base + mmio->offset, mmio);
	if (mmio->write) {
		write_ecam(pci, *mmio);
	} else {
		mmio->value = 0;
		memcpy(&mmio->value, pci->memory + mmio->offset, mmio->size);
	}
	return MMIO_DONE;
}

static struct device *bar_device(const struct pci *pci, uint64_t gpa)
{
	for (unsigned int i = 0; i < pci->count; i++) {
		for (unsigned int j = 0; j < PCI_BARS; j++) {
			struct device *device = pci->function[i]->bar[j].device;

			if (device && lies_in(gpa, 1, device->base, device->size))
				return device;
		}
	}
	return NULL;
}

static struct device *window_behind(struct device *window, uint64_t gpa)
{
	return bar_device(container_of(window, struct pci, window), gpa);
}

static struct device *pci_behind(struct device *device, uint64_t gpa)
{
	return bar_device(container_of(device, struct pci, device), gpa);
}

/* Requester IDs, as functions are told apart by in the tree. */
static uint32_t requester_of(const struct pci_function *function)
{
	return function->slot << 3;
}

/* The IOMMU is a node of its own, and who is behind it is told by the bridge. */
static void describe_iommu(const struct pci *pci, struct devtree *tree)
{
	static const char compatible[] = "virtio,pci-iommu\0pci1af4,1057";
	const uint32_t reg[] = { requester_of(pci->iommu) << 8, 0, 0, 0, 0 };
	uint32_t map[4 * PCI_SLOTS], *cell = map;

	for (unsigned int i = 0; i < pci->count; i++) {
		const uint32_t requester = requester_of(pci->function[i]);

		if (!pci->function[i]->behind_iommu)
			continue;
		*cell++ = requester;
		*cell++ = PHANDLE_IOMMU;
		*cell++ = requester;
		*cell++ = 1;
	}
	if (cell != map)
		devtree_cells(tree, "iommu-map", map, cell - map);
	devtree_begin_at(tree, "iommu", pci->iommu->slot);
	devtree_strings(tree, "compatible", compatible, sizeof(compatible));
	devtree_cells(tree, "reg", reg, ARRAY_SIZE(reg));
	devtree_u32(tree, "#iommu-cells", 1);
	devtree_u32(tree, "phandle", PHANDLE_IOMMU);
	devtree_end(tree);
}

static void pci_describe(const struct device *device, struct devtree *tree)
{
	const struct pci *pci = container_of(device, const struct pci, device);
	/* 32 bits of address; the second one is prefetchable. */
	const uint64_t windows[][3] = {
		{ 0x02000000, PCI_BARS_BASE, PCI_BARS_SIZE },
		{ 0x42000000, PCI_READABLE_BASE, pci->readable_next - PCI_READABLE_BASE },
	};
	const uint32_t buses[] = { 0, 0 };
	const uint32_t msi_map[] = { 0, PHANDLE_ITS, 0, 0x10000 };
	uint32_t ranges[7 * ARRAY_SIZE(windows)], *cell = ranges;

	for (unsigned int i = 0; i < ARRAY_SIZE(windows); i++) {
		*cell++ = windows[i][0];
		*cell++ = 0;
		*cell++ = windows[i][1];
		*cell++ = 0;
		*cell++ = windows[i][1];
		*cell++ = 0;
		*cell++ = windows[i][2];
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
	if (pci->iommu)
		describe_iommu(pci, tree);
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
	offset %= FUNCTION_SIZE;
	return offset < HEADER_SIZE ? header[offset / 4] : "Capability";
}

static const char *msix_register_name(uint64_t offset)
{
	static const char *const entry[PCI_ENTRY_WORDS] = {
		[PCI_MSIX_ENTRY_LOWER_ADDR / 4] = "MSIXMessageAddress",
		[PCI_MSIX_ENTRY_UPPER_ADDR / 4] = "MSIXMessageUpperAddress",
		[PCI_MSIX_ENTRY_DATA / 4] = "MSIXMessageData",
		[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] = "MSIXVectorControl",
	};

	return offset < PCI_MSIX_PENDING ? entry[offset / 4 % PCI_ENTRY_WORDS] : NULL;
}

static const char *window_register_name(uint64_t offset)
{
	(void)offset;
	return NULL;
}

static void window_describe(const struct device *device, struct devtree *tree)
{
	/* It is in the bridge's node. */
	(void)device;
	(void)tree;
}

/* The bridge goes with its first device. */
static void window_destroy(struct device *device)
{
	(void)device;
}

static void pci_destroy(struct device *device)
{
	struct pci *pci = container_of(device, struct pci, device);

	while (pci->count > 0) {
		struct pci_function *function = pci->function[--pci->count];

		function->ops->destroy(function);
	}
	pthread_mutex_destroy(&pci->place_lock);
	free(pci);
}

static const struct device_ops pci_ops = {
	.name = "pci",
	.access = pci_access,
	.describe = pci_describe,
	.register_name = pci_register_name,
	.behind = pci_behind,
	.rest = pci_state_rest,
	.unsaved = pci_state_unsaved,
	.save = pci_state_save,
	.restore = pci_state_restore,
	.destroy = pci_destroy,
};

static const struct device_ops window_ops = {
	.name = "pci",
	.access = window_access,
	.describe = window_describe,
	.register_name = window_register_name,
	.behind = window_behind,
	.destroy = window_destroy,
};

int pci_create(struct pci **created, struct bus *bus, void *memory)
{
	struct pci *pci = calloc(1, sizeof(*pci));
	int err;

	if (!pci) {
		log_error("pci: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	pci->device = (struct device){ &pci_ops, PCI_ECAM_BASE, PCI_MEMORY_SIZE };
	pci->window = (struct device){ &window_ops, PCI_BARS_BASE, PCI_BARS_SIZE };
	pci->memory = memory;
	pci->cache_line = cache_line_size();
	pci->memory_next = PCI_BARS_BASE;
	pci->readable_next = PCI_READABLE_BASE;
	pthread_mutex_init(&pci->place_lock, NULL);
	/* A slot without a function reads as ones. Drivers look at its header only. */
	for (uint64_t offset = 0; offset < PCI_ECAM_SIZE; offset += FUNCTION_SIZE)
		memset(pci->memory + offset, 0xff, HEADER_SIZE);
	err = bus_add(bus, &pci->device);
	if (err == 0)
		err = bus_add(bus, &pci->window);
	if (err == 0)
		*created = pci;
	return err;
}

/* Making functions. */

static void set_identity(struct pci_function *function, const struct pci_identity *identity)
{
	const uint32_t subsystem = (uint32_t)identity->subsystem << 16 | identity->subsystem_vendor;

	pci_function_set_config(function, PCI_VENDOR_ID,
				(uint32_t)identity->device << 16 | identity->vendor);
	pci_function_set_config(function, PCI_CLASS_REVISION,
				identity->class << 8 | identity->revision);
	pci_function_set_config(function, PCI_SUBSYSTEM_VENDOR_ID, subsystem);
}

/*
 * An integrated endpoint that asks for nothing, so that all of Device Control may be zero (PCI
 * Express Base 5.0, 7.5.3.4), but for the bit that resets, which reads as zero.
 */
static unsigned int add_express(struct pci_function *function)
{
	const uint32_t capability[EXPRESS_SIZE / 4] = {
		[0] = (PCI_EXP_TYPE_RC_END << 4 | EXPRESS_VERSION) << 16 | PCI_CAP_ID_EXP,
		[PCI_EXP_DEVCAP / 4] = PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR,
	};

	return pci_function_add_capability(function, capability, sizeof(capability));
}

int pci_function_init(struct pci_function *function, struct pci *pci,
		      const struct pci_function_ops *ops, const struct pci_identity *identity)
{
	*function = (struct pci_function){ .pci = pci, .slot = pci->count, .ops = ops };
	pthread_mutex_init(&function->lock, NULL);
	if (pci->count == PCI_SLOTS) {
		log_error("pci: more than %d devices", PCI_SLOTS);
		return -ENOSPC;
	}
	pci->function[pci->count++] = function;
	function->config = (void *)(pci->memory + function->slot * SLOT_SIZE);
	function->capabilities_end = HEADER_SIZE;
	memset((void *)function->config, 0, HEADER_SIZE);
	set_identity(function, identity);
	/* As firmware leaves it, to save drivers the writes. */
	pci_function_set_config(function, PCI_COMMAND,
				PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	pci_function_make_writable(function, PCI_COMMAND,
				   PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
					   PCI_COMMAND_INTX_DISABLE);
	pci_function_make_writable(function, PCI_CACHE_LINE_SIZE, 0xff);
	pci_function_make_writable(function, PCI_INTERRUPT_LINE, 0xff);
	function->express = add_express(function);
	return 0;
}

void pci_function_fini(struct pci_function *function)
{
	for (unsigned int i = 0; i < function->vector_count; i++) {
		irq_msi_destroy(&function->vectors[i].msi);
		pthread_mutex_destroy(&function->vectors[i].lock);
	}
	free(function->vectors);
	pci_view_destroy(&function->msix_table);
	pthread_mutex_destroy(&function->lock);
}

void pci_function_is_iommu(struct pci_function *function)
{
	function->pci->iommu = function;
}

void pci_function_put_behind(struct pci_function *function, struct iommu *iommu,
			     struct iommu_endpoint *endpoint,
			     void (*revoke)(struct iommu_endpoint *endpoint, bool all))
{
	function->behind_iommu = true;
	iommu_add(iommu, endpoint, requester_of(function), revoke);
}

static void add_bar(struct pci_function *function, unsigned int bar, struct device *device,
		    uint64_t size, uint64_t *next)
{
	device->base = align_up(*next, size);
	device->size = size;
	*next = device->base + size;
	function->bar[bar].device = device;
	pci_function_set_bar(function, bar, device->base);
}

void pci_function_add_memory(struct pci_function *function, unsigned int bar, struct device *device)
{
	add_bar(function, bar, device, PCI_BAR_SIZE, &function->pci->memory_next);
}

int pci_function_add_large(struct pci_function *function, unsigned int bar, struct device *device,
			   uint64_t size)
{
	uint64_t *next = &function->pci->memory_next;

	if (size > PCI_BARS_SIZE ||
	    !lies_in(align_up(*next, size), size, PCI_BARS_BASE, PCI_BARS_SIZE))
		return -ENOSPC;
	add_bar(function, bar, device, size, next);
	return 0;
}

void pci_function_add_readable(struct pci_function *function, unsigned int bar,
			       struct device *device, struct pci_view *view)
{
	struct pci *pci = function->pci;

	function->bar[bar].view = view;
	add_bar(function, bar, device, PCI_BAR_SIZE, &pci->readable_next);
	/* From here on only the page with registers changes. */
	memset(pci->memory + (device->base - PCI_ECAM_BASE), 0xff, PCI_BAR_SIZE);
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

static enum mmio_result msix_access(struct device *device, struct mmio_access *mmio)
{
	struct pci_function *function = container_of(device, struct pci_function, msix_device);

	if (mmio->write) {
		write_words(function, mmio, write_table);
		return MMIO_DONE;
	}
	mmio->value = pci_view_get(&function->msix_table, mmio->offset, mmio->size);
	return MMIO_DONE;
}

/* The bridge answers for it: it is not on a bus. */
static const struct device_ops msix_ops = {
	.name = "pci",
	.access = msix_access,
	.register_name = msix_register_name,
};

/* Every vector begins masked. */
static int add_vector(struct pci_function *function, struct irq_routes *routes)
{
	struct pci_vector *vector = &function->vectors[function->vector_count];
	const uint32_t requester = requester_of(function);
	const unsigned int control =
		function->vector_count * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL;
	int err = irq_msi_create(&vector->msi, routes, requester);

	if (err < 0)
		return err;
	pthread_mutex_init(&vector->lock, NULL);
	vector->function = function;
	vector->kept =
		(struct event_source){ .fd = vector->msi.edge.eventfd, .ready = vector_kept };
	pci_view_set(&function->msix_table, control, UINT32_MAX, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	function->vector_count++;
	return 0;
}

int pci_function_add_vectors(struct pci_function *function, struct irq_routes *routes,
			     unsigned int count)
{
	int err = pci_view_create(&function->msix_table, PCI_MSIX_SIZE);

	if (err < 0)
		return err;
	function->vectors = calloc(count, sizeof(*function->vectors));
	if (!function->vectors) {
		log_error("pci: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	while (function->vector_count < count && err == 0)
		err = add_vector(function, routes);
	return err;
}

int pci_function_add_msix(struct pci_function *function, struct irq_routes *routes,
			  unsigned int bar, unsigned int count)
{
	const uint32_t capability[PCI_CAP_MSIX_SIZEOF / 4] = {
		[PCI_MSIX_FLAGS / 4] = (count - 1) << 16 | PCI_CAP_ID_MSIX,
		[PCI_MSIX_TABLE / 4] = bar,
		[PCI_MSIX_PBA / 4] = PCI_MSIX_PENDING | bar,
	};
	int err = pci_function_add_vectors(function, routes, count);

	if (err < 0)
		return err;
	function->msix_device = (struct device){ .ops = &msix_ops };
	pci_function_add_readable(function, bar, &function->msix_device, &function->msix_table);
	function->msix = pci_function_add_capability(function, capability, sizeof(capability));
	pci_function_make_writable(function, function->msix,
				   MSIX_FLAGS_ENABLE | MSIX_FLAGS_MASKALL);
	return 0;
}
