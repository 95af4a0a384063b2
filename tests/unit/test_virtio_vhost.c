// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "unit.h"

#include "driver.h"
#include "util.h"
#include "virtio/virtio_vhost.h"

#define BASE   GIB(1)
#define QUEUES 3 /* the last one is the device's own */
#define RINGS  2
#define SIZE   16

#define BIT(n)	      (UINT64_C(1) << (n))
#define VERSION_1     BIT(32)
#define EVENT_IDX     BIT(29)
#define INDIRECT_DESC BIT(28)
#define OWN_BIT	      BIT(5) /* a feature that is nidus's */
#define VHOST_BIT     BIT(15) /* one that the vhost has, too */

static struct memory memory;
static struct event_loop loop;
static struct virtio virtio;
static struct virtio_vhost *handed;
static struct driver driver[QUEUES];
static unsigned int processed[QUEUES];

/* The vhost. */

static unsigned int begun, started[RINGS], stopped[RINGS];
static uint64_t features;
static struct vhost_ring ring[RINGS];
static bool running[RINGS];
static uint16_t base[RINGS];
static int begin_error, start_error, stop_error;

static int vhost_begin(struct vhost *which, uint64_t what, const struct memory *ram)
{
	begun++;
	features = what;
	assert_ptr_equal(ram, &memory);
	assert_false(which->lost);
	for (unsigned int i = 0; i < RINGS; i++)
		assert_false(running[i]);
	which->lost = begin_error < 0;
	return begin_error;
}

static int vhost_start(struct vhost *which, unsigned int index, const struct vhost_ring *what)
{
	assert_true(index < RINGS && !running[index] && !which->lost);
	assert_int_not_equal(pthread_mutex_trylock(&virtio.queues[index].lock), 0);
	started[index]++;
	ring[index] = *what;
	running[index] = start_error == 0;
	which->lost = start_error < 0;
	return start_error;
}

static int vhost_stop(struct vhost *which, unsigned int index, uint16_t *next)
{
	stopped[index]++;
	running[index] = false;
	*next = base[index];
	if (which->lost)
		return -ENODEV;
	which->lost = stop_error < 0;
	return stop_error;
}

/* Translations: a question at a time, and what was answered and taken back. */

static struct {
	bool waits, write;
	unsigned int ring;
	uint64_t iova;
} question;
static struct vhost_translation told[16];
static unsigned int told_ring[16], told_count, forgotten;
static uint64_t forgotten_iova, forgotten_size;

static bool vhost_next_question(struct vhost *which, unsigned int *index, uint64_t *iova,
				bool *write)
{
	const bool waits = question.waits;

	question.waits = false;
	*index = question.ring;
	*iova = question.iova;
	*write = question.write;
	return waits;
}

static int vhost_translate(struct vhost *which, unsigned int index,
			   const struct vhost_translation *translation)
{
	assert_true(told_count < ARRAY_SIZE(told));
	told_ring[told_count] = index;
	told[told_count++] = *translation;
	return 0;
}

static int vhost_forget_translation(struct vhost *which, uint64_t iova, uint64_t size)
{
	forgotten++;
	forgotten_iova = iova;
	forgotten_size = size;
	return 0;
}

static const struct vhost_ops vhost_ops = {
	.name = "fake",
	.begin = vhost_begin,
	.start = vhost_start,
	.stop = vhost_stop,
	.next_question = vhost_next_question,
	.translate = vhost_translate,
	.forget_translation = vhost_forget_translation,
};

static struct vhost vhost;

/* The device. */

static void process(struct virtio_queue *queue)
{
	processed[queue->index]++;
	if (queue->index < RINGS)
		virtio_vhost_process(handed, queue);
}

static void give_up(struct virtio_queue *queue)
{
	if (queue->index < RINGS)
		virtio_vhost_drain(handed, queue);
}

static void revoke_told(struct virtio *which, bool all)
{
	virtio_vhost_revoke(handed, all);
}

static const struct virtio_ops ops = {
	.name = "virtio-test",
	.revoke = revoke_told,
	.device_id = 42,
	.process = process,
	.drain = give_up,
	.settle = give_up,
};

