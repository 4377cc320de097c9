/*
 * session/rtc_tcp.c: WebRTC clients whose network lets no UDP out: ICE over passive TCP (RFC 6544)
 * on the listeners' ports.
 *
 * Each message is framed by a length of two bytes (RFC 4571). A connection whose first frame is a
 * Binding request is taken before the modules see it, and is bound to the WebRTC connection that
 * the request names; one that another worker has goes there as a descriptor, its bytes still
 * unread. For that the workers tell each other their places, each when it starts. To ICE every TCP
 * connection is a base of its own. A client that does not read loses the oldest RTP, never a check
 * or a handshake.
 */
#include "session/rtc_impl.h"

#include <stdlib.h>
#include <unistd.h>
#include <sluice/module.h>
#include <sluice/stun.h>
#include "proto/ice_tcp.h"
#include "shm/shm.h"

enum {
	MAX_QUEUED = 256 * 1024,
	MAX_INPUT = 4 * (ICE_TCP_HEADER + SL_PACKET_MAX),
	IDLE_MS = 60000, /* consent is asked for every few seconds (RFC 7675) */
};

struct rtc_tcp {
	struct rtc_host *host; /* NULL: the worker stops */
	struct sl_conn *conn;
	struct sl_rtc *c;	      /* NULL: not bound yet, or not any more */
	uint32_t via;		      /* its number as a base, above all listeners' */
	struct rtc_tcp *next, **here; /* in rtc_host.unbound, or in sl_rtc.first_tcp */
};

/* ---- the workers' places */

enum { PLACE_ASKING = 1, PLACE_ANSWER };

/* What goes with a descriptor; between processes of one build or of two. */
struct visitor {
	uint16_t listener;
	uint8_t reserved[6];
	struct sl_addr remote, local;
};

static void tell_place(struct rtc_host *h, uint32_t to, uint16_t type)
{
	const struct sl_pass_place *place = sl_pass_place(h->pass);
	const struct iovec iov = {(void *)(uintptr_t)place, sizeof *place};
	int rc = to ? sl_channel_send(h->channel, to, type, &iov, 1)
		    : sl_channel_broadcast(h->channel, type, &iov, 1);

	if (rc < 0) /* that worker closes what it could have handed over, and counts it */
		sl_log(SL_LOG_DEBUG, "core", "a worker was not told where TCP connections go");
}

static void on_place(void *arg, const struct sl_channel_msg *m)
{
	struct rtc_host *h = arg;
	unsigned slot = owner_slot(m->from);

	if (m->data.len != sizeof h->places[0].place || slot >= h->n_places)
		return;
	h->places[slot].owner = m->from;
	memcpy(&h->places[slot].place, m->data.p, m->data.len);
	if (m->type == PLACE_ASKING)
		tell_place(h, m->from, PLACE_ANSWER);
}

/* NULL: this worker has it, or nobody, or somebody whose place is not known. */
static const struct sl_pass_place *place_of(const struct rtc_host *h, struct sl_str ufrag)
{
	char text[ICE_UFRAG_CHARS + 1];
	uint32_t index, owner;

	if (!h->places || ufrag.len > ICE_UFRAG_CHARS)
		return NULL;
	(void)sl_str_copy(text, sizeof text, ufrag);
	if (shm_find_ufrag(h->w->shm, text, &index, &owner) < 0 || owner_slot(owner) >= h->n_places)
		return NULL;
	return h->places[owner_slot(owner)].owner == owner ? &h->places[owner_slot(owner)].place
							   : NULL;
}

/* ---- whose is it? */

/* The first half of USERNAME; empty: none. */
static struct sl_str ufrag_of(const struct sl_stun_msg *msg)
{
	struct sl_str name = sl_stun_find_str(msg, SL_STUN_USERNAME);

	return sl_str_split(&name, ':');
}

/* ---- lists */

static void enlist(struct rtc_tcp *t, struct rtc_tcp **list)
{
	t->next = *list;
	if (t->next)
		t->next->here = &t->next;
	t->here = list;
	*list = t;
}

static void delist(struct rtc_tcp *t)
{
	if (!t->here)
		return;
	*t->here = t->next;
	if (t->next)
		t->next->here = t->here;
	t->here = NULL;
}

/* NULL: nobody's again */
static void bind_to(struct rtc_tcp *t, struct sl_rtc *c)
{
	delist(t);
	t->c = c;
	enlist(t, c ? &c->first_tcp : &t->host->unbound);
}

/* ---- to the client */

/* RTP may be missed, as over UDP; what repeats itself slowly or never may not. */
static size_t queued_frame(void *arg, const uint8_t *data, size_t len, bool *ret_media)
{
	size_t frame = ice_tcp_frame(data, len);

	(void)arg;
	*ret_media = frame > ICE_TCP_HEADER &&
		     sl_demux(data + ICE_TCP_HEADER, frame - ICE_TCP_HEADER) == SL_DEMUX_RTP;
	return frame;
}

