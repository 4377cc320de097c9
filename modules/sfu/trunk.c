/*
 * sfu/trunk.c: what workers tell each other: who is there, which tracks, packets of those that
 * somebody there wants, feedback the other way. TRUNK.md has the wire form.
 *
 * News go to all workers, packets to those that asked. Messages of one sender arrive in order, and
 * causally, so that a track is known before its packets come. Packets travel plain, as they came
 * from the publisher; a ring that is full loses them, as a network would, and the subscribers'
 * layers ask for a key frame.
 */
#include "sfu.h"

#include <stdlib.h>

enum { LAYOUT = 1, MAX_BATCH = 48 * 1024 };

enum trunk_type {		 /* spoken between generations: append only */
		  TRUNK_ASK = 1, /* tell me all */
		  TRUNK_PARTICIPANT,
		  TRUNK_PARTICIPANT_GONE,
		  TRUNK_TRACK,
		  TRUNK_TRACK_GONE,
		  TRUNK_WANT,
		  TRUNK_PACKETS,
		  TRUNK_KEY,
		  TRUNK_CLOCK,
		  TRUNK_DATA,
		  TRUNK_VERB,
		  TRUNK_SILENCE,
		  TRUNK_LEVEL,
		  TRUNK_HOLD,
		  TRUNK_STILL,
		  TRUNK_QUALITY,
};

/* ---- writing */

static void begin(struct sl_buf *b, uint64_t id)
{
	sl_buf_init(b, 0);
	sl_buf_u8(b, LAYOUT);
	sl_buf_u64(b, id);
}

static int post(struct sfu *s, uint32_t to, unsigned type, struct sl_buf *b)
{
	const struct iovec iov = {b->p, b->len};
	int rc = sl_buf_ok(b);

	if (rc == 0)
		rc = sl_channel_send(s->channel, to, (uint16_t)type, &iov, 1);
	if (rc < 0 && rc != -SL_ENOENT)
		sfu_count(s, M_trunk_lost);
	sl_buf_free(b);
	return rc;
}

static void broadcast(struct sfu *s, unsigned type, struct sl_buf *b)
{
	const struct iovec iov = {b->p, b->len};

	if (sl_buf_ok(b) == 0)
		(void)sl_channel_broadcast(s->channel, (uint16_t)type, &iov, 1);
	sl_buf_free(b);
}

static void put_participant(struct sl_buf *b, const struct participant *p)
{
	begin(b, p->id);
	sl_buf_u32(b, p->grants);
	sl_buf_lstr(b, (struct sl_str){p->room->name, p->room->name_len});
}

void trunk_participant(const struct participant *p)
{
	struct sl_buf b;

	put_participant(&b, p);
	broadcast(p->room->sfu, TRUNK_PARTICIPANT, &b);
}

void trunk_participant_gone(const struct participant *p)
{
	struct sl_buf b;

	begin(&b, p->id);
	broadcast(p->room->sfu, TRUNK_PARTICIPANT_GONE, &b);
}

static void put_track(struct sl_buf *b, const struct track *t)
{
	begin(b, t->id);
	sl_buf_u64(b, t->publisher->id);
	sl_buf_u8(b, t->kind);
	sl_buf_u8(b, t->source);
	sl_buf_u8(b, t->codec);
	/* Workers of a generation before look at the first two bits only. */
	sl_buf_u8(b, (uint8_t)(t->muted | t->silenced << 1 | t->over << 2 | t->ended << 4));
	sl_buf_u8(b, (uint8_t)t->n_encodings);
	sl_buf_lstr(b, sl_str_c(t->name));
	sl_buf_lstr(b, sl_str_c(t->params));
	sl_buf_lstr(b, (struct sl_str){(const char *)t->ext.id, sizeof t->ext.id});
	for (unsigned i = 0; i < t->n_encodings; i++)
		sl_buf_lstr(b, sl_str_c(t->rids[i]));
	for (unsigned i = 0; i < t->n_encodings; i++) {
		sl_buf_u16(b, t->rate[i].width);
		sl_buf_u16(b, t->rate[i].height);
	}
	sl_buf_u32(b, t->clock_hz);
}

