// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The guest's function is one of nidus's own bridge, with the device's
 * identity, BARs of its sizes and those of its capabilities that are passed on; all of that is laid
 * out anew. BARs are 32 bits wide and of memory. The device's decoding is on all the time, as the
 * host's addresses are no business of the guest's: what the guest turns on and off, and moves, is
 * the memory slots that the device's registers are in, and an access that finds none goes to the
 * device by nidus. So while a BAR stays where it is nothing is changed or asked.
 *
 * MSI-X is the bridge's, with a table in a BAR that the device does not have; so is MSI, of a
 * device that has no more. The device is told to interrupt by the eventfds of the bridge's vectors,
 * which are lent to it: the first one as soon as MSI-X is on, masked or not, for a device looks at
 * that when it is set up; then up to the last that the driver has unmasked, and each time twice as
 * many: each time costs the host a look at all that there are, and where these are
 * given up and set up anew what they tell meanwhile is lost. So is what came before they were set
 * up. Hence each of them is raised once by nidus when it was, which to a driver is an interrupt
 * that somebody else was faster to handle.
 *
 * Vendor specific capabilities, by which a virtio device says where its registers are, are read by
 * the guest as they were at the last write to them, after which they are read anew.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "mm/memslot.h"
#include "util.h"
#include "vfio_parts.h"

struct vendor {
	struct vfio_capability device, guest; /* where it is in the configuration space of each */
};

/* What answers to accesses that find no memory slot. */
struct bar {
	struct device device;
	struct vfio_function *function;
};

struct vfio_function {
	struct pci_function head;
	struct vfio_mirror mirror; /* where it is behind an IOMMU */
	const struct vfio_device *device;
	struct bar bars[PCI_BARS];
	int vm_fd;
	struct event_loop *loop;
	struct verdict *verdict;
	struct event_notifier failed, wanted_back;
	struct vendor vendor[VFIO_VENDORS_MAX];
	unsigned int vendor_count;
	unsigned int irqs; /* VFIO_PCI_MSIX_IRQ_INDEX, or that of MSI */

	/* The head's lock guards it. */
	bool has_slot[PCI_BARS][VFIO_AREAS_MAX];

	pthread_mutex_t lock; /* guards what follows */
	unsigned int armed; /* vectors that the device interrupts by */
	int eventfds[PCI_MSIX_VECTOR_MAX]; /* of these */
};

static struct vfio_function *function_of(struct pci_function *head)
{
	return container_of(head, struct vfio_function, head);
}

static const char *name_of(const struct vfio_function *function)
{
	return function->device->place.address;
}

/* Configuration space. */

/* What the device may do; it answers in any case, and never by INTx. */
static void set_command(const struct vfio_function *function, bool master)
{
	const uint16_t command = htole16(PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE |
					 (master ? PCI_COMMAND_MASTER : 0));

	vfio_device_write(function->device, function->device->config_offset + PCI_COMMAND, &command,
			  sizeof(command));
}

/* A doubleword of a vendor specific capability, but for what the bridge has in the first. */
static void show_vendor_word(struct vfio_function *function, const struct vendor *vendor,
			     unsigned int at)
{
	const uint64_t base = function->device->config_offset + vendor->device.offset;
	const uint32_t kept = at == 0 ? UINT16_MAX : 0;
	const unsigned int guest = vendor->guest.offset + at;
	uint32_t word;

	if (!vfio_device_read(function->device, base + at, &word, sizeof(word)))
		return;
	word = le32toh(word);
	pci_function_set_config(&function->head, guest,
				(pci_function_config(&function->head, guest) & kept) |
					(word & ~kept));
}

static void show_vendor(struct vfio_function *function, const struct vendor *vendor)
{
	for (unsigned int at = 0; at < vendor->guest.size; at += 4)
		show_vendor_word(function, vendor, at);
}

static void config_written(struct pci_function *head, unsigned int offset)
{
	struct vfio_function *function = function_of(head);

	for (unsigned int i = 0; i < function->vendor_count; i++) {
		const struct vendor *vendor = &function->vendor[i];
		const unsigned int at = offset - vendor->guest.offset;
		const uint32_t word = htole32(pci_function_config(head, offset));

		if (offset < vendor->guest.offset || at >= vendor->guest.size)
			continue;
		vfio_device_write(function->device,
				  function->device->config_offset + vendor->device.offset + at,
				  &word, sizeof(word));
		show_vendor(function, vendor);
	}
}

static void mastering(struct pci_function *head, bool on)
{
	set_command(function_of(head), on);
}

/* BARs. */

