/*
 * proto/jsep.h: offer/answer of one PeerConnection (RFC 8829, 3264, 8843 BUNDLE, 8853 simulcast) as
 * a server does it: transceivers on m-sections, both roles, one transport for all.
 *
 * Sans-I/O. It knows what is wanted (transceivers), what was agreed (codecs, extension ids, rids,
 * SSRCs, directions), and writes descriptions pruned to what is used. ICE and DTLS parameters come
 * from the caller and are handed to it.
 *
 * One transport means: rtcp-mux and BUNDLE. A section of the peer's that has no rtcp-mux, or stands
 * outside of the first BUNDLE group, is rejected; without such a group, all but the first.
 */
#ifndef PROTO_JSEP_H
#define PROTO_JSEP_H

#include <sluice/sdp.h>

enum {
	JSEP_MAX_CODECS = 16, /* agreed, of one m-section */
	JSEP_MAX_RIDS = 4,
	JSEP_MAX_CANDIDATES = 16,
	JSEP_MAX_PARAMS = 160, /* bytes of a format's parameters */
	JSEP_MAX_MID = 16,     /* what fits a one-byte header extension */
};

/* As seen from who has the structure: us. */
enum jsep_direction {
	JSEP_INACTIVE = SL_SDP_INACTIVE,
	JSEP_SEND = SL_SDP_SENDONLY,
	JSEP_RECV = SL_SDP_RECVONLY,
	JSEP_SENDRECV = SL_SDP_SENDRECV,
};
enum jsep_state { JSEP_STABLE, JSEP_HAVE_LOCAL_OFFER, JSEP_HAVE_REMOTE_OFFER };
enum jsep_feedback {
	JSEP_FB_NACK = 1,
	JSEP_FB_PLI = 2,
	JSEP_FB_FIR = 4,
	JSEP_FB_REMB = 8,
	JSEP_FB_TWCC = 16,
	JSEP_FB_TMMBR = 32, /* agreed to, never offered: see jsep_local.c */
};

struct jsep_codec {
	enum sl_codec_id id;
	uint8_t pt, rtx_pt; /* rtx_pt 0: no retransmission format */
	uint8_t channels;
	uint8_t feedback; /* enum jsep_feedback */
	uint32_t clock_hz;
	/* fmtp. Agreed: the peer's when it offered, else ours. Of red: the pts, whatever caps say
	 */
	char params[JSEP_MAX_PARAMS];
};

/* What this node can do, in order of preference; a const table of the caller's, with the pts to use
 * in own offers where they are free. Matching knows the formats' rules (H.264 profile and
 * packetization mode, H.265, VP9 and AV1 profile, Opus, red of opus). */
struct jsep_caps {
	const struct jsep_codec *audio, *video;
	unsigned n_audio, n_video;
	const uint8_t *audio_ext, *video_ext; /* enum sl_rtp_ext */
	unsigned n_audio_ext, n_video_ext;
	bool data; /* data channels */
	size_t max_message;
};

struct jsep_ssrc { /* one stream of a section that we or they send; 0: not signalled or not used */
	uint32_t media, rtx;
};

/*
 * One m-section. Fields of the caller's may be changed at any time and go into the next
 * description; all others are what the newest description of either side means, and go back with a
 * rollback.
 */
struct jsep_media {
	void *user; /* the caller's; NULL in a section that the peer has made */
	enum sl_media_kind kind;
	char mid[JSEP_MAX_MID + 1]; /* empty: not offered yet */
	uint8_t wanted;		    /* enum jsep_direction; the caller's */
	uint8_t direction;	    /* agreed, seen from us */
	bool rejected;		    /* port 0 */
	bool rtcp_rsize;
	bool rtcp_xr; /* who only receives may ask for its round-trip time (RFC 3611 section 4.4) */
	const struct jsep_codec *codecs; /* agreed; the pts are those of the description in force */
	unsigned n_codecs;
	struct sl_rtp_ext_map ext;     /* agreed ids that may come in */
	struct sl_rtp_ext_map ext_out; /* that may go out; differs where a direction was said */
	bool ext_mixed; /* two-byte extension headers may go out (RFC 8285 section 6) */
	/* What the peer sends: rids (simulcast) in the order given, else SSRCs (or legacy SIM
	 * group). In a section of ours that is not offered yet, rids are the caller's: what we
	 * offer to receive. */
	char rids[JSEP_MAX_RIDS][17];
	bool rid_paused[JSEP_MAX_RIDS];
	unsigned n_rids;
	struct jsep_ssrc theirs[JSEP_MAX_RIDS];
	unsigned n_theirs;
	char their_stream[65], their_track[65]; /* a=msid */
	uint64_t their_limit_bps;		/* what they want to receive at most; 0: no limit */
	/* What we send; the caller's */
	struct jsep_ssrc ours;
	char stream[65], track[65], cname[33];
	uint64_t limit_bps; /* what we want to receive at most; 0: no limit; the caller's */
};

