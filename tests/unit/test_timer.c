/*
 * test_timer.c: timers in virtual time: never early, in order, and free to move from inside their
 * handlers.
 */
#include "../lib/test.h"
#include "event/loop.h"

#define MS SL_NS_PER_MS

static uint64_t now_ns;

static uint64_t fake_now(void *arg)
{
	return *(uint64_t *)arg;
}

struct alarm {
	struct sl_timer t;
	struct sl_loop *l;
	struct alarm *other; /* cancelled by this one's handler */
	uint64_t again_ms;   /* 0: once */
	unsigned n, order;
};

static unsigned n_fired;

static void on_alarm(struct sl_timer *t)
{
	struct alarm *a = t->arg;

	a->n++;
	a->order = ++n_fired;
	if (a->other)
		sl_timer_cancel(a->l, &a->other->t);
	if (a->again_ms)
		sl_timer_set(a->l, t, a->again_ms);
}

static void alarm_init(struct alarm *a, struct sl_loop *l)
{
	*a = (struct alarm){.t = {.fn = on_alarm}, .l = l};
	a->t.arg = a;
}

static struct sl_loop *loop_at(uint64_t ns)
{
	struct sl_loop *l = NULL;

	sl_assert(loop_new(&l) == 0);
	now_ns = ns;
	n_fired = 0;
	loop_fake_clock(l, fake_now, &now_ns);
	return l;
}

static void tick_at(struct sl_loop *l, uint64_t ns)
{
	now_ns = ns;
	sl_assert(loop_tick(l, -1) == 0);
}

TEST(a_timer_is_never_early_and_at_most_a_millisecond_late)
{
	for (uint64_t phase = 0; phase < MS; phase += MS / 10) {
		struct sl_loop *l = loop_at(1000 * MS + phase);
		struct alarm a;

		alarm_init(&a, l);
		sl_timer_set(l, &a.t, 10);
		CHECK(sl_timer_pending(&a.t));
		tick_at(l, 1010 * MS + phase - 1);
		CHECK_INT(a.n, 0);
		tick_at(l, 1011 * MS + phase);
		CHECK_INT(a.n, 1);
		CHECK(!sl_timer_pending(&a.t));
		loop_free(l);
	}
}

TEST(timers_fire_by_time_and_then_by_setting)
{
	struct sl_loop *l = loop_at(0);
	struct alarm a, b, c;

	alarm_init(&a, l), alarm_init(&b, l), alarm_init(&c, l);
	sl_timer_set(l, &a.t, 20);
	sl_timer_set(l, &b.t, 10);
	sl_timer_set(l, &c.t, 20);
	tick_at(l, 50 * MS);
	CHECK_INT(b.order, 1);
	CHECK_INT(a.order, 2);
	CHECK_INT(c.order, 3);
	loop_free(l);
}

TEST(setting_again_moves_a_timer)
{
	struct sl_loop *l = loop_at(0);
	struct alarm a;

	alarm_init(&a, l);
	sl_timer_set(l, &a.t, 10);
	sl_timer_set(l, &a.t, 100);
	tick_at(l, 99 * MS);
	CHECK_INT(a.n, 0);
	tick_at(l, 100 * MS);
	CHECK_INT(a.n, 1);
	loop_free(l);
}

TEST(a_handler_cancels_a_timer_that_is_due_with_it)
{
	struct sl_loop *l = loop_at(0);
	struct alarm a, b;

	alarm_init(&a, l), alarm_init(&b, l);
	a.other = &b;
	sl_timer_set(l, &a.t, 5);
	sl_timer_set(l, &b.t, 5);
	tick_at(l, 5 * MS);
	CHECK_INT(a.n, 1);
	CHECK_INT(b.n, 0);
	loop_free(l);
}

TEST(a_handler_sets_its_timer_anew)
{
	struct sl_loop *l = loop_at(0);
	struct alarm a;

	alarm_init(&a, l);
	a.again_ms = 10;
	sl_timer_set(l, &a.t, 10);
	for (unsigned ms = 1; ms <= 100; ms++)
		tick_at(l, ms * MS);
	CHECK_INT(a.n, 10);
	loop_free(l);
}

TEST(an_immediate_timer_waits_for_the_next_tick_when_set_by_a_timer)
{
	struct sl_loop *l = loop_at(MS);
	struct alarm a;

	alarm_init(&a, l);
	sl_timer_set(l, &a.t, 0);
	tick_at(l, 2 * MS);
	CHECK_INT(a.n, 1);
	loop_free(l);
}

TEST(between_ticks_a_timer_counts_from_the_clock)
{
	struct sl_loop *l = loop_at(0);
	struct alarm a;

	alarm_init(&a, l);
	now_ns = 500 * MS; /* a long start-up before the loop runs */
	sl_timer_set(l, &a.t, 10);
	tick_at(l, 509 * MS);
	CHECK_INT(a.n, 0);
	tick_at(l, 510 * MS);
	CHECK_INT(a.n, 1);
	loop_free(l);
}

TEST(a_timer_for_ever_does_not_overflow)
{
	struct sl_loop *l = loop_at(MS);
	struct alarm a;

	alarm_init(&a, l);
	sl_timer_set(l, &a.t, UINT64_MAX);
	tick_at(l, 1000000 * MS);
	CHECK_INT(a.n, 0);
	sl_timer_cancel(l, &a.t);
	sl_timer_cancel(l, &a.t);
	CHECK(!sl_timer_pending(&a.t));
	loop_free(l);
}

TEST(the_system_clock_wakes_a_waiting_loop_in_time)
{
	struct sl_loop *l = NULL;
	struct alarm a;
	uint64_t start;

	CHECK_INT(loop_new(&l), 0);
	alarm_init(&a, l);
	start = sl_clock_ns();
	sl_timer_set(l, &a.t, 3);
	while (a.n == 0)
		CHECK_INT(loop_tick(l, -1), 0);
	CHECK(sl_clock_ns() - start >= 3 * MS);
	loop_free(l);
}

TEST_MAIN()
