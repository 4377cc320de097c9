/*
 * sfu/offer.c: see offer.h.
 *
 * What is measured is offered layer by layer, and comes first, since guesses look at it: an
 * encoding that is guessed to cost more than a larger picture that comes would never be chosen. Of
 * one that begins the first packets would make it look cheap, so that its guess stands until it
 * has been there for a while.
 */
#include "offer.h"

enum {
	AWAY_MS = 1000,	  /* an encoding without packets for so long begins anew */
	STALE_MS = 1500,  /* and does not arrive after this */
	BEHIND_MS = 400,  /* nor does one that is silent while others of its track go on */
	STEADY_MS = 1000, /* until the measured rate of one that begins is believed */
	COMING_MS = 3000, /* until what was asked for is not counted on any more */
	MAX_TOLD_KBPS = 1000000,
};

/* ---- one encoding */

static bool note_size(struct encoding_rate *r, unsigned width, unsigned height)
{
	if ((r->width == width && r->height == height) || width > UINT16_MAX || height > UINT16_MAX)
		return false;
	r->width = (uint16_t)width;
	r->height = (uint16_t)height;
	return true;
}

/* Spatial layers above this one; each is twice as wide. */
static unsigned n_above(const struct sl_frame_info *i)
{
	unsigned n = i->n_spatial < SL_MAX_SPATIAL ? i->n_spatial : SL_MAX_SPATIAL;

	return n > i->spatial ? n - 1 - i->spatial : 0;
}

bool encoding_count(struct encoding_rate *r, const struct sl_frame_info *info, uint32_t bytes,
		    uint64_t now_ms)
{
	unsigned s = info->spatial < SL_MAX_SPATIAL ? info->spatial : SL_MAX_SPATIAL - 1;
	unsigned l = info->temporal < SL_MAX_TEMPORAL ? info->temporal : SL_MAX_TEMPORAL - 1;

	r->bytes[s][l] += bytes;
	if (now_ms - r->last_ms >= AWAY_MS)
		r->begun_ms = now_ms;
	r->last_ms = now_ms;
	if (!info->key || info->width == 0)
		return false;
	return note_size(r, (unsigned)info->width << n_above(info),
			 (unsigned)info->height << n_above(info));
}

bool encoding_told(struct encoding_rate *r, const struct sl_vla *v, unsigned e)
{
	unsigned made = e < v->n_streams ? v->spatial[e] : 0;
	uint64_t kbps = 0;
	bool resized = false;

	if (!made) { /* given up, before it is missed */
		r->last_ms = 0;
		return false;
	}
	for (unsigned s = 0; s < SL_VLA_SPATIAL; s++) {
		const struct sl_vla_layer *l = &v->layers[e][s];

		kbps += l->kbps;
		if (v->sized && made >> s == 1) /* the largest */
			resized = note_size(r, l->width, l->height);
	}
	r->told_bps = kbps < MAX_TOLD_KBPS ? (uint32_t)kbps * 1000 : 0;
	return resized;
}

static bool is_steady(const struct encoding_rate *r)
{
	return r->last_ms - r->begun_ms >= STEADY_MS;
}

void encoding_measure(struct encoding_rate *r, uint64_t now_ms, uint64_t elapsed_ms)
{
	uint32_t sum = 0;

	for (unsigned s = 0; s < SL_MAX_SPATIAL; s++)
		for (unsigned l = 0; l < SL_MAX_TEMPORAL; l++) {
			uint32_t now = (uint32_t)(r->bytes[s][l] * 8000 / elapsed_ms);

			r->bps[s][l] = r->bps[s][l] ? (r->bps[s][l] * 3 + now) / 4 : now;
			r->bytes[s][l] = 0;
			sum += r->bps[s][l];
		}
	/* What is left of one that has ceased is not usual. */
	if (is_steady(r) && now_ms - r->last_ms < BEHIND_MS)
		r->usual_bps = sum;
}

uint64_t encoding_bps(const struct encoding_rate *r)
{
	uint64_t sum = 0;

	for (unsigned s = 0; s < SL_MAX_SPATIAL; s++)
		for (unsigned l = 0; l < SL_MAX_TEMPORAL; l++)
			sum += r->bps[s][l];
	return sum;
}

/* ---- does it come? */

/* A publisher whose way has become narrow leaves out the upper encodings. */
static bool is_behind(const struct offer *o, unsigned e)
{
	uint64_t since = o->rates[e].last_ms;

	if (o->now_ms - since < BEHIND_MS)
		return false;
	for (unsigned i = 0; i < o->n_encodings; i++)
		if (o->rates[i].last_ms >= since + BEHIND_MS &&
		    o->now_ms - o->rates[i].last_ms < BEHIND_MS / 4)
			return true;
	return false;
}

