/*
 * recorder/tap_tracks.c: tracks of this worker: the writer is told of them, and those in recorded
 * rooms hand their packets on: of simulcast the encoding with the highest rate, and another only
 * from a key frame of that.
 */
#include "tap_impl.h"

#include <stdlib.h>

/* ---- which encoding */

static bool begins_key_frame(struct tap_track *tt, const struct sl_media *m)
{
	struct sl_frame_info info;

	if (tt->state_of != m->encoding) {
		tt->ask = (struct keyask){0};
		sl_codec_state_free(tt->state);
		tt->state = NULL;
		tt->state_of = m->encoding;
	}
	/* Once for each switch, not for each packet */
	if (!tt->state && sl_codec_state_new(&tt->state) < 0)
		return false;
	return sl_codec_inspect(tt->state, m->codec, m->rtp, &info) == 0 && info.key && info.begins;
}

/* Is the packet of the encoding that is recorded, or does it make its own the one? */
static bool choose(struct tap *t, struct tap_track *tt, const struct sl_media *m)
{
	uint64_t now_ms = sl_loop_ms(t->w->loop);
	unsigned best;

	if (m->encoding >= SL_RTC_MAX_ENCODINGS)
		return false;
	if (m->track->n_encodings < 2 || m->track->kind != SL_MEDIA_VIDEO) {
		simulcast_choose(&tt->simulcast, m->encoding);
		return true;
	}
	best = simulcast_best(&tt->simulcast, m->encoding, m->rtp->len, now_ms);
	if (m->encoding == tt->simulcast.chosen || m->encoding != best)
		return m->encoding == tt->simulcast.chosen;
	if (!begins_key_frame(tt, m)) {
		if (keyask_due(&tt->ask, now_ms))
			sl_track_ask_key_frame(m->track, m->encoding);
		return false;
	}
	simulcast_choose(&tt->simulcast, m->encoding);
	tt->ask = (struct keyask){0};
	return true;
}

/* ---- tracks */

static bool is_id(const struct sl_hnode *n, const void *key)
{
	return SL_CONTAINER(n, struct tap_track, node)->track->id == *(const uint64_t *)key;
}

struct tap_track *tap_track_find(const struct tap *t, uint64_t id)
{
	struct sl_hnode *n = sl_htab_find(&t->tracks, id, is_id, &id); /* ids are random */

	return n ? SL_CONTAINER(n, struct tap_track, node) : NULL;
}

/* MSG_TRACK */
static void write_track(const struct tap *t, const struct tap_track *tt, bool ended,
			struct sl_buf *b)
{
	const struct sl_track *k = tt->track;
	struct tap_room *room = tap_room_find(t, k->room);

	sl_buf_init(b, 0);
	sl_buf_u64(b, k->id);
	sl_buf_u64(b, k->peer);
	sl_buf_u8(b, k->kind);
	sl_buf_u8(b, k->codec);
	sl_buf_u8(b, k->muted);
	sl_buf_u32(b, k->clock_hz);
	sl_buf_lstr(b, k->room);
	sl_buf_lstr(b, k->peer_name);
	sl_buf_lstr(b, k->name);
	sl_buf_lstr(b, sl_str_c(k->source));
	sl_buf_lstr(b, k->params);
	sl_buf_lstr(b, sl_str_c(room ? room->id : ""));
	sl_buf_u8(b, tt->mixed);
	sl_buf_u8(b, ended);
}

void tap_track_tell_to(struct tap *t, struct tap_track *tt, uint32_t owner)
{
	struct sl_buf b;

	tt->told = owner;
	if (!owner) {
		sl_timer_set(t->w->loop, &t->announce, ANNOUNCE_MS);
		return;
	}
	write_track(t, tt, false, &b);
	tap_send(t, owner, MSG_TRACK, &b);
}

void tap_track_tell(struct tap *t, struct tap_track *tt)
{
	tap_track_tell_to(t, tt, tap_writer(t, tt->track->room));
}

/* MSG_CLOCK */
static void write_clock(const struct tap_track *tt, unsigned encoding, struct sl_buf *b)
{
	const struct sl_rtc_clock *c = &tt->track->clock[encoding];

	sl_buf_init(b, 0);
	sl_buf_u64(b, tt->track->id);
	sl_buf_u8(b, (uint8_t)encoding);
	sl_buf_u64(b, c->ntp);
	sl_buf_u32(b, c->ts);
}

static void tell_clock(struct tap *t, const struct tap_track *tt, unsigned encoding)
{
	struct sl_buf b;

	write_clock(tt, encoding, &b);
	tap_send(t, tt->told, MSG_CLOCK, &b);
}

void tap_track_tell_clocks(struct tap *t, const struct tap_track *tt)
{
	for (unsigned i = 0; tt->told && i < SL_RTC_MAX_ENCODINGS; i++)
		if (tt->track->clock[i].ntp)
			tell_clock(t, tt, i);
}

