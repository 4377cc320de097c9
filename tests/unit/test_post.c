/*
 * test_post.c: posted work: once, at the end of the tick, and never twice in one.
 */
#include "../lib/test.h"
#include "event/loop.h"

struct job {
	struct sl_post p;
	struct sl_loop *l;
	struct job *posts, *cancels; /* by the handler */
	unsigned n, order;
};

static unsigned n_run;

static void on_job(struct sl_post *p)
{
	struct job *j = p->arg;

	j->n++;
	j->order = ++n_run;
	if (j->posts)
		sl_post(j->l, &j->posts->p);
	if (j->cancels)
		sl_post_cancel(j->l, &j->cancels->p);
}

static void job_init(struct job *j, struct sl_loop *l)
{
	*j = (struct job){.p = {.fn = on_job}, .l = l};
	j->p.arg = j;
}

static struct sl_loop *new_loop(void)
{
	struct sl_loop *l = NULL;

	sl_assert(loop_new(&l) == 0);
	n_run = 0;
	return l;
}

TEST(posts_run_once_in_their_order)
{
	struct sl_loop *l = new_loop();
	struct job a, b;

	job_init(&a, l), job_init(&b, l);
	sl_post(l, &b.p);
	sl_post(l, &a.p);
	sl_post(l, &b.p);
	CHECK_INT(loop_tick(l, -1), 0);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(a.n, 1);
	CHECK_INT(b.n, 1);
	CHECK_INT(b.order, 1);
	loop_free(l);
}

TEST(a_post_by_a_post_waits_for_the_next_tick_which_does_not_sleep)
{
	struct sl_loop *l = new_loop();
	struct job a;

	job_init(&a, l);
	a.posts = &a;
	sl_post(l, &a.p);
	CHECK_INT(loop_tick(l, -1), 0);
	CHECK_INT(a.n, 1);
	CHECK_INT(loop_tick(l, -1), 0);
	CHECK_INT(a.n, 2);
	sl_post_cancel(l, &a.p);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(a.n, 2);
	loop_free(l);
}

TEST(a_post_cancels_one_that_is_about_to_run)
{
	struct sl_loop *l = new_loop();
	struct job a, b, c;

	job_init(&a, l), job_init(&b, l), job_init(&c, l);
	a.cancels = &b;
	sl_post(l, &a.p), sl_post(l, &b.p), sl_post(l, &c.p);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(a.n, 1);
	CHECK_INT(b.n, 0);
	CHECK_INT(c.n, 1);
	sl_post_cancel(l, &b.p);
	sl_post(l, &b.p);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(b.n, 1);
	loop_free(l);
}

TEST_MAIN()
