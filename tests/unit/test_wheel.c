/*
 * test_wheel.c: the timer wheel against the plain rule: each timer once, at its millisecond, in
 * order of setting.
 */
#include "../lib/test.h"

#include "base/wheel.h"

#define N 400
#define DAY_MS UINT64_C(86400000)

struct timer {
	struct wheel_node node;
	unsigned id;
};

static struct wheel wheel;
static struct timer timers[N];

static struct {
	unsigned ids[4 * N];
	uint64_t at_ms[4 * N];
	unsigned n;
} fired;

static void note(struct wheel_node *n, void *arg)
{
	(void)arg;
	fired.at_ms[fired.n] = n->at_ms;
	fired.ids[fired.n++] = SL_CONTAINER(n, struct timer, node)->id;
}

static void start(uint64_t now_ms)
{
	wheel_init(&wheel, now_ms);
	memset(timers, 0, sizeof timers);
	for (unsigned i = 0; i < N; i++)
		timers[i].id = i;
	fired.n = 0;
}

static void advance(uint64_t now_ms)
{
	wheel_advance(&wheel, now_ms, note, NULL);
}

TEST(an_empty_wheel_wants_nothing)
{
	start(5);
	CHECK(wheel_next_ms(&wheel) == UINT64_MAX);
	advance(UINT64_C(1) << 40);
	CHECK_INT(fired.n, 0);
	CHECK(wheel.now_ms == UINT64_C(1) << 40);
	CHECK(wheel_next_ms(&wheel) == UINT64_MAX);
}

/*
 * Each timer alone, from starting points before the turn of each level: not a millisecond early or
 * late.
 */
TEST(every_distance_fires_at_its_millisecond)
{
	static const uint64_t starts[] = {0,	  1,	    255,	256,
					  0xfffe, 0xffffff, 0xfffffff0, 0x123456789};
	static const uint64_t delays[] = {
		1,	    2,		 255,	      256,	   257,		 65535,
		65536,	    65537,	 0xffffff,    0x1000000,   0x1000001,	 0xfffffffe,
		0xffffffff, 0x100000000, 0x1ffffffff, 60 * DAY_MS, 400 * DAY_MS,
	};

	for (size_t s = 0; s < SL_ARRAY_LEN(starts); s++) {
		for (size_t d = 0; d < SL_ARRAY_LEN(delays); d++) {
			uint64_t at_ms = starts[s] + delays[d];

			start(starts[s]);
			wheel_add(&wheel, &timers[0].node, at_ms);
			CHECK(wheel_next_ms(&wheel) <= at_ms);
			advance(at_ms - 1);
			CHECK_INT(fired.n, 0);
			CHECK(wheel_next_ms(&wheel) == at_ms);
			advance(at_ms);
			CHECK_INT(fired.n, 1);
			CHECK_INT(wheel.n_pending, 0);
			CHECK(timers[0].node.next == NULL);
		}
	}
}

TEST(following_next_ms_arrives_exactly_and_soon)
{
	start(0xfffffff0);
	wheel_add(&wheel, &timers[0].node, 0xfffffff0 + 123 * DAY_MS + 4567);
	for (unsigned turns = 0; fired.n == 0; turns++) {
		uint64_t next_ms = wheel_next_ms(&wheel);

		CHECK(turns < 20);
		CHECK(next_ms > wheel.now_ms);
		advance(next_ms);
	}
	CHECK(wheel.now_ms == 0xfffffff0 + 123 * DAY_MS + 4567);
}

TEST(one_millisecond_keeps_the_order_of_setting_over_all_levels)
{
	static const uint64_t steps[] = {0, 100, 70000, 99000, 99900, 99999};

	start(0);
	for (unsigned i = 0; i < SL_ARRAY_LEN(steps); i++) {
		advance(steps[i]);
		wheel_add(&wheel, &timers[2 * i].node, 100000);
		wheel_add(&wheel, &timers[2 * i + 1].node, 100000);
	}
	advance(100000);
	CHECK_INT(fired.n, 12);
	for (unsigned i = 0; i < fired.n; i++)
		CHECK_INT(fired.ids[i], i);
}

TEST(a_long_jump_fires_by_time)
{
	start(7);
	for (unsigned i = 0; i < N; i++)
		wheel_add(&wheel, &timers[i].node, 10 + (uint64_t)(N - i) * 977);
	CHECK_INT(wheel.n_pending, N);
	advance(DAY_MS);
	CHECK_INT(fired.n, N);
	for (unsigned i = 0; i < N; i++)
		CHECK_INT(fired.ids[i], N - 1 - i);
}

TEST(the_past_fires_at_the_next_advance)
{
	start(1000);
	wheel_add(&wheel, &timers[0].node, 1000);
	wheel_add(&wheel, &timers[1].node, 3);
	CHECK_INT(wheel_next_ms(&wheel), 1000);
	CHECK_INT(fired.n, 0);
	advance(1000);
	CHECK_INT(fired.n, 2);
	CHECK_INT(fired.ids[0], 0);
	CHECK_INT(fired.ids[1], 1);
}

TEST(time_does_not_go_back)
{
	start(1000);
	wheel_add(&wheel, &timers[0].node, 1000);
	advance(999);
	CHECK_INT(fired.n, 0);
	CHECK_INT(wheel.now_ms, 1000);
}

