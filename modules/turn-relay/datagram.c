/*
 * turn-relay/datagram.c: clients over UDP: the control dialogue, and ChannelData on its way to
 * peers.
 *
 * A client without allocation comes through DGRAM_CONTENT; with one, through its flow, which knows
 * the allocation, so that ChannelData costs no look-up here. What is no TURN message is left to
 * others: Binding requests of TURN clients to the module stun.
 */
#include "relay.h"

/* A reservation lives in the worker that made it, an allocation where it was granted. Keys of DTLS
 * live here: what comes through it cannot be forwarded as it came. */
static bool belongs_elsewhere(struct turn_relay *m, struct sl_packet *p,
			      const struct sl_stun_msg *msg)
{
	bool port = false;
	uint16_t slot;

	if (sl_turn_token(msg, &slot))
		port = true;
	else if (!sl_turn_ticket_slot(m->engine, msg, &slot))
		return false;
	if (slot == m->worker->slot)
		return false;
	if (p->assoc)
		return port ? claim_for(m, p, msg) : bridge_ask(m, p, slot) == 0;
	if (sl_udp_forward(p, slot) < 0)
		return false; /* then it is answered here: 508 */
	sl_count(&m->m[M_FORWARDED]);
	return true;
}

static bool is_unsigned_request(const struct sl_stun_msg *msg)
{
	return msg->class_ == SL_STUN_REQUEST && !sl_stun_is_signed(msg);
}

/* A request without credentials has passed the rate before it came here; one with wrong ones, or
 * with a nonce that has gone stale, passes it now. */
static bool may_answer(struct turn_relay *m, const struct sl_packet *p,
		       const struct sl_stun_msg *msg, const struct sl_turn_out *out)
{
	const uint64_t now_ms = p->time_ns / SL_NS_PER_MS;

	if (!out->unproven || p->assoc) /* DTLS has proven the source */
		return true;
	if (!is_unsigned_request(msg) && !unproven_may_ask(m, &p->from, now_ms))
		return false;
	return unproven_may_answer(m, p->len, out->reply_len, now_ms);
}

/* The payload stands inside the indication; the packet shrinks to it. */
static void send_payload(struct sl_packet *p, const struct sl_turn_out *out)
{
	struct relay *r = sl_turn_data(out->to_peer_via);

	if (!sl_packet_pull(p, (size_t)(out->data - p->data)))
		return;
	p->len = (uint32_t)out->data_len;
	if (out->dont_fragment)
		relay_to_peer_whole(r, p, &out->peer);
	else
		relay_to_peer(r, p, &out->peer);
}

static int control(struct turn_relay *m, struct sl_turn_alloc *a, struct sl_packet *p,
		   const struct sl_stun_msg *msg)
{
	uint8_t reply[REPLY_BYTES];
	struct sl_turn_out out = {.reply = reply, .reply_cap = sizeof reply};
	const struct sl_turn_client client = {
		.remote = p->from,
		.local = *p->local,
		.transport = IPPROTO_UDP,
		.listener = sl_udp_listener(p->udp)->index,
		.realm = realm_of_packet(m, p),
	};
	int rc;

	m->packet = p;
	rc = sl_turn_input(m->engine, a, &client, msg, p->time_ns / SL_NS_PER_MS,
			   sl_clock_unix_ns() / SL_NS_PER_S, &out);
	m->packet = NULL;
	if (rc == SL_DECLINED)
		return rc;
	if (out.to_peer_via)
		send_payload(p, &out);
	else
		module_arm(m);
	meters_touch(m);
	if (out.reply_len > 0 && may_answer(m, p, msg, &out) &&
	    sl_udp_reply(p, reply, out.reply_len) < 0)
		sl_count(&m->m[M_CLIENT_QUEUE_FULL]); /* the client asks again */
	return SL_DONE;
}

int datagram_content(void *ctx, struct sl_packet *p)
{
	struct turn_relay *m = ctx;
	struct sl_stun_msg msg;

	if (p->demux != SL_DEMUX_STUN || sl_stun_parse(&msg, p->data, p->len) < 0)
		return SL_DECLINED;
	if (msg.method == SL_STUN_BINDING)
		return SL_DECLINED;
	if (!p->assoc && is_unsigned_request(&msg) &&
	    !unproven_may_ask(m, &p->from, p->time_ns / SL_NS_PER_MS))
		return SL_DROP;
	if (belongs_elsewhere(m, p, &msg))
		return SL_DONE;
	return control(m, NULL, p, &msg);
}

static int channel_data(struct relay *r, struct sl_packet *p)
{
	const struct sl_addr *peer;
	size_t len;

	peer = sl_turn_channel_out(r->alloc, p->data, p->len, p->time_ns / SL_NS_PER_MS, &len);
	if (!peer) {
		meters_touch(r->module);
		return SL_DROP;
	}
	if (!sl_packet_pull(p, CHANNEL_HEADER))
		return SL_DROP;
	p->len = (uint32_t)len;
	relay_to_peer(r, p, peer);
	return SL_OK;
}

/* On a client's 5-tuple these two bits say it all; the classifier knows the narrower range of a
 * port shared with QUIC. */
static bool is_channel_data(const struct sl_packet *p)
{
	return p->len >= CHANNEL_HEADER && (p->data[0] & 0xc0) == 0x40;
}

int datagram_flow(void *arg, struct sl_flow *f, struct sl_packet *p)
{
	struct relay *r = arg;
	struct turn_relay *m = r->module;
	struct sl_turn_alloc *a = r->alloc;
	const struct relay_way way = {.flow = f};
	struct sl_stun_msg msg;
	int rc;

	if (!p) { /* as over TLS, the allocation ends with what carried it */
		relay_way_lost(r, way);
		return SL_DONE;
	}
	if (is_channel_data(p)) {
		if (SL_UNLIKELY(r->moving))
			relay_heard(r, way, true);
		return channel_data(r, p);
	}
	if (p->demux != SL_DEMUX_STUN || sl_stun_parse(&msg, p->data, p->len) < 0)
		return SL_DROP;
	if (msg.method == SL_STUN_BINDING)
		return SL_DECLINED;
	if (SL_UNLIKELY(r->moving))
		relay_heard(r, way, !sl_turn_ticket_is_old(a, &msg));
	rc = control(m, a, p, &msg);
	return rc == SL_DECLINED ? SL_DROP : rc;
}
