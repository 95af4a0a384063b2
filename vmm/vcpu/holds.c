// SPDX-License-Identifier: GPL-2.0-only
#include "vcpu/holds.h"

#include <stddef.h>

#include "util.h"
#include "vcpu/vcpu.h"

static bool all_rest(const struct holds *holds)
{
	for (unsigned int i = 0; holds->env && i < holds->env->count; i++)
		if (!vcpu_rests(&holds->env->vcpus[i]))
			return false;
	return true;
}

/* The first that is not told yet. */
static struct hold *untold(const struct holds *holds)
{
	struct hold *hold = holds->first;

	while (hold && hold->told)
		hold = hold->next;
	return hold;
}

/* Who is told may begin and end holds, hence from the beginning each time. */
static void all_may_rest(struct event_notifier *notifier)
{
	struct holds *holds = container_of(notifier, struct holds, rested);
	struct hold *hold;

	while (all_rest(holds) && (hold = untold(holds))) {
		hold->told = true;
		hold->held(hold);
	}
}

void holds_create(struct holds *holds, struct event_loop *loop)
{
	*holds = (struct holds){ .loop = loop };
}

void holds_destroy(struct holds *holds)
{
	if (holds->notifies)
		event_notifier_destroy(&holds->rested);
	holds->notifies = false;
}

void holds_attach(struct holds *holds, struct vcpu_env *env)
{
	holds->env = env;
	if (env)
		env->holds = holds;
}

int holds_prepare(struct holds *holds)
{
	int err = 0;

	if (!holds->notifies)
		err = event_notifier_create(&holds->rested, holds->loop, all_may_rest);
	holds->notifies = err == 0;
	return err;
}

int hold_begin(struct holds *holds, struct hold *hold)
{
	const int err = holds_prepare(holds);

	if (err < 0)
		return err;
	hold->told = false;
	hold->next = holds->first;
	holds->first = hold;
	if (atomic_fetch_add(&holds->count, 1) == 0)
		for (unsigned int i = 0; holds->env && i < holds->env->count; i++)
			vcpu_look_up(&holds->env->vcpus[i]);
	/* They may rest already, or there may be none. */
	event_notify(&holds->rested);
	return 0;
}

void hold_end(struct holds *holds, struct hold *hold)
{
	struct hold **link = &holds->first;

	while (*link != hold)
		link = &(*link)->next;
	*link = hold->next;
	if (atomic_fetch_sub(&holds->count, 1) == 1)
		for (unsigned int i = 0; holds->env && i < holds->env->count; i++)
			vcpu_look_up(&holds->env->vcpus[i]);
}

void holds_rested(struct holds *holds)
{
	event_notify(&holds->rested);
}
