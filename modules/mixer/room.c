/*
 * mixer/room.c: the phones of this worker in one room, what they hear of the others, and the tick.
 */
#include "mixer.h"

#include <stdlib.h>
#include "red.h"

#define EAR_NAME "(mixer)" /* hidden; others' modules see the name and no grants */

/* ---- rooms */

static bool has_name(const struct sl_hnode *n, const void *key)
{
	const struct room *r = SL_CONTAINER(n, struct room, by_name);

	return sl_str_eq((struct sl_str){r->name, r->name_len}, *(const struct sl_str *)key);
}

static struct room *find(const struct mixer *m, struct sl_str name)
{
	struct sl_hnode *n = sl_htab_find(&m->by_name, sl_hash(name.p, name.len), has_name, &name);

	return n ? SL_CONTAINER(n, struct room, by_name) : NULL;
}

struct room *room_get(struct mixer *m, struct sl_str name, const struct room_conf *rules)
{
	struct room *r = find(m, name);

	if (r)
		return r;
	r = calloc(1, sizeof *r + name.len + 1);
	if (!r)
		return NULL;
	r->mixer = m;
	r->rules = rules;
	r->hz = 8000;
	r->loudest.max = (unsigned)m->conf->loudest;
	r->name_len = name.len;
	if (name.len > 0)
		memcpy(r->name, name.p, name.len);
	if (sl_htab_insert(&m->by_name, &r->by_name, sl_hash(name.p, name.len)) < 0) {
		free(r);
		return NULL;
	}
	sl_gauge_add(&m->m[M_rooms], 1);
	return r;
}

static void remove_track(struct room *r, struct track *t)
{
	struct track **link = &r->tracks;

	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
	loudest_remove(&r->loudest, &t->source.voice);
	source_free(&t->source);
	free(t);
}

static void forget_tracks(struct room *r)
{
	while (r->tracks)
		remove_track(r, r->tracks);
}

static void tick_off(struct room *r)
{
	if (!r->is_ticking)
		return;
	r->is_ticking = false;
	if (r->tick_prev)
		r->tick_prev->tick_next = r->tick_next;
	else
		r->mixer->ticking = r->tick_next;
	if (r->tick_next)
		r->tick_next->tick_prev = r->tick_prev;
	sl_gauge_add(&r->mixer->m[M_active], -1);
}

static void free_room(struct room *r)
{
	struct mixer *m = r->mixer;

	tick_off(r);
	m->rooms->leave(r->ear);
	forget_tracks(r);
	sl_htab_remove(&m->by_name, &r->by_name);
	sl_gauge_add(&m->m[M_rooms], -1);
	free(r);
}

/* ---- its ear */

static struct track *find_track(const struct room *r, uint64_t id)
{
	struct track *t = r->tracks;

	while (t && t->id != id)
		t = t->next;
	return t;
}

static bool is_phone_here(const struct room *r, uint64_t peer)
{
	for (const struct phone *p = r->phones; p; p = p->next_in_room)
		if (!p->listens && p->peer == peer)
			return true;
	return false;
}

static struct track *add_track(struct room *r, const struct sl_room_track *view)
{
	struct track *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->id = view->id;
	t->peer = view->peer;
	t->source.mixer = r->mixer;
	t->source.level = SL_AUDIO_SILENT;
	t->next = r->tracks;
	r->tracks = t;
	return t;
}

static void on_track(void *arg, const struct sl_room_track *view, bool there)
{
	struct room *r = arg;
	struct track *t = find_track(r, view->id);

	if (!there) {
		if (t)
			remove_track(r, t);
		return;
	}
	if (!t)
		t = add_track(r, view);
	if (!t)
		return; /* out of memory: not heard */
	t->clock_hz = view->clock_hz ? view->clock_hz : 48000;
	t->muted = view->muted;
	if (t->muted)
		loudest_remove(&r->loudest, &t->source.voice);
}

static int level_of(const struct sl_rtp *rtp, const struct sl_audio_packet *p)
{
	struct sl_str level = sl_rtp_ext_value(rtp, SL_RTP_EXT_AUDIO_LEVEL);

	return level.len >= 1 ? -((uint8_t)level.p[0] & 0x7f) : source_hint(p);
}

/* Is the packet worth decoding? Of those who say how loud they are only the loudest are. */
static bool is_wanted(struct room *r, struct track *t, int level, uint64_t now_ms)
{
	struct source *s = &t->source;

	s->heard_ms = now_ms;
	s->hinted = level <= 0;
	return !s->hinted || loudest_heard(&r->loudest, &s->voice, level, now_ms);
}

static void put(struct track *t, const struct sl_audio_packet *p, const struct room *r)
{
	source_put(&t->source, r->hz, p, sl_loop_ns(r->mixer->w->loop));
}

