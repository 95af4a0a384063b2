// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. nidus is the front end of the vhost-user protocol, another process the back
 * end. All messages are nidus's, some of which are answered (vhost_user_message.h).
 *
 * Nothing is negotiated that is not used: some back ends end themselves at a request that they do
 * not know, others offer what they do not have. With F_PROTOCOL_FEATURES rings start disabled.
 *
 * A back end may keep account of the requests that it works on in a file of its own (INFLIGHT),
 * which nidus holds for the next one and never looks into. It belongs to the rings from their start
 * to the moment when all have come to rest in good order.
 */
#include "vhost_user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/file.h"
#include "host/log.h"
#include "mm/memory.h"
#include "util.h"
#include "vhost_user_message.h"

/* A back end at work answers within milliseconds; this is for hosts that have too much to do. */
#define TIMEOUT_MS 5000

#define NO_FILE VHOST_USER_NO_FILE

#define FEATURE(bit)	    (UINT64_C(1) << (bit))
#define F_VERSION_1	    FEATURE(VIRTIO_F_VERSION_1)
#define F_PROTOCOL_FEATURES FEATURE(30)
#define PROTOCOL_MQ	    FEATURE(0)
#define PROTOCOL_REPLY_ACK  FEATURE(3)
#define PROTOCOL_CONFIG	    FEATURE(9)
#define PROTOCOL_INFLIGHT   FEATURE(12)

/* An account has some 16 bytes for each entry of a ring: more than this is none. */
#define INFLIGHT_SIZE_MAX MIB(1)

struct inflight {
	uint64_t size, offset;
	uint16_t queues, ring_size;
};

#define INFLIGHT_BYTES 20 /* of the struct, as it is sent */

struct vhost_user {
	struct vhost_kind kind;
	struct event_source end; /* the socket; in the loop while it is attached */
	struct event_loop *loop; /* NULL: it is not */
	struct vhost_user_wishes wishes;
	struct vhost_user_channel channel;
	bool enables; /* rings start disabled */
	uint64_t protocol_features; /* negotiated */
	unsigned int running; /* rings */
	struct inflight inflight;
	int inflight_fd; /* or NO_FILE */
};

static struct vhost_user *user_of(struct vhost *vhost)
{
	return container_of(vhost, struct vhost_user, kind.vhost);
}

/* The beginning of a call. */
static int begin_call(struct vhost_user *user)
{
	return vhost_user_begin(&user->channel);
}

static int tell(struct vhost_user *user, enum vhost_user_request request, const void *payload,
		uint32_t size, int fd)
{
	return vhost_user_tell(&user->channel, request, payload, size, fd);
}

static int tell_number(struct vhost_user *user, enum vhost_user_request request, uint64_t number)
{
	return tell(user, request, &number, sizeof(number), NO_FILE);
}

/* What has no argument has no payload. */
static int ask_number(struct vhost_user *user, enum vhost_user_request request, uint64_t *number)
{
	return vhost_user_ask(&user->channel, request, number, 0, sizeof(*number), NULL);
}

static int lose(struct vhost_user *user, int err, enum vhost_user_request request, const char *what)
{
	return vhost_user_lose(&user->channel, err, request, what);
}

/* Requests in flight. */

static void inflight_drop(struct vhost_user *user)
{
	if (user->inflight_fd != NO_FILE)
		close(user->inflight_fd);
	user->inflight_fd = NO_FILE;
}

static bool inflight_is_sound(const struct inflight *inflight, int fd)
{
	struct stat st;

	return inflight->size > 0 && inflight->size <= INFLIGHT_SIZE_MAX &&
	       inflight->offset <= INFLIGHT_SIZE_MAX && file_stat(fd, &st) == 0 &&
	       S_ISREG(st.st_mode) && inflight->size + inflight->offset <= (uint64_t)st.st_size;
}

static int inflight_create(struct vhost_user *user)
{
	struct inflight *const inflight = &user->inflight;
	int err;

	*inflight = (struct inflight){ .queues = user->kind.vhost.rings,
				       .ring_size = user->wishes.ring_size };
	err = vhost_user_ask(&user->channel, VHOST_USER_GET_INFLIGHT_FD, inflight, INFLIGHT_BYTES,
			     INFLIGHT_BYTES, &user->inflight_fd);
	if (err < 0 || inflight_is_sound(inflight, user->inflight_fd))
		return err;
	inflight_drop(user);
	return lose(user, -EPROTO, VHOST_USER_GET_INFLIGHT_FD, "answers wrongly");
}