void trunk_track(const struct track *t)
{
	struct sl_buf b;

	put_track(&b, t);
	broadcast(t->room->sfu, TRUNK_TRACK, &b);
}

void trunk_track_gone(const struct track *t)
{
	struct sl_buf b;

	begin(&b, t->id);
	broadcast(t->room->sfu, TRUNK_TRACK_GONE, &b);
}

void trunk_want(struct track *t, uint32_t mask)
{
	struct sl_buf b;

	if (t->wanted_mask == mask)
		return;
	track_asked(t, mask & ~t->wanted_mask);
	t->wanted_mask = mask;
	begin(&b, t->id);
	sl_buf_u32(&b, mask);
	(void)post(t->room->sfu, t->publisher->owner, TRUNK_WANT, &b);
}

void trunk_key(const struct track *t, unsigned encoding)
{
	struct sl_buf b;

	begin(&b, t->id);
	sl_buf_u8(&b, (uint8_t)encoding);
	(void)post(t->room->sfu, t->publisher->owner, TRUNK_KEY, &b);
}

void trunk_clock(const struct track *t, unsigned encoding, const struct sl_rtc_clock *clock)
{
	for (const struct link *l = t->links; l; l = l->next) {
		struct sl_buf b;

		begin(&b, t->id);
		sl_buf_u8(&b, (uint8_t)encoding);
		sl_buf_u64(&b, clock->ntp);
		sl_buf_u32(&b, clock->ts);
		(void)post(t->room->sfu, l->owner, TRUNK_CLOCK, &b);
	}
}

/* To the workers that have somebody in the room; which these are every worker knows. */
static void to_room(const struct room *r, unsigned type, const struct sl_buf *b)
{
	uint32_t owners[MAX_WORKERS];
	unsigned n = 0, i;

	for (const struct participant *p = r->participants; p; p = p->next) {
		const struct iovec iov = {b->p, b->len};

		for (i = 0; i < n && owners[i] != p->owner; i++)
			;
		if (p->here || i < n || n == MAX_WORKERS)
			continue;
		owners[n++] = p->owner;
		if (sl_channel_send(r->sfu->channel, p->owner, (uint16_t)type, &iov, 1) < 0)
			sfu_count(r->sfu, M_trunk_lost);
	}
}

void trunk_data(const struct room *r, uint64_t from, bool text, struct sl_str data)
{
	struct sl_buf b;

	if (data.len > MAX_BATCH) {
		sfu_count(r->sfu, M_trunk_lost);
		return;
	}
	begin(&b, from);
	sl_buf_lstr(&b, (struct sl_str){r->name, r->name_len});
	sl_buf_u8(&b, text);
	sl_buf_str(&b, data);
	if (sl_buf_ok(&b) == 0)
		to_room(r, TRUNK_DATA, &b);
	sl_buf_free(&b);
}

void trunk_hold(const struct room *r, bool held)
{
	struct sl_buf b;

	begin(&b, 0);
	sl_buf_lstr(&b, (struct sl_str){r->name, r->name_len});
	sl_buf_u8(&b, held);
	if (sl_buf_ok(&b) == 0)
		to_room(r, TRUNK_HOLD, &b);
	sl_buf_free(&b);
}

void trunk_levels(const struct room *r, const struct track *t, unsigned level)
{
	struct sl_buf b;

	begin(&b, t->id);
	sl_buf_u8(&b, (uint8_t)level);
	if (sl_buf_ok(&b) == 0)
		to_room(r, TRUNK_LEVEL, &b);
	sl_buf_free(&b);
}

