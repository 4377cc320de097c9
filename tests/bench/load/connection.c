/*
 * bench/load/connection.c: ICE and DTLS of one connection on a plain UDP socket, by the core's
 * engines.
 *
 * Sockets are read as they become readable, or (poll=) in turn: a server whose sends wake nobody is
 * charged for what it does, as behind a network card, and not for our waking up. With gro= they take
 * a segmented message as it was sent: the server is not charged for cutting it up, either, which a
 * network card does.
 */
#include "bench/load/load.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "proto/rtc_caps.h"

enum { MAX_BATCH = 32, MAX_TRAIN = 65536 };

void send_bytes(const struct connection *c, const struct sl_addr *to, const void *data,
		       size_t len)
{
	struct sockaddr_storage sa;
	unsigned sa_len = sl_addr_to_sockaddr(&sa, to);

	(void)sendto(c->fd, data, len, 0, (struct sockaddr *)&sa, sa_len); /* as the network does */
}

static void on_ice_send(void *ctx, const struct ice_path *path, const uint8_t *data, size_t len)
{
	send_bytes(ctx, &path->remote, data, len);
}

static void on_path(void *ctx, const struct ice_path *path)
{
	(void)ctx;
	(void)path;
}

static void on_selected(void *ctx, const struct ice_path *path)
{
	struct connection *c = ctx;

	c->has_path = path != NULL;
	if (!path)
		return;
	c->path = *path;
	if (c->dtls)
		sl_dtls_start(c->dtls, now_ms());
}

static void on_ice_state(void *ctx, enum ice_state state, const char *why)
{
	(void)ctx;
	if (state != ICE_FAILED)
		return;
	fprintf(stderr, "sfu_load: ICE: %s\n", why);
	load.errors++;
}

static const struct ice_io ice_io = {on_ice_send, on_path, on_path, on_selected, on_ice_state};

/* The server may say its hello as soon as a check of ours has passed. */
static void on_dtls_send(void *arg, const uint8_t *data, size_t len)
{
	const struct connection *c = arg;

	if (c->has_path)
		send_bytes(c, &c->path.remote, data, len);
}

static const struct sl_dtls_io dtls_io = {.send = on_dtls_send};

static void copy_key(struct srtp_key *dst, const uint8_t *key, size_t key_len, const uint8_t *salt,
		     size_t salt_len)
{
	*dst = (struct srtp_key){0};
	memcpy(dst->key, key, key_len);
	memcpy(dst->salt, salt, salt_len);
}

static void secured(struct connection *c)
{
	struct sl_srtp_keys k;
	struct srtp_key ours, theirs;

	must(sl_dtls_srtp_keys(c->dtls, &k), "keys");
	copy_key(&ours, k.local_key, k.key_len, k.local_salt, k.salt_len);
	copy_key(&theirs, k.remote_key, k.key_len, k.remote_salt, k.salt_len);
	must(srtp_out_new(&c->out, k.profile, &ours), "keys");
	must(srtp_in_new(&c->in, k.profile, &theirs), "keys");
	(void)sl_dtls_slim(c->dtls);
	c->secured = true;
	settled(c->party);
}

static void dtls_moved(struct connection *c, enum sl_dtls_state state)
{
	if (state == SL_DTLS_OPEN && !c->secured)
		secured(c);
	if (state != SL_DTLS_FAILED)
		return;
	fprintf(stderr, "sfu_load: DTLS: %s\n", sl_dtls_reason(c->dtls));
	load.errors++;
	sl_dtls_free(c->dtls);
	c->dtls = NULL;
}

static void secure(struct connection *c)
{
	struct sl_str fingerprint = sl_str_c(c->theirs.fingerprint);
	struct sl_dtls_opts d = {.io = &dtls_io, .arg = c};

	d.hash = sl_str_split(&fingerprint, ' ');
	d.fingerprint = fingerprint;
	d.role = strcmp(c->theirs.setup, "passive") == 0 ? SL_DTLS_ACTIVE : SL_DTLS_PASSIVE;
	must(sl_dtls_new(load.dtls, &d, now_ms(), &c->dtls), "DTLS");
}

