/*
 * bench/load/load.h: what the files of sfu_load share.
 *
 *     connection.c    ICE and DTLS of a connection, on a plain UDP socket
 *     publish.c       synthetic sound and pictures, sent when they are due
 *     receive.c       what arrives: counted, now and then opened, asked for again
 *     report.c        RTCP: reports, transport-wide feedback, requests for lost packets
 *     room_sluice.c   what is said to join, publish and listen (modules/sfu/README.md)
 *     room_janus.c    the same with Janus' VideoRoom, for comparison
 *     ws.c            the WebSocket under both
 *
 * The run itself, its options and what it tells are in ../sfu_load.c. One thread, one epoll.
 */
#ifndef BENCH_LOAD_LOAD_H
#define BENCH_LOAD_LOAD_H

#include <sluice/crypto.h>
#include <sluice/dtls.h>
#include <sluice/json.h>
#include "bench/load/ws.h"
#include "proto/bwe.h"
#include "proto/ice.h"
#include "proto/jsep.h"
#include "proto/rtp_recv.h"
#include "proto/srtp.h"

enum {
	MAX_STREAMS = 64, /* received on one connection */
	MAX_LAYERS = 4,	  /* sent: sound, and up to three encodings of the picture */
	MTU = 1500,
	WS_BYTES = 1 << 18,
	STAMP = 12, /* at a payload's end: a mark, and when it was sent */
	TICK_NS = 10000000,
	MAX_DELAYS = 1 << 20,
};
#define LOAD_MARK 0x51c3a11eu

extern struct load_options {
	unsigned port, janus, away, room, participants, publishers, rooms, audio, packets, fps, layers, open,
		loss, joins, seconds, warmup_ms, poll_us, gro, feedback, pid;
} opts;

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
	uint32_t ssrc, rtx; /* rtx 0: what is lost stays lost */
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
	struct ws ws;
	unsigned number;
	bool publishes, done;
	uint64_t began_ns, audio_ns, video_ns; /* the latter: when the next packet is due */
	struct connection *pub, *sub;
	uint32_t setup_us;
	uint64_t session, handles[2]; /* Janus': of publishing and of listening */
	unsigned n_feeds;	      /* asked for, of Janus */
};

/* What is said over the WebSocket. */
struct dialogue {
	const char *path, *protocol;
	void (*opened)(struct party *p);
	void (*text)(struct party *p, const json_t *m);
};
extern const struct dialogue room_sluice, room_janus;

extern struct load {
	int epoll_fd;
	struct sl_dtls_ctx *dtls;
	struct party *parties;
	unsigned begun, done, errors;
	bool measuring;
	uint64_t sent, received, bytes, opened, not_opened, key_frames, asked;
	uint32_t *delays;
	size_t n_delays;
} load;

/* ---- ../sfu_load.c; the first two end the program */
void die(const char *what);
void must(int rc, const char *what);
uint64_t now_ns(void);
uint64_t now_ms(void);
uint64_t roll(void);
void watch(int fd, struct source *s, void (*ready)(void *), void *self);
/* The text's reference is taken. */
void say(const struct party *p, json_t *message);
/* The server says no: told, and counted. */
void refused(const json_t *message);
/* Whether a party has what it came for is looked at again. */
void settled(struct party *p);

/* ---- connection.c */
struct connection *connection_open(struct party *p, bool publishes);
struct jsep_transport connection_describe(const struct connection *c);
/* The server's answer to our offer */
void connection_answered(struct connection *c, struct sl_str sdp);
/* The server's offer to p->sub, which is made if need be: our answer goes into b, and after it is
 * said, connection_take_transport. */
void connection_answer(struct party *p, struct sl_str sdp, struct sl_buf *b);
void connection_take_transport(struct connection *c);
void connection_tick(struct connection *c, uint64_t now_ms);
/* What has arrived since the last time */
void connection_read(struct connection *c);
/* As the network does: may get lost */
void send_bytes(const struct connection *c, const struct sl_addr *to, const void *data, size_t len);

/* ---- publish.c */
/* The tracks that the options ask for, with their layers, as our offer: b is for SDP, and tracks[0]
 * is sound, tracks[1] the picture, NULL where there is none. */
void publish_offer(struct connection *c, struct sl_buf *b, struct jsep_media *tracks[2]);
/* Sends what is due; returns when something is next. */
uint64_t publish_all(void);

/* ---- receive.c */
/* Streams of the newest description */
void receive_streams(struct connection *c);
struct stream *receive_stream(struct connection *c, uint32_t ssrc);
void receive_rtp(struct connection *c, uint8_t *data, size_t len);

/* ---- report.c */
void report_input(struct connection *c, uint8_t *data, size_t len);
void report_tick(struct connection *c, uint64_t now_ms);

#endif
