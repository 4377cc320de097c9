/*
 * sip-gateway/kept.c: what a process of the stack wants to be remembered if it dies: bytes under a
 * number, which this worker does not read. The process that comes after a dead one gets them, once.
 */
#include "edge.h"

#include <stdlib.h>

struct kept {
	struct sl_hnode node;
	uint32_t owner;
	uint64_t key;
	bool orphan; /* its owner has died */
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

void kept_put(struct edge *e, uint32_t owner, struct sl_str data)
{
	struct kept_key key = {.owner = owner};
	struct kept *k;

	kept_forget(e, owner, data);
	if (data.len < 8)
		return;
	key.key = sl_get64(data.p);
	k = calloc(1, sizeof *k + data.len - 8);
	if (!k)
		return; /* it will not be remembered */
	k->owner = owner;
	k->key = key.key;
	k->len = data.len - 8;
	memcpy(k->bytes, data.p + 8, k->len);
	if (sl_htab_insert(&e->kept, &k->node, key_hash(&key)) < 0)
		free(k);
}

void kept_orphan(struct edge *e, uint32_t owner)
{
	for (struct sl_hnode *n = sl_htab_first(&e->kept); n; n = sl_htab_next(&e->kept, n)) {
		struct kept *k = SL_CONTAINER(n, struct kept, node);

		if (k->owner == owner)
			k->orphan = true;
	}
}

static int send_one(struct edge *e, uint32_t to, const struct kept *k)
{
	struct iovec iov;

	sl_buf_reset(&e->out);
	sl_buf_u32(&e->out, k->owner);
	sl_buf_add(&e->out, k->bytes, k->len);
	if (sl_buf_ok(&e->out) < 0)
		return 0;
	iov = (struct iovec){e->out.p, e->out.len};
	return sl_channel_send(e->channel, to, WIRE_KEPT, &iov, 1);
}

/* What cannot be sent now is offered to whoever asks next. */
void kept_offer(struct edge *e, uint32_t to)
{
	struct sl_hnode *next;

	for (struct sl_hnode *n = sl_htab_first(&e->kept); n && to; n = next) {
		struct kept *k = SL_CONTAINER(n, struct kept, node);

		next = sl_htab_next(&e->kept, n);
		if (k->orphan && k->owner != to && send_one(e, to, k) == 0)
			drop(e, k);
	}
}

void kept_close(struct edge *e)
{
	struct sl_hnode *n;

	while ((n = sl_htab_first(&e->kept)))
		drop(e, SL_CONTAINER(n, struct kept, node));
	sl_htab_free(&e->kept);
}