static void give_slot(struct vfio_function *function, unsigned int bar, unsigned int index,
		      uint64_t to)
{
	static struct log_limit limit;
	const struct vfio_area *area = &function->device->bar[bar].area[index];
	int err =
		memslot_try(function->vm_fd, area->slot, to + area->offset, area->host, area->size);

	function->has_slot[bar][index] = err == 0;
	if (err < 0)
		log_guest(&limit, "vfio %s: BAR %u is where another one is, and takes exits",
			  name_of(function), bar);
}

static void placed(struct pci_function *head, unsigned int bar, uint64_t from, uint64_t to)
{
	struct vfio_function *function = function_of(head);

	(void)from;
	for (unsigned int i = 0; i < function->device->bar[bar].area_count; i++) {
		bool *has = &function->has_slot[bar][i];

		if (*has)
			*has = memslot_remove(function->vm_fd,
					      function->device->bar[bar].area[i].slot) < 0;
		if (to && !*has)
			give_slot(function, bar, i, to);
	}
}

static enum mmio_result bar_access(struct device *device, struct mmio_access *mmio)
{
	struct bar *bar = container_of(device, struct bar, device);
	const struct vfio_function *function = bar->function;
	const struct vfio_bar *host = &function->device->bar[bar - function->bars];
	uint64_t value = htole64(mmio->value);

	/* The guest's BAR may be larger. */
	if (mmio->offset >= host->size || mmio->size > host->size - mmio->offset)
		return MMIO_BAD;
	if (mmio->write)
		return vfio_device_write(function->device, host->offset + mmio->offset, &value,
					 mmio->size)
			       ? MMIO_DONE
			       : MMIO_BAD;
	value = 0;
	if (!vfio_device_read(function->device, host->offset + mmio->offset, &value, mmio->size))
		return MMIO_BAD;
	mmio->value = le64toh(value);
	return MMIO_DONE;
}

/* Interrupts. */

/* lock held: gives the eventfds of vectors back, from lent down to kept. */
static void give_back(struct vfio_function *function, unsigned int lent, unsigned int kept)
{
	while (lent > kept)
		pci_function_return(&function->head, --lent);
}

/* lock held: the device is to interrupt by no vector any more. */
static void disarm(struct vfio_function *function)
{
	if (function->armed == 0)
		return;
	vfio_device_interrupt_no_more(function->device, function->irqs);
	give_back(function, function->armed, 0);
	function->armed = 0;
}

/* lock held: has the eventfds of as many vectors, or of as many as there are. */
static unsigned int borrow(struct vfio_function *function, unsigned int count)
{
	unsigned int lent = function->armed;

	while (lent < count) {
		function->eventfds[lent] = pci_function_lend(&function->head, lent, function->loop);
		/* MSI-X was turned off meanwhile, which somebody is about to tell. */
		if (function->eventfds[lent] < 0)
			break;
		lent++;
	}
	return lent;
}

/* lock held: has the device interrupt by count vectors, more than so far. */
static void arm(struct vfio_function *function, unsigned int count)
{
	static struct log_limit limit;
	const struct vfio_irqs *irqs = &function->device->irqs[function->irqs];
	const bool anew = function->armed > 0 && irqs->fixed;
	const unsigned int lent = borrow(function, count);
	const unsigned int first = anew ? 0 : function->armed;
	int err;

	if (lent == function->armed)
		return;
	if (anew)
		vfio_device_interrupt_no_more(function->device, function->irqs);
	err = vfio_device_interrupt_by(function->device, function->irqs, first, lent - first,
				       function->eventfds + first);
	if (err < 0) {
		log_guest(&limit, "vfio %s: %u interrupts: %s", name_of(function), lent,
			  log_reason(-err));
		give_back(function, lent, first);
		function->armed = first;
		return;
	}
	function->armed = lent;
	for (unsigned int i = first; i < lent; i++)
		pci_function_interrupt(&function->head, i);
}

static void vectors(struct pci_function *head)
{
	struct vfio_function *function = function_of(head);
	unsigned int used, count = 1;

	pthread_mutex_lock(&function->lock);
	used = pci_function_vectors_used(head);
	while (count < used)
		count *= 2;
	if (count > head->vector_count)
		count = head->vector_count;
	if (!pci_function_has_msix(head))
		disarm(function);
	else if (used > function->armed || function->armed == 0)
		arm(function, count);
	pthread_mutex_unlock(&function->lock);
}

/* The loop's thread. */

