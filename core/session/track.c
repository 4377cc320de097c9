/*
 * session/track.c: tracks and their phases (<sluice/track.h>).
 *
 * The list of a process's tracks is the registry's. A phase that nobody hooks costs one compare.
 */
#include <sluice/track.h>

#include "session/registry.h"

static void tell(struct sl_track *t, enum sl_phase phase)
{
	const struct hook_chain *chain = &t->worker->registry->tracks[phase - SL_TRACK_NEW];

	for (unsigned i = 0; i < chain->n; i++)
		if (chain->calls[i].fn.track(chain->calls[i].ctx, t) == SL_DONE)
			return;
}

void sl_track_begin(struct sl_track *t)
{
	struct registry *r = t->worker->registry;

	t->prev = NULL;
	t->next = r->first_track;
	if (t->next)
		t->next->prev = t;
	r->first_track = t;
	tell(t, SL_TRACK_NEW);
}

void sl_track_changed(struct sl_track *t)
{
	tell(t, SL_TRACK_CHANGE);
}

void sl_track_clock(struct sl_track *t, unsigned encoding, const struct sl_rtc_clock *clock)
{
	if (encoding >= SL_RTC_MAX_ENCODINGS)
		return;
	t->clock[encoding] = *clock;
	tell(t, SL_TRACK_CLOCK);
}

void sl_track_end(struct sl_track *t)
{
	tell(t, SL_TRACK_CLOSE);
	if (t->prev)
		t->prev->next = t->next;
	else
		t->worker->registry->first_track = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->prev = t->next = NULL;
}

int sl_track_media(const struct sl_media *m)
{
	const struct registry *r = m->track->worker->registry;

	for (unsigned phase = SL_RTP_IN; phase <= SL_RTP_TAP; phase++) {
		const struct hook_chain *chain = &r->media[phase - SL_RTP_IN];

		for (unsigned i = 0; i < chain->n; i++) {
			int rc = chain->calls[i].fn.media(chain->calls[i].ctx, m);

			if (rc == SL_DROP || rc < 0)
				return SL_DROP;
			if (rc == SL_DONE)
				break;
		}
	}
	return SL_OK;
}

void sl_track_each(struct sl_worker *w, void (*fn)(void *arg, struct sl_track *t), void *arg)
{
	for (struct sl_track *t = w->registry->first_track, *next; t; t = next) {
		next = t->next;
		fn(arg, t);
	}
}

void sl_track_ask_key_frame(struct sl_track *t, unsigned encoding)
{
	if (t->ask_key_frame)
		t->ask_key_frame(t, encoding);
}
