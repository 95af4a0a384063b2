// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <time.h>

#include "devices/pl011.h"
#include "unit.h"
#include "util.h"

/* Offsets and bits, from the manual (Arm DDI 0183) and not from the device under test. */
enum {
	DR = 0x00,
	RSR = 0x04,
	FR = 0x18,
	ILPR = 0x20,
	IBRD = 0x24,
	FBRD = 0x28,
	LCR_H = 0x2c,
	CR = 0x30,
	IFLS = 0x34,
	IMSC = 0x38,
	RIS = 0x3c,
	MIS = 0x40,
	ICR = 0x44,
	DMACR = 0x48,
};

#define RXFE 0x10
#define RXFF 0x40
#define TXFE 0x80
#define FEN  0x10
#define LBE  0x80
#define RX   0x10
#define TX   0x20
#define RT   0x40
#define OE   0x400

static char sent[64]; /* by the guest */
static size_t sent_count;
static const char *pending; /* for the guest */
static size_t reads_of_nothing;
static unsigned int irq_changes;
static bool irq_level;
static struct console console;
static struct device *uart;
static struct event_loop loop;

/* In place of vmm/host/event.c and of the clock: time goes when a test says so. */

#define MILLISECOND UINT64_C(1000000)

static uint64_t now_ns;
static struct event_timer *timer; /* the one of uart */
static uint64_t timer_due; /* 0: disarmed */
static unsigned int timers_armed;

int clock_gettime(clockid_t clock, struct timespec *now)
{
	*now = (struct timespec){ now_ns / 1000000000, now_ns % 1000000000 };
	return 0;
}

int event_timer_create(struct event_timer *which, struct event_loop *on, int clock,
		       void (*expired)(struct event_timer *timer))
{
	assert_ptr_equal(on, &loop);
	assert_int_equal(clock, CLOCK_MONOTONIC);
	which->expired = expired;
	if (!timer)
		timer = which;
	return 0;
}

void event_timer_destroy(struct event_timer *which)
{
	if (which == timer)
		timer = NULL;
}

void event_timer_in(struct event_timer *which, uint64_t nanoseconds)
{
	assert_ptr_equal(which, timer);
	assert_true(nanoseconds > 0);
	timer_due = now_ns + nanoseconds;
	timers_armed++;
}

static void wait_ns(uint64_t nanoseconds)
{
	now_ns += nanoseconds;
	if (timer_due && now_ns >= timer_due) {
		timer_due = 0;
		timer->expired(timer);
	}
}

static void console_write(struct console *which, const uint8_t *bytes, size_t count)
{
	assert_ptr_equal(which, &console);
	assert_true(sent_count + count <= sizeof(sent));
	memcpy(sent + sent_count, bytes, count);
	sent_count += count;
}

static size_t console_read(struct console *which, uint8_t *bytes, size_t count)
{
	size_t have = strnlen(pending, count);

	assert_ptr_equal(which, &console);
	reads_of_nothing += count == 0;
	memcpy(bytes, pending, have);
	pending += have;
	return have;
}

static void irq_set(const struct irq_line *line, bool level)
{
	/* The owner calls it for changes only. */
	assert_int_equal(line->intid, 33);
	assert_int_not_equal(irq_level, level);
	irq_level = level;
	irq_changes++;
}

static int begin(void **state)
{
	sent_count = irq_changes = reads_of_nothing = timers_armed = 0;
	timer_due = 0;
	now_ns = 1000000000;
	pending = "";
	irq_level = false;
	console = (struct console){ .write = console_write, .read = console_read };
	assert_int_equal(pl011_create(&uart, 0x9000000,
				      (struct irq_line){ .set = irq_set, .intid = 33 }, 1, &loop,
				      &console, true),
			 0);
	return uart ? 0 : -1;
}

static int finish(void **state)
{
	uart->ops->destroy(uart);
	assert_null(console.input);
	return 0;
}

