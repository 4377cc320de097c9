/*
 * turn-relay/relay.c: one allocation in the world: its sockets, its session, and its client; and
 * packets from its peers.
 *
 * Calls of the engine end here (struct sl_turn_io). An allocation becomes visible when it is
 * granted: an entry of the shared session table, whose limit is the user's quota over the whole
 * node, and for a client over UDP a flow, which binds later packets of the client to this worker,
 * over reloads too. What a peer sends is turned into what the client reads in the packet's own
 * slot.
 */
#include "relay.h"

enum relay_session_limit { LIMIT_USER, LIMIT_SOURCE, LIMIT_REALM };
/* Three names of a realm and a user at their longest (RFC 8489 sections 14.3, 14.9) */
enum { LIMIT_NAMES_BYTES = 3 * (32 + 128 + 512) };

static void relay_free(struct relay *r)
{
	for (int i = 0; i < 2; i++)
		socket_close(r->sockets[i]);
	sl_slab_put(r->module->relays, r);
}

static struct relay *relay_of(struct turn_relay *m, struct sl_turn_alloc *a)
{
	struct relay *r = sl_turn_data(a);

	if (r)
		return r;
	r = sl_slab_get(m->relays);
	if (!r)
		return NULL;
	r->module = m;
	r->alloc = a;
	sl_turn_set_data(a, r);
	return r;
}

static int on_open_relay(void *ctx, struct sl_turn_alloc *a, const struct sl_turn_want *want,
			 struct sl_addr *ret_relayed)
{
	struct relay *r = relay_of(ctx, a);
	struct relay_socket *s;
	int err;

	if (!r)
		return -SL_ENOMEM;
	err = socket_open(r, want, &s);
	if (err < 0) {
		if (!r->sockets[0] &&
		    !r->sockets[1]) { /* the engine releases only what it was given */
			sl_turn_set_data(a, NULL);
			relay_free(r);
		}
		return err;
	}
	r->sockets[want->family == 6] = s;
	*ret_relayed = s->relayed;
	return 0;
}

static void on_close_relay(void *ctx, struct sl_turn_alloc *a, uint8_t family)
{
	struct relay *r = sl_turn_data(a);

	(void)ctx;
	offload_recall(r);
	socket_close(r->sockets[family == 6]);
	r->sockets[family == 6] = NULL;
	show_relay(r);
}

static void on_unreserve(void *ctx, const struct sl_addr *relayed)
{
	socket_unreserve(ctx, relayed);
}

/* ---- session */

static void on_evict(void *arg, struct sl_session *s, const char *why)
{
	struct relay *r = arg;

	(void)s;
	sl_turn_kill(r->alloc, why);
}

/* Of users, sources and realms, in the order of enum relay_session_limit. */
static struct sl_session_limit session_limit(struct sl_buf *text, const char *what,
					     struct sl_str realm, struct sl_str name, int64_t max)
{
	struct sl_session_limit limit = {.max = (uint32_t)max};
	size_t start = text->len;

	if (max == 0)
		return limit;
	sl_buf_printf(text, "turn-%s:%.*s:", what, SL_FMT(realm));
	sl_buf_str(text, name);
	limit.name = (struct sl_str){(const char *)text->p + start, text->len - start};
	return limit;
}

static int64_t user_quota(const struct relay_realm *realm)
{
	return realm->user_limits.allocations ? realm->user_limits.allocations : realm->user_quota;
}

static struct sl_str source_text(const struct sl_addr *a, char dst[SL_ADDR_STRLEN])
{
	struct sl_addr prefix = *a;

	if (a->family == 6)
		memset(prefix.ip + 8, 0, 8);
	return sl_str_c(sl_addr_format_ip(dst, &prefix));
}

/* text holds the names, and has room for all of them. */
static void set_limits(const struct relay *r, struct sl_buf *text, struct sl_session_opts *o)
{
	const struct sl_turn_client *c = sl_turn_alloc_client(r->alloc);
	const struct relay_realm *realm = &r->module->realms[c->realm];
	struct sl_str user = sl_turn_alloc_user(r->alloc), name = realm->realm;
	char source[SL_ADDR_STRLEN];

	o->limits[LIMIT_USER] =
		session_limit(text, "user", name, user, user.len > 0 ? user_quota(realm) : 0);
	o->limits[LIMIT_SOURCE] =
		session_limit(text, "source", name, source_text(&c->remote, source),
			      realm->source_limits.allocations);
	o->limits[LIMIT_REALM] =
		session_limit(text, "realm", name, SL_STR_NULL, realm->realm_limits.allocations);
}