/* Whole in one write, since the queue drops whole frames. */
void rtc_tcp_send(struct rtc_tcp *t, const uint8_t *data, size_t len)
{
	uint8_t frame[ICE_TCP_HEADER + SL_PACKET_MAX];
	int dropped;

	if (len > SL_PACKET_MAX)
		return;
	sl_put16(frame, (uint16_t)len);
	memcpy(frame + ICE_TCP_HEADER, data, len);
	dropped = sl_conn_write(t->conn, frame, ICE_TCP_HEADER + len);
	if (dropped != 0 && t->host)
		sl_count_n(&t->host->meters[RTC_tcp_dropped], dropped < 0 ? 1 : (uint64_t)dropped);
}

/* ---- from the client */

static struct ice_path path_of(const struct rtc_tcp *t)
{
	return (struct ice_path){
		.local = *sl_conn_local(t->conn),
		.remote = *sl_conn_remote(t->conn),
		.via = t->via,
		.tcp = true,
	};
}

static unsigned count_of(const struct sl_rtc *c)
{
	unsigned n = 0;

	for (const struct rtc_tcp *t = c->first_tcp; t; t = t->next)
		n++;
	return n;
}

/* Who cannot sign the first check is nobody's: less than a stranger may do by UDP, since a
 * connection is memory. */
static int bind_first(struct rtc_tcp *t, const uint8_t *data, size_t len)
{
	struct ice_path path = path_of(t);
	struct sl_stun_msg msg;
	struct sl_rtc *c;

	if (sl_stun_parse(&msg, data, len) < 0 || msg.method != SL_STUN_BINDING)
		return -SL_EPARSE;
	c = rtc_host_find(t->host, ufrag_of(&msg));
	if (!c || count_of(c) >= RTC_MAX_PATHS)
		return -SL_ENOENT;
	bind_to(t, c); /* the answer leaves by it */
	if (rtc_path_check(c, &path, &msg) != SL_DROP)
		return 0;
	bind_to(t, NULL);
	return -SL_EDENIED;
}

static int take_packet(struct rtc_tcp *t, const uint8_t *data, size_t len)
{
	struct ice_path path = path_of(t);
	struct sl_packet *p = sl_packet_new(t->host->w);

	if (!p) {
		rtc_count(t->c, RTC_no_packet);
		return 0;
	}
	memcpy(p->data, data, len);
	p->len = (uint32_t)len;
	p->from = path.remote;
	p->local = sl_conn_local(t->conn);
	p->demux = (uint8_t)sl_demux(data, len);
	p->time_ns = sl_loop_ns(t->host->w->loop);
	(void)rtc_path_input(t->c, &path, p); /* what is refused there is counted there */
	sl_packet_unref(p);
	return 0;
}

static int take_frame(struct rtc_tcp *t, const uint8_t *data, size_t len)
{
	int rc = 0;

	if (!t->host)
		return -SL_ECLOSED;
	if (t->c)
		return len > 0 ? take_packet(t, data, len) : 0;
	rc = bind_first(t, data, len);
	sl_count(&t->host->meters[rc < 0 ? RTC_tcp_refused : RTC_tcp_taken]);
	return rc;
}

static ptrdiff_t on_input(void *arg, struct sl_conn *conn, const uint8_t *data, size_t len)
{
	struct rtc_tcp *t = arg;
	size_t used = 0, frame;

	(void)conn;
	while ((frame = ice_tcp_frame(data + used, len - used)) > 0) {
		if (frame - ICE_TCP_HEADER > SL_PACKET_MAX ||
		    take_frame(t, data + used + ICE_TCP_HEADER, frame - ICE_TCP_HEADER) < 0)
			return -SL_EPARSE;
		used += frame;
	}
	if (ice_tcp_too_long(data + used, len - used))
		return -SL_EPARSE;
	return (ptrdiff_t)used;
}

/* ---- life */

static void forget(struct rtc_tcp *t)
{
	delist(t);
	t->host = NULL;
	t->c = NULL;
}

/* Called when a tick ends, so that no part of the connection is on the stack. */
static void on_closed(void *arg, struct sl_conn *conn, enum sl_close_reason why)
{
	struct rtc_tcp *t = arg;
	struct sl_rtc *c = t->c;

	(void)conn;
	(void)why;
	forget(t);
	if (c)
		rtc_path_lost(c, t, t->via);
	free(t);
}

static const struct sl_conn_ops ops = {
	.input = on_input,
	.closed = on_closed,
	.frame = queued_frame,
	.max_input = MAX_INPUT,
	.max_output = MAX_QUEUED,
	.idle_timeout_ms = IDLE_MS,
};

static struct rtc_tcp *tcp_new(struct rtc_host *h)
{
	struct rtc_tcp *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->host = h;
	t->via = RTC_VIA_TCP | h->n_tcp++; /* comes again after two thousand million */
	enlist(t, &h->unbound);
	return t;
}

