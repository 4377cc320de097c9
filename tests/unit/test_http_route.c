/*
 * Routes: the longest pattern wins, whatever the order of registration; methods share a pattern.
 */
#include "../../modules/http/route.c"
#include "lib/test.h"

static void handler(void *arg, struct sl_http_req *r)
{
	(void)arg, (void)r;
}

static int add(struct routes *rs, const char *method, const char *path)
{
	const struct route r = {.kind = ROUTE_HTTP, .method = method, .fn = handler};

	return routes_add(rs, &r, path);
}

static int add_websocket(struct routes *rs, const char *path)
{
	const struct route r = {.kind = ROUTE_WEBSOCKET};

	return routes_add(rs, &r, path);
}

/* The pattern that answers for a path. */
static struct sl_str match(const struct routes *rs, const char *path)
{
	const struct route *r = routes_match(rs, ROUTE_HTTP, sl_str_c(path));

	return r ? r->pattern : SL_STR("none");
}

TEST(the_longest_pattern_wins)
{
	struct routes rs = {0};

	CHECK(add(&rs, "GET", "/a*") == 0 && add(&rs, "GET", "/a/b/*") == 0 &&
	      add(&rs, "GET", "/a/b") == 0 && add(&rs, "GET", "/a/b*") == 0);
	CHECK_STR(match(&rs, "/a"), "/a");
	CHECK_STR(match(&rs, "/a/x"), "/a");
	CHECK_STR(match(&rs, "/a/b/c"), "/a/b/");
	CHECK_STR(match(&rs, "/"), "none");
	CHECK(!routes_match(&rs, ROUTE_HTTP, SL_STR("/a/b"))->prefix);
	CHECK(routes_match(&rs, ROUTE_HTTP, SL_STR("/a/bc"))->prefix);
	routes_free(&rs);
}

TEST(methods_share_a_pattern)
{
	struct routes rs = {0};
	const struct route *at;
	struct sl_buf allow;

	CHECK(add(&rs, "GET", "/x") == 0 && add(&rs, "POST", "/x") == 0 &&
	      add(&rs, "GET", "/other") == 0);
	at = routes_match(&rs, ROUTE_HTTP, SL_STR("/x"));
	CHECK(strcmp(routes_method(&rs, at, SL_STR("POST"))->method, "POST") == 0);
	CHECK(strcmp(routes_method(&rs, at, SL_STR("HEAD"))->method, "GET") == 0);
	CHECK(!routes_method(&rs, at, SL_STR("DELETE")));
	sl_buf_init(&allow, 0);
	routes_allow(&rs, at, &allow);
	CHECK_STR(sl_buf_view(&allow), "GET, HEAD, POST");
	sl_buf_free(&allow);
	routes_free(&rs);
}

TEST(what_is_taken_is_refused)
{
	struct routes rs = {0};

	CHECK_INT(add(&rs, "GET", "/x"), 0);
	CHECK_INT(add(&rs, "GET", "/x"), -SL_EEXIST);
	CHECK_INT(add(&rs, "GET", "/x*"), 0);
	CHECK_INT(add(&rs, "GET", "x"), -SL_EINVAL);
	CHECK_INT(add_websocket(&rs, "/x"), 0);
	CHECK_INT(add_websocket(&rs, "/x"), -SL_EEXIST);
	routes_free(&rs);
}

TEST(routes_and_websockets_do_not_meet)
{
	struct routes rs = {0};

	CHECK(add(&rs, "GET", "/x") == 0 && add_websocket(&rs, "/signal") == 0);
	CHECK(!routes_match(&rs, ROUTE_HTTP, SL_STR("/signal")));
	CHECK(!routes_match(&rs, ROUTE_WEBSOCKET, SL_STR("/x")));
	CHECK(routes_match(&rs, ROUTE_WEBSOCKET, SL_STR("/signal")));
	routes_free(&rs);
}

TEST(many_routes_fit)
{
	struct routes rs = {0};
	static char paths[100][16];

	for (int i = 0; i < 100; i++) {
		snprintf(paths[i], sizeof paths[i], "/p%d", i);
		CHECK_INT(add(&rs, "GET", paths[i]), 0);
	}
	CHECK_STR(match(&rs, "/p99"), "/p99");
	routes_free(&rs);
}

TEST_MAIN()
