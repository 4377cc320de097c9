/*
 * sluice/rtc.h: the WebRTC endpoint: one peer connection of this node with a browser (or any other
 * client), terminated here.
 *
 * ICE, DTLS, SRTP, SDP, RTCP and data channels are the core's; a module sees sections that media
 * comes from or goes to, plain RTP packets, and what the peer wants. Every connection belongs to the
 * worker that opened it; callbacks come on that worker's loop. All connections share the listeners'
 * sockets: datagrams find theirs by flow, and before there is one by the user fragment, whose first
 * two characters name the worker.
 *
 * Signalling is the caller's: it carries descriptions, which are complete (candidates included),
 * and the peer's trickled candidates.
 */
#ifndef SLUICE_RTC_H
#define SLUICE_RTC_H

#include <sluice/rtp.h>
#include <sluice/sdp.h>
#include <sluice/session.h>

struct sl_rtc;	     /* a peer connection */
struct sl_rtc_media; /* one m-section of it: media that comes, media that goes, or both */

enum { SL_RTC_MAX_ENCODINGS = 4 };

enum sl_rtc_state {
	SL_RTC_NEW,	     /* no description of the peer yet */
	SL_RTC_CONNECTING,
	SL_RTC_CONNECTED,    /* ICE has a path and DTLS has keys */
	SL_RTC_DISCONNECTED, /* nothing heard for a while; may come back by itself */
	SL_RTC_FAILED,	     /* an ICE restart may help */
	SL_RTC_CLOSED	     /* the peer said goodbye, or DTLS refused it: close it */
};
SL_API const char *sl_rtc_state_name(unsigned state);

/* A packet of the peer's, plain, each only once. The packet is borrowed: a keeper references
 * rtp->packet, and rtp stays where it is as long as the packet lives. */
struct sl_rtc_in {
	struct sl_rtc_media *media;
	const struct sl_rtp *rtp;
	uint64_t seq;	   /* unwrapped, of this encoding */
	uint8_t encoding;  /* simulcast: index of the rid as the peer listed them; else 0 */
	uint8_t codec;	   /* enum sl_codec_id */
	bool recovered;	   /* by retransmission */
};

enum { SL_RTC_OVERHEAD = 44 }; /* bytes that IPv4, UDP and the tag add to RTP: estimates count them */

struct sl_rtc_estimate { /* of the way to the peer */
	uint64_t target_bps;
	uint32_t rtt_us, loss_permille;
	int32_t queue_us; /* standing delay */
};

/* What the peer says of a stream that it sends: a common clock for its audio and video. */
struct sl_rtc_clock {
	uint64_t ntp; /* 32.32, the peer's */
	uint32_t ts;  /* RTP time at that moment */
};

/* A compound of RTCP, opened and checked, and the way that it came or is about to go */
struct sl_rtc_rtcp {
	struct sl_str data;
	const struct sl_addr *from, *to; /* borrowed */
	bool over_tcp;
};

