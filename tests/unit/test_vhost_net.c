// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit.h"

#include "mm/memory.h"
#include "util.h"
#include "vhost.h"

#define VERSION_1 (UINT64_C(1) << 32)
#define MRG_RXBUF (UINT64_C(1) << 15)

/* In place of the kernel: a journal of what was asked, and answers as told. */
static struct {
	char journal[4096];
	int open_error;
	unsigned long fails; /* this ioctl does */
	int error;
	uint64_t features;
	uint32_t base;
	int files[32]; /* descriptors of /dev/vhost-net */
	int ends[32]; /* the kernel's of them, by which translations are asked and told */
	unsigned int opened;
	uint64_t table[5];
	struct vhost_vring_addr addr;
} kernel;

static struct vhost *vhost;
static struct event_loop loop;
static struct memory memory;
static unsigned int ended_count;

int open(const char *path, int flags, ...)
{
	int pair[2];

	if (strcmp(path, "/dev/vhost-net") != 0)
		return syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
	assert_int_equal(flags, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	errno = kernel.open_error;
	if (kernel.open_error)
		return -1;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	if (kernel.ends[kernel.opened] > 0)
		close(kernel.ends[kernel.opened]);
	kernel.ends[kernel.opened] = pair[1];
	kernel.files[kernel.opened++] = pair[0];
	return pair[0];
}

static void note(const char *format, ...)
{
	const size_t used = strlen(kernel.journal);
	va_list args;

	va_start(args, format);
	vsnprintf(kernel.journal + used, sizeof(kernel.journal) - used, format, args);
	va_end(args);
}

static void note_ring(const char *what, unsigned int pair, const void *argument)
{
	struct vhost_vring_state state; /* or struct vhost_vring_file */

	memcpy(&state, argument, sizeof(state));
	note("%u %s %u %d\n", pair, what, state.index, (int)state.num);
}

static unsigned int pair_of(int fd)
{
	for (unsigned int i = 0; i < kernel.opened; i++)
		if (kernel.files[i] == fd)
			return i;
	fail();
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	const unsigned int pair = pair_of(fd);
	void *argument;
	va_list args;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	errno = kernel.error;
	if (request == kernel.fails)
		return -1;
	switch (request) {
	case VHOST_SET_OWNER:
		note("%u owner\n", pair);
		break;
	case VHOST_GET_FEATURES:
		memcpy(argument, &kernel.features, 8);
		break;
	case VHOST_SET_FEATURES:
		note("%u features %#llx\n", pair, *(unsigned long long *)argument);
		break;
	case VHOST_SET_MEM_TABLE:
		memcpy(kernel.table, argument, sizeof(kernel.table));
		note("%u memory\n", pair);
		break;
	case VHOST_SET_VRING_ADDR:
		memcpy(&kernel.addr, argument, sizeof(kernel.addr));
		note("%u addr %u\n", pair, kernel.addr.index);
		break;
	case VHOST_SET_VRING_NUM:
		note_ring("num", pair, argument);
		break;
	case VHOST_SET_VRING_BASE:
		note_ring("base", pair, argument);
		break;
	case VHOST_SET_VRING_KICK:
		note_ring("kick", pair, argument);
		break;
	case VHOST_SET_VRING_CALL:
		note_ring("call", pair, argument);
		break;
	case VHOST_NET_SET_BACKEND:
		note_ring("backend", pair, argument);
		break;
	case VHOST_GET_VRING_BASE:
		note_ring("get_base", pair, argument);
		((struct vhost_vring_state *)argument)->num = kernel.base;
		break;
	default:
		fail();
	}
	return 0;
}

static void ended(void *owner)
{
	ended_count++;
}

static int begin(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.features = UINT64_MAX;
	ended_count = 0;
	vhost = NULL;
	if (event_loop_create(&loop) < 0 ||
	    memory_create(&memory, GIB(1), MIB(2), MEMORY_ANON, NULL) < 0)
		return -1;
	return catch_begin(state);
}

static int finish(void **state)
{
	if (vhost)
		vhost->ops->close(vhost);
	for (unsigned int i = 0; i < ARRAY_SIZE(kernel.ends); i++)
		if (kernel.ends[i] > 0)
			close(kernel.ends[i]);
	memory_destroy(&memory);
	event_loop_destroy(&loop);
	return catch_end(state);
}

static int open_net(unsigned int pairs)
{
	static const int queues[] = { 100, 101, 102, 103 };
	int err = vhost_net_open(&vhost, queues, pairs);

	if (err == 0)
		vhost->ended = ended;
	return err;
}

static const struct vhost_ring ring = {
	.desc = 0x1000,
	.avail = 0x2000,
	.used = 0x3000,
	.size = 64,
	.base = 7,
	.kick = 200,
	.call = 201,
};

#define assert_asked(expected)                                 \
	do {                                                   \
		assert_string_equal(kernel.journal, expected); \
		kernel.journal[0] = '\0';                      \
	} while (0)

static void a_pair_has_a_file_of_its_own(void **state)
{
	assert_int_equal(open_net(2), 0);
	assert_int_equal(vhost->rings, 4);
	assert_false(vhost->shares_memory);
	assert_asked("0 owner\n1 owner\n");
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	assert_asked("0 features 0x100000000\n0 memory\n1 features 0x100000000\n1 memory\n");
	assert_int_equal(vhost->ops->start(vhost, 3, &ring), 0);
	assert_asked("1 num 1 64\n1 addr 1\n1 base 1 7\n1 call 1 201\n1 kick 1 200\n"
		     "1 backend 1 101\n");
	assert_int_equal(vhost->ops->start(vhost, 0, &ring), 0);
	assert_asked("0 num 0 64\n0 addr 0\n0 base 0 7\n0 call 0 201\n0 kick 0 200\n"
		     "0 backend 0 100\n");
	assert_int_equal(kernel.addr.flags, 0);
	assert_int_equal(kernel.addr.desc_user_addr, 0x1000);
	assert_int_equal(kernel.addr.avail_user_addr, 0x2000);
	assert_int_equal(kernel.addr.used_user_addr, 0x3000);
	assert_silent();
}

static void memory_is_one_region(void **state)
{
	assert_int_equal(open_net(1), 0);
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	assert_int_equal(kernel.table[0], 1);
	assert_int_equal(kernel.table[1], GIB(1));
	assert_int_equal(kernel.table[2], MIB(2));
	assert_int_equal(kernel.table[3], (uintptr_t)memory.host);
	assert_int_equal(kernel.table[4], 0);
}

/* The tap first, which waits for what is in flight. */
static void a_ring_stops_without_its_tap(void **state)
{
	uint16_t base;

	assert_int_equal(open_net(1), 0);
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	assert_int_equal(vhost->ops->start(vhost, 1, &ring), 0);
	kernel.journal[0] = '\0';
	kernel.base = 0xfffe;
	assert_int_equal(vhost->ops->stop(vhost, 1, &base), 0);
	assert_int_equal(base, 0xfffe);
	assert_asked("0 backend 1 -1\n0 kick 1 -1\n0 call 1 -1\n0 get_base 1 0\n");
	/* Another life: RAM is elsewhere, the owner the same. */
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1 | MRG_RXBUF, &memory), 0);
	assert_asked("0 features 0x100008000\n0 memory\n");
}

