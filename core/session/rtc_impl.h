/*
 * session/rtc_impl.h: what the files of the WebRTC endpoint share. Private to core/session/rtc*.c.
 *
 *     rtc.c          a connection's life: opening, state, its one timer, closing
 *     rtc_host.c     what a worker's connections have in common: certificate, candidates, the
 *                    way of a first check to its connection
 *     rtc_path.c     ICE and DTLS on the listeners' sockets: paths, flows, what arrives on them
 *     rtc_roam.c     a peer whose address has changed is known by its media
 *     rtc_turns.c    DTLS handshakes, a few in each tick
 *     rtc_tcp.c      ICE over TCP on the listeners' ports: frames, the way to another worker
 *     rtc_sdp.c      descriptions, and this connection's transport in them
 *     rtc_media.c    sections: made from descriptions, and by callers
 *     rtc_video.c    which video a call may have
 *     rtc_recv.c     RTP from the peer: which section and encoding, retransmissions undone
 *     rtc_send.c     RTP to the peer: pacing, history for retransmission
 *     rtc_seal.c     one packet to the peer: header, sealing
 *     rtc_rtcp.c     reports and feedback, both ways
 *     rtc_bye.c      streams that their sender ends
 *     rtc_limit.c    how much the peer may send: REMB, TMMBR
 *     rtc_data.c     data channels
 *     rtc_stats.c    what became of packets
 *
 * Protocols are core/proto's; here they meet sockets, the clock and each other. All of it belongs
 * to one worker.
 */
#ifndef SESSION_RTC_IMPL_H
#define SESSION_RTC_IMPL_H

#include <sluice/conn.h>
#include <sluice/dtls.h>
#include <sluice/hash.h>
#include <sluice/metric.h>
#include <sluice/rtc.h>
#include <sluice/udp.h>
#include "proto/bwe.h"
#include "proto/ice.h"
#include "proto/jsep.h"
#include "proto/pacer.h"
#include "proto/remb.h"
#include "proto/rtc_caps.h"
#include "proto/rtp_recv.h"
#include "proto/sctp.h"
#include "proto/srtp.h"
#include "session/rtc_host.h"

#define RTC_VIA_TCP 0x80000000u /* bases that are connections; below are listeners */

enum {
	RTC_MAX_PATHS = 16, /* and TCP connections of one client */
	RTC_MAX_STREAMS = 64,  /* SSRCs of one peer, retransmission streams included */
	RTC_CACHE_LINE = 64,
	RTC_HISTORY = 256,     /* packets of a video section kept for retransmission; power of two */
	RTC_PACER_MS = 250, /* the longest that video may wait */
	RTC_REPORT_MS = 1000,  /* sender and receiver reports */
	RTC_KEY_FRAME_MS = 500, /* between two requests for one encoding */
	RTC_GOODBYE_MS = 1000, /* of a stream; what comes until then left before. Who begins and ends
				* by turns is told of no faster, either */
	RTC_SILENT_MS = 2000, /* of a path; then its address may have become somebody else's */
	RTC_IP_OVERHEAD = 28,	     /* IPv4 and UDP */
};

/* Where the peer's packets arrive; opened by ICE. Neither flow nor tcp: a free place. */
struct rtc_path {
	struct ice_path ice;
	struct sl_flow *flow;
	struct rtc_tcp *tcp;
	uint64_t heard_ms; /* newest datagram, or authentic check, of the peer's */
};

/* A receiver's time, by whose return it measures the round trip (RFC 3611 section 4.4). */
struct rtc_reference {
	uint32_t ssrc, middle; /* bits of the time, as LSR */
	uint64_t at_ns; /* came, or left; 0: none */
};

/* One SSRC of the peer's. */
struct rtc_stream {
	uint32_t ssrc;
	uint8_t encoding;
	bool rtx; /* carries retransmissions of the media's encoding */
	struct sl_rtc_media *media;
	struct rtp_recv *recv; /* NULL for rtx */
	uint64_t asked_ms;     /* newest request for a key frame */
	uint8_t fir_seq;
	bool wants_key_frame; /* lost for good: ask as soon as the limit lets */
	bool over; /* the peer has said goodbye to it, at over_ms, and nothing came since */
	uint64_t over_ms;
	uint64_t seq_base; /* of unwrapped numbers, above all of the streams before; * 65536 */
	uint64_t seq_top;  /* newest, base included */
	uint32_t n_plis;
};

