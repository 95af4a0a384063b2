// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A domain's mappings are a treap: a search tree by IOVA, whose nodes are a
 * heap by priorities that no guest knows. A range of it is cut out, whatever is in it, by two walks
 * down, and only they need the lock.
 *
 * A device's thread looks a mapping up under the lock, becomes a user of it there, and remembers
 * it. Next time it becomes a user first and then looks whether the mapping is still the one that it
 * remembers, by its serial number. Who takes a mapping away clears the number first and then looks
 * for users. So one of them sees the other, and no lock is needed. Mappings are of one pool that
 * stays, so that what is remembered may be stale but is always a mapping.
 *
 * A mapping without users is gone at once, as it is with a driver that has its buffers back. Else
 * every endpoint of the domain is asked. What is left then are threads that are about to find out:
 * a matter of a few instructions.
 *
 * Where an endpoint is attached is remembered as well, with a number (generation) that changes with
 * it. There nothing tells who uses what, so the endpoint is always asked.
 *
 * A mirror is told of a mapping before it is in the tree, so that one that some mirror cannot have
 * is nowhere; and of the end of some after they were cut out. Where an endpoint moves it begins
 * anew: all is taken away, and what it sees then is told one by one.
 */
#include "devices/iommu.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "host/clock.h"
#include "host/log.h"
#include "util.h"

/* Trees. */

/* The first mapping that does not end before iova, or NULL. */
static struct iommu_mapping *first_from(struct iommu_mapping *tree, uint64_t iova)
{
	struct iommu_mapping *first = NULL;

	while (tree) {
		if (tree->end >= iova) {
			first = tree;
			tree = tree->left;
		} else {
			tree = tree->right;
		}
	}
	return first;
}

/* Into those that end before iova, and the others. */
static void split(struct iommu_mapping *tree, uint64_t iova, struct iommu_mapping **low,
		  struct iommu_mapping **high)
{
	while (tree) {
		if (tree->end < iova) {
			*low = tree;
			low = &tree->right;
			tree = *low;
		} else {
			*high = tree;
			high = &tree->left;
			tree = *high;
		}
	}
	*low = *high = NULL;
}

static struct iommu_mapping *join(struct iommu_mapping *low, struct iommu_mapping *high)
{
	struct iommu_mapping *tree, **at = &tree;

	while (low && high) {
		if (low->priority > high->priority) {
			*at = low;
			at = &low->right;
			low = *at;
		} else {
			*at = high;
			at = &high->left;
			high = *at;
		}
	}
	*at = low ? low : high;
	return tree;
}

static void insert(struct iommu_mapping **tree, struct iommu_mapping *mapping)
{
	struct iommu_mapping *low, *high;

	split(*tree, mapping->start, &low, &high);
	*tree = join(join(low, mapping), high);
}

/* Takes all out that lie in a range; none lies across its ends. */
static struct iommu_mapping *cut(struct iommu_mapping **tree, uint64_t start, uint64_t end)
{
	struct iommu_mapping *low, *inside, *high = NULL;

	split(*tree, start, &low, &inside);
	if (end < UINT64_MAX)
		split(inside, end + 1, &inside, &high);
	*tree = join(low, high);
	return inside;
}

/* A tree becomes a list, by their right. */
static struct iommu_mapping *list_of(struct iommu_mapping *tree)
{
	struct iommu_mapping *list = NULL, **at = &list;

	while (tree) {
		struct iommu_mapping *const left = tree->left;

		if (left) {
			tree->left = left->right;
			left->right = tree;
			tree = left;
		} else {
			*at = tree;
			at = &tree->right;
			tree = *at;
		}
	}
	return list;
}

/* The pool. */

/* xorshift64: nothing that a guest could guess from what it sees, which is how long things take. */
static uint32_t next_random(struct iommu *iommu)
{
	iommu->random ^= iommu->random << 13;
	iommu->random ^= iommu->random >> 7;
	iommu->random ^= iommu->random << 17;
	return iommu->random >> 32;
}

static struct iommu_mapping *take(struct iommu *iommu)
{
	struct iommu_mapping *mapping = iommu->free;

	if (mapping)
		iommu->free = mapping->right;
	else if (iommu->fresh < iommu->limit)
		mapping = &iommu->pool[iommu->fresh++];
	if (mapping)
		iommu->mappings++;
	return mapping;
}

static void put(struct iommu *iommu, struct iommu_mapping *mapping)
{
	mapping->right = iommu->free;
	iommu->free = mapping;
	iommu->mappings--;
}

