/*
 * voice-agent/agent.c: one agent: its place in a room, and what it says beside speech.
 *
 * In binary messages goes sound, in text messages JSON: {"event": …}. The agent is a phone for the
 * mixer, which brings it the others' voices as one stream and makes it a participant like any
 * other.
 */
#include "agent.h"

#include <stdlib.h>

enum {
	CLOSE_NORMAL = 1000,
	CLOSE_POLICY = 1008,
	CLOSE_FAILED = 1011,
	CLOSE_LATER = 1013,
	MAX_DEPTH = 4,
	MAX_NAME = 64,
};

struct agent {
	struct agents *m;
	struct format f;
	char *room, *name;
	const struct sl_mixer_iface *mixer;
	void *mixer_self;
	struct sl_mixer_phone *phone; /* NULL: not in the room */
	struct voice *voice;
	struct sl_ws *ws;
	struct agent *prev, *next; /* in agents.first */
};

/* ---- to the agent */

static void tell(struct agent *a, json_t *event)
{
	struct sl_buf text;

	sl_buf_init(&text, 0);
	if (event)
		sl_json_dump(event, &text);
	json_decref(event);
	if (a->ws && text.len > 0 && sl_buf_ok(&text) == 0)
		(void)a->m->http->ws_send(a->ws, sl_buf_view(&text)); /* a slow one is closed */
	sl_buf_free(&text);
}

static void tell_error(struct agent *a, const char *why)
{
	tell(a, json_pack("{s:s,s:s}", "event", "error", "reason", why));
}

static void tell_start(struct agent *a)
{
	tell(a, json_pack("{s:s,s:s,s:s,s:s,s:i,s:i}", "event", "start", "room", a->room, "name",
			  a->name, "codec", a->f.name, "rate", (int)a->f.hz, "ptime",
			  (int)a->f.ptime_ms));
}

static void tell_stats(struct agent *a)
{
	struct voice_stats s;

	voice_stats(a->voice, &s);
	tell(a, json_pack("{s:s,s:I,s:I,s:I,s:I,s:i}", "event", "stats", "spoken_ms",
			  (json_int_t)s.spoken_ms, "heard_ms", (json_int_t)s.heard_ms, "underruns",
			  (json_int_t)s.underruns, "overruns", (json_int_t)s.overruns, "waiting_ms",
			  (int)s.waiting_ms));
}

void agent_tell_mark(struct agent *a, const char *name)
{
	tell(a, json_pack("{s:s,s:s}", "event", "mark", "name", name));
}

void agent_send_sound(struct agent *a, struct sl_str bytes)
{
	(void)a->m->http->ws_send_binary(a->ws, bytes); /* a slow one is closed */
}

/* ---- in the room */

void agent_hear(struct agent *a, const struct sl_audio_packet *p, uint64_t now_ns)
{
	a->mixer->hear(a->phone, p, now_ns);
}

static void on_play(void *arg, const struct sl_mixer_out *out)
{
	struct agent *a = arg;

	voice_play(a->voice, out);
}

static void close_socket(struct agent *a, unsigned code, const char *why)
{
	if (a->ws)
		a->m->http->ws_close(a->ws, code, sl_str_c(why));
}

static void leave(struct agent *a)
{
	voice_free(a->voice);
	a->voice = NULL;
	if (a->phone) {
		a->mixer->leave(a->phone);
		sl_gauge_add(&a->m->m[M_agents], -1);
	}
	a->phone = NULL;
}

static void on_ended(void *arg, enum sl_mixer_end end, const char *why)
{
	static const unsigned codes[] = {
		[SL_MIXER_LEFT] = CLOSE_NORMAL,	   [SL_MIXER_REMOVED] = CLOSE_POLICY,
		[SL_MIXER_REFUSED] = CLOSE_POLICY, [SL_MIXER_FULL] = CLOSE_LATER,
		[SL_MIXER_NO_ROOM] = CLOSE_POLICY, [SL_MIXER_FAILED] = CLOSE_FAILED,
	};
	struct agent *a = arg;

	close_socket(a, codes[end], why);
	leave(a);
}

static const struct sl_mixer_handler handler = {.play = on_play, .ended = on_ended};

