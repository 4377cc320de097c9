/*
 * sip-gateway/browser.c: clients of signaling-ws that call without SIP: their messages go to the
 * stack as they are, and the stack's come back to them. Nothing is kept here.
 */
#include "edge.h"

static const char *const types[] = {"register", "call",	     "accept",	 "hangup",
				    "dtmf",	"hold_call", "transfer", NULL};

static void tell_stack(struct edge *e, enum wire_type type, const struct wire_signal *m)
{
	sl_buf_reset(&e->out);
	wire_put_signal(&e->out, m);
	if (sl_buf_ok(&e->out) < 0 || !edge_tell(e, 0, type, &e->out))
		sl_count(&e->m[M_UNDELIVERED]);
}

static int on_message(void *arg, const struct sl_signal_peer *p, struct sl_str type,
		      const json_t *msg, const char **ret_sentence)
{
	struct edge *e = arg;
	struct sl_buf text;
	int rc;

	(void)type;
	sl_buf_init(&text, SIP_MAX_MESSAGE);
	sl_json_dump(msg, &text);
	rc = sl_buf_ok(&text);
	if (rc == 0)
		tell_stack(e, WIRE_SIGNAL,
			   &(struct wire_signal){.peer = p->id,
						 .room = p->room,
						 .name = p->name,
						 .json = sl_buf_view(&text)});
	else
		*ret_sentence = "the message is too long";
	sl_buf_free(&text);
	return rc;
}

/* Told on every worker; one has to pass it on. */
static void on_left(void *arg, const struct sl_signal_peer *p, const char *reason)
{
	struct edge *e = arg;

	(void)reason;
	if (p->here)
		tell_stack(e, WIRE_PEER_LEFT,
			   &(struct wire_signal){.peer = p->id, .room = p->room, .name = p->name});
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

void browser_send(struct edge *e, struct sl_str data)
{
	struct wire_signal m;

	if (!e->signal || wire_get_signal(data, &m) < 0)
		return;
	if (e->signal->send(e->signal_self, m.peer, m.json) < 0)
		tell_stack(e, WIRE_PEER_LEFT, &m);
}
