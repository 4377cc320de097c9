/*
 * sip-gateway/strand.c: see strand.h.
 */
#include "strand.h"

/* Half of how long the fastest packet counts: clocks drift */
#define WINDOW_NS (10 * SL_NS_PER_S)
/* More is no jitter: times began anew, or stood still */
#define STEP_NS ((int64_t)SL_NS_PER_S)
/* No encoder is slower: what is farther behind is told by two clocks */
#define BEHIND_MAX_NS (2 * (int64_t)SL_NS_PER_S)
#define REPORT_NEAR_NS (60 * (int64_t)SL_NS_PER_S)

static int64_t time_of(const struct strand *s, uint64_t ts)
{
	return (int64_t)(ts / s->hz * SL_NS_PER_S + ts % s->hz * SL_NS_PER_S / s->hz);
}

static int64_t time_near(const struct strand *s, uint32_t ts)
{
	struct sl_unwrap copy = s->ts;

	return time_of(s, sl_unwrap32(&copy, ts));
}

static int64_t least_of(const struct strand *s)
{
	return s->least[0] < s->least[1] ? s->least[0] : s->least[1];
}

void strand_restart(struct strand *s)
{
	*s = (struct strand){0};
}

static void begin(struct strand *s, uint32_t ts, uint32_t hz, uint64_t now_ns)
{
	*s = (struct strand){.known = true, .hz = hz, .window_ns = now_ns};
	s->least[0] = s->least[1] = (int64_t)now_ns - time_of(s, sl_unwrap32(&s->ts, ts));
}

void strand_packet(struct strand *s, uint32_t ts, uint32_t hz, uint64_t now_ns)
{
	int64_t way, off;

	if (hz == 0)
		return;
	if (!s->known || s->hz != hz) {
		begin(s, ts, hz, now_ns);
		return;
	}
	way = (int64_t)now_ns - time_of(s, sl_unwrap32(&s->ts, ts));
	off = way - least_of(s);
	if (off > STEP_NS || off < -STEP_NS) {
		begin(s, ts, hz, now_ns);
		return;
	}
	if (now_ns > s->window_ns + WINDOW_NS) {
		s->least[0] = s->least[1];
		s->least[1] = way;
		s->window_ns = now_ns;
	}
	if (way < s->least[1])
		s->least[1] = way;
}

/* Some phones put anything there. */
static bool is_near(const struct strand *s, uint32_t ts)
{
	int64_t ahead = time_near(s, ts) - time_of(s, s->ts.last);

	return ahead < REPORT_NEAR_NS && ahead > -REPORT_NEAR_NS;
}

void strand_report(struct strand *s, const struct sl_rtc_clock *clock)
{
	uint64_t part = (clock->ntp & UINT32_MAX) * SL_NS_PER_S >> 32;

	if (!s->known || clock->ntp == 0 || !is_near(s, clock->ts))
		return;
	s->reported = true;
	s->report_ts = clock->ts;
	s->report_ns = (int64_t)((clock->ntp >> 32) * SL_NS_PER_S + part);
}

bool strand_time(const struct strand *s, uint32_t ts, int64_t *ret_ns)
{
	if (s->known)
		*ret_ns = time_near(s, ts) + least_of(s);
	return s->known;
}

/* From when it was captured, by the sender's clock, until it came, by ours */
static int64_t under_way(const struct strand *s)
{
	return time_near(s, s->report_ts) + least_of(s) - s->report_ns;
}

int64_t strand_behind(const struct strand *s, const struct strand *other)
{
	int64_t behind;

	if (!s->known || !other->known || !s->reported || !other->reported)
		return 0;
	behind = under_way(s) - under_way(other);
	return behind < BEHIND_MAX_NS && behind > -BEHIND_MAX_NS ? behind : 0;
}
