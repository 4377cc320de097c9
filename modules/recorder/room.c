/*
 * recorder/room.c: rooms as the writer knows them: which tracks are in them, and whether they are
 * recorded.
 */
#include "writer.h"

#include <stdio.h>
#include <stdlib.h>

struct wroom *room_find(struct writer *w, struct sl_str name)
{
	struct wroom *r = w->rooms;

	while (r && !sl_str_eq((struct sl_str){r->name, r->name_len}, name))
		r = r->next;
	return r;
}

struct wroom *room_get(struct writer *w, struct sl_str name)
{
	struct wroom *r = room_find(w, name);

	if (r)
		return r;
	r = calloc(1, sizeof *r + name.len + 1);
	if (!r)
		return NULL;
	r->writer = w;
	r->name_len = name.len;
	if (name.len > 0)
		memcpy(r->name, name.p, name.len);
	r->empty_since_ms = sl_loop_ms(w->w->loop);
	r->next = w->rooms;
	w->rooms = r;
	return r;
}

void room_release(struct wroom *r)
{
	struct wroom **link = &r->writer->rooms;

	if (r->tracks || r->recording)
		return;
	while (*link != r)
		link = &(*link)->next;
	*link = r->next;
	free(r);
}

/* ---- who is in it */

static bool is_id(const struct sl_hnode *n, const void *key)
{
	return SL_CONTAINER(n, struct wtrack, node)->id == *(const uint64_t *)key;
}

struct wtrack *wtrack_find(struct writer *w, uint64_t id)
{
	struct sl_hnode *n = sl_htab_find(&w->tracks, id, is_id, &id);

	return n ? SL_CONTAINER(n, struct wtrack, node) : NULL;
}

static struct wpeer *get_peer(struct wroom *r, uint64_t id, struct sl_str name)
{
	struct wpeer *p = r->peers;

	while (p && p->id != id)
		p = p->next;
	if (p)
		return p;
	p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->id = id;
	(void)sl_str_copy(p->name, sizeof p->name, name);
	p->next = r->peers;
	r->peers = p;
	return p;
}

static void put_peer(struct wroom *r, struct wpeer *p)
{
	struct wpeer **link = &r->peers;

	if (--p->n_tracks > 0)
		return;
	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	free(p);
}

struct said { /* MSG_TRACK, read */
	uint64_t id, peer;
	uint8_t kind, codec;
	bool muted, mixed, ended;
	uint32_t hz;
	struct sl_str room, peer_name, name, source, params, previous;
};

static int read_track(struct sl_reader *r, struct said *s)
{
	s->id = sl_read_u64(r);
	s->peer = sl_read_u64(r);
	s->kind = sl_read_u8(r);
	s->codec = sl_read_u8(r);
	s->muted = sl_read_u8(r);
	s->hz = sl_read_u32(r);
	s->room = sl_read_lstr(r);
	s->peer_name = sl_read_lstr(r);
	s->name = sl_read_lstr(r);
	s->source = sl_read_lstr(r);
	s->params = sl_read_lstr(r);
	s->previous = sl_read_lstr(r);
	if (r->p < r->end) /* workers of a generation before do not say it */
		s->mixed = sl_read_u8(r);
	if (r->p < r->end)
		s->ended = sl_read_u8(r);
	return r->failed ? -SL_EPARSE : 0;
}

static struct wtrack *add_track(struct wroom *room, const struct said *s)
{
	struct wtrack *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->id = s->id;
	t->room = room;
	t->kind = s->kind;
	t->hz = s->hz;
	t->mixed = s->mixed;
	t->first_ns = -1;
	t->peer = get_peer(room, s->peer ? s->peer : s->id, s->peer_name);
	if (!t->peer || intake_open(t) < 0 ||
	    sl_htab_insert(&room->writer->tracks, &t->node, t->id) < 0) {
		intake_close(t);
		free(t);
		return NULL;
	}
	t->peer->n_tracks++;
	t->next = room->tracks;
	room->tracks = t;
	return t;
}

static void describe(struct wtrack *t, uint32_t from, const struct said *s)
{
	bool muted = t->muted;

	t->owner = from;
	t->codec = s->codec;
	t->muted = s->muted;
	(void)sl_str_copy(t->name, sizeof t->name, s->name);
	(void)sl_str_copy(t->source, sizeof t->source, s->source);
	(void)sl_str_copy(t->params, sizeof t->params, s->params);
	if (t->joined && muted != t->muted)
		recording_mute(t->room->recording, t);
}

/* Of a track that has ended only what its recording still misses is of interest. The recording may
 * be over, which its worker has not heard: it is told. true: there is nothing to take */
static bool is_too_late(struct writer *w, uint32_t from, const struct said *s)
{
	struct wroom *room = room_get(w, s->room);
	bool late;

	if (!room)
		return true;
	late = room->recording ? !sl_str_eq(sl_str_c(room->recording->id), s->previous)
			       : !recover_has(w, s->room, s->previous);
	if (late)
		room_tell(room, from, "");
	room_release(room);
	return late;
}

