/*
 * bench/sfu_load.c: group calls: participants that join rooms over the WebSocket, publish synthetic
 * sound and pictures, and take whatever the others publish.
 *
 * Each has up to two connections, with the core's engines on plain UDP sockets: ICE, DTLS, SRTP,
 * descriptions, reports, transport-wide feedback. Payloads carry the time when they were sent. What
 * arrives is counted and told in feedback without being decrypted; only every n-th packet of a
 * stream is opened, for its time and to know that it can be, so that one core of load is enough for
 * one core of server. It prints "ready" when all are connected, "start" and "end" around the
 * measured time, and one line of JSON.
 *
 * What is said over the WebSocket stands under "the room" alone: another server's dialogue, or WHIP
 * and WHEP, would take its place.
 *
 *     sfu_load PORT [NAME=VALUE]...         options: the table `options` below
 */
#include <sluice/crypto.h>
#include <sluice/dtls.h>
#include <sluice/json.h>
#include "proto/bwe.h"
#include "proto/ice.h"
#include "proto/rtc_caps.h"
#include "proto/rtp_recv.h"
#include "proto/srtp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_STREAMS = 64, /* received on one connection */
	MAX_LAYERS = 4,	  /* sent: sound, and up to three encodings of the picture */
	MAX_BATCH = 32,
	MTU = 1500,
	AUDIO_BYTES = 160,
	VIDEO_BYTES = 1200,
	WS_BYTES = 1 << 18,
	STAMP = 12, /* at a payload's end: a mark, and when it was sent */
	TICK_NS = 10000000,
	FEEDBACK_MS = 50,
	REPORT_MS = 1000,
	SETUP_S = 60,
	MAX_DELAYS = 1 << 20,
};
static const uint32_t mark = 0x51c3a11e;
static const char *const rids[] = {"f", "h", "q"};

/* ---- options */

static struct {
	unsigned port, participants, publishers, rooms, audio, packets, fps, layers, open, loss,
		joins, seconds, warmup_ms, pid;
} o = {.participants = 3,
       .publishers = 1,
       .rooms = 1,
       .audio = 1,
       .packets = 4,
       .fps = 30,
       .layers = 1,
       .open = 16,
       .joins = 1000,
       .seconds = 2,
       .warmup_ms = 1000};

static const struct {
	const char *name;
	unsigned *value, max;
	const char *doc;
} options[] = {
	{"participants", &o.participants, 100000, "of all rooms together"},
	{"publishers", &o.publishers, 100000, "of each room; the others only listen"},
	{"rooms", &o.rooms, 100000, "participants are dealt to them one by one"},
	{"audio", &o.audio, 1, "whether publishers send sound, 50 packets of 160 bytes a second"},
	{"packets", &o.packets, 64, "of 1200 bytes in a frame of the largest encoding; 0: none"},
	{"fps", &o.fps, 10000, "frames a second; 0: tracks without a picture"},
	{"layers", &o.layers, 3, "encodings of a picture; 0: no video track"},
	{"open", &o.open, 65535, "each so many packets of a stream, one is decrypted"},
	{"loss", &o.loss, 999, "of 1000 packets that reach listeners, so many are thrown away"},
	{"joins", &o.joins, 100000, "a second"},
	{"seconds", &o.seconds, 3600, "that are measured; 0: idle until standard input ends"},
	{"warmup", &o.warmup_ms, 600000, "milliseconds between ready and start"},
	{"pid", &o.pid, UINT32_MAX, "the server's, whose CPU and that of its children is told"},
};

/* ---- what there is */

struct source { /* what epoll points to */
	void (*ready)(void *self);
	void *self;
};

struct layer { /* one stream that is sent */
	uint32_t ssrc, ts, packets, bytes;
	uint16_t seq, picture;
	unsigned index, n_packets; /* index: of the encoding; n_packets: in a frame */
	bool video, key_wanted;
	const struct jsep_media *m;
	struct srtp_out_stream seal;
};

struct stream { /* one that is received */
	uint32_t ssrc;
	unsigned n;
	struct rtp_recv *recv;
};

struct party;
struct connection {
	struct source source;
	struct party *party;
	int fd;
	bool publishes, secured;
	struct sl_addr local;
	struct ice_agent *ice;
	struct ice_path path;
	bool has_path;
	struct jsep *jsep;
	struct jsep_transport theirs;
	struct sl_dtls *dtls;
	struct srtp_in *in;
	struct srtp_out *out;
	struct sl_rtp_ext_map ext;
	struct twcc_recv *twcc;
	uint64_t feedback_ms, report_ms;
	uint16_t twcc_seq;
	uint32_t ssrc; /* of its reports */
	struct layer layers[MAX_LAYERS];
	unsigned n_layers;
	struct stream streams[MAX_STREAMS];
	unsigned n_streams;
};

