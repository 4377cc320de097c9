/*
 * sfu/sfu.h: what the files of the selective forwarding unit share.
 *
 *     sfu.c         the descriptor, the module's life, its clock
 *     room.c        rooms, participants and tracks, as this worker knows them
 *     mode.c        direct, or through here
 *     verbs.c       what clients say; say.c: what they are told
 *     publish.c     a participant's media coming in: one connection, offered by the client
 *     data.c        what participants say on data channels
 *     shown.c       a track as other modules of this worker meet it
 *     member.c      participants whom other modules bring: phones
 *     watch.c       the one picture that such a participant is shown
 *     subscribe.c   media going to a participant: one connection, offered by us
 *     forward.c     packets of a track to its subscribers
 *     cache.c       newest key frames, for those who come
 *     trunk.c       tracks, feedback and news of other workers; trunk_tell.c: ours to them
 *     steward.c     who gets which layers, and which layers are made at all
 *     offer.c       what a track offers, and what its layers cost (pure)
 *     allocate.c    divides one estimate among tracks (pure)
 *     speakers.c    who speaks (pure)
 *     observe.c     how everybody's line is; quality.c: what is made of it (pure)
 *
 * A participant lives on the worker where it first published or subscribed, its home; a track on
 * its publisher's. Every worker knows all participants and tracks of the node. A worker with
 * subscribers of a track of another one is sent it once for each encoding that somebody wants
 * (trunk), and forwards it as if it were its own.
 */
#ifndef SFU_SFU_H
#define SFU_SFU_H

#include <sluice/layers.h>
#include <sluice/module.h>
#include <sluice/regex.h>
#include <sluice/room.h>
#include <sluice/rtc.h>
#include <sluice/signal.h>
#include "allocate.h"
#include "offer.h"
#include "quality.h"

enum {
	MAX_PENDING = 64, /* packets of one track that a tick forwards together */
	MAX_NAME = 128,
	MAX_WORKERS = 64,
	ID_CHARS = 17,
	TICK_MS = 100,
	SILENCE = 127, /* -dBov, RFC 6464 */
};

struct sfu_conf {
	struct sl_list rooms; /* struct sl_regex *: rooms whose media come here; none: all */
	int64_t direct_peers, max_tracks, audible, max_participants;
	uint64_t key_frame_cache; /* bytes of one worker; 0: none */
	uint64_t idle_timeout; /* ms */
	bool data;
};

/* X(name, kind, help) */
#define SFU_METERS(X)                                                                              \
	X(rooms, GAUGE, "rooms with participants on this worker")                                  \
	X(participants, GAUGE, "participants whose media are on this worker")                      \
	X(tracks, GAUGE, "tracks published on this worker")                                        \
	X(subscriptions, GAUGE, "subscriptions of this worker's participants")                     \
	X(published, COUNTER, "tracks published")                                                  \
	X(refused, COUNTER, "requests of clients refused")                                         \
	X(packets_in, COUNTER, "packets of tracks received from publishers")                       \
	X(packets_out, COUNTER, "packets forwarded to subscribers")                                \
	X(not_sent, COUNTER, "packets that a subscriber's pacer or a full arena refused")          \
	X(malformed, COUNTER, "packets dropped: their payload is not what the codec says")         \
	X(trunk_out, COUNTER, "packets sent to other workers")                                     \
	X(trunk_in, COUNTER, "packets received from other workers")                                \
	X(trunk_lost, COUNTER, "messages to other workers that found no room")                     \
	X(key_frames, COUNTER, "key frames asked of publishers")                                   \
	X(shown_from_cache, COUNTER, "subscriptions that were shown a kept key frame at first")     \
	X(layer_switches, COUNTER, "changes of a subscription's target layers")                    \
	X(pauses, COUNTER, "subscriptions paused for want of bandwidth")                           \
	X(data_messages, COUNTER, "data messages distributed")                                     \
	X(data_lost, COUNTER, "data messages that a participant lost: it does not read")           \
	X(data_holds, COUNTER, "times that nothing was read of a room's data channels for a while") \
	X(lost_participants, COUNTER, "participants asked to begin again: their worker is gone")

enum sfu_meter {
#define X(name, kind, help) M_##name,
	SFU_METERS(X)
#undef X
		N_SFU_METERS
};
extern const struct sl_metric sfu_metrics[];
extern const struct sl_directive sfu_directives[];

