/*
 * sfu/subscribe.c: media going to a participant: one connection, always offered by us, so that
 * glare cannot happen. One offer is open at a time; what changes meanwhile goes into the next.
 */
#include "sfu.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the connection's events */

static void send_offer(struct participant *p, bool restart)
{
	struct sl_buf sdp;
	int rc;

	sl_buf_init(&sdp, 0);
	rc = sl_rtc_offer(p->sub, restart, &sdp);
	if (rc == 0 && sl_buf_ok(&sdp) == 0) {
		p->n_offers++;
		say_offer(p, sl_buf_view(&sdp));
	} else if (rc == -SL_EAGAIN) {
		p->wants_restart = p->wants_restart || restart; /* with the answer that is open */
	} else {
		sl_log(SL_LOG_WARN, "sfu", "no offer could be made: %s", sl_strerror(rc));
	}
	sl_buf_free(&sdp);
}

static void on_negotiate(void *arg, struct sl_rtc *c)
{
	struct participant *p = arg;
	bool restart = p->wants_restart;

	(void)c;
	p->wants_restart = false;
	send_offer(p, restart);
}

/* What flowed before the way was lost */
static void renew_pictures(struct participant *p)
{
	for (struct sub *sub = p->subs; sub; sub = sub->next_of_participant) {
		struct sl_layers_target now = {.paused = true};

		if (sub->layers)
			sl_layers_current(sub->layers, &now);
		if (!now.paused)
			track_ask_key(sub->track, now.encoding);
	}
}

/* What is there already is seen at once, and goes on with the key frame that is asked for. */
static void begin_pictures(struct participant *p)
{
	for (struct sub *sub = p->subs; sub; sub = sub->next_of_participant) {
		unsigned encoding;

		cache_show(sub);
		if (sub->layers && sl_layers_wants_key(sub->layers, &encoding))
			track_ask_key(sub->track, encoding);
	}
}

static void on_state(void *arg, struct sl_rtc *c, enum sl_rtc_state state, const char *why)
{
	struct participant *p = arg;

	(void)c;
	if (state == SL_RTC_CONNECTED) {
		steward_allocate(p);
		begin_pictures(p);
		renew_pictures(p);
	} else if (state == SL_RTC_FAILED) {
		subscribe_restart(p);
	} else if (state == SL_RTC_CLOSED) {
		subscribe_close(p, why);
		say_restart(p->room->sfu, p->id, "subscribe", why);
	}
}

static void on_key_frame(void *arg, struct sl_rtc_media *m)
{
	const struct sub *sub = sl_rtc_media_data(m);
	struct sl_layers_target now;

	(void)arg;
	if (!sub || !sub->layers)
		return;
	sl_layers_current(sub->layers, &now);
	track_ask_key(sub->track, now.encoding);
}

static void on_estimate(void *arg, struct sl_rtc *c, const struct sl_rtc_estimate *e)
{
	(void)c;
	(void)e;
	steward_allocate(arg);
}

static const struct sl_rtc_handler handler = {
	.state = on_state,
	.negotiate = on_negotiate,
	.key_frame = on_key_frame,
	.estimate = on_estimate,
};

/* ---- subscriptions */

struct sub *sub_find(const struct participant *p, const struct track *t)
{
	struct sub *s = p->subs;

	while (s && s->track != t)
		s = s->next_of_participant;
	return s;
}

static int open_connection(struct participant *p)
{
	char label[ID_CHARS];
	const struct sl_rtc_opts o = {
		.handler = &handler,
		.arg = p,
		.room = {p->room->name, p->room->name_len},
		.peer = sl_str_c(id_text(label, p->id)),
		.label = sl_str_c(label),
	};

	return sl_rtc_open(p->room->sfu->w, &o, &p->sub);
}

static int open_sub(struct participant *p, struct track *t, struct sub *sub)
{
	char stream[ID_CHARS], track[ID_CHARS];
	int rc;

	rc = p->sub || p->member ? 0 : open_connection(p);
	if (rc == 0 && t->kind == SL_MEDIA_VIDEO)
		rc = sl_layers_new(&sub->layers, t->clock_hz);
	if (rc == 0 && !p->member)
		rc = sl_rtc_add(p->sub, t->kind, sl_str_c(id_text(stream, t->publisher->id)),
				sl_str_c(id_text(track, t->id)), &sub->out);
	return rc;
}

/*
 * The codec that the track comes with, as far as it is known; RED goes beside Opus. Another one
 * later makes another offer.
 */
