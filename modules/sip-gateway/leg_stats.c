/*
 * sip-gateway/leg_stats.c: figures of a leg, for records of calls and for people who ask why it
 * sounds so.
 */
#include "leg_impl.h"

enum { ONE_WAY_S = 5 };

static bool is_recent(const struct leg *l, uint64_t at_ns)
{
	return at_ns && leg_now_ns(l) - at_ns < ONE_WAY_S * SL_NS_PER_S;
}

/* Old enough to know; it sends, and hears nothing. */
static bool is_one_way(const struct leg *l)
{
	return l->agreed_ns && l->direction == SL_SDP_SENDRECV && !is_recent(l, l->agreed_ns) &&
	       is_recent(l, l->out.sent_ns) && !is_recent(l, l->heard_ns);
}

static void of_line(const struct leg *l, struct leg_stats *s)
{
	struct sl_line_stats line;

	sl_line_get_stats(l->line, &line);
	s->packets_in = line.packets_in;
	s->bytes_in = line.bytes_in;
	s->packets_out = line.packets_out;
	s->bytes_out = line.bytes_out;
	s->lost_in = line.lost_in;
	s->jitter_in_us = line.jitter_in_us;
	s->lost_out = line.lost_out;
	s->jitter_out_us = line.jitter_out_us;
	s->rtt_us = line.rtt_us;
	s->strangers = line.strangers;
}

static void of_rtc(const struct leg *l, struct leg_stats *s)
{
	struct sl_rtc_stream_stats in = {0}, out = {0};
	struct sl_rtc_estimate e = {0};

	if (!l->media)
		return;
	sl_rtc_in_stats(l->media, 0, &in);
	sl_rtc_out_stats(l->media, &out);
	sl_rtc_get_estimate(l->rtc, &e);
	s->packets_in = in.packets;
	s->bytes_in = in.bytes;
	s->packets_out = out.packets;
	s->bytes_out = out.bytes;
	s->lost_in = in.lost;
	s->jitter_in_us = in.jitter_us;
	s->lost_out = (uint32_t)out.lost;
	s->jitter_out_us = out.jitter_us;
	s->rtt_us = e.rtt_us;
}

static unsigned permille(uint64_t part, uint64_t all)
{
	return all == 0 ? 0 : (unsigned)(part * 1000 / all);
}

static void estimate(struct leg_stats *s)
{
	unsigned way_ms = s->rtt_us / 2000;

	if (s->packets_in > 0)
		s->mos_in = (uint16_t)sl_mos_estimate(
			s->codec_in, permille(s->lost_in + s->late_in, s->packets_in + s->lost_in),
			way_ms + s->delay_ms);
	if (s->packets_out > 0)
		s->mos_out = (uint16_t)sl_mos_estimate(s->codec_out,
						       permille(s->lost_out, s->packets_out),
						       way_ms + s->jitter_out_us / 500);
}

void leg_get_stats(const struct leg *l, struct leg_stats *ret_stats)
{
	struct leg_stats s = {.codec_in = l->codec_in,
			      .codec_out = l->out.codec,
			      .transcoded = l->out.encoded,
			      .one_way = is_one_way(l),
			      .last_in_ms = l->heard_ns / SL_NS_PER_MS};
	struct sl_audio_source_stats source;

	if (l->line)
		of_line(l, &s);
	else
		of_rtc(l, &s);
	if (l->source) {
		sl_audio_source_get_stats(l->source, &source);
		s.late_in = source.late;
		s.concealed_ms = source.concealed_ms;
		s.delay_ms = source.delay_ms;
	}
	estimate(&s);
	*ret_stats = s;
}

static void put_number(struct sl_buf *out, const char *name, uint64_t v)
{
	sl_buf_printf(out, ",\"%s\":%llu", name, (unsigned long long)v);
}