static void failed(struct event_notifier *notifier)
{
	struct vfio_function *function = container_of(notifier, struct vfio_function, failed);

	log_error("vfio %s: the device reports an error that it does not recover from: the guest "
		  "is ended",
		  name_of(function));
	verdict_reach(function->verdict, OUTCOME_HOST_ERROR);
}

static void wanted_back(struct event_notifier *notifier)
{
	struct vfio_function *function = container_of(notifier, struct vfio_function, wanted_back);

	log_error("vfio %s: the host wants the device back: the guest is ended", name_of(function));
	verdict_reach(function->verdict, OUTCOME_HOST_ERROR);
}

/* Reset. */

/* Nothing that the device has begun goes on. Errors: -errno, not said. */
static int quiet(struct vfio_function *function)
{
	int err;

	pthread_mutex_lock(&function->lock);
	disarm(function);
	pthread_mutex_unlock(&function->lock);
	set_command(function, false);
	err = vfio_device_reset(function->device);
	if (err == -ENOTTY)
		err = 0;
	/* It has come back with what it had, but not from every state. */
	set_command(function, false);
	return err;
}

static void reset(struct pci_function *head)
{
	static struct log_limit limit;
	struct vfio_function *function = function_of(head);
	const int err = quiet(function);

	if (err < 0)
		log_guest(&limit, "vfio %s: reset: %s", name_of(function), strerror(-err));
	for (unsigned int i = 0; i < function->vendor_count; i++)
		show_vendor(function, &function->vendor[i]);
}

static const char *unsaved(const struct pci_function *head)
{
	(void)head;
	return "it has a device of the host's (--vfio)";
}

static void end_notifier(struct vfio_function *function, struct event_notifier *notifier,
			 unsigned int index)
{
	if (!notifier->loop)
		return;
	vfio_device_interrupt_no_more(function->device, index);
	event_notifier_destroy(notifier);
}

static void destroy(struct pci_function *head)
{
	struct vfio_function *function = function_of(head);

	if (head->behind_iommu)
		iommu_remove(&function->mirror.endpoint);
	end_notifier(function, &function->wanted_back, VFIO_PCI_REQ_IRQ_INDEX);
	end_notifier(function, &function->failed, VFIO_PCI_ERR_IRQ_INDEX);
	quiet(function);
	pci_function_fini(head);
	pthread_mutex_destroy(&function->lock);
	free(function);
}

static const struct pci_function_ops function_ops = {
	.config_written = config_written,
	.placed = placed,
	.vectors = vectors,
	.mastering = mastering,
	.reset = reset,
	.unsaved = unsaved,
	.destroy = destroy,
};

/* Making one. */

static const char *bar_register_name(uint64_t offset)
{
	(void)offset;
	return NULL;
}

/* The bridge answers for them: they are not on a bus. */
static const struct device_ops bar_ops = {
	.name = "vfio",
	.access = bar_access,
	.register_name = bar_register_name,
};

static int add_bars(struct vfio_function *function)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		const uint64_t size = function->device->bar[i].size;
		struct bar *bar = &function->bars[i];

		if (size == 0)
			continue;
		bar->device.ops = &bar_ops;
		bar->function = function;
		if (pci_function_add_large(&function->head, i, &bar->device,
					   size < PCI_BAR_SIZE ? PCI_BAR_SIZE : size) < 0) {
			log_error("--vfio %s: there is no place for its BAR %u of %llu MiB: the "
				  "guest's window for BARs has 751 MiB",
				  name_of(function), i, (unsigned long long)size >> 20);
			return -EINVAL;
		}
	}
	return 0;
}

/* In a BAR that the device does not have. */
static int add_msix(struct vfio_function *function, struct irq_routes *routes)
{
	const unsigned int has = function->device->irqs[VFIO_PCI_MSIX_IRQ_INDEX].count;
	unsigned int bar = 0;

	while (bar < PCI_BARS && function->bars[bar].function)
		bar++;
	if (bar == PCI_BARS) {
		log_error("--vfio %s: all of its BARs are in use, and there is none for MSI-X",
			  name_of(function));
		return -ENOTSUP;
	}
	return pci_function_add_msix(&function->head, routes, bar,
				     has < PCI_MSIX_VECTOR_MAX ? has : PCI_MSIX_VECTOR_MAX);
}

static int add_interrupts(struct vfio_function *function, struct irq_routes *routes)
{
	const struct vfio_irqs *irqs = function->device->irqs;

	function->irqs = VFIO_PCI_MSIX_IRQ_INDEX;
	if (irqs[VFIO_PCI_MSIX_IRQ_INDEX].count > 0)
		return add_msix(function, routes);
	function->irqs = VFIO_PCI_MSI_IRQ_INDEX;
	if (irqs[VFIO_PCI_MSI_IRQ_INDEX].count > 0)
		return pci_function_add_msi(&function->head, routes);
	log_warning("--vfio %s: interrupts by a wire alone, which the guest's PCI does not have",
		    name_of(function));
	return 0;
}