/* What a packet repeats of those before it goes where it is missing. */
static void put_red(struct track *t, const struct sl_audio_packet *p, const struct room *r)
{
	struct red_block blocks[RED_BLOCKS];
	int n = red_read(p->payload, blocks);

	for (int i = 0; i < n; i++) {
		struct sl_audio_packet one = *p;

		one.codec = SL_CODEC_OPUS;
		one.ts = p->ts - blocks[i].age;
		one.seq = (uint16_t)(p->seq - (n - 1 - i));
		one.payload = blocks[i].data;
		if (one.payload.len > 0)
			put(t, &one, r);
	}
}

static void on_rtp(void *arg, uint64_t id, const struct sl_rtp *rtp, uint64_t seq, unsigned codec)
{
	struct room *r = arg;
	struct track *t = find_track(r, id);
	const struct sl_audio_packet p = {
		.codec = (enum sl_codec_id)codec,
		.clock_hz = t ? t->clock_hz : 0,
		.ts = rtp->ts,
		.seq = (uint16_t)seq,
		.payload = {(const char *)sl_rtp_payload(rtp), rtp->payload_len},
		.packet = rtp->packet,
	};

	if (!t || t->muted || codec == SL_CODEC_DTMF || is_phone_here(r, t->peer))
		return;
	if (!is_wanted(r, t, level_of(rtp, &p), mixer_now_ms(r->mixer))) {
		source_skip(&t->source);
		return;
	}
	if (codec == SL_CODEC_RED)
		put_red(t, &p, r);
	else
		put(t, &p, r);
	room_wake(r);
}

/* Only with the room; members are told for themselves. */
static void on_ended(void *arg, const char *why)
{
	struct room *r = arg;

	r->ear = NULL;
	forget_tracks(r);
	for (struct phone *p = r->phones; p; p = p->next_in_room)
		if (p->listens)
			phone_end(p, SL_MIXER_LEFT, why);
	room_settle_later(r);
}

static const struct sl_room_handler ear_handler = {
	.track = on_track, .rtp = on_rtp, .ended = on_ended};

static void give_ear(struct room *r)
{
	struct mixer *m = r->mixer;
	const struct sl_room_opts o = {.room = {r->name, r->name_len},
				       .name = SL_STR(EAR_NAME),
				       .grants = SL_MAY_SUBSCRIBE | SL_IS_HIDDEN,
				       .handler = &ear_handler,
				       .arg = r};
	int rc = m->rooms->join(m->rooms_self, &o, &r->ear);

	if (rc == 0)
		return;
	r->ear = NULL;
	sl_log(SL_LOG_WARN, "mixer", "phones in %.*s hear nobody but each other: %s",
	       (int)r->name_len, r->name, sl_strerror(rc));
}

/* ---- who is in it */

bool room_has_audience(const struct room *r)
{
	return r->n_phones > 1 || r->n_others > 0;
}

struct counting {
	const struct room *r;
	unsigned n;
};

static void count_peer(void *arg, const struct sl_signal_peer *peer)
{
	struct counting *c = arg;

	c->n += !sl_str_eq(peer->name, SL_STR(EAR_NAME)) && !is_phone_here(c->r, peer->id);
}

void room_recount(struct room *r)
{
	struct mixer *m = r->mixer;
	struct counting c = {.r = r};

	m->signal->each(m->signal_self, (struct sl_str){r->name, r->name_len}, count_peer, &c);
	r->n_others = c.n;
}

void room_add(struct room *r, struct phone *p)
{
	p->next_in_room = r->phones;
	r->phones = p;
	r->n_phones++;
	r->n_listeners += p->listens;
	room_settle_later(r);
}

void room_remove(struct room *r, struct phone *p)
{
	struct phone **link = &r->phones;

	loudest_remove(&r->loudest, &p->source.voice);
	while (*link != p)
		link = &(*link)->next_in_room;
	*link = p->next_in_room;
	r->n_phones--;
	r->n_listeners -= p->listens;
	room_set_rate(r);
	room_settle_later(r);
}

void room_settle_later(struct room *r)
{
	struct mixer *m = r->mixer;

	if (r->is_unsettled)
		return;
	r->is_unsettled = true;
	r->next_unsettled = m->unsettled;
	m->unsettled = r;
	sl_post(m->w->loop, &m->settle);
}

void rooms_settle(struct mixer *m)
{
	struct room *r;

	while ((r = m->unsettled)) {
		m->unsettled = r->next_unsettled;
		r->is_unsettled = false;
		if (!r->phones)
			free_room(r);
		else if (!r->ear)
			give_ear(r);
	}
}

void rooms_free(struct mixer *m)
{
	struct sl_hnode *n;

	m->unsettled = NULL;
	while ((n = sl_htab_first(&m->by_name)))
		free_room(SL_CONTAINER(n, struct room, by_name));
	sl_htab_free(&m->by_name);
}

static void somebody(struct mixer *m, const struct sl_signal_peer *peer, enum prompt prompt)
{
	struct room *r = find(m, peer->room);

	if (!r || sl_str_eq(peer->name, SL_STR(EAR_NAME)))
		return;
	room_recount(r);
	if (r->n_phones == r->n_listeners) /* recordings want none */
		return;
	if (!r->rules || r->rules->tones)
		room_tell(r, prompt);
}

