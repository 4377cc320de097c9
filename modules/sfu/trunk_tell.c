/*
 * sfu/trunk_tell.c: what this worker tells the others: who is here, which tracks, their packets to
 * those that asked, feedback to where a track is published.
 *
 * News go to all workers, data and levels to those that have somebody in the room. A message that
 * finds no room in a ring is counted and lost, as a network would lose it: nothing here waits, and
 * nothing is kept for later, so that a worker that stands still costs the others nothing.
 */
#include "trunk.h"

enum { MAX_BATCH = 48 * 1024 };

static void begin(struct sl_buf *b, uint64_t id)
{
	sl_buf_init(b, 0);
	sl_buf_u8(b, TRUNK_LAYOUT);
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

/* ---- to one who has just come */

void trunk_tell_all(struct sfu *s, uint32_t asker)
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

void trunk_ask(struct sfu *s)
{
	struct sl_buf b;

	begin(&b, 0);
	broadcast(s, TRUNK_ASK, &b);
}
