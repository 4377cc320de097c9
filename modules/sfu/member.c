/*
 * sfu/member.c: participants whom other modules bring (<sluice/room.h>): a phone is a peer of
 * signalling without a client, and a participant without connections.
 *
 * It hears audio by callback where others are sent it, and its packets come in where others' come
 * from their publishing connection; in between nothing knows the difference. Of video it is shown
 * one at a time, which watch.c chooses.
 */
#include "sfu.h"

#include <stdlib.h>
#include <sluice/crypto.h>
#include <sluice/track.h>

struct sl_room_member {
	struct participant *p;
	const struct sl_room_handler *handler; /* NULL: it leaves by itself */
	void *arg;
	struct sl_room_source *sources;
};

struct sl_room_source {
	struct sl_room_source *next;
	struct sl_room_member *member;
	struct track *track; /* NULL: ended */
	struct sl_unwrap seq;
};

/* ---- what it hears */

void member_track(const struct sub *sub, bool there)
{
	const struct sl_room_member *m = sub->participant->member;
	const struct track *t = sub->track;
	const struct sl_room_track view = {
		.id = t->id,
		.peer = t->publisher->id,
		.codec = t->codec,
		.clock_hz = t->clock_hz,
		.params = sl_str_c(t->params),
		.muted = t->muted || t->silenced,
	};

	if (t->kind == SL_MEDIA_AUDIO && m->handler && m->handler->track)
		m->handler->track(m->arg, &view, there);
}

void member_hear(const struct sub *sub, const struct pending *k)
{
	const struct sl_room_member *m = sub->participant->member;

	if (!sub->track->audible || !m->handler || !m->handler->rtp)
		return;
	m->handler->rtp(m->arg, sub->track->id, sl_packet_rtp(k->packet), k->seq, k->codec);
	sfu_count(sub->track->room->sfu, M_packets_out);
}

void member_silenced(const struct track *t)
{
	const struct sl_room_member *m = t->publisher->member;

	/* Of a video nothing goes on; that is all, since nobody need be told by a tone. */
	if (t->kind == SL_MEDIA_AUDIO && m->handler && m->handler->silenced)
		m->handler->silenced(m->arg, t->silenced);
}

void member_see(const struct participant *p, const struct sl_room_picture *picture)
{
	const struct sl_room_member *m = p->member;

	if (!m->handler || !m->handler->picture)
		return;
	m->handler->picture(m->arg, picture);
	sfu_count(p->room->sfu, M_packets_out);
}

void member_ask_key(const struct track *t)
{
	const struct sl_room_member *m = t->publisher->member;
	struct sl_room_source *s = m->sources;

	while (s && s->track != t)
		s = s->next;
	if (s && m->handler && m->handler->key_frame)
		m->handler->key_frame(m->arg, s);
}

/* ---- life */

void member_end(struct participant *p, const char *why)
{
	struct sl_room_member *m = p->member;

	p->member = NULL;
	if (m->handler && m->handler->ended)
		m->handler->ended(m->arg, why);
	while (m->sources) {
		struct sl_room_source *s = m->sources;

		m->sources = s->next;
		free(s);
	}
	free(m);
}

static int enter(struct sfu *s, const struct sl_room_opts *o, struct participant **ret_p)
{
	const struct sl_signal_entry entry = {o->room, o->name, o->grants};
	struct sl_signal_peer peer;
	const char *sentence;
	uint64_t id;
	int rc = s->signal->enter(s->signal_self, &entry, &id);

	if (rc < 0)
		return rc;
	rc = s->signal->find(s->signal_self, id, &peer)
		     ? participant_enter(s, &peer, ret_p, &sentence)
		     : -SL_ENOENT; /* ended at once, by who heard of it */
	if (rc < 0)
		(void)s->signal->leave(s->signal_self, id); /* gone already: as wanted */
	return rc;
}

static int member_join(void *self, const struct sl_room_opts *o, struct sl_room_member **ret_member)
{
	struct sl_room_member *m;
	struct participant *p;
	int rc;

	if (!mode_is_ours(self, o->room))
		return -SL_EDENIED;
	m = calloc(1, sizeof *m);
	if (!m)
		return -SL_ENOMEM;
	rc = enter(self, o, &p);
	if (rc < 0) {
		free(m);
		return rc;
	}
	*m = (struct sl_room_member){.p = p, .handler = o->handler, .arg = o->arg};
	p->member = m;
	p->auto_subscribe = true;
	*ret_member = m;
	subscribe_all(p);
	return 0;
}

