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

static const struct vhost_ops vhost_ops = {
	.name = "fake",
	.begin = vhost_begin,
	.start = vhost_start,
	.stop = vhost_stop,
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

static const struct virtio_ops ops = {
	.name = "virtio-test",
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
