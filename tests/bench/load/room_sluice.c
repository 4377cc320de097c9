/*
 * bench/load/room_sluice.c: what modules/signaling-ws and modules/sfu are told by a participant: it
 * joins, publishes, and takes whatever the others publish.
 */
#include "bench/load/load.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void add_track(json_t *tracks, const struct jsep_media *m, const char *source)
{
	if (m)
		(void)json_array_append_new(
			tracks, json_pack("{s:s, s:s}", "mid", m->mid, "source", source));
}

static void say_publish(struct party *p)
{
	json_t *tracks = json_array();
	struct jsep_media *m[2];
	struct sl_buf b;

	p->pub = connection_open(p, true);
	sl_buf_init(&b, 0);
	publish_offer(p->pub, &b, m);
	add_track(tracks, m[0], "microphone");
	add_track(tracks, m[1], "camera");
	say(p, json_pack("{s:s, s:s#, s:o}", "type", "publish", "sdp", b.p, (int)b.len, "tracks",
			 tracks));
	sl_buf_free(&b);
}

static void on_welcome(struct party *p)
{
	if (p->publishes)
		say_publish(p);
	say(p, json_pack("{s:s, s:b}", "type", "subscribe", "auto", 1));
}

static void on_offer(struct party *p, const json_t *m)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	connection_answer(p, sl_json_get_str(m, "sdp"), &b);
	say(p, json_pack("{s:s, s:s#, s:O}", "type", "sub-answer", "sdp", b.p, (int)b.len, "n",
			 json_object_get(m, "n")));
	sl_buf_free(&b);
	connection_take_transport(p->sub);
}

static void on_text(struct party *p, const json_t *m)
{
	const char *type = json_string_value(json_object_get(m, "type"));

	if (!type)
		refused(m);
	else if (strcmp(type, "welcome") == 0)
		on_welcome(p);
	else if (strcmp(type, "published") == 0)
		connection_answered(p->pub, sl_json_get_str(m, "sdp"));
	else if (strcmp(type, "sub-offer") == 0)
		on_offer(p, m);
	else if (strcmp(type, "error") == 0)
		refused(m);
	if (json_object_get(m, "seq"))
		say(p, json_pack("{s:s, s:O}", "type", "ack", "seq", json_object_get(m, "seq")));
}

static void on_open(struct party *p)
{
	char room[40], name[32];

	(void)snprintf(room, sizeof room, "load-%u-%u", opts.room ? opts.room : (unsigned)getpid(),
		       p->number % opts.rooms);
	(void)snprintf(name, sizeof name, "p%u", p->number);
	say(p, json_pack("{s:s, s:i}", "type", "hello", "version", 1));
	say(p, json_pack("{s:s, s:s, s:s}", "type", "join", "room", room, "name", name));
}

const struct dialogue room_sluice = {.path = "/signal", .opened = on_open, .text = on_text};