enum source { SOURCE_MICROPHONE, SOURCE_CAMERA, SOURCE_SCREEN, SOURCE_SCREEN_AUDIO, SOURCE_OTHER, N_SOURCES };

struct sl_media; /* <sluice/track.h> */

struct room {
	struct sl_hnode node; /* in sfu.rooms */
	struct sfu *sfu;
	struct participant *participants;
	struct track *tracks;
	unsigned n_participants, n_here; /* n_here: at home on this worker */
	struct speakers *speakers;
	/* W: steward.c; in sfu.awake while there may be something to do in a tick */
	struct room *awake_prev, *awake_next;
	bool awake;
	uint64_t heard_ms; /* newest packet, level or track */
	bool data_full, data_held; /* somebody here has much waiting; nothing is read of channels */
	uint64_t data_full_away_ms; /* another worker has; until then */
	size_t name_len;
	char name[];
};

struct participant {
	struct sl_hnode node; /* in sfu.participants, by id */
	struct participant *next; /* in room */
	struct room *room;
	uint64_t id;	  /* the peer's, of signalling */
	uint32_t owner;	  /* its home */
	/* W: observe.c; elsewhere only what home has told */
	struct quality quality;
	bool quality_is_new; /* since the last look */
	/* At home only: */
	bool here;
	uint32_t grants;
	struct sl_rtc *pub, *sub;
	struct sl_room_member *member; /* brought by a module: it has no connections */
	struct watch *watch;	       /* owned; NULL: it is shown nothing */
	struct sub *subs;
	bool auto_subscribe, wants_restart; /* of the subscribing connection */
	uint32_t n_offers;	 /* number of the newest offer to it */
	uint16_t data_channel;
	bool has_data, data_full; /* full: much waits for it, since data_full_ms */
	uint64_t data_full_ms;
	unsigned n_tracks;
	uint64_t idle_since_ms; /* neither sends nor receives; 0: it does */
	uint64_t wanted_bps, got_bps; /* of what it subscribes to; W: steward.c */
	bool knows_quality;	      /* of the others: has been told once */
	const json_t *announced; /* sources of the description being answered; W: publish.c */
};

/* A packet that waits for the end of the tick. */
struct pending {
	struct sl_packet *packet; /* referenced */
	struct sl_frame_info info;
	uint64_t seq;
	uint8_t encoding, codec;
};

/* A worker that is sent a track, for the encodings of the mask. */
struct link {
	struct link *next;
	uint32_t owner;
	uint32_t mask;
};

struct track {
	struct sl_hnode node; /* in sfu.tracks, by id */
	struct track *next;   /* in room */
	struct room *room;
	struct participant *publisher;
	uint64_t id;
	uint8_t kind, source; /* enum sl_media_kind, enum source */
	uint8_t codec;	      /* newest seen, or announced */
	bool muted, silenced; /* by its publisher; by an admin: nothing is forwarded */
	bool over;	      /* its publisher has said goodbye to all of it, for now */
	uint8_t ended;	      /* to these encodings */
	unsigned n_encodings;
	char name[MAX_NAME + 1], params[160], rids[SL_RTC_MAX_ENCODINGS][17];
	struct sl_rtp_ext_map ext; /* ids in its packets, for workers that are sent them */
	uint32_t clock_hz;
	/* At home: */
	struct sl_rtc_media *in; /* NULL: it is a member's, or comes over a trunk */
	struct shown *shown;
	struct link *links;
	uint32_t told_mask;	 /* encodings that the publisher was told to make */
	uint64_t unused_ms[SL_RTC_MAX_ENCODINGS];
	/* Elsewhere: */
	uint32_t wanted_mask; /* encodings that home was asked for */
	/* Everywhere: */
	struct sl_codec_state *state[SL_RTC_MAX_ENCODINGS];
	struct cache *cache[SL_RTC_MAX_ENCODINGS]; /* owned; NULL: nothing kept */
	struct encoding_rate rate[SL_RTC_MAX_ENCODINGS];
	uint8_t arriving; /* encodings, at the last look */
	struct sub *subs;
	unsigned n_subs;
	struct pending pending[MAX_PENDING];
	unsigned n_pending;
	/* W: forward.c; of the newest packet, and whether the next one was near after such a one */
	uint64_t newest_ns;
	bool newest_marker, near[2];
	bool dirty;
	struct track *next_dirty;
	uint64_t key_repeat_ms[SL_RTC_MAX_ENCODINGS]; /* no repeated request before that */
	uint64_t key_asked_ms[SL_RTC_MAX_ENCODINGS];  /* newest request that went out */
	uint8_t key_waits; /* encodings that are asked for with a tick */
	bool audible;	 /* audio: among those that are forwarded */
	uint8_t loudest; /* audio: since the last tick, in -dBov */
};

