/*
 * proto/latch.c: the source check of <proto/latch.h>.
 */
#include "proto/latch.h"

#include <sluice/clock.h>
#include <sluice/rtp.h>

enum { PROOF = 4 /* packets in a row */, MOVE_S = 2 /* of silence, before a port may change */ };

void latch_describe(struct latch *l, const struct sl_addr *address, bool strict)
{
	l->strict = strict;
	if (sl_addr_eq(&l->described, address))
		return;
	l->described = *address;
	l->locked = l->candidate = (struct sl_addr){0};
	l->in_row = 0;
}

static bool goes_on(const struct latch *l, const struct latch_packet *p)
{
	return p->ssrc == l->ssrc && sl_seq_after(p->seq, l->seq) &&
	       (uint16_t)(p->seq - l->seq) < 1000;
}

static enum latch_verdict lock(struct latch *l, const struct latch_packet *p, uint64_t now_ns)
{
	l->locked = *p->from;
	l->candidate = (struct sl_addr){0};
	l->in_row = 0;
	l->ssrc = p->ssrc;
	l->seq = p->seq;
	l->heard_ns = now_ns;
	return LATCH_MOVED;
}

/* Some packets of one stream from one place; a second stranger in between starts the count anew,
 * so that two who race both lose. */
static enum latch_verdict court(struct latch *l, const struct latch_packet *p, uint64_t now_ns)
{
	if (!sl_addr_eq(&l->candidate, p->from) || !goes_on(l, p)) {
		l->candidate = *p->from;
		l->in_row = 0;
	}
	l->ssrc = p->ssrc;
	l->seq = p->seq;
	if (++l->in_row >= PROOF)
		return lock(l, p, now_ns);
	return LATCH_TAKE;
}

static bool may_move(const struct latch *l, const struct latch_packet *p, uint64_t now_ns)
{
	if (p->authentic)
		return goes_on(l, p) || now_ns - l->heard_ns > MOVE_S * SL_NS_PER_S;
	return sl_addr_same_ip(&l->locked, p->from) && goes_on(l, p) &&
	       now_ns - l->heard_ns > MOVE_S * SL_NS_PER_S;
}

enum latch_verdict latch_packet(struct latch *l, const struct latch_packet *p, uint64_t now_ns)
{
	if (l->locked.family && sl_addr_eq(&l->locked, p->from)) {
		l->ssrc = p->ssrc;
		l->seq = p->seq;
		l->heard_ns = now_ns;
		return LATCH_TAKE;
	}
	/* Also from who was faster: whoever sprays ports at random does not keep what it finds. */
	if (l->described.family && sl_addr_eq(&l->described, p->from))
		return lock(l, p, now_ns);
	if (l->strict)
		return LATCH_STRANGER;
	if (l->locked.family)
		return may_move(l, p, now_ns) ? lock(l, p, now_ns) : LATCH_STRANGER;
	if (p->authentic)
		return lock(l, p, now_ns);
	return court(l, p, now_ns);
}

const struct sl_addr *latch_to(const struct latch *l)
{
	if (l->locked.family)
		return &l->locked;
	return l->described.family ? &l->described : &l->candidate;
}
