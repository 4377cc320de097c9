/*
 * turn-relay/bridge.c: DTLS associations of clients that belong to another worker.
 *
 * The keys of an association do not move, so a client whose allocation lives elsewhere (RFC 8016)
 * goes on being decrypted here, and what it says travels through a pipe of the kernel to the worker
 * that has the allocation, framed as on a connection; over there it is one (transfer.c). The first
 * frame is the request that told. What comes back through the pipe is encrypted here. When either
 * ends, so does the other: the association, or the worker's interest in it.
 */
#include "relay.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_QUEUED = 256 * 1024 };

struct bridge {
	struct turn_relay *module; /* NULL: it has stopped */
	struct sl_flow *flow;	   /* NULL: the association has ended */
	struct sl_conn *pipe;	   /* NULL: not there yet */
	struct sl_packet *request; /* waits for it */
	uint32_t transfer;	   /* number of the question that is open */
	unsigned realm;
	struct bridge *prev, *next; /* in turn_relay.first_bridge */
};

/* ---- life */

static void unlink_bridge(struct bridge *b)
{
	if (b->prev)
		b->prev->next = b->next;
	else
		b->module->first_bridge = b->next;
	if (b->next)
		b->next->prev = b->prev;
	b->module = NULL;
}

static void let_request_go(struct bridge *b)
{
	if (b->request)
		sl_packet_unref(b->request);
	b->request = NULL;
}

/* Its memory outlives a pipe, whose end is told later. */
static void bridge_close(struct bridge *b)
{
	if (b->module)
		unlink_bridge(b);
	let_request_go(b);
	sl_flow_close(b->flow);
	b->flow = NULL;
	if (b->pipe)
		sl_conn_close(b->pipe, SL_CLOSE_OURS);
	else
		free(b);
}

void bridges_stop(struct turn_relay *m)
{
	while (m->first_bridge)
		bridge_close(m->first_bridge);
}

/* ---- to the other worker */

/* A datagram is one frame, whole: what lies about its length would put the pipe out of step. */
static bool is_frame(const struct sl_packet *p)
{
	const ptrdiff_t len = frame_length(p->data, p->len);

	return len > 0 && (size_t)len >= p->len && (size_t)len - p->len < 4;
}

static void say(struct bridge *b, struct sl_packet *p)
{
	int dropped;

	if (!is_frame(p) || frame_pad(p) < 0)
		return;
	dropped = sl_conn_write(b->pipe, p->data, p->len);
	if (dropped != 0)
		sl_count_n(&b->module->m[M_PEER_QUEUE_FULL], dropped < 0 ? 1 : (uint64_t)dropped);
}

/* A client that repeats its request, as it does when nobody answers, asks anew. */
static int ask(struct bridge *b, struct sl_packet *p, uint16_t slot)
{
	int err = transfer_ask(b->module, slot, &b->transfer);

	if (err < 0)
		return err;
	sl_packet_ref(p);
	let_request_go(b);
	b->request = p;
	return 0;
}

static void hear_early(struct bridge *b, struct sl_packet *p)
{
	struct sl_stun_msg msg;
	uint16_t slot;

	if (p->demux == SL_DEMUX_STUN && sl_stun_parse(&msg, p->data, p->len) == 0 &&
	    sl_turn_ticket_slot(b->module->engine, &msg, &slot) && ask(b, p, slot) < 0)
		bridge_close(b);
}

static int on_datagram(void *arg, struct sl_flow *f, struct sl_packet *p)
{
	struct bridge *b = arg;

	(void)f;
	if (!p)
		bridge_close(b);
	else if (b->pipe)
		say(b, p);
	else
		hear_early(b, p);
	return SL_DONE;
}

/* ---- from the other worker */

static void tell(struct bridge *b, const uint8_t *frame, size_t len)
{
	struct sl_packet *p;

	if (len > SL_PACKET_MAX) {
		sl_count(&b->module->m[M_TOO_LONG]);
		return;
	}
	p = sl_packet_new(b->module->worker);
	if (!p) {
		sl_count(&b->module->m[M_CLIENT_QUEUE_FULL]);
		return;
	}
	memcpy(p->data, frame, len);
	p->len = (uint32_t)len;
	if (sl_flow_send(b->flow, p) < 0)
		sl_count(&b->module->m[M_CLIENT_QUEUE_FULL]);
	sl_packet_unref(p);
}

static size_t unpadded(const uint8_t *frame, size_t len)
{
	return (frame[0] & 0xc0) == 0x40 ? CHANNEL_HEADER + (size_t)sl_get16(frame + 2) : len;
}

static ptrdiff_t on_input(void *arg, struct sl_conn *c, const uint8_t *data, size_t len)
{
	struct bridge *b = arg;
	size_t used = 0;
	ptrdiff_t whole;

	(void)c;
	while ((whole = frame_length(data + used, len - used)) > 0 && (size_t)whole <= len - used) {
		if (b->flow)
			tell(b, data + used, unpadded(data + used, (size_t)whole));
		used += (size_t)whole;
	}
	return whole < 0 ? whole : (ptrdiff_t)used;
}

static void on_closed(void *arg, struct sl_conn *c, enum sl_close_reason why)
{
	struct bridge *b = arg;

	(void)c;
	(void)why;
	b->pipe = NULL;
	bridge_close(b);
}

static size_t queued_frame(void *arg, const uint8_t *data, size_t len, bool *ret_media)
{
	(void)arg;
	*ret_media = frame_is_media(data);
	return (size_t)frame_length(data, len);
}

static const struct sl_conn_ops ops = {
	.input = on_input,
	.closed = on_closed,
	.max_input = 2 * FRAME_MAX,
	.max_output = MAX_QUEUED,
	.frame = queued_frame,
};

/* ---- opening */

static struct bridge *bridge_new(struct turn_relay *m, struct sl_packet *p)
{
	struct bridge *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	if (sl_flow_open(p->udp, &p->from, NULL, on_datagram, b, &b->flow) < 0) {
		free(b);
		return NULL;
	}
	b->module = m;
	b->realm = realm_of_packet(m, p);
	b->next = m->first_bridge;
	if (b->next)
		b->next->prev = b;
	m->first_bridge = b;
	return b;
}

int bridge_ask(struct turn_relay *m, struct sl_packet *p, uint16_t slot)
{
	struct bridge *b = bridge_new(m, p);
	int err;

	if (!b)
		return -SL_ENOMEM;
	err = ask(b, p, slot);
	if (err < 0)
		bridge_close(b);
	return err;
}

static int open_pipe(struct bridge *b, const struct sl_pass_place *to)
{
	const struct sl_conn_source client = {.remote = *sl_flow_remote(b->flow),
					      .local = *sl_flow_local(b->flow)};
	const struct stream_place at = {.listener = sl_udp_listener(sl_flow_udp(b->flow)),
					.realm = b->realm,
					.datagrams = true};
	struct sl_conn_source here = {0};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -SL_ESYS;
	here.fd = pair[0];
	if (sl_conn_adopt(b->module->worker, &here, &ops, b, &b->pipe) < 0) {
		close(pair[0]);
		close(pair[1]);
		return -SL_ENOMEM;
	}
	return transfer_pass(b->module, to, &client, &at, pair[1]);
}

bool bridge_answered(struct turn_relay *m, uint32_t number, const struct sl_pass_place *to)
{
	struct bridge *b = m->first_bridge;

	while (b && (b->transfer != number || b->pipe))
		b = b->next;
	if (!b)
		return false;
	if (open_pipe(b, to) < 0) {
		bridge_close(b);
		return true;
	}
	say(b, b->request);
	let_request_go(b);
	return true;
}
