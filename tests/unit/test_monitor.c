// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a session's monitor does with requests, of a machine whose vCPUs come to rest when the test
 * says so, and what it tells a service manager.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "balloon/balloon.h"
#include "cpu/ticks.h"
#include "debugger/debugger.h"
#include "inspect/inspect.h"
#include "machine/stats.h"
#include "monitor/monitor.h"
#include "unit.h"
#include "util.h"

static char directory[128], path[200], pidfile[200];
static struct config config;
static struct session session;
static struct monitor monitor;
static struct vcpu vcpus[2];

/* In place of vmm/vcpu/vcpu.c, vmm/machine/stats.c, arm/cpu/ticks.c, vmm/host/kvm.c. */

static bool rests;
static unsigned int looked_up;
static uint64_t ticks, set_to, offset;
static int fails;

void vcpu_look_up(struct vcpu *vcpu)
{
	looked_up++;
}

bool vcpu_rests(struct vcpu *vcpu)
{
	return rests;
}

json_t *stats_collect(const struct machine *machine, unsigned int resets)
{
	return json_pack("{si}", "resets", resets);
}

void stats_add_mmio(json_t *stats, const struct machine *machine)
{
	json_object_set_new(stats, "more", json_true());
}

json_t *stats_balloon(const struct machine *machine)
{
	return json_pack("{sb}", "balloon", machine->balloon != NULL);
}

/* In place of devices/balloon/. */

static uint64_t balloon_target;
static unsigned int balloon_asked;

void balloon_set_target(struct virtio *virtio, uint64_t bytes)
{
	assert_non_null(virtio);
	balloon_target = bytes;
}

void balloon_ask(struct virtio *virtio)
{
	assert_non_null(virtio);
	balloon_asked++;
}

int ticks_read(int vcpu_fd, uint64_t *value)
{
	assert_int_equal(vcpu_fd, 70);
	*value = ticks;
	return fails;
}

int ticks_set(int vcpu_fd, uint64_t value)
{
	assert_int_equal(vcpu_fd, 70);
	set_to = value;
	return fails;
}

/* In place of vmm/machine/machine_state.c. */

static const char *unsaved;
static unsigned int resting;

const char *machine_unsaved(const struct machine *machine)
{
	return unsaved;
}

static const char *unlogged;

const char *machine_unlogged(const struct machine *machine)
{
	return unlogged;
}

void machine_rest(struct machine *machine, bool rest)
{
	resting = rest;
}

void machine_save(struct machine *machine, struct state_writer *writer, int pagemap_fd)
{
	assert_true(resting);
	state_put(writer, "guest", 0, "all of it", 9);
}

void machine_save_config(const struct machine *machine, struct state_writer *writer)
{
	state_put(writer, "guest", 0, "what it is", 10);
}

/* In place of vmm/machine/resources.c. */

static int lock_fails;
static bool locked = true;

int resources_lock(const struct resources *resources)
{
	locked = lock_fails == 0;
	return lock_fails;
}

void resources_unlock(const struct resources *resources)
{
	locked = false;
}

/* In place of mm/dirty.c: what is told to it is taken next. */

static uint64_t dirty_at; /* offset in RAM of the one page that was written to; 0: none */
static uint64_t returned; /* bytes */
static unsigned int takes;

int dirty_log_begin(struct dirty_log *log, int vm_fd, struct memory *memory, bool shadowed)
{
	assert_true(resting);
	assert_int_equal(shadowed, config.nested);
	assert_int_equal(vm_fd, 60);
	log->memory = memory;
	return page_map_create(&log->taken, SNAPSHOT_PAGE, memory->size);
}

void dirty_log_end(struct dirty_log *log)
{
	if (!log->memory)
		return;
	assert_true(resting);
	page_map_destroy(&log->taken);
	log->memory = NULL;
}

int dirty_log_take(struct dirty_log *log)
{
	assert_true(resting || !config.nested);
	takes++;
	page_map_destroy(&log->taken);
	assert_int_equal(page_map_create(&log->taken, SNAPSHOT_PAGE, log->memory->size), 0);
	if (dirty_at > 0)
		page_map_add(&log->taken, dirty_at, 1);
	dirty_at = 0;
	return 0;
}

int dirty_log_take_last(struct dirty_log *log)
{
	assert_true(resting);
	return dirty_log_take(log);
}

void dirty_log_return(struct dirty_log *log, const struct page_map *other)
{
	assert_true(resting);
	returned += page_map_bytes(&log->taken) + page_map_bytes(other);
}

int kvm_set_counter_offset(int vm_fd, uint64_t value)
{
	assert_int_equal(vm_fd, 60);
	offset = value;
	return fails;
}

/* In place of vmm/inspect/ and arm/cpu/gic_pending.c: a vCPU with an EL2 and some registers. */

int inspect_begin(struct inspect *inspect, const struct vcpu *vcpu)
{
	*inspect = (struct inspect){ .vcpu_fd = vcpu->fd };
	return fails;
}

void inspect_where(const struct inspect *inspect, struct inspect_where *where)
{
	*where = (struct inspect_where){
		.el = 1, .role = INSPECT_INSIDE, .level = 2, .vmid = 9, .virtual_el2 = true
	};
}

const char *inspect_role_name(enum inspect_role role)
{
	return "role";
}

int inspect_core(const struct inspect *inspect, unsigned int n, uint64_t *value)
{
	*value = n;
	return n == 1 || n == INSPECT_PC ? 0 : -ENOENT;
}

unsigned int inspect_system_count(void)
{
	return 2;
}