struct party {
	struct source source;
	int fd;
	unsigned number;
	bool publishes, upgraded, done;
	uint64_t began_ns, audio_ns, video_ns; /* the latter: when the next packet is due */
	struct connection *pub, *sub;
	uint8_t *in;
	size_t len;
	uint32_t setup_us;
};

static struct {
	int epoll_fd;
	struct sl_dtls_ctx *dtls;
	struct party *parties;
	unsigned begun, done, errors;
	bool measuring;
	uint64_t sent, received, bytes, opened, not_opened, key_frames;
	uint32_t *delays;
	size_t n_delays;
	uint64_t dice;
} load = {.dice = 88172645463325252};

static void die(const char *what)
{
	fprintf(stderr, "sfu_load: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "sfu_load: %s: %s\n", what, sl_strerror(rc));
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now_ms(void)
{
	return now_ns() / 1000000;
}

static uint64_t roll(void) /* xorshift: the same throws in each run */
{
	load.dice ^= load.dice << 13;
	load.dice ^= load.dice >> 7;
	load.dice ^= load.dice << 17;
	return load.dice;
}

static void watch(int fd, struct source *s, void (*ready)(void *), void *self)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};

	*s = (struct source){ready, self};
	if (epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

/* ---- ICE and DTLS of a connection */

static void send_bytes(const struct connection *c, const struct sl_addr *to, const void *data,
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

static void settled(struct party *p)
{
	const struct connection *wanted = p->publishes ? p->pub : p->sub;

	if (p->done || !wanted || !wanted->secured)
		return;
	p->done = true;
	p->setup_us = (uint32_t)((now_ns() - p->began_ns) / 1000);
	load.done++;
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

/* What the server's description says of its transport; again with each description. */
static void take_transport(struct connection *c)
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

static struct jsep_transport transport_of(const struct connection *c)
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

static void on_datagrams(void *self);

static void bind_socket(struct connection *c)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	int room = 4 << 20;

	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&sa, len) < 0 ||
	    getsockname(c->fd, (struct sockaddr *)&sa, &len) < 0)
		die("UDP socket");
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room); /* what we are let */
	must(sl_addr_from_sockaddr(&c->local, (struct sockaddr *)&sa), "address");
	watch(c->fd, &c->source, on_datagrams, c);
}

static struct connection *open_connection(struct party *p, bool publishes)
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
	must(jsep_new(&c->jsep, &rtc_caps_without_data), "JSEP");
	must(twcc_recv_new(&c->twcc), "feedback");
	return c;
}

/* ---- sending */

static size_t put_header(const struct connection *c, const struct layer *l, bool marker,
			 uint8_t *dst)
{
	const struct sl_rtp_ext_map *map = &l->m->ext_out;
	struct sl_rtp_ext_writer w;
	uint8_t seq[2], level = 0x80 | 20;
	int len;

	dst[0] = 0x90;
	dst[1] = (uint8_t)((marker ? 0x80 : 0) | l->m->codecs[0].pt);
	sl_put16(dst + 2, l->seq);
	sl_put32(dst + 4, l->ts);
	sl_put32(dst + 8, l->ssrc);
	sl_rtp_ext_begin(&w, dst + SL_RTP_HEADER, 64);
	sl_put16(seq, c->twcc_seq);
	sl_rtp_ext_put(&w, map->id[SL_RTP_EXT_MID], l->m->mid, strlen(l->m->mid));
	if (map->id[SL_RTP_EXT_TWCC])
		sl_rtp_ext_put(&w, map->id[SL_RTP_EXT_TWCC], seq, sizeof seq);
	if (l->video && o.layers > 1 && map->id[SL_RTP_EXT_RID])
		sl_rtp_ext_put(&w, map->id[SL_RTP_EXT_RID], rids[l->index], 1);
	if (!l->video && map->id[SL_RTP_EXT_AUDIO_LEVEL])
		sl_rtp_ext_put(&w, map->id[SL_RTP_EXT_AUDIO_LEVEL], &level, 1);
	len = sl_rtp_ext_end(&w);
	must(len, "extensions");
	return SL_RTP_HEADER + (size_t)len;
}

