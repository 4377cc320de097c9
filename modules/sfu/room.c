/*
 * sfu/room.c: rooms, participants and tracks, as this worker knows them: its own and those that
 * others have told of.
 *
 * Nothing here says anything to clients or workers but through say.c and trunk.c; nothing here
 * knows a packet. Whoever removes a thing removes what hangs on it.
 */
#include "sfu.h"

#include <stdlib.h>
#include "speakers.h"

/* ---- rooms */

static uint64_t hash_of(struct sl_str name)
{
	return sl_hash(name.p, name.len);
}

static bool has_name(const struct sl_hnode *node, const void *key)
{
	const struct room *r = SL_CONTAINER(node, const struct room, node);

	return sl_str_eq((struct sl_str){r->name, r->name_len}, *(const struct sl_str *)key);
}

struct room *room_find(struct sfu *s, struct sl_str name)
{
	struct sl_hnode *node = sl_htab_find(&s->rooms, hash_of(name), has_name, &name);

	return node ? SL_CONTAINER(node, struct room, node) : NULL;
}

struct room *room_get(struct sfu *s, struct sl_str name)
{
	struct room *r = room_find(s, name);

	if (r)
		return r;
	r = calloc(1, sizeof *r + name.len + 1);
	if (!r)
		return NULL;
	r->sfu = s;
	r->name_len = name.len;
	memcpy(r->name, name.p, name.len);
	if (speakers_new(&r->speakers, (unsigned)s->conf->audible) < 0 ||
	    sl_htab_insert(&s->rooms, &r->node, hash_of(name)) < 0) {
		speakers_free(r->speakers);
		free(r);
		return NULL;
	}
	sl_gauge_add(&s->m[M_rooms], 1);
	return r;
}

void room_release(struct room *r)
{
	if (r->participants)
		return;
	steward_sleep(r);
	sl_htab_remove(&r->sfu->rooms, &r->node);
	sl_gauge_add(&r->sfu->m[M_rooms], -1);
	speakers_free(r->speakers);
	free(r);
}

void rooms_free(struct sfu *s)
{
	struct sl_hnode *node;

	while ((node = sl_htab_first(&s->participants)))
		participant_remove(SL_CONTAINER(node, struct participant, node), "stopped");
	sl_htab_free(&s->participants);
	sl_htab_free(&s->tracks);
	sl_htab_free(&s->rooms);
}

/* ---- participants */

static bool is_participant(const struct sl_hnode *node, const void *key)
{
	return SL_CONTAINER(node, const struct participant, node)->id == *(const uint64_t *)key;
}

struct participant *participant_find(struct sfu *s, uint64_t id)
{
	struct sl_hnode *node =
		sl_htab_find(&s->participants, sl_hash(&id, sizeof id), is_participant, &id);

	return node ? SL_CONTAINER(node, struct participant, node) : NULL;
}

int participant_add(struct room *r, uint64_t id, uint32_t owner, struct participant **ret_p)
{
	struct sfu *s = r->sfu;
	struct participant *p;

	if (participant_find(s, id))
		return -SL_EEXIST;
	p = calloc(1, sizeof *p);
	if (!p)
		return -SL_ENOMEM;
	if (sl_htab_insert(&s->participants, &p->node, sl_hash(&id, sizeof id)) < 0) {
		free(p);
		return -SL_ENOMEM;
	}
	p->room = r;
	p->id = id;
	p->owner = owner;
	p->here = owner == sl_worker_owner(s->w);
	p->next = r->participants;
	r->participants = p;
	r->n_participants++;
	if (p->here) {
		r->n_here++;
		sl_gauge_add(&s->m[M_participants], 1);
	}
	*ret_p = p;
	return 0;
}

