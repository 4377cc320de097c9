/*
 * sfu/trunk.c: what other workers tell this one: who is there, which tracks, packets of those that
 * somebody here wants, feedback for those that are published here. trunk_tell.c says such things.
 *
 * Messages of one sender arrive in order, and causally, so that a track is known before its packets
 * come. Packets travel plain, as they came from the publisher; a ring that is full loses them, as a
 * network would, and the subscribers' layers ask for a key frame. What is told of somebody else's
 * participant or track is ignored: only the worker that owns it may change it.
 */
#include "trunk.h"

#include <stdlib.h>

struct heard { /* a message, and what it is about: a participant or a track */
	struct sfu *s;
	uint32_t from; /* which worker says so */
	uint64_t id;
	struct sl_reader r; /* behind the id */
};

/* ---- packets */

/* forward_packet, forward_kept */
typedef void take_fn(struct track *t, const struct sl_rtp *rtp, uint64_t seq, unsigned encoding,
		     unsigned codec);

struct carried { /* a packet in a message */
	unsigned encoding, codec;
	uint64_t seq;
	struct sl_str bytes;
};

static void take_packet(struct track *t, const struct carried *c, take_fn *take)
{
	struct sfu *s = t->room->sfu;
	struct sl_packet *p = c->bytes.len <= SL_PACKET_MAX ? sl_packet_new(s->w) : NULL;
	struct sl_rtp *rtp;

	if (!p) {
		sfu_count(s, M_not_sent);
		return;
	}
	memcpy(p->data, c->bytes.p, c->bytes.len);
	p->len = (uint32_t)c->bytes.len;
	rtp = sl_packet_rtp(p);
	if (sl_rtp_parse(rtp, p->data, p->len) == 0) {
		rtp->packet = p;
		sl_rtp_ext_index(rtp, &t->ext);
		sfu_count(s, M_trunk_in);
		take(t, rtp, c->seq, c->encoding, c->codec);
	}
	sl_packet_unref(p);
}

static void take_packets(struct heard *h, take_fn *take)
{
	struct track *t = track_find(h->s, h->id);
	struct sl_reader *r = &h->r;

	while (t && !t->publisher->here && r->p < r->end && !r->failed) {
		struct carried c = {.encoding = sl_read_u8(r)};

		c.codec = sl_read_u8(r);
		c.seq = sl_read_u64(r);
		c.bytes = sl_read_bytes(r, sl_read_u16(r));
		if (!r->failed)
			take_packet(t, &c, take);
	}
}

static void on_packets(struct heard *h)
{
	take_packets(h, forward_packet);
}

/* Whoever waits for a picture of it is shown what is kept now. */
static void on_still(struct heard *h)
{
	struct track *t = track_find(h->s, h->id);

	take_packets(h, forward_kept);
	for (struct sub *sub = t ? t->subs : NULL; sub; sub = sub->next_of_track)
		cache_show(sub);
}

/* ---- news */

static void on_ask(struct heard *h)
{
	trunk_tell_all(h->s, h->from);
}

static void on_participant(struct heard *h)
{
	uint32_t grants = sl_read_u32(&h->r);
	struct sl_str name = sl_read_lstr(&h->r);
	struct participant *p;
	struct room *room;

	if (h->r.failed || name.len == 0 || participant_find(h->s, h->id))
		return;
	room = room_get(h->s, name);
	if (!room)
		return;
	if (participant_add(room, h->id, h->from, &p) < 0) {
		room_release(room);
		return;
	}
	p->grants = grants;
	mode_began(room);
}

static void on_participant_gone(struct heard *h)
{
	struct participant *p = participant_find(h->s, h->id);

	if (p && p->owner == h->from)
		participant_remove(p, "left");
}

static void read_track(struct track *t, struct sl_reader *r)
{
	struct sl_str ext;
	unsigned flags;

	t->source = sl_read_u8(r);
	t->codec = sl_read_u8(r);
	flags = sl_read_u8(r);
	t->muted = flags & 1;
	t->silenced = flags & 2;
	track_ended(t, flags >> 4, flags & 4);
	if (t->muted || t->silenced)
		cache_forget(t);
	t->n_encodings = sl_read_u8(r);
	if (t->n_encodings == 0 || t->n_encodings > SL_RTC_MAX_ENCODINGS)
		t->n_encodings = 1;
	(void)sl_str_copy(t->name, sizeof t->name, sl_read_lstr(r));
	(void)sl_str_copy(t->params, sizeof t->params, sl_read_lstr(r));
	ext = sl_read_lstr(r);
	if (ext.len == sizeof t->ext.id)
		memcpy(t->ext.id, ext.p, ext.len);
	for (unsigned i = 0; i < t->n_encodings; i++)
		(void)sl_str_copy(t->rids[i], sizeof t->rids[i], sl_read_lstr(r));
	/* Workers of generations before end here, or behind the sizes. */
	for (unsigned i = 0; r->p < r->end && i < t->n_encodings; i++) {
		t->rate[i].width = sl_read_u16(r);
		t->rate[i].height = sl_read_u16(r);
	}
	if (r->p < r->end)
		t->clock_hz = sl_read_u32(r);
}

