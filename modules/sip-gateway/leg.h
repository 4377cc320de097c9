/*
 * sip-gateway/leg.h: the media of one party of a call, on one worker.
 *
 * A leg speaks plain RTP, RTP with keys in the description, or WebRTC; whoever signals carries its
 * descriptions and sees no packet. What a leg hears goes where it is bridged to: another leg of
 * this worker, or something built in. Packets are passed on as they are where both sides have the
 * codec, else decoded and encoded anew.
 *
 * Everything runs on the worker's loop. Callbacks come from the loop, never from within a call of
 * this interface, but for `negotiate`. A leg that is closed has no callbacks any more.
 */
#ifndef SIP_GATEWAY_LEG_H
#define SIP_GATEWAY_LEG_H

#include <sluice/conf.h>
#include <sluice/mixer.h>
#include <sluice/rtp.h>
#include <sluice/sdp.h>
#include <sluice/worker.h>

struct leg;
struct legs; /* all of a worker */
struct sound;

enum {
	LEG_MAX_CODECS = 8,
	LEG_ERR = 160,	 /* bytes of a sentence for the peer's author */
	LEG_DIGITS = 64, /* digits that wait to be sent */
};

/* ---- the worker's */
/* The directives of a record, for the module's table: {.fields = legs_fields}. */
struct legs_conf {
	struct sl_list addresses; /* struct sl_addr: bound and offered; at most one of each family */
	struct sl_list advertise; /* struct sl_addr: offered instead, where a NAT is in between */
	struct sl_ports ports;
	int64_t dscp;
	struct sl_str complexity; /* of Opus encoders: auto, or a number */
	uint64_t delay_max; /* ms that the jitter buffer may grow to */
	int64_t video_dscp, video_kbps;
};
extern const struct sl_directive legs_fields[];

/* conf outlives it. -SL_EINVAL: a wildcard address, and none to advertise for it */
SL_MUST_CHECK int legs_open(struct sl_worker *w, const struct legs_conf *conf,
			    struct legs **ret_legs);
/* Closes what is left; accepts NULL */
void legs_close(struct legs *l);
/* Is it well-formed? */
bool legs_complexity_is_good(struct sl_str text);
/* What LEG_TONE_MUSIC is from now on; NULL: made here. Borrowed */
void legs_set_music(struct legs *l, const struct sound *music);

/* ---- a leg */
enum leg_profile { LEG_RTP, LEG_SDES, LEG_WEBRTC };

enum leg_state {
	LEG_NEW,       /* not agreed yet */
	LEG_AGREED,    /* nothing heard so far */
	LEG_CONNECTED, /* media, or for WebRTC a path with keys */
	LEG_SILENT,    /* agreed to send and nothing came for `silence_ms` */
	LEG_FAILED     /* WebRTC: no path any more; an offer with restart may help */
};
const char *leg_state_name(unsigned state);

/* A report that the party has sent, or is sent: a compound of RTCP, plain and checked */
struct leg_report {
	struct sl_str data;
	struct sl_addr from, to;
	bool over_tcp;
};

/* Members may be NULL. */
struct leg_handler {
	void (*state)(void *arg, struct leg *l, enum leg_state state, const char *why);
	/* A digit has ended ("0".."9", "*", "#", "A".."D"); ms: how long it was held. */
	void (*dtmf)(void *arg, struct leg *l, char digit, unsigned ms);
	/* What was played once is over, or the last digit that waited has been sent. */
	void (*played)(void *arg, struct leg *l);
	/* WebRTC: the browser should be given an offer (told once until leg_offer). */
	void (*negotiate)(void *arg, struct leg *l);
	/* The other party is not what this one was told, be it video or how much of its sound can be
	 * heard: it should be offered anew. */
	void (*changed)(void *arg, struct leg *l);
	/* Its party has to be asked by signalling for a key frame. */
	void (*key_frame)(void *arg, struct leg *l);
	/* It is not in its room, or not any more. */
	void (*room_ended)(void *arg, struct leg *l, enum sl_mixer_end end, const char *why);
	/* Somebody has written to its room. */
	void (*room_text)(void *arg, struct leg *l, struct sl_str name, struct sl_str text);
	/* RTCP that goes past, of sound and video, both ways. The leg may not be closed by it. */
	void (*report)(void *arg, struct leg *l, const struct leg_report *r);
};

