/*
 * sip-gateway/media.c: media legs of this worker at the command of the stack's process.
 *
 * A leg is known by the process that commands it and that process's number for it. When the process
 * has died nobody can end its legs: they go on, since people are talking, until they fall silent.
 */
#include "edge.h"

#include <stdlib.h>
#include "sound.h"

enum { SILENCE_MS = 30000, ADOPTED_MS = 5000 };

struct leg_key {
	uint32_t owner, id;
};

static bool has_key(const struct sl_hnode *n, const void *key)
{
	const struct edge_leg *l = SL_CONTAINER(n, struct edge_leg, node);
	const struct leg_key *k = key;

	return l->owner == k->owner && l->id == k->id;
}

static uint64_t key_hash(const struct leg_key *k)
{
	return ((uint64_t)k->owner << 32 | k->id) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct edge_leg *find(struct edge *e, uint32_t owner, uint32_t id)
{
	const struct leg_key key = {owner, id};
	struct sl_hnode *n = sl_htab_find(&e->leg_table, key_hash(&key), has_key, &key);

	return n ? SL_CONTAINER(n, struct edge_leg, node) : NULL;
}

static void forget(struct edge_leg *l, const char *why)
{
	struct edge *e = l->edge;

	people_unwatch(l);
	sl_htab_remove(&e->leg_table, &l->node);
	leg_close(l->leg, why);
	free(l->call_id);
	e->w->n_holds--; /* a draining worker stays as long as people talk */
	sl_gauge_add(&e->m[M_LEGS], -1);
	free(l);
}

/* ---- to the stack */

static void reply(struct edge *e, uint32_t owner, const struct wire_reply *r)
{
	sl_buf_reset(&e->out);
	wire_put_reply(&e->out, r);
	if (sl_buf_ok(&e->out) == 0 && edge_tell(e, owner, WIRE_LEG_REPLY, &e->out))
		return;
	sl_count(&e->m[M_UNDELIVERED]);
}

void media_event(const struct edge_leg *l, const struct wire_leg_event *ev)
{
	struct edge *e = l->edge;

	sl_buf_reset(&e->out);
	wire_put_leg_event(&e->out, ev);
	if (!edge_tell(e, l->owner, WIRE_LEG_EVENT, &e->out))
		sl_count(&e->m[M_UNDELIVERED]);
}

static void on_state(void *arg, struct leg *leg, enum leg_state state, const char *why)
{
	struct edge_leg *l = arg;

	(void)leg;
	if (l->orphan && (state == LEG_SILENT || state == LEG_FAILED)) {
		forget(l, "its signalling has died");
		return;
	}
	media_event(l, &(struct wire_leg_event){.leg = l->id,
						.kind = WIRE_EV_STATE,
						.value = state,
						.text = sl_str_c(why)});
}

static void on_dtmf(void *arg, struct leg *leg, char digit, unsigned ms)
{
	const struct edge_leg *l = arg;

	(void)leg;
	media_event(l,
		    &(struct wire_leg_event){
			    .leg = l->id, .kind = WIRE_EV_DTMF, .value = (uint8_t)digit, .ms = ms});
}

static void on_played(void *arg, struct leg *leg)
{
	const struct edge_leg *l = arg;

	(void)leg;
	media_event(l, &(struct wire_leg_event){.leg = l->id, .kind = WIRE_EV_PLAYED});
}

static void on_negotiate(void *arg, struct leg *leg)
{
	const struct edge_leg *l = arg;

	(void)leg;
	media_event(l, &(struct wire_leg_event){.leg = l->id, .kind = WIRE_EV_NEGOTIATE});
}

static void on_changed(void *arg, struct leg *leg)
{
	const struct edge_leg *l = arg;

	(void)leg;
	media_event(l, &(struct wire_leg_event){.leg = l->id, .kind = WIRE_EV_CHANGED});
}

static void on_key_frame(void *arg, struct leg *leg)
{
	const struct edge_leg *l = arg;

	(void)leg;
	media_event(l, &(struct wire_leg_event){.leg = l->id, .kind = WIRE_EV_KEY_FRAME});
}

static void tell_room_ended(const struct edge_leg *l, enum sl_mixer_end end, const char *why)
{
	media_event(l, &(struct wire_leg_event){.leg = l->id,
						.kind = WIRE_EV_ROOM_ENDED,
						.value = end,
						.text = sl_str_c(why)});
}

static void on_room_text(void *arg, struct leg *leg, struct sl_str name, struct sl_str text)
{
	const struct edge_leg *l = arg;
	struct sl_buf both;

	(void)leg;
	sl_buf_init(&both, SIP_MAX_MESSAGE / 2);
	sl_buf_printf(&both, "%.*s\n%.*s", SL_FMT(name), SL_FMT(text));
	if (sl_buf_ok(&both) == 0)
		media_event(l, &(struct wire_leg_event){.leg = l->id,
							.kind = WIRE_EV_TEXT,
							.text = sl_buf_view(&both)});
	sl_buf_free(&both);
}

static void on_room_ended(void *arg, struct leg *leg, enum sl_mixer_end end, const char *why)
{
	(void)leg;
	tell_room_ended(arg, end, why);
}

static void on_report(void *arg, struct leg *leg, const struct leg_report *r)
{
	const struct edge_leg *l = arg;

	(void)leg;
	if (l->call_id)
		mirror_report(l->edge, sl_str_c(l->call_id), r);
}

static const struct leg_handler handler = {.state = on_state,
					   .dtmf = on_dtmf,
					   .played = on_played,
					   .negotiate = on_negotiate,
					   .changed = on_changed,
					   .key_frame = on_key_frame,
					   .room_ended = on_room_ended,
					   .room_text = on_room_text,
					   .report = on_report};

/* ---- commands */

static void open_leg(struct edge *e, uint32_t owner, const struct wire_leg *m)
{
	struct edge_leg *l = calloc(1, sizeof *l);
	struct sl_str text = m->text, room = sl_str_split(&text, '\n');
	struct leg_opts o = {.profile = (enum leg_profile)(m->a & 0xff),
			     .family = (uint8_t)m->b,
			     .n_codecs = m->n_list,
			     .silence_ms = SILENCE_MS,
			     .room = room,
			     .peer = text,
			     .detect_in_band = true,
			     .within = m->a & WIRE_LEG_WITHIN,
			     .strict = m->a & WIRE_LEG_WITHIN,
			     .handler = &handler,
			     .arg = l};
	const struct leg_key key = {owner, m->leg};
	int rc = l ? 0 : -SL_ENOMEM;

	for (unsigned i = 0; i < m->n_list && i < LEG_MAX_CODECS; i++)
		o.codecs[i] = (enum sl_codec_id)m->list[i];
	if (rc == 0)
		rc = leg_open(e->legs, &o, &l->leg);
	if (rc == 0) {
		*l = (struct edge_leg){.edge = e, .owner = owner, .id = m->leg, .leg = l->leg};
		rc = sl_htab_insert(&e->leg_table, &l->node, key_hash(&key));
		if (rc < 0)
			leg_close(l->leg, "out of memory");
	}
	if (rc < 0) { /* what is asked of it next is answered so */
		sl_log(SL_LOG_WARN, "sip-gateway", "no media leg: %s", sl_strerror(rc));
		free(l);
		return;
	}
	e->w->n_holds++;
	sl_gauge_add(&e->m[M_LEGS], 1);
}

/* One leg prefers what the other has agreed on, so that nothing has to be transcoded. */
static int prefer(struct edge_leg *l, const struct edge_leg *other)
{
	enum sl_codec_id codecs[2 * LEG_MAX_CODECS];
	unsigned n = leg_codecs(other->leg, codecs), n_first = n;
	const struct sl_list *own = &l->edge->conf->codecs;

	for (size_t i = 0; i < own->n && n < LEG_MAX_CODECS; i++) {
		enum sl_codec_id id = sl_codec_by_name(*SL_LIST_AT(*own, struct sl_str, i));
		bool known = false;

		for (unsigned k = 0; k < n_first; k++)
			known |= codecs[k] == id;
		if (!known)
			codecs[n++] = id;
	}
	if (n_first > 0)
		leg_set_codecs(l->leg, codecs, n);
	leg_heard_by_leg(l->leg, other->leg);
	return leg_want_video_of(l->leg, other->leg);
}

static int describe(struct edge_leg *l, const struct wire_leg *m, struct sl_buf *text)
{
	char err[LEG_ERR] = "";
	int rc;

	if (m->verb == WIRE_LEG_OFFER)
		rc = leg_offer(l->leg, m->a != 0, text);
	else if (m->verb == WIRE_LEG_ANSWER)
		rc = leg_answer(l->leg, m->text, text, err);
	else
		rc = leg_accept(l->leg, m->text, err);
	if (rc == 0)
		return sl_buf_ok(text);
	sl_buf_reset(text);
	sl_buf_str(text, sl_str_c(err[0] ? err : sl_strerror(rc)));
	return rc;
}

static void describe_and_reply(struct edge_leg *l, const struct wire_leg *m)
{
	struct sl_buf text;
	int rc;

	sl_buf_init(&text, SIP_MAX_MESSAGE / 2);
	rc = describe(l, m, &text);
	reply(l->edge, l->owner,
	      &(struct wire_reply){
		      .leg = l->id, .seq = m->seq, .rc = rc, .text = sl_buf_view(&text)});
	sl_buf_free(&text);
}

static void close_leg(struct edge_leg *l, const struct wire_leg *m)
{
	struct sl_buf stats;

	sl_buf_init(&stats, 8192);
	leg_stats_json(l->leg, &stats);
	reply(l->edge, l->owner,
	      &(struct wire_reply){.leg = l->id, .seq = m->seq, .text = sl_buf_view(&stats)});
	sl_buf_free(&stats);
	forget(l, "its call has ended");
}

/* What cannot be is told as what is over. */
static int enter_room(const struct edge_leg *l, struct sl_str text)
{
	struct sl_str room = sl_str_split(&text, '\n');
	int rc = leg_enter(l->leg, room, text);

	if (rc == -SL_EUNSUPP || rc == -SL_EDENIED)
		tell_room_ended(l, SL_MIXER_NO_ROOM, "there is no such room here");
	else if (rc < 0)
		tell_room_ended(l, SL_MIXER_FAILED, "the room cannot be entered");
	return rc;
}

static int play_sound(const struct edge_leg *l, struct sl_str name)
{
	const struct sound *s = sounds_find(l->edge->sounds, name);
	int rc = s ? leg_play_sound(l->leg, s) : -SL_ENOENT;

	if (rc < 0)
		media_event(l, &(struct wire_leg_event){.leg = l->id, .kind = WIRE_EV_PLAYED});
	return rc;
}

static int take_digits(const struct edge_leg *l, struct sl_str digits, unsigned ms)
{
	for (size_t i = 0; i < digits.len; i++)
		leg_take_digit(l->leg, digits.p[i], ms);
	return 0;
}

static int copy(const struct edge_leg *l, const struct edge_leg *from, uint32_t how)
{
	bool prefers = how & WIRE_COPY_PREFER;

	return how & WIRE_COPY_HEARD ? leg_copy_heard(l->leg, from->leg, prefers)
				     : leg_copy(l->leg, from->leg, prefers);
}

/* Only for a collector: nobody else asks whose a leg is. */
static int name_leg(struct edge_leg *l, struct sl_str call_id)
{
	char *copy = mirror_wants_reports(l->edge) ? sl_str_dup(call_id) : NULL;

	if (!copy)
		return mirror_wants_reports(l->edge) ? -SL_ENOMEM : 0;
	free(l->call_id);
	l->call_id = copy;
	return 0;
}

static int set_origin(const struct edge_leg *l, struct sl_str text)
{
	struct sl_str session = sl_str_split(&text, ' ');
	uint64_t id, version;

	if (sl_str_u64(session, &id) < 0 || sl_str_u64(text, &version) < 0)
		return -SL_EINVAL;
	leg_set_origin(l->leg, id, version);
	return 0;
}

static int command(struct edge_leg *l, const struct wire_leg *m)
{
	struct edge_leg *other = find(l->edge, l->owner, m->a);

	switch (m->verb) {
	case WIRE_LEG_ROLLBACK:
		leg_rollback(l->leg);
		return 0;
	case WIRE_LEG_BRIDGE:
		return other ? leg_bridge(l->leg, other->leg) : -SL_ENOENT;
	case WIRE_LEG_UNBRIDGE:
		leg_unbridge(l->leg);
		return 0;
	case WIRE_LEG_PLAY:
		return m->a < LEG_N_TONES ? leg_play(l->leg, (enum leg_tone)m->a) : -SL_EINVAL;
	case WIRE_LEG_ECHO:
		return leg_echo(l->leg);
	case WIRE_LEG_DIRECTION:
		leg_set_direction(l->leg, (enum sl_sdp_direction)(m->a & 3));
		return 0;
	case WIRE_LEG_PREFER:
		return other ? prefer(l, other) : 0;
	case WIRE_LEG_DTMF:
		return leg_send_dtmf(l->leg, m->text, m->a);
	case WIRE_LEG_CANDIDATE:
		return leg_candidate(l->leg, m->text);
	case WIRE_LEG_COPY:
		return other ? copy(l, other, m->b) : -SL_ENOENT;
	case WIRE_LEG_PEOPLE:
		return people_watch(l, m->text);
	case WIRE_LEG_ROOM:
		return enter_room(l, m->text);
	case WIRE_LEG_SOUND:
		return play_sound(l, m->text);
	case WIRE_LEG_VIDEO:
		return other ? leg_want_video_of(l->leg, other->leg)
			     : leg_want_video(l->leg, m->text);
	case WIRE_LEG_ROOM_VIDEO:
		return leg_want_video_of_room(l->leg, m->text);
	case WIRE_LEG_HEARD_BY:
		if (!other)
			return leg_heard_by(l->leg, m->text);
		leg_heard_by_leg(l->leg, other->leg);
		return 0;
	case WIRE_LEG_KEY_FRAME:
		leg_video_wanted(l->leg);
		return 0;
	case WIRE_LEG_ORIGIN:
		return set_origin(l, m->text);
	case WIRE_LEG_CALL_ID:
		return name_leg(l, m->text);
	case WIRE_LEG_HEARD:
		return take_digits(l, m->text, m->a);
	default:
		return -SL_EUNSUPP;
	}
}

static void dispatch(struct edge_leg *l, const struct wire_leg *m)
{
	int rc;

	if (m->verb == WIRE_LEG_OFFER || m->verb == WIRE_LEG_ANSWER || m->verb == WIRE_LEG_ACCEPT) {
		describe_and_reply(l, m);
		return;
	}
	if (m->verb == WIRE_LEG_SAY) {
		reply(l->edge, l->owner,
		      &(struct wire_reply){
			      .leg = l->id, .seq = m->seq, .rc = leg_say(l->leg, m->text)});
		return;
	}
	if (m->verb == WIRE_LEG_CLOSE) {
		close_leg(l, m);
		return;
	}
	rc = command(l, m);
	if (rc < 0)
		sl_log(SL_LOG_INFO, "sip-gateway", "media command %u: %s", m->verb,
		       sl_strerror(rc));
}

/* A leg of a process that has died goes on under another's number. */
static void adopt_leg(struct edge *e, uint32_t owner, const struct wire_leg *m)
{
	struct edge_leg *l = find(e, m->a, m->b);
	const struct leg_key key = {owner, m->leg};

	if (!l || find(e, owner, m->leg))
		return; /* what is asked of it next is answered so */
	sl_htab_remove(&e->leg_table, &l->node);
	l->owner = owner;
	l->id = m->leg;
	l->orphan = false;
	if (sl_htab_insert(&e->leg_table, &l->node, key_hash(&key)) == 0)
		return;
	people_unwatch(l);
	leg_close(l->leg, "out of memory");
	e->w->n_holds--;
	sl_gauge_add(&e->m[M_LEGS], -1);
	free(l->call_id);
	free(l);
}

void media_command(struct edge *e, uint32_t owner, struct sl_str data)
{
	struct wire_leg m;
	struct edge_leg *l;

	if (wire_get_leg(data, &m) < 0)
		return;
	if (m.verb == WIRE_LEG_OPEN) {
		open_leg(e, owner, &m);
		return;
	}
	if (m.verb == WIRE_LEG_ADOPT) {
		adopt_leg(e, owner, &m);
		return;
	}
	l = find(e, owner, m.leg);
	if (l)
		dispatch(l, &m);
	else if (m.seq)
		reply(e, owner,
		      &(struct wire_reply){.leg = m.leg,
					   .seq = m.seq,
					   .rc = -SL_ENOENT,
					   .text = SL_STR("there is no such media leg")});
}

/* ---- life */

/* Legs that nobody has taken over, and that have heard nobody who could fall silent */
static void on_orphans(struct sl_timer *t)
{
	struct edge *e = t->arg;
	struct sl_hnode *next;

	for (struct sl_hnode *n = sl_htab_first(&e->leg_table); n; n = next) {
		struct edge_leg *l = SL_CONTAINER(n, struct edge_leg, node);

		next = sl_htab_next(&e->leg_table, n);
		if (l->orphan && !leg_is_agreed(l->leg))
			forget(l, "its signalling has died");
	}
}

void media_orphan(struct edge *e, uint32_t owner)
{
	for (struct sl_hnode *n = sl_htab_first(&e->leg_table); n;
	     n = sl_htab_next(&e->leg_table, n)) {
		struct edge_leg *l = SL_CONTAINER(n, struct edge_leg, node);

		if (l->owner != owner)
			continue;
		l->orphan = true;
		sl_timer_set(e->w->loop, &e->orphans, ADOPTED_MS);
	}
}

void media_tell_owners(struct edge *e, enum wire_type type, const struct sl_buf *msg)
{
	uint32_t current = sl_aux_owner(e->w, "sip-gateway"), told = current;

	for (struct sl_hnode *n = sl_htab_first(&e->leg_table); n;
	     n = sl_htab_next(&e->leg_table, n)) {
		const struct edge_leg *l = SL_CONTAINER(n, struct edge_leg, node);

		if (l->owner == current || l->owner == told || l->orphan)
			continue;
		told = l->owner;
		(void)edge_tell(e, told, type, msg); /* twice does no harm */
	}
}

int media_open(struct edge *e)
{
	int rc = legs_open(e->w, &e->conf->media, &e->legs);

	e->orphans = (struct sl_timer){.fn = on_orphans, .arg = e};
	if (rc == 0)
		rc = sounds_open(e->conf, &e->sounds);
	if (rc == 0)
		legs_set_music(e->legs, sounds_music(e->sounds));
	return rc;
}

void media_close(struct edge *e)
{
	struct sl_hnode *n;

	sl_timer_cancel(e->w->loop, &e->orphans);
	while ((n = sl_htab_first(&e->leg_table)))
		forget(SL_CONTAINER(n, struct edge_leg, node), "the worker ends");
	sl_htab_free(&e->leg_table);
	legs_close(e->legs);
	sounds_close(e->sounds);
}
