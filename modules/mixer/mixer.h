/*
 * mixer/mixer.h: what the files of this module share.
 *
 *     mixer.c     directives, the clock, life
 *     room.c      a room: who is in it, its tick
 *     source.c    a voice: packets in, samples out, how loud it is
 *     phone.c     a phone: the interface, its place in the room, digits
 *     speak.c     what a phone says, as a track of the room
 *     lips.c      when that was said or shown: lip sync
 *     picture.c   what a phone's camera shows, as another; and whom it is shown
 *     choir.c     what phones hear: one encoding for all who listen, own ones for who talks
 *     record.c    recordings that a phone begins and ends
 *     chat.c      what is written, to and from phones
 *     tones.c     what is told by tones
 *     loudest.c, mix.c, red.c    pure parts
 *
 * A room here is the phones of this worker in a room, with one hidden member that hears the others
 * for all of them. It has a tick, every 20 ms, while somebody in it can be heard by a phone; else
 * it wakes nobody.
 */
#ifndef MIXER_H
#define MIXER_H

#include <sluice/hash.h>
#include <sluice/mixer.h>
#include <sluice/module.h>
#include <sluice/pace.h>
#include <sluice/regex.h>
#include <sluice/room.h>
#include <sluice/signal.h>
#include "loudest.h"
#include "mix.h"

enum {
	MAX_LOUDEST = 16,
	MAX_NAME = 64,
	MAX_PIN = 16,
	LINGER_MS = 1000, /* a room in which nobody is heard ticks on for so long */
	ALIVE_MS = 500,	  /* a stream without a packet for so long is over */
};

struct room_conf { /* rooms */
	struct sl_regex *match;
	struct sl_str pin;
	bool tones, record;
};

struct mixer_conf {
	int64_t loudest;
	struct sl_str complexity; /* auto, or a number */
	uint64_t delay_max;
	struct sl_list rooms; /* struct room_conf */
};

#define MIXER_METERS(X)                                                                            \
	X(rooms, GAUGE, "Rooms with phones, counted on each worker that has some of them.")        \
	X(phones, GAUGE, "Phones in rooms.")                                                       \
	X(listeners, GAUGE, "Who hears rooms unseen: recordings of what is mixed.")                \
	X(active, GAUGE, "Rooms in which somebody is heard: those that cost something.")           \
	X(joined, COUNTER, "Phones that came into a room.")                                        \
	X(refused, COUNTER, "Phones that did not: a wrong PIN, a full room.")                      \
	X(wrong_pins, COUNTER, "PINs that were wrong.")                                            \
	X(wakeups, COUNTER, "Times that the clock of mixing has woken a worker.")                  \
	X(left_out_ms, COUNTER,                                                                    \
	  "Time that was not mixed, in ms: the worker had stood still for longer.")                \
	X(mixed, COUNTER, "Frames of 20 ms that were mixed for a room.")                           \
	X(decoded, COUNTER, "Frames of a voice that were decoded.")                                \
	X(skipped, COUNTER, "Packets that were not decoded: silent, or not among the loudest.")    \
	X(encoded_shared, COUNTER, "Packets encoded once for all who listen.")                     \
	X(encoded_own, COUNTER, "Packets encoded for one phone: who talks, or hears a tone.")      \
	X(encoded_voice, COUNTER, "Packets of phones encoded for the room.")                       \
	X(sent, COUNTER, "Packets for phones.")                                                    \
	X(texts_in, COUNTER, "Texts that phones have written to their rooms.")                     \
	X(texts_out, COUNTER, "Texts of rooms that phones were told.")

enum mixer_meter {
#define X(name, kind, help) M_##name,
	MIXER_METERS(X)
#undef X
		N_METERS
};

struct room;
struct phone;

struct mixer {
	struct sl_worker *w;
	const struct mixer_conf *conf;
	const struct sl_meter *m;
	const struct sl_room_iface *rooms;
	void *rooms_self;
	const struct sl_signal_iface *signal;
	void *signal_self;
	struct sl_htab by_name; /* struct room */
	struct room *ticking;	/* rooms */
	struct phone *phones;
	struct phone *prompting; /* phones that hear a tone before they are in a room */
	struct phone *ending;	 /* who has to be told that it is over */
	struct room *unsettled;	 /* rooms to look after: to be freed, or in want of an ear */
	struct sl_timer tick;
	struct sl_post settle;
	struct sl_pace pace;
	uintptr_t last_feed;
	bool adaptive;
	unsigned n_late; /* ticks that came late since effort was adapted */
	unsigned complexity, max_complexity, n_ticks;
	uint64_t cpu_ns, cpu_since_ns;
	/* of the room whose tick it is */
	int32_t sum[MIX_SAMPLES], without[MIX_SAMPLES];
	int16_t pcm[MIX_SAMPLES], shared[MIX_SAMPLES];
	int16_t own[MAX_LOUDEST][MIX_SAMPLES];
	unsigned n_own;
};

