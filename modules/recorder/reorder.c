/*
 * recorder/reorder.c: see reorder.h. A sorted list: nearly every packet goes to its end.
 */
#include "reorder.h"

#include <stdlib.h>

#define FAR 4096 /* numbers further away begin anew */

void reorder_init(struct reorder *r, uint64_t wait_ns)
{
	*r = (struct reorder){.wait_ns = wait_ns};
}

void reorder_resume(struct reorder *r, uint64_t next)
{
	r->started = true;
	r->next = next;
}

void reorder_pause(struct reorder *r)
{
	r->started = false;
}

void reorder_free(struct reorder *r)
{
	for (struct rpacket *p = r->first, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	r->first = r->last = NULL;
	r->n = 0;
	r->bytes = 0;
}

/* The packet that this one goes behind; *ret_doubled: it is there already. */
static struct rpacket *place_of(struct reorder *r, uint64_t seq, bool *ret_doubled)
{
	struct rpacket *p = r->last;

	while (p && p->seq > seq)
		p = p->prev;
	*ret_doubled = p && p->seq == seq;
	return p;
}

static void link_behind(struct reorder *r, struct rpacket *p, struct rpacket *before)
{
	p->prev = before;
	p->next = before ? before->next : r->first;
	*(p->next ? &p->next->prev : &r->last) = p;
	*(before ? &before->next : &r->first) = p;
	r->n++;
	r->bytes += p->len;
}

int reorder_put(struct reorder *r, const struct rpacket *head, const void *data)
{
	struct rpacket *before, *p;
	bool doubled;

	if (!r->started || (!r->first && head->seq + FAR < r->next)) {
		r->started = true;
		r->next = head->seq;
	}
	if (head->seq < r->next) {
		r->n_late++;
		return 0;
	}
	before = place_of(r, head->seq, &doubled);
	if (doubled) {
		r->n_doubled++;
		return 0;
	}
	p = malloc(sizeof *p + head->len);
	if (!p)
		return -SL_ENOMEM;
	*p = *head;
	memcpy(p->data, data, head->len);
	link_behind(r, p, before);
	return 0;
}

struct rpacket *reorder_flush(struct reorder *r, uint64_t *ret_lost)
{
	struct rpacket *p = r->first;

	if (!p)
		return NULL;
	*ret_lost = p->seq - r->next > FAR ? 1 : p->seq - r->next;
	r->n_lost += *ret_lost;
	r->next = p->seq + 1;
	r->first = p->next;
	*(r->first ? &r->first->prev : &r->last) = NULL;
	r->n--;
	r->bytes -= p->len;
	return p;
}

struct rpacket *reorder_take(struct reorder *r, uint64_t now_ns, uint64_t *ret_lost)
{
	const struct rpacket *p = r->first;

	if (p && p->seq != r->next && r->n < REORDER_MAX && now_ns < p->arrival_ns + r->wait_ns)
		return NULL;
	return reorder_flush(r, ret_lost);
}
