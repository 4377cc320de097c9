/*
 * sluice/mixer.h: phones in rooms: who takes one audio stream at a time hears a whole room in it:
 * sl_iface_get(w, SL_MIXER_IFACE, 1, &self), once modules have started.
 *
 * A phone is a member of its room like everybody (<sluice/room.h>): by name, heard by browsers as a
 * track, silenced and removed by moderators. It hears everybody but itself. Where a PIN is asked
 * for, it is asked first, by tones and digits. Pictures are not mixed: a phone with a camera is seen
 * as a track of its own, and is shown one of the others' at a time. Everything runs on the worker's
 * loop; callbacks never come from within a call of this interface, and none come after leave.
 */
#ifndef SLUICE_MIXER_H
#define SLUICE_MIXER_H

#include <sluice/audio.h>
#include <sluice/room.h>

#define SL_MIXER_IFACE "mixer"

struct sl_mixer_phone;

struct sl_mixer_format {	/* of what a phone is sent */
	enum sl_codec_id codec; /* NONE: nothing now */
	uint32_t clock_hz;
	unsigned ptime_ms; /* 10 .. 60 */
};

/* A packet for a phone: of rtp the payload counts. Borrowed for the call, and shared with others.
 */
struct sl_mixer_out {
	const struct sl_rtp *rtp;
	struct sl_mixer_format format;
	uintptr_t feed; /* its times go on while this is the same; never 0 or 1 */
	uint32_t ts;
	bool marker;
};

enum sl_mixer_end {
	SL_MIXER_LEFT,	  /* nobody's fault: the room was closed */
	SL_MIXER_REMOVED, /* by a moderator */
	SL_MIXER_REFUSED, /* no or a wrong PIN */
	SL_MIXER_FULL,	  /* the room has no place */
	SL_MIXER_NO_ROOM, /* rooms of that name are not carried here */
	SL_MIXER_FAILED,  /* memory, a limit of this node */
};

struct sl_mixer_handler {
	void (*play)(void *arg, const struct sl_mixer_out *out);
	/* Is not in the room (any more); leave is to be called all the same. why: a sentence */
	void (*ended)(void *arg, enum sl_mixer_end end, const char *why);
	/* Somebody of that name has written to the room. NULL: it takes none */
	void (*text)(void *arg, struct sl_str name, struct sl_str text);
	/* What it watches. NULL: it watches nothing */
	void (*picture)(void *arg, const struct sl_room_picture *p);
	/* Somebody needs a key frame of its camera; may be asked often, also from within `show`. */
	void (*key_frame)(void *arg);
};

/* A packet of a phone's camera */
struct sl_mixer_shot {
	enum sl_codec_id codec;
	struct sl_str params; /* as fmtp says them */
	const struct sl_rtp *rtp;
	uint64_t seq;	 /* unwrapped */
	uintptr_t stream; /* numbers and times go on while it is the same */
};

struct sl_mixer_opts {
	struct sl_str room, name; /* name: for people; cleaned and cut as needed */
	const struct sl_mixer_handler *handler;
	void *arg;
};

struct sl_mixer_iface {
	/* -SL_EDENIED: no such rooms here; -SL_ENOMEM. That the room is full is told by `ended`. */
	int (*join)(void *self, const struct sl_mixer_opts *o, struct sl_mixer_phone **ret_phone);
	void (*leave)(struct sl_mixer_phone *p); /* accepts NULL */
	/* Equal ones cost nothing. */
	void (*set_format)(struct sl_mixer_phone *p, const struct sl_mixer_format *f);
	/* What it says. The packet stays the caller's; a reference is taken where it is kept. */
	void (*hear)(struct sl_mixer_phone *p, const struct sl_audio_packet *packet,
		     uint64_t now_ns);
	/* Its stream begins anew. */
	void (*restart)(struct sl_mixer_phone *p);
	void (*digit)(struct sl_mixer_phone *p, char digit);
	/* What it loses of what it is sent */
	void (*set_loss)(struct sl_mixer_phone *p, unsigned percent);
	/* As join, for who only hears, and whom nobody sees: no member of the room, asked for no PIN.
	 * No hear, digit. While nobody speaks nothing is played to it. `ended` tells that the room
	 * was closed. -SL_ENOMEM */
	int (*listen)(void *self, const struct sl_mixer_opts *o, struct sl_mixer_phone **ret_phone);
	/* It writes to the room, in UTF-8. -SL_ENOENT: it is in none (yet) */
	int (*say)(struct sl_mixer_phone *p, struct sl_str text);
	/* What it can be shown from now on, also where it is let in later. Copied. -SL_ENOMEM */
	int (*watch)(struct sl_mixer_phone *p, const struct sl_room_watch *w);
	/* A key frame of what it watches */
	void (*ask_picture)(struct sl_mixer_phone *p);
	/* Of its camera, whose track begins with the first one; NULL: there is no camera any more. The
	 * packet is copied. */
	void (*show)(struct sl_mixer_phone *p, const struct sl_mixer_shot *shot);
	/* Nothing comes of its camera for now: others are told */
	void (*cover)(struct sl_mixer_phone *p, bool covered);
	/* As sl_room_iface.cameras */
	unsigned (*cameras)(void *self, struct sl_str room, enum sl_codec_id *ret_codecs,
			    unsigned max);
	/* Its id as a peer of the room (<sluice/signal.h>); 0: it is in none (yet), or only listens */
	uint64_t (*peer)(const struct sl_mixer_phone *p);
	/* What it says (audio), or its camera shows (video), with this RTP time, was captured when this
	 * worker's clock had ns, or would have come then: what the room is told for lip sync. */
	void (*clock)(struct sl_mixer_phone *p, enum sl_media_kind kind, uint32_t ts, uint64_t ns);
	/* How long what it hears of the loudest was kept here */
	unsigned (*delay_ms)(const struct sl_mixer_phone *p);
};

#endif
