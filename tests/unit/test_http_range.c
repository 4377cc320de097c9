/*
 * Parts of files as RFC 9110 section 14.1.2 has them: its own examples, and what is none.
 */
#include "../../modules/http/range.c"
#include "lib/test.h"

static int read_range(const char *header, uint64_t total, struct byte_range *r)
{
	*r = (struct byte_range){77, 77};
	return range_read(sl_str_c(header), total, r);
}

#define CHECK_RANGE(header, total, from, n)                                                        \
	do {                                                                                       \
		struct byte_range r_;                                                              \
		CHECK_INT(read_range(header, total, &r_), 0);                                      \
		CHECK_INT(r_.at, from);                                                            \
		CHECK_INT(r_.len, n);                                                              \
	} while (0)

TEST(one_range_is_cut_to_what_there_is)
{
	CHECK_RANGE("bytes=0-499", 10000, 0, 500);
	CHECK_RANGE("bytes=500-999", 10000, 500, 500);
	CHECK_RANGE("bytes=-500", 10000, 9500, 500);
	CHECK_RANGE("bytes=9500-", 10000, 9500, 500);
	CHECK_RANGE("bytes=0-0", 10000, 0, 1);
	CHECK_RANGE("bytes=-1", 10000, 9999, 1);
	CHECK_RANGE("bytes=0-", 10000, 0, 10000);
	CHECK_RANGE("bytes=9999-20000", 10000, 9999, 1);
	CHECK_RANGE("bytes=-20000", 10000, 0, 10000);
	CHECK_RANGE("BYTES= 1 - 2 ", 10, 1, 2);
	CHECK_RANGE("bytes=0-18446744073709551615", 5, 0, 5);
}

TEST(what_lies_behind_the_end_cannot_be_had)
{
	struct byte_range r;

	CHECK_INT(read_range("bytes=10000-", 10000, &r), -SL_ELIMIT);
	CHECK_INT(read_range("bytes=10000-10001", 10000, &r), -SL_ELIMIT);
	CHECK_INT(read_range("bytes=0-", 0, &r), -SL_ELIMIT);
	CHECK_INT(read_range("bytes=-0", 10000, &r), -SL_ELIMIT);
	CHECK_INT(read_range("bytes=-1", 0, &r), -SL_ELIMIT);
	CHECK_INT(r.at, 77);
}

TEST(other_units_several_ranges_and_nonsense_mean_all)
{
	static const char *const all[] = {"",
					  "bytes=",
					  "bytes=-",
					  "bytes=a-b",
					  "bytes=5",
					  "bytes=9-5",
					  "bytes=0-1,5-6",
					  "bytes=1-2-3",
					  "bytes=--5",
					  "bytes=18446744073709551616-",
					  "seconds=1-2",
					  "byte=0-1",
					  "0-1"};
	struct byte_range r;

	for (size_t i = 0; i < SL_ARRAY_LEN(all); i++)
		CHECK_INT(read_range(all[i], 10000, &r), -SL_ENOENT);
	CHECK_INT(range_read(SL_STR_NULL, 10, &r), -SL_ENOENT);
	CHECK_INT(r.at, 77);
}

TEST_MAIN()
