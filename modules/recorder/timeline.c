/*
 * recorder/timeline.c: see timeline.h.
 *
 * Output times lie on a line through an anchor with the track's nominal rate. What the reports say
 * is compared with it packet by packet: small errors move the anchor by at most a fiftieth of the
 * time that has passed, larger ones by a third, or, forward, by a jump.
 */
#include "timeline.h"

#include <string.h>

#define WINDOW_NS (10 * (int64_t)SL_NS_PER_S)
#define CLOCK_STEP_NS ((int64_t)SL_NS_PER_S)
#define JUMP_NS (300 * (int64_t)SL_NS_PER_MS)
#define JUMP_AFTER_NS (1 * SL_NS_PER_S)
#define RESTART_NS (3 * (int64_t)SL_NS_PER_S)
#define BACK_NS (400 * (int64_t)SL_NS_PER_MS)  /* more than pictures are out of order */
#define EARLIEST_NS (5 * (int64_t)SL_NS_PER_S) /* before its arrival: longer is no delay */
#define LATEST_NS (500 * (int64_t)SL_NS_PER_MS)
#define MAX_REPORT_AGE_NS (60 * (int64_t)SL_NS_PER_S)
#define SLEW 50
#define SLEW_BACK 3 /* for errors that can be heard or seen */
#define FINE_NS (40 * (int64_t)SL_NS_PER_MS)

int64_t timeline_ntp_ns(uint64_t ntp)
{
	uint64_t fraction = (ntp & UINT32_MAX) * SL_NS_PER_S >> 32;

	return (int64_t)((ntp >> 32) * SL_NS_PER_S + fraction);
}

void peer_clock_add(struct peer_clock *c, uint64_t arrival_ns, int64_t sender_ns)
{
	int64_t offset = (int64_t)arrival_ns - sender_ns;

	if (!c->known || offset > c->offset_ns + CLOCK_STEP_NS ||
	    offset < c->offset_ns - CLOCK_STEP_NS) {
		*c = (struct peer_clock){true, offset, {offset, offset}, arrival_ns};
		return;
	}
	if (arrival_ns > c->window_ns + (uint64_t)WINDOW_NS) {
		c->least[0] = c->least[1];
		c->least[1] = offset;
		c->window_ns = arrival_ns;
	}
	if (offset < c->least[1])
		c->least[1] = offset;
	c->offset_ns = c->least[0] < c->least[1] ? c->least[0] : c->least[1];
}

void peer_clock_resume(struct peer_clock *c, int64_t offset_ns, uint64_t now_ns)
{
	*c = (struct peer_clock){true, offset_ns, {offset_ns, offset_ns}, now_ns};
}

void timeline_init(struct timeline *t, uint32_t hz)
{
	*t = (struct timeline){.hz = hz > 0 ? hz : 90000};
}

/* to - from, as time; either may be the later */
static int64_t ticks_ns(const struct timeline *t, uint64_t from, uint64_t to)
{
	bool back = to < from;
	uint64_t n = back ? from - to : to - from;
	int64_t ns = (int64_t)(n / t->hz * SL_NS_PER_S + n % t->hz * SL_NS_PER_S / t->hz);

	return back ? -ns : ns;
}

static uint64_t near(const struct timeline *t, uint32_t ts)
{
	struct sl_unwrap copy = t->unwrap;

	return sl_unwrap32(&copy, ts);
}

/* ---- reports */

static bool is_known(const struct timeline *t, struct told report)
{
	for (unsigned i = 0; i < t->n_reports; i++)
		if (t->reports[i].ts == report.ts && t->reports[i].ns == report.ns)
			return true;
	return false;
}

static void forget_oldest(struct timeline *t)
{
	t->n_reports--;
	memmove(t->reports, t->reports + 1, t->n_reports * sizeof *t->reports);
}

/* What a report says of one moment, so that it can be compared with another */
static int64_t of_moment(const struct timeline *t, const struct told *report, uint64_t ts)
{
	return report->ns + ticks_ns(t, report->ts, ts);
}

static bool is_between(int64_t x, int64_t from, int64_t to)
{
	return from <= to ? from <= x && x <= to : to <= x && x <= from;
}

/* Of three the middle one; where there are fewer, nobody can tell which is right, and the first is
 * what times have been made of. */
static struct told middle(const struct timeline *t)
{
	const struct told *a = &t->reports[0], *b = &t->reports[1], *c = &t->reports[2];
	int64_t x, y, z;

	if (t->n_reports < TIMELINE_REPORTS)
		return *a;
	x = of_moment(t, a, c->ts);
	y = of_moment(t, b, c->ts);
	z = of_moment(t, c, c->ts);
	return is_between(y, x, z) ? *b : is_between(x, y, z) ? *a : *c;
}

/* One that a worker tells again, as it does of all encodings at once, is no second witness; nor is
 * one from before a long silence, over which the clocks have drifted. */
static void add_report(struct timeline *t, struct told report)
{
	if (is_known(t, report))
		return;
	while (t->n_reports > 0 && report.ns - t->reports[0].ns > MAX_REPORT_AGE_NS)
		forget_oldest(t);
	if (t->n_reports == TIMELINE_REPORTS)
		forget_oldest(t);
	t->reports[t->n_reports++] = report;
	t->sender = middle(t);
}

void timeline_report(struct timeline *t, const struct sl_rtc_clock *clock)
{
	uint64_t ts;
	int64_t age;

	if (!t->started) {
		t->early = *clock;
		return;
	}
	ts = near(t, clock->ts);
	age = ticks_ns(t, ts, t->last_ts);
	if (age > MAX_REPORT_AGE_NS || age < -MAX_REPORT_AGE_NS)
		return;
	add_report(t, (struct told){ts, timeline_ntp_ns(clock->ntp)});
}

