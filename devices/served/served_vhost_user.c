// SPDX-License-Identifier: GPL-2.0-only
#include "served_vhost_user.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "host/clock.h"
#include "host/log.h"
#include "util.h"

#define FEATURE(bit) (UINT64_C(1) << (bit))

#define PAUSE_NS      UINT64_C(100000000) /* before it is tried again, the first time */
#define PAUSE_NS_MAX  UINT64_C(5000000000)
#define NS_PER_SECOND UINT64_C(1000000000)

static struct served_vhost_user *user_of(struct served *served)
{
	return container_of(served, struct served_vhost_user, served);
}

/* What is wanted of it. */

/* Of a kind that nobody knows: all of the other side's bits, and what the user has said. */
static struct served_kind unknown_kind(uint32_t device_id, const char *name, unsigned int queues,
				       uint32_t config_size)
{
	return (struct served_kind){
		.name = name,
		.device_id = device_id,
		.features = UINT64_MAX,
		.config_size = config_size,
		.queues = queues > 0 ? queues : 1,
	};
}

void served_vhost_user_wish(struct served_vhost_user *user, uint32_t device_id, unsigned int queues,
			    uint32_t config_size)
{
	const struct served_kind *found = served_kind_find(device_id);
	struct served_kind *const kind = &user->served.kind;
	struct vhost_user_wishes *const wishes = &user->wishes;

	*kind = found ? *found : unknown_kind(device_id, wishes->name, queues, config_size);
	wishes->rings = kind->queues - kind->idle;
	wishes->rings_max = VHOST_RINGS_MAX;
	/* Queues beyond those that a kind has to have are for drivers that are spread over vCPUs.
	 */
	if (queues > 0)
		wishes->rings_max = queues > wishes->rings ? queues : wishes->rings;
	else if (found)
		wishes->rings_max = wishes->rings;
	wishes->features = kind->features;
	wishes->config = kind->config_size > 0 && !user->tag;
	wishes->ring_size = kind->forgets ? 0 : VIRTQUEUE_SIZE_MAX;
}

/* What it says of the device. */

static void set_fs_config(struct served_vhost_user *user)
{
	struct virtio_fs_config *const config = (void *)user->served.config;

	if (user->tag)
		memcpy(config->tag, user->tag, strnlen(user->tag, sizeof(config->tag)));
	/* All but that of high priority. */
	config->num_request_queues = user->served.vhost->rings - 1;
}

static void set_block_config(struct served_vhost_user *user)
{
	struct virtio_blk_config *const config = (void *)user->served.config;

	config->num_queues = user->served.vhost->rings;
}

static int take_config(struct served_vhost_user *user)
{
	struct served *const served = &user->served;
	struct vhost *const vhost = served->vhost;
	int err = 0;

	memset(served->config, 0, sizeof(served->config));
	if (user->wishes.config)
		err = vhost->ops->config_get(vhost, served->config, served->config_size);
	if (err == 0 && served->kind.device_id == VIRTIO_ID_FS)
		set_fs_config(user);
	if (err == 0 && served->kind.device_id == VIRTIO_ID_BLOCK)
		set_block_config(user);
	return err;
}

/* Its end. */

static void set_state(struct served_vhost_user *user, enum served_state state)
{
	atomic_store(&user->served.state, state);
	user->served.changed(user->served.device);
}

static void give_up(struct served_vhost_user *user)
{
	/* One that was started and does not come to anything. */
	if (user->close)
		user->close(user);
	log_warning("%s: nobody serves the guest's device any more; its requests fail",
		    user->wishes.name);
	user->since = 0;
	set_state(user, SERVED_GONE);
}

/* Nobody waits for an answer of who is gone. Any thread. */
static void have_again(struct served_vhost_user *user)
{
	enum served_state gone = SERVED_GONE;

	if (user->patience > 0 &&
	    atomic_compare_exchange_strong(&user->served.state, &gone, SERVED_AWAY))
		event_timer_in(&user->timer, user->retry.pause);
}