/* A VP8 descriptor with a picture id of 15 bits; the frame's header before the first packet. */
static void put_picture(const struct layer *l, unsigned part, bool key, uint8_t *dst)
{
	const uint16_t width = (uint16_t)(1280 >> l->index), height = (uint16_t)(720 >> l->index);
	const uint8_t head[] = {0x10,
				0,
				0,
				0x9d,
				0x01,
				0x2a,
				(uint8_t)width,
				(uint8_t)(width >> 8),
				(uint8_t)height,
				(uint8_t)(height >> 8)};

	dst[0] = part == 0 ? 0x90 : 0x80;
	dst[1] = 0x80;
	sl_put16(dst + 2, 0x8000 | l->picture);
	if (part > 0)
		return;
	memcpy(dst + 4, head, sizeof head);
	if (!key)
		dst[4] |= 1;
}

static void send_packet(struct connection *c, struct layer *l, unsigned part, bool marker, bool key)
{
	uint8_t packet[MTU], payload[VIDEO_BYTES] = {0};
	size_t len = l->video ? VIDEO_BYTES : AUDIO_BYTES;
	int whole;

	if (l->video)
		put_picture(l, part, key, payload);
	sl_put32(payload + len - STAMP, mark);
	sl_put64(payload + len - STAMP + 4, now_ns());
	whole = srtp_seal_rtp(c->out, &l->seal, packet, put_header(c, l, marker, packet), payload,
			      len);
	must(whole, "sealing");
	send_bytes(c, &c->path.remote, packet, (size_t)whole);
	c->twcc_seq++;
	l->seq++;
	l->packets++;
	l->bytes += (uint32_t)len;
	if (load.measuring)
		load.sent++;
}

static void send_frame(struct connection *c, struct layer *l)
{
	bool key = l->key_wanted;

	l->key_wanted = false;
	load.key_frames += key;
	for (unsigned i = 0; i < l->n_packets; i++)
		send_packet(c, l, i, i + 1 == l->n_packets, key);
	l->picture = (l->picture + 1) & 0x7fff;
	l->ts += 90000 / o.fps;
}

static void send_sound(struct connection *c, struct layer *l)
{
	send_packet(c, l, 0, false, false);
	l->ts += 960;
}

/* What is due by now; after a long pause what was missed is left out. */
static void publish(struct party *p, uint64_t now)
{
	struct connection *c = p->pub;

	if (!c || !c->secured || !c->has_path)
		return;
	if (now > p->audio_ns + UINT64_C(200000000))
		p->audio_ns = p->video_ns = now;
	for (; p->audio_ns <= now; p->audio_ns += 20000000)
		for (unsigned i = 0; i < c->n_layers; i++)
			if (!c->layers[i].video)
				send_sound(c, &c->layers[i]);
	for (; o.fps > 0 && p->video_ns <= now; p->video_ns += 1000000000 / o.fps)
		for (unsigned i = 0; i < c->n_layers; i++)
			if (c->layers[i].video)
				send_frame(c, &c->layers[i]);
}

static uint64_t publish_all(void)
{
	uint64_t now = now_ns(), next = now + TICK_NS;

	for (unsigned i = 0; i < load.begun; i++) {
		const struct party *p = &load.parties[i];

		if (!p->publishes)
			continue;
		publish(&load.parties[i], now);
		if (p->pub && p->pub->secured && p->audio_ns < next)
			next = p->audio_ns;
		if (p->pub && p->pub->secured && o.fps > 0 && p->video_ns < next)
			next = p->video_ns;
	}
	return next;
}

/* ---- receiving */

static struct stream *find_stream(struct connection *c, uint32_t ssrc)
{
	for (unsigned i = 0; i < c->n_streams; i++)
		if (c->streams[i].ssrc == ssrc)
			return &c->streams[i];
	return NULL;
}

static void add_stream(struct connection *c, uint32_t ssrc, enum sl_media_kind kind)
{
	struct stream *s = &c->streams[c->n_streams];

	if (!ssrc || c->n_streams == MAX_STREAMS || find_stream(c, ssrc))
		return;
	s->ssrc = ssrc;
	must(rtp_recv_new(&s->recv, ssrc, kind == SL_MEDIA_AUDIO ? 48000 : 90000, false), "stream");
	c->n_streams++;
}

static void take_streams(struct connection *c)
{
	for (unsigned i = 0; i < jsep_count(c->jsep); i++) {
		const struct jsep_media *m = jsep_at(c->jsep, i);

		if (m->rejected || m->n_theirs == 0)
			continue;
		c->ext = m->ext;
		add_stream(c, m->theirs[0].media, m->kind);
	}
}

