/*
 * What is concluded from observations through each kind of NAT, and that the last sentence says
 * what it means for calls.
 */
#include "lib/test.h"
#include "proto/nat.h"

static struct sl_addr at(const char *text)
{
	struct sl_addr a = {0};

	sl_assert(sl_addr_parse(&a, sl_str_c(text)) == 0);
	return a;
}

/* A NAT that shows these ports to the server's three places. */
static struct nat_facts behind(unsigned first, unsigned second, unsigned third)
{
	struct nat_facts f = {.local = at("192.168.1.2:4000"), .has_other = true};
	const unsigned ports[] = {first, second, third};

	for (unsigned i = 0; i < 3; i++) {
		f.mapped[i] = at("198.51.100.1:1");
		f.mapped[i].port = (uint16_t)ports[i];
	}
	f.plain = f.mapped[0];
	return f;
}

static struct nat_verdict judged(const struct nat_facts *f)
{
	struct nat_verdict v;

	nat_judge(f, &v);
	return v;
}

static char last[400];
static unsigned n_said;

static void hear(void *arg, const char *sentence)
{
	(void)arg;
	n_said++;
	snprintf(last, sizeof last, "%s", sentence);
	sl_assert(sentence[strlen(sentence) - 1] == '.');
}

static const char *conclusion(const struct nat_facts *f)
{
	struct nat_verdict v = judged(f);

	n_said = 0;
	nat_explain(f, &v, hear, NULL);
	return last;
}

TEST(one_port_for_all_is_endpoint_independent_mapping)
{
	struct nat_facts f = behind(5000, 5000, 5000);

	CHECK_INT(judged(&f).mapping, NAT_ENDPOINT_INDEPENDENT);
	CHECK(judged(&f).translated);
	CHECK(!judged(&f).rewrites);
}

TEST(a_port_for_each_address_or_for_each_port)
{
	struct nat_facts f = behind(5000, 5001, 5001), g = behind(5000, 5001, 5002);

	CHECK_INT(judged(&f).mapping, NAT_ADDRESS_DEPENDENT);
	CHECK_INT(judged(&g).mapping, NAT_ADDRESS_PORT_DEPENDENT);
}

TEST(who_comes_in_tells_the_filter)
{
	struct nat_facts f = behind(5000, 5000, 5000);

	CHECK_INT(judged(&f).filtering, NAT_ADDRESS_PORT_DEPENDENT);
	f.heard_other_port = true;
	CHECK_INT(judged(&f).filtering, NAT_ADDRESS_DEPENDENT);
	f.heard_other = true;
	CHECK_INT(judged(&f).filtering, NAT_ENDPOINT_INDEPENDENT);
}

TEST(a_server_with_one_address_leaves_it_open)
{
	struct nat_facts f = behind(5000, 0, 0);

	f.has_other = false;
	f.mapped[1] = f.mapped[2] = (struct sl_addr){0};
	CHECK(judged(&f).reachable);
	CHECK_INT(judged(&f).mapping, NAT_UNKNOWN);
	CHECK_INT(judged(&f).filtering, NAT_UNKNOWN);
	CHECK(strstr(conclusion(&f), "not known"));
}

TEST(an_answer_that_was_lost_leaves_mapping_open)
{
	struct nat_facts f = behind(5000, 5001, 5002);

	f.mapped[2] = (struct sl_addr){0};
	CHECK_INT(judged(&f).mapping, NAT_UNKNOWN);
	f.mapped[1] = (struct sl_addr){0};
	CHECK_INT(judged(&f).mapping, NAT_UNKNOWN);
}

TEST(ones_own_address_is_no_nat_though_there_may_be_a_firewall)
{
	struct nat_facts f = {.local = at("[2001:db8::1]:4000"), .has_other = true};

	f.mapped[0] = f.local;
	CHECK(!judged(&f).translated);
	CHECK_INT(judged(&f).mapping, NAT_ENDPOINT_INDEPENDENT);
	CHECK_INT(judged(&f).filtering, NAT_ADDRESS_PORT_DEPENDENT);
	CHECK(strstr(conclusion(&f), "most"));
}

TEST(a_gateway_that_rewrites_addresses_shows)
{
	struct nat_facts f = behind(5000, 5000, 5000);

	f.plain = f.local;
	CHECK(judged(&f).rewrites);
	f.plain = (struct sl_addr){0};
	CHECK(!judged(&f).rewrites);
}

TEST(conclusions_for_calls)
{
	struct nat_facts cone = behind(5000, 5000, 5000), symmetric = behind(5000, 5001, 5002);

	CHECK(strstr(conclusion(&cone), "direct with most"));
	cone.heard_other_port = true;
	CHECK(strstr(conclusion(&cone), "nearly everybody"));
	CHECK(strstr(conclusion(&symmetric), "home router"));
	symmetric.heard_other = true;
	CHECK(strstr(conclusion(&symmetric), "keeps its port"));
}

TEST(silence_over_udp)
{
	struct nat_facts f = {.local = at("192.168.1.2:4000")};

	CHECK(!judged(&f).reachable);
	CHECK(strstr(conclusion(&f), "neither"));
	f.stream = true;
	CHECK(strstr(conclusion(&f), "TCP or TLS"));
}

TEST(all_that_was_tried_is_told)
{
	struct nat_facts f = behind(5000, 5000, 5000);

	(void)conclusion(&f);
	CHECK_INT(n_said, 4);
	f.hairpin_tried = f.lifetime_tried = true;
	f.alive_s = 60;
	(void)conclusion(&f);
	CHECK_INT(n_said, 6);
	f.silent_s = 120;
	(void)conclusion(&f);
	f.silent_s = 30;
	(void)conclusion(&f);
	CHECK_INT(n_said, 6);
}

TEST_MAIN()
