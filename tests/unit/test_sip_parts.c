/*
 * Parts of the SIP stack without a network: timers, messages between the halves, the dial plan.
 */
#include "lib/test.h"

#include <sluice/crypto.h>
#include "modules/sip-gateway/alarm.h"
#include "modules/sip-gateway/dialplan.h"
#include "modules/sip-gateway/wire.h"

#include <time.h>

/* ---- timers */

enum { MANY = 500 };

static struct alarms clock_;
static struct alarm alarms[MANY];
static uint64_t last_ms;
static unsigned n_rung;

static void on_alarm(struct alarm *a)
{
	if (a->at_ms < last_ms)
		n_rung = MANY * 10; /* out of order */
	last_ms = a->at_ms;
	n_rung++;
}

TEST(timers_ring_in_their_order_and_not_when_cancelled)
{
	uint64_t seed = 1, random;
	unsigned n_cancelled = 0;

	sl_random_fake(&seed);
	for (unsigned i = 0; i < MANY; i++) {
		alarms[i] = (struct alarm){.fn = on_alarm};
		CHECK_INT(sl_random(&random, sizeof random), 0);
		CHECK_INT(alarm_set(&clock_, &alarms[i], random % 10000), 0);
	}
	for (unsigned i = 0; i < MANY; i += 3, n_cancelled++)
		alarm_cancel(&clock_, &alarms[i]);
	for (unsigned i = 1; i < MANY; i += 7)
		if (i % 3)
			CHECK_INT(alarm_set(&clock_, &alarms[i], 5000), 0); /* moved */
	CHECK(alarms_run(&clock_, 4999) >= 5000);
	CHECK_INT(alarms_run(&clock_, 10000), UINT64_MAX);
	CHECK_INT(n_rung, MANY - n_cancelled);
	alarms_free(&clock_);
	sl_random_fake(NULL);
}

/* ---- between the halves */

TEST(messages_between_the_halves_are_read_as_written)
{
	const struct wire_leg leg = {.leg = 5,
				     .seq = 6,
				     .verb = WIRE_LEG_OPEN,
				     .a = 1,
				     .b = 4,
				     .n_list = 2,
				     .list = {1, 3},
				     .text = SL_STR_INIT("x")};
	const struct wire_reply reply = {
		.leg = 5, .seq = 6, .rc = -SL_EUNSUPP, .text = SL_STR_INIT("no")};
	struct wire_reply reply2;
	struct wire_leg leg2;
	struct sl_buf b;

	sl_buf_init(&b, 0);
	wire_put_leg(&b, &leg);
	CHECK_INT(wire_get_leg(sl_buf_view(&b), &leg2), 0);
	CHECK(leg2.leg == 5 && leg2.verb == WIRE_LEG_OPEN && leg2.list[1] == 3 && leg2.b == 4);
	CHECK_STR(leg2.text, "x");
	for (size_t n = 0; n < b.len; n++)
		CHECK_INT(wire_get_leg((struct sl_str){(char *)b.p, n}, &leg2), -SL_EPARSE);
	sl_buf_reset(&b);
	wire_put_reply(&b, &reply);
	CHECK_INT(wire_get_reply(sl_buf_view(&b), &reply2), 0);
	CHECK_INT(reply2.rc, -SL_EUNSUPP);
	sl_buf_u8(&b, 0);
	CHECK_INT(wire_get_reply(sl_buf_view(&b), &reply2), -SL_EPARSE);
	sl_buf_free(&b);
}

TEST(a_flow_is_read_as_written)
{
	struct sip_flow f = {.worker = 0x10002, .conn = 7, .listener = 3, .transport = SIP_WSS}, g;
	struct sl_reader r;
	struct sl_buf b;

	CHECK_INT(sl_addr_parse(&f.remote, SL_STR("[2001:db8::1]:5061")), 0);
	CHECK_INT(sl_addr_parse(&f.local, SL_STR("192.0.2.1:5060")), 0);
	sl_buf_init(&b, 0);
	wire_put_flow(&b, &f);
	r = sl_reader(b.p, b.len);
	wire_get_flow(&r, &g);
	CHECK(!r.failed && r.p == r.end);
	CHECK(sip_flow_same(&f, &g) && sl_addr_eq(&f.local, &g.local) && g.worker == f.worker);
	g.conn = 8;
	CHECK(!sip_flow_same(&f, &g));
	sl_buf_free(&b);
}

TEST(names_tell_whose_they_are)
{
	char name[SIP_NAME_LEN + 1];

	CHECK_INT(sip_name_new(name, 0x30005), 0);
	CHECK_INT(sip_name_owner(sl_str_c(name)), 0x30005);
	CHECK_INT(sip_name_owner(SL_STR("z9hG4bKwhatever")), 0);
	CHECK_INT(sip_name_owner(SL_STR("000300zz0000000000000000")), 0);
	CHECK_STR(sip_branch_name(SL_STR("z9hG4bKx")), "x");
	CHECK_INT(sip_branch_name(SL_STR("rfc2543")).len, 0);
}

/* ---- the dial plan */