const char *inspect_system_name(unsigned int i)
{
	return i == 0 ? "NONE_EL1" : "SOME_EL2";
}

int inspect_system(const struct inspect *inspect, unsigned int i, uint64_t *value)
{
	*value = 0xee;
	return i == 0 ? -ENOENT : 0;
}

unsigned int inspect_backtrace(struct inspect *inspect, uint64_t *pc, unsigned int max)
{
	pc[0] = 0xab;
	pc[1] = 0xcd;
	return 2;
}

int gic_pending(const struct gic *gic, unsigned int index, uint64_t mpidr, uint64_t *pending,
		uint64_t *enabled)
{
	*pending = 0x88000000;
	*enabled = 0x08000000;
	return fails;
}

int cpu_get_mpidr(int vcpu_fd, uint64_t *mpidr)
{
	*mpidr = 0x80000000;
	return 0;
}

int kvm_get_mp_state(int vcpu_fd)
{
	return vcpu_fd == 70 ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_STOPPED;
}

/* In place of vmm/debugger/. */

static struct debugger *debugger;
static int attached;
static bool has_client;

int debugger_create(struct debugger **created, struct session *of)
{
	assert_ptr_equal(of, &session);
	assert_null(*created);
	if (fails < 0)
		return fails;
	*created = (struct debugger *)&session;
	return 0;
}

bool debugger_has_client(const struct debugger *of)
{
	return of && has_client;
}

void debugger_attach(struct debugger *of, int fd)
{
	assert_ptr_equal(of, debugger);
	attached = fd;
}

static int begin(void **state)
{
	debugger = NULL;
	attached = -1;
	has_client = false;
	snprintf(directory, sizeof(directory), "%s", scratch_begin());
	snprintf(path, sizeof(path), "%s/socket", directory);
	snprintf(pidfile, sizeof(pidfile), "%s/pid", directory);
	setenv("XDG_RUNTIME_DIR", directory, 1);
	unsetenv("NOTIFY_SOCKET");
	config = (struct config){ .cpus = 2, .mem_size = MIB(64), .control = path, .name = "wren" };
	session = (struct session){ .config = &config };
	session.machine.config = &config;
	session.machine.vm_fd = 60;
	session.machine.env = (struct vcpu_env){ .vcpus = vcpus, .count = 2 };
	vcpus[0].fd = 70;
	vcpus[1] = (struct vcpu){ .fd = 71, .index = 1 };
	rests = false;
	looked_up = fails = 0;
	balloon_target = balloon_asked = 0;
	ticks = set_to = offset = 0;
	if (catch_begin(state) < 0 || event_loop_create(&session.loop) < 0 ||
	    verdict_create(&session.verdict, &session.loop) < 0)
		return -1;
	holds_create(&session.holds, &session.loop);
	return 0;
}

static int finish(void **state)
{
	holds_destroy(&session.holds);
	verdict_destroy(&session.verdict);
	event_loop_destroy(&session.loop);
	scratch_end();
	return catch_end(state);
}

static void settle(void)
{
	while (event_loop_turn(&session.loop, false) > 0)
		;
}

static void life(void)
{
	session.machine_exists = true;
	holds_attach(&session.holds, &session.machine.env);
	session.watchers->begins(session.watchers);
	settle();
}

static void death(bool over)
{
	session.watchers->stopped(session.watchers, over);
	session.machine_exists = false;
	holds_attach(&session.holds, NULL);
	if (!over)
		session.resets++;
}

static int start(void)
{
	int fd;

	assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_OK);
	fd = control_socket_connect(path, false);
	life();
	return fd;
}

static void finish_all(int fd)
{
	close(fd);
	monitor_destroy(&monitor);
}

