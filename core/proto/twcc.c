/*
 * proto/twcc.c: reads transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01
 * section 3.1).
 *
 * After the header of 20 bytes come chunks of 16 bits that give each number a symbol (not received,
 * small delta of one byte, large or negative delta of two), then the deltas of those received. A
 * chunk is a run of one symbol, or a vector of 14 one-bit or 7 two-bit symbols. The symbol 3 is
 * reserved and refused: nobody could tell how long its delta is.
 */
#include "proto/twcc.h"

static bool is_vector(uint16_t chunk)
{
	return chunk & 0x8000;
}

static bool is_two_bit(uint16_t chunk)
{
	return chunk & 0x4000;
}

static unsigned chunk_len(uint16_t chunk)
{
	if (!is_vector(chunk))
		return chunk & TWCC_RUN_MAX;
	return is_two_bit(chunk) ? 7 : 14;
}

/* The symbol that has `left` symbols of its chunk from itself on. */
static unsigned chunk_symbol(uint16_t chunk, unsigned left)
{
	if (!is_vector(chunk))
		return chunk >> 13 & 3;
	return is_two_bit(chunk) ? chunk >> 2 * (left - 1) & 3 : chunk >> (left - 1) & 1;
}

/* The next symbol; empty runs are passed over. False: the chunks are at their end. */
static bool next_symbol(const struct twcc_feedback *fb, struct twcc_walk *w, unsigned *ret_symbol)
{
	while (w->left == 0) {
		const uint8_t *p = fb->chunks + w->chunk_at;

		if (fb->end - p < 2)
			return false;
		w->chunk = sl_get16(p);
		w->left = (uint16_t)chunk_len(w->chunk);
		w->chunk_at += 2;
	}
	*ret_symbol = chunk_symbol(w->chunk, w->left);
	w->left--;
	return true;
}

/* Bytes of deltas that n symbols of a chunk have; -SL_EPARSE */
static int chunk_need(uint16_t chunk, unsigned n)
{
	int need = 0;

	if (!is_vector(chunk))
		return (chunk >> 13 & 3) == 3 ? -SL_EPARSE : (int)((chunk >> 13 & 3) * n);
	for (unsigned i = 0; i < n; i++) {
		unsigned symbol = chunk_symbol(chunk, chunk_len(chunk) - i);

		if (symbol == 3)
			return -SL_EPARSE;
		need += (int)symbol;
	}
	return need;
}

/* Where the deltas begin; -SL_EPARSE unless all of them are there */
static int measure(struct twcc_feedback *fb)
{
	const uint8_t *p = fb->chunks;
	size_t need = 0;

	for (unsigned left = fb->count; left > 0; p += 2) {
		unsigned n;
		int bytes;

		if (fb->end - p < 2)
			return -SL_EPARSE;
		n = chunk_len(sl_get16(p));
		n = n < left ? n : left;
		bytes = chunk_need(sl_get16(p), n);
		if (bytes < 0)
			return bytes;
		need += (size_t)bytes;
		left -= n;
	}
	fb->deltas = p;
	return (size_t)(fb->end - p) < need ? -SL_EPARSE : 0;
}

int twcc_parse(struct twcc_feedback *ret_fb, const struct sl_rtcp_block *block)
{
	const uint8_t *p = block->data;
	struct twcc_feedback fb;
	int err;

	if (block->type != SL_RTCP_RTPFB || block->count != SL_RTCP_TWCC ||
	    block->len < TWCC_HEADER)
		return -SL_EPARSE;
	fb = (struct twcc_feedback){.base = sl_get16(p + 12),
				    .count = sl_get16(p + 14),
				    .reference = sl_get32(p + 16) >> 8,
				    .number = p[19],
				    .chunks = p + TWCC_HEADER,
				    .end = p + block->len};
	err = fb.count > TWCC_MAX_STATUSES ? -SL_EPARSE : measure(&fb);
	if (err < 0)
		return err;
	*ret_fb = fb;
	return 0;
}

bool twcc_next(const struct twcc_feedback *fb, struct twcc_walk *w)
{
	const uint8_t *p = fb->deltas + w->delta_at;
	unsigned symbol;

	if (w->i == fb->count || !next_symbol(fb, w, &symbol))
		return false;
	w->i++;
	w->received = symbol != 0;
	w->ticks += symbol == 1 ? p[0] : symbol == 2 ? (int16_t)sl_get16(p) : 0;
	w->delta_at += symbol;
	return true;
}
