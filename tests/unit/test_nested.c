/*
 * test_nested.c: a foreign loop inside ours, played by a struct: it runs when its descriptor is
 * ready and when its time has come.
 */
#include "../lib/test.h"
#include "event/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define MS SL_NS_PER_MS

struct foreign {
	struct sl_nested n;
	struct sl_loop *l;
	struct foreign *removes; /* by run */
	int timeout_ms;
	unsigned runs;
};

static uint64_t now_ns;

static uint64_t fake_now(void *arg)
{
	return *(uint64_t *)arg;
}

static int timeout_of(void *arg)
{
	return ((struct foreign *)arg)->timeout_ms;
}

static void run(void *arg)
{
	struct foreign *f = arg;
	uint64_t n;

	f->runs++;
	if (read(f->n.ev.fd, &n, sizeof n) < 0)
		sl_assert(f->timeout_ms >= 0); /* not ready: it was a time-out */
	f->timeout_ms = -1;
	if (f->removes)
		sl_nested_del(f->l, &f->removes->n);
}

static struct sl_loop *new_loop(void)
{
	struct sl_loop *l = NULL;

	sl_assert(loop_new(&l) == 0);
	now_ns = 0;
	loop_fake_clock(l, fake_now, &now_ns);
	return l;
}

static void foreign_add(struct foreign *f, struct sl_loop *l, int timeout_ms)
{
	*f = (struct foreign){.n = {.timeout_ms = timeout_of, .run = run}, .l = l};
	f->n.arg = f;
	f->timeout_ms = timeout_ms;
	f->n.ev.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sl_assert(sl_nested_add(l, &f->n) == 0);
}

static void foreign_remove(struct foreign *f)
{
	sl_nested_del(f->l, &f->n);
	close(f->n.ev.fd);
}

static void tick_at(struct sl_loop *l, uint64_t ms)
{
	now_ns = ms * MS;
	sl_assert(loop_tick(l, -1) == 0);
}

TEST(it_runs_when_its_descriptor_is_ready)
{
	struct sl_loop *l = new_loop();
	struct foreign f;

	foreign_add(&f, l, -1);
	tick_at(l, 1000);
	CHECK_INT(f.runs, 0);
	CHECK_INT(eventfd_write(f.n.ev.fd, 1), 0);
	tick_at(l, 1000);
	tick_at(l, 1000);
	CHECK_INT(f.runs, 1);
	foreign_remove(&f);
	loop_free(l);
}

TEST(its_time_out_is_kept_though_it_tells_the_same_again_and_again)
{
	struct sl_loop *l = new_loop();
	struct foreign f;

	foreign_add(&f, l, 10);
	for (uint64_t ms = 0; ms < 10; ms++)
		tick_at(l, ms);
	CHECK_INT(f.runs, 0);
	tick_at(l, 10);
	CHECK_INT(f.runs, 1);
	tick_at(l, 100);
	CHECK_INT(f.runs, 1);
	foreign_remove(&f);
	loop_free(l);
}

TEST(an_earlier_time_out_replaces_a_later_one)
{
	struct sl_loop *l = new_loop();
	struct foreign f;

	foreign_add(&f, l, 1000);
	tick_at(l, 0);
	f.timeout_ms = 0;
	tick_at(l, 1);
	tick_at(l, 1);
	CHECK_INT(f.runs, 1);
	foreign_remove(&f);
	loop_free(l);
}

TEST(one_may_remove_itself_or_the_next_while_it_runs)
{
	struct sl_loop *l = new_loop();
	struct foreign f[3];

	for (unsigned i = 0; i < 3; i++)
		foreign_add(&f[i], l, 0);
	f[2].removes = &f[1]; /* the last added is asked first */
	f[0].removes = &f[0];
	tick_at(l, 0);
	tick_at(l, 1);
	CHECK_INT(f[2].runs, 1);
	CHECK_INT(f[1].runs, 0);
	CHECK_INT(f[0].runs, 1);
	CHECK_INT(f[0].n.ev.wanted, 0);
	for (unsigned i = 0; i < 3; i++)
		foreign_remove(&f[i]);
	loop_free(l);
}

TEST(a_bad_descriptor_is_refused)
{
	struct sl_loop *l = new_loop();
	struct foreign f = {.n = {.timeout_ms = timeout_of, .run = run, .ev = {.fd = -1}}};

	CHECK_INT(sl_nested_add(l, &f.n), -SL_ESYS);
	sl_nested_del(l, &f.n);
	loop_free(l);
}

TEST_MAIN()
