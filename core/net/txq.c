/*
 * net/txq.c: sending: what a tick produces leaves at its end, by few system calls.
 *
 * Each socket has its own queue, so that its datagrams stay in order and one sendmmsg takes them
 * all (measured on loopback: 2.4 us each against 2.9 for sendto). Neighbours of equal size to the
 * same address become one message with UDP_SEGMENT, the last one may be shorter. A single datagram
 * goes by sendto; where many sockets have one, as relays and calls do, the first of each leave by
 * one call of io_uring (os/uring.h). A socket whose buffer is full waits for the loop with a
 * bounded queue.
 *
 * Clients of a listener share its socket, but nobody stands behind what another has queued: when
 * one has more than half of a long queue, or the socket did not send for a while, those who share
 * it take turns (base/fair.h). What has to be dropped is the oldest, because old media is worth
 * least, of whoever has most there. Nothing is allocated per packet once the slab has grown.
 */
#include "net/txq.h"

#include <sluice/pool.h>
#include "net/engine.h"

#include <errno.h>
#include <netinet/udp.h>

#define MAX_WAITING 256 /* per socket that does not send */
#define RUN_MAX 64	/* segments, UDP_MAX_SEGMENTS of older kernels */
#define RUN_BYTES 64000
/* Segments are not fragmented by IP: what may exceed an MTU goes alone, and fragments where it
 * must. */
#define SEGMENT_MAX 1400
#define TURNS_FROM 32 /* shorter queues leave in the order in which they came */
#define TURN_BITS 10  /* of the number of shares at a time */

struct tx {
	struct fair_item item;	  /* first; note: TOS, and TTL in the upper half */
	struct sl_packet *packet; /* one reference */
	uint8_t *data;		  /* packet's, as it was when queued */
	struct sl_addr to, from;
};

static void on_tick_end(struct sl_post *post);

static struct tx *tx_of(struct fair_item *item)
{
	return (struct tx *)(void *)item;
}

static struct tx *next_of(const struct tx *t)
{
	return tx_of(t->item.next);
}

/* The slab grows with the longest queue ever seen and stays. */
int txq_open(struct txq *q, struct net *n)
{
	q->net = n;
	q->gso = n->gso;
	q->post = (struct sl_post){.fn = on_tick_end, .arg = q};
	q->slab = sl_slab_new(sizeof(struct tx), 256);
	return q->slab ? 0 : -SL_ENOMEM;
}

/* Sockets have been closed before, so that no entry is left in a queue. */
void txq_close(struct txq *q)
{
	sl_post_cancel(q->net->worker->loop, &q->post);
	sl_slab_destroy(q->slab);
	q->slab = NULL;
	fair_free(q->turns);
	q->turns = NULL;
}

/* Takes the oldest out. */
static void pop(struct sl_udp *u)
{
	struct tx *t = u->first;

	u->first = next_of(t);
	if (!u->first)
		u->last = NULL;
	u->n_waiting--;
	if (u->n_singles > 0)
		u->n_singles--;
	sl_packet_unref(t->packet);
	sl_slab_put(u->net->txq.slab, t);
}

/* In order: datagrams of one socket never overtake each other. */
static void append(struct sl_udp *u, struct tx *t)
{
	t->item.next = NULL;
	if (u->last)
		u->last->item.next = &t->item;
	else
		u->first = t;
	u->last = t;
	u->n_waiting++;
}

/* ---- turns */

/* What no flow sends belongs to whom it goes to. */
static uint32_t share_of(struct tx *t)
{
	if (t->item.key == 0)
		t->item.key = (uint32_t)sl_addr_hash(&t->to) | 1;
	return t->item.key;
}

static struct fair_vote vote(const struct sl_udp *u)
{
	struct fair_vote v = {0};

	for (struct tx *t = u->first; t; t = next_of(t))
		fair_cast(&v, share_of(t));
	return v;
}

/* The queue of a socket that several share, in the order of their turns. Not while the first ones
 * are a run that was refused. */
