/*
 * sip-gateway/tie.c: a table of lists: for each connection or client that something hangs on, what
 * does. An entry is there while its list is not empty.
 */
#include "tie.h"

#include <stdlib.h>

struct tied {
	struct sl_hnode node;
	struct tie_to to;
	struct tie *first;
	bool ending; /* it is not in the table any more, and who ends it frees it */
	struct tied *next_gone;
};

struct tie_to tie_to_conn(const struct sip_flow *f)
{
	if (f->conn == 0)
		return (struct tie_to){TIE_NOTHING, 0};
	return (struct tie_to){TIE_CONN, (uint64_t)f->worker << 32 | f->conn};
}

/* By hash: two addresses that collide would fail a request that can be sent again. */
struct tie_to tie_to_remote(const struct sip_flow *f)
{
	struct {
		uint8_t transport, family, ip[16];
		uint16_t port;
	} about;

	if (f->transport == SIP_UDP || f->remote.family == 0)
		return (struct tie_to){TIE_NOTHING, 0};
	memset(&about, 0, sizeof about);
	about.transport = f->transport;
	about.family = f->remote.family;
	memcpy(about.ip, f->remote.ip, f->remote.family == 6 ? 16 : 4);
	about.port = f->remote.port;
	return (struct tie_to){TIE_REMOTE, sl_hash(&about, sizeof about)};
}

struct tie_to tie_to_peer(uint64_t peer)
{
	return (struct tie_to){peer ? TIE_PEER : TIE_NOTHING, peer};
}

static uint64_t hash_of(struct tie_to to)
{
	uint64_t h = (to.id ^ (uint64_t)to.kind << 60) * UINT64_C(0x9e3779b97f4a7c15);

	return h ^ h >> 32; /* the table looks at the lower bits, where workers are all alike */
}

static bool is_to(const struct sl_hnode *n, const void *key)
{
	const struct tie_to *have = &SL_CONTAINER(n, struct tied, node)->to, *wanted = key;

	return have->id == wanted->id && have->kind == wanted->kind;
}

static struct tied *find(const struct sl_htab *all, struct tie_to to)
{
	struct sl_hnode *n = sl_htab_find(all, hash_of(to), is_to, &to);

	return n ? SL_CONTAINER(n, struct tied, node) : NULL;
}

static struct tied *find_or_add(struct sl_htab *all, struct tie_to to)
{
	struct tied *x = find(all, to);

	if (x)
		return x;
	x = calloc(1, sizeof *x);
	if (!x)
		return NULL;
	x->to = to;
	if (sl_htab_insert(all, &x->node, hash_of(to)) == 0)
		return x;
	free(x);
	return NULL;
}

void tie_set(struct sl_htab *all, struct tie *t, struct tie_to to)
{
	struct tied *x;

	if (t->to && t->to->to.kind == to.kind && t->to->to.id == to.id && !t->to->ending)
		return;
	tie_cut(all, t);
	x = to.kind == TIE_NOTHING ? NULL : find_or_add(all, to);
	if (!x)
		return;
	t->to = x;
	t->next = x->first;
	t->at = &x->first;
	if (t->next)
		t->next->at = &t->next;
	x->first = t;
}

void tie_cut(struct sl_htab *all, struct tie *t)
{
	struct tied *x = t->to;

	if (!x)
		return;
	*t->at = t->next;
	if (t->next)
		t->next->at = t->at;
	t->next = NULL;
	t->at = NULL;
	t->to = NULL;
	if (x->first || x->ending)
		return;
	sl_htab_remove(all, &x->node);
	free(x);
}

/* Takes it out of the table: what is tied there from now on is tied to a new one. */
static void take_out(struct sl_htab *all, struct tied *x)
{
	sl_htab_remove(all, &x->node);
	x->ending = true;
}

/* What one fn does may cut others of the list, and tie them or itself elsewhere. */
static void end(struct sl_htab *all, struct tied *x)
{
	struct tie *t;

	while ((t = x->first) != NULL) {
		tie_cut(all, t);
		t->fn(t);
	}
	free(x);
}

void tie_ended(struct sl_htab *all, struct tie_to to)
{
	struct tied *x = to.kind == TIE_NOTHING ? NULL : find(all, to);

	if (!x)
		return;
	take_out(all, x);
	end(all, x);
}

/* All are taken out before the first ends: what an end does to the table is not to be foreseen. */
void tie_worker_ended(struct sl_htab *all, uint32_t worker)
{
	struct tied *gone = NULL, *x;
	struct sl_hnode *next;

	for (struct sl_hnode *n = sl_htab_first(all); n; n = next) {
		x = SL_CONTAINER(n, struct tied, node);
		next = sl_htab_next(all, n);
		if (x->to.kind != TIE_CONN || x->to.id >> 32 != worker)
			continue;
		take_out(all, x);
		x->next_gone = gone;
		gone = x;
	}
	while ((x = gone) != NULL) {
		gone = x->next_gone;
		end(all, x);
	}
}

unsigned tie_count(const struct sl_htab *all, struct tie_to to, void (*fn)(struct tie *t))
{
	const struct tied *x = to.kind == TIE_NOTHING ? NULL : find(all, to);
	unsigned n = 0;

	for (const struct tie *t = x ? x->first : NULL; t; t = t->next)
		n += t->fn == fn;
	return n;
}
