/*
 * sfu/shown.c: a track of a participant at home here, as modules meet it (<sluice/track.h>): its
 * beginning and end, what is said of it, its packets before they are forwarded.
 */
#include "sfu.h"

#include <stdlib.h>
#include <sluice/track.h>

struct shown {
	struct sl_track pub;
	char peer_name[MAX_NAME + 1];
};

static void ask_key_frame(struct sl_track *pub, unsigned encoding)
{
	track_ask_key(pub->arg, encoding);
}

static void describe(struct sl_track *pub, const struct track *t)
{
	pub->name = sl_str_c(t->name);
	pub->source = source_name(t->source);
	pub->codec = t->codec;
	pub->clock_hz = t->clock_hz;
	pub->params = sl_str_c(t->params);
	pub->muted = t->muted || t->silenced;
	pub->over = t->over;
	pub->n_encodings = t->n_encodings;
	for (unsigned i = 0; i < t->n_encodings; i++)
		pub->rids[i] = sl_str_c(t->rids[i]);
}

int shown_begin(struct track *t)
{
	struct sfu *s = t->room->sfu;
	struct shown *shown = calloc(1, sizeof *shown);
	struct sl_signal_peer peer;

	if (!shown)
		return -SL_ENOMEM;
	if (s->signal->find(s->signal_self, t->publisher->id, &peer))
		(void)sl_str_copy(shown->peer_name, sizeof shown->peer_name, peer.name);
	shown->pub = (struct sl_track){
		.worker = s->w,
		.session = t->in ? sl_rtc_session(sl_rtc_media_rtc(t->in)) : NULL,
		.id = t->id,
		.peer = t->publisher->id,
		.room = {t->room->name, t->room->name_len},
		.peer_name = sl_str_c(shown->peer_name),
		.kind = t->kind,
		.ask_key_frame = ask_key_frame,
		.arg = t,
	};
	describe(&shown->pub, t);
	t->shown = shown;
	sl_track_begin(&shown->pub);
	return 0;
}

void shown_changed(struct track *t)
{
	if (!t->shown)
		return;
	describe(&t->shown->pub, t);
	sl_track_changed(&t->shown->pub);
}

void shown_clock(struct track *t, unsigned encoding, const struct sl_rtc_clock *clock)
{
	sl_track_clock(&t->shown->pub, encoding, clock);
}

int shown_packet(struct track *t, struct sl_media *m)
{
	m->track = &t->shown->pub;
	return sl_track_media(m);
}

bool shown_wants_all(const struct track *t)
{
	return t->shown && t->shown->pub.wants_all;
}

void shown_end(struct track *t)
{
	if (!t->shown)
		return;
	sl_track_end(&t->shown->pub);
	free(t->shown);
	t->shown = NULL;
}