static inline uint64_t mixer_now_ms(const struct mixer *m)
{
	return sl_loop_ms(m->w->loop);
}
static inline void mixer_count(const struct mixer *m, enum mixer_meter meter)
{
	sl_count(&m->m[meter]);
}

/* ---- source.c */
struct source {
	struct voice voice;
	struct mixer *mixer;
	struct sl_audio_source *audio; /* NULL: nothing to be decoded so far */
	unsigned hz;
	struct sl_resampler *resampler; /* to the room's rate; NULL: none needed, or not made yet */
	unsigned resampled_hz;
	bool skips;	   /* packets were left out: it begins anew */
	bool hinted;	   /* the newest packet told how loud it is */
	int level;	   /* dBov, of the frame pulled last */
	uint64_t heard_ms; /* newest packet; 0: none */
};
/* How loud a packet is, if it says so without being decoded: dBov, or 1: not known. */
int source_hint(const struct sl_audio_packet *p);
/* hz: at which it is decoded */
void source_put(struct source *s, unsigned hz, const struct sl_audio_packet *p, uint64_t now_ns);
void source_skip(struct source *s);
void source_restart(struct source *s);
/* A frame at the source's rate, s->level is set; false: silence */
bool source_pull(struct source *s, uint64_t now_ns, int16_t *pcm);
/* to: n samples of a frame at hz, from one that was pulled */
void source_convert(struct source *s, const int16_t *pcm, unsigned hz, int16_t *to);
bool source_is_alive(const struct source *s, uint64_t now_ms);
/* Somebody speaks, or has done so just now. */
bool source_speaks(const struct source *s, uint64_t now_ms);
void source_free(struct source *s);

/* ---- choir.c */
/* An encoder with its stream of times. */
struct stream {
	struct sl_audio_sink *sink;
	unsigned hz;
	struct sl_mixer_format format;
	uintptr_t feed;
	bool broken; /* frames were left out since: its times begin anew */
};
struct choir { /* all phones of a room that are sent the same format */
	struct choir *next;
	struct stream stream;
	unsigned n_phones;
	unsigned n_listening; /* of this tick */
	unsigned loss;
};
/* Leaves the one it was in; a codec NONE: is in none */
void choir_assign(struct phone *p, const struct sl_mixer_format *f);
/* What everybody hears is in mixer.shared, the sum in mixer.sum. */
void choirs_sing(struct room *r);
/* A frame for this phone alone */
void choir_solo(struct phone *p, const int16_t *pcm, unsigned hz);
/* The room falls silent. */
void choirs_pause(struct room *r);
void stream_free(struct stream *s);
void stream_adapt(struct stream *s, unsigned complexity, unsigned loss);

/* ---- tones.c */
enum prompt {
	PROMPT_NONE,
	PROMPT_ENTRY, /* to the room */
	PROMPT_EXIT,
	PROMPT_PIN, /* to a phone: a PIN is wanted */
	PROMPT_WRONG,
	PROMPT_MUTED,
	PROMPT_UNMUTED,
	PROMPT_UNDERSTOOD,
	N_PROMPTS
};
void tones_begin(struct sl_tone *t, enum prompt prompt, unsigned hz);

/* ---- speak.c */
int speak_open(struct phone *p);
/* A packet of the phone's, as it is: Opus */
void speak_relay(struct phone *p, const struct sl_audio_packet *packet);
/* A frame of its speech at hz; between frames it may pause, then voice_pauses is set. */
void speak_frame(struct phone *p, const int16_t *pcm, unsigned hz, uint64_t now_ns);
void speak_close(struct phone *p);

/* ---- lips.c */
void phone_clock(struct sl_mixer_phone *self, enum sl_media_kind kind, uint32_t ts, uint64_t ns);
unsigned phone_delay_ms(const struct sl_mixer_phone *self);

/* ---- picture.c */
struct picture; /* of one phone; NULL: it has to do with none */
int phone_watch(struct sl_mixer_phone *self, const struct sl_room_watch *w);
void phone_ask_picture(struct sl_mixer_phone *self);
void phone_show(struct sl_mixer_phone *self, const struct sl_mixer_shot *shot);
void phone_cover(struct sl_mixer_phone *self, bool covered);
unsigned phone_cameras(void *self, struct sl_str room, enum sl_codec_id *ret_codecs, unsigned max);
/* Its camera's track, and the time that one of the phone's has there; NULL: there is none */
struct sl_room_source *picture_camera(const struct phone *p, uint32_t *io_ts);
/* It is in its room now. */
void picture_enter(struct phone *p);
/* Its tracks went with the member. */
void picture_leave(struct phone *p);
void picture_free(struct phone *p);
/* From the room */
void picture_play(struct phone *p, const struct sl_room_picture *picture);
void picture_ask(struct phone *p, struct sl_room_source *source);

