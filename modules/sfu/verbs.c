/*
 * sfu/verbs.c: what clients say about media, each message a short story: who may, do, answer.
 *
 * A message is heard at the worker with the client's socket and carried out at the participant's
 * home, which may be another one. The first `publish` or `subscribe` makes the participant, here.
 * README.md lists the messages.
 */
#include "sfu.h"

#include <stdio.h>

enum {
	ERR_BYTES = 160,
	MAX_ROOM_BYTES = 1024, /* where it is joined, `max_name` says what is too long */
};

const char *const verb_types[] = {
	"publish", "subscribe", "unsubscribe", "sub-answer",  "sub-restart", "trickle", "layers",
	"mute",	   "remove",	"move",	       "close-room",  "media-leave", "need-sfu",
	NULL};

struct said { /* one message while it is carried out */
	struct sfu *s;
	const struct sl_signal_peer *peer;
	struct participant *p; /* NULL: has none yet */
	const json_t *msg;
	const char **sentence;
};

static int refuse(const struct said *v, int rc, const char *sentence)
{
	static char text[ERR_BYTES]; /* one thread, used before the next message */

	(void)snprintf(text, sizeof text, "%s", sentence);
	*v->sentence = text;
	sfu_count(v->s, M_refused);
	return rc;
}

/* ---- participants */

static void tell_tracks(struct participant *p)
{
	for (const struct track *t = p->room->tracks; t; t = t->next)
		if (t->publisher != p && !(t->publisher->grants & SL_IS_HIDDEN))
			say_track(p, t);
}

static int need_participant(struct said *v)
{
	const char *sentence;
	int rc;

	if (v->p)
		return 0;
	rc = participant_enter(v->s, v->peer, &v->p, &sentence);
	if (rc < 0)
		return refuse(v, rc, sentence);
	tell_tracks(v->p);
	return 0;
}

/* ---- publishing */

static int on_publish(struct said *v)
{
	struct sl_str sdp = sl_json_get_str(v->msg, "sdp");
	char err[ERR_BYTES] = "sdp is missing";
	struct sl_buf answer;
	int rc = need_participant(v);

	if (rc < 0)
		return rc;
	sl_buf_init(&answer, 0);
	rc = sdp.p ? publish_offer(v->p, sdp, json_object_get(v->msg, "tracks"), &answer, err)
		   : -SL_EPARSE;
	if (rc == 0)
		rc = sl_buf_ok(&answer);
	if (rc == 0)
		say_published(v->p, sl_buf_view(&answer), json_object_get(v->msg, "request"));
	sl_buf_free(&answer);
	return rc < 0 ? refuse(v, rc, err) : 0;
}

static int on_trickle(struct said *v)
{
	struct sl_str pc = sl_json_get_str(v->msg, "pc");
	struct sl_str candidate = sl_json_get_str(v->msg, "candidate");
	struct sl_rtc *c = sl_str_eq(pc, SL_STR("sub")) ? v->p->sub : v->p->pub;

	/* One that cannot be used is counted there: others may do. The connection may be closed. */
	if (c && sl_rtc_candidate(c, candidate) == -SL_EPARSE)
		return refuse(v, -SL_EPARSE, "the candidate is malformed");
	return 0;
}

/* ---- subscribing */

/* Each track named in "tracks". */
static int each_track(struct said *v, int (*fn)(struct said *v, struct track *t))
{
	const json_t *list = json_object_get(v->msg, "tracks"), *item;
	size_t i;
	int rc = 0;

	json_array_foreach((json_t *)(uintptr_t)list, i, item)
	{
		uint64_t id;
		struct sl_str text = {json_string_value(item), json_string_length(item)};
		struct track *t = id_read(text, &id) == 0 ? track_find(v->s, id) : NULL;

		if (t && t->room == v->p->room && rc == 0)
			rc = fn(v, t);
	}
	return rc;
}

static int subscribe_one(struct said *v, struct track *t)
{
	return t->publisher == v->p ? 0 : subscribe(v->p, t, NULL);
}

static int unsubscribe_one(struct said *v, struct track *t)
{
	struct sub *sub = sub_find(v->p, t);

	if (sub)
		unsubscribe(sub);
	return 0;
}

static int on_subscribe(struct said *v)
{
	json_t *automatic = json_object_get(v->msg, "auto");
	int rc = need_participant(v);

	if (rc < 0)
		return rc;
	if (!(v->p->grants & SL_MAY_SUBSCRIBE))
		return refuse(v, -SL_EDENIED, "the token does not permit to subscribe");
	if (automatic)
		v->p->auto_subscribe = json_is_true(automatic);
	subscribe_all(v->p);
	rc = each_track(v, subscribe_one);
	return rc < 0 ? refuse(v, rc, "this server cannot take another subscription") : 0;
}

