/*
 * sip-gateway/edge.c: the workers' half: its life, and the way of a message to the process it
 * belongs to.
 *
 * Names that our stack makes begin with its owner word, so that a dialog's messages find their
 * process over reloads without a table: the To tag of a request, the branch of a response. What
 * comes before there is a name (a repeated INVITE, its CANCEL) goes where its Call-ID went last. A
 * process that is gone is replaced by the current one, which answers 481 to what it does not know.
 */
#include "edge.h"

#include <stdlib.h>

/* ---- connections */

static bool conn_has_id(const struct sl_hnode *node, const void *key)
{
	return SL_CONTAINER(node, struct edge_conn, by_id)->id == *(const uint32_t *)key;
}

static uint64_t id_hash(uint32_t id)
{
	return (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
}

struct edge_conn *edge_conn_find(struct edge *e, uint32_t id)
{
	struct sl_hnode *n = sl_htab_find(&e->conns, id_hash(id), conn_has_id, &id);

	return n ? SL_CONTAINER(n, struct edge_conn, by_id) : NULL;
}

struct edge_conn *edge_conn_new(struct edge *e, unsigned transport)
{
	struct edge_conn *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	do
		c->id = ++e->last_id;
	while (c->id == 0 || edge_conn_find(e, c->id));
	c->edge = e;
	c->transport = (uint8_t)transport;
	sl_buf_init(&c->waiting, 2 * SIP_MAX_MESSAGE);
	if (sl_htab_insert(&e->conns, &c->by_id, id_hash(c->id)) < 0) {
		free(c);
		return NULL;
	}
	sl_gauge_add(&e->m[M_CONNECTIONS], 1);
	return c;
}

void edge_conn_forget(struct edge_conn *c)
{
	sl_htab_remove(&c->edge->conns, &c->by_id);
	if (c->outgoing)
		sl_htab_remove(&c->edge->outgoing, &c->by_remote);
}

void edge_conn_free(struct edge_conn *c)
{
	if (!c)
		return;
	edge_conn_forget(c);
	sl_event_del(c->edge->w->loop, &c->connecting);
	sl_timer_cancel(c->edge->w->loop, &c->patience);
	sl_buf_free(&c->waiting);
	sl_gauge_add(&c->edge->m[M_CONNECTIONS], -1);
	free(c);
}

struct sip_flow edge_conn_flow(const struct edge_conn *c)
{
	return (struct sip_flow){
		.worker = sl_worker_owner(c->edge->w),
		.conn = c->id,
		.listener = c->listener,
		.transport = c->transport,
		.remote = c->remote,
		.local = c->local,
	};
}

int edge_conn_send(struct edge_conn *c, struct sl_str bytes)
{
	int rc;

	if (c->ws)
		return c->edge->http->ws_send(c->ws, bytes);
	if (!c->conn) {
		sl_buf_str(&c->waiting, bytes);
		return sl_buf_ok(&c->waiting);
	}
	rc = sl_conn_write(c->conn, bytes.p, bytes.len);
	return rc < 0 ? rc : 0;
}

/* ---- to the stack */

bool edge_tell(struct edge *e, uint32_t owner, enum wire_type type, const struct sl_buf *msg)
{
	const struct iovec iov = {msg->p, msg->len};
	uint32_t current = sl_aux_owner(e->w, "sip-gateway");

	if (current)
		e->last_stack = current;
	if (sl_buf_ok(msg) < 0)
		return false;
	if (owner && sl_channel_send(e->channel, owner, (uint16_t)type, &iov, 1) == 0)
		return true;
	if (!current) /* all of this node drains: it is there to say so */
		current = e->last_stack;
	if (!current || current == owner)
		return false;
	return sl_channel_send(e->channel, current, (uint16_t)type, &iov, 1) == 0;
}

static struct edge_sticky *sticky_of(struct edge *e, const struct sip_peek *m, uint64_t *ret_hash)
{
	*ret_hash = sl_hash(m->call_id.p, m->call_id.len);
	return &e->sticky[*ret_hash % EDGE_STICKY];
}

/* What is handed on at once when a process is followed by another */
static bool is_for_the_newest(const struct sip_peek *m)
{
	return sl_str_eq(m->method, SL_STR("REGISTER")) ||
	       sl_str_eq(m->method, SL_STR("PUBLISH")) || sl_str_eq(m->method, SL_STR("SUBSCRIBE"));
}

static bool begins_dialog(const struct sip_peek *m)
{
	return m->status == 0 && m->to_tag.len == 0;
}

/* Which process is to have it; 0: the current one. */
static uint32_t owner_of(struct edge *e, const struct sip_peek *m)
{
	struct edge_sticky *s;
	uint64_t hash;
	uint32_t owner;

	owner = sip_name_owner(m->status ? sip_branch_name(m->branch) : m->to_tag);
	if (owner || m->status || is_for_the_newest(m))
		return owner;
	s = sticky_of(e, m, &hash);
	if (s->hash == hash && s->owner)
		return s->owner;
	owner = sl_aux_owner(e->w, "sip-gateway");
	if (begins_dialog(m))
		*s = (struct edge_sticky){hash, owner};
	return owner;
}

bool edge_receive(struct edge *e, const struct sip_flow *flow, struct sl_str message)
{
	struct sip_peek m;
	int err = sip_peek(&m, message);

	if (err < 0) {
		sl_count(&e->m[M_MALFORMED]);
		return false;
	}
	sl_count(&e->m[M_MESSAGES_IN]);
	if (!guard_allows(e, flow, &m))
		return true; /* silence is the answer */
	mirror_in(e, flow, (struct sl_str){message.p, m.head_len + m.body_len});
	sl_buf_reset(&e->out);
	sl_buf_u64(&e->out, sl_loop_ms(e->w->loop));
	wire_put_flow(&e->out, flow);
	sl_buf_str(&e->out, (struct sl_str){message.p, m.head_len + m.body_len});
	if (!edge_tell(e, owner_of(e, &m), WIRE_RECEIVED, &e->out))
		sl_count(&e->m[M_UNDELIVERED]); /* over UDP it is sent again */
	return true;
}

void edge_flow_gone(struct edge *e, const struct sip_flow *flow)
{
	sl_buf_reset(&e->out);
	wire_put_flow(&e->out, flow);
	(void)edge_tell(e, 0, WIRE_FLOW_GONE, &e->out); /* none: nobody has bindings there */
}

/* ---- from the stack */

static int send_on(struct edge *e, const struct sip_flow *flow, struct sl_str message)
{
	struct edge_conn *c;

	if (flow->peer)
		guard_know(e, &flow->remote);
	if (flow->transport == SIP_UDP)
		return datagram_send(e, flow, message);
	if (flow->conn == 0)
		return stream_send(e, flow, message);
	c = edge_conn_find(e, flow->conn);
	return c ? edge_conn_send(c, message) : -SL_ENOENT;
}

static void on_send(struct edge *e, uint32_t owner, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct sip_flow flow;
	struct sl_str message;
	int rc;

	wire_get_flow(&r, &flow);
	if (r.failed)
		return;
	message = (struct sl_str){(const char *)r.p, (size_t)(r.end - r.p)};
	rc = send_on(e, &flow, message);
	sl_count(&e->m[rc < 0 ? M_UNSENT : M_MESSAGES_OUT]);
	if (rc == 0)
		mirror_out(e, &flow, message);
	if (rc == 0 || flow.transport == SIP_UDP)
		return;
	sl_buf_reset(&e->out);
	wire_put_flow(&e->out, &flow);
	(void)edge_tell(e, owner, WIRE_FLOW_GONE, &e->out);
}

static void on_close(struct edge *e, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct sip_flow flow;
	struct edge_conn *c;

	wire_get_flow(&r, &flow);
	c = flow.conn ? edge_conn_find(e, flow.conn) : NULL;
	if (!c)
		return;
	if (c->ws)
		e->http->ws_close(c->ws, 1008, SL_STR("not permitted"));
	else if (c->conn)
		sl_conn_close(c->conn, SL_CLOSE_OURS);
}

static void on_suspect(struct edge *e, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct sip_flow flow;

	wire_get_flow(&r, &flow);
	if (!r.failed)
		guard_suspect(e, &flow.remote);
}

/* Where we can be reached: the stack writes it into Via and Contact of what answers nothing. */
static void tell_listeners(struct edge *e, uint32_t owner)
{
	const struct sl_listener *const *all;
	unsigned n = sl_listeners(e->w, &all);

	for (unsigned i = 0; i < n; i++) {
		unsigned transport = all[i]->udp ? SIP_UDP : all[i]->tls ? SIP_TLS : SIP_TCP;

		if (!sl_listener_conf(e->w, all[i], "sip-gateway"))
			continue;
		sl_buf_reset(&e->out);
		sl_buf_u8(&e->out, (uint8_t)transport);
		wire_put_addr(&e->out, &all[i]->local);
		(void)edge_tell(e, owner, WIRE_LISTENER, &e->out); /* it asks when it starts */
	}
}

static void on_message(void *arg, const struct sl_channel_msg *m)
{
	struct edge *e = arg;

	switch (m->type) {
	case WIRE_SEND:
		on_send(e, m->from, m->data);
		break;
	case WIRE_CLOSE:
		on_close(e, m->data);
		break;
	case WIRE_SUSPECT:
		on_suspect(e, m->data);
		break;
	case WIRE_LEG:
		media_command(e, m->from, m->data);
		break;
	case WIRE_SIGNAL_SEND:
		browser_send(e, m->from, m->data);
		break;
	case WIRE_RECORD:
		mirror_record(e, m->data);
		sl_bus_publish(e->w, &(struct sl_bus_event){.kind = SL_EV_USER,
							    .name = "sip.call",
							    .text = m->data});
		break;
	case WIRE_KEEP:
		kept_put(e, m->from, m->data);
		break;
	case WIRE_KEEP_SPARE:
		kept_put_spare(e, m->from, m->data);
		break;
	case WIRE_FORGET:
		kept_forget(e, m->from, m->data);
		break;
	case WIRE_ASK_LISTENER:
		e->last_stack = m->from;
		tell_listeners(e, m->from);
		kept_offer(e, m->from);
		break;
	default:
		break; /* a later version's: not for us */
	}
}

/* ---- life */

/* Other workers tell, too. Calls from before a reload are their own process'. */
static void tell_worker_gone(struct edge *e, uint32_t owner)
{
	sl_buf_reset(&e->out);
	sl_buf_u32(&e->out, owner);
	(void)edge_tell(e, 0, WIRE_WORKER_GONE, &e->out);
	media_tell_owners(e, WIRE_WORKER_GONE, &e->out);
}

static void tell_worker_up(struct edge *e)
{
	sl_buf_reset(&e->out);
	sl_buf_u32(&e->out, sl_worker_owner(e->w));
	(void)edge_tell(e, 0, WIRE_WORKER_UP, &e->out);
}

int edge_on_event(void *ctx, const struct sl_bus_event *ev)
{
	struct edge *e = ctx;

	if (ev->kind == SL_EV_WORKER_GONE) {
		media_orphan(e, ev->owner);
		kept_orphan(e, ev->owner);
		if (sl_aux_owner(e->w, "sip-gateway") != ev->owner)
			kept_offer(e, sl_aux_owner(e->w, "sip-gateway"));
		browser_stack_gone(e, ev->owner);
		tell_worker_gone(e, ev->owner);
	}
	if (ev->kind == SL_EV_WORKER_UP && ev->owner == sl_aux_owner(e->w, "sip-gateway")) {
		tell_listeners(e, ev->owner);
		kept_offer(e, ev->owner);
		browser_stack_up(e, ev->owner);
	}
	return SL_OK;
}

void edge_stop(void *ctx)
{
	struct edge *e = ctx;

	media_close(e);
	people_close(e);
	mirror_close(e);
	kept_close(e);
	browser_close(e);
	stream_stop(e);
	guard_close(e);
	if (e->channel)
		sl_channel_close(e->channel);
	sl_htab_free(&e->conns);
	sl_htab_free(&e->outgoing);
	sl_buf_free(&e->out);
	free(e);
}

static int open_parts(struct edge *e)
{
	int rc = guard_open(e);

	kept_open(e);
	if (rc == 0)
		rc = sl_channel_open(e->w, "sip", on_message, e, &e->channel);
	if (rc == 0)
		rc = datagram_open(e);
	if (rc == 0)
		rc = stream_init(e);
	if (rc == 0)
		rc = socket_open(e);
	if (rc == 0)
		rc = mirror_open(e);
	if (rc == 0)
		rc = media_open(e);
	return rc == 0 ? browser_open(e) : rc;
}

int edge_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct edge *e = calloc(1, sizeof *e);
	int rc;

	if (!e)
		return -SL_ENOMEM;
	e->w = w;
	e->conf = conf;
	e->m = sl_worker_meters(w, "sip-gateway");
	sl_buf_init(&e->out, 64 * 1024);
	rc = open_parts(e);
	if (rc < 0) {
		sl_log(SL_LOG_ERROR, "sip-gateway", "cannot start: %s", sl_strerror(rc));
		edge_stop(e);
		return rc;
	}
	tell_listeners(e, 0);
	tell_worker_up(e);
	*ret_ctx = e;
	return 0;
}

void edge_drain(void *ctx)
{
	struct edge *e = ctx;

	e->draining = true;
}
