// SPDX-License-Identifier: GPL-2.0-only
#include "children/retry.h"

#include "host/clock.h"

void retry_succeeded(struct retry *retry)
{
	retry->since = clock_ns();
}

uint64_t retry_pause(struct retry *retry)
{
	const bool lived = retry->since && clock_ns() - retry->since > retry->longest;

	if (lived || retry->pause == 0)
		retry->pause = retry->shortest;
	else if (retry->pause < retry->longest / 2)
		retry->pause *= 2;
	else
		retry->pause = retry->longest;
	retry->since = 0;
	return retry->pause;
}