/* ---- record.c */
/* Behind a star: 8 or 9 */
void record_digit(struct phone *p, char digit);

/* ---- phone.c */
enum phone_state { PHONE_ASKED, PHONE_IN, PHONE_OVER };
struct phone {
	struct mixer *mixer;	   /* NULL: it has stopped */
	struct phone *prev, *next; /* in mixer.phones */
	struct phone *next_in_room, *next_prompting, *next_ending;
	bool is_prompting, is_ending;
	bool listens; /* and is no member of the room */
	enum phone_state state;
	const struct room_conf *rules; /* NULL: none for its room */
	const struct sl_mixer_handler *handler;
	void *arg;
	struct room *room; /* PHONE_IN */
	struct sl_room_member *member;
	struct sl_room_source *track;
	struct picture *picture;
	uint64_t peer;
	char name[MAX_NAME + 1];

	/* what it says */
	struct source source;
	enum sl_codec_id codec; /* newest */
	bool muted, silenced;	/* by itself; by a moderator */
	struct stream voice;	/* its speech in Opus, where it speaks something else */
	uint16_t voice_seq;
	uint32_t voice_ts;
	uint64_t voice_ns; /* of that frame */
	bool voice_pauses;
	int own_at; /* of mixer.own in this tick; -1: it said nothing */

	/* what it hears */
	struct choir *choir;
	struct sl_mixer_format format;
	struct stream solo;
	bool alone;		/* it was sent its own frames last */
	struct limiter limiter; /* of those */
	unsigned loss;
	enum prompt prompt;
	struct sl_tone tone;

	/* digits */
	struct sl_timer patience;
	char digits[MAX_PIN + 1];
	unsigned n_digits, n_tries;
	uint64_t star_ms;
	enum sl_mixer_end end;
	char why[96];
	size_t wanted_len;
	char wanted[]; /* name of the room that it is for */
};
extern const struct sl_mixer_iface phone_iface; /* self: struct mixer */
void phone_prompt(struct phone *p, enum prompt prompt);
/* A tick of one that is not in a room */
void phone_tick_alone(struct phone *p);
/* Samples of its tone, over what it would hear; false: it hears none */
bool phone_tone(struct phone *p, int16_t *pcm, size_t n);
/* It is told when this tick ends. */
void phone_end(struct phone *p, enum sl_mixer_end end, const char *why);
void phones_told(struct mixer *m);
/* The worker stops: their owners may call leave later. */
void phones_let_go(struct mixer *m);

/* ---- chat.c */
int phone_say(struct sl_mixer_phone *self, struct sl_str text);
/* A message of signalling to a phone's peer */
void chat_heard(struct mixer *m, uint64_t peer, struct sl_str json);

/* ---- room.c */
struct track { /* of somebody else, or of a phone on another worker */
	struct track *next;
	uint64_t id, peer;
	uint32_t clock_hz;
	bool muted;
	struct source source;
};
struct room {
	struct sl_hnode by_name;
	struct mixer *mixer;
	const struct room_conf *rules;
	struct sl_room_member *ear;
	struct phone *phones;
	unsigned n_phones, n_others; /* others: peers that are no phones here */
	unsigned n_listeners;	     /* of the phones */
	struct track *tracks;
	struct loudest loudest;
	struct room *tick_prev, *tick_next, *next_unsettled;
	bool is_ticking, is_unsettled;
	uint64_t heard_ms; /* when somebody was heard last */
	unsigned hz;	   /* of the mix */
	struct limiter limiter;
	struct sl_tone tone;
	bool has_tone;
	struct choir *choirs;
	size_t name_len;
	char name[];
};
/* Of that name, made when it is not there. NULL: out of memory */
struct room *room_get(struct mixer *m, struct sl_str name, const struct room_conf *rules);
void room_add(struct room *r, struct phone *p);
void room_remove(struct room *r, struct phone *p);
/* Somebody can be heard: it ticks from now on. */
void room_wake(struct room *r);
/* The least rate that all its phones need */
void room_set_rate(struct room *r);
void room_tell(struct room *r, enum prompt prompt);
/* Would anybody hear this phone? */
bool room_has_audience(const struct room *r);
void room_recount(struct room *r);
/* Freed, or given an ear, when this tick of the loop ends */
void room_settle_later(struct room *r);
void rooms_settle(struct mixer *m);
void room_tick(struct room *r, uint64_t now_ns);
void room_joined(struct mixer *m, const struct sl_signal_peer *peer);
void room_left(struct mixer *m, const struct sl_signal_peer *peer);
void rooms_free(struct mixer *m);

/* ---- mixer.c */
void mixer_tick_on(struct mixer *m);
/* What is read now may have come some while ago. */
bool mixer_is_stalled(const struct mixer *m, uint64_t now_ns);
uintptr_t mixer_new_feed(struct mixer *m);
const struct room_conf *mixer_rules(const struct mixer_conf *c, struct sl_str room);

#endif
