/*
 * sfu/watch.c: the one picture that a member is shown: a phone has place for one video, which is
 * that of whoever speaks.
 *
 * What is watched is an ordinary subscription, with layers, allocated and asked for as any other;
 * here is decided only to which track. A change has two of them for a while: the new one is asked
 * for a key frame, and the old one goes on until that has come, so that no picture freezes between
 * them. Numbers and times are those of the subscription; who takes them makes one stream of all.
 */
#include "sfu.h"

#include <stdlib.h>
#include "speakers.h"

enum {
	STAY_MS = 1500, /* after a change, however often others speak up */
	MAX_FORMATS = 16,
	MAX_VOICES = 8,
};

struct watch {
	struct sub *now, *next; /* next: waits for its key frame; NULL: none */
	uint64_t since_ms;	/* of the newest change that was begun */
	uint64_t max_bps, usual_bps;
	unsigned n_formats;
	struct watch_format {
		uint8_t codec;
		char params[160];
	} formats[MAX_FORMATS];
};

/* ---- which can be shown */

static unsigned mode_of(struct sl_str params)
{
	struct sl_str mode = SL_STR("0");

	(void)sl_sdp_param(params, "packetization-mode", &mode); /* or default, RFC 6184 */
	return sl_str_eq(mode, SL_STR("1"));
}

/* profile_idc; 66, baseline, where nothing is said (RFC 6184 section 8.1) */
static unsigned profile_of(struct sl_str params)
{
	struct sl_str id = SL_STR("42001f");
	uint8_t bytes[3];
	size_t n;

	(void)sl_sdp_param(params, "profile-level-id", &id);
	return sl_hex_decode(bytes, sizeof bytes, id, &n) == 0 && n == 3 ? bytes[0] : 66;
}

/* Units that are cut into fragments are nothing for who has agreed to mode 0 only. Every decoder
 * has the baseline profile, of others it has its own. */
static bool decodes_h264(struct sl_str ours, struct sl_str theirs)
{
	unsigned profile = profile_of(theirs);

	return mode_of(ours) >= mode_of(theirs) && (profile == 66 || profile == profile_of(ours));
}

bool watch_takes(const struct participant *p, const struct track *t)
{
	const struct watch *w = p->watch;

	for (unsigned i = 0; w && i < w->n_formats; i++)
		if (w->formats[i].codec == t->codec &&
		    (t->codec != SL_CODEC_H264 ||
		     decodes_h264(sl_str_c(w->formats[i].params), sl_str_c(t->params))))
			return true;
	return false;
}

static bool can_be_shown(const struct participant *p, const struct track *t)
{
	return t->kind == SL_MEDIA_VIDEO && t->publisher != p && !t->muted && !t->silenced &&
	       !(t->publisher->grants & SL_IS_HIDDEN) && watch_takes(p, t);
}

/* Of one publisher, or of anybody; a camera rather than a screen */
static struct track *find(const struct participant *p, const struct participant *publisher)
{
	struct track *found = NULL;

	for (struct track *t = p->room->tracks; t; t = t->next) {
		if ((publisher && t->publisher != publisher) || !can_be_shown(p, t))
			continue;
		if (!found || (t->source == SOURCE_CAMERA && found->source != SOURCE_CAMERA))
			found = t;
	}
	return found;
}

static const struct sub *newest(const struct watch *w)
{
	return w->next ? w->next : w->now;
}

/* Who speaks loudest and has something to show; else what is shown stays; else anybody. */
static struct track *choose(const struct participant *p)
{
	const struct sub *sub = newest(p->watch);
	uint64_t voices[MAX_VOICES];
	unsigned n = speakers_active(p->room->speakers, voices, MAX_VOICES);

	for (unsigned i = 0; i < n; i++) {
		const struct track *voice = track_find(p->room->sfu, voices[i]);
		struct track *t = voice ? find(p, voice->publisher) : NULL;

		if (t)
			return sub && sub->track->publisher == t->publisher &&
					       can_be_shown(p, sub->track)
				       ? sub->track
				       : t;
	}
	return sub && can_be_shown(p, sub->track) ? sub->track : find(p, NULL);
}

