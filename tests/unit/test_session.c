/*
 * test_session.c: sessions of one worker and their entries, counted over the node.
 */
#include "../lib/test.h"
#include "../lib/process.h"
#include <sluice/session.h>

struct seen {
	unsigned n_new, n_close, n_log, n_evicted;
	const char *why;
	bool closes; /* the owner's code closes what it is asked to */
};

static int on_new(void *ctx, struct sl_session *s)
{
	(void)s;
	((struct seen *)ctx)->n_new++;
	return SL_OK;
}

static int on_close(void *ctx, struct sl_session *s)
{
	(void)s;
	((struct seen *)ctx)->n_close++;
	return SL_OK;
}

static const struct sl_hook hooks[] = {SL_ON_SESSION(SL_SESS_NEW, SL_NORMAL, on_new),
				       SL_ON_SESSION(SL_SESS_CLOSE, SL_NORMAL, on_close),
				       SL_HOOKS_END};

static void on_evict(void *arg, struct sl_session *s, const char *why)
{
	struct seen *seen = arg;

	seen->n_evicted++;
	seen->why = why;
	if (seen->closes)
		sl_session_close(s, why);
}

static struct sl_worker *worker_with_hooks(struct test_node *n, unsigned slot, struct seen *seen)
{
	struct sl_worker *w = test_worker(n, slot);

	test_module(w->registry, &(struct sl_module){.name = "m", .hooks = hooks})->ctx = seen;
	sl_assert(hooks_build(w->registry, NULL, 0) == 0);
	return w;
}

TEST(a_session_is_an_entry_and_two_phases)
{
	const struct sl_session_opts o = {.kind = SL_KIND_SIGNAL,
					  .label = SL_STR("a name that is longer than the field")};
	struct session_entry e;
	struct seen seen = {0};
	struct sl_session *s;
	struct test_node n;
	struct sl_worker *w;
	uint32_t owner;

	test_node_new(&n);
	w = worker_with_hooks(&n, 1, &seen);
	CHECK_INT(sl_session_open(w, &o, &s), 0);
	CHECK_INT(seen.n_new, 1);
	CHECK_INT(sl_session_find_owner(w, s->sid, &owner), 0);
	CHECK_INT(owner, sl_worker_owner(w));
	CHECK_INT(s->sid[0] << 4 | s->sid[1] >> 4, 1); /* its slot */
	s->stats->packets_in = 7;
	CHECK_INT(shm_session_read(n.shm, s->index, &e), 0);
	CHECK_INT(e.packets_in, 7);
	CHECK_INT(e.kind, SL_KIND_SIGNAL);
	CHECK_INT(strlen(e.label), sizeof e.label - 1);
	sl_session_close(s, "test");
	sl_session_close(NULL, "test");
	CHECK_INT(seen.n_close, 1);
	CHECK_INT(shm_sessions_live(n.shm), 0);
	CHECK_INT(shm_audit(n.shm), 0);
	test_node_free(&n);
}

TEST(a_session_moves_to_other_keys_or_stays_whole)
{
	const struct sl_listener media = {.index = 3, .udp = true};
	const struct sl_session_opts o = {.kind = SL_KIND_RTC};
	struct sl_session *a, *b;
	struct sl_addr here, there;
	uint32_t index, owner;
	struct seen seen = {0};
	struct test_node n;
	struct sl_worker *w;

	test_node_new(&n);
	w = worker_with_hooks(&n, 1, &seen);
	CHECK_INT(sl_addr_parse(&here, SL_STR("192.0.2.1:1000")), 0);
	CHECK_INT(sl_addr_parse(&there, SL_STR("192.0.2.1:1001")), 0);
	CHECK_INT(sl_session_open(w, &o, &a), 0);
	CHECK_INT(sl_session_open(w, &o, &b), 0);
	CHECK_INT(sl_session_set_ufrag(a, SL_STR("AB12")), 0);
	CHECK_INT(sl_session_move(a, &media, &here), 0);
	CHECK_INT(shm_find_ufrag(n.shm, "AB12", &index, &owner), 0);
	CHECK_INT(index, a->index);
	CHECK_INT(sl_session_set_ufrag(b, SL_STR("AB12")), -SL_EEXIST);
	CHECK_INT(sl_session_move(b, &media, &there), 0);
	CHECK_INT(sl_session_move(b, &media, &here), -SL_EEXIST);
	CHECK_INT(shm_find_tuple(n.shm, 3, &there, &index, &owner), 0);
	CHECK_INT(index, b->index);
	CHECK_INT(sl_session_set_ufrag(a, SL_STR_NULL), 0);
	CHECK_INT(shm_find_ufrag(n.shm, "AB12", &index, &owner), -SL_ENOENT);
	CHECK_INT(sl_session_move(b, NULL, NULL), 0);
	CHECK_INT(shm_find_tuple(n.shm, 3, &there, &index, &owner), -SL_ENOENT);
	CHECK_INT(sl_session_find_owner(w, b->sid, &owner), 0);
	sl_session_close(a, "test");
	sl_session_close(b, "test");
	CHECK_INT(shm_audit(n.shm), 0);
	test_node_free(&n);
}