static void put_way(struct sl_buf *b, const struct quality_way *w)
{
	sl_buf_u8(b, w->known);
	sl_buf_u16(b, w->loss_permille);
	sl_buf_u16(b, w->jitter_ms);
	sl_buf_u16(b, w->rtt_ms);
	sl_buf_u32(b, w->wanted_kbps);
	sl_buf_u32(b, w->got_kbps);
}

static void put_quality(struct sl_buf *b, const struct participant *p)
{
	const struct quality_news *n = &p->quality.told;

	begin(b, p->id);
	sl_buf_u8(b, (uint8_t)n->word);
	sl_buf_u8(b, n->score);
	put_way(b, &n->up);
	put_way(b, &n->down);
}

void trunk_quality(const struct participant *p)
{
	struct sl_buf b;

	put_quality(&b, p);
	broadcast(p->room->sfu, TRUNK_QUALITY, &b);
}

int trunk_verb(struct sfu *s, uint32_t owner, uint64_t peer, uint32_t grants, struct sl_str json)
{
	struct sl_buf b;

	begin(&b, peer);
	sl_buf_u32(&b, grants);
	sl_buf_str(&b, json);
	return post(s, owner, TRUNK_VERB, &b);
}

void trunk_silence(const struct track *t, bool silenced)
{
	struct sl_buf b;

	begin(&b, t->id);
	sl_buf_u8(&b, silenced);
	(void)post(t->room->sfu, t->publisher->owner, TRUNK_SILENCE, &b);
}

/* ---- packets */

static void put_packet(struct sl_buf *b, const struct pending *k)
{
	const struct sl_rtp *rtp = sl_packet_rtp(k->packet);

	sl_buf_u8(b, k->encoding);
	sl_buf_u8(b, k->codec);
	sl_buf_u64(b, k->seq);
	sl_buf_u16(b, (uint16_t)rtp->len);
	sl_buf_add(b, rtp->data, rtp->len);
}

/* What the link's worker wants of the batch, in as many messages as it needs. */
static void send_to(struct track *t, const struct link *l)
{
	struct sfu *s = t->room->sfu;
	struct sl_buf b;
	unsigned n = 0;

	begin(&b, t->id);
	for (unsigned i = 0; i < t->n_pending; i++) {
		if (!(l->mask & 1u << t->pending[i].encoding))
			continue;
		put_packet(&b, &t->pending[i]);
		n++;
		if (b.len < MAX_BATCH)
			continue;
		(void)post(s, l->owner, TRUNK_PACKETS, &b);
		begin(&b, t->id);
	}
	sl_count_n(&s->m[M_trunk_out], n);
	if (b.len > 9)
		(void)post(s, l->owner, TRUNK_PACKETS, &b);
	else
		sl_buf_free(&b);
}

void trunk_packets(struct track *t)
{
	for (const struct link *l = t->links; l; l = l->next)
		send_to(t, l);
}

void trunk_still(struct track *t, uint32_t owner, const struct pending *packets, unsigned n)
{
	struct sl_buf b;

	begin(&b, t->id);
	for (unsigned i = 0; i < n; i++)
		put_packet(&b, &packets[i]);
	if (b.len <= MAX_BATCH)
		(void)post(t->room->sfu, owner, TRUNK_STILL, &b);
	else
		sl_buf_free(&b); /* a picture so large comes with the next key frame */
}

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

static void on_packets(struct sfu *s, uint64_t id, struct sl_reader *r, take_fn *take)
{
	struct track *t = track_find(s, id);

	while (t && !t->publisher->here && r->p < r->end && !r->failed) {
		struct carried c = {.encoding = sl_read_u8(r)};

		c.codec = sl_read_u8(r);
		c.seq = sl_read_u64(r);
		c.bytes = sl_read_bytes(r, sl_read_u16(r));
		if (!r->failed)
			take_packet(t, &c, take);
	}
}