/* A new account, or that of who was lost. */
static int inflight_begin(struct vhost_user *user)
{
	int err = 0;

	if (!user->kind.vhost.remembers)
		return 0;
	if (user->inflight_fd == NO_FILE)
		err = inflight_create(user);
	if (err < 0)
		return err;
	/* As many as were asked for: a back end may have said fewer. */
	user->inflight.queues = user->kind.vhost.rings;
	user->inflight.ring_size = user->wishes.ring_size;
	return tell(user, VHOST_USER_SET_INFLIGHT_FD, &user->inflight, INFLIGHT_BYTES,
		    user->inflight_fd);
}

static void user_forget(struct vhost *vhost)
{
	inflight_drop(user_of(vhost));
	atomic_store(&vhost->owes, false);
}

/* What a vhost does. */

static int user_begin(struct vhost *vhost, uint64_t features, const struct memory *memory)
{
	struct vhost_user *user = user_of(vhost);
	const struct vhost_table table = vhost_table(memory);
	int err = begin_call(user);

	if (err == 0)
		err = tell_number(user, VHOST_USER_SET_FEATURES,
				  features | (user->enables ? F_PROTOCOL_FEATURES : 0));
	if (err == 0)
		err = inflight_begin(user);
	if (err == 0)
		err = tell(user, VHOST_USER_SET_MEM_TABLE, &table, sizeof(table), memory->fd);
	return err;
}

static int tell_setting(struct vhost_user *user, enum vhost_what what,
			const union vhost_setting *setting)
{
	switch (what) {
	case VHOST_NUM:
		return tell(user, VHOST_USER_SET_VRING_NUM, &setting->state, sizeof(setting->state),
			    NO_FILE);
	case VHOST_ADDR:
		return tell(user, VHOST_USER_SET_VRING_ADDR, &setting->addr, sizeof(setting->addr),
			    NO_FILE);
	case VHOST_BASE:
		return tell(user, VHOST_USER_SET_VRING_BASE, &setting->state,
			    sizeof(setting->state), NO_FILE);
	default: {
		const uint64_t index = setting->file.index;

		return tell(user,
			    what == VHOST_CALL ? VHOST_USER_SET_VRING_CALL
					       : VHOST_USER_SET_VRING_KICK,
			    &index, sizeof(index), setting->file.fd);
	}
	}
}

static int enable(struct vhost_user *user, unsigned int index, bool on)
{
	const struct vhost_vring_state state = { index, on };

	if (!user->enables)
		return 0;
	return tell(user, VHOST_USER_SET_VRING_ENABLE, &state, sizeof(state), NO_FILE);
}

static int user_start(struct vhost *vhost, unsigned int index, const struct vhost_ring *ring)
{
	struct vhost_user *user = user_of(vhost);
	union vhost_setting settings[VHOST_SETTINGS];
	int err = begin_call(user);

	vhost_settings(settings, index, ring);
	/* Of one that is lost already nothing can be begun. */
	if (err == 0)
		atomic_store(&vhost->owes, true);
	for (unsigned int i = 0; i < VHOST_SETTINGS && err == 0; i++)
		err = tell_setting(user, i, &settings[i]);
	if (err == 0)
		err = enable(user, index, true);
	if (err == 0)
		user->running++;
	return err;
}

static int user_stop(struct vhost *vhost, unsigned int index, uint16_t *base)
{
	struct vhost_user *user = user_of(vhost);
	struct vhost_vring_state state = { .index = index };
	int err = begin_call(user);

	if (err == 0)
		err = enable(user, index, false);
	/* Answered when the ring has come to rest. */
	if (err == 0)
		err = vhost_user_ask(&user->channel, VHOST_USER_GET_VRING_BASE, &state,
				     sizeof(state), sizeof(state), NULL);
	if (err == 0 && (state.index != index || state.num > UINT16_MAX))
		err = lose(user, -EPROTO, VHOST_USER_GET_VRING_BASE, "answers wrongly");
	*base = state.num;
	user->running--;
	if (err == 0 && user->running == 0)
		user_forget(vhost);
	return err;
}

