/*
 * proto/rtp.c: reading RTP packets (RFC 3550 section 5.1), names of codecs, unwrapped numbers.
 *
 * sl_rtp_parse checks header, CSRC list, extension block and padding once; the view that it gives
 * can be read without further checks. What lies inside the extension block is the business of
 * rtp_ext.c. Called for every media packet, so it touches the header and, where there is padding,
 * the last byte.
 */
#include <sluice/rtp.h>

enum {
	VERSION = 2,
	PADDING_BIT = 0x20,
	EXTENSION_BIT = 0x10,
	EXT_HEADER = 4,
	ONE_BYTE_PROFILE = 0xbede, /* RFC 8285 section 4.2 */
	TWO_BYTE_PROFILE = 0x1000, /* section 4.3; the low four bits are the application's */
};

/* The extension block at *at, past which *at moves. Blocks of other profiles are skipped. */
static int read_ext_block(struct sl_rtp *r, size_t *at)
{
	uint16_t profile;
	size_t bytes;

	if (r->len - *at < EXT_HEADER)
		return -SL_EPARSE;
	profile = sl_get16(r->data + *at);
	bytes = 4 * (size_t)sl_get16(r->data + *at + 2);
	*at += EXT_HEADER;
	if (r->len - *at < bytes)
		return -SL_EPARSE;
	r->ext_two_byte = (profile & 0xfff0) == TWO_BYTE_PROFILE;
	if (bytes > 0 && (r->ext_two_byte || profile == ONE_BYTE_PROFILE)) {
		r->ext_at = (uint16_t)*at;
		r->ext_len = (uint16_t)bytes;
	}
	*at += bytes;
	return 0;
}

/* The last byte counts the padding, itself included; it must leave the header whole. */
static int read_padding(struct sl_rtp *r, size_t at)
{
	if (!(r->data[0] & PADDING_BIT))
		return 0;
	if (r->len == at)
		return -SL_EPARSE;
	r->padding = r->data[r->len - 1];
	return r->padding > 0 && r->padding <= r->len - at ? 0 : -SL_EPARSE;
}

int sl_rtp_parse(struct sl_rtp *ret_rtp, const void *data, size_t len)
{
	const uint8_t *p = data;
	struct sl_rtp r;
	size_t at;

	if (len < SL_RTP_HEADER || len > UINT16_MAX || p[0] >> 6 != VERSION)
		return -SL_EPARSE;
	r = (struct sl_rtp){
		.packet = ret_rtp->packet,
		.data = p,
		.len = (uint32_t)len,
		.n_csrcs = p[0] & 15,
		.marker = p[1] >> 7,
		.pt = p[1] & 0x7f,
		.seq = sl_get16(p + 2),
		.ts = sl_get32(p + 4),
		.ssrc = sl_get32(p + 8),
	};
	at = SL_RTP_HEADER + 4 * (size_t)r.n_csrcs;
	if (at > len)
		return -SL_EPARSE;
	if ((p[0] & EXTENSION_BIT) && read_ext_block(&r, &at) < 0)
		return -SL_EPARSE;
	if (read_padding(&r, at) < 0)
		return -SL_EPARSE;
	r.payload_at = (uint16_t)at;
	r.payload_len = (uint16_t)(len - at - r.padding);
	*ret_rtp = r;
	return 0;
}

/* ---- codecs */

static const struct {
	struct sl_str name;
	enum sl_media_kind kind;
} codecs[SL_N_CODECS] = {
#define X(id, text, media) [SL_CODEC_##id] = {SL_STR_INIT(text), SL_MEDIA_##media},
	SL_CODECS(X)
#undef X
};

const char *sl_codec_name(unsigned id)
{
	return id < SL_N_CODECS && codecs[id].name.p ? codecs[id].name.p : "unknown";
}

enum sl_codec_id sl_codec_by_name(struct sl_str name)
{
	for (unsigned i = SL_CODEC_NONE + 1; i < SL_N_CODECS; i++)
		if (sl_str_eq_nocase(codecs[i].name, name))
			return (enum sl_codec_id)i;
	return SL_CODEC_NONE;
}

enum sl_media_kind sl_codec_kind(unsigned id)
{
	return id < SL_N_CODECS ? codecs[id].kind : SL_MEDIA_DATA;
}

/* ---- unwrapped numbers */

/* first: a start that leaves half a range below, for what came earlier. delta: signed distance of
 * the low bits from those of last. */
static uint64_t unwrap(struct sl_unwrap *u, uint64_t first, int64_t delta)
{
	uint64_t value;

	if (!u->started) {
		u->started = true;
		u->last = first;
		return first;
	}
	value = u->last + (uint64_t)delta;
	if (delta > 0)
		u->last = value;
	return value;
}

uint64_t sl_unwrap16(struct sl_unwrap *u, uint16_t v)
{
	return unwrap(u, (UINT64_C(1) << 16) + v, (int16_t)(uint16_t)(v - (uint16_t)u->last));
}

uint64_t sl_unwrap32(struct sl_unwrap *u, uint32_t v)
{
	return unwrap(u, (UINT64_C(1) << 32) + v, (int32_t)(v - (uint32_t)u->last));
}

/* ---- packets to send */

int sl_rtp_out_payload(const struct sl_rtp_out *out, uint8_t *dst, size_t size)
{
	size_t len;

	if (!out->src)
		return 0;
	if (out->cut > out->src->payload_len)
		return -SL_EFULL;
	len = (size_t)out->src->payload_len - out->cut;
	if (len + out->patch_len > size)
		return -SL_EFULL;
	memcpy(dst, out->patch, out->patch_len);
	memcpy(dst + out->patch_len, sl_rtp_payload(out->src) + out->cut, len);
	return (int)(len + out->patch_len);
}
