/*
 * sip-gateway/kept.c: what a process of the stack wants to be remembered if it dies: bytes under a
 * number, which this worker does not read. The process that comes after a dead one gets them, once.
 *
 * A worker may die in the same moment and take what it kept along, and nobody would hear of the
 * calls whose media it had. So another one has a spare of each call, which it gives away only when
 * both are dead. Who has taken a call over has made a spare of its own; the older one goes.
 */
#include "edge.h"

#include <stdlib.h>

enum { SPARE_MS = 2000 }; /* after its process: as long as the worker may die "with" it */

struct kept {
	struct sl_hnode node;
	uint32_t owner;
	uint64_t key;
	uint32_t spare_of; /* the worker that has it, too; 0: none */
	bool orphan;	   /* its owner has died */
	bool alone;	   /* so has the other worker */
	size_t len;
	char bytes[];
};

struct kept_key {
	uint32_t owner;
	uint64_t key;
};

static bool has_key(const struct sl_hnode *n, const void *key)
{
	const struct kept *k = SL_CONTAINER(n, struct kept, node);
	const struct kept_key *wanted = key;

	return k->owner == wanted->owner && k->key == wanted->key;
}

static uint64_t key_hash(const struct kept_key *k)
{
	return (k->key ^ (uint64_t)k->owner << 20) * UINT64_C(0x9e3779b97f4a7c15);
}

static void drop(struct edge *e, struct kept *k)
{
	sl_htab_remove(&e->kept, &k->node);
	free(k);
}

void kept_forget(struct edge *e, uint32_t owner, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	const struct kept_key key = {owner, sl_read_u64(&r)};
	struct sl_hnode *n;

	if (r.failed)
		return;
	n = sl_htab_find(&e->kept, key_hash(&key), has_key, &key);
	if (n)
		drop(e, SL_CONTAINER(n, struct kept, node));
}

/* Without memory it will not be remembered. */
static void put(struct edge *e, const struct kept_key *key, uint32_t spare_of, struct sl_reader *r)
{
	size_t len = (size_t)(r->end - r->p);
	struct kept *k = r->failed ? NULL : calloc(1, sizeof *k + len);

	if (!k)
		return;
	k->owner = key->owner;
	k->key = key->key;
	k->spare_of = spare_of;
	k->len = len;
	memcpy(k->bytes, r->p, len);
	if (sl_htab_insert(&e->kept, &k->node, key_hash(key)) < 0)
		free(k);
}

void kept_put(struct edge *e, uint32_t owner, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	const struct kept_key key = {owner, sl_read_u64(&r)};

	kept_forget(e, owner, data);
	put(e, &key, 0, &r);
}

void kept_put_spare(struct edge *e, uint32_t owner, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	const struct kept_key key = {owner, sl_read_u64(&r)};
	uint32_t spare_of = sl_read_u32(&r);

	kept_forget(e, owner, data);
	put(e, &key, spare_of, &r);
}

static void on_spares(struct sl_timer *t)
{
	struct edge *e = t->arg;
	struct sl_hnode *next;

	for (struct sl_hnode *n = sl_htab_first(&e->kept); n; n = next) {
		struct kept *k = SL_CONTAINER(n, struct kept, node);

		next = sl_htab_next(&e->kept, n);
		if (k->orphan && k->spare_of && !k->alone)
			drop(e, k);
	}
}

void kept_open(struct edge *e)
{
	e->spares = (struct sl_timer){.fn = on_spares, .arg = e};
}

void kept_orphan(struct edge *e, uint32_t owner)
{
	for (struct sl_hnode *n = sl_htab_first(&e->kept); n; n = sl_htab_next(&e->kept, n)) {
		struct kept *k = SL_CONTAINER(n, struct kept, node);

		if (k->owner == owner)
			k->orphan = true;
		if (k->spare_of == owner)
			k->alone = true;
		if (k->orphan && k->spare_of && !sl_timer_pending(&e->spares))
			sl_timer_set(e->w->loop, &e->spares, SPARE_MS);
	}
}

static int send_one(struct edge *e, uint32_t to, const struct kept *k)
{
	struct iovec iov;

	sl_buf_reset(&e->out);
	sl_buf_u32(&e->out, k->owner);
	if (k->spare_of)
		sl_buf_u32(&e->out, k->spare_of);
	sl_buf_add(&e->out, k->bytes, k->len);
	if (sl_buf_ok(&e->out) < 0)
		return 0;
	iov = (struct iovec){e->out.p, e->out.len};
	return sl_channel_send(e->channel, to, k->spare_of ? WIRE_KEPT_SPARE : WIRE_KEPT, &iov, 1);
}

/* What cannot be sent now is offered to whoever asks next. */
void kept_offer(struct edge *e, uint32_t to)
{
	struct sl_hnode *next;

	for (struct sl_hnode *n = sl_htab_first(&e->kept); n && to; n = next) {
		struct kept *k = SL_CONTAINER(n, struct kept, node);

		next = sl_htab_next(&e->kept, n);
		if (k->spare_of && !k->alone)
			continue;
		if (k->orphan && k->owner != to && send_one(e, to, k) == 0)
			drop(e, k);
	}
}

void kept_close(struct edge *e)
{
	struct sl_hnode *n;

	sl_timer_cancel(e->w->loop, &e->spares);
	while ((n = sl_htab_first(&e->kept)))
		drop(e, SL_CONTAINER(n, struct kept, node));
	sl_htab_free(&e->kept);
}