/* The sender's clock is ours. */
static void open_packet(struct connection *c, uint8_t *data, size_t len)
{
	uint64_t now = now_ns();

	if (srtp_open_rtp(c->in, data, &len) < 0) {
		load.not_opened++;
		return;
	}
	load.opened++;
	if (len < STAMP || sl_get32(data + len - STAMP) != mark || load.n_delays == MAX_DELAYS)
		return;
	load.delays[load.n_delays++] = (uint32_t)((now - sl_get64(data + len - STAMP + 4)) / 1000);
}

/* Headers are plain. The last byte, which would tell how much padding there is, is not. */
static void on_rtp(struct connection *c, uint8_t *data, size_t len)
{
	bool padded = data[0] & 0x20;
	uint8_t first = data[0];
	struct stream *s;
	struct sl_rtp rtp;
	struct sl_str seq;
	uint64_t number;

	data[0] &= (uint8_t)~0x20;
	if (sl_rtp_parse(&rtp, data, len) < 0)
		return;
	sl_rtp_ext_index(&rtp, &c->ext);
	seq = sl_rtp_ext_value(&rtp, SL_RTP_EXT_TWCC);
	if (seq.len == 2)
		twcc_recv_packet(c->twcc, sl_get16(seq.p), now_ns());
	s = find_stream(c, rtp.ssrc);
	data[0] = first;
	if (!s)
		return; /* repeats, and padding that probes the way */
	(void)rtp_recv_packet(s->recv, &rtp, false, now_ns(), &number);
	if (!load.measuring)
		return;
	load.received++;
	load.bytes += len;
	if (!padded && s->n++ % o.open == 0)
		open_packet(c, data, len);
}

static void ask_key_frame(struct connection *c, const struct sl_rtcp_block *b)
{
	uint32_t sender, ssrc;
	uint8_t number;

	if (sl_rtcp_read_feedback(b, &sender, &ssrc) < 0)
		return;
	if (b->count == SL_RTCP_FIR && sl_rtcp_read_fir(b, 0, &ssrc, &number) < 0)
		return;
	if (b->count != SL_RTCP_FIR && b->count != SL_RTCP_PLI)
		return;
	for (unsigned i = 0; i < c->n_layers; i++)
		if (c->layers[i].ssrc == ssrc)
			c->layers[i].key_wanted = true;
}

static void on_rtcp(struct connection *c, uint8_t *data, size_t len)
{
	struct sl_rtcp_block b = {0};
	struct sl_rtcp_sr sr;
	struct stream *s;

	if (srtp_open_rtcp(c->in, data, &len) < 0 || sl_rtcp_check(data, len) < 0)
		return;
	while (sl_rtcp_next(data, len, &b))
		if (b.type == SL_RTCP_PSFB)
			ask_key_frame(c, &b);
		else if (b.type == SL_RTCP_SR && sl_rtcp_read_sr(&b, &sr) == 0 &&
			 (s = find_stream(c, sr.ssrc)))
			rtp_recv_sr(s->recv, &sr, now_ns());
}

static void on_stun(struct connection *c, const struct ice_path *path, const uint8_t *data,
		    size_t len)
{
	struct sl_stun_msg msg;

	if (sl_stun_parse(&msg, data, len) == 0)
		(void)ice_input(c->ice, path, &msg, now_ms());
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
		if (c->in && (o.loss == 0 || roll() % 1000 >= o.loss))
			on_rtp(c, data, len);
		break;
	case SL_DEMUX_RTCP:
		if (c->in)
			on_rtcp(c, data, len);
		break;
	default:
		break;
	}
}

static void on_datagrams(void *self)
{
	static uint8_t data[MAX_BATCH][MTU];
	static struct sockaddr_storage from[MAX_BATCH];
	struct mmsghdr m[MAX_BATCH];
	struct iovec v[MAX_BATCH];
	struct connection *c = self;
	struct sl_addr addr;
	int n;

	for (unsigned i = 0; i < MAX_BATCH; i++) {
		v[i] = (struct iovec){data[i], MTU};
		m[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
					       .msg_namelen = sizeof from[i],
					       .msg_iov = &v[i],
					       .msg_iovlen = 1};
	}
	n = recvmmsg(c->fd, m, MAX_BATCH, 0, NULL);
	for (int i = 0; i < n; i++)
		if (sl_addr_from_sockaddr(&addr, (struct sockaddr *)&from[i]) == 0)
			on_datagram(c, &addr, data[i], m[i].msg_len);
}

/* ---- reports */

static void send_rtcp(struct connection *c, uint8_t *data, size_t len)
{
	int whole = srtp_seal_rtcp(c->out, data, len);

	if (whole > 0 && c->has_path)
		send_bytes(c, &c->path.remote, data, (size_t)whole);
}