static const char *answer(int fd)
{
	static char text[4000];
	const ssize_t got = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

static const char *ask(int fd, const char *request)
{
	char line[200];

	snprintf(line, sizeof(line), "{\"request\":%s}\n", request);
	assert_int_equal(send(fd, line, strlen(line), 0), strlen(line));
	settle();
	return answer(fd);
}

#define assert_answer(fd, request, text) assert_non_null(strstr(ask(fd, request), text))

static void it_tells_of_itself(void **state)
{
	const int fd = start();
	char status[200];

	assert_string_equal(ask(fd, "\"version\""),
			    "{\"result\":{\"schema\":\"nidus-control\",\"version\":1,\"nidus\":"
			    "\"0.1\"}}\n");
	snprintf(status, sizeof(status),
		 "{\"result\":{\"name\":\"wren\",\"pid\":%d,\"state\":\"running\",\"resets\":0,"
		 "\"cpus\":2,\"mem_bytes\":67108864}}\n",
		 (int)getpid());
	assert_string_equal(ask(fd, "\"status\""), status);
	assert_string_equal(ask(fd, "\"stat\""), "{\"result\":{\"resets\":0,\"more\":true}}\n");
	assert_int_equal(looked_up, 0);
	death(true);
	assert_answer(fd, "\"status\"", "\"state\":\"ended\"");
	assert_answer(fd, "\"stat\"", "\"kind\":\"not-now\"");
	assert_answer(fd, "\"pause\"", "\"kind\":\"not-now\"");
	assert_answer(fd, "\"resume\"", "\"changed\":false");
	finish_all(fd);
	assert_int_equal(access(path, F_OK), -1);
	assert_silent();
}

static void arguments_are_checked(void **state)
{
	static const char *const requests[] = {
		"\"version\",\"arguments\":{\"a\":1}",
		"\"status\",\"arguments\":{\"a\":1}",
		"\"stat\",\"arguments\":{\"a\":1}",
		"\"stop\",\"arguments\":{\"a\":1}",
		"\"resume\",\"arguments\":{\"a\":1}",
		"\"pause\",\"arguments\":{\"a\":1}",
		"\"pause\",\"arguments\":{\"stop_time\":1}",
		"\"pause\",\"arguments\":{\"stop_time\":null}",
	};
	const int fd = start();

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		assert_answer(fd, requests[i], "\"kind\":\"bad-request\"");
	assert_int_equal(verdict_outcome(&session.verdict), OUTCOME_RUNNING);
	assert_int_equal(session.holds.count, 0);
	assert_answer(fd, "\"version\",\"arguments\":{}", "\"result\"");
	finish_all(fd);
}

static struct virtio balloon;

#define BALLOON(target) "\"balloon\",\"arguments\":{\"target_bytes\":" target "}"

static void a_balloon_has_a_target_over_resets(void **state)
{
	int fd;

	config.balloon = true;
	session.machine.balloon = &balloon;
	fd = start();
	assert_string_equal(ask(fd, "\"balloon\""), "{\"result\":{\"balloon\":true}}\n");
	assert_int_equal(balloon_target, 0);
	assert_answer(fd, BALLOON("8192"), "{\"result\":{\"balloon\":true}}");
	assert_int_equal(balloon_target, 8192);
	death(false);
	assert_answer(fd, "\"balloon\"", "\"kind\":\"not-now\"");
	assert_answer(fd, BALLOON("4096"), "the guest has ended");
	balloon_target = 0;
	life();
	assert_int_equal(balloon_target, 8192);
	assert_answer(fd, BALLOON("67108864"), "\"result\"");
	assert_answer(fd, BALLOON("0"), "\"result\"");
	assert_int_equal(balloon_target, 0);
	/* What it tells of itself is asked for when somebody looks. */
	assert_int_equal(balloon_asked, 0);
	ask(fd, "\"stat\"");
	assert_int_equal(balloon_asked, 1);
	finish_all(fd);
	assert_silent();
}

static void targets_that_cannot_be_are_refused(void **state)
{
	static const char *const requests[] = {
		BALLOON("-4096"),
		BALLOON("1"),
		BALLOON("67112960"),
		BALLOON("9223372036854771712"),
		BALLOON("4096.0"),
		BALLOON("\"4096\""),
		BALLOON("null"),
		BALLOON("4096,\"more\":1"),
		"\"balloon\",\"arguments\":{\"target\":4096}",
	};
	int fd;

	config.balloon = true;
	session.machine.balloon = &balloon;
	fd = start();
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		assert_answer(fd, requests[i], "\"kind\":\"bad-request\"");
	assert_int_equal(balloon_target, 0);
	finish_all(fd);
}

static void a_guest_without_a_balloon_says_so(void **state)
{
	const int fd = start();

	assert_answer(fd, "\"balloon\"", "runs without --balloon");
	assert_answer(fd, BALLOON("4096"), "\"kind\":\"not-now\"");
	ask(fd, "\"stat\"");
	assert_int_equal(balloon_asked, 0);
	finish_all(fd);
}

static void a_pause_is_told_when_all_rest(void **state)
{
	const int fd = start(), other = control_socket_connect(path, false);

	assert_string_equal(ask(fd, "\"pause\""), "");
	assert_int_equal(looked_up, 2);
	assert_answer(other, "\"status\"", "\"state\":\"pausing\"");
	assert_answer(other, "\"pause\"", "\"kind\":\"not-now\"");
	rests = true;
	holds_rested(&session.holds);
	settle();
	assert_string_equal(answer(fd), "{\"result\":{\"state\":\"paused\",\"changed\":true}}\n");
	assert_answer(fd, "\"pause\"", "{\"state\":\"paused\",\"changed\":false}");
	assert_int_equal(session.holds.count, 1);
	assert_answer(other, "\"resume\"", "{\"state\":\"running\",\"changed\":true}");
	assert_int_equal(session.holds.count, 0);
	assert_answer(fd, "\"resume\"", "{\"state\":\"running\",\"changed\":false}");
	/* Time went on. */
	assert_int_equal(set_to, 0);
	assert_int_equal(offset, 0);
	close(other);
	finish_all(fd);
}

static void a_pause_may_be_taken_back(void **state)
{
	const int fd = start(), other = control_socket_connect(path, false);

	assert_string_equal(ask(fd, "\"pause\",\"arguments\":{\"stop_time\":true}"), "");
	assert_answer(other, "\"resume\"", "\"changed\":true");
	assert_non_null(strstr(answer(fd), "\"kind\":\"not-now\""));
	assert_int_equal(session.holds.count, 0);
	rests = true;
	settle();
	assert_answer(fd, "\"status\"", "\"state\":\"running\"");
	/* Who asked is gone before. */
	rests = false;
	ask(fd, "\"pause\"");
	close(fd);
	settle();
	rests = true;
	holds_rested(&session.holds);
	settle();
	assert_answer(other, "\"status\"", "\"state\":\"paused\"");
	finish_all(other);
}

static void the_end_ends_pauses(void **state)
{
	int fd = start();

	ask(fd, "\"pause\"");
	death(true);
	assert_non_null(strstr(answer(fd), "\"kind\":\"not-now\""));
	assert_int_equal(session.holds.count, 0);
	finish_all(fd);
	/* Where a machine cannot be made after a reset, too. */
	fd = start();
	ask(fd, "\"pause\"");
	finish_all(fd);
	assert_int_equal(session.holds.count, 0);
}

static void time_is_stopped(void **state)
{
	const int fd = start();

	rests = true;
	ticks = 1000;
	assert_answer(fd, "\"pause\",\"arguments\":{\"stop_time\":true}", "\"changed\":true");
	ticks = 5000;
	assert_answer(fd, "\"resume\"", "\"changed\":true");
	assert_int_equal(set_to, 1000);
	assert_int_equal(offset, 0);
	finish_all(fd);
}

static void offsets_add_up(void **state)
{
	int fd;

	config.has_counter_offset = true;
	session.machine.counter_offset = 100;
	fd = start();
	rests = true;
	ticks = 1000;
	ask(fd, "\"pause\",\"arguments\":{\"stop_time\":true}");
	ticks = 5000;
	ask(fd, "\"resume\"");
	assert_int_equal(offset, 4100);
	ask(fd, "\"pause\",\"arguments\":{\"stop_time\":true}");
	ticks = 5500;
	ask(fd, "\"resume\"");
	assert_int_equal(offset, 4600);
	/* The next life begins anew, and the pause with it. */
	ask(fd, "\"pause\",\"arguments\":{\"stop_time\":true}");
	death(false);
	ticks = 10;
	life();
	ticks = 60;
	assert_answer(fd, "\"status\"", "\"state\":\"paused\",\"resets\":1");
	ask(fd, "\"resume\"");
	assert_int_equal(offset, 150);
	assert_int_equal(set_to, 0);
	finish_all(fd);
}

/* How large the file may be that the next snapshot goes to, -1: as large as it likes. */
static off_t room = -1;

static int small_file(off_t size)
{
	const int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	return fd;
}

static char saved_as[2 * sizeof(struct snapshot_id) + 1];

/* Of a file that is whole. */
static void note_id(int fd)
{
	struct snapshot_header header;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) || header.magic[0] == '\0')
		return;
	for (size_t i = 0; i < sizeof(header.id); i++)
		snprintf(saved_as + 2 * i, 3, "%02x", header.id.bytes[i]);
}