/* ---- packets */

static void begin(struct timeline *t, uint64_t ts, uint64_t arrival_ns)
{
	t->started = true;
	t->n_reports = 0;
	t->wrong_since_ns = 0;
	t->anchor_ts = t->last_ts = ts;
	t->anchor_ns = (int64_t)arrival_ns;
	t->last_arrival_ns = arrival_ns;
}

void timeline_resume(struct timeline *t, uint32_t ts, int64_t at_ns)
{
	struct sl_rtc_clock early = t->early;

	t->early.ntp = 0;
	begin(t, sl_unwrap32(&t->unwrap, ts), (uint64_t)at_ns);
	t->resumed = true;
	if (early.ntp)
		timeline_report(t, &early);
}

int64_t timeline_past(const struct timeline *t, uint32_t ts)
{
	return t->anchor_ns + ticks_ns(t, t->anchor_ts, near(t, ts));
}

void timeline_restart(struct timeline *t)
{
	t->anew = t->started;
	t->early.ntp = 0;
}

void timeline_set_clock(struct timeline *t, uint32_t hz)
{
	t->hz = hz;
	if (!t->resumed) /* the process before may have counted in this one already */
		timeline_restart(t);
}

/* A sender that stalls and then sends what has gathered is none: its times go on as they were. Nor
 * is a picture out of order, however late it comes. */
static bool is_restart(const struct timeline *t, uint64_t ts, uint64_t arrival_ns)
{
	int64_t media = ticks_ns(t, t->last_ts, ts);
	int64_t real = (int64_t)(arrival_ns - t->last_arrival_ns);

	return media - real > RESTART_NS || (media < -BACK_NS && media - real < -BACK_NS);
}

static bool is_plausible(int64_t at, uint64_t arrival_ns)
{
	int64_t delay = (int64_t)arrival_ns - at;

	return delay < EARLIEST_NS && delay > -LATEST_NS;
}

/* How far an error may be made up for, over so much media. Forward that can be a jump, if the error
 * stays: a gap. Back it cannot, for time in a file does not run back: frames move together. */
static int64_t bounded(struct timeline *t, int64_t error, int64_t elapsed, uint64_t arrival_ns)
{
	int64_t most = elapsed > 0 ? elapsed / SLEW : 0;

	if (error < -FINE_NS)
		most = elapsed > 0 ? elapsed / SLEW_BACK : 0;
	if (error <= JUMP_NS)
		t->wrong_since_ns = 0;
	else if (t->wrong_since_ns == 0)
		t->wrong_since_ns = arrival_ns;
	else if (arrival_ns > t->wrong_since_ns + JUMP_AFTER_NS)
		return error;
	if (error > JUMP_NS)
		return 0;
	return error > most ? most : error < -most ? -most : error;
}

/* Moves the anchor to the newest packet, nearer to what the reports say. */
static void steer(struct timeline *t, struct peer_clock *c, uint64_t ts, uint64_t arrival_ns)
{
	int64_t sender = of_moment(t, &t->sender, ts);
	int64_t at = t->anchor_ns + ticks_ns(t, t->anchor_ts, ts), error;

	peer_clock_add(c, arrival_ns, sender);
	error = sender + c->offset_ns - at;
	if (!is_plausible(at + error, arrival_ns))
		return;
	t->anchor_ns = at + bounded(t, error, ticks_ns(t, t->last_ts, ts), arrival_ns);
	t->anchor_ts = ts;
}

/* Nothing comes before it was sent, and what comes late for long was not sent early. Where no
 * report tells better, the first packet may have been the late one: what it put wrong is taken back
 * by and by, for frames that lay on top of each other would not play. */
static int64_t too_early(const struct timeline *t, int64_t at, uint64_t ts, uint64_t arrival_ns)
{
	int64_t error = at - (int64_t)arrival_ns;
	int64_t most = ticks_ns(t, t->last_ts, ts) / SLEW_BACK;

	if (!is_plausible(at, arrival_ns))
		return error;
	if (t->n_reports > 0 || error <= 0 || most <= 0)
		return 0;
	return error < most ? error : most;
}

int64_t timeline_map(struct timeline *t, struct peer_clock *c, uint32_t ts32, uint64_t arrival_ns,
		     bool *ret_restarted)
{
	uint64_t ts = sl_unwrap32(&t->unwrap, ts32);
	int64_t at, early;

	*ret_restarted = t->started && (t->anew || is_restart(t, ts, arrival_ns));
	t->anew = t->resumed = false;
	if (*ret_restarted) {
		t->unwrap = (struct sl_unwrap){0};
		ts = sl_unwrap32(&t->unwrap, ts32);
		t->n_restarts++;
	}
	if (!t->started || *ret_restarted) {
		begin(t, ts, arrival_ns);
		if (t->early.ntp)
			timeline_report(t, &t->early);
		t->early.ntp = 0;
	}
	if (t->n_reports > 0)
		steer(t, c, ts, arrival_ns);
	at = t->anchor_ns + ticks_ns(t, t->anchor_ts, ts);
	early = too_early(t, at, ts, arrival_ns);
	if (early != 0) {
		t->anchor_ts = ts;
		t->anchor_ns = at -= early;
	}
	if (ts > t->last_ts || *ret_restarted) {
		t->last_ts = ts;
		t->last_arrival_ns = arrival_ns;
	}
	return at;
}
