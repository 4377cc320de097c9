/*
 * recorder/depacket_nal.c: NAL units of H.264 (RFC 6184 section 5.6 to 5.8) and H.265 (RFC 7798
 * section 4.4) out of single, aggregated and fragmented packets, each behind a start code.
 */
#include "depacket.h"

enum { STAP_A = 24, FU_A = 28, AGGREGATE = 48, FRAGMENT = 49, FU_START = 0x80, FU_END = 0x40 };

static const uint8_t start_code[4] = {0, 0, 0, 1};

static void put_unit(struct depacket *d, struct sl_str unit)
{
	sl_buf_add(&d->data, start_code, sizeof start_code);
	sl_buf_str(&d->data, unit);
}

static int put_aggregate(struct depacket *d, struct sl_str payload, size_t header)
{
	struct sl_reader r = sl_reader(payload.p + header, payload.len - header);

	while (r.p < r.end) {
		struct sl_str unit = sl_read_bytes(&r, sl_read_u16(&r));

		if (r.failed || unit.len == 0)
			return -SL_EPARSE;
		put_unit(d, unit);
	}
	return 0;
}

/* fu: its header byte; header: the whole unit's, header_len bytes; rest: what is behind fu */
static int put_fragment(struct depacket *d, uint8_t fu, const uint8_t *header, size_t header_len,
			struct sl_str rest)
{
	bool starts = fu & FU_START;

	if (starts == d->in_unit)
		return -SL_EPARSE;
	if (starts) {
		sl_buf_add(&d->data, start_code, sizeof start_code);
		sl_buf_add(&d->data, header, header_len);
	}
	sl_buf_str(&d->data, rest);
	d->in_unit = !(fu & FU_END);
	return 0;
}

static const uint8_t *find_start(const uint8_t *p, const uint8_t *end)
{
	for (; end - p > (ptrdiff_t)sizeof start_code; p++)
		if (memcmp(p, start_code, sizeof start_code) == 0)
			return p;
	return NULL;
}

/* A slice stands behind few bytes of other units, if any. */
bool depacket_is_preface(enum sl_codec_id codec, struct sl_str data)
{
	const uint8_t *p = (const uint8_t *)data.p, *end = p + data.len;

	if (codec != SL_CODEC_H264 && codec != SL_CODEC_H265)
		return false;
	for (p = find_start(p, end); p; p = find_start(p + 1, end)) {
		uint8_t header = p[sizeof start_code];

		if (codec == SL_CODEC_H264 ? (header & 0x1f) >= 1 && (header & 0x1f) <= 5
					   : (header >> 1 & 0x3f) < 32)
			return false;
	}
	return true;
}

int depacket_h264(struct depacket *d, struct sl_str payload)
{
	const uint8_t *p = (const uint8_t *)payload.p;
	uint8_t type = p[0] & 0x1f, header;

	if (type == FU_A) {
		if (payload.len < 3)
			return -SL_EPARSE;
		header = (uint8_t)((p[0] & 0xe0) | (p[1] & 0x1f));
		return put_fragment(d, p[1], &header, 1,
				    (struct sl_str){payload.p + 2, payload.len - 2});
	}
	if (d->in_unit)
		return -SL_EPARSE;
	if (type == STAP_A)
		return put_aggregate(d, payload, 1);
	if (type == 0 || type > STAP_A)
		return -SL_EPARSE;
	put_unit(d, payload);
	return 0;
}

int depacket_h265(struct depacket *d, struct sl_str payload)
{
	const uint8_t *p = (const uint8_t *)payload.p;
	uint8_t type, header[2];

	if (payload.len < 4)
		return -SL_EPARSE;
	type = p[0] >> 1 & 0x3f;
	if (type == FRAGMENT) {
		header[0] = (uint8_t)((p[0] & 0x81) | (p[2] & 0x3f) << 1);
		header[1] = p[1];
		return put_fragment(d, p[2], header, 2,
				    (struct sl_str){payload.p + 3, payload.len - 3});
	}
	if (d->in_unit || type > FRAGMENT)
		return -SL_EPARSE;
	if (type == AGGREGATE)
		return put_aggregate(d, payload, 2);
	put_unit(d, payload);
	return 0;
}