static void take_turns(struct sl_udp *u)
{
	struct txq *q = &u->net->txq;
	struct fair_item *item;

	if (!u->listener || u->n_singles > 0)
		return;
	if (!q->turns)
		q->turns = fair_new(TURN_BITS);
	if (!q->turns) /* as they came, then */
		return;
	while (u->first) {
		struct tx *t = u->first;

		u->first = next_of(t);
		(void)share_of(t);
		fair_put(q->turns, &t->item);
	}
	u->last = NULL;
	u->n_waiting = 0;
	while ((item = fair_get(q->turns)))
		append(u, tx_of(item));
}

static void take_turns_if_dominated(struct sl_udp *u)
{
	const struct fair_vote v = vote(u);

	if (v.mixed && fair_dominated(&v))
		take_turns(u);
}

/* Shares are odd, so that the lowest bit says nothing. */
static uint8_t column(struct tx *t)
{
	return (uint8_t)(share_of(t) >> 1);
}

/* The first of those who have most there, by eight bits of their shares. */
static struct tx *oldest_of_most(struct sl_udp *u, struct tx **ret_before)
{
	uint16_t counts[256] = {0};
	struct tx *before = NULL;
	uint8_t most;

	most = column(u->first);
	for (struct tx *t = u->first; t; t = next_of(t)) {
		const uint8_t at = column(t);

		if (++counts[at] > counts[most])
			most = at;
	}
	for (struct tx *t = u->first;; t = next_of(t)) {
		if (column(t) == most) {
			*ret_before = before;
			return t;
		}
		before = t;
	}
}

static void drop_one(struct sl_udp *u)
{
	struct tx *before = NULL, *t = u->first;

	sl_count(net_meter(u->net, NET_dropped_queue_full));
	if (u->listener && u->n_singles == 0)
		t = oldest_of_most(u, &before);
	if (!before) {
		pop(u);
		return;
	}
	before->item.next = t->item.next;
	if (u->last == t)
		u->last = before;
	u->n_waiting--;
	sl_packet_unref(t->packet);
	sl_slab_put(u->net->txq.slab, t);
}

/* ---- messages */

/* The buffer has room for all kinds at once (struct tx_control). */
static void put_control(struct msghdr *h, int level, int type, const void *value, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)h->msg_control + h->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), value, len);
	h->msg_controllen += CMSG_SPACE(len);
}

/*
 * Of a wildcard socket only; the interface is named for link-local addresses, which mean nothing
 * without.
 */
