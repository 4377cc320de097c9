/*
 * tests/unit/test_units.c: sizes and durations, both ways.
 */
#include "config/units.h"
#include "lib/test.h"

struct unit_case {
	const char *text;
	int64_t n; /* negative: the error */
	const char *shown;
};

static bool shows(void format(struct sl_buf *, uint64_t), int64_t n, const char *want)
{
	struct sl_buf out;
	bool same;

	sl_buf_init(&out, 0);
	format(&out, (uint64_t)n);
	same = sl_str_eq(sl_buf_view(&out), sl_str_c(want));
	if (!same)
		printf("# %.*s\n", SL_FMT(sl_buf_view(&out)));
	sl_buf_free(&out);
	return same;
}

TEST(sizes_count_in_powers_of_1024)
{
	static const struct unit_case cases[] = {
		{"0", 0, "0"},
		{"512", 512, "512"},
		{"1024", 1024, "1k"},
		{"1K", 1024, "1k"},
		{"3kb", 3072, "3k"},
		{"3KiB", 3072, "3k"},
		{"1025", 1025, "1025"},
		{"2m", 2 << 20, "2m"},
		{"1536k", 1536 << 10, "1536k"},
		{"1MiB", 1 << 20, "1m"},
		{"5G", INT64_C(5) << 30, "5g"},
		{"1tib", INT64_C(1) << 40, "1024g"},
		{"8388607t", INT64_C(8388607) << 40, "8589933568g"},
		{"8388608t", -SL_ELIMIT, NULL},
		{"99999999999999999999", -SL_ELIMIT, NULL},
		{"", -SL_EPARSE, NULL},
		{"k", -SL_EPARSE, NULL},
		{"5 k", -SL_EPARSE, NULL},
		{"-1", -SL_EPARSE, NULL},
		{"1.5k", -SL_EPARSE, NULL},
		{"5b", -SL_EPARSE, NULL},
		{"5s", -SL_EPARSE, NULL},
	};

	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		const struct unit_case *c = &cases[i];
		int64_t n = 0;
		int rc = units_parse_size(sl_str_c(c->text), &n);

		CHECK_INT(rc ? rc : n, c->n);
		CHECK(rc || shows(units_format_size, n, c->shown));
	}
}

TEST(durations_count_in_milliseconds_and_bare_numbers_in_seconds)
{
	static const struct unit_case cases[] = {
		{"0", 0, "0"},
		{"1ms", 1, "1ms"},
		{"1500ms", 1500, "1500ms"},
		{"3", 3000, "3s"},
		{"3s", 3000, "3s"},
		{"60s", 60000, "1m"},
		{"90s", 90000, "90s"},
		{"10M", 600000, "10m"},
		{"36h", 129600000, "36h"},
		{"2d", 172800000, "2d"},
		{"106751991168d", -SL_ELIMIT, NULL},
		{"5 s", -SL_EPARSE, NULL},
		{"1w", -SL_EPARSE, NULL},
		{"5k", -SL_EPARSE, NULL},
	};

	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		const struct unit_case *c = &cases[i];
		int64_t n = 0;
		int rc = units_parse_time(sl_str_c(c->text), &n);

		CHECK_INT(rc ? rc : n, c->n);
		CHECK(rc || shows(units_format_time, n, c->shown));
	}
}

TEST_MAIN()
