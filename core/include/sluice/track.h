/*
 * sluice/track.h: tracks: one source of media each, on the worker that receives it, whoever brings
 * it: a browser in a room, a phone, an agent.
 *
 * Who brings a track keeps the object and fills it; others meet it in phases. TRACK_NEW, when it
 * begins; TRACK_CHANGE, when what is said of it is no longer what it was; TRACK_CLOCK, when its
 * sender has told a common clock; TRACK_CLOSE. Its packets, plain and each only once, run through
 * RTP_IN (whoever must see all), RTP_FILTER (who may drop) and RTP_TAP (who takes what goes on). A
 * handler keeps a packet by reference to m->rtp->packet; the view beside it lives as long.
 */
#ifndef SLUICE_TRACK_H
#define SLUICE_TRACK_H

#include <sluice/hook.h>
#include <sluice/rtc.h>

struct sl_track {
	struct sl_worker *worker;
	struct sl_session *session; /* transport of its sender; NULL: none */
	uint64_t id;		    /* random, the same on the whole node */
	uint64_t peer;		    /* of signalling (<sluice/signal.h>); 0: none */
	/* Borrowed of who brings it; live as long as the track. name: the track's own, may be empty
	 */
	struct sl_str room, peer_name, name;
	const char *source; /* "microphone", "camera" ... */
	uint8_t kind;	    /* enum sl_media_kind */
	uint8_t codec; /* enum sl_codec_id: newest seen, or announced; of a packet: sl_media.codec
			*/
	struct sl_str params; /* of the codec, as fmtp says them */
	bool muted;
	uint32_t clock_hz; /* of RTP times */
	unsigned n_encodings;
	struct sl_str rids[SL_RTC_MAX_ENCODINGS];
	struct sl_rtc_clock clock[SL_RTC_MAX_ENCODINGS];	      /* newest; ntp 0: none yet */
	void (*ask_key_frame)(struct sl_track *t, unsigned encoding); /* NULL: of no use */
	void *arg;						      /* of who brings it */
	struct sl_track *prev, *next; /* W: core; in its worker's list */
	/* W: who looks on, in place: all encodings are to be made, also those that nobody is shown
	 */
	bool wants_all;
	bool over; /* its sender has said goodbye to it (RTCP BYE), for now: nothing comes */
};

/* One packet of a track. */
struct sl_media {
	struct sl_track *track;
	const struct sl_rtp *rtp; /* plain; what the packet of a retransmission repeats */
	uint64_t seq;		  /* unwrapped, of this encoding */
	uint8_t encoding, codec;  /* simulcast: index into rids; enum sl_codec_id */
	bool recovered;		  /* by retransmission */
};

/* ---- for who brings it */
/* worker, id, room and kind at least are filled. Runs TRACK_NEW. */
SL_API void sl_track_begin(struct sl_track *t);
SL_API void sl_track_changed(struct sl_track *t);
SL_API void sl_track_clock(struct sl_track *t, unsigned encoding, const struct sl_rtc_clock *clock);
/* SL_DROP: a filter wants it to go no further; else SL_OK. */
SL_API SL_MUST_CHECK int sl_track_media(const struct sl_media *m);
/* Runs TRACK_CLOSE; nothing of it is borrowed afterwards. */
SL_API void sl_track_end(struct sl_track *t);

/* ---- for who looks on */
/* Every track of this worker; fn may end none. */
SL_API void sl_track_each(struct sl_worker *w, void (*fn)(void *arg, struct sl_track *t),
			  void *arg);
/* May be asked often: who brings it sees to a sane rate. */
SL_API void sl_track_ask_key_frame(struct sl_track *t, unsigned encoding);

#endif
