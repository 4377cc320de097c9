/*
 * sip-gateway/browser.c: clients of signaling-ws that call without SIP: their messages go to the
 * stack as they are, and the stack's come back to them.
 *
 * Kept here is only who has registered by this worker, and with which process: when that one dies,
 * its registrations are gone with it, and the clients are told as soon as there is another.
 */
#include "edge.h"

#include <stdlib.h>

struct client {
	struct sl_hnode node;
	uint64_t peer;
	uint32_t owner; /* of the stack that it registered with */
	bool lost;
};

static const char *const types[] = {"register", "call",	  "accept",   "hangup",
				    "dtmf",	"hold_call", "renew",	 "renewed",
				    "transfer", "text",	     "watch",	 "presence",
				    NULL};

#define RESTARTED                                                                                  \
	"{\"type\":\"registered\",\"ok\":false,\"lost\":true,"                                     \
	"\"reason\":\"The telephone service has restarted.\"}"

/* ---- who has registered */

static bool has_peer(const struct sl_hnode *n, const void *key)
{
	return SL_CONTAINER(n, struct client, node)->peer == *(const uint64_t *)key;
}

static uint64_t peer_hash(uint64_t peer)
{
	return peer * UINT64_C(0x9e3779b97f4a7c15);
}

static struct client *find(const struct edge *e, uint64_t peer)
{
	struct sl_hnode *n = sl_htab_find(&e->clients, peer_hash(peer), has_peer, &peer);

	return n ? SL_CONTAINER(n, struct client, node) : NULL;
}

static void remember(struct edge *e, uint64_t peer)
{
	struct client *c = find(e, peer);

	if (!c) {
		c = calloc(1, sizeof *c);
		if (!c)
			return; /* it registers by itself when it is called no more */
		c->peer = peer;
		if (sl_htab_insert(&e->clients, &c->node, peer_hash(peer)) < 0) {
			free(c);
			return;
		}
	}
	c->owner = sl_aux_owner(e->w, "sip-gateway");
	c->lost = false;
}

static void forget(struct edge *e, struct client *c)
{
	if (!c)
		return;
	sl_htab_remove(&e->clients, &c->node);
	free(c);
}

void browser_stack_gone(struct edge *e, uint32_t owner)
{
	for (struct sl_hnode *n = sl_htab_first(&e->clients); n; n = sl_htab_next(&e->clients, n)) {
		struct client *c = SL_CONTAINER(n, struct client, node);

		c->lost |= c->owner == owner;
	}
}

/* One that left in order has handed over what it knew, and is followed before it has gone. */
void browser_stack_up(struct edge *e, uint32_t owner)
{
	for (struct sl_hnode *n = sl_htab_first(&e->clients); n; n = sl_htab_next(&e->clients, n)) {
		struct client *c = SL_CONTAINER(n, struct client, node);

		c->owner = owner;
		if (c->lost)
			(void)e->signal->send(e->signal_self, c->peer,
					      SL_STR(RESTARTED)); /* it has left, too */
		c->lost = false;
	}
}

/* ---- to the stack */

static bool tell_stack(struct edge *e, uint32_t owner, enum wire_type type, struct wire_signal m)
{
	m.worker = sl_worker_owner(e->w);
	sl_buf_reset(&e->out);
	wire_put_signal(&e->out, &m);
	if (sl_buf_ok(&e->out) == 0 && edge_tell(e, owner, type, &e->out))
		return true;
	sl_count(&e->m[M_UNDELIVERED]);
	return false;
}

static bool pass_on(struct edge *e, const struct sl_signal_peer *p, struct sl_str json)
{
	struct wire_signal m = {
		.peer = p->id, .room = p->room, .name = p->name, .claims = p->phone, .json = json};

	if (p->remote)
		m.remote = *p->remote;
	return tell_stack(e, 0, WIRE_SIGNAL, m);
}

static int on_message(void *arg, const struct sl_signal_peer *p, struct sl_str type,
		      const json_t *msg, const char **ret_sentence)
{
	bool registers = sl_str_eq(type, SL_STR("register"));
	struct edge *e = arg;
	struct sl_buf text;
	int rc;

	if (registers && p->remote && guard_is_blocked(e, p->remote)) {
		*ret_sentence = "too many wrong passwords came from this address; wait a while";
		return -SL_EDENIED;
	}
	sl_buf_init(&text, SIP_MAX_MESSAGE);
	sl_json_dump(msg, &text);
	rc = sl_buf_ok(&text);
	if (rc < 0) {
		*ret_sentence = "the message is too long";
	} else if (!pass_on(e, p, sl_buf_view(&text))) {
		*ret_sentence = "the telephone service is starting; try again";
		rc = -SL_EAGAIN;
	} else if (registers) {
		remember(e, p->id);
	}
	sl_buf_free(&text);
	return rc;
}

/* Told on every worker; one has to pass it on. When that one has died, all of them do. */
static void on_left(void *arg, const struct sl_signal_peer *p, const char *reason)
{
	struct edge *e = arg;
	struct sl_str why = sl_str_c(reason ? reason : "");

	forget(e, find(e, p->id));
	if (p->here || sl_str_eq(why, SL_STR("lost")))
		(void)tell_stack(e, 0, WIRE_PEER_LEFT,
				 (struct wire_signal){.peer = p->id, .json = why});
}

static const struct sl_signal_handler handler = {.left = on_left, .message = on_message};

int browser_open(struct edge *e)
{
	if (!e->conf->browsers)
		return 0;
	e->signal = sl_iface_get(e->w, SL_SIGNAL_IFACE, 1, &e->signal_self);
	if (!e->signal)
		return 0;
	return e->signal->listen(e->signal_self, types, SL_STR("{\"phone\":{\"version\":1}}"),
				 &handler, e);
}

void browser_close(struct edge *e)
{
	struct sl_hnode *n;

	while ((n = sl_htab_first(&e->clients)))
		forget(e, SL_CONTAINER(n, struct client, node));
	sl_htab_free(&e->clients);
	if (e->signal)
		e->signal->unlisten(e->signal_self, e);
}

void browser_send(struct edge *e, uint32_t from, struct sl_str data)
{
	struct wire_signal m;

	if (!e->signal || wire_get_signal(data, &m) < 0)
		return;
	if (e->signal->send(e->signal_self, m.peer, m.json) == -SL_ENOENT)
		(void)tell_stack(e, from, WIRE_PEER_LEFT, (struct wire_signal){.peer = m.peer});
}
