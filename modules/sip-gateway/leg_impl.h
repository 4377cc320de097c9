/*
 * sip-gateway/leg_impl.h: what the files of media legs share.
 *
 *     leg.c          a leg's life, the worker's two clocks
 *     leg_sdp.c      descriptions of plain RTP
 *     leg_port.c     its sockets
 *     leg_rtc.c      the WebRTC kind
 *     leg_in.c       what is heard: formats, digits, who listens
 *     leg_out.c      what goes out: one stream of numbers and times, whoever feeds it
 *     leg_make.c     what is encoded here: the other side's speech, tones, digits
 *     leg_room.c     its place in a room
 *     leg_sync.c     when what is heard was captured, and what goes out: lip sync
 *     leg_heard.c    how much of its party's sound the other one hears
 *     leg_keys.c     keys in descriptions
 *     leg_video*.c   video (leg_video.h)
 *     leg_track.c    what its party says, for who looks on
 *     leg_copy.c     the same, for a recorder beside the call
 *     leg_stats.c    figures
 *
 * Two clocks: every 10 ms while something is made (each leg has every second of them), every second
 * while there are legs. A leg that only passes packets on wakes nobody.
 */
#ifndef SIP_GATEWAY_LEG_IMPL_H
#define SIP_GATEWAY_LEG_IMPL_H

#include <sluice/audio.h>
#include <sluice/line.h>
#include <sluice/pace.h>
#include <sluice/rtc.h>
#include <sluice/sdp_plain.h>
#include <sluice/track.h>
#include <sluice/udp.h>
#include "leg.h"
#include "leg_keys.h"
#include "leg_video.h"
#include "strand.h"

enum {
	TICK_MS = 10,
	FRAME_MS = 20, /* two ticks: what is made at a time */
	N_PHASES = 2,
	MAX_FORMATS = 12,
	LEG_TEXT = 96,
	MAX_SECTIONS = 8,
	REPORT_S = 5,
};

struct leg_format {
	enum sl_codec_id codec; /* audio, CN or DTMF */
	uint8_t pt;
	uint32_t clock_hz;
	unsigned max_bps; /* what they want to get of it at most; 0: no limit */
};

struct leg_formats {
	struct leg_format list[MAX_FORMATS];
	unsigned n;
};

/* An m-section of a description that is not ours to talk in: kept, as every later one has it. */
struct leg_section {
	char type[16], proto[32], format[24];
};

/* What goes out is one stream, whoever feeds it. */
struct leg_out {
	uint16_t next_seq;
	uint32_t ts; /* of the newest packet */
	uint32_t clock_hz;
	uint64_t sent_ns; /* 0: nothing yet */
	uintptr_t feed; /* who fed the newest packet */
	uint32_t ts_offset;   /* from the feed's times */
	uint64_t seq_offset;  /* from a relayed stream's numbers */
	uint64_t first_seq;   /* of the relayed stream; what is older stays out */
	enum sl_codec_id codec;
	bool encoded; /* the newest packet was made here */
	uint64_t told_seq; /* of the newest packet, unwrapped, for copies */
};

enum digit_step { DIGIT_NONE, DIGIT_HELD, DIGIT_ENDING, DIGIT_GAP };

struct leg_digits {
	char waiting[LEG_DIGITS];
	uint16_t ms[LEG_DIGITS];
	unsigned n;
	enum digit_step step;
	unsigned elapsed_ms, ends;
	bool as_tone;
	uint32_t ts; /* of the event */
	struct leg_format format;
	struct sl_tone tone;
	struct sl_tone_step steps[2];
	unsigned tone_hz;
};

struct leg {
	struct legs *all;
	struct leg *prev, *next;	   /* in legs.first, or legs.dying */
	struct leg *tick_prev, *tick_next; /* in legs.ticking[phase] */
	bool ticking, closed;
	uint8_t phase;
	struct leg_opts o;
	char room[LEG_TEXT], name[LEG_TEXT]; /* what o has of them */
	enum leg_state state;
	uint64_t agreed_ns;

	/* plain RTP */
	struct sl_udp *rtp, *rtcp;
	struct sl_line *line;
	uint8_t family;
	uint64_t sdp_id, sdp_version;
	struct leg_keys keys;
	struct leg_section sections[MAX_SECTIONS];
	unsigned n_sections, audio_at, video_at; /* video_at MAX_SECTIONS: it has no place */
	bool offer_open, mux, secure;

	/* WebRTC */
	struct sl_rtc *rtc;
	struct sl_rtc_media *media;
	uint32_t their_ssrc;

	/* agreed */
	struct leg_formats in, out_formats;
	enum sl_sdp_direction wanted, direction, theirs;
	unsigned ptime_ms;
	uint32_t heard_hz; /* what the next description says of their sound; 0: all is heard */
	uint32_t told_hz;  /* what the last one said */