/* ---- changes */

static void turn_to(struct participant *p, struct track *t)
{
	struct watch *w = p->watch;
	struct sub *sub = NULL;

	if (w->next)
		unsubscribe(w->next); /* it has shown nothing so far */
	w->since_ms = sfu_now_ms(p->room->sfu);
	if (w->now && w->now->track == t)
		return;
	if (w->now && !can_be_shown(p, w->now->track))
		unsubscribe(w->now);
	if (!t || subscribe(p, t, &sub) < 0)
		return; /* out of memory: another time */
	w->next = sub;
	steward_allocate(p);
}

void watch_tick(struct participant *p)
{
	struct watch *w = p->watch;
	const struct sub *sub = newest(w);
	struct track *t = choose(p);

	if (sub ? sub->track == t : !t)
		return;
	if (sub && can_be_shown(p, sub->track) &&
	    sfu_now_ms(p->room->sfu) - w->since_ms < STAY_MS)
		return;
	turn_to(p, t);
}

void watch_see(struct sub *sub, const struct sl_rtp_out *out, unsigned codec)
{
	struct participant *p = sub->participant;
	struct watch *w = p->watch;
	const struct sl_room_picture picture = {
		.out = out, .codec = (enum sl_codec_id)codec, .track = sub->track->id};

	if (w && sub == w->next) { /* layers begin with a key frame: this is its first packet */
		w->next = NULL;
		if (w->now)
			unsubscribe(w->now);
		w->now = sub;
	}
	if (w && sub == w->now)
		member_see(p, &picture);
}

bool watch_counts(const struct sub *sub)
{
	return sub == newest(sub->participant->watch);
}

/* A reserve that the allocator keeps for what is new must not hide the only picture there is. */
uint64_t watch_budget(const struct participant *p, uint64_t least_bps)
{
	const struct watch *w = p->watch;
	uint64_t least = least_bps + least_bps / 2;

	if (w->max_bps > 0)
		return w->max_bps;
	return w->usual_bps > least ? w->usual_bps : least;
}

void watch_ask(const struct participant *p)
{
	const struct watch *w = p->watch;
	struct sl_layers_target now;

	if (!w || !w->now)
		return;
	sl_layers_current(w->now->layers, &now);
	track_ask_key(w->now->track, now.encoding);
}

/* ---- life */

static void take_formats(struct watch *w, const struct sl_room_watch *wanted)
{
	w->n_formats = 0;
	for (unsigned i = 0; i < wanted->n_formats && w->n_formats < MAX_FORMATS; i++) {
		struct watch_format *f = &w->formats[w->n_formats++];

		f->codec = (uint8_t)wanted->formats[i].codec;
		(void)sl_str_copy(f->params, sizeof f->params, wanted->formats[i].params); /* cut */
	}
}

int watch_set(struct participant *p, const struct sl_room_watch *wanted)
{
	if (wanted->n_formats == 0) {
		watch_end(p);
		return 0;
	}
	if (!p->watch)
		p->watch = calloc(1, sizeof *p->watch);
	if (!p->watch)
		return -SL_ENOMEM;
	p->watch->max_bps = wanted->max_bps;
	p->watch->usual_bps = wanted->usual_bps;
	take_formats(p->watch, wanted);
	steward_wake(p->room); /* its tick looks for something to show */
	steward_allocate(p);
	return 0;
}

void watch_forget(const struct sub *sub)
{
	struct watch *w = sub->participant->watch;

	if (sub == w->now)
		w->now = NULL;
	if (sub == w->next)
		w->next = NULL;
}

void watch_end(struct participant *p)
{
	struct watch *w = p->watch;

	if (!w)
		return;
	if (w->next)
		unsubscribe(w->next);
	if (w->now)
		unsubscribe(w->now);
	p->watch = NULL;
	free(w);
}
