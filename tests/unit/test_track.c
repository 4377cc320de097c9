/*
 * test_track.c: tracks are met in their phases, found later, and their packets run through filters
 * before taps.
 */
#include "../lib/test.h"
#include "../lib/process.h"

#include <sluice/track.h>

struct looker {
	char heard[64]; /* one letter for each call */
	int answer;	/* of its filter */
};

static int note(struct looker *l, char what)
{
	size_t n = strlen(l->heard);

	if (n + 1 < sizeof l->heard)
		l->heard[n] = what;
	return SL_OK;
}

static int on_new(void *ctx, struct sl_track *t)
{
	(void)t;
	return note(ctx, 'n');
}
static int on_change(void *ctx, struct sl_track *t)
{
	return note(ctx, t->muted ? 'm' : 'u');
}
static int on_clock(void *ctx, struct sl_track *t)
{
	return note(ctx, t->clock[1].ts == 90 ? 'c' : '?');
}
static int on_close(void *ctx, struct sl_track *t)
{
	(void)t;
	return note(ctx, 'x');
}
static int on_in(void *ctx, const struct sl_media *m)
{
	return note(ctx, (char)('0' + m->encoding));
}
static int on_filter(void *ctx, const struct sl_media *m)
{
	(void)m;
	note(ctx, 'f');
	return ((struct looker *)ctx)->answer;
}
static int on_tap(void *ctx, const struct sl_media *m)
{
	(void)m;
	return note(ctx, 't');
}

/* In another order than they run. */
static const struct sl_hook hooks[] = {SL_ON_MEDIA(SL_RTP_TAP, SL_FIRST, on_tap),
				       SL_ON_MEDIA(SL_RTP_FILTER, SL_NORMAL, on_filter),
				       SL_ON_MEDIA(SL_RTP_IN, SL_LAST, on_in),
				       SL_ON_TRACK(SL_TRACK_CLOSE, SL_NORMAL, on_close),
				       SL_ON_TRACK(SL_TRACK_CLOCK, SL_NORMAL, on_clock),
				       SL_ON_TRACK(SL_TRACK_CHANGE, SL_NORMAL, on_change),
				       SL_ON_TRACK(SL_TRACK_NEW, SL_NORMAL, on_new),
				       SL_HOOKS_END};

static struct sl_worker *worker_with(struct test_node *n, struct looker *l)
{
	struct sl_worker *w;

	test_node_new(n);
	w = test_worker(n, 0);
	if (l)
		test_module(w->registry, &(struct sl_module){.name = "looker", .hooks = hooks})
			->ctx = l;
	sl_assert(hooks_build(w->registry, NULL, 0) == 0);
	return w;
}

TEST(a_track_is_met_in_its_phases)
{
	static const struct sl_rtc_clock clock = {.ntp = 1, .ts = 90};
	struct looker l = {0};
	struct test_node n;
	struct sl_track t = {.worker = worker_with(&n, &l), .id = 7};

	sl_track_begin(&t);
	t.muted = true;
	sl_track_changed(&t);
	sl_track_clock(&t, 1, &clock);
	sl_track_clock(&t, SL_RTC_MAX_ENCODINGS, &clock); /* of no encoding: nobody hears of it */
	sl_track_end(&t);
	CHECK_STR(sl_str_c(l.heard), "nmcx");
	test_node_free(&n);
}

TEST(packets_run_through_filters_before_taps)
{
	struct looker l = {.answer = SL_OK};
	struct test_node n;
	struct sl_track t = {.worker = worker_with(&n, &l)};
	const struct sl_media m = {.track = &t, .encoding = 2};

	CHECK_INT(sl_track_media(&m), SL_OK);
	CHECK_STR(sl_str_c(l.heard), "2ft");
	test_node_free(&n);
}

TEST(what_a_filter_drops_goes_no_further)
{
	static const int refusals[] = {SL_DROP, -SL_EINVAL};

	for (unsigned i = 0; i < SL_ARRAY_LEN(refusals); i++) {
		struct looker l = {.answer = refusals[i]};
		struct test_node n;
		struct sl_track t = {.worker = worker_with(&n, &l)};
		const struct sl_media m = {.track = &t};

		CHECK_INT(sl_track_media(&m), SL_DROP);
		CHECK_STR(sl_str_c(l.heard), "0f");
		test_node_free(&n);
	}
}

TEST(done_ends_a_phase_and_not_the_packet)
{
	struct looker l = {.answer = SL_DONE};
	struct test_node n;
	struct sl_track t = {.worker = worker_with(&n, &l)};
	const struct sl_media m = {.track = &t};

	CHECK_INT(sl_track_media(&m), SL_OK);
	CHECK_STR(sl_str_c(l.heard), "0ft");
	test_node_free(&n);
}

TEST(without_hooks_everything_goes_on)
{
	struct test_node n;
	struct sl_track t = {.worker = worker_with(&n, NULL)};

	sl_track_begin(&t);
	CHECK_INT(sl_track_media(&(struct sl_media){.track = &t}), SL_OK);
	sl_track_end(&t);
	test_node_free(&n);
}

static void add_id(void *arg, struct sl_track *t)
{
	*(uint64_t *)arg = *(uint64_t *)arg * 10 + t->id;
}

static uint64_t ids(struct sl_worker *w)
{
	uint64_t sum = 0;

	sl_track_each(w, add_id, &sum);
	return sum;
}

TEST(who_comes_later_finds_those_that_are_there)
{
	struct test_node n;
	struct sl_worker *w = worker_with(&n, NULL);
	struct sl_track t[3] = {
		{.worker = w, .id = 1}, {.worker = w, .id = 2}, {.worker = w, .id = 3}};

	for (unsigned i = 0; i < 3; i++)
		sl_track_begin(&t[i]);
	CHECK_INT(ids(w), 321);
	sl_track_end(&t[1]);
	CHECK_INT(ids(w), 31);
	sl_track_end(&t[2]);
	CHECK_INT(ids(w), 1);
	sl_track_end(&t[0]);
	CHECK_INT(ids(w), 0);
	test_node_free(&n);
}

static void on_ask(struct sl_track *t, unsigned encoding)
{
	*(unsigned *)t->arg = encoding;
}

TEST(a_key_frame_is_asked_of_who_brings_the_track)
{
	unsigned asked = 9;
	struct sl_track t = {.ask_key_frame = on_ask, .arg = &asked}, silent = {0};

	sl_track_ask_key_frame(&t, 2);
	sl_track_ask_key_frame(&silent, 1);
	CHECK_INT(asked, 2);
}

TEST_MAIN()