static void drivers_are_offered_what_is_known(void **state)
{
	assert_int_equal(open_net(1), 0);
	assert_int_equal(vhost->features, VERSION_1 | MRG_RXBUF | UINT64_C(3) << 28);
	vhost->ops->close(vhost);
	kernel.features = VERSION_1 | UINT64_C(1) << 27;
	assert_int_equal(open_net(1), 0);
	assert_int_equal(vhost->features, VERSION_1);
}

static void what_is_not_there_is_not_said(void **state)
{
	static const int errors[] = { ENOENT, ENODEV, ENXIO, EACCES, EPERM };

	for (unsigned int i = 0; i < ARRAY_SIZE(errors); i++) {
		kernel.open_error = errors[i];
		assert_int_equal(open_net(2), -errors[i]);
		assert_silent();
	}
	kernel.open_error = EMFILE;
	assert_int_equal(open_net(2), -EMFILE);
	assert_said("/dev/vhost-net: ");
}

static void who_cannot_be_the_owner_is_told(void **state)
{
	kernel.fails = VHOST_SET_OWNER;
	kernel.error = ENOMEM;
	assert_int_equal(open_net(2), -ENOMEM);
	assert_said("/dev/vhost-net: Cannot allocate memory");
	assert_int_equal(fcntl(kernel.files[0], F_GETFD), -1);
}