struct jsep_transport { /* of one side */
	char ufrag[257], password[257];
	char fingerprint[208]; /* "sha-256 AB:CD:…"; of several, the one to be checked */
	char setup[9];	       /* "actpass", "active", "passive" */
	bool lite, trickle, end_of_candidates;
	char candidates[JSEP_MAX_CANDIDATES][256]; /* values of a=candidate, without the name */
	unsigned n_candidates; /* more of theirs are ignored: checks will show them */
	uint16_t sctp_port;    /* 0: no data section */
	size_t max_message;    /* SIZE_MAX: no limit */
};

struct jsep;
int jsep_new(struct jsep **ret_j, const struct jsep_caps *caps);
/* Accepts NULL */
void jsep_free(struct jsep *j);
enum jsep_state jsep_get_state(const struct jsep *j);

/*
 * A transceiver for sending or receiving; the next offer gives it a section: one that was rejected,
 * or a new one behind all. stream, track, ssrcs and rids are set by the caller in the result before
 * that. It is rejected after the offer when the group has no payload types left. The pointer is
 * good until the section is rejected, both sides have agreed to that, and a later description uses
 * its place anew. -SL_ELIMIT; a second section for data: -SL_EEXIST
 */
int jsep_add(struct jsep *j, enum sl_media_kind kind, enum jsep_direction wanted,
	     struct jsep_media **ret_media);
/* Stops it: rejected in the next offer, or in the answer to the next one of the peer's; until then
 * inactive. Freed at once when it is in no description; when that is an open offer, which is taken
 * back later, with the end of the negotiation after that. */
void jsep_stop(struct jsep *j, struct jsep_media *m);
/* The codecs that this section shall have, in order of preference, instead of the caps'; copied.
 * pts are wishes. Of an agreed section: for the next description. */
int jsep_prefer(struct jsep *j, struct jsep_media *m, const struct jsep_codec *codecs, unsigned n);
/* What we can use of Opus, said in our descriptions from now on (RFC 7587 section 6.1); 0: all */
void jsep_limit_sound(struct jsep *j, uint32_t hz);
/* Sections in order, those that are not offered yet last */
unsigned jsep_count(const struct jsep *j);
struct jsep_media *jsep_at(struct jsep *j, unsigned index);
/* Is there something that the peer does not know yet? */
bool jsep_needs_offer(const struct jsep *j);

/* Writes our offer into b; the state moves. local: our transport's parameters; setup empty:
 * "actpass". -SL_EAGAIN: not stable. */
int jsep_offer(struct jsep *j, const struct jsep_transport *local, struct sl_buf *b);
/* The peer's offer: sections are matched, directions and codecs agreed as an answer would say. For
 * a section that appears, wanted is what `want` says (NULL: RECV for what they send); want may set
 * the caller's fields, prefer codecs and stop the section. -SL_EPARSE, -SL_ELIMIT with a sentence;
 * -SL_EAGAIN: not stable. Errors leave the state as it was. */
typedef enum jsep_direction jsep_want_fn(void *ctx, struct jsep_media *m);
int jsep_remote_offer(struct jsep *j, struct sl_str text, jsep_want_fn *want, void *ctx,
		      struct jsep_transport *ret_remote, struct sl_sdp_error *ret_error);
/* setup empty or "actpass": what answers the offer's, passive where there is a choice. */
int jsep_answer(struct jsep *j, const struct jsep_transport *local, struct sl_buf *b);
int jsep_remote_answer(struct jsep *j, struct sl_str text, struct jsep_transport *ret_remote,
		       struct sl_sdp_error *ret_error);
/* Back to stable: takes our offer, or theirs, back (glare). Sections that came with it are gone;
 * transceivers of ours wait for the next offer. */
void jsep_rollback(struct jsep *j);

#endif
