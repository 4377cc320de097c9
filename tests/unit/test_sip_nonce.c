/*
 * Nonces of digests: whose they are, how they age, and that what was overheard is not said twice.
 */
#include "lib/test.h"

#include "modules/sip-gateway/nonce.h"

enum { OWNER = 0x00030001, LIFE = 300, NOW = 1000 };

static const uint8_t key[32] = {7}, other_key[32] = {8};
static struct nonces n;
static char nonce[NONCE_LEN + 1];

/* The same with another port, another, and one of version 6 that begins with the same bytes */
static const struct sl_addr here = {.family = 4, .port = 5060, .ip = {192, 0, 2, 1}};
static const struct sl_addr same = {.family = 4, .port = 6060, .ip = {192, 0, 2, 1}};
static const struct sl_addr there = {.family = 4, .port = 5060, .ip = {192, 0, 2, 2}};
static const struct sl_addr six = {.family = 6, .port = 5060, .ip = {192, 0, 2, 1}};

static bool begin(void)
{
	nonces_close(&n);
	if (nonces_open(&n, key, OWNER) < 0)
		return false;
	nonce_new(&n, nonce, &here, NOW);
	return true;
}

static int check(const struct sl_addr *who, uint64_t now_s)
{
	return nonce_check(&n, sl_str_c(nonce), who, now_s, LIFE);
}

static int use(const char *nc)
{
	return nonce_use(&n, sl_str_c(nonce), sl_str_c(nc));
}

TEST(nonces_are_ours_and_age)
{
	CHECK(begin());
	CHECK_INT(check(&here, NOW + LIFE), 0);
	CHECK_INT(check(&here, NOW + LIFE + 1), -SL_ETIMEOUT);
	CHECK_INT(check(&same, NOW), 0);
	CHECK_INT(check(&there, NOW), -SL_EAUTH);
	CHECK_INT(check(&six, NOW), -SL_EAUTH);
	for (size_t i = 0; i < NONCE_LEN; i++) {
		nonce[i] ^= 1;
		CHECK_INT(check(&here, NOW), -SL_EAUTH);
		nonce[i] ^= 1;
	}
	CHECK_INT(nonce_check(&n, SL_STR("short"), &here, NOW, LIFE), -SL_EAUTH);
	CHECK_INT(nonce_check(&n, SL_STR_NULL, &here, NOW, LIFE), -SL_EAUTH);
	CHECK_INT(check(&here, NOW), 0);
}

TEST(two_who_ask_in_one_second_from_one_address_get_two)
{
	char first[NONCE_LEN + 1];

	CHECK(begin());
	memcpy(first, nonce, sizeof first);
	nonce_new(&n, nonce, &here, NOW);
	CHECK(strcmp(first, nonce) != 0);
	CHECK_INT(use("00000001"), 0);
	CHECK_INT(nonce_use(&n, sl_str_c(first), SL_STR("00000001")), 0);
}

TEST(a_count_is_good_once)
{
	CHECK(begin());
	CHECK_INT(use("00000001"), 0);
	CHECK_INT(use("00000001"), -SL_EEXIST);
	CHECK_INT(use("00000002"), 0);
	CHECK_INT(use("0000000A"), 0);
	CHECK_INT(use("0000000a"), -SL_EEXIST);
	CHECK_INT(use("00000001"), -SL_EEXIST);
}

TEST(counts_may_come_in_another_order_within_a_window)
{
	CHECK(begin());
	CHECK_INT(use("00000040"), 0);
	CHECK_INT(use("00000001"), 0); /* 63 before */
	CHECK_INT(use("00000000"), -SL_EEXIST);
	CHECK_INT(use("00000020"), 0);
	CHECK_INT(use("00000041"), 0);
	CHECK_INT(use("00000001"), -SL_EEXIST);
	CHECK_INT(use("ffffffff"), 0);
	CHECK_INT(use("00000041"), -SL_EEXIST);
	CHECK_INT(use("fffffffe"), 0);
	CHECK_INT(use("fffffffe"), -SL_EEXIST);
}

TEST(who_does_not_count_has_one_use)
{
	CHECK(begin());
	CHECK_INT(use(""), 0);
	CHECK_INT(use(""), -SL_EEXIST);
}

TEST(what_is_no_count_is_no_use)
{
	CHECK(begin());
	CHECK_INT(use("1"), -SL_EPARSE);
	CHECK_INT(use("000000001"), -SL_EPARSE);
	CHECK_INT(use("0000000g"), -SL_EPARSE);
	CHECK_INT(use("00000001"), 0);
}

TEST(one_of_another_process_of_the_node_is_stale)
{
	struct nonces old, stranger;

	CHECK(begin());
	CHECK_INT(nonces_open(&old, key, OWNER + 1), 0);
	CHECK_INT(nonces_open(&stranger, other_key, OWNER), 0);
	nonce_new(&old, nonce, &here, NOW);
	CHECK_INT(check(&here, NOW), -SL_ETIMEOUT);
	CHECK_INT(use("00000001"), -SL_EEXIST);
	nonce_new(&stranger, nonce, &here, NOW);
	CHECK_INT(check(&here, NOW), -SL_EAUTH);
	nonces_close(&old);
	nonces_close(&stranger);
}

TEST(the_oldest_is_forgotten_for_the_newest)
{
	char first[NONCE_LEN + 1];

	CHECK(begin());
	memcpy(first, nonce, sizeof first);
	for (unsigned i = 1; i < NONCES_KEPT; i++)
		nonce_new(&n, nonce, &here, NOW);
	CHECK_INT(nonce_check(&n, sl_str_c(first), &here, NOW, LIFE), 0);
	nonce_new(&n, nonce, &here, NOW);
	CHECK_INT(nonce_check(&n, sl_str_c(first), &here, NOW, LIFE), -SL_ETIMEOUT);
	CHECK_INT(nonce_use(&n, sl_str_c(first), SL_STR("00000001")), -SL_EEXIST);
	CHECK_INT(check(&here, NOW), 0);
	nonces_close(&n);
}

TEST_MAIN()
