/*
 * proto/bits.h: reading packet bytes bit by bit, most significant first.
 *
 * A read past the end gives zero and sets `failed`, so that a sequence of reads needs one check at
 * its end. Loops over counts from the packet must look at `failed` themselves.
 */
#ifndef PROTO_BITS_H
#define PROTO_BITS_H

#include <sluice/err.h>

struct bits {
	const uint8_t *p;
	size_t at, end; /* in bits */
	bool failed;
};

static inline struct bits bits_of(const void *p, size_t bytes)
{
	return (struct bits){.p = p, .end = 8 * bytes};
}

/* n: 0..32 */
static inline uint32_t bits_read(struct bits *b, unsigned n)
{
	uint64_t v = 0;

	if (b->failed || n > b->end - b->at) {
		b->failed = true;
		return 0;
	}
	for (unsigned got = 0; got < n;) {
		unsigned in_byte = b->at % 8, take = 8 - in_byte < n - got ? 8 - in_byte : n - got;
		unsigned byte = b->p[b->at / 8] & (0xffu >> in_byte);

		v = v << take | byte >> (8 - in_byte - take);
		b->at += take;
		got += take;
	}
	return (uint32_t)v;
}

static inline bool bits_flag(struct bits *b)
{
	return bits_read(b, 1) != 0;
}

/* ns(n) of the AV1 specification section 4.10.7: a value below n, n > 0 */
static inline uint32_t bits_below(struct bits *b, uint32_t n)
{
	unsigned w = 0;
	uint32_t m, v;

	while (n >> w > 0)
		w++;
	m = (UINT32_C(1) << w) - n;
	v = bits_read(b, w - 1);
	return v < m ? v : (v << 1) - m + bits_read(b, 1);
}

/* ue(v) of H.264 section 9.1; more than 31 leading zeros are a failure */
static inline uint32_t bits_golomb(struct bits *b)
{
	unsigned zeros = 0;

	while (!b->failed && !bits_flag(b))
		if (++zeros > 31)
			b->failed = true;
	return b->failed ? 0 : ((UINT32_C(1) << zeros) - 1) + bits_read(b, zeros);
}

static inline int32_t bits_golomb_signed(struct bits *b)
{
	uint32_t k = bits_golomb(b);

	return k & 1 ? (int32_t)(k / 2 + 1) : -(int32_t)(k / 2);
}

#endif
