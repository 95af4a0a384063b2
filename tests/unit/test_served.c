// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/fuse.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "unit.h"

#include "devices/served/served_parts.h"
#include "driver.h"
#include "util.h"

#define BASE	  GIB(1)
#define REQUESTS  (BASE + MIB(1))
#define ANSWERS	  (BASE + MIB(2))
#define SIZE	  16
#define VERSION_1 (UINT64_C(1) << 32)

static struct memory memory;
static struct event_loop loop;
static struct virtio *virtio;
static struct driver driver;
static unsigned int interrupts, config_interrupts;

/* Who serves. */

static struct served served;
static struct vhost vhost;
static unsigned int started, stopped, forgotten, begun;
static bool revives; /* who is gone */
static uint16_t base;
static uint32_t written_at;
static int config_error;
static bool attached;

static int vhost_begin(struct vhost *which, uint64_t features, const struct memory *ram)
{
	return 0;
}

static int vhost_start(struct vhost *which, unsigned int index, const struct vhost_ring *ring)
{
	started++;
	base = ring->base;
	return 0;
}

static int vhost_stop(struct vhost *which, unsigned int index, uint16_t *next)
{
	stopped++;
	*next = 0;
	return which->lost ? -ENODEV : 0;
}

static void vhost_forget(struct vhost *which)
{
	forgotten++;
}

static int vhost_config_set(struct vhost *which, uint32_t offset, const void *value, uint32_t size)
{
	written_at = offset;
	return config_error;
}

static const struct vhost_ops vhost_ops = {
	.name = "fake",
	.begin = vhost_begin,
	.start = vhost_start,
	.stop = vhost_stop,
	.forget = vhost_forget,
	.config_set = vhost_config_set,
};

static int served_attach(struct served *which, struct event_loop *main_loop)
{
	attached = true;
	return 0;
}

static void served_detach(struct served *which)
{
	attached = false;
}

static void served_begin(struct served *which)
{
	begun++;
	if (revives)
		atomic_store(&which->state, SERVED_AWAY);
}

static const struct served_ops served_ops = {
	.attach = served_attach,
	.detach = served_detach,
	.begin = served_begin,
};

static void queue_interrupt(struct virtio_transport *which, unsigned int queue)
{
	interrupts++;
}

static void config_interrupt(struct virtio_transport *which)
{
	config_interrupts++;
}

static struct virtio_transport transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
};

static int begin(void **state)
{
	started = stopped = forgotten = begun = interrupts = config_interrupts = 0;
	revives = false;
	config_error = 0;
	virtio = NULL;
	if (event_loop_create(&loop) < 0 ||
	    memory_create(&memory, BASE, MIB(4), MEMORY_ANON, NULL) < 0)
		return -1;
	return catch_begin(state);
}

static int finish(void **state)
{
	if (virtio)
		virtio->ops->destroy(virtio);
	assert_false(attached);
	memory_destroy(&memory);
	event_loop_destroy(&loop);
	return catch_end(state);
}

