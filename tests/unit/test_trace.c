/*
 * test_trace.c: the flight recorder keeps the newest records, tells them oldest first, and never
 * tells a torn one.
 */
#include "../lib/test.h"
#include "../lib/kid.h"
#include "../lib/shm.h"
#include "shm/shm_impl.h"

#include <sluice/trace.h>

static const struct shm_sizes sizes = {
	.n_slots = 2, .n_sessions = 8, .n_limits = 8, .metric_bytes = 1024, .n_trace = 8};

TEST(records_come_back_oldest_first)
{
	struct shm *s = test_shm(&sizes);
	struct trace_record r[8];

	sl_trace(1, SL_TRACE_USER, 1, 1); /* not open yet: nowhere */
	test_slot_start(s, 1);
	shm_trace_open(s, 1);
	sl_trace(0xfeed, SL_TRACE_SESSION_NEW, 2, UINT64_C(1) << 40);
	sl_trace(0xfeed, SL_TRACE_SESSION_CLOSE, 3, 4);
	CHECK_INT(shm_trace_read(s, 1, r, 8), 2);
	CHECK_INT(r[0].session, 0xfeed);
	CHECK_INT(r[0].event, 1 << 16 | SL_TRACE_SESSION_NEW);
	CHECK(r[0].a_b == (UINT64_C(2) << 32 | UINT32_MAX));
	CHECK(r[1].a_b == (UINT64_C(3) << 32 | 4));
	CHECK(r[0].time_ns && r[0].time_ns <= r[1].time_ns);
	CHECK_INT(shm_trace_read(s, 0, r, 8), 0);
	CHECK_INT(shm_trace_read(s, 9, r, 8), 0);
	shm_trace_close();
	sl_trace(1, SL_TRACE_USER, 1, 1);
	CHECK_INT(shm_trace_read(s, 1, r, 8), 2);
	shm_detach(s);
}

TEST(a_full_ring_keeps_the_newest_over_the_life_of_processes)
{
	struct shm *s = test_shm(&sizes);
	struct trace_record r[8];

	for (unsigned i = 0; i < 20; i++) {
		shm_trace_open(s, 0);
		sl_trace(i, SL_TRACE_USER, i, 0);
		shm_trace_close();
	}
	CHECK_INT(shm_trace_read(s, 0, r, 8), 8);
	CHECK_INT(r[0].session, 12);
	CHECK_INT(r[7].session, 19);
	CHECK_INT(shm_trace_read(s, 0, r, 3), 3);
	CHECK_INT(r[0].session, 17);
	shm_detach(s);
}

TEST(a_record_cut_short_is_left_out)
{
	struct shm *s = test_shm(&sizes);
	struct trace_record r[8], *first = (struct trace_record *)(void *)(s->trace + SHM_LINE);

	shm_trace_open(s, 0);
	for (unsigned i = 0; i < 3; i++)
		sl_trace(i, SL_TRACE_USER, i, 0);
	shm_trace_close();
	first[1].time_ns = 0;
	CHECK_INT(shm_trace_read(s, 0, r, 8), 2);
	CHECK_INT(r[1].session, 2);
	shm_detach(s);
}

static void trace_for_ever(struct shm *s, uint64_t *n_done)
{
	shm_trace_open(s, 0);
	for (uint32_t i = 0;; i++) {
		sl_trace(i, SL_TRACE_USER, i, ~i);
		kid_done(n_done);
	}
}

TEST(no_record_is_torn_while_it_is_written_or_after_a_kill)
{
	struct shm *s = test_shm(&sizes);
	struct trace_record r[8];
	struct kid kid = {0};
	unsigned n_read = 0;

	for (unsigned kill = 0; kill < 50; kill++) {
		if (kid_start(&kid))
			trace_for_ever(s, kid.n_done);
		CHECK(kid_wait_done(&kid, 1));
		for (unsigned i = 0; i < 2000; i++) {
			unsigned n = shm_trace_read(s, 0, r, 8);

			n_read += n;
			while (n-- > 0)
				CHECK(r[n].a_b == (r[n].session << 32 | (uint32_t)~r[n].session));
		}
		kid_kill(&kid);
		CHECK(shm_trace_read(s, 0, r, 8) >= 7 || *kid.n_done < 7);
	}
	CHECK(n_read > 0);
	shm_detach(s);
}

TEST(every_event_has_its_text)
{
	uint32_t drain = 5 << 16 | SL_TRACE_WORKER_DRAIN;

	CHECK_STR(sl_str_c(shm_trace_text(drain)), "worker drains, generation %a");
	CHECK_STR(sl_str_c(shm_trace_text(999)), "unknown event");
}

TEST_MAIN()
