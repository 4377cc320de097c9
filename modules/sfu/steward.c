/*
 * sfu/steward.c: who gets which layers, which layers are made at all, and who is heard.
 *
 * Every subscriber has one estimate; the allocator divides it among the video that it shows. What
 * nobody wants of a track is not fetched from its worker, and its publisher is told not to make it
 * (after a while; to make it again at once). Ten times a second there is a look at all of it.
 */
#include "sfu.h"

#include "speakers.h"

enum {
	RATES_MS = 500,	   /* layers are measured over this */
	STALE_MS = 1500,   /* an encoding without packets for so long does not arrive */
	BEHIND_MS = 400,   /* nor does one that is silent while others of its track go on */
	STEADY_MS = 1000,  /* until the measured rate of one that begins is believed */
	COMING_MS = 3000,  /* until what was asked for is not counted on any more */
	IDLE_MS = 2000,	   /* idle participants are looked for so often */
	QUIET_MS = 10000,  /* after all of these */
	UNUSED_MS = 3000,  /* until a publisher stops a layer that nobody wants */
	MAX_VIDEOS = 128,  /* of one subscriber */
	AUDIO_BPS = 48000, /* that an audio track may take, kept free */
	ALL_ENCODINGS = (1 << SL_RTC_MAX_ENCODINGS) - 1,
};

/* ---- rates */

static bool is_steady(const struct encoding_rate *r)
{
	return r->last_ms - r->begun_ms >= STEADY_MS;
}

static void measure_encoding(struct encoding_rate *r, uint64_t now_ms, uint64_t elapsed_ms)
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

static void measure(struct track *t, uint64_t now_ms, uint64_t elapsed_ms)
{
	for (unsigned e = 0; e < SL_RTC_MAX_ENCODINGS; e++)
		measure_encoding(&t->rate[e], now_ms, elapsed_ms);
}

static void measure_all(struct sfu *s)
{
	uint64_t now = sfu_now_ms(s), elapsed = now - s->rates_at_ms;

	if (elapsed < RATES_MS)
		return;
	s->rates_at_ms = now;
	for (const struct room *r = s->awake; r; r = r->awake_next)
		for (struct track *t = r->tracks; t; t = t->next)
			measure(t, now, elapsed);
}

/* ---- the allocator's view of a track */

struct view {
	struct allocate_layer layers[ALLOCATE_MAX_LAYERS];
	unsigned n;
};

/* A publisher whose way has become narrow leaves out the upper encodings. */
static bool is_behind(const struct track *t, unsigned e, uint64_t now_ms)
{
	uint64_t since = t->rate[e].last_ms;

	if (now_ms - since < BEHIND_MS)
		return false;
	for (unsigned i = 0; i < t->n_encodings; i++)
		if (t->rate[i].last_ms >= since + BEHIND_MS &&
		    now_ms - t->rate[i].last_ms < BEHIND_MS / 4)
			return true;
	return false;
}

/* A member's camera is not told which encodings are wanted: it has one, which comes. */
static bool is_asked(const struct track *t, unsigned e)
{
	return (t->publisher->here ? t->told_mask : t->wanted_mask) >> e & 1;
}

/* A stray packet of one that nobody asked for is no sign that more will follow. */
static bool arrives(const struct track *t, unsigned e, uint64_t now_ms)
{
	return is_asked(t, e) && t->rate[e].last_ms > 0 && now_ms - t->rate[e].last_ms < STALE_MS &&
	       !is_behind(t, e, now_ms);
}

static uint32_t arriving(const struct track *t, uint64_t now_ms)
{
	uint32_t mask = 0;

	for (unsigned e = 0; e < t->n_encodings; e++)
		mask |= (uint32_t)arrives(t, e, now_ms) << e;
	return mask;
}

static unsigned n_spatial(const struct encoding_rate *r)
{
	unsigned n = 1;

	for (unsigned s = 1; s < SL_MAX_SPATIAL; s++)
		if (r->bps[s][0] > 0)
			n = s + 1;
	return n;
}

/* Up to and with this layer: what a subscriber of it gets. */
static void add_layers(struct view *v, const struct encoding_rate *r, unsigned e)
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

