/*
 * What a track offers: measured where packets come, told or guessed where none do; and what the
 * allocator makes of it with and without the publisher's word (video layers allocation).
 */
#include "lib/test.h"
#include "modules/sfu/offer.h"

enum { Q, H, F, N_ENCODINGS, NONE = N_ENCODINGS, LOOK_MS = 500, ALL = 7 };

static struct encoding_rate rates[SL_RTC_MAX_ENCODINGS];
static struct allocate_layer layers[ALLOCATE_MAX_LAYERS];
static struct allocate_state state;
static uint32_t asked;
static uint64_t now_ms;

static struct offer offer(void)
{
	return (struct offer){
		.rates = rates, .n_encodings = N_ENCODINGS, .asked = asked, .now_ms = now_ms};
}

/* A publisher with three encodings of sizes that key frames have told, which has been asked for
 * those of the mask long ago. */
static void publisher(uint32_t mask)
{
	memset(rates, 0, sizeof rates);
	memset(&state, 0, sizeof state);
	asked = mask;
	now_ms = 100000;
	for (unsigned e = 0; e < N_ENCODINGS; e++) {
		rates[e].width = (uint16_t)(320 << e);
		rates[e].height = (uint16_t)(180 << e);
	}
}

/* Packets of an encoding for a while, a hundred in a second, of layer 0 */
static void comes(unsigned e, uint32_t bps, unsigned ms)
{
	const struct sl_frame_info plain = {0};

	for (unsigned i = 0; i < ms; i += 10) {
		now_ms += 10;
		CHECK(!encoding_count(&rates[e], &plain, bps / 800, now_ms));
		if (now_ms % LOOK_MS == 0)
			for (unsigned k = 0; k < N_ENCODINGS; k++)
				encoding_measure(&rates[k], now_ms, LOOK_MS);
	}
}

static unsigned offered(void)
{
	const struct offer o = offer();

	return offer_layers(&o, layers);
}

static const struct allocate_layer *layer_of(unsigned e)
{
	for (unsigned i = 0, n = offered(); i < n; i++)
		if (layers[i].encoding == e)
			return &layers[i];
	return NULL;
}

/* What the publisher says that it aims at, in kbit/s; 0: it does not make that one */
static void says(uint32_t q, uint32_t h, uint32_t f)
{
	const struct sl_vla v = {.n_streams = 3,
				 .spatial = {q > 0, h > 0, f > 0},
				 .layers = {{{.kbps = q}}, {{.kbps = h}}, {{.kbps = f}}}};

	for (unsigned e = 0; e < N_ENCODINGS; e++)
		CHECK(!encoding_told(&rates[e], &v, e));
}

/* Which encoding a subscriber that has so much gets, NONE when it is paused */
static unsigned given(uint64_t budget_bps)
{
	struct allocate_track t = {.state = &state, .layers = layers, .n_layers = offered()};
	struct allocate_result result;

	for (unsigned i = 0; i < 50; i++) /* up goes a step at a time */
		allocate(&t, 1, budget_bps, now_ms + i * 1000, &result);
	return t.target.paused ? NONE : t.target.encoding;
}

TEST(what_comes_costs_what_is_measured)
{
	publisher(1 << Q);
	comes(Q, 160000, 8000);
	CHECK(layer_of(Q)->bps > 150000 && layer_of(Q)->bps < 165000);
	CHECK_INT(layer_of(Q)->width, 320);
	CHECK_INT(encoding_bps(&rates[Q]), layer_of(Q)->bps);
}

TEST(each_temporal_layer_costs_those_below_it_too)
{
	const struct sl_frame_info base = {0}, upper = {.temporal = 1};

	publisher(1 << Q);
	for (unsigned i = 0; i < 1000; i++) {
		now_ms += 10;
		CHECK(!encoding_count(&rates[Q], i & 1 ? &upper : &base, 200, now_ms));
		if (now_ms % LOOK_MS == 0)
			encoding_measure(&rates[Q], now_ms, LOOK_MS);
	}
	CHECK(offered() >= 2);
	CHECK_INT(layers[1].temporal, 1);
	CHECK(layers[1].bps > 15 * layers[0].bps / 10 && layers[1].bps <= 2 * layers[0].bps + 8);
}

TEST(spatial_layers_below_the_largest_are_half_as_wide)
{
	const struct sl_frame_info key = {
		.key = true, .n_spatial = 2, .width = 640, .height = 360};
	const struct sl_frame_info top = {.spatial = 1};

	publisher(1 << Q);
	CHECK(encoding_count(&rates[Q], &key, 1000, now_ms));
	for (unsigned i = 0; i < 300; i++) {
		now_ms += 10;
		CHECK(!encoding_count(&rates[Q], i & 1 ? &top : &(struct sl_frame_info){0}, 500,
				      now_ms));
		if (now_ms % LOOK_MS == 0)
			encoding_measure(&rates[Q], now_ms, LOOK_MS);
	}
	CHECK_INT(layer_of(Q)->width, 640);
	CHECK_INT(rates[Q].width, 1280);
}

