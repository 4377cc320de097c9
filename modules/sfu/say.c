/*
 * sfu/say.c: what clients are told, as JSON; README.md lists the messages.
 *
 * Messages go through signalling, which numbers them, keeps them until they are acknowledged and
 * finds the client wherever its socket is.
 */
#include "sfu.h"

#include <stdio.h>

static const char *const source_names[N_SOURCES] = {
	[SOURCE_MICROPHONE] = "microphone", [SOURCE_CAMERA] = "camera",
	[SOURCE_SCREEN] = "screen",	    [SOURCE_SCREEN_AUDIO] = "screen-audio",
	[SOURCE_OTHER] = "other",
};

const char *source_name(unsigned source)
{
	return source_names[source < N_SOURCES ? source : SOURCE_OTHER];
}

unsigned source_by_name(struct sl_str name)
{
	unsigned i = 0;

	while (i < N_SOURCES && !sl_str_eq(name, sl_str_c(source_names[i])))
		i++;
	return i < N_SOURCES ? i : SOURCE_OTHER;
}

const char *id_text(char dst[ID_CHARS], uint64_t id)
{
	(void)snprintf(dst, ID_CHARS, "%016llx", (unsigned long long)id);
	return dst;
}

int id_read(struct sl_str text, uint64_t *ret_id)
{
	uint8_t bytes[8];
	size_t n;

	if (sl_hex_decode(bytes, sizeof bytes, text, &n) < 0 || n != sizeof bytes)
		return -SL_EPARSE;
	*ret_id = sl_get64(bytes);
	return 0;
}

/* Takes the reference. A peer that has left meanwhile needs to hear nothing. */
static void send(struct sfu *s, uint64_t peer, json_t *msg)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	if (msg)
		sl_json_dump(msg, &b);
	json_decref(msg);
	if (sl_buf_ok(&b) == 0 && b.len > 0)
		(void)s->signal->send(s->signal_self, peer, sl_buf_view(&b));
	sl_buf_free(&b);
}

static void tell(struct participant *p, json_t *msg)
{
	send(p->room->sfu, p->id, msg);
}

static json_t *track_json(const struct track *t)
{
	char id[ID_CHARS], peer[ID_CHARS];
	json_t *o;

	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:i}", "id", id_text(id, t->id), "peer",
		      id_text(peer, t->publisher->id), "kind",
		      t->kind == SL_MEDIA_AUDIO ? "audio" : "video", "source",
		      source_name(t->source), "name", t->name, "muted", t->muted || t->silenced,
		      "encodings", (int)t->n_encodings);
	if (o && t->over) /* else `paused` messages say it, one subscriber's way being its own */
		(void)json_object_set_new(o, "paused", json_true());
	return o;
}

/* ---- the publishing connection */

void say_published(struct participant *p, struct sl_str sdp, const json_t *id)
{
	json_t *tracks = json_array();

	for (const struct track *t = p->room->tracks; t; t = t->next) {
		struct sl_str mid;
		char text[ID_CHARS];

		if (t->publisher != p || !t->in)
			continue;
		mid = sl_rtc_media_mid(t->in);
		(void)json_array_append_new(tracks,
					    json_pack("{s:s#, s:s}", "mid", mid.p, (int)mid.len,
						      "id", id_text(text, t->id)));
	}
	tell(p, json_pack("{s:s, s:s#, s:o, s:O*}", "type", "published", "sdp", sdp.p, (int)sdp.len,
			  "tracks", tracks, "request", (json_t *)(uintptr_t)id));
}

void say_encodings(struct participant *publisher, const struct track *t, uint32_t mask)
{
	json_t *active = json_object();
	struct sl_str mid = sl_rtc_media_mid(t->in);
	char id[ID_CHARS];

	for (unsigned i = 0; i < t->n_encodings; i++)
		(void)json_object_set_new(active, t->rids[i][0] ? t->rids[i] : "",
					  json_boolean(mask & 1u << i));
	tell(publisher,
	     json_pack("{s:s, s:s, s:s#, s:o}", "type", "encodings", "track", id_text(id, t->id),
		       "mid", mid.p, (int)mid.len, "active", active));
}

/* ---- the subscribing connection */