static void member_leave(struct sl_room_member *m)
{
	struct participant *p;

	if (!m)
		return;
	p = m->p;
	m->handler = NULL;
	/* Signalling tells on_left, which removes the participant; without its peer that is ours.
	 */
	if (p->room->sfu->signal->leave(p->room->sfu->signal_self, p->id) < 0)
		participant_remove(p, "left");
}

static uint64_t member_peer(const struct sl_room_member *m)
{
	return m->p->id;
}

/* ---- what it sends */

static void describe(struct track *t, const struct sl_room_source_opts *o)
{
	t->codec = (uint8_t)o->codec;
	t->clock_hz = o->clock_hz;
	(void)sl_str_copy(t->params, sizeof t->params, o->params);
	(void)sl_str_copy(t->name, sizeof t->name, o->name);
}

static int add_track(struct participant *p, const struct sl_room_source_opts *o,
		     struct track **ret_t)
{
	struct track *t;
	uint64_t id;
	int rc = sl_random(&id, sizeof id);

	if (rc == 0)
		rc = track_add(p, id, o->kind, &t);
	if (rc < 0)
		return rc;
	describe(t, o);
	rc = shown_begin(t);
	if (rc < 0) {
		track_remove(t);
		return rc;
	}
	*ret_t = t;
	return 0;
}

static int member_publish(struct sl_room_member *m, const struct sl_room_source_opts *o,
			  struct sl_room_source **ret_source)
{
	uint32_t needed = o->kind == SL_MEDIA_AUDIO ? SL_MAY_PUBLISH_AUDIO : SL_MAY_PUBLISH_VIDEO;
	struct participant *p = m->p;
	struct sl_room_source *s;
	int rc;

	if (!(p->grants & needed))
		return -SL_EDENIED;
	if (p->n_tracks >= (unsigned)p->room->sfu->conf->max_tracks)
		return -SL_ELIMIT;
	s = calloc(1, sizeof *s);
	if (!s)
		return -SL_ENOMEM;
	rc = add_track(p, o, &s->track);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->member = m;
	s->next = m->sources;
	m->sources = s;
	publish_announce(s->track);
	*ret_source = s;
	return 0;
}

static void member_unpublish(struct sl_room_source *s)
{
	struct sl_room_source **link = &s->member->sources;

	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	track_remove(s->track);
	free(s);
}

static int member_send(struct sl_room_source *s, struct sl_packet *p, unsigned level)
{
	struct track *t = s->track;
	struct sl_rtp *rtp = sl_packet_rtp(p);
	struct sl_media m = {.rtp = rtp, .codec = t->codec};

	if (sl_rtp_parse(rtp, p->data, p->len) < 0)
		return -SL_EPARSE;
	rtp->packet = p;
	if (t->silenced)
		return 0;
	m.seq = sl_unwrap16(&s->seq, rtp->seq);
	sfu_count(t->room->sfu, M_packets_in);
	if (level < SILENCE)
		steward_heard(t, level, true);
	if (shown_packet(t, &m) != SL_DROP)
		forward_packet(t, rtp, m.seq, 0, t->codec);
	return 0;
}

static void member_set_clock(struct sl_room_source *s, const struct sl_rtc_clock *clock)
{
	publish_clock(s->track, 0, clock);
}

static void member_set_muted(struct sl_room_source *s, bool muted)
{
	track_mute(s->track, muted);
}

/* ---- what it is shown */

static int member_watch(struct sl_room_member *m, const struct sl_room_watch *w)
{
	return watch_set(m->p, w);
}

static void member_ask_picture(struct sl_room_member *m)
{
	watch_ask(m->p);
}

static unsigned member_cameras(void *self, struct sl_str room, enum sl_codec_id *ret_codecs,
			       unsigned max)
{
	const struct room *r = room_find(self, room);
	unsigned n = 0;

	for (const struct track *t = r ? r->tracks : NULL; t; t = t->next) {
		unsigned i = 0;

		if (t->kind != SL_MEDIA_VIDEO || t->codec == SL_CODEC_NONE)
			continue;
		while (i < n && ret_codecs[i] != t->codec)
			i++;
		if (i == n && n < max)
			ret_codecs[n++] = (enum sl_codec_id)t->codec;
	}
	return n;
}

const struct sl_room_iface member_iface = {
	.join = member_join,
	.leave = member_leave,
	.peer = member_peer,
	.publish = member_publish,
	.unpublish = member_unpublish,
	.send = member_send,
	.set_clock = member_set_clock,
	.set_muted = member_set_muted,
	.watch = member_watch,
	.ask_picture = member_ask_picture,
	.cameras = member_cameras,
};
