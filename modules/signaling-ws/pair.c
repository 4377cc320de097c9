/*
 * signaling-ws/pair.c: user fragments that passed, and candidates that wait.
 *
 * User fragments are kept as FNV-1a hashes: they are compared within one pair only, both ends of
 * which belong to the sender, so that a collision chosen by somebody lets his own candidate pass
 * early and nothing else. A list per peer is enough: rooms are small, and a pair exists only once
 * something was said.
 */
#include "pair.h"

#include <stdlib.h>

struct pair *pair_find(struct pair *list, uint64_t to)
{
	while (list && list->to != to)
		list = list->next;
	return list;
}

struct pair *pair_get(struct pair **list, uint64_t to)
{
	struct pair *p = pair_find(*list, to);

	if (p)
		return p;
	p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->to = to;
	p->tail = &p->first;
	p->next = *list;
	*list = p;
	return p;
}

/* Keeps the tail right, wherever it was. */
static struct held *unlink_at(struct pair *p, struct held **at)
{
	struct held *h = *at;

	*at = h->next;
	if (!*at)
		p->tail = at;
	p->n_held--;
	return h;
}

static void drop_held(struct pair *p)
{
	while (p->first)
		free(unlink_at(p, &p->first));
}

static void pair_free(struct pair *p)
{
	drop_held(p);
	free(p);
}

void pair_forget(struct pair *list, uint64_t to)
{
	struct pair *p = pair_find(list, to);

	if (!p)
		return;
	drop_held(p);
	p->n_ufrags = p->at = 0;
	p->any = false;
}

void pair_drop(struct pair **list, uint64_t to)
{
	while (*list && (*list)->to != to)
		list = &(*list)->next;
	if (*list) {
		struct pair *p = *list;

		*list = p->next;
		pair_free(p);
	}
}

void pairs_free(struct pair **list)
{
	while (*list) {
		struct pair *p = *list;

		*list = p->next;
		pair_free(p);
	}
}

uint64_t ufrag_hash(struct sl_str ufrag)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < ufrag.len; i++)
		h = (h ^ (uint8_t)ufrag.p[i]) * UINT64_C(1099511628211);
	return h | 1;
}

static bool knows(const struct pair *p, uint64_t ufrag)
{
	for (unsigned i = 0; i < p->n_ufrags; i++)
		if (p->ufrags[i] == ufrag)
			return true;
	return false;
}

/* The oldest gives way: a description with more fragments than fit is no browser's. */
static void remember(struct pair *p, uint64_t ufrag)
{
	if (knows(p, ufrag))
		return;
	p->ufrags[p->at] = ufrag;
	p->at = (uint8_t)((p->at + 1) % PAIR_UFRAGS);
	if (p->n_ufrags < PAIR_UFRAGS)
		p->n_ufrags++;
}

void pair_description(struct pair *p, struct sl_str sdp)
{
	static const struct sl_str key = SL_STR_INIT("a=ice-ufrag:");
	unsigned n = 0;

	while (sdp.len > 0) {
		struct sl_str line = sl_str_trim(sl_str_split(&sdp, '\n'));

		if (!sl_str_starts(line, key))
			continue;
		remember(p, ufrag_hash((struct sl_str){line.p + key.len, line.len - key.len}));
		n++;
	}
	p->any = n == 0;
}

/* A candidate without a fragment belongs to whatever was described. */
bool pair_lets_pass(const struct pair *p, uint64_t ufrag)
{
	if (p->any)
		return true;
	return ufrag == 0 ? p->n_ufrags > 0 : knows(p, ufrag);
}

int pair_hold(struct pair *p, uint64_t ufrag, struct sl_str body, size_t max)
{
	struct held *h;

	if (p->n_held >= max)
		return -SL_EFULL;
	h = malloc(sizeof *h + body.len);
	if (!h)
		return -SL_ENOMEM;
	h->next = NULL;
	h->ufrag = ufrag;
	h->len = body.len;
	memcpy(h->body, body.p, body.len);
	*p->tail = h;
	p->tail = &h->next;
	p->n_held++;
	return 0;
}

/* In order of arrival among those that may pass. */
struct held *pair_take(struct pair *p)
{
	for (struct held **at = &p->first; *at; at = &(*at)->next)
		if (pair_lets_pass(p, (*at)->ufrag))
			return unlink_at(p, at);
	return NULL;
}
