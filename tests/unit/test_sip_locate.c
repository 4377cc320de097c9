/*
 * tests/unit/test_sip_locate.c: servers of a name: which questions are asked, and what the answers
 * make of them, on the rules of RFC 3263 and RFC 2782.
 */
#include "lib/test.h"

#include <sluice/crypto.h>
#include "modules/sip-gateway/locate.h"

static struct locate l;

static void begin(const char *server, int transport)
{
	struct locate_want want;

	CHECK_INT(locate_read(&want, sl_str_c(server)), 0);
	want.transport = transport;
	want.secure = transport == SIP_TLS;
	locate_begin(&l, &want);
}

static bool asks(enum locate_question q, const char *name)
{
	const char *about = "";

	return locate_next(&l, &about) == q && (q == LOCATE_DONE || strcmp(about, name) == 0);
}

static void addresses(const char *a)
{
	struct sl_addr addr;

	sl_assert(sl_addr_parse(&addr, sl_str_c(a)) == 0);
	locate_addresses(&l, &addr, 1, 300);
}

static bool hop_is(unsigned i, unsigned transport, const char *addr)
{
	char text[SL_ADDR_STRLEN];

	return i < l.hops.n && l.hops.hop[i].transport == transport &&
	       strcmp(sl_addr_format(text, &l.hops.hop[i].addr), addr) == 0;
}

TEST(servers_are_read)
{
	struct locate_want w;

	CHECK_INT(locate_read(&w, SL_STR("pbx.example")), 0);
	CHECK(strcmp(w.host, "pbx.example") == 0 && w.port == 0);
	CHECK_INT(locate_read(&w, SL_STR("pbx.example:5080")), 0);
	CHECK_INT(w.port, 5080);
	CHECK_INT(locate_read(&w, SL_STR("[2001:db8::1]:5080")), 0);
	CHECK(strcmp(w.host, "2001:db8::1") == 0 && w.port == 5080);
	CHECK_INT(locate_read(&w, SL_STR("2001:db8::1")), 0);
	CHECK_INT(locate_read(&w, SL_STR("pbx:0")), -SL_EPARSE);
	CHECK_INT(locate_read(&w, SL_STR("pbx:70000")), -SL_EPARSE);
	CHECK_INT(locate_read(&w, SL_STR(":5060")), -SL_EPARSE);
}

TEST(an_address_asks_nothing)
{
	begin("192.0.2.1", -1);
	CHECK(asks(LOCATE_DONE, ""));
	CHECK(hop_is(0, SIP_UDP, "192.0.2.1:5060"));
	CHECK_INT(l.hops.ttl_s, 0);
	begin("192.0.2.1", SIP_TLS);
	CHECK(hop_is(0, SIP_TLS, "192.0.2.1:5061"));
}

TEST(a_port_asks_for_addresses_alone)
{
	begin("pbx.example:5080", SIP_TCP);
	CHECK(asks(LOCATE_ADDRESSES, "pbx.example"));
	addresses("192.0.2.1");
	CHECK(asks(LOCATE_DONE, ""));
	CHECK(hop_is(0, SIP_TCP, "192.0.2.1:5080"));
	CHECK_INT(l.hops.ttl_s, 300);
}

