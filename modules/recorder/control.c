/*
 * recorder/control.c: what clients say of recordings, and what they are told.
 *
 * record-start, record-stop, record-pause and record-resume are about the room in which they are
 * said. Everybody in a room is told when what is recorded of it changes, and who enters it, in the
 * welcome: nobody is recorded without the client knowing.
 */
#include "recorder.h"

#include <sluice/json.h>
#include <sluice/signal.h>
#include <stdlib.h>

struct control {
	const struct recorder_conf *conf;
	struct tap *tap;
	const struct sl_meter *m;
	const struct sl_signal_iface *signal;
	void *signal_self;
};

static const char *const types[] = {"record-start", "record-stop", "record-pause", "record-resume",
				    NULL};
static const char *const state_names[] = {"off", "on", "paused"};

static void on_welcome(void *arg, const struct sl_signal_peer *p, struct sl_buf *members)
{
	const struct control *c = arg;
	enum record_state state = tap_state(c->tap, p->room);

	if (state != STATE_OFF)
		sl_buf_printf(members, ",\"recording\":\"%s\"", state_names[state]);
}

static bool may(const struct control *c, const struct sl_signal_peer *p)
{
	return c->conf->control == CONTROL_EVERYONE ||
	       (p->grants & (SL_MAY_ADMIN | SL_IS_RECORDER)) != 0;
}

static int on_message(void *arg, const struct sl_signal_peer *p, struct sl_str type,
		      const json_t *msg, const char **ret_sentence)
{
	const struct control *c = arg;

	(void)msg;
	*ret_sentence = NULL;
	if (!may(c, p))
		*ret_sentence = "the token does not permit this";
	else if (!recorder_wants_room(c->conf, p->room))
		*ret_sentence = "this room is not recorded here";
	else if (tap_ask(c->tap, p->id, type, p->room, p->name) < 0)
		*ret_sentence = "the recorder is not there at the moment; try again";
	if (!*ret_sentence)
		return 0;
	sl_count(&c->m[M_refused]);
	return -SL_EDENIED;
}

static const struct sl_signal_handler handler = {.welcome = on_welcome, .message = on_message};

struct telling {
	const struct control *c;
	struct sl_str json;
};

static void tell_one(void *arg, const struct sl_signal_peer *p)
{
	const struct telling *t = arg;

	if (p->here)
		(void)t->c->signal->send(t->c->signal_self, p->id, t->json); /* leaves: so be it */
}

void control_tell(struct control *c, struct sl_str room, enum record_state state,
		  struct sl_str reason)
{
	struct telling t = {.c = c};
	struct sl_buf b;

	if (!c)
		return;
	sl_buf_init(&b, 0);
	sl_buf_printf(&b,
		      "{\"type\":\"recording\",\"state\":\"%s\",\"reason\":", state_names[state]);
	sl_buf_json(&b, reason);
	sl_buf_str(&b, SL_STR("}"));
	t.json = sl_buf_view(&b);
	if (sl_buf_ok(&b) == 0)
		c->signal->each(c->signal_self, room, tell_one, &t);
	sl_buf_free(&b);
}

void control_refused(struct control *c, uint64_t peer, struct sl_str sentence)
{
	struct sl_buf b;

	if (!c)
		return;
	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("{\"type\":\"error\",\"code\":\"refused\",\"message\":"));
	sl_buf_json(&b, sentence);
	sl_buf_str(&b, SL_STR("}"));
	if (sl_buf_ok(&b) == 0)
		(void)c->signal->send(c->signal_self, peer, sl_buf_view(&b)); /* may be gone */
	sl_buf_free(&b);
}

int control_open(struct sl_worker *w, const struct recorder_conf *conf, struct tap *tap,
		 struct control **ret_control)
{
	struct control *c;
	void *self;
	const struct sl_signal_iface *signal = sl_iface_get(w, SL_SIGNAL_IFACE, 1, &self);
	int rc;

	*ret_control = NULL;
	if (!signal)
		return 0;
	c = malloc(sizeof *c);
	if (!c)
		return -SL_ENOMEM;
	*c = (struct control){conf, tap, sl_worker_meters(w, "recorder"), signal, self};
	rc = signal->listen(self, types, SL_STR("{\"recorder\":{\"version\":1}}"), &handler, c);
	if (rc < 0) {
		free(c);
		return rc;
	}
	*ret_control = c;
	return 0;
}

void control_close(struct control *c)
{
	if (c)
		c->signal->unlisten(c->signal_self, c);
	free(c);
}
