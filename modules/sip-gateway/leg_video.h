/*
 * sip-gateway/leg_video.h: the video of media legs, for the files of a leg.
 *
 *     leg_video.c       what a party sends, to whoever sees it; key frames asked for
 *     leg_video_out.c   what goes to a party, as one stream
 *     leg_video_again.c what is lost between us and a telephone
 *     leg_video_rate.c  how much a party may send, as it changes
 *     leg_video_room.c  in a room
 *     leg_video_want.c  which formats a leg's next description may have
 *     leg_video_sdp.c   the video section of plain RTP
 *     leg_video_rtc.c   the same of WebRTC
 *
 * Video is passed on as it is and never encoded here. So a leg has no formats of its own: what one
 * party offers is offered to the other with its parameters, and what that one has agreed on is what
 * the first is answered (RFC 6184 section 8.2.2 then holds from end to end).
 */
#ifndef SIP_GATEWAY_LEG_VIDEO_H
#define SIP_GATEWAY_LEG_VIDEO_H

#include <sluice/line.h>
#include <sluice/room.h>
#include <sluice/rtc.h>
#include <sluice/sdp_plain.h>
#include <sluice/track.h>
#include <sluice/udp.h>
#include "leg_keys.h"
#include "strand.h"

enum { LEG_VIDEO_FORMATS = 12, LEG_VIDEO_PARAMS = 160 };

struct leg_video_format {
	enum sl_codec_id codec;
	uint8_t pt;
	char params[LEG_VIDEO_PARAMS]; /* as fmtp says them */
};

struct leg_video_formats {
	struct leg_video_format list[LEG_VIDEO_FORMATS];
	unsigned n;
};

/* What goes out is one stream, whoever feeds it. */
struct leg_video_out {
	uintptr_t feed;
	uint16_t next_seq;
	uint64_t seq_offset, first_seq;
	uint32_t ts, ts_offset;
	uint64_t sent_ns; /* 0: nothing yet */
	uint64_t bytes, bytes_before; /* payload; a second ago */
	uint64_t bps;		      /* of the last second; of a browser's leg */
	struct sl_unwrap room_seq;    /* of a room's track */
	enum sl_codec_id codec;
};

struct leg_video_history;
struct leg_video {
	/* wanted: of the other party's making */
	struct leg_video_formats want; /* none: no video */
	enum sl_sdp_direction wanted;
	uint64_t limit_bps; /* what our party shall send at most; 0: no limit */

	/* plain RTP */
	struct sl_udp *rtp, *rtcp;
	struct sl_line *line;
	struct leg_keys keys;
	struct leg_video_formats offered; /* as our newest description says them */
	uint8_t feedback; /* enum sl_plain_feedback, theirs, of what we know */
	struct leg_video_history *history; /* owned; NULL: nothing is kept */
	struct sl_timer again;		   /* something is missing */
	uint64_t n_repeated;
	uint64_t told_bps, bound_bps; /* what it was told, and has told, to send at most; 0: nothing */
	uint64_t described_s;	      /* when a limit was described last; of a browser's leg */
	bool mux;

	/* WebRTC */
	struct sl_rtc_media *media;
	uint32_t their_ssrc;

	/* agreed */
	bool on;
	struct leg_video_formats in, out;
	enum sl_sdp_direction direction;
	enum sl_sdp_direction theirs; /* what our party would do, were it not narrowed */
	uint64_t their_limit_bps;
	unsigned version; /* counts agreements */

	/* heard */
	enum sl_codec_id codec_in;
	unsigned stream; /* counts SSRCs and jumps */
	uint64_t heard_ns, asked_ns;
	uint32_t heard_ts;    /* of the newest picture */
	struct strand strand; /* its pictures */
	bool asks; /* for a key frame, as soon as the limit lets */
	uint32_t n_asked_in, n_asked_out;

	struct leg_video_out out_stream;
	struct { /* which format of the other's one of ours is */
		const struct leg_video *to;
		unsigned version, to_version;
		uint8_t in_pt, out_pt; /* out_pt 0: none */
	} map;

	struct sl_track track; /* while it is shown */
	bool shown;
};

struct leg;

/* ---- leg_video.c */
SL_MUST_CHECK int leg_video_need(struct leg *l); /* makes l->video */
void leg_video_free(struct leg *l);
/* A packet of the leg's party */
void leg_video_hear(struct leg *l, const struct sl_rtp *rtp, uint64_t seq);
void leg_video_hear_restart(struct leg *l);
/* The leg's party is asked for a key frame, twice a second at most. */
void leg_video_ask(struct leg *l);
void leg_video_second(struct leg *l);
void leg_video_end(struct leg *l); /* its track */
void leg_video_clock(struct leg *l, const struct sl_rtc_clock *clock);
/* Its party has ended what it sends, for now, or goes on. */
void leg_video_over(struct leg *l, bool over);

/* ---- leg_video_out.c */
void leg_video_relay(struct leg *from, struct leg *to, const struct sl_rtp *rtp, uint64_t seq,
		     uint8_t pt);
void leg_video_play(struct leg *l, const struct sl_room_picture *picture, uint8_t pt);

/* ---- leg_video_again.c: of plain RTP */
/* A packet that has just left */
void leg_video_keep(struct leg *l, struct sl_packet *p, uint16_t seq);
void leg_video_repeat(struct leg *l, const uint16_t *seqs, unsigned n);
void leg_video_forget(struct leg_video *v);
/* Something has come; what is missing before it is asked for when it is due. */
void leg_video_miss(struct leg *l);
void leg_video_miss_nothing(struct leg *l);

/* ---- leg_video_rate.c: of plain RTP */
/* Its party wants no more than that. */
void leg_video_bound(struct leg *l, uint64_t bps);
void leg_video_rate_second(struct leg *l);

/* ---- leg_video_room.c */
void leg_video_room_play(struct leg *l, const struct sl_room_picture *picture);
void leg_video_room_hear(struct leg *l, const struct sl_rtp *rtp, uint64_t seq,
			 const struct leg_video_format *f);
/* Its party asks for a key frame; nothing where it is in no room. */
void leg_video_room_ask(struct leg *l);
/* It has come into a room, or something else has been agreed. */
void leg_video_room_sync(struct leg *l);
/* Its party takes less, or more, than it did. */
void leg_video_room_bound(struct leg *l);
void leg_video_room_second(struct leg *l);

/* ---- leg_video_want.c */
/* The direction that was agreed, of what both would do */
void leg_video_agreed(struct leg *l, bool on, enum sl_sdp_direction direction);
/* What is agreed here may concern the other party. */
void leg_video_sync(struct leg *l);
struct sl_sdp_format leg_video_sdp_format(const struct leg_video_format *f);
bool leg_video_add_format(struct leg_video_formats *to, const struct sl_sdp_format *f);

/* ---- leg_video_sdp.c */
/* Fills the section of our offer. False: there is no video in it. */
bool leg_video_offer(struct leg *l, struct sl_plain *ret_section);
/* The answer to their section; false: it is refused. */
bool leg_video_answer(struct leg *l, const struct sl_plain *theirs, struct sl_plain *ret_section);
/* What they have answered; NULL: nothing, or refused */
void leg_video_accept(struct leg *l, const struct sl_plain *theirs);

/* ---- leg_video_rtc.c */
SL_MUST_CHECK int leg_video_rtc_prepare(struct leg *l, bool offering);
void leg_video_rtc_learn(struct leg *l);

#endif