static void turn(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

/* A device of that number, whose driver runs its last queue that is served. */
static void create(uint32_t device_id)
{
	const struct served_kind *kind = served_kind_find(device_id);
	const unsigned int rings = kind ? kind->queues - kind->idle : 1;

	vhost = (struct vhost){ .ops = &vhost_ops, .features = UINT64_MAX, .rings = rings };
	served = (struct served){
		.ops = &served_ops,
		.by = "fake",
		.vhost = &vhost,
		.queues = kind ? kind->queues : 1,
		.config_size = 60,
	};
	served.kind =
		kind ? *kind : (struct served_kind){ .name = "other", .device_id = device_id };
	for (unsigned int i = 0; i < served.config_size; i++)
		served.config[i] = i;
	assert_int_equal(served_create(&virtio, &memory, &loop, &served), 0);
	virtio->transport = &transport;
}

static void run_queue(unsigned int index)
{
	struct virtio_queue *queue = &virtio->queues[index];

	driver = driver_create(&memory, BASE, SIZE);
	pthread_mutex_lock(&virtio->lock);
	virtio_set_status(virtio, 3);
	virtio_set_features(virtio, 1, 1);
	virtio_set_status(virtio, 11);
	queue->layout = driver.layout;
	virtio_queue_set_ready(queue, true);
	virtio_set_status(virtio, 15);
	pthread_mutex_unlock(&virtio->lock);
	turn();
}

static void reset(void)
{
	pthread_mutex_lock(&virtio->lock);
	virtio_set_status(virtio, 0);
	pthread_mutex_unlock(&virtio->lock);
}

/* Request n, of FUSE or of a disk: its answer has so many bytes. */
static void offer(unsigned int n, uint32_t answer)
{
	struct fuse_in_header *request =
		memory_at(&memory, REQUESTS + n * 0x1000, sizeof(*request));

	request->unique = 100 + n;
	memset(memory_at(&memory, ANSWERS + n * 0x1000, 0x1000), 0xee, 0x1000);
	driver_desc(&driver, 2 * n, REQUESTS + n * 0x1000, sizeof(*request), answer ? NEXT : 0,
		    2 * n + 1);
	if (answer)
		driver_desc(&driver, 2 * n + 1, ANSWERS + n * 0x1000, answer, WRITE, 0);
	driver_offer(&driver, 2 * n);
}

static void change(enum served_state state)
{
	vhost.lost = state != SERVED_UP;
	atomic_store(&served.state, state);
	served.changed(served.device);
	turn();
}

static void assert_used(unsigned int index, unsigned int n, uint32_t length)
{
	const struct vring_used *used = driver_used(&driver);

	assert_true((uint16_t)(used->idx - index) > 0);
	assert_int_equal(used->ring[index % SIZE].id, 2 * n);
	assert_int_equal(used->ring[index % SIZE].len, length);
}

static const struct fuse_out_header *answer_of(unsigned int n)
{
	return memory_at(&memory, ANSWERS + n * 0x1000, sizeof(struct fuse_out_header));
}

static void queues_are_handed_over(void **state)
{
	create(VIRTIO_ID_VSOCK);
	assert_int_equal(virtio->queue_count, 3);
	assert_int_equal(virtio->offered & 0xffffff, 1 << 1);
	run_queue(1);
	assert_int_equal(started, 1);
	/* The third is nobody's. */
	virtio->ops->destroy(virtio);
	create(VIRTIO_ID_VSOCK);
	run_queue(2);
	assert_int_equal(started, 1);
	virtio->ops->destroy(virtio);
	virtio = NULL;
	assert_int_equal(stopped, 1);
}

static void features_are_those_of_the_kind_and_of_who_serves(void **state)
{
	create(VIRTIO_ID_FS);
	assert_int_equal(virtio->offered & 0xffffff, 0);
	assert_string_equal(virtio->ops->name, "fs");
	assert_int_equal(virtio->ops->device_id, 26);
	virtio->ops->destroy(virtio);
	create(VIRTIO_ID_BLOCK);
	assert_int_equal(virtio->offered >> VIRTIO_BLK_F_FLUSH & 1, 1);
	assert_int_equal(virtio->offered >> 17 & 1, 0);
}

static void configuration_goes_both_ways(void **state)
{
	uint64_t value = 0;

	create(VIRTIO_ID_BLOCK);
	pthread_mutex_lock(&virtio->lock);
	virtio_config_read(virtio, 8, &value, 4);
	assert_int_equal(value, 0x0b0a0908);
	virtio_config_write(virtio, 32, 0x77, 1);
	assert_int_equal(written_at, 32);
	virtio_config_read(virtio, 32, &value, 1);
	assert_int_equal(value, 0x77);
	/* What is refused has not changed. */
	config_error = -EPROTO;
	virtio_config_write(virtio, 32, 0x99, 1);
	virtio_config_read(virtio, 32, &value, 1);
	assert_int_equal(value, 0x77);
	pthread_mutex_unlock(&virtio->lock);
}

static void requests_of_a_file_system_fail_when_its_server_ends(void **state)
{
	create(VIRTIO_ID_FS);
	run_queue(1);
	assert_int_equal(started, 1);
	offer(0, 200);
	offer(1, 0); /* wants no answer */
	offer(2, 8); /* has no room for one */
	change(SERVED_AWAY);
	assert_int_equal(stopped, 1);
	assert_used(0, 0, sizeof(struct fuse_out_header));
	assert_used(1, 1, 0);
	assert_used(2, 2, 0);
	assert_int_equal(answer_of(0)->len, sizeof(struct fuse_out_header));
	assert_int_equal(answer_of(0)->error, -ENOTCONN);
	assert_int_equal(answer_of(0)->unique, 100);
	assert_int_equal(*(uint8_t *)answer_of(2), 0xee);
	assert_true(interrupts > 0);
	/* Later ones wait for the next, which begins behind those. */
	offer(3, 200);
	event_notify(&virtio->queues[1].kick);
	turn();
	assert_int_equal(driver_used(&driver)->idx, 3);
	change(SERVED_UP);
	assert_int_equal(started, 2);
	assert_int_equal(base, 3);
	assert_silent();
}

static void all_requests_fail_where_nobody_serves_any_more(void **state)
{
	create(VIRTIO_ID_FS);
	run_queue(1);
	change(SERVED_GONE);
	offer(0, 200);
	event_notify(&virtio->queues[1].kick);
	turn();
	assert_used(0, 0, sizeof(struct fuse_out_header));
	assert_int_equal(started, 1);
	/* The driver is to kick for the next one. */
	assert_int_equal(driver_used(&driver)->flags, 0);
}

/* Of those that were in flight nobody knows which are done. */
static void of_a_disk_only_later_requests_fail(void **state)
{
	uint8_t *status;

	create(VIRTIO_ID_BLOCK);
	run_queue(0);
	offer(0, 513);
	offer(1, 513);
	change(SERVED_GONE);
	assert_int_equal(driver_used(&driver)->idx, 0);
	offer(2, 513);
	offer(3, 1);
	event_notify(&virtio->queues[0].kick);
	turn();
	assert_int_equal(driver_used(&driver)->idx, 2);
	assert_used(0, 2, 0);
	assert_used(1, 3, 1);
	status = memory_at(&memory, ANSWERS + 0x2000, 513);
	assert_int_equal(status[512], VIRTIO_BLK_S_IOERR);
	assert_int_equal(status[511], 0xee);
	assert_int_equal(*(uint8_t *)memory_at(&memory, ANSWERS + 0x3000, 1), VIRTIO_BLK_S_IOERR);
	/* After a reset all are new. */
	reset();
	assert_int_equal(forgotten, 1);
}

/* Twice: what was given up once is not taken for given up when the next one is gone. */
static void after_a_reset_a_disk_is_served_anew(void **state)
{
	create(VIRTIO_ID_BLOCK);
	run_queue(0);
	assert_int_equal(begun, 1);
	revives = true;
	for (unsigned int i = 1; i < 3; i++) {
		offer(0, 513);
		change(SERVED_GONE);
		offer(1, 513);
		event_notify(&virtio->queues[0].kick);
		turn();
		assert_int_equal(driver_used(&driver)->idx, 1);
		assert_used(0, 1, 0);
		reset();
		assert_int_equal(begun, i);
		run_queue(0);
		assert_int_equal(begun, i + 1);
		/* Its requests wait for who comes. */
		offer(0, 513);
		event_notify(&virtio->queues[0].kick);
		turn();
		assert_int_equal(driver_used(&driver)->idx, 0);
		assert_int_equal(started, i);
		change(SERVED_UP);
		assert_int_equal(started, i + 1);
		assert_int_equal(base, 0);
	}
	assert_silent();
}

/* Somebody else may come in place of who is gone while the driver goes on. */
static void who_comes_is_owed_all_requests(void **state)
{
	create(VIRTIO_ID_BLOCK);
	run_queue(0);
	change(SERVED_GONE);
	change(SERVED_UP);
	offer(0, 513);
	change(SERVED_GONE);
	/* What the next one had begun stays without an answer, as what the first one had. */
	assert_int_equal(driver_used(&driver)->idx, 0);
}

static void the_next_life_knows_nothing_of_requests(void **state)
{
	create(VIRTIO_ID_BLOCK);
	run_queue(0);
	assert_int_equal(forgotten, 0);
	virtio->ops->destroy(virtio);
	virtio = NULL;
	assert_int_equal(forgotten, 1);
}

static void requests_of_a_disk_wait_for_who_remembers_them(void **state)
{
	create(VIRTIO_ID_BLOCK);
	run_queue(0);
	offer(0, 513);
	change(SERVED_AWAY);
	event_notify(&virtio->queues[0].kick);
	turn();
	assert_int_equal(driver_used(&driver)->idx, 0);
	change(SERVED_UP);
	assert_int_equal(started, 2);
	assert_int_equal(config_interrupts, 1); /* it may be of another size */
}

static void what_has_no_errors_asks_for_a_reset(void **state)
{
	create(50);
	run_queue(0);
	offer(0, 100);
	change(SERVED_GONE);
	assert_int_equal(driver_used(&driver)->idx, 0);
	assert_int_equal(virtio->status & VIRTIO_CONFIG_S_NEEDS_RESET, VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_silent();
}

/* A driver that breaks its queue while its requests fail. */
static void broken_queues_are_survived(void **state)
{
	create(VIRTIO_ID_FS);
	run_queue(1);
	driver_desc(&driver, 0, BASE - 0x1000, 100, 0, 0);
	driver_offer(&driver, 0);
	change(SERVED_GONE);
	assert_int_equal(driver_used(&driver)->idx, 0);
	assert_said("violated the virtio protocol");
	change(SERVED_GONE);
}

static void types_are_names_and_numbers(void **state)
{
	static const struct {
		const char *text;
		uint32_t device_id;
	} types[] = { { "fs", 26 },    { "blk", 2 },   { "vsock", 19 }, { "rng", 4 },
		      { "input", 18 }, { "snd", 25 },  { "scmi", 32 },	{ "i2c", 34 },
		      { "can", 36 },   { "gpio", 41 }, { "1", 1 },	{ "63", 63 } };
	static const char *const none[] = { "", "0", "64", "-1", "block", "FS", "2x" };
	uint32_t device_id;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		assert_true(served_type_parse(types[i].text, &device_id));
		assert_int_equal(device_id, types[i].device_id);
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_false(served_type_parse(none[i], &device_id));
}

#define on_device(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_device(queues_are_handed_over),
		on_device(features_are_those_of_the_kind_and_of_who_serves),
		on_device(configuration_goes_both_ways),
		on_device(requests_of_a_file_system_fail_when_its_server_ends),
		on_device(all_requests_fail_where_nobody_serves_any_more),
		on_device(of_a_disk_only_later_requests_fail),
		on_device(after_a_reset_a_disk_is_served_anew),
		on_device(who_comes_is_owed_all_requests),
		on_device(the_next_life_knows_nothing_of_requests),
		on_device(requests_of_a_disk_wait_for_who_remembers_them),
		on_device(what_has_no_errors_asks_for_a_reset),
		on_device(broken_queues_are_survived),
		on_device(types_are_names_and_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