/* Members may be NULL. A handler may close the connection, but for `rtp` and `rtcp`. */
struct sl_rtc_handler {
	void (*state)(void *arg, struct sl_rtc *c, enum sl_rtc_state state, const char *why);
	/* Our sections have changed: the peer needs an offer (told once until sl_rtc_offer). */
	void (*negotiate)(void *arg, struct sl_rtc *c);
	/* A section begins (sends true) or ceases to bring media, by negotiation */
	void (*track)(void *arg, struct sl_rtc_media *m, bool sends);
	void (*rtp)(void *arg, const struct sl_rtc_in *in);
	void (*clock)(void *arg, struct sl_rtc_media *m, unsigned encoding,
		      const struct sl_rtc_clock *clock);
	/* For who looks on: the connection has read it, or says it */
	void (*rtcp)(void *arg, struct sl_rtc *c, const struct sl_rtc_rtcp *rtcp);
	/* The peer says goodbye to what it sends there (RFC 3550 section 6.6), which may go on one day;
	 * the section stays agreed upon. Of simulcast, one encoding may be all. */
	void (*ended)(void *arg, struct sl_rtc_media *m, unsigned encoding);
	/* It goes on: what comes next is new. */
	void (*resumed)(void *arg, struct sl_rtc_media *m, unsigned encoding);
	/* The peer asks for a key frame of what we send there. */
	void (*key_frame)(void *arg, struct sl_rtc_media *m);
	void (*estimate)(void *arg, struct sl_rtc *c, const struct sl_rtc_estimate *e);
	/* Data channels; label is borrowed. */
	void (*channel)(void *arg, struct sl_rtc *c, uint16_t channel, struct sl_str label);
	void (*channel_closed)(void *arg, struct sl_rtc *c, uint16_t channel);
	void (*message)(void *arg, struct sl_rtc *c, uint16_t channel, bool text,
			struct sl_str data);
	void (*channel_writable)(void *arg, struct sl_rtc *c, uint16_t channel);
};

struct sl_rtc_opts {
	const struct sl_rtc_handler *handler;
	void *arg;
	struct sl_str room, peer, label; /* as in sl_session_opts */
	bool data;			 /* data channels */
	bool recv_only;			 /* take what the peer offers to send, offer nothing */
	bool two_way; /* calls: audio, in sections that go both ways, also those the peer offers;
			 video as sl_rtc_set_video says */
	uint32_t max_bps;		 /* of what we send; 0: no limit but the core's */
};

/*
 * A module that opens connections says so when it starts: what the first one would wait for, with
 * all media of the worker, is made then (certificate, libraries' tables: 25 ms), and the node's
 * relays lead to the UDP ports where connections are offered. These, in SL_RTC_PORTS places, 0: none; they live as long as
 * the worker. NULL: this process has no connections.
 */
enum { SL_RTC_PORTS = 16 };
SL_API void sl_rtc_use(struct sl_worker *w);
SL_API const uint16_t *sl_rtc_ports(const struct sl_worker *w);

/* -SL_ELIMIT, -SL_EFULL: no room for another session; -SL_EUNSUPP: no UDP listener to offer */
SL_API SL_MUST_CHECK int sl_rtc_open(struct sl_worker *w, const struct sl_rtc_opts *o,
				     struct sl_rtc **ret_rtc);
/* Says goodbye where it can; no callback any more. Accepts NULL */
SL_API void sl_rtc_close(struct sl_rtc *c, const char *why);
SL_API struct sl_session *sl_rtc_session(const struct sl_rtc *c);
SL_API enum sl_rtc_state sl_rtc_get_state(const struct sl_rtc *c);

/* ---- descriptions (RFC 8829). err: a sentence for the peer's author, room for 160 bytes. */
/* Ours, for the peer to answer. restart: with new ICE credentials. -SL_EAGAIN: an offer is open. */
SL_API SL_MUST_CHECK int sl_rtc_offer(struct sl_rtc *c, bool restart, struct sl_buf *ret_sdp);
SL_API SL_MUST_CHECK int sl_rtc_accept(struct sl_rtc *c, struct sl_str answer, char *ret_err);
/* The peer's, and what we answer. -SL_EAGAIN: our own offer is open (glare). -SL_EEXIST: it comes
 * with another certificate, and so from another connection than this one. */
SL_API SL_MUST_CHECK int sl_rtc_answer(struct sl_rtc *c, struct sl_str offer,
				       struct sl_buf *ret_sdp, char *ret_err);
SL_API void sl_rtc_rollback(struct sl_rtc *c);
/* A trickled candidate, as RTCIceCandidate.candidate says it; empty: no more. -SL_EPARSE */
SL_API SL_MUST_CHECK int sl_rtc_candidate(struct sl_rtc *c, struct sl_str candidate);

