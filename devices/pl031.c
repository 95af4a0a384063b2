// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The counter is the host's time of day plus an offset that a guest moves by
 * writing RTCLR. The alarm is a host timer armed for the moment at which the counter will reach
 * RTCMR; as on the real thing a match in the past never comes. A guest that needs the time reads
 * the host's clock once and goes by that, for it may turn, or be set, at any moment.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arm/devtree.h"
#include "devices/pl031.h"
#include "host/log.h"
#include "primecell.h"
#include "util.h"

enum pl031_register {
	RTCDR = 0x000,
	RTCMR = 0x004,
	RTCLR = 0x008,
	RTCCR = 0x00c,
	RTCIMSC = 0x010,
	RTCRIS = 0x014,
	RTCMIS = 0x018,
	RTCICR = 0x01c,
};

/* RTCPeriphID0-3 as one word: part 0x031, designer 0x41 (Arm), revision 1. */
#define PERIPHID 0x00141031u

struct pl031 {
	struct device device;
	struct irq_line irq;
	unsigned int spi;
	struct event_timer alarm;

	pthread_mutex_t lock; /* guards all below */
	bool level; /* of the interrupt line, as last set */
	uint32_t offset; /* added to the host's seconds, modulo 2^32 */
	uint32_t mr, lr, imsc, ris;
	bool armed; /* the match is still to come */
};

static uint64_t host_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

/* now: host_seconds() */
static uint32_t counter(const struct pl031 *rtc, uint64_t now)
{
	return now + rtc->offset;
}

/* Seconds to the match; negative where it is in the past. */
static int32_t ahead(const struct pl031 *rtc, uint64_t now)
{
	return rtc->mr - counter(rtc, now);
}

static void update_irq(struct pl031 *rtc)
{
	bool level = rtc->ris & rtc->imsc;

	if (level != rtc->level) {
		rtc->level = level;
		irq_line_set(&rtc->irq, level);
	}
}

/* After RTCMR or the offset changed. */
static void arm_alarm(struct pl031 *rtc, uint64_t now)
{
	const int32_t seconds = ahead(rtc, now);

	rtc->armed = seconds > 0;
	if (rtc->armed) {
		event_timer_at(&rtc->alarm, now + seconds);
		return;
	}
	event_timer_disarm(&rtc->alarm);
	if (seconds == 0)
		rtc->ris = 1;
}

/*
 * Since the timer expired the guest may have moved the alarm, and the host's clock may have been
 * set back. This may also be late.
 */
static void pl031_alarm(struct event_timer *timer)
{
	struct pl031 *rtc = container_of(timer, struct pl031, alarm);
	uint64_t now;

	pthread_mutex_lock(&rtc->lock);
	now = host_seconds();
	if (rtc->armed && ahead(rtc, now) > 0) {
		arm_alarm(rtc, now);
	} else if (rtc->armed) {
		rtc->armed = false;
		rtc->ris = 1;
		update_irq(rtc);
	}
	pthread_mutex_unlock(&rtc->lock);
}

static enum mmio_result pl031_read(const struct pl031 *rtc, uint64_t offset, uint64_t *value)
{
	switch (offset) {
	case RTCDR:
		*value = counter(rtc, host_seconds());
		break;
	case RTCMR:
		*value = rtc->mr;
		break;
	case RTCLR:
		*value = rtc->lr;
		break;
	case RTCCR: /* always running */
		*value = 1;
		break;
	case RTCIMSC:
		*value = rtc->imsc;
		break;
	case RTCRIS:
		*value = rtc->ris;
		break;
	case RTCMIS:
		*value = rtc->ris & rtc->imsc;
		break;
	case PRIMECELL_ID ... PRIMECELL_ID_LAST:
		*value = primecell_id(PERIPHID, offset);
		break;
	default:
		return MMIO_BAD;
	}
	return MMIO_DONE;
}

static enum mmio_result pl031_write(struct pl031 *rtc, uint64_t offset, uint32_t value)
{
	const uint64_t now = host_seconds();

	switch (offset) {
	case RTCMR:
		rtc->mr = value;
		arm_alarm(rtc, now);
		break;
	case RTCLR:
		rtc->lr = value;
		rtc->offset = value - (uint32_t)now;
		arm_alarm(rtc, now);
		break;
	case RTCCR: /* cannot be stopped once it runs */
		break;
	case RTCIMSC:
		rtc->imsc = value & 1;
		break;
	case RTCICR:
		rtc->ris &= ~value;
		break;
	default:
		return MMIO_BAD;
	}
	return MMIO_DONE;
}