void subscribe_codec(struct sub *sub)
{
	const struct track *t = sub->track;
	enum sl_codec_id list[3] = {t->codec};
	unsigned n = 1;

	if (sub->participant->member) {
		member_track(sub, true);
		return;
	}
	if (t->codec == SL_CODEC_NONE)
		return;
	if (t->codec == SL_CODEC_OPUS)
		list[n++] = SL_CODEC_RED;
	if (t->kind == SL_MEDIA_AUDIO)
		list[n++] = SL_CODEC_DTMF;
	memset(sub->pts, 0, sizeof sub->pts);
	if (sl_rtc_prefer(sub->out, list, n) < 0)
		sl_log(SL_LOG_WARN, "sfu", "a track of codec %s cannot be offered",
		       sl_codec_name(t->codec));
}

int subscribe(struct participant *p, struct track *t, struct sub **ret_sub)
{
	struct sub *sub = sub_find(p, t);
	int rc;

	if (!sub) {
		sub = calloc(1, sizeof *sub);
		if (!sub)
			return -SL_ENOMEM;
		rc = open_sub(p, t, sub);
		if (rc < 0) {
			sl_layers_free(sub->layers);
			free(sub);
			return rc;
		}
		sub->track = t;
		sub->participant = p;
		sub->priority = 1;
		sub->target.paused = true;
		sub->next_of_track = t->subs;
		t->subs = sub;
		t->n_subs++;
		sub->next_of_participant = p->subs;
		p->subs = sub;
		if (sub->out)
			sl_rtc_media_set_data(sub->out, sub);
		subscribe_codec(sub);
		sl_gauge_add(&p->room->sfu->m[M_subscriptions], 1);
		steward_allocate(p);
		steward_wants_changed(t);
	}
	if (ret_sub)
		*ret_sub = sub;
	return 0;
}

void unsubscribe(struct sub *sub)
{
	struct participant *p = sub->participant;
	struct track *t = sub->track;
	struct sub **link = &t->subs;

	if (p->watch)
		watch_forget(sub);
	while (*link != sub)
		link = &(*link)->next_of_track;
	*link = sub->next_of_track;
	t->n_subs--;
	link = &p->subs;
	while (*link != sub)
		link = &(*link)->next_of_participant;
	*link = sub->next_of_participant;
	if (p->member)
		member_track(sub, false);
	else if (p->sub)
		sl_rtc_remove(sub->out);
	sl_layers_free(sub->layers);
	free(sub);
	sl_gauge_add(&p->room->sfu->m[M_subscriptions], -1);
	steward_wants_changed(t);
}

void subscribe_all(struct participant *p)
{
	if (!p->auto_subscribe || !(p->grants & SL_MAY_SUBSCRIBE))
		return;
	for (struct track *t = p->room->tracks; t; t = t->next) {
		if (t->publisher == p || (t->publisher->grants & SL_IS_HIDDEN) ||
		    (p->member && t->kind != SL_MEDIA_AUDIO))
			continue;
		if (subscribe(p, t, NULL) < 0) {
			say_error(p->room->sfu, p->id, "subscribe",
				  "this server cannot take another subscription");
			return;
		}
	}
}

/* ---- negotiation */

/* Payload types may be others now. */
static void forget_payload_types(struct participant *p)
{
	for (struct sub *sub = p->subs; sub; sub = sub->next_of_participant)
		memset(sub->pts, 0, sizeof sub->pts);
}

int subscribe_answer(struct participant *p, uint32_t number, struct sl_str sdp, char *ret_err)
{
	int rc;

	if (!p->sub)
		return 0; /* everything that was subscribed to has gone meanwhile */
	if (number != p->n_offers) {
		(void)snprintf(ret_err, 160, "this answers no open offer");
		return -SL_EINVAL;
	}
	rc = sl_rtc_accept(p->sub, sdp, ret_err);
	if (rc < 0)
		return rc;
	forget_payload_types(p);
	begin_pictures(p);
	if (p->wants_restart)
		on_negotiate(p, p->sub);
	return 0;
}

void subscribe_restart(struct participant *p)
{
	if (p->sub)
		send_offer(p, true);
}

void subscribe_close(struct participant *p, const char *why)
{
	struct sl_rtc *c = p->sub;

	p->sub = NULL;
	while (p->subs)
		unsubscribe(p->subs);
	sl_rtc_close(c, why);
}
