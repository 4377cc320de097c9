/*
 * voice-agent/agent.h: what the files of this module share.
 *
 *     voice_agent.c  descriptor, directives, who may come
 *     format.c       what an agent speaks: asked for in the URL
 *     agent.c        one agent: its place in the room, and its messages
 *     voice.c        its sound, both ways: bytes of the socket, packets of the mixer
 *     speech.c       what it has said and nobody has heard yet
 */
#ifndef VOICE_AGENT_AGENT_H
#define VOICE_AGENT_AGENT_H

#include <sluice/http.h>
#include <sluice/json.h>
#include <sluice/mixer.h>
#include <sluice/module.h>
#include "speech.h"

struct agents_conf {
	struct sl_str path;
	uint64_t max_message, max_speech; /* bytes; ms */
	int64_t max_agents;
};

#define AGENT_METERS(X)                                                                            \
	X(agents, SL_M_GAUGE, "Agents in rooms.")                                                  \
	X(joined, SL_M_COUNTER, "Agents that came into a room.")                                   \
	X(refused, SL_M_COUNTER, "Agents that did not get in: token, format, room or limit.")      \
	X(spoken_ms, SL_M_COUNTER, "Milliseconds that agents were heard.")                         \
	X(underruns, SL_M_COUNTER, "Pauses because an agent sent too late.")                       \
	X(overruns, SL_M_COUNTER, "Messages dropped: more speech waited than is kept.")            \
	X(late_turns, SL_M_COUNTER, "Packet times that began over 20 ms late: the worker was busy.")

enum agent_meter {
#define X(name, kind, help) M_##name,
	AGENT_METERS(X)
#undef X
};

struct agents { /* one per worker */
	struct sl_worker *w;
	const struct agents_conf *conf;
	const struct sl_meter *m;
	const struct sl_http_iface *http;
	void *http_self;
	struct agent *first;
	int64_t n, max; /* max: this worker's part; 0: no limit */
};

/* ---- format.c */
struct format {
	const char *name;	/* "pcm", "opus", "pcmu", "pcma" */
	enum sl_codec_id codec; /* on the side of the mixer */
	unsigned hz;		/* of the agent */
	unsigned mixer_hz;	/* of the mixer, for PCM */
	unsigned ptime_ms;	/* of what it hears; its own speech is cut into 20 ms */
	unsigned bytes_per_ms;	/* of its speech; 0: packets of Opus */
	uint8_t silence;	/* a byte of it; of Opus there is none */
};
/* -SL_EINVAL, with a sentence */
int format_read(struct format *f, struct sl_str codec, struct sl_str rate, struct sl_str *ret_why);
/* Of an Opus packet (RFC 6716 section 3), in ms, rounded up; 0: malformed */
unsigned format_opus_ms(const uint8_t *packet, size_t len);

/* ---- agent.c */
struct agent;
struct agent *agent_new(struct agents *m, const struct format *f, struct sl_str room,
			struct sl_str name);
/* Accepts NULL */
void agent_free(struct agent *a);
void agent_opened(struct agent *a, struct sl_ws *ws);
void agent_message(struct agent *a, struct sl_str data, bool binary);
void agents_close(struct agents *m);
/* For voice.c */
void agent_send_sound(struct agent *a, struct sl_str bytes);
void agent_tell_mark(struct agent *a, const char *name);
void agent_hear(struct agent *a, const struct sl_audio_packet *p, uint64_t now_ns);

/* ---- voice.c */
struct voice;
struct voice *voice_new(struct agents *m, struct agent *a, const struct format *f);
/* Accepts NULL */
void voice_free(struct voice *v);
/* It is in the room */
void voice_start(struct voice *v);
/* From the agent. -SL_EFULL: too much waits; -SL_EPARSE: no whole samples; -SL_ENOMEM */
int voice_say(struct voice *v, struct sl_str bytes);
int voice_mark(struct voice *v, struct sl_str name);
/* Barge-in: what waits is not said; how many ms that were */
unsigned voice_clear(struct voice *v);
/* From the room */
void voice_play(struct voice *v, const struct sl_mixer_out *out);
struct voice_stats {
	uint64_t spoken_ms, heard_ms, underruns, overruns;
	unsigned waiting_ms;
};
void voice_stats(const struct voice *v, struct voice_stats *ret_stats);

#endif
