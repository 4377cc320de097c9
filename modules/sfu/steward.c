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
	IDLE_MS = 2000,	   /* idle participants are looked for so often */
	QUIET_MS = 10000,  /* after all of these */
	UNUSED_MS = 3000,  /* until a publisher stops a layer that nobody wants */
	MAX_VIDEOS = 128,  /* of one subscriber */
	AUDIO_BPS = 48000, /* kept free for an audio track, or what it takes of late */
	ALL_ENCODINGS = (1 << SL_RTC_MAX_ENCODINGS) - 1,
};

/* ---- rates */

static void measure(struct track *t, uint64_t now_ms, uint64_t elapsed_ms)
{
	for (unsigned e = 0; e < SL_RTC_MAX_ENCODINGS; e++)
		encoding_measure(&t->rate[e], now_ms, elapsed_ms);
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

/* A member's camera is not told which encodings are wanted: it has one, which comes. */
static struct offer offer_of(const struct track *t)
{
	return (struct offer){
		.rates = t->rate,
		.n_encodings = t->n_encodings,
		.asked = t->publisher->here ? t->told_mask : t->wanted_mask,
		.now_ms = sfu_now_ms(t->room->sfu),
	};
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

static uint64_t taken_by_audio(const struct track *t)
{
	uint64_t bps = encoding_bps(&t->rate[0]);

	if (!t->audible)
		return 0;
	return bps > AUDIO_BPS ? bps : AUDIO_BPS;
}

/* For video. Of a member's way nothing is known but what it has said of it. */
static uint64_t budget_of(const struct participant *p, uint64_t audio_bps,
			  const struct allocate_track *only)
{
	struct sl_rtc_estimate e;

	if (!p->sub)
		return watch_budget(p, only && only->n_layers > 0 ? only->layers[0].bps : 0);
	sl_rtc_get_estimate(p->sub, &e);
	return e.target_bps > audio_bps ? e.target_bps - audio_bps : 0;
}

void steward_allocate(struct participant *p)
{
	struct allocate_track list[MAX_VIDEOS];
	struct allocate_layer layers[MAX_VIDEOS][ALLOCATE_MAX_LAYERS];
	struct sub *subs[MAX_VIDEOS];
	struct offer offer;
	struct allocate_result result;
	uint64_t now = sfu_now_ms(p->room->sfu), audio = 0;
	unsigned n = 0;

	if (!p->sub && !p->watch)
		return;
	for (struct sub *sub = p->subs; sub; sub = sub->next_of_participant) {
		if (p->watch && !watch_counts(sub))
			continue;
		if (!sub->layers) {
			audio += taken_by_audio(sub->track);
			continue;
		}
		if (n == MAX_VIDEOS)
			break;
		offer = offer_of(sub->track);
		subs[n] = sub;
		list[n] = (struct allocate_track){
			.state = &sub->allocated,
			.layers = layers[n],
			.n_layers = offer_layers(&offer, layers[n]),
			.width = sub->width,
			.height = sub->height,
			.priority = sub->priority,
			.speaker = is_speaking(sub->track),
			.hidden = sub->hidden || sub->stopped || sub->track->silenced,
			.screen = sub->track->source == SOURCE_SCREEN,
		};
		n++;
	}
	allocate(list, n, budget_of(p, audio, n > 0 ? &list[0] : NULL), now, &result);
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
	const struct offer offer = offer_of(t);
	uint32_t now = offer_arriving(&offer), before = t->arriving;

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