static void send_feedback(struct connection *c)
{
	uint8_t data[MTU];
	size_t len;

	while ((len = twcc_recv_feedback(c->twcc, c->ssrc, c->n_streams ? c->streams[0].ssrc : 0,
					 data, MTU - 100, now_ns())) > 0)
		send_rtcp(c, data, len);
}

static uint64_t ntp_now(void)
{
	uint64_t now = now_ns();

	return (now / 1000000000) << 32 | (now % 1000000000 << 32) / 1000000000;
}

static void send_sender_reports(struct connection *c)
{
	for (unsigned i = 0; i < c->n_layers; i++) {
		const struct layer *l = &c->layers[i];
		const struct sl_rtcp_sr sr = {l->ssrc, ntp_now(), l->ts, l->packets, l->bytes};
		struct sl_rtcp_writer w;
		uint8_t data[256];

		sl_rtcp_begin(&w, data, sizeof data - SRTP_MAX_OVERHEAD);
		sl_rtcp_put_report(&w, l->ssrc, &sr, NULL, 0);
		sl_rtcp_put_cname(&w, l->ssrc, SL_STR("load"));
		send_rtcp(c, data, w.len);
	}
}

static void send_receiver_report(struct connection *c)
{
	struct sl_rtcp_report reports[31];
	struct sl_rtcp_writer w;
	uint8_t data[MTU];
	unsigned n = 0;

	for (; n < c->n_streams && n < SL_ARRAY_LEN(reports); n++)
		rtp_recv_report(c->streams[n].recv, now_ns(), &reports[n]);
	sl_rtcp_begin(&w, data, sizeof data - SRTP_MAX_OVERHEAD);
	sl_rtcp_put_report(&w, c->ssrc, NULL, reports, n);
	sl_rtcp_put_cname(&w, c->ssrc, SL_STR("load"));
	send_rtcp(c, data, w.len);
}

static void report(struct connection *c, uint64_t now)
{
	if (!c->secured)
		return;
	if (now >= c->feedback_ms) {
		c->feedback_ms = now + FEEDBACK_MS;
		send_feedback(c);
	}
	if (now < c->report_ms)
		return;
	c->report_ms = now + REPORT_MS;
	if (c->publishes)
		send_sender_reports(c);
	else
		send_receiver_report(c);
}

static void tick(struct connection *c, uint64_t now)
{
	if (!c)
		return;
	if (ice_next_ms(c->ice) <= now)
		(void)ice_tick(c->ice, now);
	if (c->dtls && sl_dtls_timeout_ms(c->dtls) <= now)
		dtls_moved(c, sl_dtls_tick(c->dtls, now));
	report(c, now);
}

/* ---- WebSocket (RFC 6455 section 5.2); masked with zeros, which is masked and costs nothing */

