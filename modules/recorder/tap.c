/*
 * recorder/tap.c: the half in the workers: tells the writer of tracks, and copies the packets of
 * those in recorded rooms for it.
 *
 * A packet costs a look-up and a copy. A batch leaves when it is full or 50 ms old, since to wake
 * the writer, which then takes the CPU and its caches, costs more than a packet does; spool.c keeps
 * it until it is in files. Of simulcast one encoding goes to the writer: the one with the highest
 * rate, and to another only at a key frame of that.
 *
 * Which rooms are recorded, and by which process, the writer says. When one dies its rooms stay
 * recorded, and their packets wait: its successor is told of all tracks, and of the recordings that
 * were.
 */
#include "announce.h"
#include "api.h"
#include "ended.h"
#include "keyask.h"
#include "mix.h"
#include "spool.h"

#include <sluice/bus.h>
#include <sluice/codec.h>
#include <sluice/hash.h>
#include <sluice/record.h>
#include <stdlib.h>

enum {
	RATE_WINDOW_MS = 1000,
	NO_ENCODING = 255,
	MAX_SPOOLS = 4, /* writers at a time: of this generation, and those before */
	MAX_ID = 160,
	FLUSH_MS = 50,	   /* at most; and a quarter of what the writer waits for repeats */
	ANNOUNCE_MS = 200, /* until a writer is there */
};

struct tap_room { /* that is recorded */
	struct tap_room *next;
	uint32_t owner;	     /* the writer; 0: it died, and its successor is not there yet */
	struct spool *spool; /* where packets go; NULL: none could be made */
	enum record_state state;
	char id[MAX_ID];
	size_t name_len;
	char name[];
};

struct tap_track {
	struct sl_hnode node;
	struct sl_track *track;
	struct tap_room *room; /* NULL: not recorded */
	uint32_t told;	       /* the writer that knows it */
	bool mixed;	       /* by the mixer, out of the others */
	bool over;	       /* as sl_track.over, at the newest change */
	uint8_t encoding;
	struct keyask ask; /* of the encoding that is waited for */
	uint64_t window_ms;
	uint32_t bytes[SL_RTC_MAX_ENCODINGS], rate[SL_RTC_MAX_ENCODINGS];
	struct sl_codec_state *state; /* of the encoding that is waited for */
	uint8_t state_of;
};

struct tap {
	struct sl_worker *w;
	const struct recorder_conf *conf;
	const struct sl_meter *m;
	struct sl_channel *channel;
	struct control *control;
	struct api *api;
	struct announcer *announcer;
	struct mixes *mixes; /* NULL: none are wanted */
	struct sl_htab tracks;
	struct tap_track *newest; /* of the packet before */
	struct tap_room *rooms;
	struct spool *spools[MAX_SPOOLS];
	struct ended *ended;
	struct sl_timer flush, announce;
	uint32_t flush_ms;
};

/* ---- rooms */

static struct tap_room *find_room(const struct tap *t, struct sl_str name)
{
	struct tap_room *r = t->rooms;

	while (r && !sl_str_eq((struct sl_str){r->name, r->name_len}, name))
		r = r->next;
	return r;
}

enum record_state tap_state(const struct tap *t, struct sl_str room)
{
	const struct tap_room *r = find_room(t, room);

	return r ? r->state : STATE_OFF;
}

uint32_t tap_writer(const struct tap *t, struct sl_str room)
{
	const struct tap_room *r = find_room(t, room);

	return r && r->owner ? r->owner : sl_aux_owner(t->w, "recorder");
}

uint32_t tap_writer_of(const struct tap *t, struct sl_str id)
{
	const struct tap_room *r = t->rooms;

	while (r && !sl_str_eq(sl_str_c(r->id), id))
		r = r->next;
	return r ? r->owner : 0;
}

bool tap_post(struct tap *t, uint32_t owner, enum record_message type, struct sl_buf *b)
{
	return record_post(t->channel, owner, type, b);
}

static void send(struct tap *t, uint32_t owner, enum record_message type, struct sl_buf *b)
{
	if (!record_post(t->channel, owner, type, b))
		sl_log(SL_LOG_WARN, "recorder", "a message to the writer found no room");
}