static enum mmio_result access_with(struct mmio_access *mmio)
{
	return uart->ops->access(uart, mmio);
}

static uint32_t get(uint64_t offset)
{
	struct mmio_access mmio = { .offset = offset, .size = 4, .value = UINT64_MAX };

	assert_int_equal(access_with(&mmio), MMIO_DONE);
	assert_true(mmio.value <= UINT32_MAX);
	return mmio.value;
}

static void set(uint64_t offset, uint32_t value)
{
	struct mmio_access mmio = { .offset = offset, .size = 4, .write = true, .value = value };

	assert_int_equal(access_with(&mmio), MMIO_DONE);
}

/* The host has text for the guest. */
static void type(const char *text)
{
	pending = text;
	console.input(console.device);
}

/* Registers. */

static void reset_values(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t value;
	} cases[] = {
		{ DR, 0 },    { RSR, 0 },    { FR, TXFE | RXFE | 1 },
		{ ILPR, 0 },  { IBRD, 0 },   { FBRD, 0 },
		{ LCR_H, 0 }, { CR, 0x300 }, { IFLS, 0x12 },
		{ IMSC, 0 },  { RIS, 0 },    { MIS, 0 },
		{ DMACR, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(get(cases[i].offset), cases[i].value);
	assert_int_equal(irq_changes, 0);
}

static void identification(void **state)
{
	static const uint8_t id[] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(get(0xfe0 + 4 * i), id[i]);
}

static void writable_bits(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t mask;
	} cases[] = {
		{ ILPR, 0xff }, { IBRD, 0xffff }, { FBRD, 0x3f },  { LCR_H, 0xff },
		{ CR, 0xff87 }, { IFLS, 0x3f },	  { IMSC, 0x7ff }, { DMACR, 7 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		set(cases[i].offset, UINT32_MAX);
		assert_int_equal(get(cases[i].offset), cases[i].mask);
		set(cases[i].offset, 0);
		assert_int_equal(get(cases[i].offset), 0);
	}
}

static void flags_cannot_be_written(void **state)
{
	set(FR, UINT32_MAX);
	assert_int_equal(get(FR), TXFE | RXFE | 1);
}

static void bad_accesses_are_told(void **state)
{
	static const struct mmio_access cases[] = {
		{ .offset = DR, .size = 8 },
		{ .offset = DR, .size = 8, .write = true },
		{ .offset = DR + 1, .size = 1 },
		{ .offset = DR + 2, .size = 2, .write = true },
		{ .offset = CR + 3, .size = 1 },
		{ .offset = 0x08, .size = 4 },
		{ .offset = 0x1c, .size = 4, .write = true },
		{ .offset = 0x4c, .size = 4 },
		{ .offset = 0x80, .size = 4 }, /* test registers */
		{ .offset = 0xfdc, .size = 4 },
		{ .offset = ICR, .size = 4 },
		{ .offset = RIS, .size = 4, .write = true },
		{ .offset = MIS, .size = 4, .write = true },
		{ .offset = 0xfe0, .size = 4, .write = true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mmio_access mmio = cases[i];

		assert_int_equal(access_with(&mmio), MMIO_BAD);
	}
	assert_int_equal(sent_count, 0);
}

static void narrow_accesses_work(void **state)
{
	struct mmio_access byte = { .offset = DR, .size = 1, .write = true, .value = 'n' };
	struct mmio_access half = { .offset = CR, .size = 2 };

	assert_int_equal(access_with(&byte), MMIO_DONE);
	assert_memory_equal(sent, "n", 1);
	assert_int_equal(access_with(&half), MMIO_DONE);
	assert_int_equal(half.value, 0x300);
}

static void registers_have_names(void **state)
{
	static const struct {
		uint64_t offset;
		const char *name;
	} cases[] = {
		{ DR, "UARTDR" },	{ RSR, "UARTRSR" },	{ FR, "UARTFR" },
		{ ILPR, "UARTILPR" },	{ IBRD, "UARTIBRD" },	{ FBRD, "UARTFBRD" },
		{ LCR_H, "UARTLCR_H" }, { CR, "UARTCR" },	{ IFLS, "UARTIFLS" },
		{ IMSC, "UARTIMSC" },	{ RIS, "UARTRIS" },	{ MIS, "UARTMIS" },
		{ ICR, "UARTICR" },	{ DMACR, "UARTDMACR" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(uart->ops->register_name(cases[i].offset), cases[i].name);
	for (uint64_t offset = 0xfe0; offset < 0x1000; offset += 4)
		assert_string_equal(uart->ops->register_name(offset), "identification");
	assert_null(uart->ops->register_name(0x08));
	assert_null(uart->ops->register_name(0x4c));
	assert_null(uart->ops->register_name(0xfdc));
}

/* Transmission. */

static void bytes_are_sent(void **state)
{
	set(DR, 'n');
	set(DR, 'i');
	set(DR, 0xffffff00 | 'd');
	assert_int_equal(sent_count, 3);
	assert_memory_equal(sent, "nid", 3);
	assert_int_equal(get(FR) & TXFE, TXFE);
}

static void sending_raises_the_transmit_interrupt(void **state)
{
	set(IMSC, TX);
	assert_false(irq_level);
	set(DR, 'n');
	assert_int_equal(get(RIS), TX);
	assert_true(irq_level);
	set(ICR, TX);
	assert_int_equal(get(RIS), 0);
	assert_false(irq_level);
}

/* Reception. */

static void bytes_are_received_in_order(void **state)
{
	set(LCR_H, FEN);
	type("nest");
	assert_int_equal(get(FR) & RXFE, 0);
	assert_int_equal(get(DR), 'n');
	assert_int_equal(get(DR), 'e');
	assert_int_equal(get(DR), 's');
	assert_int_equal(get(DR), 't');
	assert_int_equal(get(FR) & RXFE, RXFE);
	assert_int_equal(get(DR), 0);
}

static void the_fifo_holds_sixteen(void **state)
{
	set(LCR_H, FEN);
	type("0123456789abcdefghi");
	assert_string_equal(pending, "ghi");
	assert_int_equal(get(FR) & RXFF, RXFF);
	/* Each byte that is taken makes room for another. */
	for (const char *byte = "0123456789abcdefghi"; *byte; byte++)
		assert_int_equal(get(DR), *byte);
	assert_int_equal(get(FR) & RXFE, RXFE);
	assert_int_equal(get(RSR), 0);
}

static void without_fifo_there_is_one_byte(void **state)
{
	type("abc");
	assert_string_equal(pending, "bc");
	assert_int_equal(get(FR) & RXFF, RXFF);
	assert_int_equal(get(RIS), RX | RT);
	assert_int_equal(get(DR), 'a');
	assert_int_equal(get(DR), 'b');
	assert_int_equal(get(DR), 'c');
	assert_int_equal(get(FR) & (RXFF | RXFE), RXFE);
}

static void switching_the_fifo_empties_it(void **state)
{
	set(LCR_H, FEN);
	type("abc");
	set(LCR_H, 0);
	assert_int_equal(get(FR) & (RXFF | RXFE), RXFE);
	assert_int_equal(get(RIS) & (RX | RT), 0);
	type("d");
	assert_int_equal(get(DR), 'd');
}

static void line_control_alone_does_not_empty_it(void **state)
{
	set(LCR_H, FEN);
	type("abc");
	set(LCR_H, FEN | 0x60);
	assert_int_equal(get(DR), 'a');
}

static void the_trigger_is_where_ifls_says(void **state)
{
	static const unsigned int trigger[] = { 2, 4, 8, 12, 14 };

	for (uint32_t select = 0; select < ARRAY_SIZE(trigger); select++) {
		finish(state);
		begin(state);
		set(LCR_H, FEN);
		set(IFLS, select << 3);
		for (unsigned int count = 1; count <= 16; count++) {
			type("x");
			assert_int_equal(get(RIS) & RX, count >= trigger[select] ? RX : 0);
		}
		for (unsigned int count = 16; count > 0; count--) {
			assert_int_equal(get(RIS) & RX, count >= trigger[select] ? RX : 0);
			get(DR);
		}
	}
}

static void timeout_interrupt_stays_while_there_is_data(void **state)
{
	set(LCR_H, FEN);
	set(IMSC, RT);
	type("ab");
	assert_int_equal(get(RIS), RT);
	assert_true(irq_level);
	get(DR);
	assert_true(irq_level);
	get(DR);
	assert_int_equal(get(RIS), 0);
	assert_false(irq_level);
}

static void ring_wraps_round(void **state)
{
	static const char text[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";

	set(LCR_H, FEN);
	for (size_t i = 0; i + 2 < sizeof(text) - 1; i += 3) {
		const char three[] = { text[i], text[i + 1], text[i + 2], '\0' };

		type(three);
		for (unsigned int j = 0; j < 3; j++)
			assert_int_equal(get(DR), text[i + j]);
		assert_int_equal(get(FR) & RXFE, RXFE);
	}
}

static void a_full_fifo_asks_for_nothing(void **state)
{
	set(LCR_H, FEN);
	type("0123456789abcdefg");
	type("g");
	assert_string_equal(pending, "g");
	assert_int_equal(reads_of_nothing, 0);
}

/* More input than a driver can take. */

static char flood[4096];

static void begin_flood(void)
{
	for (size_t i = 0; i < sizeof(flood) - 1; i++)
		flood[i] = 'a' + i % 26;
	type(flood);
}

/* As drivers do it, with an access a microsecond. Returns how many there were. */
static unsigned int take_until_empty(unsigned int *got)
{
	unsigned int count = 0;

	for (; count < 1000; count++) {
		wait_ns(1000);
		if (get(FR) & RXFE)
			break;
		wait_ns(1000);
		assert_int_equal(get(DR), flood[(*got)++ % (sizeof(flood) - 1)]);
	}
	return count;
}

static void a_flood_shows_an_empty_fifo(void **state)
{
	unsigned int got = 0;

	set(LCR_H, FEN);
	begin_flood();
	while (got < 1000) {
		uint64_t began = now_ns, busy;

		assert_true(take_until_empty(&got) <= 32);
		assert_int_equal(get(RIS), 0);
		/* There is as much time for other things. */
		busy = now_ns - began;
		wait_ns(busy - 5000);
		assert_int_equal(get(FR) & RXFE, RXFE);
		assert_int_equal(get(RIS), 0);
		wait_ns(busy);
		assert_int_equal(get(RIS), RX | RT);
	}
}

static void a_flood_is_paused_without_fifo(void **state)
{
	unsigned int got = 0;

	begin_flood();
	assert_true(take_until_empty(&got) <= 32);
	assert_int_equal(get(RIS), 0);
	wait_ns(MILLISECOND);
	assert_int_equal(get(RIS), RX | RT);
}

/* The loop's thread may be late, but who polls is not kept waiting. */
static void who_polls_ends_the_pause(void **state)
{
	unsigned int got = 0;

	set(LCR_H, FEN);
	begin_flood();
	take_until_empty(&got);
	now_ns += MILLISECOND;
	assert_int_equal(get(FR) & RXFE, 0);
	take_until_empty(&got);
}

static void no_pause_is_long(void **state)
{
	unsigned int got = 0;

	set(LCR_H, FEN);
	begin_flood();
	for (unsigned int i = 0; i < 16; i++) {
		wait_ns(1000 * MILLISECOND);
		get(DR);
	}
	got = 16;
	take_until_empty(&got);
	assert_int_equal(get(RIS), 0);
	wait_ns(20 * MILLISECOND);
	assert_int_equal(get(RIS), RX | RT);
}

static void who_keeps_up_is_not_paused(void **state)
{
	set(LCR_H, FEN);
	for (unsigned int i = 0; i < 100; i++) {
		type("abc");
		for (unsigned int j = 0; j < 3; j++)
			assert_int_equal(get(DR), 'a' + j);
		assert_int_equal(get(i % 2 ? FR : MIS) & RXFE, i % 2 ? RXFE : 0);
		wait_ns(MILLISECOND);
	}
	assert_int_equal(timers_armed, 0);
}

/* It takes all that there is, sees that it is told of no more, and never looks at the flags. */
static void who_goes_by_interrupts_is_not_paused(void **state)
{
	set(LCR_H, FEN);
	set(IMSC, RX | RT);
	for (unsigned int i = 0; i < 100; i++) {
		type("abc");
		assert_int_equal(get(MIS), RT);
		while (get(MIS) != 0)
			get(DR);
	}
	assert_int_equal(timers_armed, 0);
}

/* What is typed in a pause comes after it. */
static void nothing_is_lost_in_a_pause(void **state)
{
	set(LCR_H, FEN);
	type("0123456789abcdef");
	for (unsigned int i = 0; i < 16; i++)
		get(DR);
	type("xyz");
	assert_int_equal(get(FR) & RXFE, RXFE);
	wait_ns(20 * MILLISECOND);
	assert_int_equal(get(DR), 'x');
	assert_int_equal(get(DR), 'y');
	assert_int_equal(get(DR), 'z');
}

/* For a driver that waits for the trigger level only. */
static void the_fifo_fills_up_again(void **state)
{
	unsigned int got = 0;

	set(LCR_H, FEN);
	set(IMSC, RX);
	begin_flood();
	while (got < 1000) {
		assert_true(irq_level);
		while (get(MIS) & RX) {
			wait_ns(1000);
			assert_int_equal(get(DR), flood[got++]);
		}
		wait_ns(20 * MILLISECOND);
	}
}

/* Loopback and overrun. */

static void loopback_sends_nothing(void **state)
{
	set(LCR_H, FEN);
	set(CR, 0x300 | LBE);
	set(DR, 'l');
	assert_int_equal(sent_count, 0);
	assert_int_equal(get(DR), 'l');
}

static void overrun_is_flagged_once(void **state)
{
	set(LCR_H, FEN);
	set(CR, 0x300 | LBE);
	for (unsigned int i = 0; i < 17; i++)
		set(DR, 'a' + i);
	assert_int_equal(get(RSR), 8);
	assert_int_equal(get(RIS) & OE, OE);
	assert_int_equal(get(DR) & 0x800, 0x800);
	assert_int_equal(get(DR), 'b');
	assert_int_equal(get(RSR), 8);
	set(RSR, 0);
	assert_int_equal(get(RSR), 0);
	set(ICR, OE);
	assert_int_equal(get(RIS) & OE, 0);
}

static void the_byte_too_many_is_lost(void **state)
{
	set(LCR_H, FEN);
	set(CR, 0x300 | LBE);
	for (unsigned int i = 0; i < 18; i++)
		set(DR, 'a' + i);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(get(DR) & 0xff, 'a' + i);
	assert_int_equal(get(FR) & RXFE, RXFE);
}

/* Interrupts. */

static void masked_interrupts_stay_raw(void **state)
{
	type("a");
	set(DR, 'x');
	assert_int_equal(get(RIS), RX | RT | TX);
	assert_int_equal(get(MIS), 0);
	assert_int_equal(irq_changes, 0);
	set(IMSC, TX);
	assert_int_equal(get(MIS), TX);
	assert_true(irq_level);
	set(IMSC, 0);
	assert_false(irq_level);
}

static void the_line_changes_only_when_its_level_does(void **state)
{
	set(LCR_H, FEN);
	set(IMSC, RX | RT | TX);
	for (unsigned int i = 0; i < 5; i++)
		set(DR, 'x');
	type("abcdefgh");
	set(ICR, TX);
	assert_int_equal(irq_changes, 1);
	set(IMSC, RX);
	assert_int_equal(irq_changes, 1);
	get(DR);
	while (!(get(FR) & RXFE))
		get(DR);
	assert_int_equal(irq_changes, 2);
	assert_false(irq_level);
}

static void icr_clears_what_is_named(void **state)
{
	set(DR, 'x');
	type("a");
	set(ICR, RX);
	assert_int_equal(get(RIS), RT | TX);
	set(ICR, 0);
	assert_int_equal(get(RIS), RT | TX);
	set(ICR, UINT32_MAX);
	assert_int_equal(get(RIS), 0);
}

static void cleared_receive_interrupts_come_back(void **state)
{
	static const uint32_t masks[] = { RX, RT, RX | RT };

	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		finish(state);
		begin(state);
		set(LCR_H, FEN);
		set(IMSC, masks[i]);
		type("0123456789abcdefgh");
		assert_true(irq_level);
		set(ICR, UINT32_MAX);
		assert_int_equal(get(RIS), 0);
		assert_false(irq_level);
		wait_ns(5 * MILLISECOND);
		assert_int_equal(get(RIS), RX | RT);
		assert_true(irq_level);
	}
}

/* Each turn of it took the bytes of a while, but the interrupt of those that came since. */
static void a_driver_that_clears_late_is_not_deaf(void **state)
{
	unsigned int taken = 0;

	set(LCR_H, FEN);
	set(IMSC, RX | RT);
	type("abc");
	for (unsigned int turn = 0; turn < 50; turn++) {
		assert_true(irq_level);
		while (!(get(FR) & RXFE)) {
			get(DR);
			taken++;
		}
		for (unsigned int i = 0; i < 3; i++) {
			wait_ns(20 * MILLISECOND);
			type("abcdefghijklmnopqrstuvwxyz.");
		}
		set(ICR, 0x7f0);
		wait_ns(20 * MILLISECOND);
	}
	assert_true(taken >= 50 * 16);
}

static void an_empty_fifo_has_nothing_to_come_back(void **state)
{
	set(LCR_H, FEN);
	type("a");
	get(DR);
	set(ICR, UINT32_MAX);
	assert_int_equal(timers_armed, 0);
	wait_ns(20 * MILLISECOND);
	assert_int_equal(get(RIS), 0);
}

/* The trigger level falls below what is there. */
static void a_lower_trigger_is_noticed(void **state)
{
	set(LCR_H, FEN);
	set(IFLS, 4 << 3);
	set(IMSC, RX);
	type("0123456789");
	assert_false(irq_level);
	set(IFLS, 0);
	wait_ns(5 * MILLISECOND);
	assert_true(irq_level);
}

/* Linux's driver, while it starts: its handler finds that none of that is its business. */
static void a_driver_that_takes_nothing_gets_a_rest(void **state)
{
	unsigned int told = 0;

	set(LCR_H, FEN);
	type("abc");
	set(IMSC, RX | RT);
	for (; irq_level && told < 1000; told++)
		get(RIS);
	assert_true(told >= 16 && told < 1000);
	wait_ns(5 * MILLISECOND);
	assert_true(irq_level);
	assert_int_equal(get(DR), 'a');
}

/* It is interrupted for ever by none of these. */
static void a_driver_may_look_at_masked_interrupts_for_ever(void **state)
{
	set(LCR_H, FEN);
	set(IMSC, TX);
	set(DR, 'n');
	type("abc");
	for (unsigned int i = 0; i < 1000; i++) {
		assert_int_equal(get(MIS), TX);
		assert_int_equal(get(RIS), TX | RT);
	}
	assert_int_equal(timers_armed, 0);
}

/* On the real device the bytes are still on their way, and raise it when they are gone. */
static void a_transmit_interrupt_outlives_being_cleared_too_early(void **state)
{
	set(IMSC, TX);
	set(DR, 'n');
	set(ICR, TX);
	assert_true(irq_level);
	assert_int_equal(get(MIS), TX);
	set(ICR, TX);
	assert_false(irq_level);
}

/* Its mask hides it from the driver, which has not seen it then. */
static void a_masked_transmit_interrupt_is_not_seen(void **state)
{
	set(DR, 'n');
	assert_int_equal(get(MIS), 0);
	set(ICR, TX);
	assert_int_equal(get(RIS), TX);
	set(ICR, TX);
	assert_int_equal(get(RIS), 0);
}

/* One that does not ask why it was interrupted comes to an end, too. */
static void a_transmit_interrupt_ends(void **state)
{
	set(IMSC, TX);
	set(DR, 'n');
	set(ICR, TX);
	set(ICR, TX);
	assert_false(irq_level);
	wait_ns(20 * MILLISECOND);
	assert_false(irq_level);
}

static void two_of_them_share_nothing(void **state)
{
	struct console other_console = { .write = console_write, .read = console_read };
	struct device *other;

	assert_int_equal(pl011_create(&other, 0, (struct irq_line){ .set = irq_set, .intid = 33 },
				      1, &loop, &other_console, true),
			 0);
	struct mmio_access mmio = { .offset = IMSC, .size = 4 };

	set(IMSC, TX);
	assert_int_equal(other->ops->access(other, &mmio), MMIO_DONE);
	assert_int_equal(mmio.value, 0);
	other->ops->destroy(other);
}

#define on_uart(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_uart(reset_values),
		on_uart(identification),
		on_uart(writable_bits),
		on_uart(flags_cannot_be_written),
		on_uart(bad_accesses_are_told),
		on_uart(narrow_accesses_work),
		on_uart(registers_have_names),
		on_uart(bytes_are_sent),
		on_uart(sending_raises_the_transmit_interrupt),
		on_uart(bytes_are_received_in_order),
		on_uart(the_fifo_holds_sixteen),
		on_uart(without_fifo_there_is_one_byte),
		on_uart(switching_the_fifo_empties_it),
		on_uart(line_control_alone_does_not_empty_it),
		on_uart(the_trigger_is_where_ifls_says),
		on_uart(timeout_interrupt_stays_while_there_is_data),
		on_uart(ring_wraps_round),
		on_uart(a_full_fifo_asks_for_nothing),
		on_uart(a_flood_shows_an_empty_fifo),
		on_uart(a_flood_is_paused_without_fifo),
		on_uart(who_polls_ends_the_pause),
		on_uart(no_pause_is_long),
		on_uart(who_keeps_up_is_not_paused),
		on_uart(who_goes_by_interrupts_is_not_paused),
		on_uart(nothing_is_lost_in_a_pause),
		on_uart(the_fifo_fills_up_again),
		on_uart(loopback_sends_nothing),
		on_uart(overrun_is_flagged_once),
		on_uart(the_byte_too_many_is_lost),
		on_uart(masked_interrupts_stay_raw),
		on_uart(the_line_changes_only_when_its_level_does),
		on_uart(icr_clears_what_is_named),
		on_uart(cleared_receive_interrupts_come_back),
		on_uart(a_driver_that_clears_late_is_not_deaf),
		on_uart(an_empty_fifo_has_nothing_to_come_back),
		on_uart(a_lower_trigger_is_noticed),
		on_uart(a_driver_that_takes_nothing_gets_a_rest),
		on_uart(a_driver_may_look_at_masked_interrupts_for_ever),
		on_uart(a_transmit_interrupt_outlives_being_cleared_too_early),
		on_uart(a_masked_transmit_interrupt_is_not_seen),
		on_uart(a_transmit_interrupt_ends),
		on_uart(two_of_them_share_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