static int open_session(struct relay *r)
{
	struct turn_relay *m = r->module;
	unsigned refused = SL_SESSION_LIMITS;
	struct sl_buf names;
	struct sl_session_opts opts = {
		.kind = SL_KIND_TURN,
		.listener = m->packet ? sl_udp_listener(m->packet->udp) : NULL,
		.remote = sl_turn_alloc_client(r->alloc)->remote,
		.label = sl_turn_alloc_user(r->alloc),
		.expires_ms = sl_turn_alloc_expires_ms(r->alloc),
		.evict = on_evict,
		.arg = r,
		.ret_limit = &refused,
	};
	int err;

	sl_buf_init(&names, 0);
	(void)sl_buf_reserve(&names, LIMIT_NAMES_BYTES); /* so that the names do not move */
	set_limits(r, &names, &opts);
	err = sl_buf_ok(&names);
	if (err == 0)
		err = sl_session_open(m->worker, &opts, &r->session);
	sl_buf_free(&names);
	if (err == -SL_ELIMIT)
		sl_count(&m->m[M_USER_QUOTA + refused]);
	/* A full realm is no fault of the user: 508 */
	return err == -SL_ELIMIT && refused == LIMIT_REALM ? -SL_EFULL : err;
}

/* Fair queueing is among users; where nobody proves to be one, among addresses. */
static uint32_t share_of(const struct relay *r)
{
	const struct sl_turn_client *c = sl_turn_alloc_client(r->alloc);
	const struct sl_str user = sl_turn_alloc_user(r->alloc);
	const uint64_t of[2] = {c->realm, user.len > 0
						  ? sl_hash(user.p, user.len)
						  : sl_hash(c->remote.ip, sizeof c->remote.ip)};

	return (uint32_t)sl_hash(of, sizeof of) | 1;
}

static void set_share(struct relay *r)
{
	r->share = share_of(r);
	for (int i = 0; i < 2; i++)
		if (r->sockets[i] && r->sockets[i]->udp)
			sl_udp_set_share(r->sockets[i]->udp, r->share);
	if (r->flow)
		sl_flow_set_share(r->flow, r->share);
}

static int on_granted(void *ctx, struct sl_turn_alloc *a)
{
	struct turn_relay *m = ctx;
	struct relay *r = sl_turn_data(a);
	int err;

	err = open_session(r);
	if (err < 0)
		return err;
	if (m->packet) {
		err = sl_flow_open(m->packet->udp, &m->packet->from, r->session, datagram_flow, r,
				   &r->flow);
		if (err < 0)
			return err;
	} else {
		r->stream = m->stream;
		stream_adopt(r->stream, r);
	}
	set_share(r);
	r->live = true;
	r->granted_ms = module_now_ms(m);
	sl_gauge_add(&m->m[M_LIVE], 1);
	sl_trace(sl_get64(r->session->sid + 8), SL_TRACE_TURN, SL_TURN_ALLOCATE, 0);
	show_relay(r);
	show_event(r, "turn.allocated", NULL);
	return 0;
}

static void on_refreshed(void *ctx, struct sl_turn_alloc *a)
{
	struct relay *r = sl_turn_data(a);

	(void)ctx;
	sl_session_set_expiry(r->session, sl_turn_alloc_expires_ms(a));
	show_event(r, "turn.refreshed", NULL);
}

static void on_released(void *ctx, struct sl_turn_alloc *a, const char *why)
{
	struct turn_relay *m = ctx;
	struct relay *r = sl_turn_data(a);

	if (r->live) {
		sl_gauge_add(&m->m[M_LIVE], -1);
		show_event(r, "turn.released", why);
	}
	relay_ways_close(r);
	sl_session_close(r->session, why);
	relay_free(r);
	meters_touch(m);
}

const struct sl_turn_io relay_io = {
	.open_relay = on_open_relay,
	.close_relay = on_close_relay,
	.unreserve = on_unreserve,
	.granted = on_granted,
	.refreshed = on_refreshed,
	.moved = relay_moved,
	.connect = peers_connect,
	.disconnect = peers_disconnect,
	.counted = show_counted,
	.released = on_released,
	.busy = offload_busy,
	.retimed = offload_retimed,
	.unbound = offload_unbound,
};

/* ---- data */

/* One hop further; false: that was the last. */
static bool hop(const struct relay *r, struct sl_packet *p)
{
	if (p->ttl == 0 || --p->ttl > 0) /* 0: nobody asked */
		return true;
	sl_count(&r->module->m[M_TTL_EXPIRED]);
	return false;
}