static void say(struct party *p, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t len = strlen(text), head = len < 126 ? 2 : 4;
	uint8_t frame[8] = {0x81, (uint8_t)(0x80 | (len < 126 ? len : 126))};

	if (head == 4)
		sl_put16(frame + 2, (uint16_t)len);
	if (len > UINT16_MAX || send(p->fd, frame, head + 4, MSG_NOSIGNAL | MSG_MORE) < 0 ||
	    send(p->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("WebSocket");
	free(text);
	json_decref(message);
}

/* Length of the whole frame at p, 0: not all of it is there. A server's frames are not masked. */
static size_t frame_at(const uint8_t *p, size_t len, size_t *ret_head)
{
	size_t body;

	if (len < 10 && (len < 2 || (p[1] & 127) > 125))
		return 0;
	body = p[1] & 127;
	*ret_head = body == 127 ? 10 : body == 126 ? 4 : 2;
	if (body == 126)
		body = sl_get16(p + 2);
	else if (body == 127)
		body = (size_t)sl_get64(p + 2);
	return *ret_head + body <= len ? *ret_head + body : 0;
}

/* ---- the room: what is said to join, publish and listen (modules/sfu/README.md) */

static void add_layer(struct connection *c, const struct jsep_media *m, unsigned index)
{
	struct layer *l = &c->layers[c->n_layers++];

	*l = (struct layer){.ssrc = (uint32_t)roll() | 1,
			    .m = m,
			    .index = index,
			    .video = m->kind == SL_MEDIA_VIDEO,
			    .key_wanted = true};
	if (o.packets > 0)
		l->n_packets = o.packets >> 2 * index ? o.packets >> 2 * index : 1;
}

static struct jsep_media *add_track(struct connection *c, enum sl_media_kind kind)
{
	const bool video = kind == SL_MEDIA_VIDEO;
	struct jsep_media *m;

	must(jsep_add(c->jsep, kind, JSEP_SEND, &m), "track");
	must(jsep_prefer(c->jsep, m, video ? rtc_caps.video : rtc_caps.audio, 1), "codec");
	(void)snprintf(m->stream, sizeof m->stream, "s");
	(void)snprintf(m->track, sizeof m->track, "t%d", (int)kind);
	(void)snprintf(m->cname, sizeof m->cname, "load");
	for (unsigned i = 0; i < (video ? o.layers : 1); i++)
		add_layer(c, m, i);
	if (!video || o.layers == 1) /* else the rids say which is which */
		m->ours.media = c->layers[c->n_layers - 1].ssrc;
	return m;
}

/* The engine is a server's and offers to receive encodings only; video is the last section. */
static void offer_encodings(struct sl_buf *b)
{
	for (unsigned i = 0; i < o.layers; i++)
		sl_buf_printf(b, "a=rid:%s send\r\n", rids[i]);
	sl_buf_printf(b, "a=simulcast:send f;h%s\r\n", o.layers > 2 ? ";q" : "");
}

static json_t *track_json(const struct jsep_media *m, const char *source)
{
	return json_pack("{s:s, s:s}", "mid", m->mid, "source", source);
}

static void say_publish(struct party *p)
{
	struct jsep_media *sound = NULL, *picture = NULL;
	struct connection *c = open_connection(p, true);
	struct jsep_transport own = transport_of(c);
	json_t *tracks = json_array();
	struct sl_buf b;

	p->pub = c;
	if (o.audio)
		sound = add_track(c, SL_MEDIA_AUDIO);
	if (o.layers > 0)
		picture = add_track(c, SL_MEDIA_VIDEO);
	sl_buf_init(&b, 0);
	must(jsep_offer(c->jsep, &own, &b), "offer");
	if (o.layers > 1)
		offer_encodings(&b);
	if (sound)
		(void)json_array_append_new(tracks, track_json(sound, "microphone"));
	if (picture)
		(void)json_array_append_new(tracks, track_json(picture, "camera"));
	say(p, json_pack("{s:s, s:s#, s:o}", "type", "publish", "sdp", b.p, (int)b.len, "tracks",
			 tracks));
	sl_buf_free(&b);
}

static void on_welcome(struct party *p)
{
	if (p->publishes)
		say_publish(p);
	say(p, json_pack("{s:s, s:b}", "type", "subscribe", "auto", 1));
}

static void on_published(struct party *p, const json_t *m)
{
	struct sl_sdp_error error;

	must(jsep_remote_answer(p->pub->jsep, sl_json_get_str(m, "sdp"), &p->pub->theirs, &error),
	     "the answer");
	take_transport(p->pub);
}

static void on_offer(struct party *p, const json_t *m)
{
	struct jsep_transport own;
	struct sl_sdp_error error;
	struct sl_buf b;

	if (!p->sub)
		p->sub = open_connection(p, false);
	sl_buf_init(&b, 0);
	must(jsep_remote_offer(p->sub->jsep, sl_json_get_str(m, "sdp"), NULL, NULL, &p->sub->theirs,
			       &error),
	     "the offer");
	own = transport_of(p->sub);
	must(jsep_answer(p->sub->jsep, &own, &b), "our answer");
	take_streams(p->sub);
	say(p, json_pack("{s:s, s:s#, s:O}", "type", "sub-answer", "sdp", b.p, (int)b.len, "n",
			 json_object_get(m, "n")));
	sl_buf_free(&b);
	take_transport(p->sub);
}

static void on_text(struct party *p, const uint8_t *text, size_t len)
{
	json_t *m = json_loadb((const char *)text, len, 0, NULL);
	const char *type = json_string_value(json_object_get(m, "type"));

	if (!type)
		die("a message without type");
	if (strcmp(type, "welcome") == 0)
		on_welcome(p);
	else if (strcmp(type, "published") == 0)
		on_published(p, m);
	else if (strcmp(type, "sub-offer") == 0)
		on_offer(p, m);
	if (strcmp(type, "error") == 0) {
		fprintf(stderr, "sfu_load: refused: %.*s\n", (int)len, (const char *)text);
		load.errors++;
	}
	if (json_object_get(m, "seq"))
		say(p, json_pack("{s:s, s:O}", "type", "ack", "seq", json_object_get(m, "seq")));
	json_decref(m);
}

static void say_hello(struct party *p)
{
	char room[40], name[32];

	(void)snprintf(room, sizeof room, "load-%d-%u", (int)getpid(), p->number % o.rooms);
	(void)snprintf(name, sizeof name, "p%u", p->number);
	say(p, json_pack("{s:s, s:i}", "type", "hello", "version", 1));
	say(p, json_pack("{s:s, s:s, s:s}", "type", "join", "room", room, "name", name));
}

static size_t take_upgrade(struct party *p)
{
	const uint8_t *end = memmem(p->in, p->len, "\r\n\r\n", 4);

	if (!end)
		return 0;
	if (p->len < 12 || memcmp(p->in, "HTTP/1.1 101", 12) != 0)
		die("no WebSocket");
	p->upgraded = true;
	say_hello(p);
	return (size_t)(end - p->in) + 4;
}

static void on_web(void *self)
{
	struct party *p = self;
	ssize_t got = recv(p->fd, p->in + p->len, WS_BYTES - p->len, MSG_DONTWAIT);
	size_t at = 0, head, n;

	if (got == 0)
		die("closed by the server");
	if (got < 0)
		return;
	p->len += (size_t)got;
	if (!p->upgraded)
		at = take_upgrade(p);
	while (p->upgraded && (n = frame_at(p->in + at, p->len - at, &head)) > 0) {
		if ((p->in[at] & 15) == 1)
			on_text(p, p->in + at + head, n - head);
		at += n;
	}
	memmove(p->in, p->in + at, p->len - at);
	p->len -= at;
}

static void begin(struct party *p)
{
	static const char request[] =
		"GET /signal HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		"Sec-WebSocket-Version: 13\r\n\r\n";
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)o.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int on = 1;

	p->began_ns = now_ns();
	p->in = malloc(WS_BYTES); /* touched only as far as messages are long */
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!p->in || p->fd < 0 || connect(p->fd, (const struct sockaddr *)&to, sizeof to) < 0)
		die("connect");
	(void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* slower without */
	if (send(p->fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
		die("upgrade");
	watch(p->fd, &p->source, on_web, p);
}

/* ---- the run */

/* Publishers first, so that who listens finds what there is. */
static void begin_some(uint64_t since_ns)
{
	uint64_t due = (now_ns() - since_ns) * o.joins / 1000000000 + 1;

	for (; load.begun < o.participants && load.begun < due; load.begun++) {
		struct party *p = &load.parties[load.begun];

		p->number = load.begun;
		p->publishes = p->number / o.rooms < o.publishers;
		begin(p);
	}
}

static void pump(void)
{
	static uint64_t next_tick_ms;
	uint64_t next = publish_all(), now = now_ns();
	struct timespec wait = {.tv_nsec = next > now ? (long)(next - now) : 0};
	struct epoll_event ready[256];
	int n = epoll_pwait2(load.epoll_fd, ready, 256, &wait, NULL);

	for (int i = 0; i < n; i++) {
		struct source *s = ready[i].data.ptr;

		s->ready(s->self);
	}
	now = now_ms();
	if (now < next_tick_ms)
		return;
	next_tick_ms = now + TICK_NS / 1000000;
	for (unsigned i = 0; i < load.begun; i++) {
		tick(load.parties[i].pub, now);
		tick(load.parties[i].sub, now);
	}
}

static void pump_until(uint64_t end_ns)
{
	while (now_ns() < end_ns)
		pump();
}

static void set_up(void)
{
	uint64_t since = now_ns();

	while (load.done < o.participants) {
		begin_some(since);
		pump();
		if (load.errors == 0 && now_ns() - since < SETUP_S * UINT64_C(1000000000))
			continue;
		fprintf(stderr, "sfu_load: %u of %u participants connected, %u errors\n", load.done,
			o.participants, load.errors);
		exit(1);
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sorts; 0 of nothing. */
static uint32_t permille(uint32_t *values, size_t n, size_t which)
{
	qsort(values, n, sizeof *values, by_size);
	return n > 0 ? values[(n - 1) * which / 1000] : 0;
}

static uint64_t count_lost(void)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < o.participants; i++) {
		struct connection *c = load.parties[i].sub;

		for (unsigned k = 0; c && k < c->n_streams; k++) {
			struct rtp_recv_stats s;

			rtp_recv_get_stats(c->streams[k].recv, &s);
			lost += s.lost;
		}
	}
	return lost;
}

/* Clock ticks that one process has used, user and system. */
static uint64_t ticks_of(unsigned long pid)
{
	unsigned long user = 0, system = 0;
	char path[64], line[1024];
	const char *rest = NULL;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%lu/stat", pid);
	f = fopen(path, "re");
	if (f && fgets(line, sizeof line, f))
		rest = strrchr(line, ')');
	if (rest)
		(void)sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			     &user, &system);
	if (f)
		fclose(f);
	return user + system;
}

static double server_cpu(void)
{
	uint64_t ticks = o.pid ? ticks_of(o.pid) : 0;
	unsigned long child;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%u/task/%u/children", o.pid, o.pid);
	f = o.pid ? fopen(path, "re") : NULL;
	while (f && fscanf(f, "%lu", &child) == 1)
		ticks += ticks_of(child);
	if (f)
		fclose(f);
	return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct measured {
	double seconds, server_s, generator_s;
	uint64_t lost;
};

static void tell(const struct measured *m)
{
	uint32_t *setup = calloc(o.participants, sizeof *setup);
	size_t n = o.participants;

	if (!setup)
		die("memory");
	for (unsigned i = 0; i < n; i++)
		setup[i] = load.parties[i].setup_us;
	printf("{\"participants\":%u,\"setup_ms_p50\":%u,\"setup_ms_p99\":%u,\"setup_ms_max\":%u,"
	       "\"errors\":%u,",
	       o.participants, permille(setup, n, 500) / 1000, permille(setup, n, 990) / 1000,
	       permille(setup, n, 1000) / 1000, load.errors);
	printf("\"seconds\":%.3f,\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"bytes\":%" PRIu64
	       ",\"lost\":%" PRIu64 ",\"key_frames\":%" PRIu64 ",",
	       m->seconds, load.sent, load.received, load.bytes, m->lost, load.key_frames);
	printf("\"opened\":%" PRIu64 ",\"not_opened\":%" PRIu64
	       ",\"delay_us_p50\":%u,\"delay_us_p99\":%u,\"delay_us_max\":%u,",
	       load.opened, load.not_opened, permille(load.delays, load.n_delays, 500),
	       permille(load.delays, load.n_delays, 990),
	       permille(load.delays, load.n_delays, 1000));
	printf("\"server_cpu_s\":%.2f,\"server_us_per_packet\":%.3f,\"generator_cpu_s\":%.2f}\n",
	       m->server_s, load.received ? m->server_s * 1e6 / (double)load.received : 0.0,
	       m->generator_s);
	free(setup);
}

static void measure(void)
{
	struct measured m = {.server_s = -server_cpu(), .generator_s = -own_cpu()};
	uint64_t start = now_ns(), lost = count_lost();

	puts("start");
	load.measuring = true;
	pump_until(start + o.seconds * UINT64_C(1000000000));
	load.measuring = false;
	puts("end");
	m.seconds = (double)(now_ns() - start) / 1e9;
	m.server_s += server_cpu();
	m.generator_s += own_cpu();
	m.lost = count_lost() - lost;
	tell(&m);
}

/* Reports and consent go on; media, if any, too. */
static void idle(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char c;

	do
		pump();
	while (poll(&in, 1, 0) == 0 || read(STDIN_FILENO, &c, 1) > 0);
}

/* ---- start */

static void usage(void)
{
	fputs("usage: sfu_load PORT [NAME=VALUE]...\n", stderr);
	for (unsigned i = 0; i < SL_ARRAY_LEN(options); i++)
		fprintf(stderr, "  %-13s %s (%u)\n", options[i].name, options[i].doc,
			*options[i].value);
	exit(2);
}

static unsigned number(struct sl_str text, unsigned max)
{
	uint64_t n;

	if (sl_str_u64(text, &n) < 0 || n > max)
		usage();
	return (unsigned)n;
}

static void set_option(struct sl_str text)
{
	struct sl_str name = sl_str_split(&text, '=');

	for (unsigned i = 0; i < SL_ARRAY_LEN(options); i++)
		if (sl_str_eq(name, sl_str_c(options[i].name))) {
			*options[i].value = number(text, options[i].max);
			return;
		}
	usage();
}

int main(int argc, char **argv)
{
	if (argc < 2)
		usage();
	o.port = number(sl_str_c(argv[1]), 65535);
	for (int i = 2; i < argc; i++)
		set_option(sl_str_c(argv[i]));
	if (o.rooms == 0 || o.joins == 0 || o.open == 0 || (o.packets == 0 && o.fps > 0))
		usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	load.parties = calloc(o.participants, sizeof *load.parties);
	load.delays = calloc(MAX_DELAYS, sizeof *load.delays);
	if (load.epoll_fd < 0 || !load.parties || !load.delays)
		die("start");
	must(sl_dtls_ctx_new(SL_DTLS_SRTP, &load.dtls), "certificate");
	set_up();
	puts("ready");
	if (o.seconds == 0) {
		idle();
		return 0;
	}
	pump_until(now_ns() + o.warmup_ms * UINT64_C(1000000));
	measure();
	return 0;
}
