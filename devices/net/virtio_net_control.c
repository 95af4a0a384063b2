// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A command is two bytes, class and what of it, with data behind, and a byte
 * for the answer (virtio 1.3, 5.1.6.5). It is read whole and checked whole before anything changes.
 * Filters are kept here and handed to the link, which does what it can: to deliver more than the
 * driver wants is allowed. So VLANs are checked, and all of them arrive.
 */
#include <linux/virtio_net.h>
#include <string.h>

#include "host/iov.h"
#include "virtio_net_parts.h"

#define VLAN_IDS 4096

/* What is left of a command. */
struct command {
	const struct iovec *segments;
	unsigned int count;
	size_t at, size; /* bytes: taken, and there are */
};

static size_t left(const struct command *command)
{
	return command->size - command->at;
}

/* False: there are not so many bytes. */
static bool take(struct command *command, void *value, size_t bytes)
{
	if (left(command) < bytes)
		return false;
	command->at += iov_read(command->segments, command->count, command->at, value, bytes);
	return true;
}

/* A command whose data are one value, and nothing behind it. */
static bool take_last(struct command *command, void *value, size_t bytes)
{
	return left(command) == bytes && take(command, value, bytes);
}

static void add_first(struct link_filter *filter, uint64_t mac)
{
	filter->all_unicast |= filter->unicast_count == LINK_ADDRESSES_MAX;
	if (filter->unicast_count == LINK_ADDRESSES_MAX)
		filter->unicast_count = 0;
	memmove(filter->unicast + 1, filter->unicast, filter->unicast_count * LINK_ADDRESS);
	memcpy(filter->unicast, &mac, LINK_ADDRESS);
	filter->unicast_count++;
}

void virtio_net_control_apply(struct virtio_net *device)
{
	const struct net_settings *settings = &device->settings;
	struct link_filter filter = settings->filter;

	if (!device->link->ops->filter)
		return;
	filter.all_multicast |= settings->multicast_overflow;
	filter.all_unicast |= settings->unicast_overflow;
	if (settings->former_mac)
		add_first(&filter, settings->former_mac);
	add_first(&filter, atomic_load(&device->mac));
	device->link->ops->filter(device->link, &filter);
}

void virtio_net_control_reset(struct virtio_net *device)
{
	uint64_t mac = 0;

	memcpy(&mac, device->link->mac, LINK_ADDRESS);
	atomic_store(&device->mac, mac);
	device->settings = (struct net_settings){ .filter.promiscuous = true, .pairs = 1 };
}

/* VIRTIO_NET_CTRL_RX: the switch that a command is for, or NULL. */
static bool *rx_switch(struct virtio_net *device, uint8_t what)
{
	struct link_filter *filter = &device->settings.filter;

	if (what > VIRTIO_NET_CTRL_RX_ALLMULTI &&
	    !virtio_has(&device->virtio, VIRTIO_NET_F_CTRL_RX_EXTRA))
		return NULL;
	switch (what) {
	case VIRTIO_NET_CTRL_RX_PROMISC:
		return &filter->promiscuous;
	case VIRTIO_NET_CTRL_RX_ALLMULTI:
		return &filter->all_multicast;
	case VIRTIO_NET_CTRL_RX_ALLUNI:
		return &filter->all_unicast;
	case VIRTIO_NET_CTRL_RX_NOMULTI:
		return &filter->no_multicast;
	case VIRTIO_NET_CTRL_RX_NOUNI:
		return &filter->no_unicast;
	case VIRTIO_NET_CTRL_RX_NOBCAST:
		return &filter->no_broadcast;
	default:
		return NULL;
	}
}

static bool set_rx(struct virtio_net *device, uint8_t what, struct command *command)
{
	bool *const wanted = rx_switch(device, what);
	uint8_t on;

	if (!wanted || !take_last(command, &on, sizeof(on)))
		return false;
	*wanted = on != 0;
	virtio_net_control_apply(device);
	return true;
}