/* Asks for something, with a descriptor and the pagemap, or -1: without. */
static const char *ask_handing(int fd, const char *request, int handed_fd)
{
	const int handed[] = { handed_fd, open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) };
	char control[CMSG_SPACE(sizeof(handed))] __attribute__((aligned(8))), line[200];
	struct iovec text = { line, snprintf(line, sizeof(line), "{\"request\":%s}\n", request) };
	struct msghdr message = {
		.msg_iov = &text,
		.msg_iovlen = 1,
		.msg_control = handed_fd >= 0 ? control : NULL,
		.msg_controllen = handed_fd >= 0 ? sizeof(control) : 0,
	};

	if (handed_fd >= 0) {
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);

		*header = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(handed)),
		};
		memcpy(CMSG_DATA(header), handed, sizeof(handed));
	}
	assert_int_equal(sendmsg(fd, &message, 0), text.iov_len);
	close(handed[1]);
	settle();
	return answer(fd);
}

/* Asks for a snapshot, with two descriptors or without; more: arguments. */
static const char *ask_snapshot_with(int fd, bool hands, const char *more)
{
	const int file = room < 0 ? memfd_create("snapshot", MFD_CLOEXEC) : small_file(room);
	char request[150];
	const char *text;

	snprintf(request, sizeof(request), "\"snapshot\",\"arguments\":{%s}", more);
	text = ask_handing(fd, request, hands ? file : -1);
	note_id(file);
	close(file);
	return text;
}

static const char *ask_snapshot(int fd, bool hands)
{
	return ask_snapshot_with(fd, hands, "");
}