/* ---- packets */

static void flush_all(struct tap *t)
{
	for (unsigned i = 0; i < MAX_SPOOLS; i++)
		if (t->spools[i])
			spool_flush(t->spools[i]);
}

static void on_flush(struct sl_timer *timer)
{
	flush_all(timer->arg);
}

static void put_packet(struct tap *t, const struct sl_media *m, struct spool *s)
{
	spool_packet(s, m, sl_loop_ns(t->w->loop));
	if (!sl_timer_pending(&t->flush))
		sl_timer_set(t->w->loop, &t->flush, t->flush_ms);
}

/* That of the writer; else one whose writer died is handed to this one; else a new one. NULL: more
 * writers than places, or out of memory */
static struct spool *spool_for(struct tap *t, uint32_t owner)
{
	struct spool **place = NULL, *orphan = NULL;

	for (unsigned i = 0; i < MAX_SPOOLS; i++) {
		struct spool *s = t->spools[i];

		if (s && spool_owner(s) == owner)
			return s;
		if (s && spool_owner(s) == 0)
			orphan = s;
		if (!s)
			place = &t->spools[i];
	}
	if (orphan) {
		spool_adopt(orphan, owner);
		return orphan;
	}
	if (!place || spool_open(t->channel, t->m, t->conf->memory, place) < 0)
		return NULL;
	spool_adopt(*place, owner);
	return *place;
}

/* Of writers that are gone for good, once nobody's packets go there */
static void drop_spool(struct tap *t, unsigned i)
{
	for (const struct tap_room *r = t->rooms; r; r = r->next)
		if (r->spool == t->spools[i])
			return;
	ended_forget(&t->ended, SL_STR_NULL, t->spools[i]);
	spool_free(t->spools[i]);
	t->spools[i] = NULL;
}

/* ---- which encoding */

static void measure(struct tap_track *tt, const struct sl_media *m, uint64_t now_ms)
{
	tt->bytes[m->encoding] += m->rtp->len;
	if (now_ms < tt->window_ms + RATE_WINDOW_MS)
		return;
	for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++) {
		tt->rate[i] = tt->bytes[i];
		tt->bytes[i] = 0;
	}
	tt->window_ms = now_ms;
}

static unsigned best_of(const struct tap_track *tt)
{
	unsigned best = tt->encoding;

	for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++)
		if (best == NO_ENCODING || tt->rate[i] > tt->rate[best])
			best = i;
	return best;
}

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
	unsigned best;

	if (m->encoding >= SL_RTC_MAX_ENCODINGS)
		return false;
	if (m->track->n_encodings < 2 || m->track->kind != SL_MEDIA_VIDEO) {
		tt->encoding = m->encoding;
		return true;
	}
	measure(tt, m, sl_loop_ms(t->w->loop));
	best = best_of(tt);
	if (tt->encoding == NO_ENCODING)
		tt->encoding = m->encoding;
	if (m->encoding == tt->encoding || m->encoding != best)
		return m->encoding == tt->encoding;
	if (!begins_key_frame(tt, m)) {
		if (keyask_due(&tt->ask, sl_loop_ms(t->w->loop)))
			sl_track_ask_key_frame(m->track, m->encoding);
		return false;
	}
	tt->encoding = m->encoding;
	tt->ask = (struct keyask){0};
	return true;
}

/* ---- tracks */

static bool is_id(const struct sl_hnode *n, const void *key)
{
	return SL_CONTAINER(n, struct tap_track, node)->track->id == *(const uint64_t *)key;
}

static struct tap_track *find_track(const struct tap *t, uint64_t id)
{
	struct sl_hnode *n = sl_htab_find(&t->tracks, id, is_id, &id); /* ids are random */

	return n ? SL_CONTAINER(n, struct tap_track, node) : NULL;
}

