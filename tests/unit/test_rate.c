/* Token buckets per source: burst, refill, independence, /64 for IPv6, and more sources than
 * buckets. */
#include <sluice/rate.h>
#include "lib/test.h"

static struct sl_rate *rate;

static void setup(unsigned per_second, unsigned burst, unsigned n_sources)
{
	static const uint8_t key[16] = "0123456789abcdef";

	sl_hash_seed(key);
	sl_assert(sl_rate_new(per_second, burst, n_sources, &rate) == 0);
}

static struct sl_addr addr(const char *text)
{
	struct sl_addr a = {0};

	sl_assert(sl_addr_parse(&a, sl_str_c(text)) == 0);
	return a;
}

static unsigned allowed(const struct sl_addr *a, unsigned tries, uint64_t now_ms)
{
	unsigned n = 0;

	while (tries-- > 0)
		n += sl_rate_allow(rate, a, now_ms);
	return n;
}

TEST(a_burst_passes_and_then_the_rate)
{
	const struct sl_addr a = addr("192.0.2.1:1");

	setup(10, 5, 64);
	CHECK_INT(allowed(&a, 100, 1000), 5);
	CHECK_INT(allowed(&a, 100, 1099), 0);
	CHECK_INT(allowed(&a, 100, 1100), 1);
	CHECK_INT(allowed(&a, 100, 1300), 2);
	CHECK_INT(allowed(&a, 100, 60000), 5);
	sl_rate_free(rate);
}

TEST(rates_over_a_thousand_are_exact)
{
	const struct sl_addr a = addr("192.0.2.1");
	unsigned n = 0;

	setup(5000, 10, 64);
	for (uint64_t ms = 0; ms < 1000; ms++)
		n += allowed(&a, 100, 1000 + ms);
	CHECK(n >= 5000 && n <= 5040);
	sl_rate_free(rate);
}

TEST(a_prefix_is_one_source)
{
	const struct sl_addr a = addr("192.0.2.1"), near = addr("192.0.3.254"),
			     far = addr("192.0.4.1"), six = addr("2001:db8:0:ff00::1"),
			     six_near = addr("2001:db8:0:ffff::1"),
			     six_far = addr("2001:db8:0:fe00::1");

	setup(1, 1, 64);
	sl_rate_set_prefixes(rate, 23, 56);
	CHECK_INT(allowed(&a, 5, 1000), 1);
	CHECK_INT(allowed(&near, 5, 1000), 0);
	CHECK_INT(allowed(&far, 5, 1000), 1);
	CHECK_INT(allowed(&six, 5, 1000), 1);
	CHECK_INT(allowed(&six_near, 5, 1000), 0);
	CHECK_INT(allowed(&six_far, 5, 1000), 1);
	sl_rate_free(rate);
}

TEST(ports_share_a_bucket_and_addresses_do_not)
{
	const struct sl_addr a = addr("192.0.2.1:1"), b = addr("192.0.2.1:2"),
			     c = addr("192.0.2.2:1");
	const struct sl_addr six = addr("[2001:db8::1]:1"), same64 = addr("[2001:db8::2]:1"),
			     other64 = addr("[2001:db8:0:1::1]:1");

	setup(1, 1, 64);
	CHECK(sl_rate_allow(rate, &a, 0));
	CHECK(!sl_rate_allow(rate, &b, 0));
	CHECK(sl_rate_allow(rate, &c, 0));
	CHECK(sl_rate_allow(rate, &six, 0));
	CHECK(!sl_rate_allow(rate, &same64, 0));
	CHECK(sl_rate_allow(rate, &other64, 0));
	sl_rate_free(rate);
}

TEST(more_sources_than_buckets_are_let_pass)
{
	struct sl_addr a = addr("10.0.0.0");
	unsigned n = 0;

	setup(1, 1, 16);
	for (unsigned i = 0; i < 10000; i++) {
		a.ip[2] = (uint8_t)(i >> 8);
		a.ip[3] = (uint8_t)i;
		n += sl_rate_allow(rate, &a, i);
	}
	CHECK_INT(n, 10000);
	sl_rate_free(rate);
}

TEST(nothing_per_second_is_refused)
{
	CHECK_INT(sl_rate_new(0, 1, 1, &rate), -SL_EINVAL);
	CHECK_INT(sl_rate_new(1, 0, 1, &rate), -SL_EINVAL);
	sl_rate_free(NULL);
}

static void check_backoff(unsigned n_failed, uint64_t first_ms, uint64_t longest_ms, uint64_t expect)
{
	for (int i = 0; i < 200; i++) {
		uint64_t ms = sl_backoff_ms(n_failed, first_ms, longest_ms);

		CHECK(ms >= expect - expect / 8 && ms <= expect + expect / 8);
	}
}

TEST(waits_double_up_to_the_longest)
{
	check_backoff(0, 1000, 60000, 1000);
	check_backoff(1, 1000, 60000, 2000);
	check_backoff(5, 1000, 60000, 32000);
	check_backoff(6, 1000, 60000, 60000);
	check_backoff(UINT32_MAX, 1000, 60000, 60000);
	check_backoff(0, 5000, 2000, 2000);
}

TEST(who_failed_together_does_not_come_back_together)
{
	uint64_t first = sl_backoff_ms(4, 1000, 60000);
	unsigned n_same = 0;

	for (int i = 0; i < 100; i++)
		n_same += sl_backoff_ms(4, 1000, 60000) == first;
	CHECK(n_same < 10);
}

TEST_MAIN()