static bool is_asked(const struct offer *o, unsigned e)
{
	return o->asked >> e & 1;
}

/* A stray packet of one that nobody asked for is no sign that more will follow. */
static bool arrives(const struct offer *o, unsigned e)
{
	const struct encoding_rate *r = &o->rates[e];

	return is_asked(o, e) && r->last_ms > 0 && o->now_ms - r->last_ms < STALE_MS &&
	       !is_behind(o, e);
}

uint32_t offer_arriving(const struct offer *o)
{
	uint32_t mask = 0;

	for (unsigned e = 0; e < o->n_encodings; e++)
		mask |= (uint32_t)arrives(o, e) << e;
	return mask;
}

static bool may_come(const struct offer *o, unsigned e)
{
	return !is_asked(o, e) || o->now_ms - o->rates[e].asked_ms < COMING_MS;
}

static bool is_measured(const struct offer *o, unsigned e)
{
	return arrives(o, e) && is_steady(&o->rates[e]);
}

/* ---- layers */

struct list {
	struct allocate_layer *layers;
	unsigned n;
};

static unsigned n_spatial(const struct encoding_rate *r)
{
	unsigned n = 1;

	for (unsigned s = 1; s < SL_MAX_SPATIAL; s++)
		if (r->bps[s][0] > 0)
			n = s + 1;
	return n;
}

/* Up to and with this layer: what a subscriber of it gets. */
static void add_layers(struct list *v, const struct encoding_rate *r, unsigned e)
{
	unsigned top = n_spatial(r);
	uint32_t below = 0;

	for (unsigned s = 0; s < top; s++) {
		uint32_t sum = below;

		for (unsigned l = 0; l < SL_MAX_TEMPORAL && v->n < ALLOCATE_MAX_LAYERS; l++) {
			if (r->bps[s][l] == 0 && l > 0)
				continue;
			sum += r->bps[s][l];
			v->layers[v->n++] = (struct allocate_layer){
				.encoding = (uint8_t)e,
				.spatial = (uint8_t)s,
				.temporal = (uint8_t)l,
				.width = (uint16_t)(r->width >> (top - 1 - s)),
				.height = (uint16_t)(r->height >> (top - 1 - s)),
				.bps = sum,
			};
		}
		below = sum;
	}
}

static bool is_smaller(const struct encoding_rate *rates, unsigned a, unsigned b)
{
	const struct encoding_rate *x = &rates[a], *y = &rates[b];

	if (x->width == 0 || y->width == 0)
		return a < b;
	return (uint32_t)x->width * x->height < (uint32_t)y->width * y->height;
}

/* What it was when it came last, else what its publisher aims at or is usual; in no case more than
 * the least of a larger picture that comes: there it would be passed over for that one. */
static uint32_t guess_bps(const struct list *v, const struct offer *o, unsigned e)
{
	static const uint32_t usual[SL_RTC_MAX_ENCODINGS] = {150000, 500000, 1700000, 2500000};
	uint32_t bps = o->rates[e].usual_bps;

	if (bps == 0)
		bps = o->rates[e].told_bps;
	if (bps == 0)
		bps = o->n_encodings == 1 ? usual[1] : usual[e];
	for (unsigned i = 0; i < v->n; i++)
		if (is_smaller(o->rates, e, v->layers[i].encoding) && v->layers[i].bps > 0 &&
		    v->layers[i].bps < bps)
			bps = v->layers[i].bps;
	return bps;
}

static void add_guess(struct list *v, const struct offer *o, unsigned e)
{
	if (v->n == ALLOCATE_MAX_LAYERS)
		return;
	v->layers[v->n] = (struct allocate_layer){
		.encoding = (uint8_t)e,
		.temporal = SL_MAX_TEMPORAL - 1,
		.spatial = SL_MAX_SPATIAL - 1,
		.width = o->rates[e].width, /* of before, or as its home has told */
		.height = o->rates[e].height,
		.bps = guess_bps(v, o, e),
	};
	v->n++;
}

static void sort_layers(struct list *v)
{
	for (unsigned i = 1; i < v->n; i++) {
		struct allocate_layer l = v->layers[i];
		unsigned k = i;

		for (; k > 0 && v->layers[k - 1].bps > l.bps; k--)
			v->layers[k] = v->layers[k - 1];
		v->layers[k] = l;
	}
}

unsigned offer_layers(const struct offer *o, struct allocate_layer *ret_layers)
{
	struct list v = {.layers = ret_layers};

	for (unsigned e = 0; e < o->n_encodings; e++)
		if (is_measured(o, e))
			add_layers(&v, &o->rates[e], e);
	for (unsigned e = 0; e < o->n_encodings; e++)
		if (!is_measured(o, e) && (arrives(o, e) || may_come(o, e)))
			add_guess(&v, o, e);
	sort_layers(&v);
	return v.n;
}