static unsigned int open_descriptors(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void a_guest_is_saved_while_it_is_held(void **state)
{
	const int fd = start();
	const unsigned int before = open_descriptors();

	assert_int_equal(memory_create(&session.machine.memory, GIB(1), MIB(8), MEMORY_ANON, NULL),
			 0);
	*(char *)memory_at(&session.machine.memory, GIB(1) + MIB(5), 1) = 1;
	rests = true;
	assert_non_null(strstr(ask_snapshot(fd, false), "\"kind\":\"bad-request\""));
	assert_non_null(strstr(ask_snapshot(fd, true), "\"ram_bytes\":4096,\"ranges\":1,"));
	assert_int_equal(session.holds.count, 0);
	assert_false(resting);
	unsaved = "it has wings";
	assert_non_null(strstr(ask_snapshot(fd, true), "cannot be saved: it has wings"));
	assert_int_equal(session.holds.count, 0);
	unsaved = NULL;
	assert_int_equal(open_descriptors(), before);
	memory_destroy(&session.machine.memory);
	finish_all(fd);
}

static const char *ask_increment_with(int fd, const char *more)
{
	char base[100];

	snprintf(base, sizeof(base), "\"base\":\"%s\"%s", saved_as, more);
	return ask_snapshot_with(fd, true, base);
}

static const char *ask_increment(int fd)
{
	return ask_increment_with(fd, "");
}

static void increments_go_by_the_log_since_their_base(void **state)
{
	static const char *const unknown = "what it has written since that base is not known";
	const int fd = start();
	struct machine *machine = &session.machine;

	assert_int_equal(memory_create(&machine->memory, GIB(1), MIB(8), MEMORY_ANON, NULL), 0);
	memset(memory_at(&machine->memory, GIB(1), MIB(1)), 1, MIB(1));
	rests = true;
	assert_non_null(strstr(ask_snapshot(fd, true), "\"ram_bytes\":1048576,"));
	assert_false(dirty_log_is_kept(&machine->dirty));
	assert_non_null(strstr(ask_increment(fd), unknown));
	assert_non_null(strstr(ask_snapshot_with(fd, true, "\"base\":\"12\""), "32 digits"));

	assert_non_null(strstr(ask_snapshot_with(fd, true, "\"track\":true"), "\"ranges\":1,"));
	assert_true(dirty_log_is_kept(&machine->dirty));
	dirty_at = KIB(12);
	assert_non_null(strstr(ask_increment(fd), "\"ram_bytes\":4096,\"ranges\":1,"));
	/* That one is a base as well. */
	assert_non_null(strstr(ask_increment(fd), "\"ram_bytes\":0,\"ranges\":0,"));
	/* What did not become a file is in the next one. */
	dirty_at = KIB(16);
	room = MIB(1);
	assert_int_equal(returned, 0);
	assert_non_null(strstr(ask_increment(fd), "cannot be saved: "));
	assert_in_range(returned, 1, KIB(8));
	assert_true(dirty_log_is_kept(&machine->dirty));
	/* Nor what was to be the last one, of a guest that goes on then. */
	returned = 0;
	dirty_at = KIB(16);
	assert_non_null(strstr(ask_increment_with(fd, ",\"stop\":true"), "cannot be saved: "));
	assert_in_range(returned, 1, KIB(8));
	room = -1;
	assert_non_null(strstr(ask_increment(fd), "\"ram_bytes\":0,"));
	assert_false(resting);
	/* One whose RAM others write to has none. */
	unlogged = "it leaks";
	assert_non_null(strstr(ask_increment(fd), "cannot be saved: it leaks"));
	assert_non_null(strstr(ask_snapshot_with(fd, true, "\"track\":true"), "it leaks"));
	unlogged = NULL;
	/* One that is no base ends the log. */
	assert_non_null(strstr(ask_snapshot(fd, true), "\"ram_bytes\":1048576,"));
	assert_false(dirty_log_is_kept(&machine->dirty));
	unlogged = "it leaks";
	dirty_at = KIB(16);
	assert_non_null(strstr(ask_snapshot(fd, true), "\"ram_bytes\":1048576,"));
	assert_int_equal(dirty_at, KIB(16));
	unlogged = NULL;
	dirty_at = 0;
	assert_int_equal(session.holds.count, 0);
	memory_destroy(&machine->memory);
	finish_all(fd);
}

/* A guest that is being moved: fd is the client's, far the other side. */
struct move {
	int fd, far;
	unsigned int descriptors; /* that were open before */
};

static struct move begin_move(void)
{
	struct move move = { .fd = start(), .descriptors = open_descriptors() };
	int ends[2];

	assert_int_equal(memory_create(&session.machine.memory, GIB(1), MIB(8), MEMORY_ANON, NULL),
			 0);
	*(char *)memory_at(&session.machine.memory, GIB(1) + MIB(5), 1) = 1;
	rests = true;
	locked = true;
	lock_fails = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	move.far = ends[1];
	assert_string_equal(ask_handing(move.fd, "\"migrate\"", ends[0]), "");
	close(ends[0]);
	return move;
}

static void end_move(struct move *move)
{
	if (move->far >= 0)
		close(move->far);
	settle();
	assert_int_equal(open_descriptors(), move->descriptors);
	memory_destroy(&session.machine.memory);
	finish_all(move->fd);
}

static struct migration_frame last_frame(int far)
{
	static uint8_t bytes[MIB(1)];
	const ssize_t got = recv(far, bytes, sizeof(bytes), MSG_DONTWAIT);
	struct migration_frame frame;

	assert_true(got >= (ssize_t)sizeof(frame));
	memcpy(&frame, bytes + got - sizeof(frame), sizeof(frame));
	return frame;
}

static void far_says(const struct move *move, uint32_t kind)
{
	const struct migration_frame frame = { .kind = kind };

	assert_int_equal(send(move->far, &frame, sizeof(frame), 0), sizeof(frame));
	settle();
}

/* All has been sent, and the other side is ready for it. */
static struct move commit_move(void)
{
	struct move move = begin_move();

	settle();
	assert_int_equal(last_frame(move.far).kind, MIGRATION_END);
	assert_true(resting);
	assert_true(locked);
	assert_int_equal(session.holds.count, 1);
	far_says(&move, MIGRATION_READY);
	assert_int_equal(last_frame(move.far).kind, MIGRATION_COMMIT);
	assert_false(locked);
	assert_string_equal(answer(move.fd), "");
	return move;
}

static void hang_up(struct move *move)
{
	close(move->far);
	move->far = -1;
	settle();
}

static void assert_runs(const struct move *move)
{
	assert_false(resting);
	assert_false(dirty_log_is_kept(&session.machine.dirty));
	assert_true(locked);
	assert_int_equal(session.holds.count, 0);
	assert_int_equal(verdict_outcome(&session.verdict), OUTCOME_RUNNING);
	assert_answer(move->fd, "\"status\"", "\"state\":\"running\"");
}

static void a_guest_moves_and_ends(void **state)
{
	struct move move = commit_move();

	assert_int_equal(verdict_outcome(&session.verdict), OUTCOME_RUNNING);
	far_says(&move, MIGRATION_RUNS);
	assert_int_equal(verdict_outcome(&session.verdict), OUTCOME_QUIT);
	assert_true(resting);
	assert_int_equal(session.holds.count, 1);
	assert_non_null(strstr(answer(move.fd), "\"rounds\":"));
	death(true);
	assert_int_equal(session.holds.count, 0);
	assert_true(resting);
	end_move(&move);
}

/* KVM is not to go through its shadow tables while their guests run; the fake of the log looks. */
static void the_log_of_a_hypervisor_is_taken_while_all_rests(void **state)
{
	struct move move;

	config.nested = true;
	takes = 0;
	move = commit_move();
	far_says(&move, MIGRATION_FAILED);
	answer(move.fd);
	assert_in_range(takes, 1, 2);
	end_move(&move);
}

static void a_guest_goes_on_where_the_link_breaks_before(void **state)
{
	struct move move = begin_move();

	hang_up(&move);
	assert_non_null(strstr(answer(move.fd), "cannot be moved: the other side has gone"));
	assert_runs(&move);
	end_move(&move);
	move = begin_move();
	settle();
	last_frame(move.far);
	hang_up(&move);
	assert_non_null(strstr(answer(move.fd), "cannot be moved: the other side has gone"));
	assert_runs(&move);
	end_move(&move);
	move = begin_move();
	settle();
	last_frame(move.far);
	far_says(&move, MIGRATION_RUNS);
	assert_non_null(strstr(answer(move.fd), "the other side says what makes no sense"));
	assert_runs(&move);
	end_move(&move);
}

static void a_guest_goes_on_where_the_other_side_never_will(void **state)
{
	struct move move = commit_move();

	far_says(&move, MIGRATION_FAILED);
	assert_non_null(strstr(answer(move.fd), "cannot be moved: the other side cannot run it"));
	assert_runs(&move);
	end_move(&move);
}

static void a_guest_that_may_run_there_stays_until_its_owner_decides(void **state)
{
	struct move move = commit_move();

	hang_up(&move);
	assert_non_null(strstr(answer(move.fd), "the guest is paused: it was given to the other "
						"side, which has not said that it runs there"));
	assert_said("nidus resume has it go on here");
	assert_true(resting);
	assert_int_equal(session.holds.count, 1);
	assert_int_equal(verdict_outcome(&session.verdict), OUTCOME_RUNNING);
	assert_answer(move.fd, "\"status\"", "\"state\":\"paused\"");
	assert_non_null(strstr(ask_snapshot(move.fd, true), "\"kind\":\"not-now\""));
	lock_fails = -EBUSY;
	assert_answer(move.fd, "\"resume\"", "stays paused: somebody else has its disks");
	assert_true(resting);
	lock_fails = 0;
	assert_answer(move.fd, "\"resume\"", "\"state\":\"running\",\"changed\":true");
	assert_runs(&move);
	end_move(&move);
	/* Or that ends it. */
	move = commit_move();
	hang_up(&move);
	said();
	answer(move.fd);
	assert_answer(move.fd, "\"stop\"", "result");
	death(true);
	assert_true(resting);
	assert_int_equal(session.holds.count, 0);
	end_move(&move);
}

static void a_guest_whose_disks_are_gone_does_not_go_on(void **state)
{
	struct move move = commit_move();

	lock_fails = -EBUSY;
	far_says(&move, MIGRATION_FAILED);
	assert_non_null(strstr(answer(move.fd), "the guest is paused: it could not be moved, and "
						"somebody else has its disks"));
	said();
	assert_true(resting);
	lock_fails = 0;
	assert_answer(move.fd, "\"resume\"", "\"changed\":true");
	assert_runs(&move);
	end_move(&move);
}

static void who_goes_away_calls_a_move_off(void **state)
{
	struct move move = begin_move();
	int fd = control_socket_connect(path, false);

	settle();
	last_frame(move.far);
	assert_true(resting);
	close(move.fd);
	move.fd = fd;
	move.descriptors++;
	settle();
	move.descriptors--;
	assert_runs(&move);
	end_move(&move);
	/* Not any more when it has been given away. */
	move = commit_move();
	fd = control_socket_connect(path, false);
	settle();
	close(move.fd);
	move.fd = fd;
	settle();
	assert_true(resting);
	assert_false(locked);
	far_says(&move, MIGRATION_RUNS);
	assert_int_equal(verdict_outcome(&session.verdict), OUTCOME_QUIT);
	death(true);
	end_move(&move);
}

static void a_guest_that_is_moved_is_left_alone(void **state)
{
	struct move move = commit_move();
	const int other = control_socket_connect(path, false);

	settle();
	assert_answer(other, "\"pause\"", "the guest is being moved");
	assert_non_null(strstr(ask_snapshot(other, true), "the guest is being moved"));
	assert_non_null(strstr(ask_handing(other, "\"migrate\"", 1), "the guest is being moved"));
	close(other);
	settle();
	/* It ends meanwhile, and so does the move; it may run there. */
	death(true);
	assert_non_null(
		strstr(answer(move.fd), "it has ended here, and may run at the other side"));
	assert_true(resting);
	end_move(&move);
}

static void what_a_move_needs(void **state)
{
	const int fd = start();

	assert_answer(fd, "\"migrate\"", "have to come along");
	assert_non_null(strstr(ask_handing(fd, "\"migrate\",\"arguments\":{\"timeout\":0}", 1),
			       "timeout must be from 1 to 86400 seconds"));
	assert_non_null(
		strstr(ask_handing(fd, "\"migrate\",\"arguments\":{\"to\":0}", 1), "bad-request"));
	rests = true;
	unsaved = "it has wings";
	assert_non_null(
		strstr(ask_handing(fd, "\"migrate\"", fd), "cannot be moved: it has wings"));
	unsaved = NULL;
	ask(fd, "\"pause\"");
	assert_non_null(strstr(ask_handing(fd, "\"migrate\"", fd), "the guest is paused"));
	finish_all(fd);
}

/* After a reset of which no machine came, while output is waited for. */
static void there_is_no_time_without_a_machine(void **state)
{
	const int fd = start();

	death(false);
	session.machine.env.vcpus = NULL;
	rests = true;
	assert_answer(fd, "\"pause\",\"arguments\":{\"stop_time\":true}", "\"changed\":true");
	assert_answer(fd, "\"resume\"", "\"changed\":true");
	finish_all(fd);
}

static void time_that_cannot_be_stopped(void **state)
{
	const int fd = start();

	rests = true;
	fails = -ENXIO;
	assert_answer(fd, "\"pause\",\"arguments\":{\"stop_time\":true}", "\"kind\":\"failed\"");
	assert_int_equal(session.holds.count, 0);
	assert_answer(fd, "\"status\"", "\"state\":\"running\"");
	fails = 0;
	ask(fd, "\"pause\",\"arguments\":{\"stop_time\":true}");
	fails = -EBUSY;
	assert_answer(fd, "\"resume\"", "the guest goes on, but its time has gone on");
	assert_int_equal(session.holds.count, 0);
	finish_all(fd);
}

/* All of a vCPU, or what KVM tells of it; the guest runs on, or stays paused. */
static void vcpus_are_looked_at(void **state)
{
	const int fd = start(), other = control_socket_connect(path, false);

	assert_string_equal(ask(fd, "\"debug\""), "");
	assert_answer(other, "\"debug\"", "\"kind\":\"not-now\"");
	rests = true;
	holds_rested(&session.holds);
	settle();
	assert_string_equal(
		answer(fd),
		"{\"result\":{\"vcpus\":[{\"index\":0,\"power\":\"on\",\"pending\":{\"enabled\":[27],"
		"\"disabled\":[31]},\"where\":{\"el\":1,\"role\":\"role\",\"level\":2,\"vmid\":9,"
		"\"virtual_el2\":true},\"backtrace\":[\"0xab\",\"0xcd\"],\"registers\":{\"x1\":"
		"\"0x1\",\"pc\":\"0x20\",\"SOME_EL2\":\"0xee\"}},{\"index\":1,\"power\":\"off\","
		"\"pending\":{\"enabled\":[27],\"disabled\":[31]},\"where\":{\"el\":1,\"role\":\"role\","
		"\"level\":2,\"vmid\":9,\"virtual_el2\":true},\"backtrace\":[\"0xab\",\"0xcd\"],"
		"\"registers\":{\"x1\":\"0x1\",\"pc\":\"0x20\",\"SOME_EL2\":\"0xee\"}}]}}\n");
	assert_int_equal(session.holds.count, 0);
	ask(fd, "\"pause\"");
	fails = -EINVAL;
	assert_answer(fd, "\"debug\"",
		      "[{\"index\":0,\"power\":\"on\"},{\"index\":1,\"power\":\"off\"}]");
	assert_int_equal(session.holds.count, 1);
	assert_answer(fd, "\"debug\",\"arguments\":{\"a\":1}", "\"kind\":\"bad-request\"");
	rests = false;
	ask(fd, "\"resume\"");
	assert_string_equal(ask(fd, "\"debug\""), "");
	death(true);
	assert_non_null(strstr(answer(fd), "the guest has ended"));
	assert_int_equal(session.holds.count, 0);
	assert_answer(fd, "\"debug\"", "\"kind\":\"not-now\"");
	close(other);
	finish_all(fd);
}

static void a_debugger_comes_by_the_socket(void **state)
{
	int fd = start(), other = control_socket_connect(path, false);

	assert_null(debugger);
	assert_answer(fd, "\"gdb\",\"arguments\":{\"a\":1}", "\"kind\":\"bad-request\"");
	fails = -EMFILE;
	assert_answer(fd, "\"gdb\"", "\"kind\":\"failed\"");
	assert_null(debugger);
	fails = 0;
	assert_string_equal(ask(fd, "\"gdb\""), "{\"result\":{}}\n");
	assert_non_null(debugger);
	assert_true(attached >= 0);
	/* It is neither listened to any more, nor has it gone. */
	assert_string_equal(ask(fd, "\"version\""), "");
	assert_int_equal(send(attached, "$", 1, 0), 1);
	assert_string_equal(answer(fd), "$");
	has_client = true;
	assert_answer(other, "\"gdb\"", "\"kind\":\"not-now\"");
	/* The next one is served by the same. */
	has_client = false;
	close(attached);
	close(fd);
	attached = -1;
	fd = other;
	other = control_socket_connect(path, false);
	assert_string_equal(ask(fd, "\"gdb\""), "{\"result\":{}}\n");
	close(attached);
	death(true);
	assert_answer(other, "\"gdb\"", "the guest has ended");
	close(fd);
	finish_all(other);
}

static void a_guest_is_stopped_as_by_its_user(void **state)
{
	const int fd = start();

	assert_string_equal(ask(fd, "\"stop\""), "{\"result\":{}}\n");
	assert_int_equal(verdict_outcome(&session.verdict), OUTCOME_QUIT);
	assert_true(verdict_quit(&session.verdict));
	finish_all(fd);
}

static void nobody_asked_for_anything(void **state)
{
	const int before = dup(0);
	int after;

	close(before);
	config = (struct config){ .cpus = 1 };
	assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_OK);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	assert_null(session.watchers);
	monitor_destroy(&monitor);
	assert_silent();
}