int participant_enter(struct sfu *s, const struct sl_signal_peer *peer, struct participant **ret_p,
		      const char **ret_sentence)
{
	struct room *r = room_get(s, peer->room);
	int rc;

	*ret_sentence = "this server is full";
	if (!r)
		return -SL_ENOMEM;
	if (s->conf->max_participants > 0 &&
	    r->n_participants >= (unsigned)s->conf->max_participants) {
		*ret_sentence = "this room is full";
		room_release(r);
		return -SL_ELIMIT;
	}
	rc = participant_add(r, peer->id, sl_worker_owner(s->w), ret_p);
	if (rc < 0) {
		room_release(r);
		return rc;
	}
	(*ret_p)->grants = peer->grants;
	(*ret_p)->idle_since_ms = sfu_now_ms(s);
	trunk_participant(*ret_p);
	mode_began(r);
	return 0;
}

static void remove_tracks(struct participant *p)
{
	struct track *t, *next;

	for (t = p->room->tracks; t; t = next) {
		next = t->next;
		if (t->publisher == p)
			track_remove(t);
	}
}

void participant_remove(struct participant *p, const char *why)
{
	struct room *r = p->room;
	struct sfu *s = r->sfu;
	struct participant **link = &r->participants;

	watch_end(p);
	subscribe_close(p, why);
	remove_tracks(p);
	publish_close(p, why);
	if (p->member)
		member_end(p, why);
	if (p->here) {
		trunk_participant_gone(p);
		r->n_here--;
		sl_gauge_add(&s->m[M_participants], -1);
	}
	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	r->n_participants--;
	sl_htab_remove(&s->participants, &p->node);
	free(p);
	room_release(r);
}

/* ---- tracks */

static bool is_track(const struct sl_hnode *node, const void *key)
{
	return SL_CONTAINER(node, const struct track, node)->id == *(const uint64_t *)key;
}

struct track *track_find(struct sfu *s, uint64_t id)
{
	struct sl_hnode *node = sl_htab_find(&s->tracks, sl_hash(&id, sizeof id), is_track, &id);

	return node ? SL_CONTAINER(node, struct track, node) : NULL;
}

static int open_states(struct track *t)
{
	for (unsigned i = 0; t->kind == SL_MEDIA_VIDEO && i < SL_RTC_MAX_ENCODINGS; i++)
		if (sl_codec_state_new(&t->state[i]) < 0)
			return -SL_ENOMEM;
	return 0;
}

static void free_track(struct track *t)
{
	while (t->links) {
		struct link *l = t->links;

		t->links = l->next;
		free(l);
	}
	for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++)
		sl_codec_state_free(t->state[i]);
	free(t);
}

int track_add(struct participant *p, uint64_t id, enum sl_media_kind kind, struct track **ret_t)
{
	struct sfu *s = p->room->sfu;
	struct track *t;

	if (track_find(s, id))
		return -SL_EEXIST;
	t = calloc(1, sizeof *t);
	if (!t)
		return -SL_ENOMEM;
	t->id = id;
	t->kind = (uint8_t)kind;
	t->source = kind == SL_MEDIA_AUDIO ? SOURCE_MICROPHONE : SOURCE_CAMERA;
	t->room = p->room;
	t->publisher = p;
	t->n_encodings = 1;
	t->clock_hz = kind == SL_MEDIA_AUDIO ? 48000 : 90000;
	t->audible = true;
	t->loudest = SILENCE;
	t->told_mask = (1u << SL_RTC_MAX_ENCODINGS) - 1;
	steward_wake(t->room);
	if (open_states(t) < 0 ||
	    sl_htab_insert(&s->tracks, &t->node, sl_hash(&id, sizeof id)) < 0) {
		free_track(t);
		return -SL_ENOMEM;
	}
	t->next = p->room->tracks;
	p->room->tracks = t;
	if (p->here) {
		p->n_tracks++;
		sl_gauge_add(&s->m[M_tracks], 1);
		sfu_count(s, M_published);
	}
	*ret_t = t;
	return 0;
}

static void tell_gone(const struct track *t)
{
	for (struct participant *p = t->room->participants; p; p = p->next)
		if (p->here && p != t->publisher)
			say_track_gone(p, t);
}

