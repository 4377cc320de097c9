/*
 * sip-gateway/early.c: what came before the stack has begun.
 */
#include "early.h"

#include <stdlib.h>
#include <string.h>

#include "wire.h"

struct early_msg {
	struct early_msg *next;
	uint32_t from;
	uint16_t type;
	size_t len;
	char data[];
};

/* People, and the ends of their connections; what a worker says of legs is of calls that are up. */
static bool waits(uint16_t type)
{
	return type == WIRE_RECEIVED || type == WIRE_FLOW_GONE || type == WIRE_SIGNAL ||
	       type == WIRE_PEER_LEFT;
}

bool early_keep(struct early *e, const struct sl_channel_msg *m)
{
	size_t bytes = sizeof(struct early_msg) + m->data.len;
	struct early_msg *k;

	if (!waits(m->type) || e->bytes + bytes > EARLY_MAX_BYTES || !(k = malloc(bytes)))
		return false;
	*k = (struct early_msg){.from = m->from, .type = m->type, .len = m->data.len};
	if (m->data.len > 0)
		memcpy(k->data, m->data.p, m->data.len);
	if (!e->last)
		e->last = &e->first;
	*e->last = k;
	e->last = &k->next;
	e->bytes += bytes;
	return true;
}

void early_give(struct early *e, sl_channel_fn *fn, void *arg)
{
	struct early_msg *k, *next = e->first;

	*e = (struct early){0};
	while ((k = next)) {
		const struct sl_channel_msg m = {k->from, k->type, {k->data, k->len}};

		next = k->next;
		if (fn)
			fn(arg, &m);
		free(k);
	}
}
