/*
 * bench/load/room_janus.c: the same with Janus' VideoRoom (multistream API of 1.x): a session, one
 * handle that joins and publishes, one that subscribes to every feed it hears of.
 *
 * Rooms are numbered from 1 and have to be there. Requests need no answer to be told apart: each
 * party has one under way at a time, and what comes says what it is about.
 */
#include "bench/load/load.h"

#include <string.h>

enum { PUBLISHING, LISTENING };
static const char *const transactions[] = {"publishing", "listening"};

static void ask(const struct party *p, unsigned which, json_t *body, json_t *jsep)
{
	json_t *m = json_pack("{s:s, s:s, s:I, s:I, s:o}", "janus", "message", "transaction",
			      transactions[which], "session_id", (json_int_t)p->session,
			      "handle_id", (json_int_t)p->handles[which], "body", body);

	if (jsep)
		json_object_set_new(m, "jsep", jsep);
	say(p, m);
}

static json_t *description(const char *type, const struct sl_buf *b)
{
	/* All candidates are in it; Janus would wait for more. */
	return json_pack("{s:s, s:b, s:s#}", "type", type, "trickle", 0, "sdp", b->p, (int)b->len);
}

static void attach(const struct party *p, unsigned which)
{
	say(p, json_pack("{s:s, s:s, s:I, s:s}", "janus", "attach", "transaction",
			 transactions[which], "session_id", (json_int_t)p->session, "plugin",
			 "janus.plugin.videoroom"));
}

/* ---- publishing */

static json_int_t room_of(const struct party *p)
{
	return (json_int_t)(p->number % opts.rooms) + 1;
}

static void join(const struct party *p)
{
	ask(p, PUBLISHING,
	    json_pack("{s:s, s:s, s:I}", "request", "join", "ptype", "publisher", "room",
		      room_of(p)),
	    NULL);
}

static void publish(struct party *p)
{
	struct jsep_media *m[2];
	struct sl_buf b;

	p->pub = connection_open(p, true);
	sl_buf_init(&b, 0);
	publish_offer(p->pub, &b, m);
	ask(p, PUBLISHING, json_pack("{s:s}", "request", "publish"), description("offer", &b));
	sl_buf_free(&b);
}

/* ---- listening: joins with the first feeds, adds those that come later */

static void subscribe(struct party *p, const json_t *publishers)
{
	json_t *streams = json_array(), *body;
	const json_t *feed;
	size_t i;

	if (json_array_size(publishers) == 0) {
		json_decref(streams);
		return;
	}
	json_array_foreach(publishers, i, feed)
		(void)json_array_append_new(
			streams, json_pack("{s:O}", "feed", json_object_get(feed, "id")));
	body = p->n_feeds > 0
		       ? json_pack("{s:s, s:o}", "request", "subscribe", "streams", streams)
		       : json_pack("{s:s, s:s, s:I, s:o}", "request", "join", "ptype", "subscriber",
				   "room", room_of(p), "streams", streams);
	p->n_feeds += (unsigned)json_array_size(publishers);
	ask(p, LISTENING, body, NULL);
}

static void on_offer(struct party *p, struct sl_str sdp)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	connection_answer(p, sdp, &b);
	ask(p, LISTENING, json_pack("{s:s}", "request", "start"), description("answer", &b));
	sl_buf_free(&b);
	connection_take_transport(p->sub);
}

/* ---- what comes */

/* In this order: a session, the handle that publishes, the one that listens, then we join. */
static void on_success(struct party *p, const json_t *m)
{
	const json_t *id = json_object_get(json_object_get(m, "data"), "id");
	uint64_t value = (uint64_t)json_integer_value(id);

	if (!p->session) {
		p->session = value;
		attach(p, PUBLISHING);
	} else if (!p->handles[PUBLISHING]) {
		p->handles[PUBLISHING] = value;
		attach(p, LISTENING);
	} else {
		p->handles[LISTENING] = value;
		join(p);
	}
}

static void on_event(struct party *p, const json_t *m)
{
	const json_t *data = json_object_get(json_object_get(m, "plugindata"), "data");
	const json_t *jsep = json_object_get(m, "jsep");
	struct sl_str type = sl_json_get_str(jsep, "type"), sdp = sl_json_get_str(jsep, "sdp");

	if (json_object_get(data, "error"))
		refused(m);
	if (sl_str_eq(type, SL_STR("answer")))
		connection_answered(p->pub, sdp);
	else if (sl_str_eq(type, SL_STR("offer")))
		on_offer(p, sdp);
	if (p->publishes && !p->pub &&
	    sl_str_eq(sl_json_get_str(data, "videoroom"), SL_STR("joined")))
		publish(p);
	subscribe(p, json_object_get(data, "publishers"));
}

static void on_text(struct party *p, const json_t *m)
{
	struct sl_str what = sl_json_get_str(m, "janus");

	if (sl_str_eq(what, SL_STR("success")))
		on_success(p, m);
	else if (sl_str_eq(what, SL_STR("event")))
		on_event(p, m);
	else if (sl_str_eq(what, SL_STR("error")))
		refused(m);
}

static void on_open(struct party *p)
{
	say(p, json_pack("{s:s, s:s}", "janus", "create", "transaction", "session"));
}

const struct dialogue room_janus = {
	.path = "/", .protocol = "janus-protocol", .opened = on_open, .text = on_text};
