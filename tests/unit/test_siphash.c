/*
 * test_siphash.c: SipHash against the values of its reference implementation.
 */
#include "../lib/test.h"

#include <sluice/hash.h>

static const uint8_t key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* Input: the bytes 0, 1, 2 ... of the row's length. */
TEST(siphash_2_4_gives_the_reference_values)
{
	static const struct {
		size_t n;
		uint64_t hash;
	} rows[] = {
		{0, 0x726fdb47dd0e0e31},  {1, 0x74f839c593dc67fd},  {7, 0xab0200f58b01d137},
		{8, 0x93f5f5799a932462},  {15, 0xa129ca6149be45e5}, /* the example of the paper */
		{63, 0x958a324ceb064572},
	};
	uint8_t in[64];

	for (size_t i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)i;
	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++)
		CHECK(sl_siphash24(key, in, rows[i].n) == rows[i].hash);
}

TEST(the_process_key_is_known_until_it_is_set)
{
	uint8_t other[16] = {[15] = 9};
	uint64_t before = sl_hash("flow", 4);

	CHECK(before == sl_siphash13(key, "flow", 4));
	sl_hash_seed(other);
	CHECK(sl_hash("flow", 4) == sl_siphash13(other, "flow", 4));
	CHECK(sl_hash("flow", 4) != before);
	sl_hash_seed(key);
}

TEST(every_bit_of_input_matters)
{
	uint8_t in[17] = {0};
	uint64_t plain = sl_siphash13(key, in, sizeof in);

	for (size_t bit = 0; bit < sizeof in * 8; bit++) {
		in[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(sl_siphash13(key, in, sizeof in) != plain);
		in[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CHECK(sl_siphash13(key, in, 16) != plain);
}

TEST_MAIN()