/* MSG_TRACK */
static void write_track(const struct tap *t, const struct tap_track *tt, bool ended,
			struct sl_buf *b)
{
	const struct sl_track *k = tt->track;
	struct tap_room *room = find_room(t, k->room);

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

static void tell_track_to(struct tap *t, struct tap_track *tt, uint32_t owner)
{
	struct sl_buf b;

	tt->told = owner;
	if (!owner) {
		sl_timer_set(t->w->loop, &t->announce, ANNOUNCE_MS);
		return;
	}
	write_track(t, tt, false, &b);
	send(t, owner, MSG_TRACK, &b);
}

static void tell_track(struct tap *t, struct tap_track *tt)
{
	tell_track_to(t, tt, tap_writer(t, tt->track->room));
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
	send(t, tt->told, MSG_CLOCK, &b);
}

static void tell_clocks(struct tap *t, const struct tap_track *tt)
{
	for (unsigned i = 0; tt->told && i < SL_RTC_MAX_ENCODINGS; i++)
		if (tt->track->clock[i].ntp)
			tell_clock(t, tt, i);
}

static void ask_key_frames(struct tap_track *tt)
{
	if (tt->track->kind == SL_MEDIA_VIDEO)
		for (unsigned i = 0; i < tt->track->n_encodings || i == 0; i++)
			sl_track_ask_key_frame(tt->track, i);
}

/* Its packets begin to flow: with a clock and a key frame, if there are such. */
static void begin_flow(struct tap *t, struct tap_track *tt, struct tap_room *room)
{
	bool flowed = tt->room && tt->room->state == STATE_ON;

	tt->room = room;
	if (!room || !room->owner || room->state != STATE_ON || flowed)
		return;
	tt->track->wants_all = true; /* the best goes into the file */
	if (tt->told != room->owner)
		tell_track(t, tt);
	tell_clocks(t, tt);
	ask_key_frames(tt);
}

static void add_track(struct tap *t, struct sl_track *k, bool mixed)
{
	struct tap_track *tt = calloc(1, sizeof *tt);

	if (!tt)
		return;
	tt->track = k;
	tt->mixed = mixed;
	tt->encoding = tt->state_of = NO_ENCODING;
	if (sl_htab_insert(&t->tracks, &tt->node, k->id) < 0) {
		free(tt);
		return;
	}
	tell_track(t, tt);
	begin_flow(t, tt, find_room(t, k->room));
}

static int on_new(void *ctx, struct sl_track *k)
{
	struct tap *t = ctx;

	if (recorder_wants_room(t->conf, k->room))
		add_track(t, k, false);
	return SL_OK;
}

static int on_change(void *ctx, struct sl_track *k)
{
	struct tap *t = ctx;
	struct tap_track *tt = find_track(t, k->id);

	if (!tt)
		return SL_OK;
	/* In its place among the packets. Without room for it, the file ends by its silence. */
	if (k->over && !tt->over && tt->room && tt->room->spool)
		(void)spool_pause(tt->room->spool, k->id, sl_loop_ns(t->w->loop));
	tt->over = k->over;
	tell_track(t, tt);
	return SL_OK;
}

static int on_clock(void *ctx, struct sl_track *k)
{
	struct tap *t = ctx;
	struct tap_track *tt = find_track(t, k->id);

	if (tt && tt->room)
		tell_clocks(t, tt);
	return SL_OK;
}

static void drop_track(struct tap *t, struct tap_track *tt)
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

static int on_close(void *ctx, struct sl_track *k)
{
	struct tap *t = ctx;
	struct tap_track *tt = find_track(t, k->id);
	struct sl_buf b;

	if (!tt)
		return SL_OK;
	if (tt->room && tt->room->spool) {
		end_recorded(t, tt);
	} else if (tt->told) {
		sl_buf_init(&b, 0);
		sl_buf_u64(&b, k->id);
		send(t, tt->told, MSG_GONE, &b);
	}
	drop_track(t, tt);
	return SL_OK;
}

static int on_media(void *ctx, const struct sl_media *m)
{
	struct tap *t = ctx;
	struct tap_track *tt = t->newest;

	if (!tt || tt->track != m->track) {
		tt = find_track(t, m->track->id);
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
	(void)on_media(t, m);
}

void tap_take_away(struct tap *t, struct sl_track *k)
{
	(void)on_close(t, k);
}

/* ---- the writer's word */

static struct tap_room *make_room(struct tap *t, struct sl_str name)
{
	struct tap_room *r = calloc(1, sizeof *r + name.len + 1);

	if (!r)
		return NULL;
	r->name_len = name.len;
	if (name.len > 0)
		memcpy(r->name, name.p, name.len);
	r->next = t->rooms;
	t->rooms = r;
	return r;
}

/* Where tracks of the room send their packets now */
static void apply(struct tap *t, struct tap_room *room)
{
	struct sl_str name = {room->name, room->name_len};

	for (struct sl_hnode *n = sl_htab_first(&t->tracks); n; n = sl_htab_next(&t->tracks, n)) {
		struct tap_track *tt = SL_CONTAINER(n, struct tap_track, node);

		if (!sl_str_eq(tt->track->room, name))
			continue;
		tt->track->wants_all = room->state == STATE_ON;
		if (room->state == STATE_OFF)
			tt->room = NULL;
		else
			begin_flow(t, tt, room);
	}
}

static void remove_room(struct tap *t, struct tap_room *room)
{
	struct tap_room **link = &t->rooms;

	while (*link != room)
		link = &(*link)->next;
	*link = room->next;
	free(room);
}

/* A spool that goes to a writer has packets of all that its predecessor knew: whose track it had
 * not heard of before, it would drop. Another worker's announcement may have made it speak before
 * this one has seen it come up. */
static void tell_untold(struct tap *t, uint32_t owner)
{
	for (struct sl_hnode *n = sl_htab_first(&t->tracks); n; n = sl_htab_next(&t->tracks, n)) {
		struct tap_track *tt = SL_CONTAINER(n, struct tap_track, node);
		const struct tap_room *room = find_room(t, tt->track->room);

		if (tt->told || !room || (room->owner && room->owner != owner))
			continue;
		tell_track_to(t, tt, owner);
		if (tt->room)
			tell_clocks(t, tt);
	}
	for (struct ended *e = t->ended; e; e = e->next) {
		const struct tap_room *room = find_room(t, ended_room(e));

		if (!e->told && room && (!room->owner || room->owner == owner))
			ended_tell(e, t->channel, owner);
	}
}

static void on_state(struct tap *t, uint32_t from, struct sl_reader *r)
{
	enum record_state state = sl_read_u8(r);
	struct sl_str name = sl_read_lstr(r), id = sl_read_lstr(r), reason = sl_read_lstr(r);
	struct tap_room *room = find_room(t, name);
	bool changed = !room || room->state != state,
	     begins = !room && sl_str_eq(reason, SL_STR("started"));

	if (r->failed || (!room && state == STATE_OFF))
		return;
	if (room && room->owner && room->owner != from) /* another generation's has it */
		return;
	if (!room)
		room = make_room(t, name);
	if (!room)
		return;
	if (state != STATE_ON)
		for (struct sl_hnode *n = sl_htab_first(&t->tracks); n;
		     n = sl_htab_next(&t->tracks, n)) {
			struct tap_track *tt = SL_CONTAINER(n, struct tap_track, node);

			if (tt->room == room)
				tt->room = NULL;
		}
	room->owner = from;
	tell_untold(t, from);
	room->spool = spool_for(t, from);
	room->state = state;
	(void)sl_str_copy(room->id, sizeof room->id, id);
	apply(t, room);
	mix_follow(t->mixes, name, state);
	if (changed)
		control_tell(t->control, name, state, reason);
	if (begins)
		announce_room(t->announcer, name);
	if (state == STATE_OFF) {
		ended_forget(&t->ended, name, NULL);
		remove_room(t, room);
	}
}

static void on_key(struct tap *t, struct sl_reader *r)
{
	struct tap_track *tt = find_track(t, sl_read_u64(r));
	unsigned encoding = sl_read_u8(r);

	if (tt && !r->failed)
		sl_track_ask_key_frame(tt->track, encoding);
}

static void on_saved(struct tap *t, uint32_t from, struct sl_reader *r)
{
	uint64_t taken = sl_read_u64(r), saved = sl_read_u64(r), saved_ns = sl_read_u64(r);

	for (unsigned i = 0; i < MAX_SPOOLS && !r->failed; i++)
		if (t->spools[i] && spool_owner(t->spools[i]) == from)
			spool_saved(t->spools[i], taken, saved, saved_ns);
	ended_tidy(&t->ended);
}

static void on_message(void *arg, const struct sl_channel_msg *m)
{
	struct sl_reader r = sl_reader(m->data.p, m->data.len);
	struct tap *t = arg;
	uint64_t peer;
	struct sl_str sentence;

	switch (m->type) {
	case MSG_STATE:
		on_state(t, m->from, &r);
		break;
	case MSG_KEY:
		on_key(t, &r);
		break;
	case MSG_REFUSED:
		peer = sl_read_u64(&r);
		sentence = sl_read_lstr(&r);
		if (!r.failed)
			control_refused(t->control, peer, sentence);
		break;
	case MSG_SAVED:
		on_saved(t, m->from, &r);
		break;
	case MSG_ANSWER:
		api_answered(t->api, &r);
		break;
	default:
		break; /* of a newer generation */
	}
}

/* ---- writers that come and go */

/* Tracks that no living writer knows */
static void announce(struct tap *t)
{
	for (struct sl_hnode *n = sl_htab_first(&t->tracks); n; n = sl_htab_next(&t->tracks, n)) {
		struct tap_track *tt = SL_CONTAINER(n, struct tap_track, node);

		if (tt->told)
			continue;
		tell_track(t, tt);
		if (tt->room) /* what waits for a writer comes with its clock */
			tell_clocks(t, tt);
	}
	for (struct ended *e = t->ended; e; e = e->next) {
		uint32_t owner = e->told ? 0 : tap_writer(t, ended_room(e));

		if (owner)
			ended_tell(e, t->channel, owner);
	}
}

static void on_announce(struct sl_timer *timer)
{
	announce(timer->arg);
}

static void on_gone(struct tap *t, uint32_t owner)
{
	for (struct tap_room *r = t->rooms; r; r = r->next)
		if (r->owner == owner)
			r->owner = 0;
	for (struct sl_hnode *n = sl_htab_first(&t->tracks); n; n = sl_htab_next(&t->tracks, n)) {
		struct tap_track *tt = SL_CONTAINER(n, struct tap_track, node);

		if (tt->told == owner) {
			tt->told = 0;
			if (tt->room)
				ask_key_frames(tt); /* its successor begins new files */
		}
	}
	for (struct ended *e = t->ended; e; e = e->next)
		if (e->told == owner)
			e->told = 0;
	for (unsigned i = 0; i < MAX_SPOOLS; i++) {
		if (!t->spools[i] || spool_owner(t->spools[i]) != owner)
			continue;
		spool_orphan(t->spools[i]);
		drop_spool(t, i);
	}
	api_lost(t->api, owner);
	announce(t);
}

static int on_event(void *ctx, const struct sl_bus_event *ev)
{
	if (ev->kind == SL_EV_WORKER_GONE)
		on_gone(ctx, ev->owner);
	else if (ev->kind == SL_EV_WORKER_UP)
		announce(ctx);
	return SL_OK;
}

int tap_ask(struct tap *t, uint64_t peer, struct sl_str verb, struct sl_str room,
	    struct sl_str name)
{
	uint32_t owner = tap_writer(t, room);
	struct sl_buf b;

	if (!owner)
		return -SL_EAGAIN;
	sl_buf_init(&b, 0);
	sl_buf_u64(&b, peer);
	sl_buf_lstr(&b, verb);
	sl_buf_lstr(&b, room);
	sl_buf_lstr(&b, name);
	send(t, owner, MSG_CONTROL, &b);
	return 0;
}

/* ---- for other modules of the worker */

static enum sl_record_state state_of(void *self, struct sl_str room)
{
	static const enum sl_record_state states[] = {[STATE_OFF] = SL_RECORD_OFF,
						      [STATE_ON] = SL_RECORD_ON,
						      [STATE_PAUSED] = SL_RECORD_PAUSED};

	return states[tap_state(self, room)];
}

static int tell(void *self, struct sl_str room, enum sl_record_verb verb, struct sl_str by)
{
	static const struct sl_str verbs[] = {[SL_RECORD_START] = SL_STR_INIT("record-start"),
					      [SL_RECORD_STOP] = SL_STR_INIT("record-stop"),
					      [SL_RECORD_PAUSE] = SL_STR_INIT("record-pause"),
					      [SL_RECORD_RESUME] = SL_STR_INIT("record-resume")};
	struct tap *t = self;

	if ((unsigned)verb >= SL_ARRAY_LEN(verbs) || !recorder_wants_room(t->conf, room))
		return -SL_EDENIED;
	return tap_ask(t, 0, verbs[verb], room, by); /* peer 0: nobody is told of a refusal */
}

static const struct sl_record_iface record_iface = {
	.size = sizeof record_iface, .state = state_of, .tell = tell};

/* ---- life */

const struct sl_hook tap_hooks[] = {
	SL_ON_TRACK(SL_TRACK_NEW, SL_NORMAL, on_new),
	SL_ON_TRACK(SL_TRACK_CHANGE, SL_NORMAL, on_change),
	SL_ON_TRACK(SL_TRACK_CLOCK, SL_NORMAL, on_clock),
	SL_ON_TRACK(SL_TRACK_CLOSE, SL_NORMAL, on_close),
	SL_ON_MEDIA(SL_RTP_TAP, SL_NORMAL, on_media),
	SL_ON_EVENT(SL_NORMAL, on_event),
	SL_HOOKS_END,
};

void tap_stop(void *ctx)
{
	struct tap *t = ctx;

	api_close(t->api);
	announce_close(t->announcer);
	mix_close(t->mixes);
	control_close(t->control);
	sl_timer_cancel(t->w->loop, &t->announce);
	sl_timer_cancel(t->w->loop, &t->flush);
	sl_channel_close(t->channel);
	for (struct sl_hnode *n; (n = sl_htab_first(&t->tracks));)
		drop_track(t, SL_CONTAINER(n, struct tap_track, node));
	sl_htab_free(&t->tracks);
	while (t->rooms)
		remove_room(t, t->rooms);
	ended_forget(&t->ended, SL_STR_NULL, NULL);
	for (unsigned i = 0; i < MAX_SPOOLS; i++)
		spool_free(t->spools[i]);
	free(t);
}

void tap_drain(void *ctx)
{
	struct tap *t = ctx;

	mix_drain(t->mixes); /* who is here stays recorded until it goes */
}

static int open_all(struct tap *t)
{
	uint32_t owner = sl_aux_owner(t->w, "recorder");
	struct sl_buf nothing;
	int rc = sl_channel_open(t->w, RECORDER_CHANNEL, on_message, t, &t->channel);

	sl_buf_init(&nothing, 0);
	if (rc == 0)
		rc = control_open(t->w, t->conf, t, &t->control);
	if (rc == 0)
		rc = api_open(t->w, t->conf, t, &t->api);
	if (rc == 0)
		rc = announce_open(t->w, t->conf, &t->announcer);
	if (rc == 0)
		rc = mix_open(t->w, t->conf, t, &t->mixes);
	if (rc == 0)
		rc = sl_iface_provide(t->w, SL_RECORD_IFACE, 1, &record_iface, t);
	if (rc == 0 && owner)
		(void)record_post(t->channel, owner, MSG_HELLO, &nothing);
	return rc;
}

int tap_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct tap *t = calloc(1, sizeof *t);
	int rc;

	if (!t)
		return -SL_ENOMEM;
	t->w = w;
	t->conf = conf;
	t->m = sl_worker_meters(w, "recorder");
	t->flush_ms = t->conf->wait / 4 < FLUSH_MS ? (uint32_t)(t->conf->wait / 4) : FLUSH_MS;
	t->flush = (struct sl_timer){.fn = on_flush, .arg = t};
	t->announce = (struct sl_timer){.fn = on_announce, .arg = t};
	rc = open_all(t);
	if (rc < 0) {
		sl_log(SL_LOG_ERROR, "recorder", "cannot start: %s", sl_strerror(rc));
		tap_stop(t);
		return rc;
	}
	*ret_ctx = t;
	return 0;
}