/* ---- sections */
/* A section that we send on; stream and track are the ids in its msid. handler.negotiate follows. */
SL_API SL_MUST_CHECK int sl_rtc_add(struct sl_rtc *c, enum sl_media_kind kind, struct sl_str stream,
				    struct sl_str track, struct sl_rtc_media **ret_media);
/* Only these codecs, and what goes with them (retransmission, variants), are offered there; for what
 * is known to come, so that descriptions stay short. */
SL_API SL_MUST_CHECK int sl_rtc_prefer(struct sl_rtc_media *m, const enum sl_codec_id *codecs,
				       unsigned n);
/* How much of their sound we can use, said in the next description where they speak Opus: what a
 * telephone of that rate carries. 0, as at first: all of it. */
SL_API void sl_rtc_limit_sound(struct sl_rtc *c, uint32_t hz);
/* Of a two-way connection: what its video sections may have in the next description, those that the
 * peer offers included. All is copied. */
struct sl_rtc_video_format {
	enum sl_codec_id codec;
	struct sl_str params; /* as fmtp says them */
};
struct sl_rtc_video {
	const struct sl_rtc_video_format *formats; /* in order */
	unsigned n_formats;			   /* 0: video is refused, as at first */
	enum sl_sdp_direction direction;
	uint64_t limit_bps; /* what the peer shall send at most; 0: no limit */
};
SL_API SL_MUST_CHECK int sl_rtc_set_video(struct sl_rtc *c, const struct sl_rtc_video *wanted);
/* The first section of a kind that is not rejected; NULL. Ask again after a description. */
SL_API struct sl_rtc_media *sl_rtc_find(const struct sl_rtc *c, enum sl_media_kind kind);
/* Which ways a section of a two-way connection shall carry media, in the next description: hold. */
SL_API void sl_rtc_set_direction(struct sl_rtc_media *m, enum sl_sdp_direction direction);
/* What is agreed, as we see it */
SL_API enum sl_sdp_direction sl_rtc_get_direction(const struct sl_rtc_media *m);
/* Sends nothing any more; the section is reused later. m is dead after the call. */
SL_API void sl_rtc_remove(struct sl_rtc_media *m);
SL_API struct sl_rtc *sl_rtc_media_rtc(const struct sl_rtc_media *m);
SL_API enum sl_media_kind sl_rtc_media_kind(const struct sl_rtc_media *m);
SL_API struct sl_str sl_rtc_media_mid(const struct sl_rtc_media *m);
/* Of what the peer sends: how many encodings, and their rids (may be empty) */
SL_API unsigned sl_rtc_media_encodings(const struct sl_rtc_media *m);
/* The peer has said goodbye to all that came there. */
SL_API bool sl_rtc_media_is_over(const struct sl_rtc_media *m);
SL_API struct sl_str sl_rtc_media_rid(const struct sl_rtc_media *m, unsigned encoding);
/* Opaque for the caller */
SL_API void sl_rtc_media_set_data(struct sl_rtc_media *m, void *data);
SL_API void *sl_rtc_media_data(const struct sl_rtc_media *m);
/* The ids in its packets, for whoever passes them on as they came */
SL_API void sl_rtc_media_extensions(const struct sl_rtc_media *m, struct sl_rtp_ext_map *ret_map);
/* The codec that the peer is likely to use: the first that was agreed */
SL_API enum sl_codec_id sl_rtc_media_codec(const struct sl_rtc_media *m);
/* What is agreed there, in order; at most max; returns how many. */
struct sl_rtc_format {
	enum sl_codec_id codec;
	uint8_t pt;
	uint32_t clock_hz;
	struct sl_str params; /* borrowed of the section, until the next description */
};
SL_API unsigned sl_rtc_media_formats(const struct sl_rtc_media *m, struct sl_rtc_format *ret_formats,
				     unsigned max);
/* Format parameters that the peer sends a codec with */
SL_API struct sl_str sl_rtc_media_params(const struct sl_rtc_media *m, enum sl_codec_id codec);

