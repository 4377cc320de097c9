/*
 * turn-relay/stream.c: clients over TCP and TLS (RFC 8656 section 3.1).
 *
 * Whoever sends no frames (frame.c) has lost step and is closed. An allocation ends with its
 * connection, and a connection without allocation after a silence. A client that does not read
 * loses the oldest packets of its peers, as over UDP, instead of filling memory; never an answer.
 *
 * A stream's memory outlives the module's stop, because the core tells of the connection's end
 * after it.
 */
#include "relay.h"

#include <stdlib.h>

enum { COOKIE_END = 8, MAX_QUEUED = 256 * 1024 };

struct stream {
	struct turn_relay *module; /* NULL: it has stopped */
	struct sl_conn *conn;
	const struct sl_listener *listener; /* that it came to, */
	unsigned realm;
	bool datagrams;	     /* there it is a DTLS association: bridge.c */
	struct relay *relay; /* NULL: no allocation */
	struct sl_timer idle;
	uint8_t *held; /* a request that waits for its reserved port; malloc'ed */
	size_t held_len;
	struct pump *pump;	    /* it carries data now: nothing is read here any more */
	uint32_t transfer;	    /* waits for the answer to this question; 0: to none */
	struct stream *prev, *next; /* in turn_relay.first_stream */
};

/* ---- life */