/* Whoever waits for a picture of it is shown what is kept now. */
static void on_still(struct sfu *s, uint64_t id, struct sl_reader *r)
{
	struct track *t = track_find(s, id);

	on_packets(s, id, r, forward_kept);
	for (struct sub *sub = t ? t->subs : NULL; sub; sub = sub->next_of_track)
		cache_show(sub);
}

/* ---- news */

static void tell_all(struct sfu *s, uint32_t asker)
{
	struct sl_hnode *n;
	struct sl_buf b;

	for (n = sl_htab_first(&s->participants); n; n = sl_htab_next(&s->participants, n)) {
		const struct participant *p = SL_CONTAINER(n, struct participant, node);

		if (!p->here)
			continue;
		put_participant(&b, p);
		(void)post(s, asker, TRUNK_PARTICIPANT, &b);
		put_quality(&b, p);
		(void)post(s, asker, TRUNK_QUALITY, &b);
	}
	for (n = sl_htab_first(&s->tracks); n; n = sl_htab_next(&s->tracks, n)) {
		const struct track *t = SL_CONTAINER(n, struct track, node);

		if (!t->publisher->here)
			continue;
		put_track(&b, t);
		(void)post(s, asker, TRUNK_TRACK, &b);
	}
}

static void on_participant(struct sfu *s, uint32_t from, uint64_t id, struct sl_reader *r)
{
	uint32_t grants = sl_read_u32(r);
	struct sl_str name = sl_read_lstr(r);
	struct participant *p;
	struct room *room;

	if (r->failed || name.len == 0 || participant_find(s, id))
		return;
	room = room_get(s, name);
	if (!room)
		return;
	if (participant_add(room, id, from, &p) < 0) {
		room_release(room);
		return;
	}
	p->grants = grants;
	mode_began(room);
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

static void on_track(struct sfu *s, uint32_t from, uint64_t id, struct sl_reader *r)
{
	struct participant *p = participant_find(s, sl_read_u64(r));
	unsigned kind = sl_read_u8(r);
	struct track *t = track_find(s, id);
	bool is_new = !t, was_muted;
	unsigned old_codec;

	if (r->failed || !p || p->owner != from || kind > SL_MEDIA_VIDEO)
		return;
	if (is_new && track_add(p, id, kind, &t) < 0)
		return;
	was_muted = t->muted || t->silenced;
	old_codec = t->codec;
	read_track(t, r);
	if (!is_new && t->codec != old_codec)
		track_codec_changed(t);
	tell_room(t, is_new, was_muted);
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

static void on_want(struct sfu *s, uint32_t from, uint64_t id, struct sl_reader *r)
{
	struct track *t = track_find(s, id);
	uint32_t mask = sl_read_u32(r), before = t ? link_mask(t, from) : 0;

	if (!t || !t->publisher->here || r->failed)
		return;
	cache_send(t, from, mask & ~before);
	set_link(t, from, mask);
}

static void on_clock(struct sfu *s, uint64_t id, struct sl_reader *r)
{
	struct track *t = track_find(s, id);
	unsigned encoding = sl_read_u8(r);
	struct sl_rtc_clock clock = {.ntp = sl_read_u64(r)};

	clock.ts = sl_read_u32(r);
	if (t && !r->failed && encoding < SL_RTC_MAX_ENCODINGS)
		forward_clock(t, encoding, &clock);
}

static void on_data(struct sfu *s, uint64_t from, struct sl_reader *r)
{
	struct sl_str name = sl_read_lstr(r);
	bool text = sl_read_u8(r);
	struct room *room = r->failed ? NULL : room_find(s, name);

	if (room)
		data_distribute(room, from, text,
				(struct sl_str){(const char *)r->p, (size_t)(r->end - r->p)});
}

static void on_hold(struct sfu *s, struct sl_reader *r)
{
	struct sl_str name = sl_read_lstr(r);
	bool held = sl_read_u8(r);
	struct room *room = r->failed ? NULL : room_find(s, name);

	if (room)
		data_held_away(room, held);
}

static void on_verb(struct sfu *s, uint64_t id, struct sl_reader *r)
{
	struct sl_signal_peer peer;
	const char *sentence = NULL;
	uint32_t grants = sl_read_u32(r);
	json_t *msg;

	if (r->failed || !s->signal->find(s->signal_self, id, &peer))
		return;
	peer.grants = grants;
	msg = sl_json_parse((struct sl_str){(const char *)r->p, (size_t)(r->end - r->p)}, 16, NULL,
			    0);
	if (msg && verb_handle(s, &peer, msg, &sentence) < 0)
		say_error(s, id, sl_json_get_str(msg, "type").p, sentence ? sentence : "refused");
	json_decref(msg);
}

static void on_silence(struct sfu *s, uint64_t id, struct sl_reader *r)
{
	struct track *t = track_find(s, id);

	if (t && t->publisher->here)
		track_silence(t, sl_read_u8(r));
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

static void on_quality(struct sfu *s, uint32_t from, uint64_t id, struct sl_reader *r)
{
	struct participant *p = participant_find(s, id);
	struct quality_news n = {.word = sl_read_u8(r)};

	n.score = sl_read_u8(r);
	n.up = read_way(r);
	n.down = read_way(r);
	if (p && p->owner == from && !r->failed && n.word > QUALITY_UNKNOWN &&
	    n.word < N_QUALITY_WORDS)
		observe_away(p, &n);
}

static void on_message(void *arg, const struct sl_channel_msg *m)
{
	struct sfu *s = arg;
	struct sl_reader r = sl_reader(m->data.p, m->data.len);
	bool known = sl_read_u8(&r) == LAYOUT;
	uint64_t id = sl_read_u64(&r);
	struct participant *p;
	struct track *t;

	if (!known || r.failed)
		return;
	switch (m->type) {
	case TRUNK_ASK:
		tell_all(s, m->from);
		break;
	case TRUNK_PARTICIPANT:
		on_participant(s, m->from, id, &r);
		break;
	case TRUNK_PARTICIPANT_GONE:
		p = participant_find(s, id);
		if (p && p->owner == m->from)
			participant_remove(p, "left");
		break;
	case TRUNK_TRACK:
		on_track(s, m->from, id, &r);
		break;
	case TRUNK_TRACK_GONE:
		t = track_find(s, id);
		if (t && t->publisher->owner == m->from)
			track_remove(t);
		break;
	case TRUNK_WANT:
		on_want(s, m->from, id, &r);
		break;
	case TRUNK_PACKETS:
		on_packets(s, id, &r, forward_packet);
		break;
	case TRUNK_KEY:
		t = track_find(s, id);
		if (t && t->publisher->here) /* or a request of another worker would come back */
			track_ask_key(t, sl_read_u8(&r));
		break;
	case TRUNK_CLOCK:
		on_clock(s, id, &r);
		break;
	case TRUNK_DATA:
		on_data(s, id, &r);
		break;
	case TRUNK_VERB:
		on_verb(s, id, &r);
		break;
	case TRUNK_SILENCE:
		on_silence(s, id, &r);
		break;
	case TRUNK_LEVEL:
		t = track_find(s, id);
		if (t)
			steward_heard(t, sl_read_u8(&r), true);
		break;
	case TRUNK_HOLD:
		on_hold(s, &r);
		break;
	case TRUNK_STILL:
		on_still(s, id, &r);
		break;
	case TRUNK_QUALITY:
		on_quality(s, m->from, id, &r);
		break;
	default: /* of a newer generation */
		break;
	}
}

/* ---- life */

int trunk_open(struct sfu *s)
{
	struct sl_buf b;
	int rc = sl_channel_open(s->w, "sfu", on_message, s, &s->channel);

	if (rc < 0)
		return rc;
	begin(&b, 0);
	broadcast(s, TRUNK_ASK, &b);
	return 0;
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
