/*
 * recorder/simulcast.c: see simulcast.h.
 *
 * Rates are those of whole seconds, so that a key frame of a small encoding does not make it look
 * larger than one that has none just now. But a second that has passed says for up to another that
 * an encoding is the best of which nothing comes any more, and until there is a key frame of
 * another its last picture stands: so what has stalled is left out at once.
 */
#include "simulcast.h"

enum { WINDOW_MS = 1000 };

static void measure(struct simulcast *s, unsigned encoding, size_t bytes, uint64_t now_ms)
{
	s->bytes[encoding] += (uint32_t)bytes;
	if (now_ms < s->window_ms + WINDOW_MS)
		return;
	for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++) {
		s->rate[i] = s->bytes[i];
		s->bytes[i] = 0;
	}
	s->window_ms = now_ms;
}

static void note(struct simulcast *s, unsigned encoding, uint64_t now_ms)
{
	for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++)
		if (i == encoding)
			s->behind_ms[i] = 0;
		else if (s->behind_ms[i] == 0)
			s->behind_ms[i] = now_ms;
}

static bool has_stalled(const struct simulcast *s, unsigned encoding, uint64_t now_ms)
{
	return s->behind_ms[encoding] != 0 && now_ms >= s->behind_ms[encoding] + SIMULCAST_STALL_MS;
}

unsigned simulcast_best(struct simulcast *s, unsigned encoding, size_t bytes, uint64_t now_ms)
{
	unsigned best;

	if (s->chosen == SIMULCAST_NONE)
		simulcast_choose(s, encoding);
	measure(s, encoding, bytes, now_ms);
	note(s, encoding, now_ms);
	best = has_stalled(s, s->chosen, now_ms) ? encoding : s->chosen;
	for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++)
		if (s->rate[i] > s->rate[best] && !has_stalled(s, i, now_ms))
			best = i;
	return best;
}

void simulcast_choose(struct simulcast *s, unsigned encoding)
{
	s->chosen = (uint8_t)encoding;
}