/* Of a list with more addresses than there is room for none is read. */
static bool take_addresses(struct command *command, uint8_t addresses[][LINK_ADDRESS],
			   unsigned int *count, bool *overflow)
{
	uint32_t entries;
	size_t bytes;

	if (!take(command, &entries, sizeof(entries)) || entries > left(command) / LINK_ADDRESS)
		return false;
	bytes = (size_t)entries * LINK_ADDRESS;
	*overflow = entries > LINK_ADDRESSES_MAX;
	*count = *overflow ? 0 : entries;
	if (!*overflow)
		return take(command, addresses, bytes);
	command->at += bytes;
	return true;
}

static bool set_addresses(struct virtio_net *device, struct command *command)
{
	struct net_settings new = device->settings;

	if (!take_addresses(command, new.filter.unicast, &new.filter.unicast_count,
			    &new.unicast_overflow) ||
	    !take_addresses(command, new.filter.multicast, &new.filter.multicast_count,
			    &new.multicast_overflow) ||
	    left(command) > 0)
		return false;
	device->settings = new;
	virtio_net_control_apply(device);
	return true;
}

static bool set_own_address(struct virtio_net *device, struct command *command)
{
	uint64_t mac = 0;

	if (!take_last(command, &mac, LINK_ADDRESS))
		return false;
	atomic_store(&device->mac, mac);
	device->settings.former_mac = 0;
	virtio_config_replaced(&device->virtio);
	virtio_net_control_apply(device);
	return true;
}

static bool set_mac(struct virtio_net *device, uint8_t what, struct command *command)
{
	switch (what) {
	case VIRTIO_NET_CTRL_MAC_TABLE_SET:
		return virtio_has(&device->virtio, VIRTIO_NET_F_CTRL_RX) &&
		       set_addresses(device, command);
	case VIRTIO_NET_CTRL_MAC_ADDR_SET:
		return virtio_has(&device->virtio, VIRTIO_NET_F_CTRL_MAC_ADDR) &&
		       set_own_address(device, command);
	default:
		return false;
	}
}

static bool set_vlan(uint8_t what, struct command *command)
{
	uint16_t id;

	return (what == VIRTIO_NET_CTRL_VLAN_ADD || what == VIRTIO_NET_CTRL_VLAN_DEL) &&
	       take_last(command, &id, sizeof(id)) && id < VLAN_IDS;
}

static bool set_pairs(struct virtio_net *device, uint8_t what, struct command *command)
{
	uint16_t pairs;

	if (what != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !take_last(command, &pairs, sizeof(pairs)) ||
	    pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || pairs > device->pair_count)
		return false;
	device->settings.pairs = pairs;
	device->link->ops->use_pairs(device->link, pairs);
	return true;
}

/* Whether a command was carried out. */
static bool obey(struct virtio_net *device, struct command *command)
{
	const struct virtio *virtio = &device->virtio;
	struct virtio_net_ctrl_hdr header;

	if (!take(command, &header, sizeof(header)))
		return false;
	switch (header.class) {
	case VIRTIO_NET_CTRL_RX:
		return virtio_has(virtio, VIRTIO_NET_F_CTRL_RX) &&
		       set_rx(device, header.cmd, command);
	case VIRTIO_NET_CTRL_MAC:
		return set_mac(device, header.cmd, command);
	case VIRTIO_NET_CTRL_VLAN:
		return virtio_has(virtio, VIRTIO_NET_F_CTRL_VLAN) && set_vlan(header.cmd, command);
	case VIRTIO_NET_CTRL_MQ:
		return virtio_has(virtio, VIRTIO_NET_F_MQ) &&
		       set_pairs(device, header.cmd, command);
	default:
		return false;
	}
}

static bool answer(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct command command = { chain->out, chain->out_count, 0, chain->out_bytes };
	uint8_t ack;

	if (chain->in_bytes < sizeof(ack)) {
		virtqueue_break(&queue->ring);
		return true;
	}
	ack = obey(virtio_net_of(queue->virtio), &command) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
	iov_write(chain->in, chain->in_count, 0, &ack, sizeof(ack));
	virtqueue_push(&queue->ring, chain->head, sizeof(ack));
	return true;
}

void virtio_net_control_process(struct virtio_queue *queue)
{
	virtio_serve(queue, answer);
	virtio_publish(queue);
}

/* Saving and restoring. */