static int user_config_get(struct vhost *vhost, void *config, uint32_t size)
{
	struct vhost_user *user = user_of(vhost);
	struct vhost_user_config message = { .size = size };
	const uint32_t bytes = offsetof(struct vhost_user_config, bytes) + size;
	int err = begin_call(user);

	if (err == 0)
		err = vhost_user_ask(&user->channel, VHOST_USER_GET_CONFIG, &message, bytes, bytes,
				     NULL);
	if (err == 0 && (message.offset != 0 || message.size != size))
		err = lose(user, -EPROTO, VHOST_USER_GET_CONFIG, "answers wrongly");
	if (err == 0)
		memcpy(config, message.bytes, size);
	return err;
}

static int user_config_set(struct vhost *vhost, uint32_t offset, const void *value, uint32_t size)
{
	struct vhost_user *user = user_of(vhost);
	struct vhost_user_config message = { .offset = offset, .size = size };
	int err = begin_call(user);

	memcpy(message.bytes, value, size);
	return err < 0 ? err
		       : tell(user, VHOST_USER_SET_CONFIG, &message,
			      offsetof(struct vhost_user_config, bytes) + size, NO_FILE);
}

/* The loop's thread. It is never readable for what is not asked for, and never asked for here. */
static void socket_ended(struct event_source *source, uint32_t events)
{
	struct vhost_user *user = container_of(source, struct vhost_user, end);

	(void)events;
	event_remove(user->loop, source);
	vhost_end(&user->kind);
}

static int user_attach(struct vhost *vhost, struct event_loop *loop)
{
	struct vhost_user *user = user_of(vhost);
	int err = vhost_attach(&user->kind, loop);

	if (err < 0)
		return err;
	user->loop = loop;
	err = event_add(loop, &user->end, EPOLLRDHUP);
	if (err < 0) {
		log_error("%s: %s", user->kind.name, log_reason(-err));
		vhost_detach(&user->kind);
	}
	return err;
}

static void user_detach(struct vhost *vhost)
{
	struct vhost_user *user = user_of(vhost);

	event_remove(user->loop, &user->end);
	vhost_detach(&user->kind);
}

static void user_close(struct vhost *vhost)
{
	inflight_drop(user_of(vhost));
	close(user_of(vhost)->end.fd);
	free(user_of(vhost));
}

static const struct vhost_ops user_ops = {
	.name = "vhost-user",
	.begin = user_begin,
	.start = user_start,
	.stop = user_stop,
	.forget = user_forget,
	.config_get = user_config_get,
	.config_set = user_config_set,
	.attach = user_attach,
	.detach = user_detach,
	.close = user_close,
};

/* Making one. */

static int negotiate_protocol(struct vhost_user *user)
{
	const struct vhost_user_wishes *wishes = &user->wishes;
	uint64_t features = 0, wanted = PROTOCOL_MQ | PROTOCOL_REPLY_ACK;
	int err = ask_number(user, VHOST_USER_GET_PROTOCOL_FEATURES, &features);

	if (wishes->config)
		wanted |= PROTOCOL_CONFIG;
	if (wishes->ring_size > 0)
		wanted |= PROTOCOL_INFLIGHT;
	features &= wanted;
	if (err == 0)
		err = tell_number(user, VHOST_USER_SET_PROTOCOL_FEATURES, features);
	user->protocol_features = features;
	user->channel.acks = features & PROTOCOL_REPLY_ACK;
	return err;
}

/* How many rings the device is to have. */
static int settle_rings(struct vhost_user *user)
{
	const struct vhost_user_wishes *wishes = &user->wishes;
	uint64_t count = wishes->rings;
	int err = 0;

	if (user->protocol_features & PROTOCOL_MQ) {
		err = ask_number(user, VHOST_USER_GET_QUEUE_NUM, &count);
		if (wishes->pairs && count <= VHOST_RINGS_MAX)
			count *= 2;
	}
	if (err == 0 && count < wishes->rings)
		err = lose(user, -EPROTO, VHOST_USER_GET_QUEUE_NUM, "too few queues");
	user->kind.vhost.rings = count < wishes->rings_max ? count : wishes->rings_max;
	return err;
}