/* In the main thread, while a device has it. */
static void vhost_ended(void *owner)
{
	struct served_vhost_user *user = owner;
	struct vhost *const vhost = user->served.vhost;

	/* Of one that ended in an earlier life everything is known. */
	if (atomic_load(&user->served.state) != SERVED_UP)
		return;
	user->ended(user);
	retry_pause(&user->retry);
	if (user->patience > 0 && !(user->unaccounted && atomic_load(&vhost->owes))) {
		user->since = clock_ns();
		set_state(user, SERVED_AWAY);
		event_timer_in(&user->timer, user->retry.pause);
		return;
	}
	give_up(user);
	/* A driver that has begun anew meanwhile may have found it still there. */
	if (!atomic_load(&vhost->owes))
		have_again(user);
}

static int connect_again(struct served_vhost_user *user)
{
	int err = user->connect(user, false);

	if (err >= 0)
		err = vhost_user_renew(user->served.vhost, err);
	return err < 0 ? err : take_config(user);
}

static void try_again(struct event_timer *timer)
{
	struct served_vhost_user *user = container_of(timer, struct served_vhost_user, timer);

	if (user->since == 0)
		user->since = clock_ns();
	if (connect_again(user) == 0) {
		retry_succeeded(&user->retry);
		log_info("%s is back", user->wishes.name);
		set_state(user, SERVED_UP);
		return;
	}
	if (clock_ns() - user->since > user->patience * NS_PER_SECOND) {
		give_up(user);
		return;
	}
	event_timer_in(&user->timer, retry_pause(&user->retry));
}

/* Lives of a guest. */

static int attach_rest(struct served_vhost_user *user, struct event_loop *main)
{
	struct vhost *const vhost = user->served.vhost;
	int err = vhost->ops->attach(vhost, main);

	if (err == 0 && user->attach) {
		user->main = main;
		err = user->attach(user);
		if (err < 0)
			vhost->ops->detach(vhost);
	}
	return err;
}

static int user_attach(struct served *served, struct event_loop *main)
{
	struct served_vhost_user *user = user_of(served);
	int err = event_timer_create(&user->timer, main, CLOCK_MONOTONIC, try_again);

	if (err < 0)
		return err;
	err = attach_rest(user, main);
	if (err < 0) {
		user->main = NULL;
		event_timer_destroy(&user->timer);
		return err;
	}
	user->main = main;
	/* On from where the last life has left it. */
	if (atomic_load(&served->state) == SERVED_AWAY)
		event_timer_in(&user->timer, user->retry.pause);
	return 0;
}

static void user_detach(struct served *served)
{
	struct served_vhost_user *user = user_of(served);

	if (user->detach)
		user->detach(user);
	served->vhost->ops->detach(served->vhost);
	event_timer_destroy(&user->timer);
	user->main = NULL;
}

static void user_begin(struct served *served)
{
	have_again(user_of(served));
}

static void user_close(struct served *served)
{
	struct served_vhost_user *user = user_of(served);

	served->vhost->ops->close(served->vhost);
	if (user->close)
		user->close(user);
	porter_withdraw(&user->service);
	free(user);
}

static const struct served_ops user_ops = {
	.attach = user_attach,
	.detach = user_detach,
	.begin = user_begin,
	.close = user_close,
};

/* Making one. */

static int settle(struct served_vhost_user *user)
{
	struct served *const served = &user->served;
	struct vhost *const vhost = served->vhost;

	served->ops = &user_ops;
	served->queues = vhost->rings + served->kind.idle;
	served->config_size = served->kind.config_size;
	vhost->ended = vhost_ended;
	vhost->owner = user;
	user->retry = (struct retry){ .shortest = PAUSE_NS, .longest = PAUSE_NS_MAX };
	retry_succeeded(&user->retry);
	if (served->kind.device_id == VIRTIO_ID_BLOCK && vhost->rings == 1)
		vhost->features &= ~FEATURE(VIRTIO_BLK_F_MQ);
	user->unaccounted = served->kind.any_order && !vhost->remembers;
	return take_config(user);
}

int served_vhost_user_open(struct served_vhost_user *user)
{
	struct vhost *vhost = NULL;
	int err;

	porter_offer(user->porter, &user->service);
	err = user->connect(user, true);
	if (err >= 0)
		err = vhost_user_open(&vhost, err, &user->wishes);
	if (err >= 0) {
		user->served.vhost = vhost;
		err = settle(user);
		if (err < 0)
			vhost->ops->close(vhost);
	}
	if (err < 0)
		porter_withdraw(&user->service);
	return err;
}
