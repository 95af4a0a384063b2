/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registers in a BAR that the guest reads without an exit: words, and while their BAR stands for a
 * page of the memory that the guest reads by itself, a copy of them there, zeroes behind it. All
 * that is copied is cleaned to the Point of Coherency, for the guest takes it for a device and may
 * read past the caches.
 */
#ifndef NIDUS_PCI_VIEW_H
#define NIDUS_PCI_VIEW_H

#include <pthread.h>
#include <stdint.h>

#define PCI_VIEW_PAGE 0x1000 /* bytes */

struct pci_view {
	pthread_mutex_t lock; /* of changes; nothing else is taken under it */
	_Atomic uint32_t *words; /* as they are, wherever they are shown */
	unsigned int count;
	_Atomic uint32_t *page; /* where they are shown, or NULL */
	uint64_t cache_line; /* cache_line_size(), whose asking a nested guest pays for */
};

/* size bytes of words, all 0, not shown; no more than a page. -ENOMEM, said. */
int pci_view_create(struct pci_view *view, unsigned int size);
/* Also one that was never created, all zeroes. */
void pci_view_destroy(struct pci_view *view);

/*
 * size bytes at offset, eight at most; 0 behind the words. What lies in one word is read at once.
 * Any thread.
 */
uint64_t pci_view_get(const struct pci_view *view, unsigned int offset, unsigned int size);

/*
 * Changes the bits in mask of the word at offset, if there is one; returns what it was. Any thread.
 */
uint32_t pci_view_set(struct pci_view *view, unsigned int offset, uint32_t value, uint32_t mask);

/* Shows the words at page, of PCI_VIEW_PAGE bytes, or nowhere (NULL). By one thread at a time. */
void pci_view_show(struct pci_view *view, void *page);

/* What the guest reads at page where no BAR answers: all ones. */
void pci_view_blank(void *page, uint64_t cache_line);

#endif
