/*
 * base/siphash.c: SipHash (Aumasson, Bernstein 2012), 64-bit output.
 *
 * 2-4 for values that live long or leave the process, 1-3 for tables. The process key is set once
 * at start; until then a fixed key is used, which is correct but lets an attacker who reads this
 * file choose collisions.
 */
#include <sluice/hash.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

/* Bytes 0..15: for processes that never call sl_hash_seed(), tests among them. */
static uint8_t process_key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static inline uint64_t rotl(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* Little-endian, whatever the machine; compilers make one load of it. */
static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

static inline void rounds(struct state *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotl(s->v1, 13) ^ s->v0;
		s->v3 = rotl(s->v3, 16) ^ s->v2;
		s->v0 = rotl(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotl(s->v1, 17) ^ s->v2;
		s->v3 = rotl(s->v3, 21) ^ s->v0;
		s->v2 = rotl(s->v2, 32);
	}
}

static inline void absorb(struct state *s, uint64_t word, unsigned n_rounds)
{
	s->v3 ^= word;
	rounds(s, n_rounds);
	s->v0 ^= word;
}

/* The last word: the bytes left over, and the length in the top byte. */
static inline uint64_t last_word(const uint8_t *p, size_t left, size_t n)
{
	uint64_t word = (uint64_t)n << 56;

	for (size_t i = 0; i < left; i++)
		word |= (uint64_t)p[i] << 8 * i;
	return word;
}

/* c rounds per word and d at the end, constant where it is inlined, so that the loops unroll. */
static inline uint64_t siphash(const uint8_t key[16], struct sl_str in, unsigned c, unsigned d)
{
	const uint8_t *p = (const uint8_t *)in.p;
	uint64_t k0 = load64(key), k1 = load64(key + 8);
	struct state s = {
		.v0 = k0 ^ 0x736f6d6570736575,
		.v1 = k1 ^ 0x646f72616e646f6d,
		.v2 = k0 ^ 0x6c7967656e657261,
		.v3 = k1 ^ 0x7465646279746573,
	};
	size_t left = in.len;

	for (; left >= 8; left -= 8, p += 8)
		absorb(&s, load64(p), c);
	absorb(&s, last_word(p, left, in.len), c);
	s.v2 ^= 0xff;
	rounds(&s, d);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t sl_siphash24(const uint8_t key[16], const void *data, size_t n)
{
	return siphash(key, (struct sl_str){data, n}, 2, 4);
}

uint64_t sl_siphash13(const uint8_t key[16], const void *data, size_t n)
{
	return siphash(key, (struct sl_str){data, n}, 1, 3);
}

void sl_hash_seed(const uint8_t key[16])
{
	memcpy(process_key, key, sizeof process_key);
}

uint64_t sl_hash(const void *data, size_t n)
{
	return sl_siphash13(process_key, data, n);
}