struct leg_opts {
	enum leg_profile profile;
	uint8_t family;				   /* 4, 6: of our address; 0: what there is */
	enum sl_codec_id codecs[LEG_MAX_CODECS];   /* in order; none: the default order */
	unsigned n_codecs;
	bool no_mux;	     /* RTCP on a port of its own in our offers */
	bool detect_in_band; /* tones in the audio are digits where telephone-event is not agreed */
	bool within;	     /* the other end is on this host: told where it is bound */
	bool strict;	     /* media only from the described address: nobody is behind a NAT */
	unsigned ptime_ms;   /* wanted: 10 .. 60; 0: 20 */
	unsigned silence_ms; /* 0: silence is not told */
	struct sl_str room, peer; /* the call, and the party's name; copied */
	const struct leg_handler *handler;
	void *arg;
};
/* -SL_ELIMIT, -SL_EFULL: no port or no room; -SL_EUNSUPP: the profile or family is not to be had
 * here */
SL_MUST_CHECK int leg_open(struct legs *all, const struct leg_opts *o, struct leg **ret_leg);
/* Unbridges; accepts NULL */
void leg_close(struct leg *l, const char *why);

/*
 * ---- descriptions, whole ones ("v=0..."). Offers and answers may come any number of times, from
 * either side (re-INVITE, UPDATE); what was agreed holds until another exchange is complete.
 */
/* Ours. Direction and codecs as they are wanted now; restart: WebRTC with new ICE credentials.
 * -SL_EAGAIN: an offer of ours is open */
SL_MUST_CHECK int leg_offer(struct leg *l, bool restart, struct sl_buf *ret_sdp);
/* What answers our offer. Plain RTP takes several for one offer (forks, early media): the last one
 * holds. -SL_EPARSE; -SL_EUNSUPP: nothing in common (488); ret_err has LEG_ERR bytes. */
SL_MUST_CHECK int leg_accept(struct leg *l, struct sl_str answer, char *ret_err);
/* Theirs, and what we answer. -SL_EAGAIN: our own offer is open (491); as leg_accept */
SL_MUST_CHECK int leg_answer(struct leg *l, struct sl_str offer, struct sl_buf *ret_sdp,
			     char *ret_err);
/* Plain RTP: it goes on with the session of a leg that has died, whose newest description had this
 * version (RFC 3264 section 8). Before its first description */
void leg_set_origin(struct leg *l, uint64_t session, uint64_t version);
/* Our offer was refused. */
void leg_rollback(struct leg *l);
/* WebRTC: a trickled candidate */
SL_MUST_CHECK int leg_candidate(struct leg *l, struct sl_str candidate);
/* What our next descriptions say of us: LEG on hold is SL_SDP_SENDONLY (with music) or INACTIVE. */
void leg_set_direction(struct leg *l, enum sl_sdp_direction direction);
/* A description has been agreed. */
bool leg_is_agreed(const struct leg *l);
/* The peer has put us on hold. */
bool leg_is_held(const struct leg *l);
/* Audio codecs that are agreed, the first is what we send; returns how many. To prefer them in
 * the other leg's description spares transcoding. */
unsigned leg_codecs(const struct leg *l, enum sl_codec_id ret_codecs[LEG_MAX_CODECS]);
/* The order of our next descriptions */
void leg_set_codecs(struct leg *l, const enum sl_codec_id *codecs, unsigned n);

/* ---- how much of its sound is heard, which our next description tells a party that speaks Opus;
 * all, as at first. Of bridged legs it is known. */
/* By who offers this: -SL_EPARSE */
SL_MUST_CHECK int leg_heard_by(struct leg *l, struct sl_str offer);
/* By what the other has agreed to */
void leg_heard_by_leg(struct leg *l, const struct leg *other);

/* ---- video: passed on as it is, so that a leg has what the other party's has. Both say what the
 * leg's next descriptions may have; none, as at first: video is refused. */