static void put_codec(struct sl_buf *out, const char *name, enum sl_codec_id codec)
{
	sl_buf_printf(out, "\"%s\":\"%s\"", name, codec ? sl_codec_name(codec) : "");
}

static void put_mos(struct sl_buf *out, const char *name, unsigned mos)
{
	if (mos > 0)
		sl_buf_printf(out, ",\"%s\":%u.%02u", name, mos / 100, mos % 100);
}

/* ---- video */

static void of_video(const struct leg_video *v, struct leg_stats *s)
{
	struct sl_rtc_stream_stats in = {0}, out = {0};
	struct sl_line_stats line = {0};

	if (v->line) {
		sl_line_get_stats(v->line, &line);
		s->packets_in = line.packets_in;
		s->bytes_in = line.bytes_in;
		s->packets_out = line.packets_out;
		s->bytes_out = line.bytes_out;
		s->lost_in = line.lost_in;
		s->lost_out = line.lost_out;
		s->jitter_in_us = line.jitter_in_us;
	} else if (v->media) {
		sl_rtc_in_stats(v->media, 0, &in);
		sl_rtc_out_stats(v->media, &out);
		s->packets_in = in.packets;
		s->bytes_in = in.bytes;
		s->packets_out = out.packets;
		s->bytes_out = out.bytes;
		s->lost_in = in.lost;
		s->lost_out = (uint32_t)out.lost;
		s->jitter_in_us = in.jitter_us;
	}
}

static void put_video(struct sl_buf *out, const struct leg_video *v)
{
	struct leg_stats s = {0};

	of_video(v, &s);
	sl_buf_str(out, SL_STR(",\"video\":{"));
	put_codec(out, "codec_in", v->codec_in);
	sl_buf_str(out, SL_STR(","));
	put_codec(out, "codec_out", v->out_stream.codec);
	put_number(out, "packets_in", s.packets_in);
	put_number(out, "bytes_in", s.bytes_in);
	put_number(out, "packets_out", s.packets_out);
	put_number(out, "bytes_out", s.bytes_out);
	put_number(out, "lost_in", s.lost_in);
	put_number(out, "lost_out", s.lost_out);
	put_number(out, "jitter_in_us", s.jitter_in_us);
	put_number(out, "repeated", v->n_repeated); /* to it */
	put_number(out, "key_frames_wanted", v->n_asked_in); /* by it */
	put_number(out, "key_frames_asked", v->n_asked_out); /* of it */
	sl_buf_str(out, SL_STR("}"));
}

void leg_stats_json(const struct leg *l, struct sl_buf *out)
{
	struct leg_stats s;

	leg_get_stats(l, &s);
	sl_buf_str(out, SL_STR("{"));
	put_codec(out, "codec_in", s.codec_in);
	sl_buf_str(out, SL_STR(","));
	put_codec(out, "codec_out", s.codec_out);
	sl_buf_printf(out, ",\"transcoded\":%s,\"one_way\":%s", s.transcoded ? "true" : "false",
		      s.one_way ? "true" : "false");
	put_number(out, "packets_in", s.packets_in);
	put_number(out, "bytes_in", s.bytes_in);
	put_number(out, "packets_out", s.packets_out);
	put_number(out, "bytes_out", s.bytes_out);
	put_number(out, "lost_in", s.lost_in);
	put_number(out, "late_in", s.late_in);
	put_number(out, "concealed_ms", s.concealed_ms);
	put_number(out, "jitter_in_us", s.jitter_in_us);
	put_number(out, "delay_ms", s.delay_ms);
	put_number(out, "lost_out", s.lost_out);
	put_number(out, "jitter_out_us", s.jitter_out_us);
	put_number(out, "rtt_us", s.rtt_us);
	put_mos(out, "mos_in", s.mos_in);
	put_mos(out, "mos_out", s.mos_out);
	put_number(out, "strangers", s.strangers);
	if (l->video && l->video->version > 0)
		put_video(out, l->video);
	sl_buf_str(out, SL_STR("}"));
}