static void sort_layers(struct view *v)
{
	for (unsigned i = 1; i < v->n; i++) {
		struct allocate_layer l = v->layers[i];
		unsigned k = i;

		for (; k > 0 && v->layers[k - 1].bps > l.bps; k--)
			v->layers[k] = v->layers[k - 1];
		v->layers[k] = l;
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
static uint32_t guess_bps(const struct view *v, const struct track *t, unsigned e)
{
	static const uint32_t usual[SL_RTC_MAX_ENCODINGS] = {150000, 500000, 1700000, 2500000};
	uint32_t bps = t->rate[e].usual_bps;

	if (bps == 0)
		bps = t->rate[e].told_bps;
	if (bps == 0)
		bps = t->n_encodings == 1 ? usual[1] : usual[e];
	for (unsigned i = 0; i < v->n; i++)
		if (is_smaller(t->rate, e, v->layers[i].encoding) && v->layers[i].bps > 0 &&
		    v->layers[i].bps < bps)
			bps = v->layers[i].bps;
	return bps;
}

/*
 * An encoding that is not fetched from another worker, or that its publisher does not make, has no
 * rate: it is offered by a guess, so that wanting it can begin, and as long as it may be on its
 * way. Where one begins, its first packets would make it look cheap.
 */
static void add_guess(struct view *v, const struct track *t, unsigned e)
{
	if (v->n == ALLOCATE_MAX_LAYERS)
		return;
	v->layers[v->n] = (struct allocate_layer){
		.encoding = (uint8_t)e,
		.temporal = SL_MAX_TEMPORAL - 1,
		.spatial = SL_MAX_SPATIAL - 1,
		.width = t->rate[e].width, /* of before, or as its home has told */
		.height = t->rate[e].height,
		.bps = guess_bps(v, t, e),
	};
	v->n++;
}

static bool may_come(const struct track *t, unsigned e, uint64_t now_ms)
{
	return !is_asked(t, e) || now_ms - t->asked_ms[e] < COMING_MS;
}

static bool is_measured(const struct track *t, unsigned e, uint64_t now_ms)
{
	return arrives(t, e, now_ms) && is_steady(&t->rate[e]);
}

/* What is measured comes first: guesses look at it. */
static void look_at(struct view *v, const struct track *t, uint64_t now_ms)
{
	v->n = 0;
	for (unsigned e = 0; e < t->n_encodings; e++)
		if (is_measured(t, e, now_ms))
			add_layers(v, &t->rate[e], e);
	for (unsigned e = 0; e < t->n_encodings; e++)
		if (!is_measured(t, e, now_ms) && (arrives(t, e, now_ms) || may_come(t, e, now_ms)))
			add_guess(v, t, e);
	sort_layers(v);
}

/* ---- one subscriber */

static bool is_speaking(const struct track *t)
{
	uint64_t ids[4];
	unsigned n = speakers_active(t->room->speakers, ids, SL_ARRAY_LEN(ids));

	for (unsigned i = 0; i < n; i++) {
		const struct track *voice = track_find(t->room->sfu, ids[i]);

		if (voice && voice->publisher == t->publisher)
			return true;
	}
	return false;
}

static bool same_target(const struct sl_layers_target *a, const struct sl_layers_target *b)
{
	return a->paused == b->paused && a->encoding == b->encoding && a->spatial == b->spatial &&
	       a->temporal == b->temporal;
}

static void apply(struct sub *sub, const struct allocate_track *a)
{
	struct sfu *s = sub->track->room->sfu;
	unsigned encoding;

	if (!same_target(&sub->target, &a->target)) {
		sub->target = a->target;
		sfu_count(s, M_layer_switches);
		sl_layers_set_target(sub->layers, &sub->target);
		steward_wants_changed(sub->track);
		cache_show(sub);
		if (sl_layers_wants_key(sub->layers, &encoding))
			track_ask_key(sub->track, encoding);
	}
	if (sub->paused != a->starved) {
		sub->paused = a->starved;
		if (a->starved)
			sfu_count(s, M_pauses);
		say_paused(sub->participant, sub);
	}
}

/* For video. Of a member's way nothing is known but what it has said of it. */
static uint64_t budget_of(const struct participant *p, uint64_t audio_bps, const struct view *only)
{
	struct sl_rtc_estimate e;

	if (!p->sub)
		return watch_budget(p, only && only->n > 0 ? only->layers[0].bps : 0);
	sl_rtc_get_estimate(p->sub, &e);
	return e.target_bps > audio_bps ? e.target_bps - audio_bps : 0;
}

void steward_allocate(struct participant *p)
{
	struct allocate_track list[MAX_VIDEOS];
	struct view views[MAX_VIDEOS];
	struct sub *subs[MAX_VIDEOS];
	struct allocate_result result;
	uint64_t now = sfu_now_ms(p->room->sfu), audio = 0;
	unsigned n = 0;

	if (!p->sub && !p->watch)
		return;
	for (struct sub *sub = p->subs; sub; sub = sub->next_of_participant) {
		if (p->watch && !watch_counts(sub))
			continue;
		if (!sub->layers) {
			audio += sub->track->audible ? AUDIO_BPS : 0;
			continue;
		}
		if (n == MAX_VIDEOS)
			break;
		look_at(&views[n], sub->track, now);
		subs[n] = sub;
		list[n] = (struct allocate_track){
			.state = &sub->allocated,
			.layers = views[n].layers,
			.n_layers = views[n].n,
			.width = sub->width,
			.height = sub->height,
			.priority = sub->priority,
			.speaker = is_speaking(sub->track),
			.hidden = sub->hidden || sub->stopped || sub->track->silenced,
			.screen = sub->track->source == SOURCE_SCREEN,
		};
		n++;
	}
	allocate(list, n, budget_of(p, audio, n > 0 ? &views[0] : NULL), now, &result);
	if (p->sub)
		sl_rtc_set_wanted(p->sub, result.wanted_bps + audio);
	p->wanted_bps = result.all_bps + audio;
	p->got_bps = result.used_bps + audio;
	for (unsigned i = 0; i < n; i++)
		apply(subs[i], &list[i]);
}

/* ---- what is made at all */

/* Going to another encoding, both are wanted until the switch. */
static uint32_t wanted_by(const struct sub *sub)
{
	struct sl_layers_target now;

	if (!sub->layers)
		return 1;
	if (sub->target.paused)
		return 0;
	sl_layers_current(sub->layers, &now);
	return 1u << sub->target.encoding | (now.paused ? 0 : 1u << now.encoding);
}

static uint32_t wanted_here(const struct track *t)
{
	uint32_t mask = 0;

	for (const struct sub *sub = t->subs; sub; sub = sub->next_of_track)
		mask |= wanted_by(sub);
	return mask;
}

static uint32_t wanted_everywhere(const struct track *t)
{
	uint32_t mask = wanted_here(t);

	for (const struct link *l = t->links; l; l = l->next)
		mask |= l->mask;
	return shown_wants_all(t) ? ALL_ENCODINGS : mask;
}

/* The lowest is always made: it is what somebody who comes sees first. */
static void tell_publisher(struct track *t)
{
	uint64_t now = sfu_now_ms(t->room->sfu);
	uint32_t wanted = wanted_everywhere(t) | 1, mask = t->told_mask & ALL_ENCODINGS;

	for (unsigned e = 0; e < t->n_encodings; e++) {
		if (wanted & 1u << e) {
			t->unused_ms[e] = 0;
			mask |= 1u << e;
		} else if (t->unused_ms[e] == 0) {
			t->unused_ms[e] = now;
		} else if (now - t->unused_ms[e] >= UNUSED_MS) {
			mask &= ~(1u << e);
		}
	}
	if (mask == t->told_mask || t->n_encodings < 2)
		return;
	track_asked(t, mask & ~t->told_mask);
	t->told_mask = mask;
	say_encodings(t->publisher, t, mask);
}

void steward_wants_changed(struct track *t)
{
	if (t->in && t->kind == SL_MEDIA_VIDEO)
		tell_publisher(t);
	else if (!t->publisher->here)
		trunk_want(t, wanted_here(t));
}

/* ---- voices */

/* Of thousands of rooms most are quiet: not even to look at them would be nothing. */
void steward_wake(struct room *r)
{
	struct sfu *s = r->sfu;

	r->heard_ms = sfu_now_ms(s);
	if (r->awake)
		return;
	r->awake = true;
	r->awake_prev = NULL;
	r->awake_next = s->awake;
	if (r->awake_next)
		r->awake_next->awake_prev = r;
	s->awake = r;
}

void steward_sleep(struct room *r)
{
	if (!r->awake)
		return;
	r->awake = false;
	if (r->awake_prev)
		r->awake_prev->awake_next = r->awake_next;
	else
		r->sfu->awake = r->awake_next;
	if (r->awake_next)
		r->awake_next->awake_prev = r->awake_prev;
}

void steward_heard(struct track *t, unsigned level, bool voice)
{
	struct sfu *s = t->room->sfu;

	steward_wake(t->room);
	speakers_heard(t->room->speakers, t->id, level, voice, sfu_now_ms(s));
	if (t->publisher->here && level < t->loudest)
		t->loudest = (uint8_t)level;
}

/* Of our own voices the others get the loudest moment of a tick; silence needs no message. */
static void share_levels(struct track *t)
{
	if (t->publisher->here && t->kind == SL_MEDIA_AUDIO && t->loudest < SILENCE)
		trunk_levels(t->room, t, t->loudest);
	t->loudest = SILENCE;
}

static void tell_speakers(struct room *r)
{
	uint64_t voices[8], peers[8];
	unsigned n = speakers_active(r->speakers, voices, SL_ARRAY_LEN(voices)), m = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct track *t = track_find(r->sfu, voices[i]);

		if (t)
			peers[m++] = t->publisher->id;
	}
	for (struct participant *p = r->participants; p; p = p->next) {
		if (!p->here)
			continue;
		say_speakers(p, r, peers, m);
		steward_allocate(p);
	}
}

/* Who gets an encoding that has ceased is given another without waiting. */
static void look_for_changes(struct track *t)
{
	uint32_t now = arriving(t, sfu_now_ms(t->room->sfu)), before = t->arriving;

	t->arriving = (uint8_t)now;
	if (!(before & ~now))
		return;
	for (struct sub *sub = t->subs; sub; sub = sub->next_of_track)
		if (sub->layers && (before & ~now & 1u << sub->target.encoding))
			steward_allocate(sub->participant);
}

/* Speakers have ceased by then, encodings too. */
static bool is_quiet(const struct room *r)
{
	return sfu_now_ms(r->sfu) - r->heard_ms > QUIET_MS && !r->data_full && !r->data_held;
}

static void tick_room(struct room *r)
{
	bool changed;

	data_tick(r);
	if (is_quiet(r)) {
		steward_sleep(r);
		return;
	}
	changed = speakers_tick(r->speakers, sfu_now_ms(r->sfu));
	for (struct track *t = r->tracks; t; t = t->next) {
		if (t->kind == SL_MEDIA_AUDIO)
			t->audible = speakers_audible(r->speakers, t->id);
		else
			look_for_changes(t);
		track_tick_keys(t);
		if (t->in && t->kind == SL_MEDIA_VIDEO)
			tell_publisher(t);
		share_levels(t);
	}
	if (changed)
		tell_speakers(r);
	for (struct participant *p = r->participants; p; p = p->next)
		if (p->watch)
			watch_tick(p);
}

/* ---- idle participants */

static bool is_idle(struct participant *p, uint64_t now_ms)
{
	if (p->idle_since_ms == 0) {
		p->idle_since_ms = now_ms; /* until a packet says otherwise */
		return false;
	}
	return (p->pub || p->sub) && now_ms - p->idle_since_ms >= p->room->sfu->conf->idle_timeout;
}

static void close_idle(struct participant *p)
{
	say_restart(p->room->sfu, p->id, "none", "neither sent nor received for a long time");
	publish_close(p, "idle");
	subscribe_close(p, "idle");
}

static void allocate_all(struct sfu *s)
{
	uint64_t now = sfu_now_ms(s);

	if (now - s->allocated_at_ms < RATES_MS)
		return;
	s->allocated_at_ms = now;
	for (struct room *r = s->awake; r; r = r->awake_next)
		for (struct participant *p = r->participants; p; p = p->next)
			if (p->here)
				steward_allocate(p);
}

static void look_for_idle(struct sfu *s)
{
	uint64_t now = sfu_now_ms(s);
	struct sl_hnode *n;

	if (now - s->idle_at_ms < IDLE_MS)
		return;
	s->idle_at_ms = now;
	for (n = sl_htab_first(&s->participants); n; n = sl_htab_next(&s->participants, n)) {
		struct participant *p = SL_CONTAINER(n, struct participant, node);

		if (p->here && is_idle(p, now))
			close_idle(p);
	}
}

static void observe_all(struct sfu *s)
{
	uint64_t now = sfu_now_ms(s);

	if (now - s->observed_at_ms < QUALITY_LOOK_MS)
		return;
	s->observed_at_ms = now;
	for (struct room *r = s->awake; r; r = r->awake_next)
		observe_room(r, now);
}

void steward_tick(struct sfu *s)
{
	struct room *next;

	measure_all(s);
	for (struct room *r = s->awake; r; r = next) {
		next = r->awake_next;
		tick_room(r);
	}
	allocate_all(s);
	observe_all(s);
	look_for_idle(s);
}