/* Where it fits; bytes of it become the guest's words, those of the first two aside. */
static void add_vendor(struct vfio_function *function, const struct vfio_capability *capability)
{
	struct pci_function *head = &function->head;
	struct vendor *vendor = &function->vendor[function->vendor_count];
	const uint8_t bytes[UINT8_MAX] = { PCI_CAP_ID_VNDR, 0, capability->size };

	if (align_up(head->capabilities_end + capability->size, 4) > VFIO_CONFIG_SIZE) {
		log_warning("--vfio %s: has more vendor specific capabilities than there is room "
			    "for",
			    name_of(function));
		return;
	}
	vendor->device = vendor->guest = *capability;
	vendor->guest.offset = pci_function_add_capability(head, bytes, capability->size);
	for (unsigned int at = 4; at < capability->size; at += 4)
		pci_function_make_writable(head, vendor->guest.offset + at, UINT32_MAX);
	function->vendor_count++;
	show_vendor(function, vendor);
}

/* On all the time, as far as the guest is concerned. */
static void add_power(struct pci_function *head)
{
	const uint8_t capability[PCI_PM_SIZEOF] = {
		[0] = PCI_CAP_ID_PM,
		[PCI_PM_PMC] = 3, /* the version */
		[PCI_PM_CTRL] = PCI_PM_CTRL_NO_SOFT_RESET,
	};

	if (head->capabilities_end + sizeof(capability) <= VFIO_CONFIG_SIZE)
		pci_function_add_capability(head, capability, sizeof(capability));
}

static void add_capabilities(struct vfio_function *function, const struct vfio_config *config)
{
	struct pci_function *head = &function->head;
	const unsigned int express = head->express + PCI_EXP_DEVCAP;

	if (!function->device->can_reset)
		pci_function_set_config(head, express,
					pci_function_config(head, express) & ~PCI_EXP_DEVCAP_FLR);
	for (unsigned int i = 0; i < config->vendor_count; i++)
		add_vendor(function, &config->vendor[i]);
	if (config->power)
		add_power(head);
}

static int begin_notifier(struct vfio_function *function, struct event_notifier *notifier,
			  unsigned int index, void (*notified)(struct event_notifier *notifier))
{
	int err;

	if (function->device->irqs[index].count == 0)
		return 0;
	err = event_notifier_create(notifier, function->loop, notified);
	if (err < 0) {
		notifier->loop = NULL;
		return err;
	}
	return vfio_device_interrupt_by(function->device, index, 0, 1, &notifier->source.fd);
}

static int begin(struct vfio_function *function)
{
	int err = quiet(function);

	if (err == 0)
		err = begin_notifier(function, &function->failed, VFIO_PCI_ERR_IRQ_INDEX, failed);
	if (err == 0)
		err = begin_notifier(function, &function->wanted_back, VFIO_PCI_REQ_IRQ_INDEX,
				     wanted_back);
	if (err < 0)
		log_error("--vfio %s: the device does not begin: %s", name_of(function),
			  log_reason(-err));
	return err;
}

static struct vfio_function *create(const struct vfio_device *device,
				    const struct vfio_machine *machine)
{
	struct vfio_function *function = calloc(1, sizeof(*function));

	if (!function) {
		log_error("--vfio %s: %s", device->place.address, strerror(ENOMEM));
		return NULL;
	}
	function->device = device;
	function->vm_fd = machine->routes->vm_fd;
	function->loop = machine->loop;
	function->verdict = machine->verdict;
	pthread_mutex_init(&function->lock, NULL);
	return function;
}

int vfio_function_add(const struct vfio_device *device, const struct vfio_machine *machine)
{
	struct vfio_function *function = create(device, machine);
	int err;

	if (!function)
		return -ENOMEM;
	err = pci_function_init(&function->head, machine->pci, &function_ops,
				&device->config.identity);
	if (err < 0) {
		destroy(&function->head);
		return err;
	}
	if (machine->iommu)
		vfio_mirror_begin(&function->mirror, &function->head, device, machine);
	/* The driver turns on by itself what it wants. */
	pci_function_set_config(&function->head, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
	err = begin(function);
	if (err == 0)
		err = add_bars(function);
	if (err == 0)
		err = add_interrupts(function, machine->routes);
	if (err == 0)
		add_capabilities(function, &device->config);
	return err;
}