void track_remove(struct track *t)
{
	struct sfu *s = t->room->sfu;
	struct track **link = &t->room->tracks;

	shown_end(t);
	forward_forget(t);
	cache_forget(t);
	while (t->subs)
		unsubscribe(t->subs);
	if (t->in)
		sl_rtc_media_set_data(t->in, NULL);
	tell_gone(t);
	speakers_remove(t->room->speakers, t->id);
	if (t->publisher->here) {
		trunk_track_gone(t);
		t->publisher->n_tracks--;
		sl_gauge_add(&s->m[M_tracks], -1);
	}
	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
	sl_htab_remove(&s->tracks, &t->node);
	free_track(t);
}

/* Home carries it out, and everybody hears of it from there. */
void track_silence(struct track *t, bool silenced)
{
	if (!t->publisher->here) {
		trunk_silence(t, silenced);
		return;
	}
	t->silenced = silenced;
	cache_forget(t);
	shown_changed(t);
	if (t->publisher->member)
		member_silenced(t);
	trunk_track(t);
	for (struct participant *p = t->room->participants; p; p = p->next)
		if (p->here)
			say_muted(p, t);
}

void track_mute(struct track *t, bool muted)
{
	t->muted = muted;
	cache_forget(t);
	shown_changed(t);
	trunk_track(t);
	for (struct participant *p = t->room->participants; p; p = p->next)
		if (p->here && p != t->publisher)
			say_muted(p, t);
}

/* What has ended is not waited for until it looks stale. Others may be shown a last picture, or
 * nothing: they are told why it stands still. */
void track_ended(struct track *t, uint32_t ended, bool over)
{
	for (unsigned e = 0; e < SL_RTC_MAX_ENCODINGS; e++)
		if (ended & ~(uint32_t)t->ended & 1u << e)
			t->rate[e].last_ms = 0;
	t->ended = (uint8_t)ended;
	if (t->over == over)
		return;
	t->over = over;
	if (over)
		cache_forget(t);
	for (struct sub *sub = t->subs; sub; sub = sub->next_of_track)
		say_paused(sub->participant, sub);
}

void track_codec_changed(struct track *t)
{
	for (struct sub *sub = t->subs; sub; sub = sub->next_of_track)
		subscribe_codec(sub);
}

void track_asked(struct track *t, uint32_t mask)
{
	for (unsigned e = 0; e < SL_RTC_MAX_ENCODINGS; e++)
		if (mask & 1u << e)
			t->rate[e].asked_ms = sfu_now_ms(t->room->sfu);
}

static void ask_key_now(struct track *t, unsigned encoding)
{
	sfu_count(t->room->sfu, M_key_frames);
	if (t->in)
		sl_rtc_ask_key_frame(t->in, encoding);
	else if (!t->publisher->here)
		trunk_key(t, encoding);
	else if (t->publisher->member)
		member_ask_key(t);
}

/* Clients ask as often as they like, a hundred times in one packet; a request goes to another
 * worker, or to a module, at most ten times a second, and then none is forgotten. */
void track_ask_key(struct track *t, unsigned encoding)
{
	uint64_t now = sfu_now_ms(t->room->sfu);

	if (encoding >= SL_RTC_MAX_ENCODINGS)
		return;
	if (t->key_asked_ms[encoding] != 0 && now - t->key_asked_ms[encoding] < TICK_MS) {
		t->key_waits |= (uint8_t)(1u << encoding);
		steward_wake(t->room);
		return;
	}
	t->key_waits &= (uint8_t)~(1u << encoding);
	t->key_asked_ms[encoding] = now;
	ask_key_now(t, encoding);
}

void track_tick_keys(struct track *t)
{
	for (unsigned e = 0; t->key_waits && e < SL_RTC_MAX_ENCODINGS; e++)
		if (t->key_waits & 1u << e)
			track_ask_key(t, e);
}