/* Takes away what is in no tree any more, of a domain that has it no more. */
static void dispose(struct iommu *iommu, const struct iommu_domain *domain,
		    struct iommu_mapping *list)
{
	struct iommu_mapping *next;
	bool busy = false;

	for (struct iommu_mapping *mapping = list; mapping; mapping = mapping->right)
		atomic_store(&mapping->serial, 0);
	for (struct iommu_mapping *mapping = list; mapping && !busy; mapping = mapping->right)
		busy = atomic_load(&mapping->users) > 0;
	for (unsigned int i = 0; i < iommu->endpoint_count && busy; i++)
		if (iommu->endpoints[i]->domain == domain && !iommu->endpoints[i]->mirror)
			iommu->endpoints[i]->revoke(iommu->endpoints[i], false);
	for (; list; list = next) {
		next = list->right;
		while (atomic_load(&list->users) > 0)
			sched_yield();
		put(iommu, list);
	}
}

/* Endpoints and domains. */

static struct iommu_endpoint *endpoint_of(const struct iommu *iommu, uint32_t id)
{
	for (unsigned int i = 0; i < iommu->endpoint_count; i++)
		if (iommu->endpoints[i]->id == id)
			return iommu->endpoints[i];
	return NULL;
}

static struct iommu_domain *domain_of(struct iommu *iommu, uint32_t id)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(iommu->domains); i++)
		if (iommu->domains[i].used && iommu->domains[i].id == id)
			return &iommu->domains[i];
	return NULL;
}

/* Each endpoint is attached to one at most. */
static struct iommu_domain *new_domain(struct iommu *iommu, uint32_t id, bool bypass)
{
	struct iommu_domain *domain = iommu->domains;

	while (domain->used)
		domain++;
	*domain = (struct iommu_domain){ .used = true, .bypass = bypass, .id = id };
	return domain;
}

static enum iommu_mode mode_of(const struct iommu_endpoint *endpoint)
{
	if (endpoint->domain && !endpoint->domain->bypass)
		return IOMMU_MAPPED;
	return endpoint->domain || endpoint->iommu->bypass ? IOMMU_BYPASSED : IOMMU_BLOCKED;
}

/* The mapping that follows another in its domain, or the first one (NULL); or NULL. */
static struct iommu_mapping *next_of(const struct iommu_domain *domain,
				     const struct iommu_mapping *mapping)
{
	return first_from(domain->tree, mapping ? mapping->end + 1 : 0);
}

static enum iommu_result show_mappings(struct iommu_endpoint *endpoint)
{
	const struct iommu_domain *domain = endpoint->domain;
	const struct iommu_mapping *mapping = next_of(domain, NULL);
	enum iommu_result result = IOMMU_OK;

	for (; mapping && result == IOMMU_OK; mapping = next_of(domain, mapping))
		result = endpoint->mirror->map(endpoint, mapping);
	return result;
}

/* With turn: the mirror of an endpoint has what it sees, or nothing, which is an error. */
static enum iommu_result show(struct iommu_endpoint *endpoint)
{
	const enum iommu_mode mode = mode_of(endpoint);
	enum iommu_result result = IOMMU_OK;

	if (mode == endpoint->mirrored && mode != IOMMU_MAPPED)
		return IOMMU_OK;
	endpoint->mirror->unmap(endpoint, 0, IOMMU_IOVA_MAX);
	endpoint->mirrored = mode;
	if (mode == IOMMU_BYPASSED)
		result = endpoint->mirror->bypass(endpoint);
	else if (mode == IOMMU_MAPPED)
		result = show_mappings(endpoint);
	if (result != IOMMU_OK) {
		endpoint->mirror->unmap(endpoint, 0, IOMMU_IOVA_MAX);
		endpoint->mirrored = IOMMU_BLOCKED;
	}
	return result;
}

/*
 * With turn: what the endpoint sees is another, and it is asked to forget what it has seen. Errors:
 * those of a mirror; the endpoint is there, and sees nothing.
 */
static enum iommu_result move(struct iommu_endpoint *endpoint, struct iommu_domain *to)
{
	enum iommu_result result = IOMMU_OK;
	struct iommu *iommu = endpoint->iommu;
	struct iommu_domain *from;