static int join(struct agent *a)
{
	const struct sl_mixer_opts o = {.room = sl_str_c(a->room),
					.name = sl_str_c(a->name),
					.handler = &handler,
					.arg = a};
	const struct sl_mixer_format f = {a->f.codec, a->f.mixer_hz, a->f.ptime_ms};
	int err;

	a->voice = voice_new(a->m, a, &a->f);
	if (!a->voice)
		return -SL_ENOMEM;
	err = a->mixer->join(a->mixer_self, &o, &a->phone);
	if (err < 0)
		return err;
	sl_gauge_add(&a->m->m[M_agents], 1);
	a->mixer->set_format(a->phone, &f);
	voice_start(a->voice);
	return 0;
}

void agent_opened(struct agent *a, struct sl_ws *ws)
{
	int err;

	a->ws = ws;
	err = join(a);
	if (err < 0) {
		sl_count(&a->m->m[M_refused]);
		close_socket(a, err == -SL_EDENIED ? CLOSE_POLICY : CLOSE_FAILED,
			     err == -SL_EDENIED ? "there are no such rooms here"
						: "the room cannot be entered");
		leave(a);
		return;
	}
	sl_count(&a->m->m[M_joined]);
	tell_start(a);
}

/* ---- from the agent */

static void on_mark(struct agent *a, const json_t *msg)
{
	switch (voice_mark(a->voice, sl_json_get_str(msg, "name"))) {
	case 0:
		break;
	case -SL_EINVAL:
		tell_error(a, "mark needs a name of 1 to 64 bytes");
		break;
	default:
		tell_error(a, "too many marks wait");
		break;
	}
}

static void on_dtmf(struct agent *a, const json_t *msg)
{
	const struct sl_str digits = sl_json_get_str(msg, "digits");

	for (size_t i = 0; i < digits.len; i++)
		if (sl_event_of_digit(digits.p[i]) >= 0)
			a->mixer->digit(a->phone, digits.p[i]);
}

static void on_event(struct agent *a, const json_t *msg)
{
	const struct sl_str event = sl_json_get_str(msg, "event");

	if (sl_str_eq(event, SL_STR("mark")))
		on_mark(a, msg);
	else if (sl_str_eq(event, SL_STR("clear")))
		tell(a,
		     json_pack("{s:s,s:i}", "event", "cleared", "ms", (int)voice_clear(a->voice)));
	else if (sl_str_eq(event, SL_STR("dtmf")))
		on_dtmf(a, msg);
	else if (sl_str_eq(event, SL_STR("stats")))
		tell_stats(a);
	else if (sl_str_eq(event, SL_STR("stop")))
		close_socket(a, CLOSE_NORMAL, "stopped");
	else
		tell_error(a, "event: mark, clear, dtmf, stats or stop");
}

static void on_text(struct agent *a, struct sl_str text)
{
	char why[120];
	json_t *msg = sl_json_parse(text, MAX_DEPTH, why, sizeof why);

	if (msg)
		on_event(a, msg);
	else
		tell_error(a, why);
	json_decref(msg);
}

static void on_sound(struct agent *a, struct sl_str bytes)
{
	switch (voice_say(a->voice, bytes)) {
	case 0:
		break;
	case -SL_EPARSE:
		tell_error(a, a->f.codec == SL_CODEC_OPUS ? "this is no packet of Opus"
							  : "samples have two bytes");
		break;
	default:
		tell_error(a, "too much speech waits; this message was dropped");
		break;
	}
}

void agent_message(struct agent *a, struct sl_str data, bool binary)
{
	if (!a->voice)
		return; /* it is being closed */
	if (binary)
		on_sound(a, data);
	else
		on_text(a, data);
}

/* ---- life */

struct agent *agent_new(struct agents *m, const struct format *f, struct sl_str room,
			struct sl_str name)
{
	struct agent *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	a->m = m;
	a->f = *f;
	a->room = sl_str_dup(room);
	a->name = sl_str_dup(name.len > MAX_NAME ? (struct sl_str){name.p, MAX_NAME} : name);
	a->mixer = sl_iface_get(m->w, SL_MIXER_IFACE, 1, &a->mixer_self);
	a->next = m->first;
	if (a->next)
		a->next->prev = a;
	m->first = a;
	m->n++;
	if (!a->room || !a->name || !a->mixer) {
		agent_free(a);
		return NULL;
	}
	return a;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	leave(a);
	if (a->prev)
		a->prev->next = a->next;
	else
		a->m->first = a->next;
	if (a->next)
		a->next->prev = a->prev;
	a->m->n--;
	free(a->room);
	free(a->name);
	free(a);
}

void agents_close(struct agents *m)
{
	while (m->first)
		agent_free(m->first);
}