static void tell_room(struct track *t, bool is_new, bool was_muted)
{
	for (struct participant *p = t->room->participants; p; p = p->next) {
		if (!p->here || (t->publisher->grants & SL_IS_HIDDEN))
			continue;
		if (is_new) {
			say_track(p, t);
			subscribe_all(p);
		} else if (was_muted != (t->muted || t->silenced)) {
			say_muted(p, t);
		}
	}
}

static void on_track(struct heard *h)
{
	struct participant *p = participant_find(h->s, sl_read_u64(&h->r));
	unsigned kind = sl_read_u8(&h->r);
	struct track *t = track_find(h->s, h->id);
	bool is_new = !t, was_muted;
	unsigned old_codec;

	if (h->r.failed || !p || p->owner != h->from || kind > SL_MEDIA_VIDEO)
		return;
	if (is_new && track_add(p, h->id, kind, &t) < 0)
		return;
	was_muted = t->muted || t->silenced;
	old_codec = t->codec;
	read_track(t, &h->r);
	if (!is_new && t->codec != old_codec)
		track_codec_changed(t);
	tell_room(t, is_new, was_muted);
}

static void on_track_gone(struct heard *h)
{
	struct track *t = track_find(h->s, h->id);

	if (t && t->publisher->owner == h->from)
		track_remove(t);
}

/* ---- feedback */

static void set_link(struct track *t, uint32_t owner, uint32_t mask)
{
	struct link **at = &t->links, *l;

	while (*at && (*at)->owner != owner)
		at = &(*at)->next;
	l = *at;
	if (!l && mask) {
		l = calloc(1, sizeof *l);
		if (!l)
			return;
		l->owner = owner;
		*at = l;
	}
	if (l && !mask) {
		*at = l->next;
		free(l);
	} else if (l) {
		l->mask = mask;
	}
	steward_wants_changed(t);
}

static uint32_t link_mask(const struct track *t, uint32_t owner)
{
	for (const struct link *l = t->links; l; l = l->next)
		if (l->owner == owner)
			return l->mask;
	return 0;
}

static void on_want(struct heard *h)
{
	struct track *t = track_find(h->s, h->id);
	uint32_t mask = sl_read_u32(&h->r), before = t ? link_mask(t, h->from) : 0;

	if (!t || !t->publisher->here || h->r.failed)
		return;
	cache_send(t, h->from, mask & ~before);
	set_link(t, h->from, mask);
}

static void on_key(struct heard *h)
{
	struct track *t = track_find(h->s, h->id);

	if (t && t->publisher->here) /* or a request of another worker would come back */
		track_ask_key(t, sl_read_u8(&h->r));
}

static void on_clock(struct heard *h)
{
	struct track *t = track_find(h->s, h->id);
	unsigned encoding = sl_read_u8(&h->r);
	struct sl_rtc_clock clock = {.ntp = sl_read_u64(&h->r)};

	clock.ts = sl_read_u32(&h->r);
	if (t && !h->r.failed && encoding < SL_RTC_MAX_ENCODINGS)
		forward_clock(t, encoding, &clock);
}

static void on_data(struct heard *h)
{
	struct sl_reader *r = &h->r;
	struct sl_str name = sl_read_lstr(r);
	bool text = sl_read_u8(r);
	struct room *room = r->failed ? NULL : room_find(h->s, name);

	if (room)
		data_distribute(room, h->id, text,
				(struct sl_str){(const char *)r->p, (size_t)(r->end - r->p)});
}

static void on_hold(struct heard *h)
{
	struct sl_str name = sl_read_lstr(&h->r);
	bool held = sl_read_u8(&h->r);
	struct room *room = h->r.failed ? NULL : room_find(h->s, name);

	if (room)
		data_held_away(room, held);
}

