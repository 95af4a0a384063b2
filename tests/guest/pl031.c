// SPDX-License-Identifier: GPL-2.0-only
/*
 * The real-time clock: its time, which the script compares with the host's, and its alarm.
 */
#include "gic.h"

#define RTCDR	0x00
#define RTCMR	0x04
#define RTCLR	0x08
#define RTCCR	0x0c
#define RTCIMSC 0x10
#define RTCRIS	0x14
#define RTCMIS	0x18
#define RTCICR	0x1c

static volatile unsigned int alarms, others;
static volatile uint32_t alarm_time;

static uint32_t get(unsigned int offset)
{
	return read32(PL031_BASE + offset);
}

static void set(unsigned int offset, uint32_t value)
{
	write32(PL031_BASE + offset, value);
}

static void handler(unsigned int intid)
{
	if (intid != SPI(PL031_SPI)) {
		others++;
		return;
	}
	alarm_time = get(RTCDR);
	alarms++;
	set(RTCICR, 1);
}

/* An interrupt at the time that RTCMR names, and no second one. */
static void test_alarm(const char *name)
{
	uint32_t when = get(RTCDR) + 1;

	alarms = 0;
	set(RTCMR, when);
	while (alarms == 0) {
		irq_disable();
		if (alarms == 0)
			wfi();
		irq_enable();
	}
	report(alarm_time >= when && alarm_time - when <= 5, name);
	report_equal(get(RTCRIS), 0, "RTCICR takes it back");
	report_equal(alarms, 1, "it comes once");
}

int main(void)
{
	uint64_t redistributor;

	put("time: ");
	put_number(get(RTCDR));
	put("\n");
	if (get(RTCDR) == UINT32_MAX) {
		put("no clock\n");
		power_off();
	}
	report_equal(get(RTCCR), 1, "the clock runs");
	report_equal(get(RTCIMSC), 0, "its interrupt is masked");
	report_equal(get(RTCRIS), 0, "and not pending");

	gic_init(handler);
	redistributor = gic_cpu_init();
	gic_enable(redistributor, SPI(PL031_SPI));
	set(RTCIMSC, 1);
	test_alarm("an alarm a second ahead");
	set(RTCLR, 1000);
	report(get(RTCDR) - 1000 <= 5, "RTCLR sets the time");
	report_equal(get(RTCLR), 1000, "RTCLR reads back");
	test_alarm("an alarm by the time that was set");

	set(RTCIMSC, 0);
	set(RTCMR, get(RTCDR) + 1);
	while (get(RTCRIS) == 0)
		;
	report_equal(get(RTCMIS), 0, "a masked alarm shows in RTCRIS only");
	report_equal(alarms, 1, "and interrupts nobody");
	set(RTCICR, 1);
	report_equal(others, 0, "no other interrupt");
	done("pl031");
}