void room_joined(struct mixer *m, const struct sl_signal_peer *peer)
{
	somebody(m, peer, PROMPT_ENTRY);
}

void room_left(struct mixer *m, const struct sl_signal_peer *peer)
{
	somebody(m, peer, PROMPT_EXIT);
}

/* ---- the tick */

void room_set_rate(struct room *r)
{
	unsigned hz = 8000;

	for (const struct phone *p = r->phones; p; p = p->next_in_room) {
		unsigned wanted = sl_audio_codec_hz(p->format.codec, p->format.clock_hz);

		hz = wanted > hz ? wanted : hz;
	}
	r->hz = hz;
}

void room_wake(struct room *r)
{
	struct mixer *m = r->mixer;

	r->heard_ms = mixer_now_ms(m);
	if (r->is_ticking)
		return;
	r->is_ticking = true;
	r->tick_prev = NULL;
	r->tick_next = m->ticking;
	if (r->tick_next)
		r->tick_next->tick_prev = r;
	m->ticking = r;
	sl_gauge_add(&m->m[M_active], 1);
	choirs_pause(r);
	mixer_tick_on(m);
}

void room_tell(struct room *r, enum prompt prompt)
{
	tones_begin(&r->tone, prompt, r->hz);
	r->has_tone = true;
	room_wake(r);
}

/* A frame of a voice, in m->pcm at the source's rate; false: it is not to be mixed. */
static bool hear(struct room *r, struct source *s, uint64_t now_ns)
{
	if (source_pull(s, now_ns, r->mixer->pcm) && !s->hinted)
		(void)loudest_heard(&r->loudest, &s->voice, s->level, now_ns / SL_NS_PER_MS);
	return s->voice.in;
}

static void hear_track(struct room *r, struct track *t, uint64_t now_ns)
{
	struct mixer *m = r->mixer;
	struct source *s = &t->source;

	if (!s->audio || s->hz != r->hz)
		return;
	if (s->hinted ? !s->voice.in : !source_is_alive(s, now_ns / SL_NS_PER_MS))
		return;
	if (hear(r, s, now_ns))
		mix_add(m->sum, m->pcm, r->hz / 1000 * MIX_MS);
}

/* What a phone says is wanted by browsers, too, whoever else is louder. */
static void hear_phone(struct room *r, struct phone *p, uint64_t now_ns)
{
	uint64_t now_ms = now_ns / SL_NS_PER_MS;
	struct source *s = &p->source;
	struct mixer *m = r->mixer;
	bool is_in;

	p->own_at = -1;
	if (!s->audio || (s->hinted ? !source_speaks(s, now_ms) : !source_is_alive(s, now_ms))) {
		p->voice_pauses = true;
		return;
	}
	is_in = hear(r, s, now_ns);
	if (p->codec != SL_CODEC_OPUS && source_speaks(s, now_ms))
		speak_frame(p, m->pcm, s->hz, now_ns);
	else
		p->voice_pauses = true;
	if (!is_in || m->n_own == MAX_LOUDEST)
		return;
	p->own_at = (int)m->n_own++;
	source_convert(s, m->pcm, r->hz, m->own[p->own_at]);
	mix_add(m->sum, m->own[p->own_at], r->hz / 1000 * MIX_MS);
}

static void hear_tone(struct room *r)
{
	struct mixer *m = r->mixer;
	size_t n = r->hz / 1000 * MIX_MS;

	if (!r->has_tone)
		return;
	r->has_tone = sl_tone_make(&r->tone, m->pcm, n);
	mix_add(m->sum, m->pcm, n);
}

static bool is_busy(const struct room *r)
{
	if (r->loudest.n > 0 || r->has_tone)
		return true;
	for (const struct phone *p = r->phones; p; p = p->next_in_room)
		if (p->prompt != PROMPT_NONE)
			return true;
	return false;
}

void room_tick(struct room *r, uint64_t now_ns)
{
	struct mixer *m = r->mixer;
	size_t n = r->hz / 1000 * MIX_MS;
	uint64_t now_ms = now_ns / SL_NS_PER_MS;

	memset(m->sum, 0, n * sizeof *m->sum);
	m->n_own = 0;
	loudest_time(&r->loudest, now_ms);
	for (struct track *t = r->tracks; t; t = t->next)
		hear_track(r, t, now_ns);
	for (struct phone *p = r->phones; p; p = p->next_in_room)
		hear_phone(r, p, now_ns);
	hear_tone(r);
	limiter_run(&r->limiter, m->sum, m->shared, n);
	mixer_count(m, M_mixed);
	choirs_sing(r);
	if (is_busy(r))
		r->heard_ms = now_ms;
	else if (voice_since_ms(now_ms, r->heard_ms) > LINGER_MS)
		tick_off(r);
}