static void names_have_sockets(void **state)
{
	config.control = NULL;
	assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_OK);
	snprintf(path, sizeof(path), "%s/nidus/wren.sock", directory);
	assert_int_equal(access(path, F_OK), 0);
	monitor_destroy(&monitor);
	assert_int_equal(access(path, F_OK), -1);
	config.name = "a/b";
	assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_USAGE);
	assert_said("--name a/b");
	config.name = "wren";
	setenv("XDG_RUNTIME_DIR", "/none/such", 1);
	assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_OK);
	assert_said("warning: --name wren: cannot be controlled");
	monitor_destroy(&monitor);
	/* Nobody could come and let it begin. */
	config.gdb_wait = true;
	assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_USAGE);
	assert_said("warning: --name wren: cannot be controlled");
}

static void process_ids_are_told(void **state)
{
	char text[20] = "", expected[20];
	int fd;

	config.pidfile = pidfile;
	fd = start();
	snprintf(expected, sizeof(expected), "%d\n", (int)getpid());
	close(fd);
	fd = open(pidfile, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, expected);
	finish_all(fd);
	assert_int_equal(access(pidfile, F_OK), -1);
	/* Another one's stays: the first inode is still held. */
	fd = start();
	close(fd);
	fd = open(pidfile, O_RDONLY | O_CLOEXEC);
	assert_int_equal(unlink(pidfile), 0);
	close(open(pidfile, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	finish_all(fd);
	assert_int_equal(unlink(pidfile), 0);
	/* What goes wrong leaves nothing. */
	config.pidfile = "/none/such";
	assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_USAGE);
	assert_said("/none/such");
	assert_int_equal(access(path, F_OK), -1);
	config.pidfile = pidfile;
	config.control = "/none/such";
	assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_USAGE);
	assert_said("/none/such");
	assert_int_equal(access(pidfile, F_OK), -1);
}