void room_take_track(struct writer *w, uint32_t from, struct sl_reader *r)
{
	struct said s = {0};
	const char *why_not = NULL;
	struct wroom *room;
	struct wtrack *t;

	if (read_track(r, &s) < 0)
		return;
	t = wtrack_find(w, s.id);
	if (s.ended && !t && is_too_late(w, from, &s))
		return;
	room = t ? t->room : room_get(w, s.room);
	if (room && !t)
		t = add_track(room, &s);
	if (!t) {
		sl_log(SL_LOG_ERROR, "recorder", "out of memory: a track is not recorded");
		return;
	}
	describe(t, from, &s);
	if (!t->mixed)
		room->empty_since_ms = 0;
	if (room->recording)
		recording_join(room->recording, t);
	else if ((w->conf->when == RECORD_ALWAYS && !t->mixed) || s.previous.len > 0)
		why_not = room_record(room, s.previous, SL_STR("configuration"));
	/* Who believes it to be recorded hears that it is not. */
	if (room->recording || s.previous.len > 0)
		room_tell(room, from, why_not ? why_not : "");
}

static bool is_empty(const struct wroom *r)
{
	for (const struct wtrack *t = r->tracks; t; t = t->next)
		if (!t->mixed)
			return false;
	return true;
}

void wtrack_end(struct wtrack *t)
{
	struct wroom *room = t->room;
	struct wtrack **link = &room->tracks;

	intake_close(t); /* its last frames */
	if (room->recording)
		recording_leave(room->recording, t);
	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
	sl_htab_remove(&room->writer->tracks, &t->node);
	put_peer(room, t->peer);
	if (!t->mixed && is_empty(room))
		room->empty_since_ms = sl_loop_ms(room->writer->w->loop);
	free(t);
	room_release(room);
}

/* ---- whether it is recorded */

void room_tell(const struct wroom *r, uint32_t owner, const char *reason)
{
	const struct recording *rec = r->recording;
	struct writer *w = r->writer;
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_u8(&b, !rec ? STATE_OFF : rec->state == REC_PAUSED ? STATE_PAUSED : STATE_ON);
	sl_buf_lstr(&b, (struct sl_str){r->name, r->name_len});
	sl_buf_lstr(&b, sl_str_c(rec ? rec->id : ""));
	sl_buf_lstr(&b, sl_str_c(reason));
	(void)record_post(w->channel, owner, MSG_STATE, &b);
}

const char *room_record(struct wroom *r, struct sl_str previous_id, struct sl_str by)
{
	struct writer *w = r->writer;
	struct sl_str name = {r->name, r->name_len};
	struct sl_buf note;

	if (r->recording)
		return NULL;
	r->recording = recover_take(w, name, previous_id);
	if (r->recording) {
		r->recording->room = r;
	} else {
		if (w->draining)
			return "this server is about to leave";
		r->wanted = w->conf->when == RECORD_ALWAYS;
		if (w->refuses || w->disk_error)
			return w->refuses ? w->refuses : disk_sentence(w->disk_error);
		if (recording_start(r, &r->recording) < 0)
			return w->disk_error ? disk_sentence(w->disk_error)
					     : "the recording could not be started";
	}
	r->wanted = false;
	w->w->n_holds++;
	sl_count(&w->m[M_started]);
	sl_gauge_add(&w->m[M_recordings], 1);
	for (struct wtrack *t = r->tracks; t; t = t->next)
		recording_join(r->recording, t);
	sl_buf_init(&note, 0);
	sl_buf_str(&note, SL_STR("\"by\":"));
	sl_buf_json(&note, by);
	recording_publish(r->recording, "started", sl_buf_view(&note));
	sl_buf_free(&note);
	room_tell(r, 0, "started");
	return NULL;
}

void room_ended(struct wroom *r, const char *reason)
{
	struct writer *w = r->writer;

	for (struct wtrack *t = r->tracks; t; t = t->next)
		t->joined = false;
	r->recording = NULL;
	w->w->n_holds--;
	sl_gauge_add(&w->m[M_recordings], -1);
	room_tell(r, 0, reason);
}

static bool is_over(const struct wroom *r, uint64_t now_ms, const char **ret_reason)
{
	const struct recorder_conf *conf = r->writer->conf;

	if (is_empty(r) && now_ms > r->empty_since_ms + conf->linger) {
		*ret_reason = "everybody has left";
		return true;
	}
	*ret_reason = "it is as long as recordings may be";
	return conf->max_duration > 0 &&
	       recording_now(r->recording) / (int64_t)SL_NS_PER_MS > (int64_t)conf->max_duration;
}

void rooms_tick(struct writer *w)
{
	uint64_t now_ns = sl_loop_ns(w->w->loop), now_ms = sl_loop_ms(w->w->loop);
	bool tell_again = now_ms / TICK_MS % 8 == 0;
	const char *reason;

	for (struct wroom *r = w->rooms, *next; r; r = next) {
		next = r->next;
		for (struct wtrack *t = r->tracks; t; t = t->next) {
			intake_tick(t, now_ns);
			intake_watch(t);
		}
		if (!r->recording) {
			room_release(r); /* its recording failed after all had left */
			continue;
		}
		recording_tick(r->recording);
		if (is_over(r, now_ms, &reason))
			recording_end(r->recording, "finished", reason);
		else if (tell_again)
			room_tell(r, 0, "");
		room_release(r);
	}
}

void rooms_resume(struct writer *w)
{
	for (struct wroom *r = w->rooms; r && !w->refuses; r = r->next)
		if (r->wanted && !r->recording && !is_empty(r))
			(void)room_record(r, SL_STR(""), SL_STR("configuration")); /* or later */
}

void rooms_free(struct writer *w)
{
	while (w->rooms) {
		struct wroom *r = w->rooms;

		for (struct wtrack *t = r->tracks; t; t = t->next)
			intake_drain(t);
		if (r->recording)
			recording_end(r->recording, "finished", "the server stops");
		if (!r->tracks)
			room_release(r);
		else
			wtrack_end(r->tracks); /* the last one takes the room with it */
	}
}
