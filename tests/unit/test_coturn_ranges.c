/*
 * tests/unit/test_coturn_ranges.c: ranges of addresses, and what is left when some are cut out.
 */
#include "../lib/test.h"

#include "lib/coturn.h"

static struct coturn_file file;
static struct coturn_ranges ranges;

static void begin(void)
{
	sl_pool_destroy(file.pool);
	coturn_file_init(&file, sl_pool_new(0), "t.conf", "/etc");
	(void)coturn_ranges_init(&ranges, &file);
}

static bool add(const char *text)
{
	struct coturn_range r;

	return coturn_range_parse(&r, sl_str_c(text)) == 0 && coturn_ranges_add(&ranges, &r);
}

static bool cut(const char *text)
{
	struct coturn_range r;

	return coturn_range_parse(&r, sl_str_c(text)) == 0 && coturn_ranges_remove(&ranges, &r);
}

static struct sl_str left(void)
{
	static char text[1024];
	char a[SL_ADDR_STRLEN], b[SL_ADDR_STRLEN];
	size_t len = 0;

	text[0] = '\0';
	coturn_ranges_sort(&ranges);
	for (size_t i = 0; i < ranges.n; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s-%s", i ? " " : "",
					sl_addr_format(a, &ranges.items[i].first), sl_addr_format(b, &ranges.items[i].last));
	return sl_str_c(text);
}

TEST(a_hole_leaves_what_is_on_both_sides)
{
	begin();
	CHECK(add("10.0.0.0-10.0.0.255") && cut("10.0.0.7-10.0.0.8"));
	CHECK_STR(left(), "10.0.0.0-10.0.0.6 10.0.0.9-10.0.0.255");
	CHECK(cut("9.0.0.0-10.0.0.0") && cut("10.0.0.255-11.0.0.0"));
	CHECK_STR(left(), "10.0.0.1-10.0.0.6 10.0.0.9-10.0.0.254");
	CHECK(cut("10.0.0.6-10.0.0.9"));
	CHECK_STR(left(), "10.0.0.1-10.0.0.5 10.0.0.10-10.0.0.254");
	CHECK(cut("0.0.0.0-255.255.255.255"));
	CHECK_STR(left(), "");
}

TEST(ends_of_a_family_are_no_trouble)
{
	begin();
	CHECK(add("0.0.0.0-255.255.255.255") && cut("0.0.0.0") && cut("255.255.255.255") && cut("1.0.0.0"));
	CHECK_STR(left(), "0.0.0.1-0.255.255.255 1.0.0.1-255.255.255.254");
	begin();
	CHECK(add("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") && cut("::") && cut("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") &&
	      cut("1::"));
	CHECK_STR(left(), "::1-0:ffff:ffff:ffff:ffff:ffff:ffff:ffff 1::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
}

TEST(families_do_not_meet)
{
	begin();
	CHECK(add("0.0.0.0-255.255.255.255") && add("::-::ff") && cut("::-::fe"));
	CHECK_STR(left(), "0.0.0.0-255.255.255.255 ::ff-::ff");
}

TEST(what_has_no_room_is_gone)
{
	begin();
	for (unsigned i = 0; i < COTURN_MAX_RANGES; i++)
		CHECK(add("10.0.0.0-10.0.0.2"));
	CHECK(!add("10.0.0.0"));
	CHECK(!cut("10.0.0.1"));
	CHECK_INT(ranges.n, COTURN_MAX_RANGES);
	for (unsigned i = 0; i < COTURN_MAX_RANGES; i++)
		CHECK(sl_addr_eq(&ranges.items[i].last, &ranges.items[0].first));
}

TEST(a_block_is_a_range)
{
	struct sl_cidr c;
	struct coturn_range r;

	begin();
	CHECK_INT(sl_cidr_parse(&c, SL_STR("10.0.0.0/9")), 0);
	r = coturn_range_of(&c);
	CHECK(coturn_ranges_add(&ranges, &r));
	CHECK_INT(sl_cidr_parse(&c, SL_STR("::/0")), 0);
	r = coturn_range_of(&c);
	CHECK(coturn_ranges_add(&ranges, &r));
	CHECK_STR(left(), "10.0.0.0-10.127.255.255 ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

TEST_MAIN()
