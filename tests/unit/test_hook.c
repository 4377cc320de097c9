/*
 * test_hook.c: chains of handlers: by priority, then by the order of modules, only where active.
 */
#include "../lib/test.h"
#include "../lib/process.h"

static char order[64];

static int on_event(void *ctx, const struct sl_bus_event *ev)
{
	size_t n = strlen(order);

	(void)ev;
	if (n + 1 < sizeof order)
		order[n] = *(const char *)ctx;
	return SL_OK;
}

static int on_dgram(void *ctx, struct sl_packet *p)
{
	(void)p;
	return on_event(ctx, NULL);
}

static const struct sl_hook late[] = {SL_ON_EVENT(SL_LATE, on_event), SL_HOOKS_END};
static const struct sl_hook normal[] = {SL_ON_EVENT(SL_NORMAL, on_event),
					SL_ON_DGRAM(SL_DGRAM_GUARD, SL_NORMAL, on_dgram),
					SL_HOOKS_END};
static const struct sl_hook twice[] = {SL_ON_EVENT(SL_LAST, on_event),
				       SL_ON_DGRAM(SL_DGRAM_GUARD, SL_FIRST, on_dgram),
				       SL_ON_EVENT(SL_FIRST, on_event), SL_HOOKS_END};

static struct module *add(struct registry *r, const char *name, const struct sl_hook *hooks)
{
	struct module *m = test_module(r, &(struct sl_module){.name = name, .hooks = hooks});

	m->ctx = (void *)name;
	return m;
}

static void run_events(const struct registry *r)
{
	memset(order, 0, sizeof order);
	for (unsigned i = 0; i < r->events.n; i++)
		(void)r->events.calls[i].fn.event(r->events.calls[i].ctx, NULL);
}

TEST(priority_first_then_the_order_of_modules)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct registry *r;

	CHECK_INT(registry_new(pool, &r), 0);
	add(r, "a", late);
	add(r, "b", normal);
	add(r, "c", twice);
	add(r, "d", normal);
	CHECK_INT(hooks_build(r, NULL, 0), 0);
	CHECK_INT(r->events.n, 5);
	run_events(r);
	CHECK_STR(sl_str_c(order), "cbdac");
	sl_pool_destroy(pool);
}

TEST(what_did_not_start_is_not_called)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct registry *r;

	CHECK_INT(registry_new(pool, &r), 0);
	add(r, "a", normal)->started = false;
	add(r, "b", NULL);
	add(r, "c", normal);
	CHECK_INT(hooks_build(r, NULL, 0), 0);
	run_events(r);
	CHECK_STR(sl_str_c(order), "c");
	sl_pool_destroy(pool);
}

TEST(a_listener_has_its_own_chain_of_what_is_active_there)
{
	int conf = 0;
	void *confs[] = {&conf, NULL, &conf};
	struct net_listener l = {.pub = {.confs = confs}};
	struct sl_pool *pool = sl_pool_new(0);
	struct registry *r;

	CHECK_INT(registry_new(pool, &r), 0);
	add(r, "a", normal);
	add(r, "b", normal);
	add(r, "c", twice);
	CHECK_INT(hooks_build(r, &l, 1), 0);
	CHECK_INT(l.guard.n, 2);
	CHECK_INT(l.content.n, 0);
	memset(order, 0, sizeof order);
	CHECK_INT(hook_run_dgram(&l.guard, NULL), SL_OK);
	CHECK_STR(sl_str_c(order), "ca");
	CHECK_INT(hook_run_dgram(&l.content, NULL), SL_DECLINED);
	sl_pool_destroy(pool);
}

TEST(every_phase_has_a_name)
{
	for (unsigned i = 0; i < SL_N_PHASES; i++)
		CHECK(sl_phase_name(i)[0] != '?');
	CHECK_STR(sl_str_c(sl_phase_name(SL_N_PHASES)), "?");
}

TEST_MAIN()