static int on_unsubscribe(struct said *v)
{
	v->p->auto_subscribe = false;
	return each_track(v, unsubscribe_one);
}

static int on_sub_answer(struct said *v)
{
	uint32_t n = (uint32_t)json_integer_value(json_object_get(v->msg, "n"));
	char err[ERR_BYTES] = "sdp is missing";
	struct sl_str sdp = sl_json_get_str(v->msg, "sdp");
	int rc = sdp.p ? subscribe_answer(v->p, n, sdp, err) : -SL_EPARSE;

	return rc < 0 ? refuse(v, rc, err) : 0;
}

static int on_sub_restart(struct said *v)
{
	subscribe_restart(v->p);
	return 0;
}

static struct track *named_track(struct said *v)
{
	struct track *t = NULL;
	uint64_t id;

	if (id_read(sl_json_get_str(v->msg, "track"), &id) == 0)
		t = track_find(v->s, id);
	return t && t->room == v->p->room ? t : NULL;
}

static uint16_t number(const json_t *msg, const char *key, uint16_t otherwise)
{
	const json_t *v = json_object_get(msg, key);
	json_int_t n = json_is_integer(v) ? json_integer_value(v) : otherwise;

	return n < 0 ? 0 : n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
}

static bool flag(const json_t *msg, const char *key, bool otherwise)
{
	const json_t *v = json_object_get(msg, key);

	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

static int on_layers(struct said *v)
{
	struct track *t = named_track(v);
	struct sub *sub = t ? sub_find(v->p, t) : NULL;

	if (!sub)
		return 0; /* the track has ended meanwhile */
	sub->width = number(v->msg, "width", sub->width);
	sub->height = number(v->msg, "height", sub->height);
	sub->priority = (uint8_t)number(v->msg, "priority", sub->priority);
	sub->hidden = flag(v->msg, "hidden", sub->hidden);
	sub->stopped = flag(v->msg, "stopped", sub->stopped);
	steward_allocate(v->p);
	return 0;
}

/* ---- moderation */

static int on_mute(struct said *v)
{
	struct track *t = named_track(v);
	bool muted = flag(v->msg, "muted", true);

	if (!t)
		return refuse(v, -SL_ENOENT, "there is no such track in this room");
	if (t->publisher == v->p) {
		track_mute(t, muted);
		return 0;
	}
	if (!(v->p->grants & SL_MAY_ADMIN))
		return refuse(v, -SL_EDENIED, "the token does not permit to mute others");
	track_silence(t, muted);
	return 0;
}

/* A moderator's power ends with the room. */
static int named_peer(const struct said *v, uint64_t *ret_id)
{
	struct sl_signal_peer other;

	if (id_read(sl_json_get_str(v->msg, "peer"), ret_id) < 0 ||
	    !v->s->signal->find(v->s->signal_self, *ret_id, &other) ||
	    !sl_str_eq(other.room, v->peer->room))
		return refuse(v, -SL_ENOENT, "there is no such peer in this room");
	return 0;
}

static int on_remove(struct said *v)
{
	uint64_t id;
	int rc;

	if (!(v->peer->grants & SL_MAY_ADMIN))
		return refuse(v, -SL_EDENIED, "the token does not permit to remove others");
	rc = named_peer(v, &id);
	if (rc < 0)
		return rc;
	rc = v->s->signal->end(v->s->signal_self, id, "kicked");
	return rc < 0 ? refuse(v, rc, "the peer cannot be reached") : 0;
}

/* It joins the other room by itself: whether it may, and whether there is a place, is found there.
 */
static int move_peer(struct said *v, uint64_t id, struct sl_str room, struct sl_str token)
{
	json_t *word = json_pack("{s:s, s:s#, s:o*}", "type", "moved", "room", room.p,
				 (int)room.len, "token",
				 token.p ? json_stringn(token.p, token.len) : NULL);
	struct sl_buf b;
	int rc;

	sl_buf_init(&b, 0);
	if (word)
		sl_json_dump(word, &b);
	json_decref(word);
	rc = word ? sl_buf_ok(&b) : -SL_ENOMEM;
	if (rc == 0)
		rc = v->s->signal->move(v->s->signal_self, id, sl_buf_view(&b));
	sl_buf_free(&b);
	if (rc == -SL_EUNSUPP)
		return refuse(v, rc, "this peer cannot be moved: it has no client");
	return rc < 0 ? refuse(v, rc, "the peer cannot be reached") : 0;
}

static int on_move(struct said *v)
{
	struct sl_str room = sl_json_get_str(v->msg, "room");
	uint64_t id;
	int rc;

	if (!(v->peer->grants & SL_MAY_ADMIN))
		return refuse(v, -SL_EDENIED, "the token does not permit to move others");
	if (room.len == 0 || room.len > MAX_ROOM_BYTES || sl_str_eq(room, v->peer->room))
		return refuse(v, -SL_EINVAL, "room is the name of another room");
	rc = named_peer(v, &id);
	return rc < 0 ? rc : move_peer(v, id, room, sl_json_get_str(v->msg, "token"));
}

struct ending {
	struct sfu *s;
	uint64_t ids[256];
	unsigned n;
};

static void collect(void *arg, const struct sl_signal_peer *p)
{
	struct ending *e = arg;

	if (e->n < SL_ARRAY_LEN(e->ids))
		e->ids[e->n++] = p->id;
}

static int on_close_room(struct said *v)
{
	struct ending e = {.s = v->s};

	if (!(v->peer->grants & SL_MAY_ADMIN))
		return refuse(v, -SL_EDENIED, "the token does not permit to close the room");
	do {
		e.n = 0;
		v->s->signal->each(v->s->signal_self, v->peer->room, collect, &e);
		for (unsigned i = 0; i < e.n; i++)
			if (v->s->signal->end(v->s->signal_self, e.ids[i], "kicked") < 0)
				return 0; /* who is left now leaves by itself */
	} while (e.n == SL_ARRAY_LEN(e.ids));
	return 0;
}

static int on_media_leave(struct said *v)
{
	participant_remove(v->p, "left");
	return 0;
}

/* ---- dispatch */

struct verb {
	const char *type;
	bool makes; /* a participant, when it is the first word */
	bool bare;  /* about others' place in the room: one's own media do not matter */
	int (*fn)(struct said *v);
};

static const struct verb verbs[] = {
	{"publish", .makes = true, .fn = on_publish},
	{"subscribe", .makes = true, .fn = on_subscribe},
	{"unsubscribe", .fn = on_unsubscribe},
	{"sub-answer", .fn = on_sub_answer},
	{"sub-restart", .fn = on_sub_restart},
	{"trickle", .fn = on_trickle},
	{"layers", .fn = on_layers},
	{"mute", .fn = on_mute},
	{"media-leave", .fn = on_media_leave},
	{"remove", .bare = true, .fn = on_remove},
	{"move", .bare = true, .fn = on_move},
	{"close-room", .bare = true, .fn = on_close_room},
};

static const struct verb *find_verb(struct sl_str type)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(verbs); i++)
		if (sl_str_eq(type, sl_str_c(verbs[i].type)))
			return &verbs[i];
	return NULL;
}