void tap_track_ask_key(struct tap_track *tt)
{
	if (tt->track->kind == SL_MEDIA_VIDEO)
		for (unsigned i = 0; i < tt->track->n_encodings || i == 0; i++)
			sl_track_ask_key_frame(tt->track, i);
}

/* Its packets begin to flow: with a clock and a key frame, if there are such. */
void tap_track_flow(struct tap *t, struct tap_track *tt, struct tap_room *room)
{
	bool flowed = tt->room && tt->room->state == STATE_ON;

	tt->room = room;
	if (!room || !room->owner || room->state != STATE_ON || flowed)
		return;
	tt->track->wants_all = true; /* the best goes into the file */
	if (tt->told != room->owner)
		tap_track_tell(t, tt);
	tap_track_tell_clocks(t, tt);
	tap_track_ask_key(tt);
}

static void add_track(struct tap *t, struct sl_track *k, bool mixed)
{
	struct tap_track *tt = calloc(1, sizeof *tt);

	if (!tt)
		return;
	tt->track = k;
	tt->mixed = mixed;
	tt->simulcast.chosen = tt->state_of = SIMULCAST_NONE;
	if (sl_htab_insert(&t->tracks, &tt->node, k->id) < 0) {
		free(tt);
		return;
	}
	tap_track_tell(t, tt);
	tap_track_flow(t, tt, tap_room_find(t, k->room));
}

int tap_on_new(void *ctx, struct sl_track *k)
{
	struct tap *t = ctx;

	if (recorder_wants_room(t->conf, k->room))
		add_track(t, k, false);
	return SL_OK;
}

int tap_on_change(void *ctx, struct sl_track *k)
{
	struct tap *t = ctx;
	struct tap_track *tt = tap_track_find(t, k->id);

	if (!tt)
		return SL_OK;
	/* In its place among the packets. Without room for it, the file ends by its silence. */
	if (k->over && !tt->over && tt->room && tt->room->spool)
		(void)spool_pause(tt->room->spool, k->id, sl_loop_ns(t->w->loop));
	tt->over = k->over;
	tap_track_tell(t, tt);
	return SL_OK;
}

int tap_on_clock(void *ctx, struct sl_track *k)
{
	struct tap *t = ctx;
	struct tap_track *tt = tap_track_find(t, k->id);

	if (tt && tt->room)
		tap_track_tell_clocks(t, tt);
	return SL_OK;
}

void tap_track_drop(struct tap *t, struct tap_track *tt)
{
	if (t->newest == tt)
		t->newest = NULL;
	sl_htab_remove(&t->tracks, &tt->node);
	sl_codec_state_free(tt->state);
	free(tt);
}

/* Its packets stay until they are in files, and so does what a writer must know of them. */
static void end_recorded(struct tap *t, struct tap_track *tt)
{
	struct sl_buf track, clocks[SL_RTC_MAX_ENCODINGS];

	write_track(t, tt, true, &track);
	for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++) {
		sl_buf_init(&clocks[i], 0);
		if (tt->track->clock[i].ntp)
			write_clock(tt, i, &clocks[i]);
	}
	ended_add(&t->ended, tt->room->spool, tt->track, tt->told, sl_loop_ns(t->w->loop), &track,
		  clocks);
}

int tap_on_close(void *ctx, struct sl_track *k)
{
	struct tap *t = ctx;
	struct tap_track *tt = tap_track_find(t, k->id);
	struct sl_buf b;

	if (!tt)
		return SL_OK;
	if (tt->room && tt->room->spool) {
		end_recorded(t, tt);
	} else if (tt->told) {
		sl_buf_init(&b, 0);
		sl_buf_u64(&b, k->id);
		tap_send(t, tt->told, MSG_GONE, &b);
	}
	tap_track_drop(t, tt);
	return SL_OK;
}

static void put_packet(struct tap *t, const struct sl_media *m, struct spool *s)
{
	spool_packet(s, m, sl_loop_ns(t->w->loop));
	if (!sl_timer_pending(&t->flush))
		sl_timer_set(t->w->loop, &t->flush, t->flush_ms);
}

int tap_on_media(void *ctx, const struct sl_media *m)
{
	struct tap *t = ctx;
	struct tap_track *tt = t->newest;

	if (!tt || tt->track != m->track) {
		tt = tap_track_find(t, m->track->id);
		if (!tt)
			return SL_OK;
		t->newest = tt;
	}
	if (tt->room && tt->room->state == STATE_ON && tt->room->spool && choose(t, tt, m))
		put_packet(t, m, tt->room->spool);
	return SL_OK;
}

/* ---- tracks of the module itself */

void tap_bring(struct tap *t, struct sl_track *k)
{
	add_track(t, k, true);
}

void tap_media(struct tap *t, const struct sl_media *m)
{
	(void)tap_on_media(t, m);
}

void tap_take_away(struct tap *t, struct sl_track *k)
{
	(void)tap_on_close(t, k);
}