static void on_verb(struct heard *h)
{
	struct sl_reader *r = &h->r;
	struct sfu *s = h->s;
	struct sl_signal_peer peer;
	const char *sentence = NULL;
	uint32_t grants = sl_read_u32(r);
	json_t *msg;

	if (r->failed || !s->signal->find(s->signal_self, h->id, &peer))
		return;
	peer.grants = grants;
	msg = sl_json_parse((struct sl_str){(const char *)r->p, (size_t)(r->end - r->p)}, 16, NULL,
			    0);
	if (msg && verb_handle(s, &peer, msg, &sentence) < 0)
		say_error(s, h->id, sl_json_get_str(msg, "type").p,
			  sentence ? sentence : "refused");
	json_decref(msg);
}

static void on_silence(struct heard *h)
{
	struct track *t = track_find(h->s, h->id);

	if (t && t->publisher->here)
		track_silence(t, sl_read_u8(&h->r));
}

static void on_level(struct heard *h)
{
	struct track *t = track_find(h->s, h->id);

	if (t)
		steward_heard(t, sl_read_u8(&h->r), true);
}

static struct quality_way read_way(struct sl_reader *r)
{
	struct quality_way w = {.known = sl_read_u8(r) != 0};

	w.loss_permille = sl_read_u16(r);
	w.jitter_ms = sl_read_u16(r);
	w.rtt_ms = sl_read_u16(r);
	w.wanted_kbps = sl_read_u32(r);
	w.got_kbps = sl_read_u32(r);
	return w;
}

static void on_quality(struct heard *h)
{
	struct participant *p = participant_find(h->s, h->id);
	struct quality_news n = {.word = sl_read_u8(&h->r)};

	n.score = sl_read_u8(&h->r);
	n.up = read_way(&h->r);
	n.down = read_way(&h->r);
	if (p && p->owner == h->from && !h->r.failed && n.word > QUALITY_UNKNOWN &&
	    n.word < N_QUALITY_WORDS)
		observe_away(p, &n);
}

/* Kinds that are not here are of a newer generation. */
static void (*const readers[])(struct heard *h) = {
	[TRUNK_ASK] = on_ask,
	[TRUNK_PARTICIPANT] = on_participant,
	[TRUNK_PARTICIPANT_GONE] = on_participant_gone,
	[TRUNK_TRACK] = on_track,
	[TRUNK_TRACK_GONE] = on_track_gone,
	[TRUNK_WANT] = on_want,
	[TRUNK_PACKETS] = on_packets,
	[TRUNK_KEY] = on_key,
	[TRUNK_CLOCK] = on_clock,
	[TRUNK_DATA] = on_data,
	[TRUNK_VERB] = on_verb,
	[TRUNK_SILENCE] = on_silence,
	[TRUNK_LEVEL] = on_level,
	[TRUNK_HOLD] = on_hold,
	[TRUNK_STILL] = on_still,
	[TRUNK_QUALITY] = on_quality,
};

static void on_message(void *arg, const struct sl_channel_msg *m)
{
	struct heard h = {.s = arg, .from = m->from, .r = sl_reader(m->data.p, m->data.len)};
	bool known = sl_read_u8(&h.r) == TRUNK_LAYOUT;

	h.id = sl_read_u64(&h.r);
	if (known && !h.r.failed && m->type < SL_ARRAY_LEN(readers) && readers[m->type])
		readers[m->type](&h);
}

/* ---- life */

int trunk_open(struct sfu *s)
{
	int rc = sl_channel_open(s->w, "sfu", on_message, s, &s->channel);

	if (rc == 0)
		trunk_ask(s);
	return rc;
}

/* Its participants are gone; those whose sockets are here are asked to begin again. */
void trunk_gone(struct sfu *s, uint32_t owner)
{
	struct sl_hnode *n, *next;

	for (n = sl_htab_first(&s->tracks); n; n = sl_htab_next(&s->tracks, n))
		set_link(SL_CONTAINER(n, struct track, node), owner, 0);
	for (n = sl_htab_first(&s->participants); n; n = next) {
		struct participant *p = SL_CONTAINER(n, struct participant, node);
		struct sl_signal_peer peer;
		uint64_t id = p->id;

		next = sl_htab_next(&s->participants, n);
		if (p->owner != owner)
			continue;
		participant_remove(p, "lost");
		if (!s->signal->find(s->signal_self, id, &peer) || !peer.here)
			continue;
		sfu_count(s, M_lost_participants);
		say_restart(s, id, "both", "the worker with this client's media is gone");
	}
}
