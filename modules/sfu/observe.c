/*
 * sfu/observe.c: how everybody's line is (quality.h), looked at once a second, and told to all in
 * the room when it has changed.
 *
 * Each participant is observed at its home, both ways; other workers are told by the trunk. News of
 * one look go to a client in one message. Who comes is told of all others at its first look.
 */
#include "sfu.h"

enum { MAX_NEWS = 100 }; /* in one message: the way to another worker takes 60 KiB */

/* ---- the two ways */

static bool is_lost(const struct sl_rtc *c)
{
	unsigned state = sl_rtc_get_state(c);

	return state == SL_RTC_DISCONNECTED || state == SL_RTC_FAILED || state == SL_RTC_CLOSED;
}

static void sample_way(const struct sl_rtc *c, struct quality_sample *ret,
		       void (*way_of)(const struct sl_rtc *c, struct sl_rtc_way *ret_way))
{
	struct sl_rtc_way way;

	*ret = (struct quality_sample){0};
	if (!c)
		return;
	way_of(c, &way);
	ret->there = sl_rtc_get_state(c) >= SL_RTC_CONNECTED;
	ret->lost = is_lost(c);
	ret->packets = way.packets;
	ret->lost_packets = way.lost;
	ret->jitter_us = way.jitter_us;
	ret->rtt_us = way.rtt_us;
}

/* Of the encodings that somebody wants, and that have come: one that has ceased has become too much
 * for the publisher's line. */
static void add_published(const struct track *t, struct quality_sample *up)
{
	for (unsigned e = 0; e < t->n_encodings; e++) {
		uint64_t bps = encoding_bps(&t->rate[e]);

		if (!(t->told_mask >> e & 1) || t->rate[e].usual_bps == 0)
			continue;
		up->got_bps += bps;
		up->wanted_bps += bps > t->rate[e].usual_bps ? bps : t->rate[e].usual_bps;
	}
}

static bool observe(struct participant *p, uint64_t now_ms)
{
	struct quality_sample up, down;

	sample_way(p->pub, &up, sl_rtc_way_in);
	sample_way(p->sub, &down, sl_rtc_way_out);
	for (const struct track *t = p->room->tracks; t; t = t->next)
		if (t->publisher == p && t->kind == SL_MEDIA_VIDEO && !t->muted && !t->silenced)
			add_published(t, &up);
	down.wanted_bps = p->wanted_bps;
	down.got_bps = p->got_bps;
	return quality_look(&p->quality, &up, &down, now_ms);
}

/* ---- telling */

static bool is_told(const struct participant *to, const struct participant *p)
{
	return to == p || !(p->grants & SL_IS_HIDDEN);
}

/* To one participant: what is new, or all. */
static void tell(struct participant *to, bool all)
{
	const struct participant *list[MAX_NEWS];
	unsigned n = 0;

	for (const struct participant *p = to->room->participants; p; p = p->next) {
		if (p->quality.told.word == QUALITY_UNKNOWN || !is_told(to, p))
			continue;
		if (!all && !p->quality_is_new)
			continue;
		list[n++] = p;
		if (n < MAX_NEWS)
			continue;
		say_quality(to, list, n);
		n = 0;
	}
	if (n > 0)
		say_quality(to, list, n);
}

static bool look(struct room *r, uint64_t now_ms)
{
	bool news = false;

	for (struct participant *p = r->participants; p; p = p->next) {
		if (p->here && !p->member && observe(p, now_ms)) {
			p->quality_is_new = true;
			trunk_quality(p);
		}
		news |= p->quality_is_new;
	}
	return news;
}

void observe_room(struct room *r, uint64_t now_ms)
{
	bool news = look(r, now_ms);

	for (struct participant *p = r->participants; p; p = p->next) {
		if (!p->here || p->member || (p->knows_quality && !news))
			continue;
		tell(p, !p->knows_quality);
		p->knows_quality = true;
	}
	for (struct participant *p = r->participants; p; p = p->next)
		p->quality_is_new = false;
}

void observe_away(struct participant *p, const struct quality_news *news)
{
	p->quality.told = *news;
	p->quality_is_new = true;
	steward_wake(p->room);
}
