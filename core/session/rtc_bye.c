/*
 * session/rtc_bye.c: streams that their sender ends by RTCP BYE (RFC 3550 section 6.6), and may go
 * on with.
 *
 * The section stays agreed upon: browsers say goodbye to each simulcast encoding that they stop
 * making, and go on under the same SSRC when it is wanted again. An encoding has ended when all
 * streams that brought it have, since who takes another SSRC says goodbye to the one before.
 */
#include "session/rtc_impl.h"

static bool brings(const struct rtc_stream *s, const struct sl_rtc_media *m)
{
	return !s->rtx && !s->over && s->media == m;
}

static bool is_live(const struct sl_rtc *c, const struct sl_rtc_media *m, unsigned encoding)
{
	for (unsigned i = 0; i < c->n_streams; i++)
		if (brings(c->streams[i], m) && c->streams[i]->encoding == encoding)
			return true;
	return false;
}

static void end(struct sl_rtc *c, struct rtc_stream *s)
{
	struct sl_rtc_media *m = s->media;

	s->over = true;
	s->over_ms = rtc_now_ms(c);
	s->wants_key_frame = false;
	rtc_count(c, RTC_byes);
	if (s->rtx || is_live(c, m, s->encoding))
		return;
	m->over |= (uint8_t)(1u << s->encoding);
	if (c->handler->ended)
		c->handler->ended(c->arg, m, s->encoding);
}

void rtc_bye_take(struct sl_rtc *c, const struct sl_rtcp_block *b)
{
	uint32_t ssrc;

	for (unsigned i = 0; !c->closing && sl_rtcp_read_bye(b, i, &ssrc) == 0; i++) {
		struct rtc_stream *s = rtc_stream_find(c, ssrc);

		if (s && !s->over)
			end(c, s);
	}
}

/* Packets that left before the goodbye may come behind it: they are passed on, and mean nothing. */
void rtc_bye_packet(struct sl_rtc *c, struct rtc_stream *s)
{
	struct sl_rtc_media *m = s->media;
	uint8_t bit = (uint8_t)(1u << s->encoding);

	if (s->over && rtc_now_ms(c) - s->over_ms < RTC_GOODBYE_MS)
		return;
	s->over = false;
	if (s->rtx || !(m->over & bit))
		return;
	m->over &= (uint8_t)~bit;
	if (c->handler->resumed)
		c->handler->resumed(c->arg, m, s->encoding);
}

bool sl_rtc_media_is_over(const struct sl_rtc_media *m)
{
	for (unsigned i = 0; i < m->c->n_streams; i++)
		if (brings(m->c->streams[i], m))
			return false;
	return m->over != 0;
}
