/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An IOMMU's inside: domains, which have mappings from I/O virtual addresses (IOVA) to GPAs, and
 * endpoints, devices that are attached to them. What tells it of mappings is for others
 * (iommu/virtio_iommu.h), and so is what a device does with an address.
 *
 * Who translates an address holds the mapping until he gives it back, and what takes mappings away
 * returns when nobody holds them any more. For that the endpoints are asked to give up what they
 * have of them.
 *
 * A device of the host's does not translate here: the host's IOMMU does it, in which whatever the
 * device sees is mirrored, as it changes.
 *
 * Two kinds of thread: those of devices translate, any number at a time and each by a view of its
 * own; all else is done by one thread at a time (turn), be it a worker or a vCPU's.
 */
#ifndef NIDUS_IOMMU_H
#define NIDUS_IOMMU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "state/state.h"

/* Every mapping begins and ends at a multiple of this or of more, in both kinds of addresses. */
#define IOMMU_PAGE UINT64_C(4096)

/* The last IOVA, and the last number of a domain. */
#define IOMMU_IOVA_MAX	 ((UINT64_C(1) << 48) - 1)
#define IOMMU_DOMAIN_MAX UINT32_C(0xffff)

#define IOMMU_ENDPOINTS_MAX 32

/* What a mapping allows, and what an access is: bits. */
#define IOMMU_READ  1u
#define IOMMU_WRITE 2u

struct iommu_mapping {
	uint64_t start, end; /* IOVA, the end included */
	uint64_t phys; /* GPA of start */
	uint32_t allows;
	uint32_t priority; /* of the tree, a heap of these */
	atomic_uint users; /* who hold it, or are about to find out that it has gone */
	atomic_uint_fast64_t serial; /* no other ever had the same; 0: it has gone */
	struct iommu_mapping *left, *right; /* right: also of the list of those that are free */
};

/* There is one as long as an endpoint is attached to it. */
struct iommu_domain {
	bool used;
	bool bypass; /* all IOVAs are GPAs */
	uint32_t id;
	unsigned int endpoints;
	struct iommu_mapping *tree;
};

struct iommu_endpoint;

/* What an endpoint sees: nothing, GPAs, or mappings. */
enum iommu_mode { IOMMU_BLOCKED, IOMMU_BYPASSED, IOMMU_MAPPED };

/* Why an access failed, as virtio has it. */
enum iommu_reason { IOMMU_UNKNOWN, IOMMU_NO_DOMAIN, IOMMU_NO_MAPPING };

struct iommu_fault {
	enum iommu_reason reason;
	uint32_t access;
	uint32_t endpoint;
	uint64_t iova;
};

struct iommu {
	pthread_mutex_t turn; /* of all but translations; held while endpoints are asked */
	pthread_mutex_t lock; /* of the trees, and of where endpoints are attached; nothing else is
				 taken under it */
	bool bypass; /* what is attached nowhere sees GPAs, or else nothing */
	struct iommu_endpoint *endpoints[IOMMU_ENDPOINTS_MAX];
	unsigned int endpoint_count;
	/* One more than endpoints: who moves to a new one leaves the old one last. */
	struct iommu_domain domains[IOMMU_ENDPOINTS_MAX + 1];
	uint64_t page; /* what mappings are multiples of */

	/* Guarded by turn. */
	struct iommu_mapping *pool; /* all that there can be */
	struct iommu_mapping *free;
	unsigned int mappings, fresh, limit; /* in use; never used yet begin at pool[fresh] */
	uint64_t serial;
	uint64_t random;

	uint64_t msi_start, msi_end; /* IOVAs that are interrupts and never mapped */
	/* An access has failed. A device's thread, with its locks. */
	void (*fault)(struct iommu *iommu, const struct iommu_fault *fault);
};

/* Errors of requests. */
enum iommu_result { IOMMU_OK, IOMMU_INVALID, IOMMU_RANGE, IOMMU_ABSENT, IOMMU_NO_MEMORY };

/*
 * What has what an endpoint sees elsewhere. A worker's or a vCPU's thread, with turn. What cannot
 * be done leaves the device with no more than it saw.
 */
struct iommu_mirror_ops {
	/* It sees GPAs: before, nothing. Errors: IOMMU_NO_MEMORY. */
	enum iommu_result (*bypass)(struct iommu_endpoint *endpoint);
	/*
	 * It sees a mapping besides. Errors: IOMMU_NO_MEMORY; IOMMU_INVALID, there can be none at
	 * these IOVAs.
	 */
	enum iommu_result (*map)(struct iommu_endpoint *endpoint,
				 const struct iommu_mapping *mapping);
	/*
	 * It no more sees what it does from start to end, which is included: whole mappings, or all
	 * of 0 to IOMMU_IOVA_MAX. Returns when the device does not use it any more.
	 */
	void (*unmap)(struct iommu_endpoint *endpoint, uint64_t start, uint64_t end);
};

/* IOVAs, the end included. */
struct iommu_range {
	uint64_t start, end;
};