static enum mmio_result pl031_access(struct device *device, struct mmio_access *mmio)
{
	struct pl031 *rtc = container_of(device, struct pl031, device);
	enum mmio_result result;

	/* UEFI reads the bytes of the identification as such. */
	if (mmio->size > 4 || mmio->offset % 4 != 0 ||
	    (mmio->size != 4 && mmio->offset < PRIMECELL_ID))
		return MMIO_BAD;

	pthread_mutex_lock(&rtc->lock);
	if (mmio->write)
		result = pl031_write(rtc, mmio->offset, mmio->value);
	else
		result = pl031_read(rtc, mmio->offset, &mmio->value);
	update_irq(rtc);
	pthread_mutex_unlock(&rtc->lock);
	return result;
}

struct pl031_state {
	uint32_t offset, mr, lr, imsc, ris;
	uint32_t armed, level;
	uint32_t zero;
};

static void pl031_save(struct device *device, struct state_writer *writer)
{
	struct pl031 *rtc = container_of(device, struct pl031, device);
	struct pl031_state state;

	pthread_mutex_lock(&rtc->lock);
	state = (struct pl031_state){
		.offset = rtc->offset,
		.mr = rtc->mr,
		.lr = rtc->lr,
		.imsc = rtc->imsc,
		.ris = rtc->ris,
		.armed = rtc->armed,
		.level = rtc->level,
	};
	pthread_mutex_unlock(&rtc->lock);
	state_put(writer, "pl031", device->base, &state, sizeof(state));
}

/* The time of day has gone on meanwhile; an alarm whose time came then is raised now. */
static void pl031_restore(struct device *device, struct state_reader *reader)
{
	struct pl031 *rtc = container_of(device, struct pl031, device);
	struct pl031_state state;
	uint64_t now;

	if (!state_get(reader, "pl031", device->base, &state, sizeof(state)))
		return;
	pthread_mutex_lock(&rtc->lock);
	rtc->offset = state.offset;
	rtc->mr = state.mr;
	rtc->lr = state.lr;
	rtc->imsc = state.imsc & 1;
	rtc->ris = state.ris & 1;
	rtc->level = state.level;
	now = host_seconds();
	if (state.armed && ahead(rtc, now) > 0)
		arm_alarm(rtc, now);
	else if (state.armed)
		rtc->ris = 1;
	update_irq(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static void pl031_describe(const struct device *device, struct devtree *tree)
{
	const struct pl031 *rtc = container_of(device, struct pl031, device);
	static const char compatible[] = "arm,pl031\0arm,primecell";

	primecell_begin(tree, device, compatible, sizeof(compatible), PERIPHID, rtc->spi);
	devtree_u32(tree, "clocks", PHANDLE_CLOCK);
	devtree_string(tree, "clock-names", "apb_pclk");
	devtree_end(tree);
}

static const char *pl031_register_name(uint64_t offset)
{
	static const char *const name[] = {
		[RTCDR / 4] = "RTCDR",	 [RTCMR / 4] = "RTCMR",	    [RTCLR / 4] = "RTCLR",
		[RTCCR / 4] = "RTCCR",	 [RTCIMSC / 4] = "RTCIMSC", [RTCRIS / 4] = "RTCRIS",
		[RTCMIS / 4] = "RTCMIS", [RTCICR / 4] = "RTCICR",
	};

	if (offset >= PRIMECELL_ID)
		return "identification";
	return offset / 4 < ARRAY_SIZE(name) ? name[offset / 4] : NULL;
}

static void pl031_destroy(struct device *device)
{
	struct pl031 *rtc = container_of(device, struct pl031, device);

	event_timer_destroy(&rtc->alarm);
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

static const struct device_ops pl031_ops = {
	.name = "pl031",
	.access = pl031_access,
	.describe = pl031_describe,
	.register_name = pl031_register_name,
	.save = pl031_save,
	.restore = pl031_restore,
	.destroy = pl031_destroy,
};

int pl031_create(struct device **created, uint64_t base, struct irq_line irq, unsigned int spi,
		 struct event_loop *loop)
{
	struct pl031 *rtc = calloc(1, sizeof(*rtc));
	int err;

	if (!rtc) {
		log_error("pl031: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	rtc->device = (struct device){ .ops = &pl031_ops, .base = base, .size = PRIMECELL_SIZE };
	rtc->irq = irq;
	rtc->spi = spi;
	pthread_mutex_init(&rtc->lock, NULL);
	err = event_timer_create(&rtc->alarm, loop, CLOCK_REALTIME, pl031_alarm);
	if (err < 0) {
		pthread_mutex_destroy(&rtc->lock);
		free(rtc);
		return err;
	}
	*created = &rtc->device;
	return 0;
}