/* A manager's socket; name: where, or an abstract one by an at sign. */
static int manager(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, name);
	if (*name == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      offsetof(struct sockaddr_un, sun_path) + strlen(name)),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void managers_are_told(void **state)
{
	char abstract[40];
	const char *names[2] = { path, abstract };

	config.control = NULL;
	config.name = NULL;
	snprintf(abstract, sizeof(abstract), "@nidus-test-%d", (int)getpid());
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const int fd = manager(names[i]);

		session.resets = 0;
		assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_OK);
		settle();
		assert_string_equal(answer(fd), "");
		life();
		assert_string_equal(answer(fd), "READY=1\n");
		death(false);
		life();
		assert_string_equal(answer(fd), "");
		death(true);
		assert_string_equal(answer(fd), "STOPPING=1\n");
		monitor_destroy(&monitor);
		close(fd);
	}
	assert_silent();
}

/* Threads that cannot be started: the loop turns, but not for a guest. */
static void what_has_failed_is_not_ready(void **state)
{
	const int fd = manager(path);

	config.control = NULL;
	config.name = NULL;
	assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_OK);
	verdict_reach(&session.verdict, OUTCOME_HOST_ERROR);
	life();
	assert_string_equal(answer(fd), "");
	monitor_destroy(&monitor);
	close(fd);
}