/* What the peer wants to get there at most, as its description says; 0: no limit */
SL_API uint64_t sl_rtc_media_limit(const struct sl_rtc_media *m);

/* ---- what goes to the peer */
/* The payload type for a codec (of the variant that params names); 0: not agreed, or not yet. */
SL_API uint8_t sl_rtc_media_pt(const struct sl_rtc_media *m, enum sl_codec_id codec,
			       struct sl_str params);
/*
 * Seals and sends, or paces. Sequence numbers are the caller's and should leave no gaps; what goes
 * out is kept by reference for retransmission. -SL_EAGAIN: not connected; -SL_EFULL: the pacer's
 * queue is longer than is of use, dropped.
 */
SL_API SL_MUST_CHECK int sl_rtc_send(struct sl_rtc_media *m, const struct sl_rtp_out *out);
/* Only for speed: a loop over many receivers says which one comes next, and its memory is fetched
 * while this one is served. */
SL_API void sl_rtc_send_soon(const struct sl_rtc_media *m);
/* The clock of what is sent, from its source: sender reports follow it. */
SL_API void sl_rtc_set_clock(struct sl_rtc_media *m, const struct sl_rtc_clock *clock);
/* What would be sent if there were room, over all sections: probing goes up to that. */
SL_API void sl_rtc_set_wanted(struct sl_rtc *c, uint64_t bps);

/* ---- what comes from the peer */
/* Asks for a key frame (PLI or FIR), at most twice a second for one encoding. */
SL_API void sl_rtc_ask_key_frame(struct sl_rtc_media *m, unsigned encoding);

/* ---- data channels (RFC 8831) */
struct sl_rtc_channel_opts {
	struct sl_str label, protocol;
	bool unordered;
	bool limited_lifetime, limited_retransmits; /* at most one of them */
	uint16_t limit;				    /* ms, or times */
};
SL_API SL_MUST_CHECK int sl_rtc_channel_open(struct sl_rtc *c, const struct sl_rtc_channel_opts *o,
					     uint16_t *ret_channel);
SL_API void sl_rtc_channel_close(struct sl_rtc *c, uint16_t channel);
/* -SL_EFULL: wait for channel_writable; -SL_ELIMIT: longer than the peer takes */
SL_API SL_MUST_CHECK int sl_rtc_channel_send(struct sl_rtc *c, uint16_t channel, bool text,
					     struct sl_str data);
/* Nothing is read of the peer's channels while it is held: its window closes, and its own
 * bufferedAmount grows. The beginnings and ends of channels wait, too. */
SL_API void sl_rtc_hold_data(struct sl_rtc *c, bool held);
SL_API size_t sl_rtc_channel_buffered(const struct sl_rtc *c, uint16_t channel);

/* ---- statistics */
struct sl_rtc_stream_stats {
	uint64_t packets, bytes, lost, retransmitted;
	uint32_t jitter_us;
	uint8_t fraction_lost; /* of 256, newest report */
	uint32_t n_plis, n_nacks;
};
SL_API void sl_rtc_in_stats(const struct sl_rtc_media *m, unsigned encoding,
			    struct sl_rtc_stream_stats *ret_stats);
SL_API void sl_rtc_out_stats(const struct sl_rtc_media *m, struct sl_rtc_stream_stats *ret_stats);
/* What became of all packets on the way from the peer, and to it, before anything was repeated. Sums
 * may fall when a stream ends. */
struct sl_rtc_way {
	uint64_t packets, lost; /* sent, as far as known; those that did not arrive among them */
	uint32_t jitter_us, rtt_us;
};
SL_API void sl_rtc_way_in(const struct sl_rtc *c, struct sl_rtc_way *ret_way);
SL_API void sl_rtc_way_out(const struct sl_rtc *c, struct sl_rtc_way *ret_way);
SL_API void sl_rtc_get_estimate(const struct sl_rtc *c, struct sl_rtc_estimate *ret_estimate);

#endif