TEST(naptr_records_are_taken_in_their_order)
{
	const struct locate_naptr records[] = {
		{50, 50, SL_STR_INIT("s"), SL_STR_INIT("SIP+D2U"), SL_STR_INIT("_sip._udp.b")},
		{50, 20, SL_STR_INIT("S"), SL_STR_INIT("sip+d2t"), SL_STR_INIT("_sip._tcp.b")},
		{10, 90, SL_STR_INIT("s"), SL_STR_INIT("SIPS+D2T"), SL_STR_INIT("_sips._tcp.b")},
		{1, 1, SL_STR_INIT("u"), SL_STR_INIT("E2U+sip"), SL_STR_INIT("elsewhere")},
		{1, 1, SL_STR_INIT("s"), SL_STR_INIT("SIP+D2S"), SL_STR_INIT("_sip._sctp.b")},
	};

	begin("b", -1);
	CHECK(asks(LOCATE_NAPTR, "b"));
	locate_naptr(&l, records, SL_ARRAY_LEN(records));
	CHECK_INT(l.n_sets, 3);
	CHECK(asks(LOCATE_SRV, "_sips._tcp.b"));
	locate_srv(&l, NULL, 0);
	CHECK(asks(LOCATE_SRV, "_sip._tcp.b"));
	locate_srv(&l, &(struct locate_srv){1, 1, 5070, SL_STR_INIT("host.b")}, 1);
	CHECK(asks(LOCATE_ADDRESSES, "host.b"));
	addresses("192.0.2.7");
	CHECK(asks(LOCATE_SRV, "_sip._udp.b")); /* what stands behind is for when it fails */
	locate_srv(&l, &(struct locate_srv){1, 1, 5060, SL_STR_INIT("host.b")}, 1);
	addresses("192.0.2.7");
	CHECK(asks(LOCATE_DONE, ""));
	CHECK(hop_is(0, SIP_TCP, "192.0.2.7:5070"));
	CHECK(hop_is(1, SIP_UDP, "192.0.2.7:5060"));
	CHECK_INT(l.hops.n, 2);
}

TEST(without_any_record_the_name_itself_is_a_host)
{
	begin("c", -1);
	locate_naptr(&l, NULL, 0);
	CHECK(asks(LOCATE_SRV, "_sip._udp.c"));
	locate_srv(&l, NULL, 0);
	CHECK(asks(LOCATE_SRV, "_sip._tcp.c"));
	locate_srv(&l, NULL, 0);
	CHECK(asks(LOCATE_SRV, "_sips._tcp.c"));
	locate_srv(&l, NULL, 0);
	CHECK(asks(LOCATE_ADDRESSES, "c"));
	addresses("192.0.2.9");
	CHECK(asks(LOCATE_DONE, ""));
	CHECK(hop_is(0, SIP_UDP, "192.0.2.9:5060"));
}

TEST(a_domain_that_has_tls_alone_is_found_behind_the_others)
{
	begin("f", -1);
	locate_naptr(&l, NULL, 0);
	CHECK(asks(LOCATE_SRV, "_sip._udp.f"));
	locate_srv(&l, NULL, 0);
	CHECK(asks(LOCATE_SRV, "_sip._tcp.f"));
	locate_srv(&l, NULL, 0);
	CHECK(asks(LOCATE_SRV, "_sips._tcp.f"));
	locate_srv(&l, &(struct locate_srv){1, 1, 5071, SL_STR_INIT("host.f")}, 1);
	CHECK(asks(LOCATE_ADDRESSES, "host.f"));
	addresses("192.0.2.9");
	CHECK(asks(LOCATE_DONE, "")); /* the bare name is nobody's where there are records */
	CHECK_INT(l.hops.n, 1);
	CHECK(hop_is(0, SIP_TLS, "192.0.2.9:5071"));
}

TEST(tls_comes_last_without_naptr_and_by_its_order_with_one)
{
	const struct locate_naptr sips = {10, 10, SL_STR_INIT("s"), SL_STR_INIT("SIPS+D2T"),
					  SL_STR_INIT("_sips._tcp.g")};
	const struct locate_naptr both[] = {
		{20, 10, SL_STR_INIT("s"), SL_STR_INIT("SIP+D2U"), SL_STR_INIT("_sip._udp.g")},
		sips};
	const struct locate_srv at = {1, 1, 5060, SL_STR_INIT("host.g")};

	begin("g", -1);
	locate_naptr(&l, NULL, 0);
	while (!asks(LOCATE_DONE, "")) {
		if (l.asks == LOCATE_SRV)
			locate_srv(&l, &at, 1);
		else
			addresses("192.0.2.9");
	}
	CHECK_INT(l.hops.n, 3);
	CHECK(hop_is(0, SIP_UDP, "192.0.2.9:5060") && hop_is(1, SIP_TCP, "192.0.2.9:5060"));
	CHECK(hop_is(2, SIP_TLS, "192.0.2.9:5060"));

	begin("g", -1);
	locate_naptr(&l, both, 2);
	CHECK(asks(LOCATE_SRV, "_sips._tcp.g"));
	locate_srv(&l, &at, 1);
	addresses("192.0.2.9");
	CHECK(asks(LOCATE_SRV, "_sip._udp.g"));
	locate_srv(&l, NULL, 0);
	CHECK(asks(LOCATE_DONE, "")); /* what NAPTR does not name is not asked for */
	CHECK_INT(l.hops.n, 1);
	CHECK(hop_is(0, SIP_TLS, "192.0.2.9:5060"));
}