/* One participant's subscription to one track. */
struct sub {
	struct sub *next_of_track, *next_of_participant;
	struct track *track;
	struct participant *participant;
	struct sl_rtc_media *out; /* NULL: of a member, by callback */
	struct sl_layers *layers; /* video */
	uint8_t pts[SL_N_CODECS]; /* agreed payload types + 1; 0: not looked up; 0xff: none */
	/* What the client shows */
	uint16_t width, height;
	uint8_t priority;
	bool hidden, paused, stopped; /* paused: for want of bandwidth; stopped: by the client */
	bool has_seen; /* a picture, or is about to: nothing out of the cache any more */
	struct sl_layers_target target;
	struct allocate_state allocated;
	/* Audio: numbers without gaps over pauses */
	bool flowing;
	uint16_t seq_offset, seq_last;
	uint64_t seq_in; /* newest number of the publisher's, unwrapped */
};

struct sfu {
	struct sl_worker *w;
	const struct sfu_conf *conf;
	const struct sl_meter *m;
	const struct sl_signal_iface *signal;
	void *signal_self;
	struct sl_channel *channel;
	struct sl_htab rooms, participants, tracks;
	struct track *first_dirty;
	struct room *awake;
	struct sl_post post; /* forwards what is pending; so does held, at most 2 ms later */
	struct sl_timer held;
	struct sl_timer tick;
	uint64_t rates_at_ms, allocated_at_ms, idle_at_ms, observed_at_ms;
	uint64_t n_cached; /* n_cached: packets in caches */
	bool draining;
};

static inline uint64_t sfu_now_ms(const struct sfu *s)
{
	return sl_loop_ms(s->w->loop);
}
static inline void sfu_count(const struct sfu *s, enum sfu_meter m)
{
	sl_count(&s->m[m]);
}

/* ---- room.c */
/* Made when missing; NULL: out of memory */
struct room *room_get(struct sfu *s, struct sl_str name);
struct room *room_find(struct sfu *s, struct sl_str name);
void room_release(struct room *r); /* frees it when nobody is in it */
struct participant *participant_find(struct sfu *s, uint64_t id);
/* -SL_EEXIST: known */
int participant_add(struct room *r, uint64_t id, uint32_t owner, struct participant **ret_p);
/* This worker is its home: it is told to others. A negative result comes with a sentence. */
int participant_enter(struct sfu *s, const struct sl_signal_peer *peer, struct participant **ret_p,
		      const char **ret_sentence);
/* With its tracks, subscriptions and connections. */
void participant_remove(struct participant *p, const char *why);
struct track *track_find(struct sfu *s, uint64_t id);
int track_add(struct participant *p, uint64_t id, enum sl_media_kind kind, struct track **ret_t);
void track_remove(struct track *t);
/* By a moderator: nothing of it is forwarded, or again. */
void track_silence(struct track *t, bool silenced);
/* By its publisher */
void track_mute(struct track *t, bool muted);
/* Which encodings its publisher has ended by now; over: there is no other */
void track_ended(struct track *t, uint32_t ended, bool over);
/* Its subscribers are offered it anew. */
void track_codec_changed(struct track *t);
/* These encodings, which were not made or not fetched until now, are to come. */
void track_asked(struct track *t, uint32_t mask);
/* Asks its publisher, wherever that is. */
void track_ask_key(struct track *t, unsigned encoding);
/* Asks for what had to wait. */
void track_tick_keys(struct track *t);
void rooms_free(struct sfu *s);

/* ---- verbs.c */
extern const char *const verb_types[];
/* 0, or negative with a sentence for the client */
int verb_handle(struct sfu *s, const struct sl_signal_peer *peer, const json_t *msg,
		const char **ret_sentence);