TEST(deleting_is_for_ever_and_harmless_twice)
{
	start(0);
	wheel_add(&wheel, &timers[0].node, 50);
	wheel_add(&wheel, &timers[1].node, 50);
	wheel_add(&wheel, &timers[2].node, 500000);
	wheel_del(&wheel, &timers[0].node);
	wheel_del(&wheel, &timers[0].node);
	wheel_del(&wheel, &timers[3].node);
	CHECK_INT(wheel.n_pending, 2);
	wheel_del(&wheel, &timers[1].node);
	CHECK(wheel_next_ms(&wheel) > 50);
	wheel_del(&wheel, &timers[2].node);
	CHECK(wheel_next_ms(&wheel) == UINT64_MAX);
	advance(DAY_MS);
	CHECK_INT(fired.n, 0);
}

TEST(adding_again_moves)
{
	start(0);
	wheel_add(&wheel, &timers[0].node, 50);
	wheel_add(&wheel, &timers[0].node, 70000);
	CHECK_INT(wheel.n_pending, 1);
	advance(69999);
	CHECK_INT(fired.n, 0);
	wheel_add(&wheel, &timers[0].node, 70001);
	advance(70000);
	CHECK_INT(fired.n, 0);
	advance(70001);
	CHECK_INT(fired.n, 1);
}

static void again_at_once(struct wheel_node *n, void *arg)
{
	note(n, arg);
	wheel_add(&wheel, n, wheel.now_ms);
}

TEST(a_callback_that_sets_itself_for_now_waits_for_the_next_advance)
{
	start(0);
	wheel_add(&wheel, &timers[0].node, 10);
	wheel_advance(&wheel, 20, again_at_once, NULL);
	CHECK_INT(fired.n, 1);
	CHECK_INT(wheel_next_ms(&wheel), 20);
	wheel_advance(&wheel, 20, again_at_once, NULL);
	CHECK_INT(fired.n, 2);
}

static void delete_next(struct wheel_node *n, void *arg)
{
	unsigned id = SL_CONTAINER(n, struct timer, node)->id;

	note(n, arg);
	wheel_del(&wheel, &timers[id + 1].node);
	wheel_add(&wheel, &timers[id + 2].node, 5000);
}

TEST(a_callback_may_delete_and_move_what_is_due_with_it)
{
	start(0);
	for (unsigned i = 0; i < 4; i++)
		wheel_add(&wheel, &timers[i].node, 10);
	wheel_advance(&wheel, 10, delete_next, NULL);
	CHECK_INT(fired.n, 2); /* 0 deleted 1 and moved 2; 3 deleted 4 and set 5 */
	CHECK_INT(fired.ids[1], 3);
	CHECK_INT(wheel.n_pending, 2);
	advance(5000);
	CHECK_INT(fired.n, 4);
	CHECK_INT(fired.ids[2], 2);
	CHECK_INT(fired.ids[3], 5);
}

static uint64_t dice_state;

static uint64_t dice(uint64_t sides)
{
	dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
	return (dice_state >> 33) % sides;
}

/* Delays of every magnitude: most timers of a gateway are short, some are hours. */
static uint64_t random_delay(void)
{
	return dice(UINT64_C(1) << (1 + dice(33)));
}

/* What the wheel must do, done slowly: the pending timer with the least (time, setting). */
struct rule {
	bool pending[N];
	uint64_t at_ms[N], order[N], n_set;
};

static int rule_first(const struct rule *r)
{
	int first = -1;

	for (int i = 0; i < N; i++) {
		if (!r->pending[i])
			continue;
		if (first < 0 || r->at_ms[i] < r->at_ms[first] ||
		    (r->at_ms[i] == r->at_ms[first] && r->order[i] < r->order[first]))
			first = i;
	}
	return first;
}

static void set_random(struct rule *r)
{
	unsigned i = (unsigned)dice(N);
	uint64_t at_ms = wheel.now_ms + 1 + random_delay();

	wheel_add(&wheel, &timers[i].node, at_ms);
	r->pending[i] = true;
	r->at_ms[i] = at_ms;
	r->order[i] = r->n_set++;
}

static void delete_random(struct rule *r)
{
	unsigned i = (unsigned)dice(N);

	wheel_del(&wheel, &timers[i].node);
	r->pending[i] = false;
}

TEST(any_mix_of_setting_moving_deleting_and_waiting_follows_the_rule)
{
	static struct rule rule;

	memset(&rule, 0, sizeof rule);
	dice_state = 20;
	start(0xffff1234);
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t until_ms = wheel.now_ms;

		for (uint64_t n = dice(6); n > 0; n--)
			set_random(&rule);
		if (dice(2) == 0)
			delete_random(&rule);
		until_ms += dice(2) == 0 ? dice(40) : random_delay() / 64;
		fired.n = 0;
		advance(until_ms);
		for (unsigned i = 0; i < fired.n; i++) {
			int want = rule_first(&rule);

			CHECK_INT(fired.ids[i], want);
			CHECK(rule.at_ms[want] <= until_ms && rule.at_ms[want] == fired.at_ms[i]);
			rule.pending[want] = false;
		}
		if (rule_first(&rule) >= 0) {
			CHECK(rule.at_ms[rule_first(&rule)] > until_ms);
			CHECK(wheel_next_ms(&wheel) <= rule.at_ms[rule_first(&rule)]);
			CHECK(wheel_next_ms(&wheel) > until_ms);
		}
	}
}

TEST_MAIN()
