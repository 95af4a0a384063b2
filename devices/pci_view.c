// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pci_view.h"
#include "host/log.h"
#include "mm/cache.h"
#include "util.h"

/* Makes a change of size bytes of a page visible to the guest. */
static void clean(const volatile void *where, size_t size, uint64_t line)
{
	const uintptr_t start = align_down((uintptr_t)where, line);

	cache_clean(start, align_up((uintptr_t)where + size, line), line);
	cache_sync();
}

int pci_view_create(struct pci_view *view, unsigned int size)
{
	*view = (struct pci_view){
		.count = size / sizeof(uint32_t),
		.cache_line = cache_line_size(),
	};
	view->words = calloc(view->count, sizeof(*view->words));
	if (!view->words) {
		log_error("pci: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	pthread_mutex_init(&view->lock, NULL);
	return 0;
}

void pci_view_destroy(struct pci_view *view)
{
	if (view->words)
		pthread_mutex_destroy(&view->lock);
	free(view->words);
	view->words = NULL;
}

uint64_t pci_view_get(const struct pci_view *view, unsigned int offset, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int done = 0; done < size;) {
		const unsigned int index = (offset + done) / 4, first = (offset + done) % 4;
		const uint64_t word = index < view->count ? atomic_load(&view->words[index]) : 0;

		value |= word >> 8 * first << 8 * done;
		done += 4 - first;
	}
	return size < 8 ? value & ((UINT64_C(1) << 8 * size) - 1) : value;
}

uint32_t pci_view_set(struct pci_view *view, unsigned int offset, uint32_t value, uint32_t mask)
{
	const unsigned int index = offset / 4;
	uint32_t old, new;

	if (index >= view->count)
		return 0;
	/* Most words are set to what they are: a device shows all of them after every change. */
	old = atomic_load(&view->words[index]);
	if (((old ^ value) & mask) == 0)
		return old;
	pthread_mutex_lock(&view->lock);
	old = atomic_load(&view->words[index]);
	new = (old & ~mask) | (value & mask);
	if (new != old) {
		atomic_store(&view->words[index], new);
		if (view->page) {
			atomic_store(&view->page[index], new);
			clean(&view->page[index], sizeof(new), view->cache_line);
		}
	}
	pthread_mutex_unlock(&view->lock);
	return old;
}

void pci_view_show(struct pci_view *view, void *page)
{
	const size_t size = view->count * sizeof(uint32_t);

	pthread_mutex_lock(&view->lock);
	if (page && page != view->page) {
		memcpy(page, (const void *)view->words, size);
		memset((char *)page + size, 0, PCI_VIEW_PAGE - size);
		clean(page, PCI_VIEW_PAGE, view->cache_line);
	}
	view->page = page;
	pthread_mutex_unlock(&view->lock);
}

void pci_view_blank(void *page, uint64_t cache_line)
{
	memset(page, 0xff, PCI_VIEW_PAGE);
	clean(page, PCI_VIEW_PAGE, cache_line);
}
