// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Of a function the first 256 bytes of configuration space are saved, where
 * all is that a driver may write, and its table of MSI-X with the pending bits. A new function is
 * brought there as a driver would: what it may write, then Command, which places BARs and turns on
 * Bus Master, then the vectors, which are routed where they are not masked.
 */
#include "pci_parts.h"

#include "util.h"

struct function_state {
	uint32_t config[64];
	uint32_t vector_count;
	uint32_t zero;
};

/* Of vectors' entries and pending bits. */
struct msix_state {
	uint32_t table[PCI_MSIX_VECTOR_MAX * PCI_ENTRY_WORDS];
	uint32_t pending[PCI_MSIX_VECTOR_MAX / 32];
};

static struct pci *pci_of(const struct device *device)
{
	return container_of(device, struct pci, device);
}

void pci_state_rest(struct device *device, bool rest)
{
	const struct pci *pci = pci_of(device);

	for (unsigned int i = 0; i < pci->count; i++)
		if (pci->function[i]->ops->rest)
			pci->function[i]->ops->rest(pci->function[i], rest);
}

const char *pci_state_unsaved(const struct device *device)
{
	const struct pci *pci = pci_of(device);
	const char *why = NULL;

	for (unsigned int i = 0; i < pci->count && !why; i++)
		if (pci->function[i]->ops->unsaved)
			why = pci->function[i]->ops->unsaved(pci->function[i]);
	return why;
}

/* Saving. */

static void save_msix(const struct pci_function *function, struct state_writer *writer)
{
	struct msix_state state = { 0 };

	for (unsigned int i = 0; i < function->vector_count * PCI_ENTRY_WORDS; i++)
		state.table[i] = pci_view_get(&function->msix_table, 4 * i, 4);
	for (unsigned int i = 0; i < ARRAY_SIZE(state.pending); i++)
		state.pending[i] = pci_view_get(&function->msix_table, PCI_MSIX_PENDING + 4 * i, 4);
	state_put(writer, "pci-msix", function->slot, &state, sizeof(state));
}

static void save_function(struct pci_function *function, struct state_writer *writer)
{
	struct function_state state = { .vector_count = function->vector_count };

	for (unsigned int i = 0; i < ARRAY_SIZE(state.config); i++)
		state.config[i] = pci_function_config(function, 4 * i);
	state_put(writer, "pci-function", function->slot, &state, sizeof(state));
	if (function->vector_count > 0)
		save_msix(function, writer);
	if (function->ops->save)
		function->ops->save(function, writer);
}

void pci_state_save(struct device *device, struct state_writer *writer)
{
	const struct pci *pci = pci_of(device);
	const uint64_t count = pci->count;

	state_put(writer, "pci", device->base, &count, sizeof(count));
	for (unsigned int i = 0; i < pci->count; i++)
		save_function(pci->function[i], writer);
}

/* Restoring. */

static void restore_config(struct pci_function *function, const struct function_state *state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(state->config); i++) {
		const uint32_t is = pci_function_config(function, 4 * i);

		if (function->writable[i] && i != PCI_COMMAND / 4)
			pci_function_set_config(
				function, 4 * i,
				pci_merge(is, state->config[i], function->writable[i]));
	}
	for (unsigned int i = 0; i < PCI_BARS; i++)
		if (function->bar[i].device)
			pci_function_set_bar(function, i,
					     state->config[PCI_BASE_ADDRESS_0 / 4 + i]);
}

static void restore_msix(struct pci_function *function, const struct msix_state *state)
{
	for (unsigned int i = 0; i < function->vector_count * PCI_ENTRY_WORDS; i++) {
		const bool control = i % PCI_ENTRY_WORDS == PCI_MSIX_ENTRY_VECTOR_CTRL / 4;

		pci_view_set(&function->msix_table, 4 * i, state->table[i],
			     control ? PCI_MSIX_ENTRY_CTRL_MASKBIT : UINT32_MAX);
	}
	for (unsigned int i = 0; i < function->vector_count; i++) {
		const uint32_t bit = UINT32_C(1) << i % 32;

		pci_view_set(&function->msix_table, PCI_MSIX_PENDING + i / 32 * 4,
			     state->pending[i / 32], bit);
	}
}

static void restore_function(struct pci_function *function, struct state_reader *reader)
{
	const uint32_t command = pci_function_config(function, PCI_COMMAND);
	const uint32_t writable = function->writable[PCI_COMMAND / 4];
	struct function_state state;
	struct msix_state msix;

	if (!state_get(reader, "pci-function", function->slot, &state, sizeof(state)))
		return;
	if (state.config[PCI_VENDOR_ID / 4] != pci_function_config(function, PCI_VENDOR_ID) ||
	    state.vector_count != function->vector_count) {
		state_refuse(reader, "pci-function", function->slot,
			     "is another one: are disks and networks the same, and in the same "
			     "order?");
		return;
	}
	if (function->vector_count > 0 &&
	    !state_get(reader, "pci-msix", function->slot, &msix, sizeof(msix)))
		return;
	pthread_mutex_lock(&function->lock);
	if (function->vector_count > 0)
		restore_msix(function, &msix);
	restore_config(function, &state);
	pci_function_set_config(function, PCI_COMMAND,
				pci_merge(command, state.config[PCI_COMMAND / 4], writable));
	pci_function_command_written(function, command);
	pci_function_update_vectors(function);
	pthread_mutex_unlock(&function->lock);
	if (function->ops->restore)
		function->ops->restore(function, reader);
}

void pci_state_restore(struct device *device, struct state_reader *reader)
{
	const struct pci *pci = pci_of(device);
	uint64_t count;

	if (!state_get(reader, "pci", device->base, &count, sizeof(count)))
		return;
	if (count != pci->count) {
		state_refuse(reader, "pci", device->base,
			     "has another number of functions: are disks and networks the same?");
		return;
	}
	for (unsigned int i = 0; i < pci->count && reader->err == 0; i++)
		restore_function(pci->function[i], reader);
}