/* A sent packet, for retransmission: what it was made of. One cache line, since each packet to each
 * peer writes one that has been left alone for long. */
struct rtc_sent {
	struct sl_rtp_out out; /* src: its packet is referenced; NULL: never used */
	uint64_t sent_ns; /* newest time, so that one loss is answered once per round trip */
};
_Static_assert(sizeof(struct rtc_sent) == RTC_CACHE_LINE, "the comment above");

/* What we send on a section. */
struct rtc_out {
	struct srtp_out_stream stream;
	struct rtc_sent *history; /* RTC_HISTORY, made with the first video packet; NULL */
	uint16_t top_seq; /* highest number sent, and which of the 64 up to it */
	uint16_t rtx_seq;
	uint64_t used;
	uint64_t packets, bytes, retransmitted;
	uint8_t pt; /* of the newest packet */
	struct srtp_out_stream rtx_stream;
	struct sl_rtc_clock clock; /* source's clock ... */
	uint64_t clock_ns;	   /* ... at this time of ours; 0: not known */
	uint32_t sr_sent[4];	   /* LSR of the newest sender reports, and when they left */
	uint64_t sr_sent_ns[4];
	unsigned n_sr;
	uint32_t lost;
	uint8_t fraction_lost;
	uint32_t jitter, n_plis, n_nacks;
};

struct sl_rtc_media {
	struct sl_rtc *c;
	struct jsep_media *j; /* owned by the connection's jsep; its user is this */
	void *data;	      /* the caller's */
	bool ours;	      /* made by sl_rtc_add */
	bool sends;	      /* the peer does, as handler.track was told */
	bool gone;
	uint8_t over; /* encodings, as handler.ended was told */
	struct rtc_out out;
	uint8_t codec_of_pt[128]; /* index into j->codecs + 1; 0: unknown */
};

/* A packet that waits in the pacer. */
struct rtc_paced {
	struct pacer_item item;
	struct sl_rtc_media *media;
	struct sl_packet *packet; /* referenced */
	struct sl_rtp_out out;
	bool retransmission;
};

struct rtc_ufrag { /* an entry of the host's table */
	struct sl_hnode node;
	struct sl_rtc *c;
	char text[ICE_UFRAG_CHARS + 1];
};

struct sl_rtc {
	/* What each packet that is sent needs comes first, so that it lies together. */
	struct rtc_host *host;
	struct srtp_out *out;
	struct rtc_path *selected; /* where we send; NULL: nowhere yet */
	struct sl_session *session;
	struct bwe *bwe;
	unsigned probe; /* cluster being sent */
	uint32_t probe_left; /* bytes of it */
	uint64_t probe_next_ns, probe_bps;
	struct pacer pacer;
	uint16_t twcc_seq;
	bool recv_only, two_way, data_wanted, closing, negotiating_told;
	enum sl_rtc_state state;

	struct sl_rtc *prev, *next; /* in rtc_host.first */
	const struct sl_rtc_handler *handler;
	void *arg;
	struct sl_timer timer;
	struct sl_post post; /* arms the timer once a tick, says negotiate */

	struct ice_agent *ice;
	struct rtc_ufrag ufrag;
	struct rtc_path *paths[RTC_MAX_PATHS]; /* owned; NULL: not needed so far */
	unsigned next_victim;
	struct rtc_tcp *first_tcp;

	struct sl_dtls *dtls;
	enum sl_dtls_role dtls_role;
	bool dtls_begun; /* something of the peer's has been read */
	uint64_t fingerprint, remote_ufrag; /* hashes of the peer's, to see a change; 0: none */
	struct srtp_in *in;

	struct jsep *jsep;
	struct jsep_codec *video; /* owned: what sl_rtc_set_video wants */
	unsigned n_video;
	uint64_t video_limit_bps;
	uint8_t video_direction; /* enum jsep_direction */
	struct sl_rtp_ext_map ext_in; /* of all sections, for packets that are in none */
	struct sl_rtc_media **media;  /* by section */
	unsigned n_media;

