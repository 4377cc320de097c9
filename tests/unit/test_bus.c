/*
 * test_bus.c: events reach their handlers in order until one says done; interfaces are found by
 * name and version.
 */
#include "../lib/test.h"
#include "../lib/process.h"

struct listener {
	unsigned n;
	int answer;
	uint32_t kind;
};

static int on_event(void *ctx, const struct sl_bus_event *ev)
{
	struct listener *l = ctx;

	l->n++;
	l->kind = ev->kind;
	return l->answer;
}

static const struct sl_hook hooks[] = {SL_ON_EVENT(SL_NORMAL, on_event), SL_HOOKS_END};

TEST(an_event_goes_to_all_until_one_is_done_with_it)
{
	struct listener a = {.answer = SL_DECLINED}, b = {.answer = SL_DONE}, c = {0};
	const struct sl_bus_event ev = {.kind = SL_EV_USER + 3, .name = "test.event"};
	struct test_node n;
	struct sl_worker *w;

	test_node_new(&n);
	w = test_worker(&n, 0);
	test_module(w->registry, &(struct sl_module){.name = "a", .hooks = hooks})->ctx = &a;
	test_module(w->registry, &(struct sl_module){.name = "b", .hooks = hooks})->ctx = &b;
	test_module(w->registry, &(struct sl_module){.name = "c", .hooks = hooks})->ctx = &c;
	CHECK(!sl_bus_is_heard(w));
	CHECK_INT(hooks_build(w->registry, NULL, 0), 0);
	CHECK(sl_bus_is_heard(w));
	sl_bus_publish(w, &ev);
	CHECK_INT(a.n, 1);
	CHECK_INT(a.kind, SL_EV_USER + 3);
	CHECK_INT(b.n, 1);
	CHECK_INT(c.n, 0);
	test_node_free(&n);
}

TEST(an_interface_is_its_name_and_version)
{
	static const int table1 = 1, table2 = 2;
	struct test_node n;
	struct sl_worker *w;
	void *self = NULL;

	test_node_new(&n);
	w = test_worker(&n, 0);
	CHECK(sl_iface_get(w, "http", 1, &self) == NULL);
	CHECK_INT(sl_iface_provide(w, "http", 1, &table1, w), 0);
	CHECK_INT(sl_iface_provide(w, "http", 2, &table2, NULL), 0);
	CHECK_INT(sl_iface_provide(w, "http", 1, &table2, NULL), -SL_EEXIST);
	CHECK(sl_iface_get(w, "http", 1, &self) == &table1);
	CHECK(self == w);
	CHECK(sl_iface_get(w, "http", 2, NULL) == &table2);
	CHECK(sl_iface_get(w, "http", 3, &self) == NULL);
	CHECK(sl_iface_get(w, "htt", 1, &self) == NULL);
	test_node_free(&n);
}

TEST_MAIN()