static void managers_that_are_none(void **state)
{
	static const char *const names[] = { "/none/such", "@nidus-none-such" };
	char large[200];

	memset(large, '/', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	config.control = NULL;
	config.name = NULL;
	for (size_t i = 0; i <= ARRAY_SIZE(names); i++) {
		setenv("NOTIFY_SOCKET", i < ARRAY_SIZE(names) ? names[i] : large, 1);
		assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_OK);
		assert_said("warning: NOTIFY_SOCKET");
		assert_null(session.watchers);
		monitor_destroy(&monitor);
	}
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	assert_int_equal(monitor_create(&monitor, &session, &debugger), STATUS_OK);
	monitor_destroy(&monitor);
	assert_silent();
}

#define on_session(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_session(it_tells_of_itself),
		on_session(arguments_are_checked),
		on_session(a_balloon_has_a_target_over_resets),
		on_session(targets_that_cannot_be_are_refused),
		on_session(a_guest_without_a_balloon_says_so),
		on_session(a_pause_is_told_when_all_rest),
		on_session(a_pause_may_be_taken_back),
		on_session(the_end_ends_pauses),
		on_session(time_is_stopped),
		on_session(offsets_add_up),
		on_session(a_guest_is_saved_while_it_is_held),
		on_session(increments_go_by_the_log_since_their_base),
		on_session(a_guest_moves_and_ends),
		on_session(the_log_of_a_hypervisor_is_taken_while_all_rests),
		on_session(a_guest_goes_on_where_the_link_breaks_before),
		on_session(a_guest_goes_on_where_the_other_side_never_will),
		on_session(a_guest_that_may_run_there_stays_until_its_owner_decides),
		on_session(a_guest_whose_disks_are_gone_does_not_go_on),
		on_session(who_goes_away_calls_a_move_off),
		on_session(a_guest_that_is_moved_is_left_alone),
		on_session(what_a_move_needs),
		on_session(there_is_no_time_without_a_machine),
		on_session(time_that_cannot_be_stopped),
		on_session(vcpus_are_looked_at),
		on_session(a_debugger_comes_by_the_socket),
		on_session(a_guest_is_stopped_as_by_its_user),
		on_session(nobody_asked_for_anything),
		on_session(names_have_sockets),
		on_session(process_ids_are_told),
		on_session(managers_are_told),
		on_session(what_has_failed_is_not_ready),
		on_session(managers_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
