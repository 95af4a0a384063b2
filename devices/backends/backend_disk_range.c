// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A disk that can be written in blocks only, which are larger than sectors,
 * has a list of what is being written, in the order in which it was asked for. A write of whole
 * blocks may go on beside others, as long as none of them has to keep the rest of a block that both
 * write to; one that does is alone there. Who conflicts with something ahead in the list waits, so
 * the first one never does, all get their turn, and nobody waits in a circle.
 */
#include "disk.h"

static bool conflict(const struct disk_claim *a, const struct disk_claim *b)
{
	return (a->alone || b->alone) && a->begin < b->end && b->begin < a->end;
}

/* The lock is held. */
static bool turn_has_come(const struct disk *disk, const struct disk_claim *claim)
{
	const struct disk_claim *ahead = disk->claims;

	while (ahead != claim && !conflict(ahead, claim))
		ahead = ahead->next;
	return ahead == claim;
}

void disk_range_claim(struct disk *disk, struct disk_claim *claim, uint64_t begin, uint64_t end)
{
	const uint64_t block = disk->offset_align;
	struct disk_claim **last = &disk->claims;

	claim->begin = begin - begin % block;
	claim->end = (end + block - 1) / block * block;
	claim->alone = claim->begin < begin || claim->end > end;
	claim->waits = false;
	claim->next = NULL;
	pthread_mutex_lock(&disk->claims_lock);
	while (*last)
		last = &(*last)->next;
	*last = claim;
	pthread_mutex_unlock(&disk->claims_lock);
}

bool disk_range_claimed(struct disk *disk, struct disk_claim *claim)
{
	bool mine;

	pthread_mutex_lock(&disk->claims_lock);
	mine = turn_has_come(disk, claim);
	claim->waits = !mine;
	pthread_mutex_unlock(&disk->claims_lock);
	return mine;
}

void disk_range_release(struct disk *disk, struct disk_claim *claim)
{
	struct disk_claim **link = &disk->claims;

	pthread_mutex_lock(&disk->claims_lock);
	while (*link != claim)
		link = &(*link)->next;
	*link = claim->next;
	for (struct disk_claim *behind = disk->claims; behind; behind = behind->next)
		if (behind->waits && conflict(claim, behind))
			behind->come(behind);
	pthread_mutex_unlock(&disk->claims_lock);
}