/* What another party offers in this description; empty: none. -SL_EPARSE */
SL_MUST_CHECK int leg_want_video(struct leg *l, struct sl_str offer);
/* What the other has agreed to */
SL_MUST_CHECK int leg_want_video_of(struct leg *l, const struct leg *other);
/* What can be shown in a room, and what of it comes first */
SL_MUST_CHECK int leg_want_video_of_room(struct leg *l, struct sl_str room);
bool leg_has_video(const struct leg *l);
/* The leg's party asks for a key frame of what it sees. */
void leg_video_wanted(struct leg *l);

/* ---- where it goes */
/* Each hears the other; what they were connected to before is let go. */
SL_MUST_CHECK int leg_bridge(struct leg *a, struct leg *b);
/* The leg hears nothing, and nobody hears it. */
void leg_unbridge(struct leg *l);

enum leg_tone {
	LEG_TONE_SILENCE,
	LEG_TONE_RINGBACK,  /* 425 Hz, 1 s in 5 */
	LEG_TONE_BUSY,	    /* 425 Hz, 0.5 s in 1 */
	LEG_TONE_DIAL,	    /* 425 Hz */
	LEG_TONE_BEEP,	    /* 1000 Hz, 300 ms, once */
	LEG_TONE_MUSIC,	    /* music on hold, made here */
	LEG_TONE_SINE,	    /* 1000 Hz, for tests */
	LEG_N_TONES
};
/* Instead of a bridge. */
SL_MUST_CHECK int leg_play(struct leg *l, enum leg_tone tone);
/* Borrowed as long as the leg lives. Then silence, and `played` tells. */
SL_MUST_CHECK int leg_play_sound(struct leg *l, const struct sound *s);
/* What the party of `from` says goes out at l, too, as it is; l is nobody's peer. its_codecs: they
 * come first in l's first offer. Again: another one. Ends with either leg. */
SL_MUST_CHECK int leg_copy(struct leg *l, struct leg *from, bool its_codecs);
/* The same of what that party hears: everything that goes out at `from`, whoever makes it */
SL_MUST_CHECK int leg_copy_heard(struct leg *l, struct leg *from, bool its_codecs);
/* The leg hears itself. */
SL_MUST_CHECK int leg_echo(struct leg *l);
/* Into a room, by a name for the others there. -SL_EDENIED: no such rooms; -SL_EUNSUPP: no mixer */
SL_MUST_CHECK int leg_enter(struct leg *l, struct sl_str room, struct sl_str name);
/* Its peer in the room, as signalling knows it; 0: it is in none (yet) */
uint64_t leg_room_peer(const struct leg *l);
/* Its party writes to the room. -SL_ENOENT: it is in none */
SL_MUST_CHECK int leg_say(struct leg *l, struct sl_str text);
/* A digit of its party that has come by signalling */
void leg_take_digit(struct leg *l, char digit, unsigned ms);

/* ---- digits: as telephone-event where that is agreed, else as tones. Bridged legs pass on what
 * they hear by themselves. -SL_EINVAL; -SL_EFULL */
SL_MUST_CHECK int leg_send_dtmf(struct leg *l, struct sl_str digits, unsigned ms);

/* ---- statistics */
struct leg_stats {
	enum sl_codec_id codec_in, codec_out; /* of the newest packets; NONE: none */
	bool transcoded;	    /* what goes out was encoded here */
	bool one_way;		    /* agreed both ways, and since 5 s only one is alive */
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
	uint64_t lost_in, late_in;  /* late: came, but not in time for the jitter buffer */
	uint64_t concealed_ms;	    /* made up for what was lost or late */
	uint32_t jitter_in_us, delay_ms; /* delay: of the jitter buffer */
	uint32_t lost_out, jitter_out_us, rtt_us; /* by the peer's reports; 0: none */
	uint16_t mos_in, mos_out;   /* of 500: estimate by the E-model (G.107); 0: not known */
	uint64_t strangers;	    /* packets from elsewhere, dropped */
	uint64_t last_in_ms;	    /* loop time; 0: never */
};
void leg_get_stats(const struct leg *l, struct leg_stats *ret_stats);
/* The same as a JSON object, for records of calls */
void leg_stats_json(const struct leg *l, struct sl_buf *out);

#endif