static int negotiate(struct vhost_user *user)
{
	uint64_t features = 0;
	int err = begin_call(user);

	if (err == 0)
		err = ask_number(user, VHOST_USER_GET_FEATURES, &features);
	if (err == 0 && !(features & F_VERSION_1))
		err = lose(user, -EPROTO, VHOST_USER_GET_FEATURES, "does not offer virtio 1");
	user->enables = features & F_PROTOCOL_FEATURES;
	user->kind.vhost.features = vhost_offer(features, user->wishes.features);
	if (err == 0 && user->enables)
		err = negotiate_protocol(user);
	if (err == 0 && user->wishes.config && !(user->protocol_features & PROTOCOL_CONFIG))
		err = lose(user, -EPROTO, VHOST_USER_GET_PROTOCOL_FEATURES,
			   "does not tell the device's configuration");
	user->kind.vhost.remembers = user->protocol_features & PROTOCOL_INFLIGHT;
	if (err == 0)
		err = settle_rings(user);
	return err < 0 ? err : tell(user, VHOST_USER_SET_OWNER, NULL, 0, NO_FILE);
}

int vhost_user_open_within(struct vhost **opened, int socket,
			   const struct vhost_user_wishes *wishes, unsigned int milliseconds)
{
	struct vhost_user *user = calloc(1, sizeof(*user));
	int err;

	if (!user) {
		log_error("%s: %s", wishes->name, strerror(ENOMEM));
		close(socket);
		return -ENOMEM;
	}
	user->kind.name = wishes->name;
	user->kind.vhost.ops = &user_ops;
	user->kind.vhost.shares_memory = true;
	user->end = (struct event_source){ .fd = socket, .ready = socket_ended };
	user->wishes = *wishes;
	user->channel = (struct vhost_user_channel){ .kind = &user->kind,
						     .fd = socket,
						     .timeout = milliseconds };
	user->inflight_fd = NO_FILE;
	if (wishes->start > 0)
		user->channel.timeout = wishes->start;
	err = negotiate(user);
	user->channel.timeout = milliseconds;
	if (err < 0)
		user_close(&user->kind.vhost);
	else
		*opened = &user->kind.vhost;
	return err;
}

/* What drivers and the device have been told of the first one. */
struct promise {
	uint64_t features;
	unsigned int rings;
	bool remembers;
};

/* Whether a driver that has settled with the first one can go on with this. */
static int check_promise(struct vhost_user *user, const struct promise *promise)
{
	const struct vhost *vhost = &user->kind.vhost;

	if ((vhost->features & promise->features) == promise->features &&
	    vhost->rings >= promise->rings && vhost->remembers >= promise->remembers)
		return 0;
	return lose(user, -EPROTO, VHOST_USER_GET_FEATURES, "does not offer what it did");
}

static int watch_socket(struct vhost_user *user)
{
	int err = user->kind.attached ? event_add(user->loop, &user->end, EPOLLRDHUP) : 0;

	return err < 0 ? vhost_lose(&user->kind, err, "%s", log_reason(-err)) : 0;
}

int vhost_user_renew(struct vhost *vhost, int socket)
{
	struct vhost_user *user = user_of(vhost);
	const struct promise promise = { vhost->features, vhost->rings, vhost->remembers };
	int err;

	if (user->kind.attached)
		event_remove(user->loop, &user->end);
	close(user->end.fd);
	user->end.fd = user->channel.fd = socket;
	user->channel.acks = false;
	user->protocol_features = 0;
	user->running = 0;
	atomic_store(&vhost->lost, false);
	err = negotiate(user);
	if (err == 0)
		err = check_promise(user, &promise);
	if (err == 0)
		err = watch_socket(user);
	vhost->features = promise.features;
	vhost->rings = promise.rings;
	vhost->remembers = promise.remembers;
	return err;
}

int vhost_user_open(struct vhost **opened, int socket, const struct vhost_user_wishes *wishes)
{
	return vhost_user_open_within(opened, socket, wishes, TIMEOUT_MS);
}