	/* heard */
	struct leg *peer; /* who hears it; itself: echo */
	struct sl_event_in event;
	uint32_t event_clock_hz;
	uint64_t digits_ns; /* since when n_digits have come */
	unsigned n_digits;
	struct sl_audio_source *source; /* NULL: nothing need be decoded */
	unsigned source_hz;
	struct sl_dtmf_ear *ear;
	struct sl_resampler *ear_rate; /* from ear_rate_hz to the ear's; NULL: not needed yet */
	unsigned ear_rate_hz;
	enum sl_codec_id codec_in;
	unsigned stream; /* counts SSRCs and jumps */
	uint64_t heard_ns;
	uint32_t heard_ts; /* of the newest sound */
	struct strand strand; /* its sound */

	/* made */
	struct leg_out out;
	struct sl_audio_sink *sink;
	unsigned sink_hz, sink_ptime_ms;
	struct leg_format sink_format;
	bool transcodes; /* what the peer says is encoded here */
	struct sl_tone tone;
	bool playing;
	const struct sound *sound; /* borrowed; a file that is played */
	size_t sound_at;
	bool repeats;
	struct leg_digits digits;

	/* in a room */
	struct sl_mixer_phone *phone; /* NULL: in none */
	struct sl_audio_decoder *ear_decoder;
	enum sl_codec_id ear_codec;

	struct sl_track track; /* while it is shown */
	bool shown;

	struct leg *copies;		  /* legs that get what its party says */
	struct leg *heard_copies;	  /* ... hears */
	struct leg *copy_of, *copy_next; /* of one of those */
	bool was_copy, copies_heard;

	struct leg_video *video; /* owned; NULL: nobody has asked for any */
};

struct legs {
	struct sl_worker *w;
	const struct sl_meter *m; /* of the module */
	const struct legs_conf *conf;
	struct leg *first, *dying;
	struct leg *ticking[N_PHASES];
	unsigned n, n_ticking, next_phase;
	struct sl_timer tick, second;
	struct sl_post bury;
	struct sl_pace pace; /* of the ticks */
	uint64_t n_ticks, n_seconds;
	uint64_t cpu_ns;
	bool adaptive;
	unsigned n_late; /* ticks of this second that came late */
	unsigned complexity, max_complexity;
	uint16_t next_port;
	const struct sl_mixer_iface *mixer; /* NULL: not there, or not asked for so far */
	void *mixer_self;
	const struct sound *music; /* NULL: made here */
};

/* ---- leg.c */
void leg_tell_state(struct leg *l, enum leg_state state, const char *why);
void leg_tick_on(struct leg *l);
uint64_t leg_now_ns(const struct leg *l);
const struct leg_handler *leg_handler_of(const struct leg *l); /* of a closed one: empty */

/* ---- leg_port.c */
SL_MUST_CHECK int leg_port_open(struct leg *l, uint8_t family);
void leg_port_close(struct leg *l);
const struct sl_addr *leg_port_told(const struct leg *l); /* where media should come to */
void leg_port_report(struct leg *l, bool bye);
/* p: a sealed packet; leaves at the end of the tick */
void leg_port_send(struct leg *l, struct sl_packet *p, bool rtcp);
/* The same of video, on ports of its own */
SL_MUST_CHECK int leg_port_open_video(struct leg *l);
void leg_port_send_video(struct leg *l, struct sl_packet *p, bool rtcp);

/* ---- leg_sdp.c */
SL_MUST_CHECK int leg_plain_offer(struct leg *l, struct sl_buf *ret_sdp);
SL_MUST_CHECK int leg_plain_accept(struct leg *l, struct sl_str answer, char *ret_err);
SL_MUST_CHECK int leg_plain_answer(struct leg *l, struct sl_str offer, struct sl_buf *ret_sdp,
				   char *ret_err);
/* The order in which the leg wants codecs; returns how many. */
unsigned leg_wanted_codecs(const struct leg *l, enum sl_codec_id ret_codecs[LEG_MAX_CODECS]);

/* ---- leg_rtc.c */
SL_MUST_CHECK int leg_rtc_offer(struct leg *l, bool restart, struct sl_buf *ret_sdp);
SL_MUST_CHECK int leg_rtc_accept(struct leg *l, struct sl_str answer, char *ret_err);
SL_MUST_CHECK int leg_rtc_answer(struct leg *l, struct sl_str offer, struct sl_buf *ret_sdp,
				 char *ret_err);

/* ---- leg_in.c */
const struct leg_format *leg_format_by_pt(const struct leg_formats *f, unsigned pt);
const struct leg_format *leg_format_of(const struct leg_formats *f, enum sl_codec_id codec,
				       uint32_t clock_hz);
/* The first that speech can be sent in; NULL: none */
const struct leg_format *leg_format_first(const struct leg_formats *f);
/* A packet of the leg's party */
void leg_hear(struct leg *l, const struct sl_rtp *rtp, uint64_t seq,
	      const struct leg_format *format);