static void sent_to_peer(struct relay *r, const struct sl_packet *p)
{
	struct sl_session_stats *stats = r->session->stats;

	stats->packets_in++;
	stats->bytes_in += p->len;
	stats->last_receive_ms = p->time_ns / SL_NS_PER_MS;
}

void relay_to_peer(struct relay *r, struct sl_packet *p, const struct sl_addr *peer)
{
	const struct relay_socket *s = r->sockets[peer->family == 6];

	meters_touch(r->module);
	if (!hop(r, p))
		return;
	if (!s || sl_udp_send(s->udp, p, peer) < 0)
		sl_count(&r->module->m[M_PEER_QUEUE_FULL]);
	else
		sent_to_peer(r, p);
}

/* What is too long is told to the client, with the MTU, by relay_peer_error. */
void relay_to_peer_whole(struct relay *r, struct sl_packet *p, const struct sl_addr *peer)
{
	const struct relay_socket *s = r->sockets[peer->family == 6];
	int err;

	meters_touch(r->module);
	if (!hop(r, p))
		return;
	err = s ? sl_udp_send_whole(s->udp, p, peer) : -SL_EFULL;
	if (err == 0)
		sent_to_peer(r, p);
	else
		sl_count(&r->module->m[err == -SL_ELIMIT ? M_TOO_LONG : M_PEER_QUEUE_FULL]);
}

static bool wrap_channel(struct sl_packet *p, uint16_t number)
{
	uint16_t len = (uint16_t)p->len;
	uint8_t *head = sl_packet_push(p, CHANNEL_HEADER);

	if (!head)
		return false;
	sl_put16(head, number);
	sl_put16(head + 2, len);
	return true;
}

/* Indications need no transaction that anybody could answer; the arrival time tells them apart. */
static bool wrap_indication(struct sl_packet *p)
{
	uint8_t header[64], txid[12] = {0}, *dst;
	size_t len = p->len, n;

	sl_put64(txid, p->time_ns);
	n = sl_turn_data_header(header, &p->from, len, txid);
	dst = sl_packet_append(p, (4 - len % 4) % 4);
	if (!dst)
		return false;
	memset(dst, 0, (4 - len % 4) % 4);
	dst = sl_packet_push(p, n);
	if (!dst)
		return false;
	memcpy(dst, header, n);
	return true;
}

static void send_to_client(struct relay *r, struct sl_packet *p)
{
	if (r->stream)
		stream_send(r->stream, p);
	else if (!r->flow || sl_flow_send(r->flow, p) < 0)
		sl_count(&r->module->m[M_CLIENT_QUEUE_FULL]);
}

void relay_tell(struct relay *r, const uint8_t *text, size_t len)
{
	if (r->stream)
		stream_tell(r->stream, text, len);
}

void relay_from_peer(void *arg, struct sl_packet *p)
{
	struct relay *r = ((struct relay_socket *)arg)->owner;
	struct sl_session_stats *stats;
	int channel;

	if (!r || !r->session) /* a reserved port that nobody uses yet */
		return;
	meters_touch(r->module);
	channel = sl_turn_peer_in(r->alloc, &p->from, p->len, p->time_ns / SL_NS_PER_MS);
	if (channel < 0)
		return;
	if (!hop(r, p))
		return;
	stats = r->session->stats;
	stats->packets_out++;
	stats->bytes_out += p->len;
	if (channel > 0 ? wrap_channel(p, (uint16_t)channel) : wrap_indication(p))
		send_to_client(r, p);
}

/* arg: struct relay_socket. What became of packets to the peer, as far as the network says. */
void relay_peer_error(void *arg, const struct sl_addr *to, uint8_t icmp_type, uint8_t icmp_code,
		      uint32_t mtu)
{
	const struct sl_turn_icmp icmp = {icmp_type, icmp_code, mtu};
	struct relay *r = ((struct relay_socket *)arg)->owner;
	struct sl_packet *p;
	uint8_t text[64];
	size_t len;

	if (!r || !r->session)
		return;
	offload_refuse(r, to);
	len = sl_turn_peer_error(r->alloc, to, &icmp, module_now_ms(r->module), text);
	if (len == 0)
		return;
	meters_touch(r->module);
	p = sl_packet_new(r->module->worker);
	if (!p) {
		sl_count(&r->module->m[M_CLIENT_QUEUE_FULL]);
		return;
	}
	memcpy(p->data, text, len);
	p->len = (uint32_t)len;
	send_to_client(r, p);
	sl_packet_unref(p);
}