static void unlink_stream(struct stream *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		s->module->first_stream = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

static void set_idle(struct stream *s)
{
	sl_timer_set(s->module->worker->loop, &s->idle, s->module->conf->idle_timeout);
}

static void on_idle(struct sl_timer *t)
{
	struct stream *s = t->arg;

	sl_conn_close(s->conn, SL_CLOSE_TIMEOUT);
}

void stream_adopt(struct stream *s, struct relay *r)
{
	s->relay = r;
	if (r)
		sl_timer_cancel(s->module->worker->loop, &s->idle);
	else
		set_idle(s);
}

static void on_closed(void *arg, struct sl_conn *c, enum sl_close_reason why)
{
	struct stream *s = arg;

	(void)c;
	if (s->pump)
		pump_closed(s->pump, why);
	if (s->module) {
		if (s->relay)
			relay_way_lost(s->relay, (struct relay_way){.stream = s});
		sl_timer_cancel(s->module->worker->loop, &s->idle);
		unlink_stream(s);
	}
	free(s->held);
	free(s);
}

static void forget(struct relay *r, const struct stream *s)
{
	if (r->stream == s)
		r->stream = NULL;
	if (r->other.stream == s)
		r->other.stream = NULL;
}

void streams_close(struct turn_relay *m)
{
	struct stream *s;

	while ((s = m->first_stream)) {
		sl_timer_cancel(m->worker->loop, &s->idle);
		unlink_stream(s);
		if (s->relay)
			forget(s->relay, s); /* the engine ends its allocation later */
		s->relay = NULL;
		s->module = NULL;
		sl_conn_close(s->conn, SL_CLOSE_OURS);
	}
}

/* ---- what others ask */

struct turn_relay *stream_module(const struct stream *s)
{
	return s->module;
}

struct sl_conn *stream_conn(const struct stream *s)
{
	return s->conn;
}

struct stream_place stream_place(const struct stream *s)
{
	return (struct stream_place){s->listener, s->realm, s->datagrams};
}

static void on_end(void *arg, struct sl_conn *c)
{
	struct stream *s = arg;

	(void)c;
	pump_ended(s->pump);
}

static void on_drained(void *arg, struct sl_conn *c)
{
	struct stream *s = arg;

	(void)c;
	if (s->pump)
		pump_drained(s->pump);
}

struct sl_conn *stream_joined(struct stream *s, struct pump *p)
{
	s->pump = p;
	sl_timer_cancel(s->module->worker->loop, &s->idle);
	sl_conn_on_end(s->conn, on_end);
	return s->conn;
}

struct stream *stream_that_waits(struct turn_relay *m, uint32_t number)
{
	struct stream *s = m->first_stream;

	while (s && s->transfer != number)
		s = s->next;
	if (s)
		s->transfer = 0;
	return s;
}

/* ---- to the client */

void stream_tell(struct stream *s, const uint8_t *text, size_t len)
{
	if (sl_conn_write(s->conn, text, len) == -SL_EFULL)
		sl_conn_close(s->conn, SL_CLOSE_LIMIT);
}

/* What a client that does not read may miss: packets from peers. The bytes of a joined connection
 * are no frames, and none of them may be missed. */
static size_t queued_frame(void *arg, const uint8_t *data, size_t len, bool *ret_media)
{
	const struct stream *s = arg;

	if (s->pump)
		return len;
	*ret_media = frame_is_media(data);
	return (size_t)frame_length(data, CHANNEL_HEADER);
}

void stream_send(struct stream *s, struct sl_packet *p)
{
	int dropped;

	if (frame_pad(p) < 0)
		return;
	dropped = sl_conn_write(s->conn, p->data, p->len);
	if (dropped != 0)
		sl_count_n(&s->module->m[M_CLIENT_QUEUE_FULL], dropped < 0 ? 1 : (uint64_t)dropped);
}

/* ---- from the client */

typedef void to_peer_fn(struct relay *r, struct sl_packet *p, const struct sl_addr *peer);

static void payload_to_peer(struct stream *s, struct sl_str payload, const struct sl_addr *peer,
			    to_peer_fn *send)
{
	struct turn_relay *m = s->module;
	struct sl_packet *p;

	if (payload.len > SL_PACKET_MAX) {
		sl_count(&m->m[M_TOO_LONG]);
		return;
	}
	p = sl_packet_new(m->worker);
	if (!p) {
		sl_count(&m->m[M_PEER_QUEUE_FULL]);
		return;
	}
	memcpy(p->data, payload.p, payload.len);
	p->len = (uint32_t)payload.len;
	send(s->relay, p, peer);
	sl_packet_unref(p);
}

static int channel_data(struct stream *s, const uint8_t *frame, size_t len)
{
	const struct sl_addr *peer;
	size_t payload;

	if (!s->relay)
		return 0;
	if (SL_UNLIKELY(s->relay->moving))
		relay_heard(s->relay, (struct relay_way){.stream = s}, true);
	peer = sl_turn_channel_out(s->relay->alloc, frame, len, module_now_ms(s->module), &payload);
	if (peer)
		payload_to_peer(s, (struct sl_str){(const char *)frame + CHANNEL_HEADER, payload},
				peer, relay_to_peer);
	meters_touch(s->module);
	return 0;
}

static int binding(struct stream *s, const struct sl_stun_msg *msg)
{
	const struct turn_relay *m = s->module;
	uint8_t answer[128];
	int n;

	if (!m->stun)
		return 0;
	n = m->stun->answer(m->stun_self, msg, sl_conn_remote(s->conn), answer);
	return n > 0 ? sl_conn_write(s->conn, answer, (size_t)n) : 0;
}

static int control(struct stream *s, const struct sl_stun_msg *msg)
{
	struct turn_relay *m = s->module;
	uint8_t reply[REPLY_BYTES];
	struct sl_turn_out out = {.reply = reply, .reply_cap = sizeof reply};
	const struct sl_turn_client client = {
		.remote = *sl_conn_remote(s->conn),
		.local = sl_conn_bound(s->conn), /* a relay binds to an address of this host */
		.transport = s->datagrams ? IPPROTO_UDP : IPPROTO_TCP,
		.listener = s->listener->index,
		.realm = s->realm,
	};
	int rc;

	m->stream = s;
	rc = sl_turn_input(m->engine, s->relay ? s->relay->alloc : NULL, &client, msg,
			   module_now_ms(m), sl_clock_unix_ns() / SL_NS_PER_S, &out);
	m->stream = NULL;
	if (rc == SL_DECLINED)
		return -SL_EPARSE; /* neither TURN nor Binding: nothing we could ever answer */
	if (out.to_peer_via)
		payload_to_peer(s, (struct sl_str){(const char *)out.data, out.data_len}, &out.peer,
				out.dont_fragment ? relay_to_peer_whole : relay_to_peer);
	else
		module_arm(m);
	if (!s->relay && rc == SL_DONE)
		set_idle(s);
	meters_touch(m);
	if (out.reply_len > 0 && sl_conn_write(s->conn, reply, out.reply_len) < 0)
		return -SL_ECLOSED;
	return out.bound ? peers_bind(out.bound, s) : 0;
}

/* The port of its reservation token is with another worker: asked for; the request waits. */
static bool waits_for_port(struct stream *s, const struct sl_stun_msg *msg)
{
	struct turn_relay *m = s->module;
	const uint8_t *token;
	struct sl_addr known;
	uint16_t slot;

	token = sl_turn_token(msg, &slot);
	if (!token || slot == m->worker->slot || s->held || !claim_is_due(m, s->realm, msg) ||
	    sl_turn_token_relayed(m->engine, token, &known) == 0)
		return false;
	s->held = malloc(msg->len);
	if (!s->held)
		return false;
	memcpy(s->held, msg->raw, msg->len);
	s->held_len = msg->len;
	if (claim_ask(m, slot, token) == 0)
		return true;
	free(s->held);
	s->held = NULL;
	return false;
}

/* What it asks for is another worker's: the request stays unread until the way there is open. */
static bool goes_elsewhere(struct stream *s, const struct sl_stun_msg *msg)
{
	struct turn_relay *m = s->module;
	uint16_t slot;

	if (s->relay ||
	    (!sl_turn_connection_slot(msg, &slot) && !sl_turn_ticket_slot(m->engine, msg, &slot)) ||
	    slot == m->worker->slot || transfer_ask(m, slot, &s->transfer) < 0)
		return false;
	sl_conn_pause_input(s->conn);
	return true;
}

/* SL_AGAIN: it was not used up */
static int message(struct stream *s, const uint8_t *frame, size_t len)
{
	struct sl_stun_msg msg;

	if (sl_stun_parse(&msg, frame, len) < 0)
		return -SL_EPARSE;
	if (msg.method == SL_STUN_BINDING)
		return binding(s, &msg);
	if (goes_elsewhere(s, &msg))
		return SL_AGAIN;
	if (s->relay && SL_UNLIKELY(s->relay->moving))
		relay_heard(s->relay, (struct relay_way){.stream = s},
			    !sl_turn_ticket_is_old(s->relay->alloc, &msg));
	return waits_for_port(s, &msg) ? 0 : control(s, &msg);
}

static bool is_held_for(const struct stream *s, const uint8_t *token, struct sl_stun_msg *ret_msg)
{
	uint16_t slot;

	return s->held && sl_stun_parse(ret_msg, s->held, s->held_len) == 0 &&
	       sl_mem_eq(sl_turn_token(ret_msg, &slot), token, SL_TURN_TOKEN_BYTES);
}

void streams_claimed(struct turn_relay *m, const uint8_t *token)
{
	struct sl_stun_msg msg;
	struct stream *s = m->first_stream;

	while (s && !is_held_for(s, token, &msg))
		s = s->next;
	if (!s)
		return; /* the client has gone */
	if (control(s, &msg) < 0)
		sl_conn_close(s->conn, SL_CLOSE_ERROR);
	free(s->held);
	s->held = NULL;
}

/* Frames until the end, or until the bytes become a pump's. */
static ptrdiff_t read_frames(struct stream *s, const uint8_t *data, size_t len)
{
	size_t used = 0;
	ptrdiff_t whole = 0;
	int rc;

	while (!s->pump && !s->transfer && (whole = frame_length(data + used, len - used)) > 0 &&
	       (size_t)whole <= len - used) {
		if (data[used] & 0x40)
			rc = channel_data(s, data + used, (size_t)whole);
		else
			rc = message(s, data + used, (size_t)whole);
		if (rc == SL_AGAIN)
			break;
		if (rc < 0)
			return rc;
		used += (size_t)whole;
	}
	return whole < 0 ? whole : (ptrdiff_t)used;
}

static ptrdiff_t on_input(void *arg, struct sl_conn *c, const uint8_t *data, size_t len)
{
	struct stream *s = arg;
	ptrdiff_t used = s->pump ? 0 : read_frames(s, data, len);

	(void)c;
	if (used < 0)
		sl_count(&s->module->m[M_STREAM_ERRORS]);
	if (used < 0 || !s->pump || (size_t)used == len)
		return used;
	return used + pump_input(s->pump, data + used, len - (size_t)used);
}

static const struct sl_conn_ops ops = {
	.input = on_input,
	.drained = on_drained,
	.closed = on_closed,
	.max_input = 2 * FRAME_MAX,
	.max_output = MAX_QUEUED,
	.frame = queued_frame,
};

static void link_stream(struct turn_relay *m, struct stream *s)
{
	s->module = m;
	s->idle = (struct sl_timer){.fn = on_idle, .arg = s};
	s->next = m->first_stream;
	if (s->next)
		s->next->prev = s;
	m->first_stream = s;
	set_idle(s);
}

int stream_visit(struct turn_relay *m, const struct sl_conn_source *from,
		 const struct stream_place *at)
{
	struct stream *s = calloc(1, sizeof *s);
	int err;

	if (!s)
		return -SL_ENOMEM;
	err = sl_conn_adopt(m->worker, from, &ops, s, &s->conn);
	if (err < 0) {
		free(s);
		return err;
	}
	s->listener = at->listener;
	s->realm = at->realm;
	s->datagrams = at->datagrams;
	link_stream(m, s);
	return 0;
}

static int take(struct turn_relay *m, struct sl_conn *c)
{
	struct stream *s = calloc(1, sizeof *s);

	if (!s)
		return -SL_ENOMEM;
	s->conn = c;
	s->listener = sl_conn_listener(c);
	s->realm = realm_of_conn(m, c);
	link_stream(m, s);
	sl_count(&m->m[M_CONNECTIONS]);
	sl_conn_take(c, &ops, s);
	return SL_DONE;
}

int stream_preread(void *ctx, struct sl_conn *c)
{
	struct sl_str first = sl_conn_peek(c);

	if ((uint8_t)first.p[0] > 3)
		return SL_DECLINED;
	if (first.len < COOKIE_END)
		return SL_AGAIN;
	if (sl_get32(first.p + 4) != SL_STUN_COOKIE)
		return SL_DECLINED;
	return take(ctx, c);
}
