// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "arm/sysreg.h"
#include "inspect/inspect.h"
#include "mm/cache.h"
#include "util.h"

/* Memory is copied by no more than this, so that what is missing is missed by the page. */
#define STEP KIB(4)

/* Reads the registers of that regime, if they are not what was read last. */
static bool use(struct inspect *inspect, enum inspect_regime wanted)
{
	struct regime *regime = &inspect->regime;
	int err;

	if (inspect->cached == wanted)
		return true;
	inspect->cached = INSPECT_REGIMES;
	switch (wanted) {
	case INSPECT_NOW:
		err = regime_read(regime, inspect->vcpu_fd);
		break;
	case INSPECT_EL2:
		err = regime_read_other(regime, inspect->vcpu_fd, true, false);
		break;
	case INSPECT_EL1:
		err = regime_read_other(regime, inspect->vcpu_fd, false, false);
		break;
	default:
		if (!inspect->el2)
			return false;
		err = regime_read_other(regime, inspect->vcpu_fd, false, true);
	}
	if (err < 0)
		return false;
	/* With the rights of who may see both EL0's memory and that above it. */
	regime->pstate &= ~(PSTATE_PAN | PSTATE_UAO);
	if (field_get(PSTATE_EL, regime->pstate) == 0)
		regime->pstate =
			field_set(PSTATE_EL, regime->pstate, regime->kind == REGIME_EL10 ? 1 : 2);
	if (wanted == INSPECT_STAGE2)
		regime->sctlr &= ~SCTLR_M;
	inspect->cached = wanted;
	return true;
}

/* Memory that may only be executed, or only by EL0, is there all the same. */
static enum translate_result look(const struct inspect *inspect, uint64_t va,
				  struct translation *translation)
{
	static const struct {
		enum translate_access access;
		bool unprivileged;
	} ways[] = {
		{ TRANSLATE_READ, false },
		{ TRANSLATE_EXECUTE, false },
		{ TRANSLATE_READ, true },
		{ TRANSLATE_EXECUTE, true },
	};
	enum translate_result result = TRANSLATE_AGAIN;

	for (unsigned int i = 0; i < ARRAY_SIZE(ways) && result == TRANSLATE_AGAIN; i++)
		result = translate(&inspect->regime, inspect->memory, va, ways[i].access,
				   ways[i].unprivileged, translation);
	return result;
}

enum translate_result inspect_translate(struct inspect *inspect, enum inspect_regime regime,
					uint64_t address, struct translation *translation)
{
	if (regime == INSPECT_PHYSICAL) {
		*translation = (struct translation){ .gpa = address, .size = UINT64_MAX - address };
		return TRANSLATE_DONE;
	}
	return use(inspect, regime) ? look(inspect, address, translation) : TRANSLATE_FAIL;
}

/* The RAM at an address, and how much of it lies together; NULL: there is none. */
static void *ram_at(struct inspect *inspect, enum inspect_regime regime, uint64_t address,
		    uint64_t *size)
{
	struct translation translation;

	if (inspect_translate(inspect, regime, address, &translation) != TRANSLATE_DONE)
		return NULL;
	if (*size > STEP - translation.gpa % STEP)
		*size = STEP - translation.gpa % STEP;
	if (*size > translation.size)
		*size = translation.size;
	return memory_at(inspect->memory, translation.gpa, *size);
}

size_t inspect_read(struct inspect *inspect, enum inspect_regime regime, uint64_t address,
		    void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		uint64_t step = size - done;
		const void *host = ram_at(inspect, regime, address + done, &step);

		if (!host)
			break;
		memcpy((char *)data + done, host, step);
		done += step;
	}
	return done;
}

/*
 * A guest whose caches are off reads what has reached the Point of Coherency; one whose caches are
 * on may have the old instructions in them.
 */
static void write_host(const struct memory *memory, void *host, const void *data, size_t size)
{
	memcpy(host, data, size);
	cache_clean_bytes(host, size);
	cache_sync();
	__builtin___clear_cache((char *)host, (char *)host + size);
	memory_wrote(memory, host, size);
}

size_t inspect_write(struct inspect *inspect, enum inspect_regime regime, uint64_t address,
		     const void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		uint64_t step = size - done;
		void *host = ram_at(inspect, regime, address + done, &step);

		if (!host)
			break;
		write_host(inspect->memory, host, (const char *)data + done, step);
		done += step;
	}
	return done;
}

bool inspect_write_physical(const struct memory *memory, uint64_t gpa, const void *data,
			    size_t size)
{
	void *host = memory_at(memory, gpa, size);

	if (host && size > 0)
		write_host(memory, host, data, size);
	return host;
}