/* ---- mode.c */
/* Media of such rooms are carried here, when they need it. */
bool mode_is_ours(const struct sfu *s, struct sl_str room);
bool mode_is_sfu(struct sfu *s, struct sl_str room);
void mode_joined(struct sfu *s, const struct sl_signal_peer *p);
/* A participant has come: with the first one, the room's media are here. */
void mode_began(struct room *r);
/* Everybody in the room whose socket is here is told to bring its media. */
void modes_tell(struct sfu *s, struct sl_str room);

/* ---- say.c: each sends one message to one participant */
void say_published(struct participant *p, struct sl_str sdp, const json_t *id);
void say_offer(struct participant *p, struct sl_str sdp);
void say_track(struct participant *to, const struct track *t);
void say_track_gone(struct participant *to, const struct track *t);
void say_muted(struct participant *to, const struct track *t);
void say_encodings(struct participant *publisher, const struct track *t, uint32_t mask);
void say_paused(struct participant *to, const struct sub *sub);
void say_speakers(struct participant *to, const struct room *r, const uint64_t *ids, unsigned n);
void say_quality(struct participant *to, const struct participant *const *list, unsigned n);
void say_restart(struct sfu *s, uint64_t peer, const char *connection, const char *reason);
void say_mode(struct sfu *s, uint64_t peer);
void say_error(struct sfu *s, uint64_t peer, const char *verb, const char *sentence);
const char *source_name(unsigned source);
unsigned source_by_name(struct sl_str name);
const char *id_text(char dst[ID_CHARS], uint64_t id);
int id_read(struct sl_str text, uint64_t *ret_id);

/* ---- publish.c */
/* Answers an offer; ret_sdp is the answer. */
int publish_offer(struct participant *p, struct sl_str sdp, const json_t *sources,
		  struct sl_buf *ret_sdp, char *ret_err);
void publish_close(struct participant *p, const char *why);
void publish_announce(struct track *t); /* to the others in the room */
void publish_clock(struct track *t, unsigned encoding, const struct sl_rtc_clock *clock);

/* ---- data.c */
void data_opened(struct participant *p, uint16_t channel);
void data_closed(struct participant *p);
/* What waited for it has been sent. */
void data_drained(struct participant *p);
void data_said(struct participant *p, bool text, struct sl_str data);
/* Said by somebody on another worker, or here: to all others here */
void data_distribute(struct room *r, uint64_t from, bool text, struct sl_str data);
/* Another worker cannot take more for a while. */
void data_held_away(struct room *r, bool held);
void data_tick(struct room *r);

/* ---- shown.c: for tracks of participants at home here */
int shown_begin(struct track *t);
void shown_changed(struct track *t);
void shown_clock(struct track *t, unsigned encoding, const struct sl_rtc_clock *clock);
/* Sets m->track. SL_DROP: a module wants it to go no further */
int shown_packet(struct track *t, struct sl_media *m);
/* A module needs all encodings of it. */
bool shown_wants_all(const struct track *t);
void shown_end(struct track *t);

/* ---- member.c */
extern const struct sl_room_iface member_iface; /* self: struct sfu */
void member_track(const struct sub *sub, bool there);
void member_hear(const struct sub *sub, const struct pending *k);
void member_silenced(const struct track *t);
void member_see(const struct participant *p, const struct sl_room_picture *picture);
void member_ask_key(const struct track *t);
void member_end(struct participant *p, const char *why);

/* ---- watch.c: of participants that are members, and at home here */
int watch_set(struct participant *p, const struct sl_room_watch *w);
/* A key frame of what it is shown */
void watch_ask(const struct participant *p);
/* Ten times a second while something goes on in the room: is it to be shown something else? */
void watch_tick(struct participant *p);
/* A packet that its layers let pass */
void watch_see(struct sub *sub, const struct sl_rtp_out *out, unsigned codec);
bool watch_takes(const struct participant *p, const struct track *t);
/* Is it to be counted where the way is divided? What is on its way out is not. */
bool watch_counts(const struct sub *sub);
/* least_bps: of the smallest picture that there is */
uint64_t watch_budget(const struct participant *p, uint64_t least_bps);
void watch_forget(const struct sub *sub);
void watch_end(struct participant *p);