static int live(void)
{
	uint16_t base;
	int err = open_net(2);

	if (err == 0)
		err = vhost->ops->attach(vhost, &loop);
	if (err == 0)
		err = vhost->ops->begin(vhost, VERSION_1, &memory);
	if (err == 0)
		err = vhost->ops->start(vhost, 2, &ring);
	return err < 0 ? err : vhost->ops->stop(vhost, 2, &base);
}

static void a_failing_call_loses_the_vhost(void **state)
{
	static const struct {
		unsigned long request;
		const char *name;
	} calls[] = {
		{ VHOST_SET_FEATURES, "VHOST_SET_FEATURES" },
		{ VHOST_SET_MEM_TABLE, "VHOST_SET_MEM_TABLE" },
		{ VHOST_SET_VRING_NUM, "VHOST_SET_VRING_NUM" },
		{ VHOST_SET_VRING_ADDR, "VHOST_SET_VRING_ADDR" },
		{ VHOST_SET_VRING_BASE, "VHOST_SET_VRING_BASE" },
		{ VHOST_SET_VRING_CALL, "VHOST_SET_VRING_CALL" },
		{ VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK" },
		{ VHOST_NET_SET_BACKEND, "VHOST_NET_SET_BACKEND" },
		{ VHOST_GET_VRING_BASE, "VHOST_GET_VRING_BASE" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		uint16_t base;

		kernel.opened = ended_count = 0;
		kernel.fails = calls[i].request;
		kernel.error = EFAULT;
		assert_int_equal(live(), -EFAULT);
		assert_said(calls[i].name);
		assert_true(vhost->lost);
		/* Its files are closed, so that nothing goes on; pair_of() would know of a call. */
		assert_int_equal(fcntl(kernel.files[0], F_GETFD), -1);
		assert_int_equal(fcntl(kernel.files[1], F_GETFD), -1);
		kernel.opened = 0;
		assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), -ENODEV);
		assert_int_equal(vhost->ops->start(vhost, 0, &ring), -ENODEV);
		assert_int_equal(vhost->ops->stop(vhost, 0, &base), -ENODEV);
		assert_int_equal(ended_count, 0);
		while (event_loop_turn(&loop, false) > 0)
			;
		assert_int_equal(ended_count, 1);
		assert_silent();
		vhost->ops->detach(vhost);
		vhost->ops->close(vhost);
		vhost = NULL;
	}
}

/* Translations. */

#define ACCESS_PLATFORM (UINT64_C(1) << 33)

static unsigned int asked;

static void asks(void *opaque)
{
	assert_ptr_equal(opaque, &asked);
	asked++;
}

static void begin_behind_iommu(unsigned int pairs)
{
	assert_int_equal(open_net(pairs), 0);
	assert_true(vhost->translates);
	vhost->asks = asks;
	vhost->asked = &asked;
	asked = 0;
	assert_int_equal(vhost->ops->attach(vhost, &loop), 0);
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1 | ACCESS_PLATFORM, &memory), 0);
	kernel.journal[0] = '\0';
}

static void ask(unsigned int pair, uint64_t iova, uint8_t perm)
{
	const struct vhost_msg message = {
		.type = VHOST_IOTLB_MSG,
		.iotlb = { .iova = iova, .perm = perm, .type = VHOST_IOTLB_MISS },
	};

	assert_int_equal(write(kernel.ends[pair], &message, sizeof(message)), sizeof(message));
}

static struct vhost_iotlb_msg told(unsigned int pair)
{
	struct vhost_msg message;

	assert_int_equal(read(kernel.ends[pair], &message, sizeof(message)), sizeof(message));
	assert_int_equal(message.type, VHOST_IOTLB_MSG);
	return message.iotlb;
}

static void assert_nothing_told(unsigned int pair)
{
	struct vhost_msg message;

	assert_int_equal(read(kernel.ends[pair], &message, sizeof(message)), -1);
}