static struct user_conf users[] = {{.name = SL_STR_INIT("1001")}, {.name = SL_STR_INIT("1002")}};
static struct trunk_conf trunks[] = {{.name = SL_STR_INIT("pstn")},
				     {.name = SL_STR_INIT("backup")}};
static struct route_conf routes[4];
static struct sip_conf conf = {.users = {users, 2}, .trunks = {trunks, 2}, .routes = {routes, 0}};
static struct dial_result result;

static void route(struct sl_str match, struct sl_str to, struct sl_str source)
{
	struct route_conf *r = &routes[conf.routes.n++];

	*r = (struct route_conf){.to = to, .trunk = source};
	if (sl_regex_new(match, &r->match, NULL, 0) < 0)
		abort();
}

static void no_routes(void)
{
	while (conf.routes.n > 0) {
		sl_regex_free(routes[--conf.routes.n].match);
		sl_regex_free(routes[conf.routes.n].value);
	}
}

static int dial(struct sl_str called, enum dial_source source, struct sl_str trunk)
{
	return dialplan_route(&conf,
			      &(struct dial_call){.called = called,
						  .caller = SL_STR("1001"),
						  .source = source,
						  .trunk = trunk},
			      &result);
}

TEST(without_routes_users_are_called_by_their_names)
{
	CHECK_INT(dial(SL_STR("1002"), DIAL_FROM_USER, SL_STR_NULL), 0);
	CHECK_INT(result.targets[0].kind, DIAL_USER);
	CHECK_STR(sl_str_c(result.targets[0].name), "1002");
	CHECK_INT(dial(SL_STR("echo"), DIAL_FROM_USER, SL_STR_NULL), 0);
	CHECK_INT(result.targets[0].kind, DIAL_ECHO);
	CHECK_INT(dial(SL_STR("1003"), DIAL_FROM_USER, SL_STR_NULL), -SL_ENOENT);
	CHECK_INT(dial(SL_STR("1002"), DIAL_FROM_STRANGER, SL_STR_NULL), -SL_EDENIED);
}

TEST(the_first_route_that_matches_fills_its_targets)
{
	route(SL_STR("^0([1-9][0-9]+)$"), SL_STR("trunk:pstn/+49$1|trunk:backup/$0|reject:503"),
	      SL_STR_NULL);
	route(SL_STR("^0"), SL_STR("reject:404"), SL_STR("users"));
	route(SL_STR("^200$"), SL_STR("user:1001"), SL_STR("pstn"));
	route(SL_STR("^help$"), SL_STR("echo"), SL_STR("anyone"));
	CHECK_INT(dial(SL_STR("030123"), DIAL_FROM_USER, SL_STR_NULL), 0);
	CHECK_INT(result.n_targets, 3);
	CHECK_STR(sl_str_c(result.targets[0].number), "+4930123");
	CHECK_STR(sl_str_c(result.targets[1].number), "030123");
	CHECK_INT(result.targets[2].status, 503);
	CHECK_INT(dial(SL_STR("00"), DIAL_FROM_USER, SL_STR_NULL), 0);
	CHECK_INT(result.index, 1);
	CHECK_INT(dial(SL_STR("200"), DIAL_FROM_USER, SL_STR_NULL), -SL_ENOENT);
	CHECK_INT(dial(SL_STR("200"), DIAL_FROM_TRUNK, SL_STR("pstn")), 0);
	CHECK_INT(dial(SL_STR("030123"), DIAL_FROM_STRANGER, SL_STR_NULL), -SL_ENOENT);
	CHECK_INT(dial(SL_STR("help"), DIAL_FROM_STRANGER, SL_STR_NULL), 0);
	no_routes();
}

TEST(what_is_called_cannot_become_another_target)
{
	route(SL_STR("^(.*)$"), SL_STR("user:$1"), SL_STR_NULL);
	CHECK_INT(dial(SL_STR("a|trunk:pstn/0900"), DIAL_FROM_USER, SL_STR_NULL), 0);
	CHECK_INT(result.n_targets, 1);
	CHECK_STR(sl_str_c(result.targets[0].name), "atrunk:pstn/0900");
	no_routes();
}

TEST(targets_are_checked_when_the_configuration_is)
{
	static const struct {
		struct sl_str to;
		int rc;
	} cases[] = {
		{SL_STR_INIT("user:1001"), 0},
		{SL_STR_INIT("user:9"), -SL_ECONF},
		{SL_STR_INIT("trunk:pstn/$1"), 0},
		{SL_STR_INIT("trunk:none/1"), -SL_ECONF},
		{SL_STR_INIT("user:1002 | echo"), 0},
		{SL_STR_INIT("nonsense"), -SL_ECONF},
		{SL_STR_INIT("reject:200"), -SL_ECONF},
		{SL_STR_INIT("echo:1"), -SL_ECONF},
		{SL_STR_INIT("user:$1"), 0},
		{SL_STR_INIT("user:"), -SL_ECONF},
	};
	char err[128];

	for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
		struct route_conf r = {.to = cases[i].to};

		CHECK_INT(dialplan_check(&conf, &r, err, sizeof err), cases[i].rc);
	}
}