/* Of those that an endpoint cannot have mapped, as many as are told of. */
#define IOMMU_RESERVED_MAX 8

/* A device. Its owner's; it is there until iommu_remove() returns. */
struct iommu_endpoint {
	struct iommu *iommu;
	uint32_t id;
	/* NULL: the device asks, by views; else it does not, and revoke() is not called. */
	const struct iommu_mirror_ops *mirror;
	enum iommu_mode mirrored; /* what the mirror was told last; guarded by turn */
	const struct iommu_range *reserved;
	unsigned int reserved_count;
	/*
	 * Mappings have gone: returns when the device neither holds nor uses any that has
	 * (iommu_is_gone()), and with all none whatsoever, nor GPAs where these were IOVAs. A
	 * worker's or a vCPU's thread, with turn.
	 */
	void (*revoke)(struct iommu_endpoint *endpoint, bool all);
	struct iommu_domain *domain; /* guarded by the IOMMU's lock; NULL: none */
	atomic_uint generation; /* changes with that */
};

/*
 * limit: how many mappings there can be, in all domains. Endpoints see GPAs until that is changed.
 * Errors: -ENOMEM, said.
 */
int iommu_create(struct iommu *iommu, unsigned int limit);
/* No endpoint is left. */
void iommu_destroy(struct iommu *iommu);

/* Makes a device with that number an endpoint; IOMMU_ENDPOINTS_MAX at most. */
void iommu_add(struct iommu *iommu, struct iommu_endpoint *endpoint, uint32_t id,
	       void (*revoke)(struct iommu_endpoint *endpoint, bool all));
/*
 * Of one that was just added, before there is a driver: what it sees, which is GPAs by now, is told
 * to ops from now on. Mappings become multiples of page, of the host's IOMMU; reserved: at most
 * IOMMU_RESERVED_MAX ranges, which last as long as the endpoint.
 */
void iommu_mirror(struct iommu_endpoint *endpoint, const struct iommu_mirror_ops *ops,
		  uint64_t page, const struct iommu_range *reserved, unsigned int reserved_count);
/* revoke() is not called any more. What translates by it may go on until its device has ended. */
void iommu_remove(struct iommu_endpoint *endpoint);

/* Requests, as virtio 1.3, 5.13.6 has them. Each waits for devices as told above. */

bool iommu_has(struct iommu *iommu, uint32_t endpoint);
/* How many ranges of an endpoint are reserved by its mirror, which are copied. */
unsigned int iommu_reserved(struct iommu *iommu, uint32_t endpoint,
			    struct iommu_range reserved[IOMMU_RESERVED_MAX]);
enum iommu_result iommu_attach(struct iommu *iommu, uint32_t endpoint, uint32_t domain,
			       bool bypass);
enum iommu_result iommu_detach(struct iommu *iommu, uint32_t endpoint, uint32_t domain);
/* From start to end, which is included; allows: IOMMU_READ, IOMMU_WRITE, both or none. */
enum iommu_result iommu_map(struct iommu *iommu, uint32_t domain, uint64_t start, uint64_t end,
			    uint64_t phys, uint32_t allows);
enum iommu_result iommu_unmap(struct iommu *iommu, uint32_t domain, uint64_t start, uint64_t end);
void iommu_set_bypass(struct iommu *iommu, bool bypass);
/* Detaches all endpoints, with which all domains go. */
void iommu_reset(struct iommu *iommu);

/* Records "iommu" and "iommu-mappings" of that index: while no request is under way. */
void iommu_save(struct iommu *iommu, struct state_writer *writer, uint64_t index);
void iommu_restore(struct iommu *iommu, struct state_reader *reader, uint64_t index);

/* Translation. */

#define IOMMU_CACHE 32

struct iommu_cached {
	struct iommu_mapping *mapping;
	uint64_t serial, start, end, phys;
	uint32_t allows;
};

/* What a thread of a device sees. Its user's, one thread at a time. Begins as zeroes. */
struct iommu_view {
	struct iommu_endpoint *endpoint;
	unsigned int generation; /* that of the endpoint, when the rest was looked up */
	bool known; /* the rest was */
	enum iommu_mode mode;
	struct iommu_cached cache[IOMMU_CACHE];
};

/*
 * The GPA of iova, for an access of that kind; *length becomes no more than what lies together from
 * there on, which is at least a byte of it. *held: who has to be given back, or NULL. False: it may
 * not be accessed, which was told (fault). No lock is taken where the view knows the mapping.
 */
bool iommu_translate(struct iommu_view *view, uint64_t iova, uint32_t access, uint64_t *gpa,
		     uint64_t *length, struct iommu_mapping **held);
static inline void iommu_release(struct iommu_mapping *held)
{
	if (held)
		atomic_fetch_sub(&held->users, 1);
}

static inline bool iommu_is_gone(const struct iommu_mapping *held)
{
	return atomic_load(&held->serial) == 0;
}

/* An endpoint's access went wrong for another reason: there is no memory. */
void iommu_report(const struct iommu_endpoint *endpoint, enum iommu_reason reason, uint64_t iova,
		  uint32_t access);

#endif
