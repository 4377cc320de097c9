/*
 * sluice/room.h: rooms whose media this node carries, for modules that bring participants without
 * WebRTC (phones, agents): sl_iface_get(w, SL_ROOM_IFACE, 1, &self).
 *
 * A member is a participant like any other: signalling shows it, moderators may silence or remove
 * it, recordings have it. It lives on the worker that let it in, hears every audio track of the room,
 * wherever that is published, as packets, and may send tracks of its own. Callbacks come on the
 * worker's loop.
 */
#ifndef SLUICE_ROOM_H
#define SLUICE_ROOM_H

#include <sluice/rtc.h>

#define SL_ROOM_IFACE "room"

struct sl_room_member;
struct sl_room_source; /* a track that a member sends */

/* A packet of the picture that a member is shown. Borrowed for the call. */
struct sl_room_picture {
	const struct sl_rtp_out *out; /* its pt is nobody's; src NULL: fills a number, nothing more */
	enum sl_codec_id codec;
	uint64_t track; /* while it is the same, numbers and times go on; else with a key frame */
};

struct sl_room_track { /* borrowed for the call */
	uint64_t id, peer; /* peer: its publisher, of signalling */
	uint8_t codec;	   /* enum sl_codec_id; NONE: not known yet */
	uint32_t clock_hz;
	struct sl_str params; /* of the codec */
	bool muted;
};

/* Members may be NULL. A handler neither leaves nor publishes: it posts (<sluice/loop.h>). */
struct sl_room_handler {
	/* It is heard from now on, or something of it has changed; there false: no longer. */
	void (*track)(void *arg, const struct sl_room_track *t, bool there);
	/* The packet is borrowed: a keeper references rtp->packet. RED is not undone. seq is unwrapped. */
	void (*rtp)(void *arg, uint64_t track, const struct sl_rtp *rtp, uint64_t seq,
		    unsigned codec);
	/* A moderator has silenced what it sends, or lets it be heard again. */
	void (*silenced)(void *arg, bool silenced);
	/* It was removed, or the room was closed: the member is no more. */
	void (*ended)(void *arg, const char *why);
	/* What it watches */
	void (*picture)(void *arg, const struct sl_room_picture *p);
	/* Somebody needs a key frame of a video that it sends; may be asked often. */
	void (*key_frame)(void *arg, struct sl_room_source *source);
};

struct sl_room_opts {
	struct sl_str room, name;
	uint32_t grants; /* enum sl_signal_grant of <sluice/signal.h> */
	const struct sl_room_handler *handler;
	void *arg;
};

struct sl_room_source_opts {
	enum sl_media_kind kind;
	enum sl_codec_id codec;
	uint32_t clock_hz;
	struct sl_str params, name; /* name: for people, may be empty */
};

struct sl_room_format {
	enum sl_codec_id codec;
	struct sl_str params; /* as fmtp says them */
};
/* What can be shown to a member that has place for one picture. */
struct sl_room_watch {
	const struct sl_room_format *formats; /* that it decodes; copied */
	unsigned n_formats;		      /* 0: nothing */
	uint64_t max_bps;   /* never more than this; 0: it has not said */
	uint64_t usual_bps; /* where it has not: more only when there is nothing smaller */
};

#define SL_ROOM_SILENT 127 /* -dBov, also when the level is not known */

struct sl_room_iface {
	/* The room comes to be with its first. Tracks that are there are told before it returns.
	 * -SL_EDENIED: media of such rooms are not carried here; -SL_EINVAL: a bad name; -SL_ELIMIT:
	 * the room is full; -SL_EFULL, -SL_ENOMEM */
	int (*join)(void *self, const struct sl_room_opts *o, struct sl_room_member **ret_member);
	void (*leave)(struct sl_room_member *m); /* no callback any more; accepts NULL */
	uint64_t (*peer)(const struct sl_room_member *m);
	/* -SL_EDENIED: the grants do not permit it; -SL_ELIMIT: too many tracks */
	int (*publish)(struct sl_room_member *m, const struct sl_room_source_opts *o,
		       struct sl_room_source **ret_source);
	void (*unpublish)(struct sl_room_source *s);
	/* p: an RTP packet, of its payload type only the codec counts, without header extensions;
	 * stays the caller's. level: RFC 6464, 0 (loudest) .. 127. -SL_EPARSE */
	int (*send)(struct sl_room_source *s, struct sl_packet *p, unsigned level);
	void (*set_clock)(struct sl_room_source *s, const struct sl_rtc_clock *clock);
	/* The member itself keeps silent: others are told. */
	void (*set_muted)(struct sl_room_source *s, bool muted);
	/* From now on it is shown one video at a time, of the others' who can be shown to it: that of
	 * whoever speaks, in one layer that fits. It changes at key frames. -SL_ENOMEM */
	int (*watch)(struct sl_room_member *m, const struct sl_room_watch *w);
	/* A key frame of what it is shown */
	void (*ask_picture)(struct sl_room_member *m);
	/* The codecs of the videos in a room that is known here; returns how many, each once. */
	unsigned (*cameras)(void *self, struct sl_str room, enum sl_codec_id *ret_codecs,
			    unsigned max);
};

#endif