/* Again with each description of theirs. */
void connection_take_transport(struct connection *c)
{
	struct ice_candidate candidate;

	if (!c->dtls)
		secure(c);
	must(ice_set_remote(c->ice, sl_str_c(c->theirs.ufrag), sl_str_c(c->theirs.password),
			    c->theirs.lite, now_ms()),
	     "ICE");
	for (unsigned i = 0; i < c->theirs.n_candidates; i++)
		if (ice_candidate_parse(&candidate, sl_str_c(c->theirs.candidates[i])) == 0)
			(void)ice_add_remote(c->ice, &candidate, now_ms());
	ice_end_of_candidates(c->ice, now_ms());
}

struct jsep_transport connection_describe(const struct connection *c)
{
	struct jsep_transport t = {.end_of_candidates = true};
	struct ice_candidate own[ICE_MAX_LOCAL];

	t.n_candidates = ice_local_candidates(c->ice, own, 1);
	(void)ice_candidate_format(t.candidates[0], &own[0]);
	(void)sl_str_copy(t.ufrag, sizeof t.ufrag, sl_str_c(ice_ufrag(c->ice)));
	(void)sl_str_copy(t.password, sizeof t.password, sl_str_c(ice_password(c->ice)));
	(void)snprintf(t.fingerprint, sizeof t.fingerprint, "sha-256 %s",
		       sl_dtls_fingerprint(load.dtls));
	return t;
}

/* ---- what arrives */

static void on_stun(struct connection *c, const struct ice_path *path, const uint8_t *data,
		    size_t len)
{
	struct sl_stun_msg msg;

	if (sl_stun_parse(&msg, data, len) == 0)
		(void)ice_input(c->ice, path, &msg, now_ms());
}

static bool thrown_away(void)
{
	return opts.loss > 0 && roll() % 1000 < opts.loss;
}

static void on_datagram(struct connection *c, const struct sl_addr *from, uint8_t *data, size_t len)
{
	const struct ice_path path = {.local = c->local, .remote = *from};

	switch (sl_demux(data, len)) {
	case SL_DEMUX_STUN:
		on_stun(c, &path, data, len);
		break;
	case SL_DEMUX_DTLS:
		if (c->dtls)
			dtls_moved(c, sl_dtls_input(c->dtls, data, len, now_ms()));
		break;
	case SL_DEMUX_RTP:
		if (c->in && !thrown_away())
			receive_rtp(c, data, len);
		break;
	case SL_DEMUX_RTCP:
		if (c->in)
			report_input(c, data, len);
		break;
	default:
		break;
	}
}

/* Of a message that came as it was sent; else its length */
static size_t segment_of(struct msghdr *h, size_t len)
{
	const struct cmsghdr *m = CMSG_FIRSTHDR(h);
	int segment;

	if (!m || m->cmsg_level != SOL_UDP || m->cmsg_type != UDP_GRO)
		return len;
	memcpy(&segment, CMSG_DATA(m), sizeof segment);
	return segment > 0 ? (size_t)segment : len;
}

static void on_message(struct connection *c, struct msghdr *h, size_t len)
{
	const size_t segment = segment_of(h, len);
	uint8_t *data = h->msg_iov->iov_base;
	struct sl_addr from;

	if (sl_addr_from_sockaddr(&from, h->msg_name) < 0)
		return;
	for (size_t at = 0; at < len; at += segment)
		on_datagram(c, &from, data + at, len - at < segment ? len - at : segment);
}

/* False: there was less than a batch. */
static bool read_batch(struct connection *c)
{
	static uint8_t data[MAX_BATCH * MAX_TRAIN];
	static struct sockaddr_storage from[MAX_BATCH];
	static _Alignas(struct cmsghdr) uint8_t control[MAX_BATCH][CMSG_SPACE(sizeof(int))];
	const size_t room = opts.gro ? MAX_TRAIN : MTU;
	struct mmsghdr m[MAX_BATCH];
	struct iovec v[MAX_BATCH];
	int n;

	for (unsigned i = 0; i < MAX_BATCH; i++) {
		v[i] = (struct iovec){data + i * room, room};
		m[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
					       .msg_namelen = sizeof from[i],
					       .msg_iov = &v[i],
					       .msg_iovlen = 1,
					       .msg_control = opts.gro ? control[i] : NULL,
					       .msg_controllen = opts.gro ? sizeof control[i] : 0};
	}
	n = recvmmsg(c->fd, m, MAX_BATCH, 0, NULL);
	for (int i = 0; i < n; i++)
		on_message(c, &m[i].msg_hdr, m[i].msg_len);
	return n == MAX_BATCH;
}