TEST(what_nobody_has_asked_for_is_offered_by_a_guess)
{
	publisher(1 << Q);
	comes(Q, 160000, 3000);
	CHECK_INT(offered(), 3);
	CHECK_INT(layer_of(H)->bps, 500000);
	CHECK_INT(layer_of(F)->bps, 1700000);
}

TEST(what_came_before_costs_what_it_did)
{
	publisher(ALL);
	comes(H, 900000, 8000);
	asked = 1 << Q;
	comes(Q, 160000, 4000);
	CHECK(layer_of(H)->bps > 850000 && layer_of(H)->bps < 950000);
}

TEST(what_was_asked_for_and_does_not_come_is_not_offered_for_long)
{
	publisher(ALL);
	rates[H].asked_ms = now_ms;
	comes(Q, 160000, 2000);
	CHECK(layer_of(H) != NULL);
	comes(Q, 160000, 2000);
	CHECK(layer_of(H) == NULL);
}

TEST(one_that_begins_is_not_taken_for_cheap)
{
	publisher(ALL);
	comes(Q, 160000, 4000);
	rates[H].asked_ms = now_ms;
	comes(H, 900000, 600);
	CHECK(rates[H].bps[0][0] > 0);
	CHECK_INT(layer_of(H)->bps, 500000);
}

TEST(a_guess_is_never_dearer_than_a_larger_picture_that_comes)
{
	publisher(1 << F);
	comes(F, 300000, 8000);
	CHECK(layer_of(H)->bps <= layer_of(F)->bps);
}

TEST(an_encoding_that_falls_silent_beside_another_has_ceased)
{
	struct offer o;

	publisher(1 << Q | 1 << H);
	comes(H, 500000, 2000);
	comes(Q, 160000, 600);
	o = offer();
	CHECK_INT(offer_arriving(&o), 1 << Q);
}

TEST(all_silent_together_is_a_pause_of_the_network_at_first)
{
	struct offer o;

	publisher(1 << Q);
	comes(Q, 160000, 2000);
	now_ms += 1400;
	o = offer();
	CHECK_INT(offer_arriving(&o), 1 << Q);
	now_ms += 200;
	o = offer();
	CHECK_INT(offer_arriving(&o), 0);
}

/* Guessed at 500 kbit/s, the middle one would be fetched, found too dear, and left again. */
TEST(an_encoding_that_would_not_fit_is_not_tried_when_its_rate_is_told)
{
	publisher(1 << Q);
	comes(Q, 160000, 3000);
	CHECK_INT(given(700000), H);
	memset(&state, 0, sizeof state);
	says(150, 900, 2500);
	CHECK_INT(given(700000), Q);
}

/* And the other way: a picture without motion is cheap in a large size. */
TEST(an_encoding_that_is_cheaper_than_usual_is_taken_when_its_rate_is_told)
{
	publisher(1 << Q);
	comes(Q, 60000, 3000);
	CHECK_INT(given(400000), Q);
	memset(&state, 0, sizeof state);
	says(60, 120, 200);
	CHECK_INT(given(400000), F);
}

TEST(an_encoding_that_its_publisher_gives_up_is_left_before_it_is_missed)
{
	struct offer o;

	publisher(ALL);
	for (unsigned i = 0; i < 300; i++) {
		comes(Q, 160000, 10);
		now_ms -= 10;
		comes(F, 1700000, 10);
	}
	o = offer();
	CHECK_INT(offer_arriving(&o), 1 << Q | 1 << F);
	says(150, 0, 0);
	o = offer();
	CHECK_INT(offer_arriving(&o), 1 << Q);
}

TEST(sizes_are_told_by_key_frames_and_by_the_publisher)
{
	struct sl_vla v = {.n_streams = 1, .spatial = {1}, .sized = true};

	publisher(1 << Q);
	v.layers[0][0] = (struct sl_vla_layer){.width = 400, .height = 300, .kbps = 100};
	CHECK(encoding_told(&rates[Q], &v, Q));
	CHECK(!encoding_told(&rates[Q], &v, Q));
	CHECK_INT(rates[Q].width, 400);
	v.layers[0][0].width = 65536; /* larger than we count: what was known stays */
	CHECK(!encoding_told(&rates[Q], &v, Q));
	CHECK_INT(rates[Q].width, 400);
}

TEST_MAIN()
