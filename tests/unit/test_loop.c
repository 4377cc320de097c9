/*
 * test_loop.c: descriptors in the loop: what is wanted comes, what was taken out never does,
 * whoever took it out and when.
 */
#include "../lib/test.h"
#include "event/loop.h"
#include "os/os.h"

#include <sys/socket.h>
#include <unistd.h>

struct end {
	struct sl_event ev;
	struct sl_loop *l;
	struct end *victim; /* taken out by this one's handler */
	unsigned n, ready;
};

static void on_ready(struct sl_event *ev, unsigned ready)
{
	struct end *e = ev->arg;

	e->n++;
	e->ready = ready;
	if (e->victim)
		sl_event_del(e->l, &e->victim->ev);
}

static void end_init(struct end *e, struct sl_loop *l, int fd)
{
	*e = (struct end){.ev = {.fd = fd, .fn = on_ready}, .l = l};
	e->ev.arg = e;
}

static struct sl_loop *new_loop(void)
{
	struct sl_loop *l = NULL;

	sl_assert(loop_new(&l) == 0);
	return l;
}

static void new_pair(int fds[2])
{
	sl_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
}

static void put(int fd)
{
	sl_assert(write(fd, "x", 1) == 1);
}

TEST(a_readable_descriptor_is_told_until_it_is_read)
{
	struct sl_loop *l = new_loop();
	struct end e;
	int fds[2];
	char c;

	new_pair(fds);
	end_init(&e, l, fds[0]);
	CHECK_INT(sl_event_add(l, &e.ev, SL_READ), 0);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(e.n, 0);
	put(fds[1]);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(e.n, 2);
	CHECK_INT(e.ready, SL_READ);
	CHECK_INT(read(fds[0], &c, 1), 1);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(e.n, 2);
	sl_event_del(l, &e.ev);
	close(fds[0]);
	close(fds[1]);
	loop_free(l);
}

TEST(only_what_is_wanted_comes_but_a_hang_up_always)
{
	struct sl_loop *l = new_loop();
	struct end e;
	int fds[2];

	new_pair(fds);
	end_init(&e, l, fds[0]);
	CHECK_INT(sl_event_add(l, &e.ev, SL_READ | SL_WRITE), 0);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(e.ready, SL_WRITE);
	CHECK_INT(sl_event_set(l, &e.ev, SL_READ), 0);
	e.n = 0;
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(e.n, 0);
	close(fds[1]);
	CHECK_INT(sl_event_set(l, &e.ev, SL_ERROR), 0);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(e.ready, SL_HANGUP);
	sl_event_del(l, &e.ev);
	close(fds[0]);
	loop_free(l);
}

TEST(an_event_set_to_nothing_is_out_and_can_come_back)
{
	struct sl_loop *l = new_loop();
	struct end e;
	int fds[2];

	new_pair(fds);
	put(fds[1]);
	end_init(&e, l, fds[0]);
	CHECK_INT(sl_event_add(l, &e.ev, SL_READ), 0);
	CHECK_INT(sl_event_set(l, &e.ev, 0), 0);
	CHECK_INT(e.ev.wanted, 0);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(e.n, 0);
	CHECK_INT(sl_event_set(l, &e.ev, SL_READ), 0);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(e.n, 1);
	sl_event_del(l, &e.ev);
	sl_event_del(l, &e.ev);
	close(fds[0]);
	close(fds[1]);
	loop_free(l);
}

TEST(wrong_calls_are_refused)
{
	struct sl_loop *l = new_loop();
	struct end e;
	int fds[2];

	new_pair(fds);
	end_init(&e, l, -1);
	CHECK_INT(sl_event_add(l, &e.ev, SL_READ), -SL_ESYS);
	CHECK_INT(e.ev.wanted, 0);
	end_init(&e, l, fds[0]);
	CHECK_INT(sl_event_add(l, &e.ev, 0), -SL_EINVAL);
	CHECK_INT(sl_event_add(l, &e.ev, SL_READ), 0);
	CHECK_INT(sl_event_add(l, &e.ev, SL_READ), -SL_EINVAL);
	sl_event_del(l, &e.ev);
	close(fds[0]);
	close(fds[1]);
	loop_free(l);
}

TEST(a_handler_takes_out_one_that_is_ready_in_the_same_batch)
{
	struct sl_loop *l = new_loop();
	struct end a, *b = malloc(sizeof *b);
	int fa[2], fb[2];
	unsigned n;

	new_pair(fa);
	new_pair(fb);
	put(fa[1]);
	put(fb[1]);
	end_init(&a, l, fa[0]);
	end_init(b, l, fb[0]);
	a.victim = b;
	b->victim = &a;
	CHECK_INT(sl_event_add(l, &a.ev, SL_READ), 0);
	CHECK_INT(sl_event_add(l, &b->ev, SL_READ), 0);
	CHECK_INT(loop_tick(l, 0), 0);
	n = a.n + b->n; /* whichever came first has silenced the other */
	free(b);
	CHECK_INT(n, 1);
	close(fa[0]), close(fa[1]), close(fb[0]), close(fb[1]);
	loop_free(l);
}