	pthread_mutex_lock(&iommu->lock);
	from = endpoint->domain;
	endpoint->domain = to;
	atomic_fetch_add(&endpoint->generation, 1);
	pthread_mutex_unlock(&iommu->lock);
	if (endpoint->mirror)
		result = show(endpoint);
	else
		endpoint->revoke(endpoint, true);
	if (to)
		to->endpoints++;
	if (!from || --from->endpoints > 0)
		return result;
	dispose(iommu, from, list_of(from->tree));
	*from = (struct iommu_domain){ .used = false };
	return result;
}

int iommu_create(struct iommu *iommu, unsigned int limit)
{
	*iommu = (struct iommu){
		.bypass = true,
		.page = IOMMU_PAGE,
		.pool = calloc(limit, sizeof(*iommu->pool)),
		.limit = limit,
		.random = clock_ns() | 1,
	};
	if (!iommu->pool) {
		log_error("iommu: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	pthread_mutex_init(&iommu->turn, NULL);
	pthread_mutex_init(&iommu->lock, NULL);
	return 0;
}

void iommu_destroy(struct iommu *iommu)
{
	pthread_mutex_destroy(&iommu->lock);
	pthread_mutex_destroy(&iommu->turn);
	free(iommu->pool);
}

void iommu_add(struct iommu *iommu, struct iommu_endpoint *endpoint, uint32_t id,
	       void (*revoke)(struct iommu_endpoint *endpoint, bool all))
{
	*endpoint = (struct iommu_endpoint){ .iommu = iommu, .id = id, .revoke = revoke };
	iommu->endpoints[iommu->endpoint_count++] = endpoint;
}

void iommu_mirror(struct iommu_endpoint *endpoint, const struct iommu_mirror_ops *ops,
		  uint64_t page, const struct iommu_range *reserved, unsigned int reserved_count)
{
	endpoint->mirror = ops;
	endpoint->mirrored = IOMMU_BYPASSED;
	endpoint->reserved = reserved;
	endpoint->reserved_count = reserved_count;
	if (page > endpoint->iommu->page)
		endpoint->iommu->page = page;
}

/* It stays attached where it is: what its device still does is of its own. */
void iommu_remove(struct iommu_endpoint *endpoint)
{
	struct iommu *iommu = endpoint->iommu;
	unsigned int i = 0;

	pthread_mutex_lock(&iommu->turn);
	while (iommu->endpoints[i] != endpoint)
		i++;
	iommu->endpoints[i] = iommu->endpoints[--iommu->endpoint_count];
	pthread_mutex_unlock(&iommu->turn);
}

/* Requests. */

bool iommu_has(struct iommu *iommu, uint32_t endpoint)
{
	bool has;

	pthread_mutex_lock(&iommu->turn);
	has = endpoint_of(iommu, endpoint) != NULL;
	pthread_mutex_unlock(&iommu->turn);
	return has;
}

unsigned int iommu_reserved(struct iommu *iommu, uint32_t endpoint,
			    struct iommu_range reserved[IOMMU_RESERVED_MAX])
{
	const struct iommu_endpoint *which;
	unsigned int count = 0;

	pthread_mutex_lock(&iommu->turn);
	which = endpoint_of(iommu, endpoint);
	for (; which && count < which->reserved_count; count++)
		reserved[count] = which->reserved[count];
	pthread_mutex_unlock(&iommu->turn);
	return count;
}

static enum iommu_result attach(struct iommu *iommu, uint32_t id, uint32_t domain_id, bool bypass)
{
	struct iommu_endpoint *endpoint = endpoint_of(iommu, id);
	struct iommu_domain *domain = domain_of(iommu, domain_id);
	enum iommu_result result;

	if (!endpoint)
		return IOMMU_ABSENT;
	if (domain_id > IOMMU_DOMAIN_MAX)
		return IOMMU_RANGE;
	if (domain && domain->bypass != bypass)
		return IOMMU_INVALID;
	if (domain && domain == endpoint->domain)
		return IOMMU_OK;
	result = move(endpoint, domain ? domain : new_domain(iommu, domain_id, bypass));
	if (result != IOMMU_OK)
		move(endpoint, NULL);
	return result;
}

enum iommu_result iommu_attach(struct iommu *iommu, uint32_t endpoint, uint32_t domain, bool bypass)
{
	enum iommu_result result;

	pthread_mutex_lock(&iommu->turn);
	result = attach(iommu, endpoint, domain, bypass);
	pthread_mutex_unlock(&iommu->turn);
	return result;
}

static enum iommu_result detach(struct iommu *iommu, uint32_t id, uint32_t domain_id)
{
	struct iommu_endpoint *endpoint = endpoint_of(iommu, id);
	const struct iommu_domain *domain = domain_of(iommu, domain_id);

	if (!endpoint)
		return IOMMU_ABSENT;
	if (!domain || endpoint->domain != domain)
		return IOMMU_INVALID;
	move(endpoint, NULL);
	return IOMMU_OK;
}

enum iommu_result iommu_detach(struct iommu *iommu, uint32_t endpoint, uint32_t domain)
{
	enum iommu_result result;

	pthread_mutex_lock(&iommu->turn);
	result = detach(iommu, endpoint, domain);
	pthread_mutex_unlock(&iommu->turn);
	return result;
}

/* Whether a range is one that can be mapped, whatever is in it by now. */
static enum iommu_result check(const struct iommu *iommu, const struct iommu_domain *domain,
			       uint64_t start, uint64_t end, uint64_t phys)
{
	if (!domain)
		return IOMMU_ABSENT;
	if (domain->bypass)
		return IOMMU_INVALID;
	if (end < start || end > IOMMU_IOVA_MAX || (start | (end + 1) | phys) % iommu->page != 0 ||
	    phys > UINT64_MAX - (end - start))
		return IOMMU_RANGE;
	if (start <= iommu->msi_end && end >= iommu->msi_start)
		return IOMMU_INVALID;
	return IOMMU_OK;
}

/* From start to end, for those of the first endpoints that are attached to a domain. */
static void hide(const struct iommu *iommu, const struct iommu_domain *domain, unsigned int first,
		 uint64_t start, uint64_t end)
{
	for (unsigned int i = 0; i < first; i++) {
		struct iommu_endpoint *endpoint = iommu->endpoints[i];

		if (endpoint->domain == domain && endpoint->mirror)
			endpoint->mirror->unmap(endpoint, start, end);
	}
}

/* All mirrors of the domain have it, or none. */
static enum iommu_result show_mapping(const struct iommu *iommu, const struct iommu_domain *domain,
				      const struct iommu_mapping *mapping)
{
	enum iommu_result result = IOMMU_OK;

	for (unsigned int i = 0; i < iommu->endpoint_count && result == IOMMU_OK; i++) {
		struct iommu_endpoint *endpoint = iommu->endpoints[i];

		if (endpoint->domain == domain && endpoint->mirror)
			result = endpoint->mirror->map(endpoint, mapping);
		if (result != IOMMU_OK)
			hide(iommu, domain, i, mapping->start, mapping->end);
	}
	return result;
}

static enum iommu_result map(struct iommu *iommu, uint32_t domain_id, uint64_t start, uint64_t end,
			     uint64_t phys, uint32_t allows)
{
	struct iommu_domain *domain = domain_of(iommu, domain_id);
	enum iommu_result result = check(iommu, domain, start, end, phys);
	struct iommu_mapping *mapping;

	if (result != IOMMU_OK)
		return result;
	mapping = first_from(domain->tree, start);
	if (mapping && mapping->start <= end)
		return IOMMU_INVALID;
	mapping = take(iommu);
	if (!mapping)
		return IOMMU_NO_MEMORY;
	mapping->start = start;
	mapping->end = end;
	mapping->phys = phys;
	mapping->allows = allows;
	mapping->priority = next_random(iommu);
	mapping->left = mapping->right = NULL;
	result = show_mapping(iommu, domain, mapping);
	if (result != IOMMU_OK) {
		put(iommu, mapping);
		return result;
	}
	atomic_store(&mapping->serial, ++iommu->serial);
	pthread_mutex_lock(&iommu->lock);
	insert(&domain->tree, mapping);
	pthread_mutex_unlock(&iommu->lock);
	return IOMMU_OK;
}

enum iommu_result iommu_map(struct iommu *iommu, uint32_t domain, uint64_t start, uint64_t end,
			    uint64_t phys, uint32_t allows)
{
	enum iommu_result result;

	pthread_mutex_lock(&iommu->turn);
	result = map(iommu, domain, start, end, phys, allows);
	pthread_mutex_unlock(&iommu->turn);
	return result;
}

static enum iommu_result unmap(struct iommu *iommu, uint32_t domain_id, uint64_t start,
			       uint64_t end)
{
	struct iommu_domain *domain = domain_of(iommu, domain_id);
	struct iommu_mapping *first, *last, *inside;

	if (!domain)
		return IOMMU_ABSENT;
	if (domain->bypass)
		return IOMMU_INVALID;
	if (end < start)
		return IOMMU_RANGE;
	/* None is split, and then none is taken away (virtio 1.3, 5.13.6.6.2). */
	first = first_from(domain->tree, start);
	last = first_from(domain->tree, end);
	if ((first && first->start < start) || (last && last->start <= end && last->end > end))
		return IOMMU_RANGE;
	pthread_mutex_lock(&iommu->lock);
	inside = cut(&domain->tree, start, end);
	pthread_mutex_unlock(&iommu->lock);
	if (!inside)
		return IOMMU_OK;
	for (last = inside; last->right;)
		last = last->right;
	hide(iommu, domain, iommu->endpoint_count, first->start, last->end);
	dispose(iommu, domain, list_of(inside));
	return IOMMU_OK;
}

enum iommu_result iommu_unmap(struct iommu *iommu, uint32_t domain, uint64_t start, uint64_t end)
{
	enum iommu_result result;

	pthread_mutex_lock(&iommu->turn);
	result = unmap(iommu, domain, start, end);
	pthread_mutex_unlock(&iommu->turn);
	return result;
}

void iommu_set_bypass(struct iommu *iommu, bool bypass)
{
	pthread_mutex_lock(&iommu->turn);
	if (iommu->bypass != bypass) {
		pthread_mutex_lock(&iommu->lock);
		iommu->bypass = bypass;
		pthread_mutex_unlock(&iommu->lock);
		for (unsigned int i = 0; i < iommu->endpoint_count; i++)
			if (!iommu->endpoints[i]->domain)
				move(iommu->endpoints[i], NULL);
	}
	pthread_mutex_unlock(&iommu->turn);
}

void iommu_reset(struct iommu *iommu)
{
	pthread_mutex_lock(&iommu->turn);
	for (unsigned int i = 0; i < iommu->endpoint_count; i++)
		if (iommu->endpoints[i]->domain)
			move(iommu->endpoints[i], NULL);
	pthread_mutex_unlock(&iommu->turn);
}

/* Translation. */

void iommu_report(const struct iommu_endpoint *endpoint, enum iommu_reason reason, uint64_t iova,
		  uint32_t access)
{
	const struct iommu_fault fault = { reason, access, endpoint->id, iova };

	endpoint->iommu->fault(endpoint->iommu, &fault);
}

/* The lock held: what the endpoint is attached to by now. */
static void look(struct iommu_view *view)
{
	const struct iommu_endpoint *endpoint = view->endpoint;

	view->generation = atomic_load(&endpoint->generation);
	view->known = true;
	memset(view->cache, 0, sizeof(view->cache));
	view->mode = mode_of(endpoint);
}

static void refresh(struct iommu_view *view)
{
	struct iommu *iommu = view->endpoint->iommu;

	pthread_mutex_lock(&iommu->lock);
	look(view);
	pthread_mutex_unlock(&iommu->lock);
}

/* What is remembered, if it is still there; then it is held. */
static bool recall(const struct iommu_cached *cached, uint64_t iova)
{
	if (!cached->mapping || iova < cached->start || iova > cached->end)
		return false;
	atomic_fetch_add(&cached->mapping->users, 1);
	if (atomic_load(&cached->mapping->serial) == cached->serial)
		return true;
	atomic_fetch_sub(&cached->mapping->users, 1);
	return false;
}

/* The mapping is remembered, and held; false: there is none. */
static bool find(struct iommu_view *view, struct iommu_cached *cached, uint64_t iova)
{
	struct iommu *iommu = view->endpoint->iommu;
	struct iommu_mapping *mapping = NULL;

	pthread_mutex_lock(&iommu->lock);
	if (atomic_load(&view->endpoint->generation) != view->generation)
		look(view);
	if (view->mode == IOMMU_MAPPED)
		mapping = first_from(view->endpoint->domain->tree, iova);
	if (mapping && mapping->start > iova)
		mapping = NULL;
	if (mapping) {
		atomic_fetch_add(&mapping->users, 1);
		*cached = (struct iommu_cached){
			.mapping = mapping,
			.serial = atomic_load(&mapping->serial),
			.start = mapping->start,
			.end = mapping->end,
			.phys = mapping->phys,
			.allows = mapping->allows,
		};
	}
	pthread_mutex_unlock(&iommu->lock);
	return mapping != NULL;
}

static bool translate_mapped(struct iommu_view *view, uint64_t iova, uint32_t access, uint64_t *gpa,
			     uint64_t *length, struct iommu_mapping **held)
{
	struct iommu_cached *cached = &view->cache[iova / IOMMU_PAGE % IOMMU_CACHE];

	if (!recall(cached, iova) && !find(view, cached, iova)) {
		iommu_report(view->endpoint, IOMMU_NO_MAPPING, iova, access);
		return false;
	}
	if (access & ~cached->allows) {
		iommu_release(cached->mapping);
		iommu_report(view->endpoint, IOMMU_NO_MAPPING, iova, access);
		return false;
	}
	*held = cached->mapping;
	*gpa = cached->phys + (iova - cached->start);
	if (*length > cached->end - iova)
		*length = cached->end - iova + 1;
	return true;
}

bool iommu_translate(struct iommu_view *view, uint64_t iova, uint32_t access, uint64_t *gpa,
		     uint64_t *length, struct iommu_mapping **held)
{
	*held = NULL;
	*gpa = iova;
	if (!view->known || atomic_load(&view->endpoint->generation) != view->generation)
		refresh(view);
	if (view->mode == IOMMU_MAPPED)
		return translate_mapped(view, iova, access, gpa, length, held);
	if (view->mode == IOMMU_BLOCKED)
		iommu_report(view->endpoint, IOMMU_NO_DOMAIN, iova, access);
	return view->mode == IOMMU_BYPASSED;
}

/* Saving. Domains are told by their endpoints, without which there are none. */

struct endpoint_state {
	uint32_t endpoint, domain;
	uint8_t attached, bypass, zero[6];
};

struct mapping_state {
	uint64_t start, end, phys;
	uint32_t domain, allows;
};

void iommu_save(struct iommu *iommu, struct state_writer *writer, uint64_t index)
{
	const uint64_t bypass = iommu->bypass;

	state_begin(writer, "iommu", index);
	state_add(writer, &bypass, sizeof(bypass));
	for (unsigned int i = 0; i < iommu->endpoint_count; i++) {
		const struct iommu_endpoint *endpoint = iommu->endpoints[i];
		const struct iommu_domain *domain = endpoint->domain;
		const struct endpoint_state state = {
			.endpoint = endpoint->id,
			.domain = domain ? domain->id : 0,
			.attached = domain != NULL,
			.bypass = domain && domain->bypass,
		};

		state_add(writer, &state, sizeof(state));
	}
	state_end(writer);
	state_begin(writer, "iommu-mappings", index);
	for (unsigned int i = 0; i < ARRAY_SIZE(iommu->domains); i++) {
		const struct iommu_domain *domain = &iommu->domains[i];
		const struct iommu_mapping *mapping = next_of(domain, NULL);

		for (; mapping; mapping = next_of(domain, mapping)) {
			const struct mapping_state state = {
				mapping->start, mapping->end,	 mapping->phys,
				domain->id,	mapping->allows,
			};

			state_add(writer, &state, sizeof(state));
		}
	}
	state_end(writer);
}

static bool restore_endpoint(struct iommu *iommu, const struct endpoint_state *state)
{
	if (!endpoint_of(iommu, state->endpoint) || state->attached > 1 || state->bypass > 1)
		return false;
	return !state->attached ||
	       iommu_attach(iommu, state->endpoint, state->domain, state->bypass) == IOMMU_OK;
}

static bool restore_mapping(struct iommu *iommu, const struct mapping_state *state)
{
	return !(state->allows & ~(IOMMU_READ | IOMMU_WRITE)) &&
	       iommu_map(iommu, state->domain, state->start, state->end, state->phys,
			 state->allows) == IOMMU_OK;
}

void iommu_restore(struct iommu *iommu, struct state_reader *reader, uint64_t index)
{
	size_t size = 0, mappings_size = 0;
	const uint64_t *bypass = state_take(reader, "iommu", index, &size);
	const struct endpoint_state *endpoints;
	const struct mapping_state *mappings =
		state_take(reader, "iommu-mappings", index, &mappings_size);
	bool good;

	if (!bypass || !mappings)
		return;
	endpoints = (const void *)(bypass + 1);
	good = size == sizeof(*bypass) + iommu->endpoint_count * sizeof(*endpoints) &&
	       *bypass <= 1 && mappings_size % sizeof(*mappings) == 0;
	if (good)
		iommu_set_bypass(iommu, *bypass);
	for (unsigned int i = 0; good && i < iommu->endpoint_count; i++)
		good = restore_endpoint(iommu, &endpoints[i]);
	for (size_t i = 0; good && i < mappings_size / sizeof(*mappings); i++)
		good = restore_mapping(iommu, &mappings[i]);
	if (!good)
		state_refuse(reader, "iommu", index, "has what no IOMMU here can have");
}