static void questions_of_each_file_are_heard(void **state)
{
	unsigned int which;
	uint64_t iova;
	bool writes;

	begin_behind_iommu(2);
	assert_false(vhost->ops->next_question(vhost, &which, &iova, &writes));
	ask(1, 0x5000, VHOST_ACCESS_WO);
	assert_true(event_loop_turn(&loop, false) > 0);
	assert_int_equal(asked, 1);
	ask(0, 0x7000, VHOST_ACCESS_RO);
	assert_true(vhost->ops->next_question(vhost, &which, &iova, &writes));
	assert_int_equal(which, 0);
	assert_int_equal(iova, 0x7000);
	assert_false(writes);
	assert_true(vhost->ops->next_question(vhost, &which, &iova, &writes));
	assert_int_equal(which, 2);
	assert_int_equal(iova, 0x5000);
	assert_true(writes);
	assert_false(vhost->ops->next_question(vhost, &which, &iova, &writes));
	vhost->ops->detach(vhost);
	ask(0, 0x7000, VHOST_ACCESS_RO);
	assert_int_equal(event_loop_turn(&loop, false), 0);
}

static void without_an_iommu_nobody_listens(void **state)
{
	assert_int_equal(open_net(1), 0);
	assert_int_equal(vhost->ops->attach(vhost, &loop), 0);
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	ask(0, 0x7000, VHOST_ACCESS_RO);
	assert_int_equal(event_loop_turn(&loop, false), 0);
	vhost->ops->detach(vhost);
}

static void answers_go_to_who_asked_and_all_forget(void **state)
{
	struct vhost_translation translation = { 0x5000, 0x2000, GIB(1) + 0x1000, true, false };
	struct vhost_iotlb_msg message;

	begin_behind_iommu(2);
	assert_int_equal(vhost->ops->translate(vhost, 2, &translation), 0);
	assert_nothing_told(0);
	message = told(1);
	assert_int_equal(message.type, VHOST_IOTLB_UPDATE);
	assert_int_equal(message.iova, 0x5000);
	assert_int_equal(message.size, 0x2000);
	assert_int_equal(message.uaddr, (uintptr_t)memory.host + 0x1000);
	assert_int_equal(message.perm, VHOST_ACCESS_RO);
	translation.write = true;
	assert_int_equal(vhost->ops->translate(vhost, 1, &translation), 0);
	assert_int_equal(told(0).perm, VHOST_ACCESS_RW);
	assert_int_equal(vhost->ops->forget_translation(vhost, 0x5000, 0x2000), 0);
	for (unsigned int pair = 0; pair < 2; pair++) {
		message = told(pair);
		assert_int_equal(message.type, VHOST_IOTLB_INVALIDATE);
		assert_int_equal(message.iova, 0x5000);
		assert_int_equal(message.size, 0x2000);
	}
	/* What is not all of RAM. */
	translation.size = MIB(2);
	assert_int_equal(vhost->ops->translate(vhost, 1, &translation), -EFAULT);
	assert_nothing_told(0);
	assert_false(vhost->lost);
	vhost->ops->detach(vhost);
}

static void an_answer_that_fails_loses_the_vhost(void **state)
{
	const struct vhost_translation translation = { 0x5000, 0x2000, GIB(1), true, true };

	begin_behind_iommu(1);
	close(kernel.ends[0]);
	kernel.ends[0] = 0;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(vhost->ops->translate(vhost, 0, &translation), -EPIPE);
	assert_said("translation: Broken pipe");
	assert_true(vhost->lost);
	assert_int_equal(vhost->ops->forget_translation(vhost, 0, 1), 0);
	vhost->ops->detach(vhost);
}

#define on_kernel(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_kernel(a_pair_has_a_file_of_its_own),
		on_kernel(memory_is_one_region),
		on_kernel(a_ring_stops_without_its_tap),
		on_kernel(drivers_are_offered_what_is_known),
		on_kernel(what_is_not_there_is_not_said),
		on_kernel(who_cannot_be_the_owner_is_told),
		on_kernel(a_failing_call_loses_the_vhost),
		on_kernel(questions_of_each_file_are_heard),
		on_kernel(without_an_iommu_nobody_listens),
		on_kernel(answers_go_to_who_asked_and_all_forget),
		on_kernel(an_answer_that_fails_loses_the_vhost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
