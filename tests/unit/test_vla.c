/* Video layers allocation: streams, layers, rates and sizes; what is cut or too long is refused. */
#include <sluice/vla.h>
#include "lib/test.h"

static int read(const void *p, size_t len, struct sl_vla *v)
{
	return sl_vla_read((struct sl_str){p, len}, v);
}

/* Stream 1 of three, a spatial layer each, of one, one and two temporal layers. */
static const uint8_t simulcast[] = {0x61, 0x04, 100, 0xac, 0x02, 0xe8, 0x07, 0x9c,
				    0x0c, 0,	159, 0,	   89,	 15,   1,    63,
				    0,	  179,	30,  2,	   127,	 1,    103,  60};

TEST(simulcast_says_rates_and_sizes_of_all_streams)
{
	struct sl_vla v;

	CHECK_INT(read(simulcast, sizeof simulcast, &v), 0);
	CHECK_INT(v.own, 1);
	CHECK_INT(v.n_streams, 3);
	CHECK(v.spatial[0] == 1 && v.spatial[1] == 1 && v.spatial[2] == 1);
	CHECK_INT(v.layers[0][0].kbps, 100);
	CHECK_INT(v.layers[1][0].kbps, 300);
	CHECK_INT(v.layers[2][0].n_temporal, 2);
	CHECK_INT(v.layers[2][0].kbps, 1564);
	CHECK(v.sized);
	CHECK_INT(v.layers[0][0].width, 160);
	CHECK_INT(v.layers[1][0].height, 180);
	CHECK_INT(v.layers[2][0].width, 640);
	CHECK_INT(v.layers[2][0].fps, 60);
}

TEST(sizes_may_be_left_out)
{
	struct sl_vla v;

	CHECK_INT(read(simulcast, 9, &v), 0);
	CHECK(!v.sized);
	CHECK_INT(v.layers[2][0].kbps, 1564);
	CHECK_INT(v.layers[2][0].width, 0);
}

TEST(streams_may_differ_in_their_layers)
{
	/* Two streams: the first with layers 0 and 2, the second with none */
	static const uint8_t mixed[] = {0x10, 0x50, 0x00, 10, 20};
	struct sl_vla v;

	CHECK_INT(read(mixed, sizeof mixed, &v), 0);
	CHECK_INT(v.n_streams, 2);
	CHECK_INT(v.spatial[0], 5);
	CHECK_INT(v.spatial[1], 0);
	CHECK_INT(v.layers[0][0].kbps, 10);
	CHECK_INT(v.layers[0][2].kbps, 20);
}

TEST(one_zero_is_nothing_made)
{
	struct sl_vla v;

	CHECK_INT(read("\0", 1, &v), 0);
	CHECK_INT(v.n_streams, 0);
}

TEST(what_is_cut_too_long_or_a_lie_is_refused)
{
	static const uint8_t endless[] = {0x01, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
	static const uint8_t other_stream[] = {0xc1, 0x00, 10};
	uint8_t longer[sizeof simulcast + 1] = {0};
	struct sl_vla v;

	for (size_t len = 0; len < sizeof simulcast; len++)
		if (len != 9)
			CHECK_INT(read(simulcast, len, &v), -SL_EPARSE);
	memcpy(longer, simulcast, sizeof simulcast);
	CHECK_INT(read(longer, sizeof longer, &v), -SL_EPARSE);
	CHECK_INT(read(endless, sizeof endless, &v), -SL_EPARSE);
	CHECK_INT(read(other_stream, sizeof other_stream, &v), -SL_EPARSE);
}

TEST_MAIN()