static int dial_at(const char *local, const char *head)
{
	struct tm tm = {.tm_isdst = -1};

	sl_assert(strptime(local, "%Y-%m-%d %H:%M", &tm) != NULL);
	return dialplan_route(&conf,
			      &(struct dial_call){.called = SL_STR("1001"),
						  .caller = SL_STR("1002"),
						  .source = DIAL_FROM_USER,
						  .head = sl_str_c(head),
						  .unix_s = (uint64_t)mktime(&tm)},
			      &result);
}

/* 2026-11-27 is a Friday. */
TEST(routes_have_their_days_and_hours)
{
	static int32_t weekdays[] = {0, 1, 2, 3, 4};
	static struct sl_str day[] = {SL_STR_INIT("09:00-12:30"), SL_STR_INIT("13:30-18:00")};
	static struct sl_str night[] = {SL_STR_INIT("22:00-06:00")};
	unsigned from, to;

	route(SL_STR(".*"), SL_STR("user:1001"), SL_STR_NULL);
	routes[0].days = (struct sl_list){weekdays, 5};
	routes[0].hours = (struct sl_list){day, 2};
	route(SL_STR(".*"), SL_STR("user:1002"), SL_STR_NULL);
	routes[1].hours = (struct sl_list){night, 1};
	route(SL_STR(".*"), SL_STR("reject:480"), SL_STR_NULL);
	CHECK(dial_at("2026-11-27 09:00", "") == 0 && result.index == 0);
	CHECK(dial_at("2026-11-27 12:29", "") == 0 && result.index == 0);
	CHECK(dial_at("2026-11-27 12:30", "") == 0 && result.index == 2);
	CHECK(dial_at("2026-11-28 10:00", "") == 0 && result.index == 2);
	CHECK(dial_at("2026-11-28 23:10", "") == 0 && result.index == 1);
	CHECK(dial_at("2026-11-27 05:59", "") == 0 && result.index == 1);
	CHECK_INT(dial_read_hours(SL_STR("8:00-24:00"), &from, &to), 0);
	CHECK(from == 480 && to == 1440);
	CHECK_INT(dial_read_hours(SL_STR("08:00"), &from, &to), -SL_EPARSE);
	CHECK_INT(dial_read_hours(SL_STR("08:60-09:00"), &from, &to), -SL_EPARSE);
	CHECK_INT(dial_read_hours(SL_STR("08:00-24:01"), &from, &to), -SL_EPARSE);
	no_routes();
}

TEST(routes_may_want_a_header)
{
	const char *acme = "INVITE sip:1001@x SIP/2.0\r\nX-Other: a\r\nx-tenant: acme inc\r\n\r\n";

	route(SL_STR(".*"), SL_STR("user:1001"), SL_STR_NULL);
	routes[0].header = SL_STR("X-Tenant");
	sl_assert(sl_regex_new(SL_STR("^acme"), &routes[0].value, NULL, 0) == 0);
	route(SL_STR(".*"), SL_STR("user:1002"), SL_STR_NULL);
	routes[1].header = SL_STR("X-Other");
	route(SL_STR(".*"), SL_STR("echo"), SL_STR_NULL);
	CHECK(dial_at("2026-11-27 09:00", acme) == 0 && result.index == 0);
	CHECK(dial_at("2026-11-27 09:00", "INVITE sip:1 SIP/2.0\r\nX-Tenant: ac\r\n\r\n") == 0 &&
	      result.index == 2);
	CHECK(dial_at("2026-11-27 09:00", "INVITE sip:1 SIP/2.0\r\nX-Other: \r\n\r\n") == 0 &&
	      result.index == 1);
	CHECK(dial_at("2026-11-27 09:00", "") == 0 && result.index == 2);
	CHECK(dial_may_pass(SL_STR("X-Tenant")) && !dial_may_pass(SL_STR("v")));
	no_routes();
}

TEST(weights_share_calls_among_neighbours)
{
	unsigned n_first = 0;
	uint64_t seed = 3;

	sl_random_fake(&seed);
	route(SL_STR(".*"), SL_STR("trunk:pstn/$0 @3 | trunk:backup/$0 @1 | user:1001"),
	      SL_STR_NULL);
	for (unsigned i = 0; i < 1000; i++) {
		CHECK_INT(dial(SL_STR("5"), DIAL_FROM_USER, SL_STR_NULL), 0);
		CHECK_STR(sl_str_c(result.targets[0].name), "pstn"); /* as it is written */
		CHECK_INT(result.targets[0].weight, 3);
		dial_share(&result);
		n_first += strcmp(result.targets[0].name, "pstn") == 0;
		CHECK_INT(result.targets[2].kind, DIAL_USER);
	}
	CHECK(n_first > 700 && n_first < 800);
	no_routes();
	route(SL_STR(".*"), SL_STR("trunk:pstn/$0 @x"), SL_STR_NULL);
	CHECK_INT(dial(SL_STR("5"), DIAL_FROM_USER, SL_STR_NULL), -SL_ENOENT);
	no_routes();
	sl_random_fake(NULL);
}

TEST_MAIN()