static json_t *sections_json(const struct participant *p)
{
	json_t *list = json_array();

	for (const struct sub *s = p->subs; s; s = s->next_of_participant) {
		struct sl_str mid = sl_rtc_media_mid(s->out);
		json_t *t = track_json(s->track);

		if (t && mid.len > 0)
			(void)json_object_set_new(t, "mid", json_stringn(mid.p, mid.len));
		(void)json_array_append_new(list, t);
	}
	return list;
}

void say_offer(struct participant *p, struct sl_str sdp)
{
	tell(p, json_pack("{s:s, s:s#, s:i, s:o}", "type", "sub-offer", "sdp", sdp.p, (int)sdp.len,
			  "n", (int)p->n_offers, "tracks", sections_json(p)));
}

void say_track(struct participant *to, const struct track *t)
{
	tell(to, json_pack("{s:s, s:o}", "type", "track", "track", track_json(t)));
}

void say_track_gone(struct participant *to, const struct track *t)
{
	char id[ID_CHARS], peer[ID_CHARS];

	tell(to, json_pack("{s:s, s:s, s:s}", "type", "track-gone", "id", id_text(id, t->id),
			   "peer", id_text(peer, t->publisher->id)));
}

void say_muted(struct participant *to, const struct track *t)
{
	const struct sub *sub = to->member ? sub_find(to, t) : NULL;
	char id[ID_CHARS];

	if (sub)
		member_track(sub, true);
	tell(to, json_pack("{s:s, s:s, s:b, s:b}", "type", "muted", "id", id_text(id, t->id),
			   "muted", t->muted || t->silenced, "by_moderator", t->silenced));
}

void say_paused(struct participant *to, const struct sub *sub)
{
	char id[ID_CHARS];

	tell(to, json_pack("{s:s, s:s, s:b}", "type", "paused", "id", id_text(id, sub->track->id),
			   "paused", sub->paused || sub->track->over));
}

void say_speakers(struct participant *to, const struct room *r, const uint64_t *ids, unsigned n)
{
	json_t *list = json_array();
	char text[ID_CHARS];

	(void)r;
	for (unsigned i = 0; i < n; i++)
		(void)json_array_append_new(list, json_string(id_text(text, ids[i])));
	tell(to, json_pack("{s:s, s:o}", "type", "speakers", "peers", list));
}

static json_t *way_json(const struct quality_way *w)
{
	return json_pack("{s:f, s:i, s:i, s:I, s:I}", "loss", w->loss_permille / 1000.0, "jitter",
			 (int)w->jitter_ms, "rtt", (int)w->rtt_ms, "wanted",
			 (json_int_t)w->wanted_kbps * 1000, "got", (json_int_t)w->got_kbps * 1000);
}

static json_t *quality_json(const struct participant *p)
{
	const struct quality_news *n = &p->quality.told;
	char id[ID_CHARS];
	json_t *o = json_pack("{s:s, s:s, s:i}", "peer", id_text(id, p->id), "quality",
			      quality_name(n->word), "score", (int)n->score);

	if (o && n->up.known)
		(void)json_object_set_new(o, "up", way_json(&n->up));
	if (o && n->down.known)
		(void)json_object_set_new(o, "down", way_json(&n->down));
	return o;
}

void say_quality(struct participant *to, const struct participant *const *list, unsigned n)
{
	json_t *peers = json_array();

	for (unsigned i = 0; i < n; i++)
		(void)json_array_append_new(peers, quality_json(list[i]));
	tell(to, json_pack("{s:s, s:o}", "type", "quality", "peers", peers));
}

/* ---- of no participant, perhaps */

void say_mode(struct sfu *s, uint64_t peer)
{
	send(s, peer, json_pack("{s:s, s:s}", "type", "mode", "mode", "sfu"));
}

void say_restart(struct sfu *s, uint64_t peer, const char *connection, const char *reason)
{
	send(s, peer,
	     json_pack("{s:s, s:s, s:s}", "type", "media-restart", "connection", connection,
		       "reason", reason));
}

void say_error(struct sfu *s, uint64_t peer, const char *verb, const char *sentence)
{
	sfu_count(s, M_refused);
	send(s, peer,
	     json_pack("{s:s, s:s, s:s, s:s}", "type", "error", "code", "media_refused", "message",
		       sentence, "verb", verb));
}