static void put_source(struct msghdr *h, const struct sl_addr *from)
{
	if (from->family == 4) {
		struct in_pktinfo info = {0};

		memcpy(&info.ipi_spec_dst, from->ip, sizeof info.ipi_spec_dst);
		put_control(h, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	} else {
		struct in6_pktinfo info = {.ipi6_ifindex = from->scope};

		memcpy(&info.ipi6_addr, from->ip, sizeof info.ipi6_addr);
		put_control(h, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
	}
}

/* Of datagrams that have them: an option costs 100 ns. */
static void put_tos(struct msghdr *h, uint8_t family, int tos)
{
	if (tos > 0 && family == 4)
		put_control(h, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
	else if (tos > 0)
		put_control(h, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
}

static void put_ttl(struct msghdr *h, uint8_t family, int ttl)
{
	if (ttl > 0 && family == 4)
		put_control(h, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
	else if (ttl > 0)
		put_control(h, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof ttl);
}

/* What the header of the datagram shall say. */
static void put_header(struct msghdr *h, uint8_t family, uint16_t note)
{
	put_tos(h, family, note & 0xff);
	put_ttl(h, family, note >> 8);
}

static uint16_t note_of(const struct sl_packet *p)
{
	return (uint16_t)(p->tos | p->ttl << 8);
}

ssize_t txq_send_now(const struct sl_udp *u, const struct sl_packet *p, const struct sl_addr *to)
{
	union net_sockaddr sa;
	struct tx_control control = {0};
	struct iovec iov = {p->data, p->len};
	struct msghdr h = {
		.msg_name = &sa,
		.msg_namelen = sl_addr_to_sockaddr((struct sockaddr_storage *)&sa, to),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
	};

	put_header(&h, to->family, note_of(p));
	if (h.msg_controllen == 0)
		h.msg_control = NULL;
	return sendmsg(u->ev.fd, &h, MSG_DONTWAIT);
}

ssize_t txq_send_long(const struct sl_udp *u, struct sl_str data, const struct sl_addr *from,
		      const struct sl_addr *to)
{
	union net_sockaddr sa;
	struct tx_control control = {0};
	struct iovec iov = {(void *)data.p, data.len};
	struct msghdr h = {
		.msg_name = &sa,
		.msg_namelen = sl_addr_to_sockaddr((struct sockaddr_storage *)&sa, to),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
	};

	if (from && from->family == to->family)
		put_source(&h, from);
	if (h.msg_controllen == 0)
		h.msg_control = NULL;
	return sendmsg(u->ev.fd, &h, MSG_DONTWAIT);
}

/* Decides between sendto and sendmsg for a single datagram. */
static bool needs_control(const struct tx *t)
{
	return t->from.family != 0 || t->item.note != 0;
}

/* Address, source and TOS belong to the message, not to its segments. */
static bool joins(const struct tx *a, const struct tx *b)
{
	return b && a->item.note == b->item.note && sl_addr_eq(&a->to, &b->to) &&
	       sl_addr_eq(&a->from, &b->from);
}

/* How many datagrams from t on may share a message; at least 1. */
static unsigned run_length(const struct txq *q, const struct sl_udp *u, const struct tx *t,
			   unsigned max)
{
	const struct tx *first = t;
	size_t bytes = t->item.len;
	unsigned n = 1;

	if (!q->gso || u->n_singles > 0 || first->item.len > SEGMENT_MAX || first->item.len == 0)
		return 1;
	while (n < max && n < RUN_MAX && t->item.len == first->item.len &&
	       joins(first, next_of(t))) {
		t = next_of(t);
		bytes += t->item.len;
		if (t->item.len > first->item.len || t->item.len == 0 || bytes > RUN_BYTES)
			break;
		n++;
	}
	return n;
}

/* One message from n datagrams; returns the datagram behind them. */
static struct tx *build_message(struct txq *q, unsigned at, struct iovec *iov, struct tx *t,
				unsigned n)
{
	struct msghdr *h = &q->msgs[at].msg_hdr;
	uint16_t segment = t->item.len;

	*h = (struct msghdr){
		.msg_name = &q->names[at],
		.msg_namelen =
			sl_addr_to_sockaddr((struct sockaddr_storage *)&q->names[at], &t->to),
		.msg_iov = iov,
		.msg_iovlen = n,
		.msg_control = q->controls[at].bytes,
	};
	if (t->from.family != 0)
		put_source(h, &t->from);
	if (t->item.note != 0)
		put_header(h, t->to.family, t->item.note);
	if (n > 1)
		put_control(h, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
	if (h->msg_controllen == 0)
		h->msg_control = NULL;
	q->runs[at] = (uint8_t)n;
	for (unsigned i = 0; i < n; i++, t = next_of(t))
		iov[i] = (struct iovec){t->data, t->item.len};
	return t;
}

/*
 * As many messages as one sendmmsg takes; what is left over waits for the next round of the loop.
 */
static unsigned build(struct txq *q, const struct sl_udp *u)
{
	unsigned n_messages = 0, n_iov = 0;

	for (struct tx *t = u->first; t && n_iov < TXQ_BATCH; n_messages++) {
		unsigned n = run_length(q, u, t, TXQ_BATCH - n_iov);

		t = build_message(q, n_messages, &q->iov[n_iov], t, n);
		n_iov += n;
	}
	return n_messages;
}

/* ---- system calls: how many messages were sent, or -1 with errno */

/* The usual case of a relay, which has one datagram for its peer per tick. */
static int send_single(struct txq *q, struct sl_udp *u)
{
	const struct tx *t = u->first;
	union net_sockaddr to;
	unsigned len = sl_addr_to_sockaddr((struct sockaddr_storage *)&to, &t->to);

	q->runs[0] = 1;
	return sendto(u->ev.fd, t->data, t->item.len, MSG_DONTWAIT, &to.any, len) < 0 ? -1 : 1;
}

/* By the cheapest call that can say it. */
static int send_messages(struct txq *q, struct sl_udp *u)
{
	unsigned n;

	if (!u->first->item.next && !needs_control(u->first))
		return send_single(q, u);
	n = build(q, u);
	if (n == 1)
		return sendmsg(u->ev.fd, &q->msgs[0].msg_hdr, MSG_DONTWAIT) < 0 ? -1 : 1;
	return sendmmsg(u->ev.fd, q->msgs, n, MSG_DONTWAIT);
}

/* Counted in one go: three stores per call instead of three per datagram. */
static void sent(struct sl_udp *u, const uint8_t *runs, unsigned n_messages)
{
	const struct net *net = u->net;
	uint64_t bytes = 0, datagrams = 0, joined = 0;

	for (unsigned m = 0; m < n_messages; m++) {
		joined += runs[m] > 1;
		datagrams += runs[m];
		for (unsigned i = 0; i < runs[m]; i++) {
			bytes += u->first->item.len;
			pop(u);
		}
	}
	sl_count_n(net_meter(net, NET_datagrams_out), datagrams);
	sl_count_n(net_meter(net, NET_datagram_bytes_out), bytes);
	if (joined > 0)
		sl_count_n(net_meter(net, NET_segmented_sends), joined);
}

/* An ICMP error for an earlier datagram is reported by the next call, whose own datagram is
 * blameless. */
static bool from_earlier(int err)
{
	return err == ECONNREFUSED || err == EHOSTUNREACH || err == ENETUNREACH ||
	       err == EHOSTDOWN || err == ENONET || err == ENOPROTOOPT || err == EPROTO;
}

/* A refused run goes once more, singly: an interface without checksums (EIO, for good) or a small
 * MTU. */
static void give_up_first(struct txq *q, struct sl_udp *u, int err)
{
	if (q->runs[0] > 1) {
		u->n_singles = q->runs[0];
		q->gso = q->gso && err != EIO;
		return;
	}
	sl_count(net_meter(q->net, NET_dropped_send_error));
	pop(u);
}

/*
 * Until the queue is empty or the kernel's buffer is full; every other error costs at most one
 * datagram.
 */
void txq_flush_socket(struct sl_udp *u)
{
	struct txq *q = &u->net->txq;
	bool retried = false;

	if (SL_UNLIKELY(u->n_waiting >= TURNS_FROM))
		take_turns_if_dominated(u);
	while (u->first && !u->blocked) {
		int n = send_messages(q, u);

		sl_count(net_meter(q->net, NET_send_calls));
		if (n > 0) {
			sent(u, q->runs, (unsigned)n);
			retried = false;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			u->blocked = true;
			udp_want_write(u, true);
		} else if (from_earlier(errno) && !retried) {
			sl_count(net_meter(q->net, NET_send_retries));
			retried = true;
		} else {
			give_up_first(q, u, errno);
			retried = false;
		}
	}
}

/* ---- many sockets by one call */

/* Turns, and runs that were refused, are looked after socket by socket. */
static bool can_join_in(const struct sl_udp *u)
{
	return u && u->first && !u->blocked && u->n_singles == 0 && u->n_waiting < TURNS_FROM;
}

/* The first message of each, whose place in `of` and in msgs is the same; returns how many. */
static unsigned build_firsts(struct txq *q, unsigned n_dirty, struct sl_udp *of[TXQ_BATCH])
{
	unsigned n = 0, n_iov = 0;

	for (unsigned i = 0; i < n_dirty && n_iov < TXQ_BATCH; i++) {
		struct sl_udp *u = q->dirty[i];
		unsigned run;

		if (!can_join_in(u))
			continue;
		run = run_length(q, u, u->first, TXQ_BATCH - n_iov);
		(void)build_message(q, n, &q->iov[n_iov], u->first, run);
		n_iov += run;
		q->together[n] = (struct uring_message){.fd = u->ev.fd, .h = &q->msgs[n].msg_hdr};
		of[n++] = u;
	}
	return n;
}

/* What was not sent stays where it is: the socket's own call then says what is wrong. */
static void send_together(struct txq *q, unsigned n_dirty)
{
	struct sl_udp *of[TXQ_BATCH];
	unsigned n = build_firsts(q, n_dirty, of);

	if (n < 2)
		return;
	sl_count(net_meter(q->net, NET_send_calls));
	if (!uring_send(q->net->uring, q->together, n))
		net_drop_uring(q->net);
	for (unsigned i = 0; i < n; i++)
		if (q->together[i].result >= 0)
			sent(of[i], &q->runs[i], 1);
}

/* The list is emptied first: a socket that fails here may be entered again by its owner. */
static void flush(struct txq *q)
{
	unsigned n = q->n_dirty;

	q->n_dirty = 0;
	q->n_queued = 0;
	if (n > 1 && q->net->uring)
		send_together(q, n);
	for (unsigned i = 0; i < n; i++) {
		if (!q->dirty[i])
			continue;
		q->dirty[i]->dirty = false;
		txq_flush_socket(q->dirty[i]);
	}
}

/* Most of the time there is one, at the end. */
void txq_flush_relays(struct txq *q)
{
	unsigned n = q->n_dirty, kept = 0;

	for (unsigned i = 0; i < n; i++) {
		struct sl_udp *u = q->dirty[i];

		if (!u)
			continue;
		if (u->listener) {
			q->dirty[kept++] = u;
			continue;
		}
		u->dirty = false;
		txq_flush_socket(u);
	}
	q->n_dirty = kept;
}

static void on_tick_end(struct sl_post *post)
{
	flush(post->arg);
}

/* The loop says that there is room again. */
void txq_resume(struct sl_udp *u)
{
	u->blocked = false;
	take_turns(u);
	txq_flush_socket(u);
	if (!u->blocked)
		udp_want_write(u, false);
}

/*
 * A full batch does not wait for the end of the tick: waiting would only add to its delay, and its
 * memory is warm now.
 */
static void enlist(struct txq *q, struct sl_udp *u)
{
	if (!u->dirty) {
		u->dirty = true;
		q->dirty[q->n_dirty++] = u;
	}
	if (++q->n_queued == TXQ_BATCH)
		flush(q);
	else
		sl_post(q->net->worker->loop, &q->post);
}

/* Nothing is sent from here but a full batch: the rest of the tick may join what it has to say. */
int txq_push(struct sl_udp *u, struct sl_packet *p, const struct sl_addr *to,
	     const struct sl_addr *from, uint32_t share)
{
	struct txq *q = &u->net->txq;
	struct tx *t;

	if (u->closed)
		return -SL_ECLOSED;
	t = sl_slab_get(q->slab);
	if (!t) {
		sl_count(net_meter(q->net, NET_dropped_queue_full));
		return -SL_EFULL;
	}
	sl_packet_ref(p);
	t->packet = p;
	t->data = p->data;
	t->item.len = (uint16_t)p->len;
	t->item.note = note_of(p);
	t->item.key = share;
	t->to = *to;
	if (from)
		t->from = *from;
	append(u, t);
	if (!u->blocked) {
		enlist(q, u);
	} else if (u->n_waiting > MAX_WAITING) {
		drop_one(u);
	}
	return 0;
}

/*
 * The queue of a socket that is being closed; its place in the tick's list is blanked, not
 * shifted.
 */
void txq_forget(struct sl_udp *u)
{
	struct txq *q = &u->net->txq;

	while (u->first)
		pop(u);
	for (unsigned i = 0; u->dirty && i < q->n_dirty; i++)
		if (q->dirty[i] == u)
			q->dirty[i] = NULL;
	u->dirty = false;
}
