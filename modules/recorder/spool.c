/*
 * recorder/spool.c: see spool.h.
 *
 * Batches stand in one list by number: first those that the writer was sent, then those that wait.
 * A writer that does not run (stopped, or gone) costs memory up to the bound and nothing else.
 */
#include "spool.h"

#include <sluice/bus.h>
#include <stdlib.h>

enum {
	BATCH = 60 * 1024,   /* a message takes 64 KiB */
	WINDOW = 180 * 1024, /* of the ring's 256 KiB */
	BATCH_HEAD = 8 + 4,  /* its number, packets dropped before it */
};

struct batch {
	struct batch *next;
	uint64_t number, last_ns; /* when its newest packet came */
	uint32_t n;
	size_t len;
	uint8_t data[];
};

struct spool {
	struct sl_channel *channel;
	const struct sl_meter *m;
	uint32_t owner;
	size_t max_bytes, bytes, on_the_way;
	uint64_t next_number, taken;
	uint32_t dropped;		      /* since the last batch */
	struct batch *first, **tail, *unsent; /* unsent: the first that was not sent; in the list */
	struct batch *open;		      /* the one that is filled; not in the list */
};

int spool_open(struct sl_channel *channel, const struct sl_meter *m, size_t max_bytes,
	       struct spool **ret_spool)
{
	struct spool *s = calloc(1, sizeof *s);

	if (!s)
		return -SL_ENOMEM;
	s->channel = channel;
	s->m = m;
	s->max_bytes = max_bytes;
	s->next_number = 1;
	s->tail = &s->first;
	*ret_spool = s;
	return 0;
}

void spool_free(struct spool *s)
{
	if (!s)
		return;
	for (struct batch *b = s->first, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(s->open);
	free(s);
}

uint32_t spool_owner(const struct spool *s)
{
	return s->owner;
}

bool spool_is_empty(const struct spool *s)
{
	return !s->first && !s->open;
}

size_t spool_bytes(const struct spool *s)
{
	return s->bytes;
}

/* ---- sending */

static void send_some(struct spool *s)
{
	while (s->owner && s->unsent && s->on_the_way < WINDOW) {
		struct batch *b = s->unsent;
		const struct iovec iov = {b->data, b->len};

		if (sl_channel_send(s->channel, s->owner, MSG_MEDIA, &iov, 1) < 0)
			return; /* it goes with the next */
		s->on_the_way += b->len;
		s->unsent = b->next;
	}
}

static void close_batch(struct spool *s)
{
	struct batch *b = s->open, *less;

	if (!b)
		return;
	s->open = NULL;
	s->bytes -= BATCH;
	less = realloc(b, sizeof *b + b->len);
	b = less ? less : b;
	s->bytes += b->len;
	sl_count_n(&s->m[M_packets], b->n);
	*s->tail = b;
	s->tail = &b->next;
	if (!s->unsent)
		s->unsent = b;
}

void spool_flush(struct spool *s)
{
	close_batch(s);
	send_some(s);
}

static struct batch *open_batch(struct spool *s)
{
	struct batch *b;

	if (s->bytes + BATCH > s->max_bytes)
		return NULL;
	b = malloc(sizeof *b + BATCH);
	if (!b)
		return NULL;
	*b = (struct batch){.number = s->next_number++, .len = BATCH_HEAD};
	sl_put64(b->data, b->number);
	sl_put32(b->data + 8, s->dropped);
	s->dropped = 0;
	s->bytes += BATCH;
	s->open = b;
	return b;
}

/* NULL: no room */
static uint8_t *reserve(struct spool *s, size_t len, uint64_t now_ns)
{
	struct batch *b = s->open;
	uint8_t *p;

	if (b && b->len + len > BATCH) {
		spool_flush(s);
		b = NULL;
	}
	if (!b && len + BATCH_HEAD <= BATCH)
		b = open_batch(s);
	if (!b)
		return NULL;
	p = b->data + b->len;
	b->len += len;
	b->last_ns = now_ns;
	return p;
}

static void write_head(uint8_t *p, uint64_t id, uint64_t now_ns, uint64_t seq)
{
	sl_put64(p, id);
	sl_put64(p + 8, now_ns);
	sl_put64(p + 16, seq);
}

void spool_packet(struct spool *s, const struct sl_media *m, uint64_t now_ns)
{
	const struct sl_rtp *rtp = m->rtp;
	uint8_t *p = reserve(s, PACKET_HEAD + rtp->len, now_ns);

	if (!p) {
		s->dropped++;
		sl_count(&s->m[M_dropped]);
		return;
	}
	write_head(p, m->track->id, now_ns, m->seq);
	p[24] = m->encoding;
	p[25] = m->codec;
	sl_put16(p + 26, (uint16_t)rtp->len);
	memcpy(p + PACKET_HEAD, rtp->data, rtp->len);
	s->open->n++;
}

static bool put_mark(struct spool *s, uint64_t track_id, uint8_t mark, uint64_t now_ns)
{
	uint8_t *p = reserve(s, PACKET_HEAD, now_ns);

	if (!p)
		return false;
	write_head(p, track_id, now_ns, 0);
	p[24] = mark;
	p[25] = 0;
	sl_put16(p + 26, 0);
	spool_flush(s);
	return true;
}

bool spool_gone(struct spool *s, uint64_t track_id, uint64_t now_ns)
{
	return put_mark(s, track_id, PACKET_GONE, now_ns);
}

bool spool_pause(struct spool *s, uint64_t track_id, uint64_t now_ns)
{
	return put_mark(s, track_id, PACKET_PAUSE, now_ns);
}

uint64_t spool_newest(const struct spool *s)
{
	return s->next_number - 1;
}

bool spool_keeps(const struct spool *s, uint64_t number)
{
	return s->first && s->first->number <= number;
}

/* ---- the writer's word */

static void take(struct spool *s, uint64_t taken)
{
	for (struct batch *b = s->first; b && b != s->unsent && b->number <= taken; b = b->next)
		if (b->number > s->taken)
			s->on_the_way -= b->len;
	if (taken > s->taken)
		s->taken = taken;
}

void spool_saved(struct spool *s, uint64_t taken, uint64_t saved, uint64_t saved_ns)
{
	take(s, taken);
	while (s->first && s->first != s->unsent && s->first->number <= s->taken &&
	       s->first->number <= saved && s->first->last_ns <= saved_ns) {
		struct batch *b = s->first;

		s->first = b->next;
		if (!s->first)
			s->tail = &s->first;
		s->bytes -= b->len;
		free(b);
	}
	send_some(s);
}

/* ---- writers that come and go */

void spool_orphan(struct spool *s)
{
	close_batch(s);
	s->owner = 0;
	s->unsent = s->first;
	s->on_the_way = 0;
	s->taken = s->first ? s->first->number - 1 : s->taken;
}

void spool_adopt(struct spool *s, uint32_t owner)
{
	s->owner = owner;
	send_some(s);
}
