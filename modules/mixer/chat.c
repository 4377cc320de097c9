/*
 * mixer/chat.c: what is written in a room, to and from its phones.
 *
 * A phone's text is said to all others as the signalling's `message`, {"chat": text} being its
 * data, as a browser's client says it. What others say so, or as a bare string, or as {"text":
 * text}, is told to the phone with the name of who says it; any other data is an application's own
 * and no text.
 */
#include <sluice/json.h>
#include "mixer.h"

enum { MAX_DEPTH = 8 };

struct saying {
	const struct phone *p;
	struct sl_str json;
};

static void say_to(void *arg, const struct sl_signal_peer *peer)
{
	const struct saying *s = arg;
	const struct mixer *m = s->p->mixer;

	if (peer->id != s->p->peer)
		(void)m->signal->send(m->signal_self, peer->id, s->json); /* it has left */
}

static json_t *message_of(const struct phone *p, struct sl_str text)
{
	uint8_t id[8];
	char from[2 * sizeof id + 1];

	sl_put64(id, p->peer);
	sl_hex_encode(from, id, sizeof id);
	return json_pack("{s:s, s:s, s:{s:s%}}", "type", "message", "from", from, "data", "chat",
			 text.p, text.len);
}

int phone_say(struct sl_mixer_phone *self, struct sl_str text)
{
	const struct phone *p = (struct phone *)self;
	struct mixer *m = p->mixer;
	struct saying s = {.p = p};
	struct sl_buf b;
	json_t *json;
	int rc;

	if (!m || p->state != PHONE_IN || !p->member)
		return -SL_ENOENT;
	json = message_of(p, text);
	if (!json)
		return -SL_EINVAL;
	sl_buf_init(&b, 0);
	sl_json_dump(json, &b);
	json_decref(json);
	rc = sl_buf_ok(&b);
	s.json = sl_buf_view(&b);
	if (rc == 0)
		m->signal->each(m->signal_self, (struct sl_str){p->wanted, p->wanted_len}, say_to,
				&s);
	sl_buf_free(&b);
	if (rc == 0)
		mixer_count(m, M_texts_in);
	return rc;
}

/* ---- to phones */

static struct sl_str text_of(const json_t *msg)
{
	const json_t *data = json_object_get(msg, "data");
	struct sl_str text;

	if (json_is_string(data))
		return (struct sl_str){json_string_value(data), json_string_length(data)};
	text = sl_json_get_str(data, "chat");
	return text.len > 0 ? text : sl_json_get_str(data, "text");
}

static struct sl_str name_of(const struct mixer *m, const json_t *msg)
{
	struct sl_str from = sl_json_get_str(msg, "from");
	struct sl_signal_peer peer;
	uint8_t id[8];
	size_t n;

	if (sl_hex_decode(id, sizeof id, from, &n) < 0 || n != sizeof id ||
	    !m->signal->find(m->signal_self, sl_get64(id), &peer))
		return SL_STR_NULL;
	return peer.name;
}

static struct phone *phone_of(const struct mixer *m, uint64_t peer)
{
	struct phone *p = m->phones;

	while (p && (p->peer != peer || !p->member))
		p = p->next;
	return p;
}

void chat_heard(struct mixer *m, uint64_t peer, struct sl_str json)
{
	struct phone *p = phone_of(m, peer);
	json_t *msg = p && p->handler->text ? sl_json_parse(json, MAX_DEPTH, NULL, 0) : NULL;
	struct sl_str text = msg ? text_of(msg) : SL_STR_NULL;

	if (text.len > 0 && sl_str_eq(sl_json_get_str(msg, "type"), SL_STR("message"))) {
		mixer_count(m, M_texts_out);
		p->handler->text(p->arg, name_of(m, msg), text);
	}
	json_decref(msg);
}