/* The transport. */

static unsigned int interrupts[QUEUES];
static int lent[QUEUES]; /* the eventfd that is lent for a queue, or -1 */
static bool lends;
static unsigned int borrowed[QUEUES];

static void queue_interrupt(struct virtio_transport *which, unsigned int queue)
{
	interrupts[queue]++;
}

static void config_interrupt(struct virtio_transport *which)
{
}

static int queue_lend(struct virtio_transport *which, unsigned int queue, struct event_loop *where)
{
	assert_ptr_equal(where, &loop);
	if (lends)
		borrowed[queue]++;
	return lends ? lent[queue] : -1;
}

static void queue_return(struct virtio_transport *which, unsigned int queue)
{
	/* Nobody raises it any more. */
	assert_false(running[queue]);
	assert_true(borrowed[queue] > 0);
	borrowed[queue]--;
}

static struct virtio_transport transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
	.queue_lend = queue_lend,
	.queue_return = queue_return,
};
static struct virtio_transport bare_transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
};

static int begin(void **state)
{
	struct event_loop *const loops[QUEUES] = { &loop, &loop, &loop };

	begun = 0;
	begin_error = start_error = stop_error = 0;
	memset(started, 0, sizeof(started));
	memset(stopped, 0, sizeof(stopped));
	memset(running, 0, sizeof(running));
	memset(base, 0, sizeof(base));
	memset(interrupts, 0, sizeof(interrupts));
	memset(borrowed, 0, sizeof(borrowed));
	memset(processed, 0, sizeof(processed));
	lends = true;
	for (unsigned int i = 0; i < QUEUES; i++)
		lent[i] = 1000 + i;
	vhost = (struct vhost){
		.ops = &vhost_ops,
		.features = VERSION_1 | EVENT_IDX | INDIRECT_DESC | VHOST_BIT | BIT(40),
		.rings = RINGS,
	};
	if (memory_create(&memory, BASE, MIB(2), MEMORY_ANON, NULL) < 0 ||
	    event_loop_create(&loop) < 0 ||
	    virtio_init(&virtio, &ops, &memory, loops, OWN_BIT | VHOST_BIT, QUEUES, SIZE) < 0 ||
	    virtio_vhost_create(&handed, &virtio, &vhost, &loop) < 0)
		return -1;
	virtio.transport = &transport;
	for (unsigned int i = 0; i < QUEUES; i++)
		driver[i] = driver_create(&memory, BASE + i * 0x4000, SIZE);
	return catch_begin(state);
}

static int finish(void **state)
{
	virtio_stop(&virtio);
	for (unsigned int i = 0; i < RINGS; i++) {
		assert_false(running[i]);
		assert_int_equal(borrowed[i], 0);
	}
	virtio_vhost_destroy(handed);
	virtio_fini(&virtio);
	event_loop_destroy(&loop);
	memory_destroy(&memory);
	return catch_end(state);
}

