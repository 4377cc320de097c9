/*
 * proto/rtcp_fb.c: reading feedback messages: NACK and PLI (RFC 4585 section 6), FIR, TMMBR and
 * TMMBN (RFC 5104 sections 4.3.1, 4.2.1, 4.2.2), REMB (draft-alvestrand-rmcat-remb-03).
 *
 * All share a header of twelve bytes: type, who speaks, about which stream; items follow it. A PLI
 * has no items and is told by type and format alone. Transport-wide feedback has its own reader
 * beside the bandwidth estimator.
 */
#include <sluice/rtcp.h>

enum {
	ITEMS_AT = 12,
	NACK_BYTES = 4,
	FIR_BYTES = 8,
	TMMB_BYTES = 8,
	REMB_BYTES = 8, /* name, number of SSRCs, exponent and mantissa */
	REMB_NAME = 0x52454d42,
};

int sl_rtcp_read_feedback(const struct sl_rtcp_block *b, uint32_t *ret_sender, uint32_t *ret_media)
{
	if ((b->type != SL_RTCP_RTPFB && b->type != SL_RTCP_PSFB) || b->len < ITEMS_AT)
		return -SL_EPARSE;
	*ret_sender = sl_get32(b->data + 4);
	*ret_media = sl_get32(b->data + 8);
	return 0;
}

unsigned sl_rtcp_read_nack(const struct sl_rtcp_block *b, uint16_t *ret_seqs, unsigned max)
{
	unsigned n = 0;

	if (b->type != SL_RTCP_RTPFB || b->count != SL_RTCP_NACK)
		return 0;
	for (size_t at = ITEMS_AT; at + NACK_BYTES <= b->len && n < max; at += NACK_BYTES) {
		uint16_t seq = sl_get16(b->data + at);

		ret_seqs[n++] = seq;
		for (unsigned blp = sl_get16(b->data + at + 2); blp && n < max; blp >>= 1) {
			seq++;
			if (blp & 1)
				ret_seqs[n++] = seq;
		}
	}
	return n;
}

int sl_rtcp_read_fir(const struct sl_rtcp_block *b, unsigned i, uint32_t *ret_ssrc,
		     uint8_t *ret_seq)
{
	size_t at = ITEMS_AT + (size_t)i * FIR_BYTES;

	if (b->type != SL_RTCP_PSFB || b->count != SL_RTCP_FIR)
		return -SL_EPARSE;
	if (at + FIR_BYTES > b->len)
		return -SL_ENOENT;
	*ret_ssrc = sl_get32(b->data + at);
	*ret_seq = b->data[at + 4];
	return 0;
}

/* A peer may write an exponent that no rate needs: what does not fit is the largest rate. bits: of
 * the mantissa */
static uint64_t rate(uint64_t mantissa, unsigned exponent, unsigned bits)
{
	if (mantissa == 0)
		return 0;
	if (exponent > 64 - bits)
		return UINT64_MAX;
	return mantissa << exponent;
}

/* Six bits of exponent, 17 of mantissa, nine of overhead (RFC 5104 section 4.2.1.1) */
int sl_rtcp_read_tmmb(const struct sl_rtcp_block *b, unsigned i, uint32_t *ret_ssrc,
		      uint64_t *ret_bps)
{
	size_t at = ITEMS_AT + (size_t)i * TMMB_BYTES;
	uint32_t word;

	if (b->type != SL_RTCP_RTPFB || (b->count != SL_RTCP_TMMBR && b->count != SL_RTCP_TMMBN))
		return -SL_EPARSE;
	if (at + TMMB_BYTES > b->len)
		return -SL_ENOENT;
	word = sl_get32(b->data + at + 4);
	*ret_ssrc = sl_get32(b->data + at);
	*ret_bps = rate(word >> 9 & 0x1ffff, word >> 26, 17);
	return 0;
}

int sl_rtcp_read_remb(const struct sl_rtcp_block *b, uint64_t *ret_bps)
{
	uint32_t word;

	if (b->type != SL_RTCP_PSFB || b->count != SL_RTCP_AFB)
		return -SL_ENOENT;
	if (b->len < ITEMS_AT + REMB_BYTES || sl_get32(b->data + ITEMS_AT) != REMB_NAME)
		return -SL_ENOENT;
	if (ITEMS_AT + REMB_BYTES + 4 * (size_t)b->data[ITEMS_AT + 4] > b->len)
		return -SL_EPARSE;
	word = sl_get32(b->data + ITEMS_AT + 4);
	*ret_bps = rate(word & 0x3ffff, word >> 18 & 0x3f, 18);
	return 0;
}
