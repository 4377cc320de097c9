/*
 * proto/rtp_event.c: digits as events (RFC 4733): four bytes, sent again while a digit is held and
 * three times at its end.
 *
 * An event is known by its timestamp, which is that of its beginning. A digit is told once: at the
 * first packet that says it has ended, or, when all of those were lost, by the next event or after
 * a while.
 */
#include <sluice/audio.h>

#include <sluice/clock.h>

static const char digits[] = "0123456789*#ABCD";

/* Senders repeat every 50 ms at most; three in a row may be lost. */
#define LOST_END_NS (250 * SL_NS_PER_MS)

int sl_event_read(struct sl_event_payload *ret_event, struct sl_str payload)
{
	const uint8_t *p = (const uint8_t *)payload.p;

	if (payload.len < 4)
		return -SL_EPARSE;
	*ret_event = (struct sl_event_payload){.event = p[0],
					       .end = p[1] & 0x80,
					       .volume = p[1] & 0x3f,
					       .duration = sl_get16(p + 2)};
	return 0;
}

void sl_event_write(uint8_t dst[4], const struct sl_event_payload *e)
{
	dst[0] = e->event;
	dst[1] = (uint8_t)((e->end ? 0x80 : 0) | (e->volume & 0x3f));
	sl_put16(dst + 2, e->duration);
}

char sl_event_digit(uint8_t event)
{
	return event < sizeof digits - 1 ? digits[event] : 0;
}

int sl_event_of_digit(char digit)
{
	const char *at = digit ? strchr(digits, digit) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool finish(struct sl_event_in *in, char *ret_digit, uint32_t *ret_duration)
{
	if (!in->open)
		return false;
	in->open = false;
	in->any = true;
	in->last_ts = in->ts;
	*ret_digit = sl_event_digit(in->event);
	*ret_duration = in->duration;
	return true;
}

static void start(struct sl_event_in *in, const struct sl_event_payload *e, uint32_t ts)
{
	in->open = true;
	in->event = e->event;
	in->ts = ts;
	in->duration = 0;
}

bool sl_event_hear(struct sl_event_in *in, const struct sl_event_payload *e, uint32_t ts,
		   uint64_t now_ns, char *ret_digit, uint32_t *ret_duration)
{
	bool told = false;

	if (!sl_event_digit(e->event)) /* hook flash, fax tones: nobody here acts on them */
		return false;
	if (in->any && !sl_ts_after(ts, in->last_ts))
		return false; /* told already, or before what was told */
	if (in->open && in->ts != ts) {
		if (!sl_ts_after(ts, in->ts))
			return false;
		told = finish(in, ret_digit, ret_duration);
	}
	if (!in->open)
		start(in, e, ts);
	in->heard_ns = now_ns;
	if (e->duration > in->duration)
		in->duration = e->duration;
	/* With a new digit that is over at once, the one before is told now and this one with the
	 * next repetition of its end. */
	if (e->end && !told)
		told = finish(in, ret_digit, ret_duration);
	return told;
}

bool sl_event_time(struct sl_event_in *in, uint64_t now_ns, char *ret_digit, uint32_t *ret_duration)
{
	if (!in->open || now_ns - in->heard_ns < LOST_END_NS)
		return false;
	return finish(in, ret_digit, ret_duration);
}
