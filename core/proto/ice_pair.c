/*
 * proto/ice_pair.c: the check list: which pairs there are, in the order of their priority, and
 * which of their paths are open (RFC 8445 section 6.1.2).
 *
 * Two pairs of one generation never have the same path. During a restart a path may belong to a
 * pair of each generation: it is opened once, and closed with the last of them. The list is
 * bounded; what carries nothing gives way to what has been seen to work.
 */
#include "proto/ice_impl.h"

#include <stdlib.h>

static uint64_t pair_priority(const struct ice_agent *a, const struct ice_pair *p)
{
	uint64_t g = a->controlling ? p->local_priority : p->remote_priority;
	uint64_t d = a->controlling ? p->remote_priority : p->local_priority;

	return (g < d ? g : d) << 32 | ((g < d ? d : g) * 2 + (g > d));
}

static void list_insert(struct ice_agent *a, struct ice_pair *p)
{
	struct ice_pair **at = &a->pairs;

	p->priority = pair_priority(a, p);
	while (*at && (*at)->priority >= p->priority)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
}

static void list_remove(struct ice_agent *a, struct ice_pair *p)
{
	struct ice_pair **at = &a->pairs;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
}

void ice_pair_reprioritize(struct ice_agent *a, struct ice_pair *p, uint32_t remote_priority)
{
	if (p->remote_priority == remote_priority)
		return;
	p->remote_priority = remote_priority;
	list_remove(a, p);
	list_insert(a, p);
}

void ice_pairs_reorder(struct ice_agent *a)
{
	struct ice_pair *p = a->pairs, *next;

	a->pairs = NULL;
	for (; p; p = next) {
		next = p->next;
		list_insert(a, p);
	}
}

/* The base that a path leaves from. A connection has a number of its own, and the address of the
 * listener that took it. */
const struct ice_local *ice_local_of(const struct ice_agent *a, const struct ice_path *path)
{
	const struct ice_local *same_kind = NULL;

	for (unsigned i = 0; i < a->n_locals; i++) {
		const struct ice_local *l = &a->locals[i];

		if ((l->transport != ICE_UDP) != path->tcp || (!path->tcp && l->via != path->via))
			continue;
		if (sl_addr_eq(&l->addr, &path->local))
			return l;
		if (l->addr.family == path->local.family)
			same_kind = l; /* a wildcard address, say */
	}
	return same_kind;
}

struct ice_pair *ice_pair_find(const struct ice_agent *a, const struct ice_path *path, bool old)
{
	for (struct ice_pair *p = a->pairs; p; p = p->next)
		if (p->old == old && ice_path_eq(&p->path, path))
			return p;
	return NULL;
}

/* What can go first: the lowest of what has failed, then of what has not begun. */
static struct ice_pair *least_useful(const struct ice_agent *a)
{
	struct ice_pair *failed = NULL, *idle = NULL;

	for (struct ice_pair *p = a->pairs; p; p = p->next) {
		if (p->open || p == a->selected)
			continue;
		if (p->state == ICE_PAIR_FAILED)
			failed = p;
		else
			idle = p;
	}
	return failed ? failed : idle;
}

/* All are open: the one that has been silent for longest. */
static struct ice_pair *most_silent(const struct ice_agent *a)
{
	struct ice_pair *worst = NULL;

	for (struct ice_pair *p = a->pairs; p; p = p->next)
		if (p != a->selected && (!worst || p->heard_ms < worst->heard_ms))
			worst = p;
	return worst;
}

static void make_room(struct ice_agent *a)
{
	struct ice_pair *p;

	if (a->n_pairs < ICE_MAX_PAIRS)
		return;
	p = least_useful(a);
	if (!p)
		p = most_silent(a);
	ice_pair_remove(a, p); /* of a hundred, one is not selected */
	a->count->crowded++;
}

struct ice_pair *ice_pair_add(struct ice_agent *a, const struct ice_path *path,
			      uint32_t local_priority, uint32_t remote_priority)
{
	struct ice_pair *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	make_room(a);
	p->path = *path;
	p->local_priority = local_priority;
	p->remote_priority = remote_priority;
	list_insert(a, p);
	a->n_pairs++;
	return p;
}

void ice_pair_remove(struct ice_agent *a, struct ice_pair *p)
{
	if (a->selected == p)
		a->selected = NULL;
	list_remove(a, p);
	ice_pair_close(a, p);
	a->n_pairs--;
	free(p);
}

static bool other_has_open(const struct ice_agent *a, const struct ice_pair *p)
{
	const struct ice_pair *twin = ice_pair_find(a, &p->path, !p->old);

	return twin && twin->open;
}

void ice_pair_open(struct ice_agent *a, struct ice_pair *p)
{
	if (p->open)
		return;
	p->open = true;
	a->count->paths++;
	if (!other_has_open(a, p))
		a->io->path_open(a->ctx, &p->path);
}

void ice_pair_close(struct ice_agent *a, struct ice_pair *p)
{
	if (!p->open)
		return;
	p->open = false;
	if (!other_has_open(a, p))
		a->io->path_close(a->ctx, &p->path);
}

/* ---- pairing of candidates: UDP only, since connections come to us */

static bool is_link_local(const struct sl_addr *a)
{
	return a->family == 6 && sl_addr_classify(a) == SL_ADDR_LINK_LOCAL;
}

static void pair_up(struct ice_agent *a, const struct ice_local *l, const struct ice_remote *r)
{
	const struct ice_path path = {.local = l->addr, .remote = r->addr, .via = l->via};
	struct ice_pair *known;

	if (l->transport != ICE_UDP || l->addr.family != r->addr.family ||
	    is_link_local(&l->addr) != is_link_local(&r->addr))
		return;
	known = ice_pair_find(a, &path, false);
	if (known) /* peer-reflexive until now, or one base told under two addresses */
		ice_pair_reprioritize(a, known, r->priority);
	else if (a->n_pairs < ICE_MAX_PAIRS)
		(void)ice_pair_add(a, &path, l->priority, r->priority); /* no memory: no pair */
	else
		a->count->crowded++;
}

void ice_pairs_with_local(struct ice_agent *a, const struct ice_local *l)
{
	for (unsigned i = 0; i < a->n_remotes; i++)
		pair_up(a, l, &a->remotes[i]);
}

void ice_pairs_with_remote(struct ice_agent *a, const struct ice_remote *r)
{
	for (unsigned i = 0; i < a->n_locals; i++)
		pair_up(a, &a->locals[i], r);
}