void connection_read(struct connection *c)
{
	while (read_batch(c))
		continue;
}

static void on_readable(void *self)
{
	connection_read(self);
}

/* ---- opening */

/* Loopback; of servers that offer no candidate there, as Janus, this host's first other address. */
static struct in_addr own_address(void)
{
	struct in_addr own = {.s_addr = htonl(INADDR_LOOPBACK)};
	struct ifaddrs *all = NULL;

	if ((!opts.janus && !opts.away) || getifaddrs(&all) < 0)
		return own;
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		const struct sockaddr_in *sa = (const struct sockaddr_in *)i->ifa_addr;

		if (!sa || sa->sin_family != AF_INET || (i->ifa_flags & IFF_LOOPBACK))
			continue;
		own = sa->sin_addr;
		break;
	}
	freeifaddrs(all);
	return own;
}

static void bind_socket(struct connection *c)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = own_address()};
	socklen_t len = sizeof sa;
	int room = 4 << 20, gro = (int)opts.gro;

	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&sa, len) < 0 ||
	    getsockname(c->fd, (struct sockaddr *)&sa, &len) < 0)
		die("UDP socket");
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room); /* what we are let */
	if (setsockopt(c->fd, SOL_UDP, UDP_GRO, &gro, sizeof gro) < 0 && gro)
		die("UDP_GRO");
	must(sl_addr_from_sockaddr(&c->local, (struct sockaddr *)&sa), "address");
	if (opts.poll_us == 0)
		watch(c->fd, &c->source, on_readable, c);
}

/* What the core can do, or without transport-wide numbers. */
static const struct jsep_caps *caps(void)
{
	static uint8_t ext[16];
	static struct jsep_caps without;

	if (opts.feedback)
		return &rtc_caps_without_data;
	without = rtc_caps_without_data;
	without.n_video_ext = 0;
	for (unsigned i = 0; i < rtc_caps.n_video_ext && i < sizeof ext; i++)
		if (rtc_caps.video_ext[i] != SL_RTP_EXT_TWCC)
			ext[without.n_video_ext++] = rtc_caps.video_ext[i];
	without.video_ext = ext;
	return &without;
}

struct connection *connection_open(struct party *p, bool publishes)
{
	struct connection *c = calloc(1, sizeof *c);
	const struct ice_opts i = {.controlling = publishes, .tie_breaker = roll()};

	if (!c)
		die("memory");
	c->party = p;
	c->publishes = publishes;
	c->ssrc = (uint32_t)roll();
	bind_socket(c);
	must(ice_new(&c->ice, &i, &ice_io, c), "ICE");
	must(ice_add_local(c->ice, &c->local, NULL, 0, ICE_UDP), "ICE");
	must(jsep_new(&c->jsep, caps()), "JSEP");
	must(twcc_recv_new(&c->twcc), "feedback");
	return c;
}

/* ---- descriptions */

void connection_answered(struct connection *c, struct sl_str sdp)
{
	struct sl_sdp_error error;

	must(jsep_remote_answer(c->jsep, sdp, &c->theirs, &error), "the answer");
	connection_take_transport(c);
}

void connection_answer(struct party *p, struct sl_str sdp, struct sl_buf *b)
{
	struct jsep_transport own;
	struct sl_sdp_error error;

	if (!p->sub)
		p->sub = connection_open(p, false);
	must(jsep_remote_offer(p->sub->jsep, sdp, NULL, NULL, &p->sub->theirs, &error),
	     "the offer");
	own = connection_describe(p->sub);
	must(jsep_answer(p->sub->jsep, &own, b), "our answer");
	receive_streams(p->sub);
}

void connection_tick(struct connection *c, uint64_t now)
{
	if (ice_next_ms(c->ice) <= now)
		(void)ice_tick(c->ice, now);
	if (c->dtls && sl_dtls_timeout_ms(c->dtls) <= now)
		dtls_moved(c, sl_dtls_tick(c->dtls, now));
}