/* ---- subscribe.c */
int subscribe(struct participant *p, struct track *t, struct sub **ret_sub);
void unsubscribe(struct sub *sub);
/* The track's codec is known, or another one */
void subscribe_codec(struct sub *sub);
struct sub *sub_find(const struct participant *p, const struct track *t);
/* Everything that there is, where the participant wants that. */
void subscribe_all(struct participant *p);
int subscribe_answer(struct participant *p, uint32_t number, struct sl_str sdp, char *ret_err);
void subscribe_restart(struct participant *p);
void subscribe_close(struct participant *p, const char *why);

/* ---- forward.c */
/* Takes a packet of the track, from its publisher or its trunk. rtp stands beside the packet. */
void forward_packet(struct track *t, const struct sl_rtp *rtp, uint64_t seq, unsigned encoding,
		    unsigned codec);
void forward_clock(struct track *t, unsigned encoding, const struct sl_rtc_clock *clock);
void forward_pending(struct sl_post *post);   /* arg: struct sfu */
void forward_held(struct sl_timer *timer); /* the same */
void forward_forget(struct track *t);
/* A packet of a frame that another worker has kept: it is kept here, and not forwarded. */
void forward_kept(struct track *t, const struct sl_rtp *rtp, uint64_t seq, unsigned encoding,
		  unsigned codec);
/* Packets of video can be sent: it is connected, and has agreed to the codec. */
bool forward_is_ready(struct sub *sub);
/* A packet of a key frame that came before; nothing flows to the subscriber yet. */
void forward_still(struct sub *sub, const struct pending *k);

/* ---- cache.c */
void cache_packet(struct track *t, const struct pending *k);
/* What is kept of these encodings, to a worker that wants them from now on */
void cache_send(struct track *t, uint32_t owner, uint32_t mask);
/* Where the subscriber has seen nothing yet, and something is kept */
void cache_show(struct sub *sub);
void cache_forget(struct track *t);

/* ---- trunk.c */

/* Opens the way to the other workers, and asks them for what they have; 0 or -SL_E... */
int trunk_open(struct sfu *s);

/* A worker has died: its participants and links go, clients of them here are told to begin anew. */
void trunk_gone(struct sfu *s, uint32_t owner);

/* ---- trunk_tell.c: to all workers */

void trunk_participant(const struct participant *p);
void trunk_participant_gone(const struct participant *p);

/* A track of this worker, new or changed. */
void trunk_track(const struct track *t);
void trunk_track_gone(const struct track *t);
void trunk_quality(const struct participant *p);

/* ---- trunk_tell.c: to the home of a track or of a participant, which is another worker */

/* Which encodings somebody here wants, a bit for each; nothing is said if it was the same. */
void trunk_want(struct track *t, uint32_t mask);
void trunk_key(const struct track *t, unsigned encoding);
void trunk_silence(const struct track *t, bool silenced);

/* A client's message that belongs to the participant's home; -SL_E... where it cannot go there. */
int trunk_verb(struct sfu *s, uint32_t owner, uint64_t peer, uint32_t grants, struct sl_str json);

/* ---- trunk_tell.c: to workers with subscribers of a track, or with somebody in a room */

/* What is pending of it, to all that want it. */
void trunk_packets(struct track *t);

/* The kept picture, to one that wants the track from now on; too large ones are left out. */
void trunk_still(struct track *t, uint32_t owner, const struct pending *packets, unsigned n);
void trunk_clock(const struct track *t, unsigned encoding, const struct sl_rtc_clock *clock);

/* What a participant has said on its data channel; more than 48 KiB are counted and lost. */
void trunk_data(const struct room *r, uint64_t from, bool text, struct sl_str data);

/* Somebody here does not read: data of the room is to wait everywhere, or may go on. */
void trunk_hold(const struct room *r, bool held);

/* How loud it was, in -dBov. */
void trunk_levels(const struct room *r, const struct track *t, unsigned level);

/* ---- observe.c */
/* Every QUALITY_LOOK_MS, while something goes on in the room */
void observe_room(struct room *r, uint64_t now_ms);
/* A participant's home has told. */
void observe_away(struct participant *p, const struct quality_news *news);

/* ---- steward.c */
void steward_tick(struct sfu *s);
void steward_allocate(struct participant *p);
/* Something goes on in a room: it is looked after in each tick, until long after. */
void steward_wake(struct room *r);
void steward_sleep(struct room *r);
void steward_heard(struct track *t, unsigned level, bool voice);
/* Encodings that somebody wants of the track now. */
void steward_wants_changed(struct track *t);

#endif