void leg_hear_restart(struct leg *l);
void leg_hear_time(struct leg *l);
void leg_drop_source(struct leg *l);
/* A packet to be decoded by the leg's source, which is there */
void leg_decode(struct leg *l, const struct sl_rtp *rtp, const struct leg_format *f);
/* The leg's speech at hz from now on. false: no memory */
bool leg_need_source(struct leg *l, unsigned hz);
bool leg_wants_ear(const struct leg *l);
/* A digit was heard in the leg's audio. */
void leg_heard_digit(struct leg *l, char digit, unsigned ms);
/* Samples of the leg's party, at any rate, for its ear */
void leg_listen(struct leg *l, const int16_t *pcm, size_t n, unsigned hz);

/* ---- leg_out.c */
bool leg_may_send(const struct leg *l);
/* A packet of another leg's, as it is. */
void leg_relay(struct leg *l, uintptr_t feed, const struct leg_format *format,
	       const struct sl_rtp *rtp, uint64_t seq);
/* This number of a relayed stream is not passed on, and is not to be missed. */
void leg_relay_skip(struct leg *l, uintptr_t feed, uint64_t seq);
/* A packet that is made here: the payload stands in p at SL_RTP_HEADER. */
struct leg_made {
	const struct leg_format *format;
	uint32_t ts; /* of the feed's own time */
	uint32_t len;
	bool marker;
};
void leg_send_made(struct leg *l, uintptr_t feed, struct sl_packet *p, const struct leg_made *m);
/* The same of a payload that others are sent, too */
void leg_send_shared(struct leg *l, uintptr_t feed, const struct sl_rtp *rtp,
		     const struct leg_made *m);
/* The out stream's time now, for something that begins */
uint32_t leg_out_ts(const struct leg *l, uint32_t clock_hz);
/* A packet with a time of the out stream itself (events). */
void leg_send_event(struct leg *l, const struct leg_format *format, uint32_t ts, bool marker,
		    const uint8_t payload[4]);

/* ---- leg_make.c */
void leg_make(struct leg *l, uint64_t now_ns);
bool leg_is_made(const struct leg *l); /* something goes out that is made here */
void leg_drop_sink(struct leg *l);
void leg_stop_playing(struct leg *l);
/* 20 ms of digits, if one is being sent; true: nothing else may go out now. */
bool leg_digits_step(struct leg *l, int16_t *pcm, unsigned *ret_hz);
unsigned leg_ptime(const struct leg *l, enum sl_codec_id codec);
/* maxaveragebitrate (RFC 7587 section 6.1); 0: not said */
unsigned leg_max_bps(struct sl_str params);
unsigned leg_loss_percent(const struct leg *l);
void leg_keep_alive(struct leg *l); /* 20 ms of silence */
void leg_adapt(struct leg *l); /* once a second: redundancy and effort of the encoder */

/* ---- leg_room.c */
/* NULL: there is no mixer */
const struct sl_mixer_iface *leg_room_mixer(struct legs *all);
void leg_room_leave(struct leg *l);
void leg_room_hear(struct leg *l, const struct sl_rtp *rtp, const struct leg_format *f);
void leg_room_restart(struct leg *l);
void leg_room_digit(struct leg *l, char digit);
/* What was agreed may be another format now. */
void leg_room_format(struct leg *l);
void leg_room_second(struct leg *l);

/* ---- leg_heard.c */
/* Before a description of ours is written */
void leg_heard_describe(struct leg *l);
/* Who hears it has changed */
void leg_heard_sync(struct leg *l);

/* ---- leg_sync.c */
void leg_sync_sound(struct leg *l, const struct sl_rtp *rtp, const struct leg_format *f);
void leg_sync_picture(struct leg *l, const struct sl_rtp *rtp);
/* A sender report of a browser's */
void leg_sync_report(struct leg *l, bool picture, const struct sl_rtc_clock *clock);
void leg_sync_second(struct leg *l);

/* ---- leg_copy.c */
void leg_copy_hear(struct leg *from, uintptr_t feed, const struct sl_rtp *rtp, uint64_t seq,
		   const struct leg_format *f);
void leg_copy_restart(struct leg *from);
/* A packet that goes out at `from`: before it is sealed, with the numbers it goes out with */
void leg_copy_sent(struct leg *from, const struct sl_rtp *rtp, const struct leg_format *f);
void leg_copy_second(struct leg *l);
/* It is no copy any more, and has none. */
void leg_copy_end(struct leg *l);

/* ---- leg_track.c */
/* SL_DROP: it goes no further */
SL_MUST_CHECK int leg_track_media(struct leg *l, const struct sl_rtp *rtp, uint64_t seq,
				  const struct leg_format *f);
void leg_track_clock(struct leg *l, const struct sl_rtc_clock *clock);
/* Its party has ended what it sends, for now, or goes on. */
void leg_track_over(struct leg *l, bool over);
void leg_track_second(struct leg *l);
void leg_track_end(struct leg *l);

#endif