struct net_state {
	uint8_t mac[LINK_ADDRESS];
	uint8_t given[LINK_ADDRESS]; /* what the driver found at first */
	uint8_t former[LINK_ADDRESS];
	uint16_t pairs;
	uint8_t promiscuous, all_multicast, all_unicast;
	uint8_t no_multicast, no_unicast, no_broadcast;
	uint8_t unicast_overflow, multicast_overflow;
	uint32_t unicast_count, multicast_count;
	uint8_t unicast[LINK_ADDRESSES_MAX][LINK_ADDRESS];
	uint8_t multicast[LINK_ADDRESSES_MAX][LINK_ADDRESS];
};

void virtio_net_control_save(struct virtio *virtio, struct state_writer *writer, uint64_t index)
{
	const struct virtio_net *device = virtio_net_of(virtio);
	const struct net_settings *settings = &device->settings;
	const struct link_filter *filter = &settings->filter;
	const uint64_t mac = atomic_load(&device->mac);
	struct net_state state = {
		.pairs = settings->pairs,
		.promiscuous = filter->promiscuous,
		.all_multicast = filter->all_multicast,
		.all_unicast = filter->all_unicast,
		.no_multicast = filter->no_multicast,
		.no_unicast = filter->no_unicast,
		.no_broadcast = filter->no_broadcast,
		.unicast_overflow = settings->unicast_overflow,
		.multicast_overflow = settings->multicast_overflow,
		.unicast_count = filter->unicast_count,
		.multicast_count = filter->multicast_count,
	};

	memcpy(state.mac, &mac, LINK_ADDRESS);
	memcpy(state.given, device->link->mac, LINK_ADDRESS);
	memcpy(state.former, &settings->former_mac, LINK_ADDRESS);
	memcpy(state.unicast, filter->unicast, sizeof(state.unicast));
	memcpy(state.multicast, filter->multicast, sizeof(state.multicast));
	state_put(writer, "virtio-net", index, &state, sizeof(state));
}

static uint64_t mac_of(const uint8_t *bytes)
{
	uint64_t mac = 0;

	memcpy(&mac, bytes, LINK_ADDRESS);
	return mac;
}

/*
 * Where the device is to have another address than it had, configuration shows that, and the driver
 * is told, who goes on with what he has read before: frames for that are his as well, until he
 * begins anew or sets an address.
 */
static void restore_mac(struct virtio_net *device, const struct net_state *state)
{
	struct link *link = device->link;

	if (link->keeps_mac)
		memcpy(link->mac, state->given, LINK_ADDRESS);
	device->settings.former_mac = mac_of(state->former);
	if (memcmp(link->mac, state->given, LINK_ADDRESS) == 0) {
		atomic_store(&device->mac, mac_of(state->mac));
		return;
	}
	if (device->settings.former_mac == 0)
		device->settings.former_mac = mac_of(state->mac);
	virtio_config_changed(&device->virtio);
}

void virtio_net_control_restore(struct virtio *virtio, struct state_reader *reader, uint64_t index)
{
	struct virtio_net *device = virtio_net_of(virtio);
	struct link_filter *filter = &device->settings.filter;
	struct net_state state;

	if (!state_get(reader, "virtio-net", index, &state, sizeof(state)))
		return;
	if (state.unicast_count > LINK_ADDRESSES_MAX ||
	    state.multicast_count > LINK_ADDRESSES_MAX || state.pairs < 1 ||
	    state.pairs > device->pair_count) {
		state_refuse(reader, "virtio-net", index, "has more than the device has");
		return;
	}
	restore_mac(device, &state);
	*filter = (struct link_filter){
		.promiscuous = state.promiscuous,
		.all_multicast = state.all_multicast,
		.all_unicast = state.all_unicast,
		.no_multicast = state.no_multicast,
		.no_unicast = state.no_unicast,
		.no_broadcast = state.no_broadcast,
		.unicast_count = state.unicast_count,
		.multicast_count = state.multicast_count,
	};
	memcpy(filter->unicast, state.unicast, sizeof(filter->unicast));
	memcpy(filter->multicast, state.multicast, sizeof(filter->multicast));
	device->settings.unicast_overflow = state.unicast_overflow;
	device->settings.multicast_overflow = state.multicast_overflow;
	device->settings.pairs = state.pairs;
	virtio_net_control_apply(device);
	if (device->link->ops->use_pairs)
		device->link->ops->use_pairs(device->link, state.pairs);
}