	struct rtc_stream **streams; /* both owned; as many as there are */
	unsigned n_streams;
	struct twcc_recv *twcc; /* NULL: the peer sends no transport-wide numbers */
	struct remb *remb;	/* NULL: nothing comes that needs our estimate */

	uint32_t ssrc; /* sender of our feedback */
	struct sl_rtc_estimate estimate; /* as told */
	uint64_t wanted_bps; /* as the caller said; UINT64_MAX: it did not */
	uint64_t estimate_told_ns, report_ms, bwe_next_ns;
	uint32_t rtt_us;
	struct rtc_reference asked, told; /* by the peer, not answered yet; by us */

	struct sctp *sctp;
	uint16_t sctp_remote_port;
	size_t sctp_max_message;
};

static inline uint64_t rtc_now_ns(const struct sl_rtc *c)
{
	return sl_loop_ns(c->host->w->loop);
}
static inline uint64_t rtc_now_ms(const struct sl_rtc *c)
{
	return sl_loop_ms(c->host->w->loop);
}
/* Never 0 */
static inline uint64_t rtc_hash(const char *text)
{
	return sl_hash(text, strlen(text)) | 1;
}
static inline void rtc_count(const struct sl_rtc *c, enum rtc_meter m)
{
	sl_count(&c->host->meters[m]);
}

/* ---- rtc.c */
/* Looks at deadlines and at what is to be told when the tick ends. */
void rtc_touch(struct sl_rtc *c);
void rtc_set_state(struct sl_rtc *c, enum sl_rtc_state state, const char *why);
/* Enters the present user fragment, so that checks find the connection. */
int rtc_name(struct sl_rtc *c);
sl_post_fn rtc_reap; /* arg: struct rtc_host */

/* ---- rtc_path.c */
extern const struct ice_io rtc_ice_io;
/* A STUN message for this connection. SL_DROP: not authentic, which is counted. */
int rtc_path_check(struct sl_rtc *c, const struct ice_path *path, const struct sl_stun_msg *msg);
/* The way that a listener's datagram took. */
struct ice_path rtc_path_of(const struct sl_rtc *c, const struct sl_packet *p);
/* A TCP connection, with this number as a base, has ended. */
void rtc_path_lost(struct sl_rtc *c, const struct rtc_tcp *t, uint32_t via);
/* Whatever came along a path; as a flow's handler. */
int rtc_path_input(struct sl_rtc *c, const struct ice_path *path, struct sl_packet *p);
/* The peer's DTLS parameters are known; later calls with the same ones do nothing. */
int rtc_path_secure(struct sl_rtc *c, const struct jsep_transport *remote);
void rtc_path_tick(struct sl_rtc *c);
uint64_t rtc_path_next_ms(const struct sl_rtc *c);
void rtc_path_close(struct sl_rtc *c);
/* Sealed bytes to the peer. */
void rtc_path_send(struct sl_rtc *c, struct sl_packet *p);

/* A DTLS datagram of the peer's, now. */
void rtc_path_dtls(struct sl_rtc *c, struct sl_packet *p);

/* ---- rtc_turns.c */
int rtc_turns_open(struct rtc_host *h);
void rtc_turns_close(struct rtc_host *h);
/* A DTLS datagram: now, or when it is its turn */
void rtc_turns_take(struct sl_rtc *c, struct sl_packet *p);
/* What waits of this connection */
void rtc_turns_forget(struct sl_rtc *c);
sl_post_fn rtc_turns_go_on; /* arg: struct rtc_host */
/* A handshake's memory, or a connection's, has become free. */
void rtc_turns_over(struct rtc_host *h);

/* ---- rtc_host.c */
/* By its user fragment; NULL */
struct sl_rtc *rtc_host_find(const struct rtc_host *h, struct sl_str ufrag);

/* ---- rtc_tcp.c */
int rtc_tcp_open(struct rtc_host *h);
void rtc_tcp_stop(struct rtc_host *h);
struct rtc_tcp *rtc_tcp_find(const struct sl_rtc *c, uint32_t via);
void rtc_tcp_send(struct rtc_tcp *t, const uint8_t *data, size_t len);
/* All of the connection's, after what waits is written */
void rtc_tcp_close(struct sl_rtc *c);

