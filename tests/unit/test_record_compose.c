/*
 * The picture of a composed film: where everybody stands, and who is shown large.
 */
#include "lib/test.h"
#include "modules/recorder/compose.h"

#define MS INT64_C(1000)

static bool overlap(struct place a, struct place b)
{
	return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

static void check_places(const struct place *p, unsigned n, unsigned width, unsigned height)
{
	for (unsigned i = 0; i < n; i++) {
		CHECK(p[i].x % 2 == 0 && p[i].y % 2 == 0 && p[i].w % 2 == 0 && p[i].h % 2 == 0);
		CHECK(p[i].x + p[i].w <= width && p[i].y + p[i].h <= height);
		for (unsigned k = 0; k < i; k++)
			CHECK(!overlap(p[i], p[k]));
	}
}

TEST(a_grid_of_any_number_fits_any_size)
{
	static const unsigned sizes[][2] = {
		{64, 64}, {640, 360}, {1280, 720}, {720, 1280}, {7680, 66}};
	struct place p[MAX_TILES];

	for (unsigned s = 0; s < SL_ARRAY_LEN(sizes); s++)
		for (unsigned n = 1; n <= MAX_TILES; n++) {
			layout_grid(n, sizes[s][0], sizes[s][1], p);
			check_places(p, n, sizes[s][0], sizes[s][1]);
		}
}

TEST(a_grid_is_as_wide_as_its_picture_wants)
{
	struct place p[MAX_TILES];

	layout_grid(1, 1280, 720, p);
	CHECK(p[0].w == 1280 && p[0].h == 720);
	layout_grid(2, 1280, 720, p);
	CHECK(p[1].x == 640 && p[1].y == 0); /* side by side */
	layout_grid(4, 1280, 720, p);
	CHECK(p[0].w == 640 && p[0].h == 360 && p[3].x == 640 && p[3].y == 360);
	layout_grid(3, 1280, 720, p);
	CHECK_INT(p[2].x, 320); /* in the middle of its row */
	layout_grid(2, 720, 1280, p);
	CHECK(p[1].x == 0 && p[1].y == 640); /* one below the other */
}

TEST(the_one_who_speaks_is_large_and_the_others_stand_below)
{
	struct place p[MAX_TILES];

	for (unsigned n = 1; n <= MAX_TILES; n++) {
		layout_speaker(n, n / 2, 1280, 720, p);
		CHECK(p[n / 2].w == 1280 && p[n / 2].h == (n > 1 ? 720u - 144 : 720u));
		check_places(p, n, 1280, 720);
	}
	layout_speaker(3, 0, 1280, 720, p);
	CHECK(p[1].h == 144 && p[1].y == 576 && p[2].x == p[1].x + p[1].w);
}

TEST(a_picture_keeps_its_shape)
{
	struct place p = layout_fit((struct place){100, 50, 640, 360}, 320, 240);

	CHECK(p.w == 480 && p.h == 360 && p.x == 180 && p.y == 50);
	p = layout_fit((struct place){0, 0, 640, 360}, 1000, 10);
	CHECK(p.w == 640 && p.h == 6);
	p = layout_fit((struct place){0, 0, 64, 36}, 1, 65535);
	CHECK(p.w == 2 && p.h == 36);
}

static struct speaker hear(struct speaker s, float a, float b, int64_t from_ms, int64_t to_ms)
{
	const float levels[] = {a, b};

	for (int64_t t = from_ms; t <= to_ms; t += 40)
		speaker_hear(&s, levels, 2, t * MS);
	return s;
}

TEST(another_one_is_large_when_it_has_spoken_for_a_while)
{
	struct speaker s = hear(NO_SPEAKER, 0.1f, 0, 0, 5000);

	CHECK_INT(s.person, 0);
	CHECK_INT(hear(s, 0, 0.1f, 5040, 5400).person, 0); /* a cough */
	CHECK_INT(hear(s, 0, 0.1f, 5040, 6000).person, 1);
	CHECK_INT(hear(s, 0.1f, 0.12f, 5040, 9000).person, 0); /* both at once */
	CHECK_INT(hear(s, 0, 0.004f, 5040, 9000).person, 0);   /* noise */
}

TEST(it_does_not_change_all_the_time)
{
	struct speaker s = hear(NO_SPEAKER, 0.1f, 0, 0, 40);

	CHECK_INT(hear(s, 0, 0.1f, 80, 1900).person, 0);
	CHECK_INT(hear(s, 0, 0.1f, 80, 2080).person, 1);
}

TEST(who_has_left_is_not_large)
{
	struct speaker s = hear(NO_SPEAKER, 0.1f, 0, 0, 40);

	CHECK_INT(hear(s, -1, 0, 80, 80).person, 1);
	CHECK_INT(hear(s, -1, -1, 80, 80).person, -1);
}

TEST_MAIN()