TEST(a_limit_counts_over_workers_and_comes_back)
{
	const struct sl_session_opts o = {
		.kind = SL_KIND_TURN, .limits = {{SL_STR("user:alice"), 2}}};
	struct sl_session *a, *b, *c;
	struct seen seen = {0};
	struct test_node n;
	struct sl_worker *v, *w;

	test_node_new(&n);
	v = worker_with_hooks(&n, 0, &seen);
	w = worker_with_hooks(&n, 1, &seen);
	CHECK_INT(sl_session_open(v, &o, &a), 0);
	CHECK_INT(sl_session_open(w, &o, &b), 0);
	CHECK_INT(sl_session_open(w, &o, &c), -SL_ELIMIT);
	CHECK_INT(seen.n_new, 2);
	sl_session_close(a, "test");
	CHECK_INT(sl_session_open(w, &o, &c), 0);
	sl_session_close(b, "test");
	sl_session_close(c, "test");
	CHECK_INT(shm_audit(n.shm), 0);
	test_node_free(&n);
}

TEST(of_several_limits_the_one_that_refuses_is_named_and_none_is_kept)
{
	unsigned hit = 9;
	const struct sl_session_opts o = {
		.kind = SL_KIND_TURN,
		.limits = {{SL_STR("user:bob"), 2}, {SL_STR_NULL, 0}, {SL_STR("realm:lab"), 1}},
		.ret_limit = &hit,
	};
	struct sl_session *a, *b;
	struct seen seen = {0};
	struct test_node n;
	struct sl_worker *w;

	test_node_new(&n);
	w = worker_with_hooks(&n, 0, &seen);
	CHECK_INT(sl_session_open(w, &o, &a), 0);
	CHECK_INT(sl_session_open(w, &o, &b), -SL_ELIMIT);
	CHECK_INT(hit, 2);
	CHECK_INT(shm_audit(n.shm), 0);
	sl_session_close(a, "test");
	CHECK_INT(sl_session_open(w, &o, &a), 0);
	sl_session_close(a, "test");
	CHECK_INT(shm_audit(n.shm), 0);
	test_node_free(&n);
}

TEST(a_full_table_and_a_taken_tuple_are_refused_without_a_trace)
{
	const struct sl_listener l = {.index = 3};
	struct sl_session_opts o = {.kind = SL_KIND_TURN};
	struct sl_session *all[100], *s;
	struct seen seen = {0};
	struct test_node n;
	struct sl_worker *w;
	unsigned i = 0;
	int rc;

	test_node_new(&n);
	w = worker_with_hooks(&n, 0, &seen);
	while ((rc = sl_session_open(w, &o, &s)) == 0 && i < SL_ARRAY_LEN(all))
		all[i++] = s;
	CHECK_INT(rc, -SL_EFULL);
	CHECK(i >= 64);
	while (i > 0)
		sl_session_close(all[--i], "test");
	o.listener = &l;
	CHECK_INT(sl_addr_parse(&o.remote, SL_STR("192.0.2.1:5000")), 0);
	CHECK_INT(sl_session_open(w, &o, &all[0]), 0);
	CHECK_INT(sl_session_open(w, &o, &s), -SL_EEXIST);
	sl_session_close(all[0], "test");
	CHECK_INT(shm_sessions_live(n.shm), 0);
	CHECK_INT(shm_audit(n.shm), 0);
	test_node_free(&n);
}

TEST(everybody_is_asked_to_leave_and_may_go_while_asked)
{
	struct seen seen = {.closes = true};
	struct sl_session_opts o = {.kind = SL_KIND_USER, .evict = on_evict, .arg = &seen};
	struct sl_session *s;
	struct test_node n;
	struct sl_worker *w;
	uint8_t sid[SL_SID_BYTES];

	test_node_new(&n);
	w = worker_with_hooks(&n, 0, &seen);
	for (unsigned i = 0; i < 5; i++)
		CHECK_INT(sl_session_open(w, &o, &s), 0);
	memcpy(sid, s->sid, sizeof sid);
	CHECK(sl_session_arg(s) == &seen);
	CHECK(sessions_evict(w, sid, "kick"));
	CHECK_STR(sl_str_c(seen.why), "kick");
	CHECK(!sessions_evict(w, sid, "kick"));
	CHECK_INT(w->registry->n_local, 4);
	sessions_evict_all(w, "drain");
	CHECK_INT(seen.n_evicted, 5);
	CHECK_STR(sl_str_c(seen.why), "drain");
	CHECK_INT(w->registry->n_local, 0);
	CHECK_INT(shm_sessions_live(n.shm), 0);
	test_node_free(&n);
}

TEST(names_of_sessions_are_hex_and_read_back)
{
	uint8_t sid[SL_SID_BYTES], back[SL_SID_BYTES];
	char text[SL_SID_STRLEN];
	struct test_node n;
	struct sl_worker *w;

	test_node_new(&n);
	w = test_worker(&n, 2);
	CHECK_INT(sl_sid_new(w, sid), 0);
	CHECK_INT(sl_sid_parse(back, sl_str_c(sl_sid_format(text, sid))), 0);
	CHECK_MEM(back, sid, sizeof sid);
	CHECK_INT(sl_sid_parse(back, SL_STR("0123")), -SL_EPARSE);
	CHECK_INT(sl_sid_parse(back, SL_STR("x0000000000000000000000000000000")), -SL_EPARSE);
	CHECK_STR(sl_str_c(sl_session_kind_name(SL_KIND_TURN)), "turn");
	CHECK_STR(sl_str_c(sl_session_kind_name(999)), "unknown");
	test_node_free(&n);
}

TEST_MAIN()