static int carry_to(struct said *v, uint32_t owner)
{
	struct sl_buf b;
	int rc;

	sl_buf_init(&b, 0);
	sl_json_dump(v->msg, &b);
	rc = sl_buf_ok(&b);
	if (rc == 0)
		rc = trunk_verb(v->s, owner, v->peer->id, v->peer->grants, sl_buf_view(&b));
	sl_buf_free(&b);
	return rc < 0 ? refuse(v, rc, "the worker with this client's media cannot be reached") : 0;
}

/* For a peer whose socket has stayed at a worker that leaves: its media go to one that does not. */
static bool new_home(const struct sfu *s, uint64_t peer, uint32_t *ret_owner)
{
	uint32_t owners[MAX_WORKERS];
	unsigned n = sl_worker_current(s->w, owners, MAX_WORKERS);

	if (n == 0)
		return false;
	*ret_owner = owners[peer % n];
	return *ret_owner != sl_worker_owner(s->w);
}

int verb_handle(struct sfu *s, const struct sl_signal_peer *peer, const json_t *msg,
		const char **ret_sentence)
{
	struct said v = {.s = s, .peer = peer, .msg = msg, .sentence = ret_sentence};
	struct sl_str type = sl_json_get_str(msg, "type");
	const struct verb *verb = find_verb(type);
	uint32_t owner;

	if (sl_str_eq(type, SL_STR("need-sfu"))) { /* the one that is about the room */
		modes_tell(s, peer->room);
		return 0;
	}
	if (!verb)
		return refuse(&v, -SL_EUNSUPP, "unknown message");
	if (verb->bare)
		return verb->fn(&v);
	v.p = participant_find(s, peer->id);
	if (v.p && !v.p->here)
		return carry_to(&v, v.p->owner);
	if (v.p)
		return verb->fn(&v);
	if (!verb->makes)
		return 0; /* of a participant that has gone meanwhile */
	return s->draining && new_home(s, peer->id, &owner) ? carry_to(&v, owner) : verb->fn(&v);
}
