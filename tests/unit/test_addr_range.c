/*
 * tests/unit/test_addr_range.c: ranges of addresses as blocks: every address of the range, and no other.
 */
#include "../lib/test.h"

#include <sluice/buf.h>
#include "base/addr.h"

static int split(const char *first, const char *last, struct sl_cidr blocks[ADDR_MAX_BLOCKS], size_t *n)
{
	struct sl_addr a, b;

	if (sl_addr_parse(&a, sl_str_c(first)) < 0 || sl_addr_parse(&b, sl_str_c(last)) < 0)
		return -SL_EPARSE;
	return addr_range_blocks(&a, &b, blocks, n);
}

/* The blocks with a space between them. */
static const char *text_of(const char *first, const char *last)
{
	static char text[ADDR_MAX_BLOCKS * SL_ADDR_STRLEN];
	struct sl_cidr blocks[ADDR_MAX_BLOCKS];
	char one[SL_ADDR_STRLEN];
	size_t n, len = 0;
	int rc = split(first, last, blocks, &n);

	if (rc < 0)
		return sl_strerror(rc);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", sl_cidr_format(one, &blocks[i]));
	return text;
}

TEST(ranges_become_the_fewest_blocks)
{
	static const struct {
		const char *first, *last, *blocks;
	} rows[] = {
		{"192.0.2.7", "192.0.2.7", "192.0.2.7/32"},
		{"83.166.64.0", "83.166.95.255", "83.166.64.0/19"},
		{"10.0.0.0", "10.255.255.255", "10.0.0.0/8"},
		{"192.0.2.1", "192.0.2.6", "192.0.2.1/32 192.0.2.2/31 192.0.2.4/31 192.0.2.6/32"},
		{"192.0.2.255", "192.0.3.0", "192.0.2.255/32 192.0.3.0/32"},
		{"0.0.0.0", "255.255.255.255", "0.0.0.0/0"},
		{"0.0.0.0", "0.0.0.0", "0.0.0.0/32"},
		{"255.255.255.255", "255.255.255.255", "255.255.255.255/32"},
		{"128.0.0.0", "255.255.255.255", "128.0.0.0/1"},
		{"0.0.0.0", "255.255.255.254",
		 "0.0.0.0/1 128.0.0.0/2 192.0.0.0/3 224.0.0.0/4 240.0.0.0/5 248.0.0.0/6 252.0.0.0/7 254.0.0.0/8 255.0.0.0/9 255.128.0.0/10 "
		 "255.192.0.0/11 255.224.0.0/12 255.240.0.0/13 255.248.0.0/14 255.252.0.0/15 255.254.0.0/16 255.255.0.0/17 255.255.128.0/18 "
		 "255.255.192.0/19 255.255.224.0/20 255.255.240.0/21 255.255.248.0/22 255.255.252.0/23 255.255.254.0/24 255.255.255.0/25 "
		 "255.255.255.128/26 255.255.255.192/27 255.255.255.224/28 255.255.255.240/29 255.255.255.248/30 255.255.255.252/31 "
		 "255.255.255.254/32"},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"},
		{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::/32"},
		{"2001:db8::1", "2001:db8::4", "2001:db8::1/128 2001:db8::2/127 2001:db8::4/128"},
		{"::ffff:10.0.0.0", "::ffff:10.0.0.255", "10.0.0.0/24"},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++)
		CHECK_STR(sl_str_c(text_of(rows[i].first, rows[i].last)), rows[i].blocks);
}

TEST(what_is_no_range_is_refused)
{
	struct sl_cidr blocks[ADDR_MAX_BLOCKS];
	struct sl_addr unset = {0};
	size_t n = 77;

	CHECK_INT(split("10.0.0.2", "10.0.0.1", blocks, &n), -SL_ELIMIT);
	CHECK_INT(split("10.0.0.1", "2001:db8::1", blocks, &n), -SL_EINVAL);
	CHECK_INT(split("::ffff:10.0.0.1", "::1:0:0", blocks, &n), -SL_EINVAL);
	CHECK_INT(addr_range_blocks(&unset, &unset, blocks, &n), -SL_EINVAL);
	CHECK_INT(n, 77);
}

TEST(the_longest_range_fits)
{
	struct sl_cidr blocks[ADDR_MAX_BLOCKS];
	size_t n;

	CHECK_INT(split("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", blocks, &n), 0);
	CHECK_INT(n, ADDR_MAX_BLOCKS);
}

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static bool any_has(const struct sl_cidr *blocks, size_t n, uint32_t v4)
{
	struct sl_addr a = {.family = 4};

	sl_put32(a.ip, v4);
	for (size_t i = 0; i < n; i++)
		if (sl_cidr_has(&blocks[i], &a))
			return true;
	return false;
}

TEST(blocks_hold_what_the_range_holds)
{
	struct sl_cidr blocks[ADDR_MAX_BLOCKS];
	uint64_t seed = 1;

	for (unsigned round = 0; round < 2000; round++) {
		uint32_t first = (uint32_t)(next(&seed) << 1 ^ next(&seed)), last = first + (uint32_t)(next(&seed) >> round % 31);
		struct sl_addr a = {.family = 4}, b = {.family = 4};
		size_t n;

		if (last < first)
			continue;
		sl_put32(a.ip, first);
		sl_put32(b.ip, last);
		CHECK_INT(addr_range_blocks(&a, &b, blocks, &n), 0);
		CHECK(n <= 62);
		CHECK(any_has(blocks, n, first) && any_has(blocks, n, last));
		CHECK(first == 0 || !any_has(blocks, n, first - 1));
		CHECK(last == UINT32_MAX || !any_has(blocks, n, last + 1));
		for (unsigned i = 0; i < 20; i++)
			CHECK(any_has(blocks, n, first + (uint32_t)(next(&seed) % ((uint64_t)last - first + 1))));
	}
}

TEST_MAIN()