/* ---- rtc_media.c */
/* What a description has agreed on becomes sections; -SL_ENOMEM. Handlers may close c meanwhile. */
int rtc_sections_agree(struct sl_rtc *c);
void rtc_sections_free(struct sl_rtc *c);
/* SSRCs of what we send there, for media and retransmission; -SL_ESYS: no random numbers */
int rtc_draw_ssrcs(const struct sl_rtc *c, struct jsep_media *j);

/* ---- rtc_video.c */
/* A section of the peer's, or ours, gets what is wanted; stopped when that is nothing. */
void rtc_video_apply(struct sl_rtc *c, struct jsep_media *m);
void rtc_video_apply_all(struct sl_rtc *c);

/* ---- rtc_recv.c */
void rtc_recv_rtp(struct sl_rtc *c, struct sl_packet *p);
struct rtc_stream *rtc_stream_find(struct sl_rtc *c, uint32_t ssrc);
/* Forgets SSRCs that a new description has taken from a section. */
void rtc_streams_renew(struct sl_rtc *c);
void rtc_streams_free(struct sl_rtc *c);

/* ---- rtc_seal.c */
enum { RTC_PADDING_BYTES = 255 }; /* of a packet that only probes the way */

struct rtc_shape { /* what differs between a packet, its retransmission and padding */
	uint32_t ssrc;
	uint16_t seq;
	uint8_t pt;
	bool rtx; /* the original number goes before the payload (RFC 4588 section 4) */
};

/* Ready to leave, the caller's reference; out->src NULL: padding. NULL: no packet, or it would not
 * fit one. A number must not come twice for one SSRC: it would be sealed with the same key stream. */
struct sl_packet *rtc_seal(struct sl_rtc_media *m, const struct sl_rtp_out *out,
			   const struct rtc_shape *shape);

/* ---- rtc_send.c */
void rtc_send_tick(struct sl_rtc *c);
uint64_t rtc_send_next_ns(const struct sl_rtc *c);
void rtc_send_again(struct sl_rtc_media *m, uint16_t seq);
void rtc_send_free(struct sl_rtc_media *m);
/* Takes out of the pacer what waits for the section; NULL: everything. */
void rtc_send_forget(struct sl_rtc *c, const struct sl_rtc_media *m);

/* ---- rtc_rtcp.c */
void rtc_recv_rtcp(struct sl_rtc *c, struct sl_packet *p);
void rtc_rtcp_tick(struct sl_rtc *c);
uint64_t rtc_rtcp_next_ms(const struct sl_rtc *c);
void rtc_tell_estimate(struct sl_rtc *c);
/* The section that we send on under this SSRC; NULL */
struct sl_rtc_media *rtc_sent_as(struct sl_rtc *c, uint32_t ssrc);

/* A packet for reduced-size RTCP; NULL: nothing can be sent now. Taken by the second. */
struct sl_packet *rtc_rtcp_begin(struct sl_rtc *c, struct sl_rtcp_writer *w);
void rtc_rtcp_finish(struct sl_rtc *c, struct sl_rtcp_writer *w, struct sl_packet *p);

/* ---- rtc_bye.c */
void rtc_bye_take(struct sl_rtc *c, const struct sl_rtcp_block *b);
/* One came of a stream, or an encoding, that was over. */
void rtc_bye_packet(struct sl_rtc *c, struct rtc_stream *s);

/* ---- rtc_limit.c */
/* A section was agreed upon: it may need our estimate. */
void rtc_limit_need(struct sl_rtc *c, const struct jsep_media *j);
void rtc_limit_packet(struct sl_rtc *c, const struct sl_rtp *rtp, uint32_t wire_bytes);
/* The peer bounds what we send (TMMBR). */
void rtc_limit_bounded(struct sl_rtc *c, const struct sl_rtcp_block *b, uint32_t sender);
void rtc_limit_tick(struct sl_rtc *c);
uint64_t rtc_limit_next_ns(const struct sl_rtc *c);

/* ---- rtc_stats.c */
/* 0: not known yet */
uint32_t rtc_rtt_us(const struct sl_rtc *c);

/* ---- rtc_data.c */
int rtc_data_open(struct sl_rtc *c);
void rtc_data_input(struct sl_rtc *c, const uint8_t *data, size_t len);
void rtc_data_close(struct sl_rtc *c);

#endif
