/*
 * sfu/cache.c: the newest key frame of each encoding, for those who come: they see a picture at
 * once, where else they would wait for the publisher to make one.
 *
 * A frame is packets by reference, all of them or none. Someone who comes is shown it once, and
 * what follows begins with the key frame that is asked for as always. What all frames of a worker
 * hold is bounded (key_frame_cache), as is one of them; what finds no room leaves the frame before
 * it. Nothing is kept of what is muted: nobody shall see what was there before.
 */
#include "sfu.h"

#include <stdlib.h>

enum { MAX_KEPT = 128 /* packets of one frame */, FIRST_KEPT = 8, PACKET_BYTES = 2048 };

struct frame {
	struct pending *packets; /* owned; referenced */
	unsigned n, size;
};

struct cache {
	struct frame whole, coming; /* coming: n 0: none is */
};

/* ---- frames */

static void forget(struct sfu *s, struct frame *f)
{
	for (unsigned i = 0; i < f->n; i++)
		sl_packet_unref(f->packets[i].packet);
	s->n_cached -= f->n;
	f->n = 0;
}

static bool has_room(const struct sfu *s, const struct frame *f)
{
	return f->n < MAX_KEPT && (s->n_cached + 1) * PACKET_BYTES <= s->conf->key_frame_cache;
}

static bool grow(struct frame *f)
{
	unsigned size = f->size ? 2 * f->size : FIRST_KEPT;
	struct pending *more;

	if (f->n < f->size)
		return true;
	more = realloc(f->packets, size * sizeof *more);
	if (!more)
		return false;
	f->packets = more;
	f->size = size;
	return true;
}

/* In its place: what was lost at first comes late. */
static bool keep(struct sfu *s, struct frame *f, const struct pending *k)
{
	unsigned at = f->n;

	if (!has_room(s, f) || !grow(f))
		return false;
	for (; at > 0 && f->packets[at - 1].seq > k->seq; at--)
		f->packets[at] = f->packets[at - 1];
	f->packets[at] = *k;
	f->n++;
	sl_packet_ref(k->packet);
	s->n_cached++;
	return true;
}

/* ---- what comes */

static bool begins_frame(const struct pending *k)
{
	return k->info.key && k->info.begins && k->info.spatial == 0 && !k->info.unknown;
}

static bool is_part(const struct frame *f, const struct pending *k)
{
	const struct pending *first = &f->packets[0];

	return k->seq > first->seq && k->codec == first->codec &&
	       sl_packet_rtp(k->packet)->ts == sl_packet_rtp(first->packet)->ts;
}

static bool is_whole(const struct frame *f)
{
	const struct pending *last = &f->packets[f->n - 1];

	return sl_packet_rtp(last->packet)->marker && last->seq - f->packets[0].seq + 1 == f->n;
}

static struct cache *cache_of(struct track *t, unsigned encoding)
{
	if (!t->cache[encoding])
		t->cache[encoding] = calloc(1, sizeof *t->cache[encoding]);
	return t->cache[encoding];
}

static void finish(struct sfu *s, struct cache *c)
{
	struct frame before = c->whole;

	c->whole = c->coming;
	c->coming = before;
	forget(s, &c->coming);
}

static void take(struct sfu *s, struct cache *c, const struct pending *k)
{
	if (begins_frame(k))
		forget(s, &c->coming);
	else if (c->coming.n == 0 || !is_part(&c->coming, k))
		return;
	if (!keep(s, &c->coming, k))
		forget(s, &c->coming);
	else if (is_whole(&c->coming))
		finish(s, c);
}

void cache_packet(struct track *t, const struct pending *k)
{
	struct sfu *s = t->room->sfu;
	struct cache *c;

	if (s->conf->key_frame_cache == 0 || t->muted)
		return;
	if (!begins_frame(k) && (!t->cache[k->encoding] || t->cache[k->encoding]->coming.n == 0))
		return;
	c = cache_of(t, k->encoding);
	if (c)
		take(s, c, k);
}

void cache_forget(struct track *t)
{
	for (unsigned e = 0; e < SL_RTC_MAX_ENCODINGS; e++) {
		struct cache *c = t->cache[e];

		t->cache[e] = NULL;
		if (!c)
			continue;
		forget(t->room->sfu, &c->whole);
		forget(t->room->sfu, &c->coming);
		free(c->whole.packets);
		free(c->coming.packets);
		free(c);
	}
}

void cache_send(struct track *t, uint32_t owner, uint32_t mask)
{
	for (unsigned e = 0; e < SL_RTC_MAX_ENCODINGS; e++)
		if ((mask >> e & 1) && t->cache[e] && t->cache[e]->whole.n > 0)
			trunk_still(t, owner, t->cache[e]->whole.packets, t->cache[e]->whole.n);
}

/* ---- who comes */

static const struct frame *frame_of(const struct track *t, unsigned encoding)
{
	const struct cache *c = t->cache[encoding];

	return c && c->whole.n > 0 && c->whole.packets[0].codec == t->codec ? &c->whole : NULL;
}

/* Of the wanted encoding; else a smaller picture is better than none. */
static const struct frame *best_frame(const struct track *t, unsigned wanted)
{
	const struct frame *best = frame_of(t, wanted);

	for (unsigned e = 0; e < t->n_encodings && !best; e++)
		if (t->rate[e].width <= t->rate[wanted].width || t->rate[wanted].width == 0)
			best = frame_of(t, e);
	return best;
}

void cache_show(struct sub *sub)
{
	const struct frame *f;

	if (!sub->layers || sub->has_seen || sub->target.paused || !forward_is_ready(sub))
		return;
	f = best_frame(sub->track, sub->target.encoding);
	if (!f)
		return;
	sub->has_seen = true;
	sfu_count(sub->track->room->sfu, M_shown_from_cache);
	for (unsigned i = 0; i < f->n; i++)
		forward_still(sub, &f->packets[i]);
}
