/*
 * session/rtc_seal.c: one packet to the peer as it goes on the wire: its header written, its
 * payload sealed.
 *
 * A packet for many receivers stays one plain packet: each receiver's copy is made by its own
 * sealing, straight from the plain payload, unless a payload descriptor is written anew. Header
 * extensions are numbered as this receiver's section has agreed, and only those it knows are sent.
 */
#include "session/rtc_impl.h"

enum {
	CSRC_BYTES = 4,
	MAX_CSRCS = 15 * CSRC_BYTES,
	MAX_EXT = 96 + SL_RTP_MAX_DD, /* bytes of a header's extension block */
};

/* ---- headers */

/* Seconds in 6.18 fixed point, 24 bits. */
static void put_send_time(struct sl_rtp_ext_writer *w, uint8_t id, uint64_t now_ns)
{
	uint64_t ticks = ((now_ns / SL_NS_PER_MS) << 18) / 1000;
	uint8_t value[3] = {(uint8_t)(ticks >> 16), (uint8_t)(ticks >> 8), (uint8_t)ticks};

	sl_rtp_ext_put(w, id, value, sizeof value);
}

static void pass_through(struct sl_rtp_ext_writer *w, const struct sl_rtp_ext_map *map,
			 const struct sl_rtp_out *out)
{
	static const uint8_t passed[] = {SL_RTP_EXT_AUDIO_LEVEL, SL_RTP_EXT_CSRC_AUDIO_LEVEL,
					 SL_RTP_EXT_VIDEO_ORIENTATION, SL_RTP_EXT_PLAYOUT_DELAY,
					 SL_RTP_EXT_ABS_CAPTURE_TIME};
	uint8_t dd = map->id[SL_RTP_EXT_DEPENDENCY_DESCRIPTOR], descriptor[SL_RTP_MAX_DD];
	struct sl_str v;

	for (unsigned i = 0; out->src && i < sizeof passed; i++) {
		v = sl_rtp_ext_value(out->src, passed[i]);
		if (v.p && map->id[passed[i]])
			sl_rtp_ext_put(w, map->id[passed[i]], v.p, v.len);
	}
	if (dd) {
		size_t len = sl_rtp_out_dd(out, descriptor);

		if (len > 0)
			sl_rtp_ext_put(w, dd, descriptor, len);
	}
}

/* Length of the extension block at dst; 0: none. */
static size_t put_extensions(const struct sl_rtc_media *m, const struct sl_rtp_out *out,
			     uint8_t *dst)
{
	const struct sl_rtp_ext_map *map = &m->j->ext_out;
	struct sl_rtp_ext_writer w;
	uint8_t seq[2];
	int len;

	sl_rtp_ext_begin(&w, dst, MAX_EXT);
	if (map->id[SL_RTP_EXT_TWCC]) {
		sl_put16(seq, m->c->twcc_seq);
		sl_rtp_ext_put(&w, map->id[SL_RTP_EXT_TWCC], seq, sizeof seq);
	}
	if (map->id[SL_RTP_EXT_ABS_SEND_TIME])
		put_send_time(&w, map->id[SL_RTP_EXT_ABS_SEND_TIME], rtc_now_ns(m->c));
	if (map->id[SL_RTP_EXT_MID])
		sl_rtp_ext_put(&w, map->id[SL_RTP_EXT_MID], m->j->mid, strlen(m->j->mid));
	pass_through(&w, map, out);
	len = sl_rtp_ext_end(&w);
	return len > 0 ? (size_t)len : 0;
}

/* Who is in a mix is said on as it came (RFC 3550 section 7.1: we mix nothing). */
static size_t put_csrcs(const struct sl_rtp_out *out, uint8_t *dst)
{
	size_t bytes = out->src ? (size_t)CSRC_BYTES * out->src->n_csrcs : 0;

	if (bytes > 0)
		memcpy(dst, out->src->data + SL_RTP_HEADER, bytes);
	return bytes;
}

static size_t put_header(const struct sl_rtc_media *m, const struct sl_rtp_out *out,
			 const struct rtc_shape *shape, bool padding, uint8_t *dst)
{
	size_t csrcs = put_csrcs(out, dst + SL_RTP_HEADER);
	size_t ext = put_extensions(m, out, dst + SL_RTP_HEADER + csrcs);

	dst[0] = (uint8_t)(0x80 | (ext > 0 ? 0x10 : 0) | (padding ? 0x20 : 0) | csrcs / CSRC_BYTES);
	dst[1] = (uint8_t)((out->marker ? 0x80 : 0) | shape->pt);
	sl_put16(dst + 2, shape->seq);
	sl_put32(dst + 4, out->ts);
	sl_put32(dst + 8, shape->ssrc);
	return SL_RTP_HEADER + csrcs + ext;
}

/* ---- bodies */

/* A descriptor written anew is the old one as long as nothing has been left out for this peer. */
static bool is_as_it_was(const struct sl_rtp_out *out)
{
	return out->patch_len == out->cut && out->src->payload_len >= out->cut &&
	       memcmp(out->patch, sl_rtp_payload(out->src), out->cut) == 0;
}

/* The payload where sealing reads it: the source itself, or put together at dst. */
static const uint8_t *put_payload(const struct sl_rtp_out *out, bool rtx, uint8_t *dst,
				  size_t *ret_len)
{
	const uint8_t *from = sl_rtp_payload(out->src) + out->cut;
	size_t len = (size_t)out->src->payload_len - out->cut, at = 0;

	*ret_len = len + out->patch_len + (rtx ? 2 : 0);
	if (!rtx && is_as_it_was(out))
		return from - out->cut;
	if (rtx) {
		sl_put16(dst, out->seq);
		at = 2;
	}
	memcpy(dst + at, out->patch, out->patch_len);
	memcpy(dst + at + out->patch_len, from, len);
	return dst;
}

static const uint8_t *put_padding(uint8_t *dst, size_t *ret_len)
{
	memset(dst, 0, RTC_PADDING_BYTES);
	dst[RTC_PADDING_BYTES - 1] = RTC_PADDING_BYTES;
	*ret_len = RTC_PADDING_BYTES;
	return dst;
}

static bool fits(const struct sl_rtp_out *out)
{
	return !out->src || (out->cut <= out->src->payload_len &&
			     (size_t)out->src->payload_len + out->patch_len + 2 + SL_RTP_HEADER +
					     MAX_CSRCS + MAX_EXT + SRTP_MAX_OVERHEAD <=
				     SL_PACKET_MAX + SL_PACKET_TAILROOM);
}

struct sl_packet *rtc_seal(struct sl_rtc_media *m, const struct sl_rtp_out *out,
			   const struct rtc_shape *shape)
{
	struct sl_rtc *c = m->c;
	struct sl_packet *p = fits(out) ? sl_packet_new(c->host->w) : NULL;
	const uint8_t *payload;
	size_t header, len;
	int whole;

	if (!p)
		return NULL;
	header = put_header(m, out, shape, !out->src, p->data);
	payload = out->src ? put_payload(out, shape->rtx, p->data + header, &len)
			   : put_padding(p->data + header, &len);
	whole = srtp_seal_rtp(c->out, shape->rtx ? &m->out.rtx_stream : &m->out.stream, p->data,
			      header, payload, len);
	if (whole < 0) {
		sl_packet_unref(p);
		return NULL;
	}
	p->len = (uint32_t)whole;
	return p;
}
