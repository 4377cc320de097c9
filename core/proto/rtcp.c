/*
 * proto/rtcp.c: reading RTCP: compounds, sender and receiver reports, BYE, extended reports
 * (RFC 3550 section 6, RFC 5506, RFC 3611).
 *
 * sl_rtcp_check walks the compound once; afterwards every block is known to lie inside it. Counts
 * inside a block may still lie, so each reader measures its own item against the block's length.
 * Feedback is rtcp_fb.c, the writer rtcp_write.c.
 */
#include <sluice/rtcp.h>

enum {
	HEADER = 4,
	PADDING_BIT = 0x20,
	SENDER_INFO_END = 28,
	RR_REPORTS_AT = 8,
	REPORT_BYTES = 24,
	XR_BLOCKS_AT = 8,
	XR_RRTR = 4,
	XR_DLRR = 5,
	DLRR_ITEM_BYTES = 12,
};

/* Bytes of the packet at p by its header */
static size_t packet_bytes(const uint8_t *p)
{
	return 4 * ((size_t)sl_get16(p + 2) + 1);
}

/* A multiple of four by RFC 3550 section 6.4.1; browsers fill up transport-wide feedback by one to
 * three bytes. */
static bool padding_is_good(const uint8_t *p, size_t bytes)
{
	uint8_t padding = p[bytes - 1];

	if (!(p[0] & PADDING_BIT))
		return true;
	return padding > 0 && padding <= bytes - HEADER;
}

int sl_rtcp_check(const void *data, size_t len)
{
	const uint8_t *p = data;

	if (len == 0)
		return -SL_EPARSE;
	while (len > 0) {
		if (len < HEADER || p[0] >> 6 != 2 || packet_bytes(p) > len)
			return -SL_EPARSE;
		if (!padding_is_good(p, packet_bytes(p)))
			return -SL_EPARSE;
		len -= packet_bytes(p);
		p += packet_bytes(p);
	}
	return 0;
}

bool sl_rtcp_next(const void *data, size_t len, struct sl_rtcp_block *block)
{
	const uint8_t *end = (const uint8_t *)data + len;
	const uint8_t *p = block->data ? block->data + packet_bytes(block->data) : data;
	size_t bytes;

	if (p >= end)
		return false;
	bytes = packet_bytes(p);
	block->type = p[1];
	block->count = p[0] & 0x1f;
	block->data = p;
	block->len = (uint32_t)(p[0] & PADDING_BIT ? bytes - p[bytes - 1] : bytes);
	return true;
}

int sl_rtcp_read_sr(const struct sl_rtcp_block *b, struct sl_rtcp_sr *ret_sr)
{
	if (b->type != SL_RTCP_SR || b->len < SENDER_INFO_END)
		return -SL_EPARSE;
	*ret_sr = (struct sl_rtcp_sr){
		.ssrc = sl_get32(b->data + 4),
		.ntp = sl_get64(b->data + 8),
		.ts = sl_get32(b->data + 16),
		.packets = sl_get32(b->data + 20),
		.bytes = sl_get32(b->data + 24),
	};
	return 0;
}

/* Cumulative loss is 24 bits with a sign: duplicates may push it below zero. */
static int32_t signed24(uint32_t v)
{
	return (int32_t)(v << 8) >> 8;
}

int sl_rtcp_read_report(const struct sl_rtcp_block *b, unsigned i,
			struct sl_rtcp_report *ret_report)
{
	size_t at = b->type == SL_RTCP_SR ? SENDER_INFO_END : RR_REPORTS_AT;
	const uint8_t *p;

	if (b->type != SL_RTCP_SR && b->type != SL_RTCP_RR)
		return -SL_EPARSE;
	if (i >= b->count)
		return -SL_ENOENT;
	at += (size_t)i * REPORT_BYTES;
	if (at + REPORT_BYTES > b->len)
		return -SL_EPARSE;
	p = b->data + at;
	*ret_report = (struct sl_rtcp_report){
		.ssrc = sl_get32(p),
		.fraction_lost = p[4],
		.lost = signed24(sl_get32(p + 4)),
		.highest_seq = sl_get32(p + 8),
		.jitter = sl_get32(p + 12),
		.lsr = sl_get32(p + 16),
		.dlsr = sl_get32(p + 20),
	};
	return 0;
}

int sl_rtcp_read_bye(const struct sl_rtcp_block *b, unsigned i, uint32_t *ret_ssrc)
{
	size_t at = HEADER + 4 * (size_t)i;

	if (b->type != SL_RTCP_BYE)
		return -SL_EPARSE;
	if (i >= b->count)
		return -SL_ENOENT;
	if (at + 4 > b->len)
		return -SL_EPARSE;
	*ret_ssrc = sl_get32(b->data + at);
	return 0;
}

/* ---- extended reports */

/* The first report block of this type: its contents behind the header of four bytes. */
static bool find_xr(const struct sl_rtcp_block *b, uint8_t type, struct sl_str *ret_contents)
{
	size_t at = XR_BLOCKS_AT;

	while (b->type == SL_RTCP_XR && at + HEADER <= b->len) {
		const uint8_t *p = b->data + at;
		size_t bytes = packet_bytes(p);

		if (bytes > b->len - at)
			return false;
		if (p[0] == type) {
			*ret_contents = (struct sl_str){(const char *)p + HEADER, bytes - HEADER};
			return true;
		}
		at += bytes;
	}
	return false;
}

int sl_rtcp_read_xr_rrtr(const struct sl_rtcp_block *b, uint32_t *ret_ssrc, uint64_t *ret_ntp)
{
	struct sl_str contents;

	if (!find_xr(b, XR_RRTR, &contents))
		return -SL_ENOENT;
	if (contents.len < 8)
		return -SL_EPARSE;
	*ret_ssrc = sl_get32(b->data + HEADER);
	*ret_ntp = sl_get64(contents.p);
	return 0;
}

int sl_rtcp_read_xr_dlrr(const struct sl_rtcp_block *b, uint32_t ssrc, uint32_t *ret_lrr,
			 uint32_t *ret_dlrr)
{
	struct sl_str contents;

	if (!find_xr(b, XR_DLRR, &contents))
		return -SL_ENOENT;
	for (size_t at = 0; at + DLRR_ITEM_BYTES <= contents.len; at += DLRR_ITEM_BYTES) {
		if (sl_get32(contents.p + at) != ssrc)
			continue;
		*ret_lrr = sl_get32(contents.p + at + 4);
		*ret_dlrr = sl_get32(contents.p + at + 8);
		return 0;
	}
	return -SL_ENOENT;
}