static void turn(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

static void activate(uint64_t wanted)
{
	virtio_set_status(&virtio, 1);
	virtio_set_status(&virtio, 3);
	virtio_set_features(&virtio, 0, wanted);
	virtio_set_features(&virtio, 1, wanted >> 32);
	virtio_set_status(&virtio, 11);
	for (unsigned int i = 0; i < QUEUES; i++) {
		virtio.queues[i].layout = driver[i].layout;
		virtio_queue_set_ready(&virtio.queues[i], true);
	}
	virtio_set_status(&virtio, 15);
	turn();
}

static void kick(unsigned int queue)
{
	event_notify(&virtio.queues[queue].kick);
}

/* What the vhost would be woken by. Reads it, as a process does. */
static bool kicked(unsigned int queue)
{
	uint64_t count;

	return read(virtio.queues[queue].kick.source.fd, &count, sizeof(count)) == sizeof(count);
}

static void use(unsigned int queue, uint16_t count)
{
	driver_used(&driver[queue])->idx += count;
}

static void queues_go_over_when_the_driver_is_ready(void **state)
{
	activate(VERSION_1 | EVENT_IDX | OWN_BIT | VHOST_BIT);
	assert_int_equal(begun, 1);
	/* What the driver accepted and the vhost has; not what is nidus's alone. */
	assert_int_equal(features, VERSION_1 | EVENT_IDX | VHOST_BIT);
	for (unsigned int i = 0; i < RINGS; i++) {
		assert_int_equal(started[i], 1);
		assert_int_equal(ring[i].desc, (uintptr_t)driver_table(&driver[i]));
		assert_int_equal(ring[i].avail, (uintptr_t)driver_avail(&driver[i]));
		assert_int_equal(ring[i].used, (uintptr_t)driver_used(&driver[i]));
		assert_int_equal(ring[i].size, SIZE);
		assert_int_equal(ring[i].base, 0);
		assert_int_equal(ring[i].kick, virtio.queues[i].kick.source.fd);
		assert_int_equal(ring[i].call, lent[i]);
	}
	assert_int_equal(borrowed[0], 1);
	assert_silent();
}

/* The vhost alone hears of them, of those that came before as well. */
static void kicks_are_the_vhosts(void **state)
{
	activate(VERSION_1);
	assert_true(kicked(0) && kicked(1));
	memset(processed, 0, sizeof(processed));
	kick(0);
	kick(2);
	turn();
	assert_int_equal(processed[0], 0);
	assert_int_equal(processed[2], 1);
	assert_true(kicked(0));
	assert_false(kicked(1));
}

static void a_reset_takes_queues_back(void **state)
{
	activate(VERSION_1 | VHOST_BIT);
	virtio_set_status(&virtio, 0);
	assert_int_equal(stopped[0] + stopped[1], 2);
	assert_int_equal(borrowed[0] + borrowed[1], 0);
	kick(0);
	turn();
	/* The next driver begins anew, and may want something else. */
	base[0] = 9;
	activate(VERSION_1);
	assert_int_equal(begun, 2);
	assert_int_equal(features, VERSION_1);
	assert_int_equal(started[0], 2);
	assert_int_equal(ring[0].base, 0);
}

static void one_queue_may_stop_and_start(void **state)
{
	activate(VERSION_1);
	virtio_queue_set_ready(&virtio.queues[1], false);
	assert_int_equal(stopped[0], 0);
	assert_int_equal(stopped[1], 1);
	virtio.queues[1].layout = driver[1].layout;
	virtio_queue_set_ready(&virtio.queues[1], true);
	turn();
	assert_int_equal(started[1], 2);
	assert_int_equal(begun, 1);
}

static void a_pause_in_mid_flight_goes_on_where_it_was(void **state)
{
	struct virtqueue *const queue = &virtio.queues[0].ring;

	activate(VERSION_1);
	use(0, 3);
	base[0] = 5;
	virtio_pause(&virtio, true);
	assert_false(running[0] || running[1]);
	assert_int_equal(queue->next_avail, 5);
	assert_int_equal(queue->next_used, 3);
	assert_int_equal(queue->published, 3);
	assert_int_equal(queue->signalled, 3);
	/* Kicks meanwhile start nothing. */
	kick(0);
	turn();
	assert_int_equal(started[0], 1);
	virtio_pause(&virtio, true);
	assert_int_equal(stopped[0], 1);

	virtio_pause(&virtio, false);
	turn();
	assert_true(running[0] && running[1]);
	assert_int_equal(begun, 2);
	assert_int_equal(ring[0].base, 5);
	/* And are made up for. */
	assert_true(kicked(0));
	kick(0);
	turn();
	assert_true(kicked(0));
}

static void a_device_that_pauses_starts_later(void **state)
{
	virtio_pause(&virtio, true);
	activate(VERSION_1);
	assert_int_equal(begun, 0);
	virtio_pause(&virtio, false);
	turn();
	assert_int_equal(started[0] + started[1], 2);
}

/* virtio-mmio, or a driver without MSI-X. */
static void without_an_eventfd_the_loop_interrupts(void **state)
{
	const uint64_t one = 1;

	for (unsigned int i = 0; i < 2; i++) {
		lends = false;
		virtio.transport = i == 0 ? &transport : &bare_transport;
		activate(VERSION_1);
		assert_true(ring[0].call >= 0 && ring[0].call != ring[1].call);
		use(1, 2);
		interrupts[1] = 0;
		assert_int_equal(write(ring[1].call, &one, 8), 8);
		turn();
		assert_int_equal(interrupts[0], 0);
		assert_int_equal(interrupts[1], 1);
		/* What the driver was told, as virtio-mmio wants to know. */
		assert_int_equal(virtio.queues[1].ring.signalled, driver_used(&driver[1])->idx);
		/* One that comes with the end of the ring is not lost. */
		assert_int_equal(write(ring[1].call, &one, 8), 8);
		virtio_pause(&virtio, true);
		turn();
		assert_int_equal(interrupts[1], 2);
		virtio_pause(&virtio, false);
		turn();
		/* After a reset there is nobody to be told. */
		assert_int_equal(write(ring[1].call, &one, 8), 8);
		virtio_set_status(&virtio, 0);
		turn();
		assert_int_equal(interrupts[1], 2);
		driver[1] = driver_create(&memory, BASE + 0x4000, SIZE);
	}
}

static void rings_that_the_vhost_has_not_are_not_offered(void **state)
{
	struct virtio_vhost *other;

	assert_true(virtio.offered & EVENT_IDX && virtio.offered & INDIRECT_DESC);
	assert_true(virtio.offered & OWN_BIT);
	vhost.features = VERSION_1 | INDIRECT_DESC;
	assert_int_equal(virtio_vhost_create(&other, &virtio, &vhost, &loop), 0);
	assert_false(virtio.offered & EVENT_IDX);
	assert_true(virtio.offered & INDIRECT_DESC && virtio.offered & OWN_BIT);
	virtio_vhost_destroy(other);
}

/* Nobody works on its queues then, and it is not asked again. */
static void check_nobody_works(unsigned int calls)
{
	assert_int_equal(begun + started[0] + started[1], calls);
	memset(processed, 0, sizeof(processed));
	for (unsigned int i = 0; i < 100; i++) {
		kick(0);
		turn();
	}
	assert_true(processed[0] > 0);
	assert_int_equal(begun + started[0] + started[1], calls);
	assert_int_equal(borrowed[0], 0);
	virtio_set_status(&virtio, 0);
	activate(VERSION_1);
	assert_int_equal(begun + started[0] + started[1], calls);
}

static void a_vhost_that_does_not_begin_is_left_alone(void **state)
{
	begin_error = -EPROTO;
	activate(VERSION_1);
	check_nobody_works(1);
}

static void a_vhost_that_does_not_start_is_left_alone(void **state)
{
	start_error = -EPROTO;
	activate(VERSION_1);
	check_nobody_works(2);
}

static void a_vhost_that_is_lost_gives_queues_back_by_a_reset(void **state)
{
	activate(VERSION_1);
	vhost.lost = true;
	kick(0);
	turn();
	assert_int_equal(stopped[0], 0);
	virtio_set_status(&virtio, 0);
	assert_int_equal(stopped[0] + stopped[1], 2);
	activate(VERSION_1);
	check_nobody_works(3);
}

static void a_vhost_that_is_lost_by_a_pause_has_done_what_is_used(void **state)
{
	activate(VERSION_1);
	use(0, 4);
	stop_error = -EPROTO;
	base[0] = 1234;
	virtio_pause(&virtio, true);
	assert_int_equal(virtio.queues[0].ring.next_avail, 4);
	virtio_pause(&virtio, false);
	turn();
	assert_int_equal(started[0], 1);
}

static void a_vhost_that_is_renewed_goes_on_behind_what_is_used(void **state)
{
	activate(VERSION_1);
	use(0, 4);
	vhost.lost = true;
	virtio_vhost_changed(handed);
	assert_int_equal(stopped[0] + stopped[1], 2);
	assert_int_equal(virtio.queues[0].ring.next_avail, 4);
	/* Nobody works on it meanwhile, and what the driver kicks for is not forgotten. */
	kick(0);
	turn();
	assert_int_equal(started[0], 1);
	virtio_vhost_changed(handed);
	assert_int_equal(stopped[0] + stopped[1], 2);

	vhost.lost = false;
	virtio_vhost_changed(handed);
	turn();
	assert_int_equal(begun, 2);
	assert_int_equal(started[0], 2);
	assert_int_equal(started[1], 2);
	assert_int_equal(ring[0].base, 4);
	assert_true(running[0] && running[1]);
}

#define on_vhost(test) cmocka_unit_test_setup_teardown(test, begin, finish)

/* Behind an IOMMU. */

#define ACCESS_PLATFORM BIT(33)
#define WINDOW		UINT64_C(0x500000000) /* IOVA of BASE */
#define PAGE		IOMMU_PAGE
#define DATA		(WINDOW + MIB(1)) /* a mapping of 4 pages */
#define BOTH		(IOMMU_READ | IOMMU_WRITE)

static struct iommu iommu;
static struct iommu_endpoint endpoint;
static unsigned int faults;

static void asked_to_forget(struct iommu_endpoint *which, bool all)
{
	virtio_revoke(&virtio, all);
}

static void fault(struct iommu *which, const struct iommu_fault *what)
{
	faults++;
}

static void map(uint64_t iova, uint64_t pages, uint32_t allows)
{
	assert_int_equal(
		iommu_map(&iommu, 1, iova, iova + pages * PAGE - 1, iova - WINDOW + BASE, allows),
		IOMMU_OK);
}

static void unmap(uint64_t iova, uint64_t pages)
{
	assert_int_equal(iommu_unmap(&iommu, 1, iova, iova + pages * PAGE - 1), IOMMU_OK);
}

/* Rings have a page each, and pages a mapping each. */
static int begin_behind(void **state)
{
	if (begin(state) < 0 || iommu_create(&iommu, 64) < 0)
		return -1;
	iommu.msi_start = iommu.msi_end = UINT64_MAX;
	iommu.fault = fault;
	iommu_add(&iommu, &endpoint, 8, asked_to_forget);
	assert_int_equal(virtio_put_behind(&virtio, &endpoint), 0);
	assert_int_equal(iommu_attach(&iommu, 8, 1, false), IOMMU_OK);
	for (uint64_t i = 0; i < QUEUES * 4; i++)
		map(WINDOW + i * PAGE, 1, BOTH);
	map(DATA, 4, BOTH);
	told_count = forgotten = faults = 0;
	question.waits = false;
	for (unsigned int i = 0; i < QUEUES; i++) {
		driver[i].layout.desc += WINDOW - BASE;
		driver[i].layout.avail += WINDOW - BASE;
		driver[i].layout.used += WINDOW - BASE;
	}
	activate(VERSION_1 | ACCESS_PLATFORM);
	return 0;
}

static int finish_behind(void **state)
{
	iommu_remove(&endpoint);
	finish(state);
	iommu_destroy(&iommu);
	return 0;
}

static void ask(unsigned int index, uint64_t iova, bool write)
{
	question.waits = true;
	question.ring = index;
	question.iova = iova;
	question.write = write;
	vhost.asks(vhost.asked);
}

static bool needs_reset(void)
{
	return atomic_load(&virtio.status) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void rings_are_told_before_they_start(void **state)
{
	assert_int_equal(features, VERSION_1 | ACCESS_PLATFORM);
	for (unsigned int i = 0; i < RINGS; i++) {
		assert_true(running[i]);
		assert_int_equal(ring[i].desc, WINDOW + i * 0x4000);
		assert_int_equal(ring[i].avail, WINDOW + i * 0x4000 + 0x1000);
		assert_int_equal(ring[i].used, WINDOW + i * 0x4000 + 0x2000);
	}
	assert_int_equal(told_count, 3 * RINGS);
	for (unsigned int i = 0; i < told_count; i++) {
		const uint64_t at = i / 3 * 0x4000 + i % 3 * PAGE;

		assert_int_equal(told_ring[i], i / 3);
		assert_int_equal(told[i].iova, WINDOW + at);
		assert_int_equal(told[i].gpa, BASE + at);
		assert_int_equal(told[i].size, PAGE);
	}
}

static void questions_are_answered_with_whole_mappings(void **state)
{
	told_count = 0;
	ask(1, DATA + 0x1234, true);
	assert_int_equal(told_count, 1);
	assert_int_equal(told_ring[0], 1);
	assert_int_equal(told[0].iova, DATA);
	assert_int_equal(told[0].size, 4 * PAGE);
	assert_int_equal(told[0].gpa, BASE + MIB(1));
	assert_true(told[0].read && told[0].write);
	assert_false(needs_reset());
}

/* Before it is answered. */
static void what_is_unmapped_is_forgotten(void **state)
{
	unmap(DATA, 4);
	assert_int_equal(forgotten, 0);
	map(DATA, 4, IOMMU_READ);
	ask(0, DATA, false);
	assert_false(told[told_count - 1].write);
	unmap(DATA, 4);
	assert_int_equal(forgotten, 1);
	assert_int_equal(forgotten_iova, DATA);
	assert_int_equal(forgotten_size, 4 * PAGE);
	assert_true(running[0] && running[1]);
	assert_false(needs_reset());
}

static void what_is_nowhere_asks_for_a_reset(void **state)
{
	told_count = 0;
	ask(0, DATA + 4 * PAGE, true);
	assert_int_equal(told_count, 0);
	assert_int_equal(faults, 1);
	assert_true(needs_reset());
}

static void rings_that_go_are_taken_back(void **state)
{
	unmap(WINDOW + 2 * PAGE, 1);
	assert_false(running[0]);
	assert_true(running[1]);
	assert_true(needs_reset());
	assert_int_equal(forgotten, 1);
	assert_int_equal(forgotten_iova, WINDOW + 2 * PAGE);
}

static void who_is_moved_elsewhere_is_taken_back(void **state)
{
	assert_int_equal(iommu_detach(&iommu, 8, 1), IOMMU_OK);
	assert_false(running[0] || running[1]);
	assert_true(needs_reset());
	/* Nobody holds what it knew. */
	assert_int_equal(iommu.mappings, 0);
}

static void a_vhost_without_rings_is_told_nothing(void **state)
{
	ask(0, DATA, true);
	virtio_pause(&virtio, true);
	assert_false(running[0] || running[1]);
	told_count = 0;
	ask(0, DATA, true);
	assert_int_equal(told_count, 0);
	unmap(DATA, 4);
	assert_int_equal(forgotten, 0);
	virtio_pause(&virtio, false);
	turn();
	assert_true(running[0] && running[1]);
	assert_int_equal(told_count, 3 * RINGS);
}

#define behind_iommu(test) cmocka_unit_test_setup_teardown(test, begin_behind, finish_behind)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_vhost(queues_go_over_when_the_driver_is_ready),
		on_vhost(kicks_are_the_vhosts),
		on_vhost(a_reset_takes_queues_back),
		on_vhost(one_queue_may_stop_and_start),
		on_vhost(a_pause_in_mid_flight_goes_on_where_it_was),
		on_vhost(a_device_that_pauses_starts_later),
		on_vhost(without_an_eventfd_the_loop_interrupts),
		on_vhost(rings_that_the_vhost_has_not_are_not_offered),
		on_vhost(a_vhost_that_does_not_begin_is_left_alone),
		on_vhost(a_vhost_that_does_not_start_is_left_alone),
		on_vhost(a_vhost_that_is_lost_gives_queues_back_by_a_reset),
		on_vhost(a_vhost_that_is_lost_by_a_pause_has_done_what_is_used),
		on_vhost(a_vhost_that_is_renewed_goes_on_behind_what_is_used),
		behind_iommu(rings_are_told_before_they_start),
		behind_iommu(questions_are_answered_with_whole_mappings),
		behind_iommu(what_is_unmapped_is_forgotten),
		behind_iommu(what_is_nowhere_asks_for_a_reset),
		behind_iommu(rings_that_go_are_taken_back),
		behind_iommu(who_is_moved_elsewhere_is_taken_back),
		behind_iommu(a_vhost_without_rings_is_told_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
