// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any stream as a guest that moves here: its header and what the guest is, then frames, half of
 * them with a header that is ours, so that what is behind it is come to. What must hold: it is
 * refused, or RAM is within its bounds, the state has an end, and what the guest is there can be.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "config/config.h"
#include "fuzz.h"
#include "memmap.h"
#include "migration/migration_receive.h"
#include "state/state.h"
#include "util.h"

#define RAM MIB(1)

static struct memory memory;
static struct migration_receiver receiver;

static void give(int fd, const void *bytes, size_t size)
{
	MUST(send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
}

static void look(void)
{
	struct state_reader reader;
	struct config config = { 0 };

	state_reader_create(&reader, receiver.guest, receiver.guest_size);
	state_seek(&reader, "guest");
	config_restore_guest(&config, &reader);
	if (reader.err < 0)
		return;
	MUST(config.cpus > 0 && config.cpus <= CONFIG_CPUS_MAX);
	MUST(config.mem_size > 0 && config.mem_size <= RAM_SIZE_MAX);
}

static void take_all(void)
{
	int more = migration_receive_into(&receiver, &memory);

	if (more == 0)
		do
			more = migration_receive_some(&receiver);
		while (more > 0);
	MUST(receiver.state_size <= STATE_MAX(memory.size));
	MUST(receiver.state_size <= receiver.state_room);
	if (more < 0)
		return;
	MUST(receiver.state_size > 0 && receiver.state_size % 8 == 0);
	migration_receive_ready(&receiver);
	migration_receive_some(&receiver);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct migration_header usual = {
		.magic = MIGRATION_MAGIC,
		.version = MIGRATION_VERSION,
		.ram_gpa = RAM_BASE,
		.ram_size = RAM,
	};
	static const struct {
		struct migration_frame frame;
		struct state_record record;
		uint64_t bytes;
	} guest = {
		{ MIGRATION_GUEST, sizeof(struct state_record) + 8, 0 },
		{ .name = "guest", .size = 8 },
		0,
	};
	int ends[2];

	if (size < 1 || size > KIB(64))
		return 0;
	if (!memory.host)
		MUST(memory_create(&memory, RAM_BASE, RAM, MEMORY_ANON, NULL) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	if (data[0] & 1)
		give(ends[0], &usual, sizeof(usual));
	if ((data[0] & 3) == 3)
		give(ends[0], &guest, sizeof(guest));
	give(ends[0], data + 1, size - 1);
	shutdown(ends[0], SHUT_WR);
	if (migration_receive_begin(&receiver, ends[1], "fuzz") == 0) {
		look();
		take_all();
	}
	migration_receive_end(&receiver);
	close(ends[0]);
	close(ends[1]);
	return 0;
}