/* A transport that is wished for is all there is (section 4.1). */
TEST(who_wants_a_transport_asks_for_its_records_alone)
{
	begin("h", SIP_TCP);
	CHECK(asks(LOCATE_SRV, "_sip._tcp.h"));
	locate_srv(&l, NULL, 0);
	CHECK(asks(LOCATE_ADDRESSES, "h"));
	addresses("192.0.2.9");
	CHECK(asks(LOCATE_DONE, ""));
	CHECK(hop_is(0, SIP_TCP, "192.0.2.9:5060"));
	begin("h", SIP_TLS);
	CHECK(asks(LOCATE_SRV, "_sips._tcp.h"));
}

TEST(who_wants_tls_gets_nothing_else)
{
	const struct locate_naptr plain = {1, 1, SL_STR_INIT("s"), SL_STR_INIT("SIP+D2U"),
					   SL_STR_INIT("_sip._udp.d")};

	begin("d", -1);
	l.want.secure = true;
	locate_naptr(&l, &plain, 1);
	CHECK_INT(l.n_sets, 1);
	CHECK(asks(LOCATE_SRV, "_sips._tcp.d"));
	locate_srv(&l, NULL, 0);
	CHECK(asks(LOCATE_ADDRESSES, "d"));
	addresses("192.0.2.9");
	CHECK(hop_is(0, SIP_TLS, "192.0.2.9:5061"));
}

TEST(a_target_that_is_a_dot_says_that_there_is_no_service)
{
	begin("e", SIP_UDP);
	CHECK(asks(LOCATE_SRV, "_sip._udp.e"));
	locate_srv(&l, &(struct locate_srv){0, 0, 0, SL_STR_INIT(".")}, 1);
	CHECK(asks(LOCATE_DONE, ""));
	CHECK_INT(l.hops.n, 0);
}

/* Of two with weights 3 and 1 the first comes first three times as often; priority rules. */
TEST(weights_share_the_calls_among_equals)
{
	const struct locate_srv records[] = {{20, 100, 1, SL_STR_INIT("last")},
					     {10, 30, 2, SL_STR_INIT("three")},
					     {10, 10, 3, SL_STR_INIT("one")},
					     {10, 0, 4, SL_STR_INIT("hardly")}};
	unsigned n_three = 0, n_hardly = 0;
	uint64_t seed = 42;

	sl_random_fake(&seed);
	for (unsigned i = 0; i < 4000; i++) {
		begin("f", SIP_UDP);
		locate_srv(&l, records, SL_ARRAY_LEN(records));
		n_three += l.targets[0].port == 2;
		n_hardly += l.targets[0].port == 4;
		if (l.targets[3].port != 1)
			TEST_FAIL("round %u: a later priority came first", i);
	}
	sl_random_fake(NULL);
	CHECK(n_three > 2700 && n_three < 3150);
	CHECK(n_hardly > 20 && n_hardly < 250);
}

TEST(one_server_under_two_names_is_tried_once)
{
	const struct locate_srv two[] = {{1, 1, 5060, SL_STR_INIT("x")},
					 {2, 1, 5060, SL_STR_INIT("y")}};

	begin("g", SIP_UDP);
	locate_srv(&l, two, 2);
	addresses("192.0.2.1");
	addresses("192.0.2.1");
	CHECK(asks(LOCATE_DONE, ""));
	CHECK_INT(l.hops.n, 1);
}

TEST_MAIN()