struct rtc_tcp *rtc_tcp_find(const struct sl_rtc *c, uint32_t via)
{
	struct rtc_tcp *t = c->first_tcp;

	while (t && t->via != via)
		t = t->next;
	return t;
}

static void close_all(struct rtc_tcp **list)
{
	struct rtc_tcp *t;

	while ((t = *list)) {
		forget(t);
		sl_conn_close(t->conn, SL_CLOSE_OURS);
	}
}

void rtc_tcp_close(struct sl_rtc *c)
{
	close_all(&c->first_tcp);
}

/* ---- a connection's first bytes */

static int refuse(const struct rtc_host *h)
{
	sl_count(&h->meters[RTC_tcp_refused]);
	return SL_DROP;
}

static int take(struct rtc_host *h, struct sl_conn *conn)
{
	struct rtc_tcp *t = tcp_new(h);

	if (!t)
		return refuse(h);
	t->conn = conn;
	sl_conn_take(conn, &ops, t);
	return SL_DONE;
}

static int pass_on(struct rtc_host *h, struct sl_conn *conn, const struct sl_pass_place *to)
{
	struct visitor v;
	int fd;

	memset(&v, 0, sizeof v);
	v.listener = sl_conn_listener(conn)->index;
	v.remote = *sl_conn_remote(conn);
	v.local = *sl_conn_local(conn);
	fd = sl_conn_steal_fd(conn);
	if (fd < 0)
		return refuse(h);
	if (sl_pass_send(h->pass, to, &v, sizeof v, fd) < 0)
		sl_count(&h->meters[RTC_tcp_refused]);
	else
		sl_count(&h->meters[RTC_tcp_passed]);
	return SL_DONE;
}

int rtc_tcp_check(void *host, struct sl_conn *conn)
{
	struct rtc_host *h = host;
	struct sl_str bytes = sl_conn_peek(conn);
	const uint8_t *p = (const uint8_t *)bytes.p;
	const struct sl_pass_place *place;
	struct sl_stun_msg msg;
	size_t frame;

	if (!ice_tcp_may_be_check(p, bytes.len))
		return SL_DECLINED;
	frame = ice_tcp_frame(p, bytes.len);
	if (bytes.len < ICE_TCP_COOKIE_END || frame == 0)
		return SL_AGAIN;
	if (sl_stun_parse(&msg, p + ICE_TCP_HEADER, frame - ICE_TCP_HEADER) < 0)
		return refuse(h);
	if (rtc_host_find(h, ufrag_of(&msg)))
		return take(h, conn);
	place = place_of(h, ufrag_of(&msg));
	return place ? pass_on(h, conn, place) : refuse(h);
}

/* ---- what another worker hands over */

static const struct sl_listener *listener_by_index(const struct rtc_host *h, uint16_t index)
{
	const struct sl_listener *const *list;
	unsigned n = sl_listeners(h->w, &list);

	for (unsigned i = 0; i < n; i++)
		if (!list[i]->udp && list[i]->index == index)
			return list[i];
	return NULL;
}

static int adopt(struct rtc_host *h, const struct visitor *v, int fd)
{
	const struct sl_conn_source from = {
		.listener = listener_by_index(h, v->listener), /* NULL where it has gone */
		.remote = v->remote,
		.local = v->local,
		.fd = fd,
	};
	struct rtc_tcp *t = tcp_new(h);
	int rc = t ? sl_conn_adopt(h->w, &from, &ops, t, &t->conn) : -SL_ENOMEM;

	if (rc < 0 && t) {
		forget(t);
		free(t);
	}
	return rc;
}

static void on_visitor(void *arg, struct sl_str data, int fd)
{
	struct rtc_host *h = arg;
	struct visitor v;

	if (data.len == sizeof v) {
		memcpy(&v, data.p, sizeof v);
		if (adopt(h, &v, fd) == 0)
			return;
	}
	sl_count(&h->meters[RTC_tcp_refused]);
	close(fd);
}

/* ---- the host's part */

int rtc_tcp_open(struct rtc_host *h)
{
	int rc;

	if (!h->w->shm || !h->w->inbox)
		return 0; /* one process alone */
	h->n_places = shm_sizes(h->w->shm)->n_slots;
	h->places = calloc(h->n_places, sizeof *h->places);
	if (!h->places)
		return -SL_ENOMEM;
	rc = sl_pass_open(h->w, on_visitor, h, &h->pass);
	if (rc == 0)
		rc = sl_channel_open(h->w, "webrtc", on_place, h, &h->channel);
	if (rc == 0)
		tell_place(h, 0, PLACE_ASKING);
	return rc;
}

void rtc_tcp_stop(struct rtc_host *h)
{
	close_all(&h->unbound);
	if (h->channel)
		sl_channel_close(h->channel);
	sl_pass_close(h->pass);
	free(h->places);
}