static void on_replace(struct sl_event *ev, unsigned ready)
{
	struct end *e = ev->arg;

	on_ready(ev, ready);
	sl_assert(sl_event_add(e->l, &e->victim->ev, SL_WRITE) == 0);
}

TEST(an_event_that_left_and_came_back_gets_nothing_of_its_former_life)
{
	struct sl_loop *l = new_loop();
	struct end a, b;
	int fa[2], fb[2];

	new_pair(fa);
	new_pair(fb);
	put(fa[1]);
	put(fb[1]);
	end_init(&a, l, fa[0]);
	end_init(&b, l, fb[0]);
	a.victim = &b;
	a.ev.fn = on_replace;
	CHECK_INT(sl_event_add(l, &a.ev, SL_READ), 0);
	CHECK_INT(sl_event_add(l, &b.ev, SL_READ), 0);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(b.ev.wanted, SL_WRITE);
	CHECK_INT(b.n, 0);
	sl_event_del(l, &a.ev);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(b.ready, SL_WRITE);
	sl_event_del(l, &b.ev);
	close(fa[0]), close(fa[1]), close(fb[0]), close(fb[1]);
	loop_free(l);
}

TEST(a_batch_holds_more_descriptors_than_one_wait_takes)
{
	enum { N = 300 };
	static struct end e[N];
	struct sl_loop *l = new_loop();
	unsigned served = 0;
	int fds[2];

	new_pair(fds);
	put(fds[1]);
	for (unsigned i = 0; i < N; i++) {
		end_init(&e[i], l, dup(fds[0]));
		CHECK_INT(sl_event_add(l, &e[i].ev, SL_READ), 0);
	}
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(loop_tick(l, 0), 0);
	for (unsigned i = 0; i < N; i++) {
		served += e[i].n > 0;
		sl_event_del(l, &e[i].ev);
		close(e[i].ev.fd);
	}
	CHECK_INT(served, N);
	close(fds[0]);
	close(fds[1]);
	loop_free(l);
}

TEST(an_exclusive_listener_wakes_and_can_pause)
{
	struct sl_loop *l = new_loop();
	struct end e;
	int fds[2];

	new_pair(fds);
	put(fds[1]);
	end_init(&e, l, fds[0]);
	CHECK_INT(sl_event_add(l, &e.ev, SL_READ | SL_EXCLUSIVE), 0);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(e.n, 1);
	CHECK_INT(sl_event_set(l, &e.ev, SL_READ | SL_WRITE), 0);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(e.ready, SL_READ | SL_WRITE);
	CHECK_INT(e.ev.wanted, SL_READ | SL_WRITE | SL_EXCLUSIVE);
	sl_event_del(l, &e.ev);
	CHECK_INT(loop_tick(l, 0), 0);
	CHECK_INT(e.n, 2);
	close(fds[0]);
	close(fds[1]);
	loop_free(l);
}

static uint64_t busy_clock(void *arg)
{
	return *(uint64_t *)arg += SL_NS_PER_MS; /* each look costs a millisecond */
}

TEST(time_spent_outside_the_wait_is_busy_time)
{
	struct sl_loop *l = new_loop();
	uint64_t now = 0;

	loop_fake_clock(l, busy_clock, &now);
	CHECK_INT(loop_busy_ns(l), 0);
	CHECK_INT(loop_tick(l, -1), 0);
	CHECK_INT(loop_busy_ns(l), SL_NS_PER_MS);
	CHECK_INT(loop_take_longest_ns(l), SL_NS_PER_MS);
	CHECK_INT(loop_take_longest_ns(l), 0);
	loop_free(l);
}

static void on_stop(struct sl_event *ev, unsigned ready)
{
	(void)ready;
	loop_stop(ev->arg);
}

TEST(a_loop_runs_until_it_is_stopped_and_can_run_again)
{
	struct sl_loop *l = new_loop();
	struct sl_event ev = {.fn = on_stop, .arg = l};
	int fds[2];

	new_pair(fds);
	put(fds[1]);
	ev.fd = fds[0];
	CHECK_INT(sl_event_add(l, &ev, SL_READ), 0);
	CHECK_INT(loop_run(l), 0);
	CHECK_INT(loop_run(l), 0);
	sl_event_del(l, &ev);
	close(fds[0]);
	close(fds[1]);
	loop_free(l);
	loop_free(NULL);
}

TEST_MAIN()
