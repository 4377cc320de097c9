/*
 * event/loop.c: the tick: wait, descriptors, nested loops, timers, posts.
 *
 * Knows epoll and the clock; what a descriptor means is its handler's business. A handler may
 * take any event out, also one whose readiness was already fetched: sl_event_del blanks it in the
 * batch, so that no freed or reused event is ever called. Nothing is allocated after loop_new.
 * One process, one loop, one thread.
 */
#include "event/loop_impl.h"

#include "os/os.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

uint64_t loop_clock_ns(const struct sl_loop *l)
{
	return l->clock_ns ? l->clock_ns(l->clock_arg) : sl_clock_ns();
}

int loop_new(struct sl_loop **ret_loop)
{
	struct sl_loop *l = calloc(1, sizeof *l);

	if (!l)
		return -SL_ENOMEM;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		free(l);
		return -SL_ESYS;
	}
	l->now_ns = loop_clock_ns(l);
	wheel_init(&l->wheel, sl_loop_ms(l));
	posts_init(l);
	*ret_loop = l;
	return 0;
}

void loop_free(struct sl_loop *l)
{
	if (!l)
		return;
	fd_close(&l->epoll_fd);
	free(l);
}

void loop_fake_clock(struct sl_loop *l, uint64_t (*now_ns)(void *arg), void *arg)
{
	sl_assert(l->wheel.n_pending == 0); /* timers of the other clock would mean nothing */
	l->clock_ns = now_ns;
	l->clock_arg = arg;
	l->now_ns = loop_clock_ns(l);
	wheel_init(&l->wheel, sl_loop_ms(l));
}

void loop_on_handled(struct sl_loop *l, void (*fn)(void *arg), void *arg)
{
	l->handled = fn;
	l->handled_arg = arg;
}

uint64_t sl_loop_ns(const struct sl_loop *l)
{
	return l->now_ns;
}

uint64_t loop_busy_ns(const struct sl_loop *l)
{
	return l->busy_ns;
}

uint64_t loop_take_longest_ns(struct sl_loop *l)
{
	uint64_t longest = l->longest_ns;

	l->longest_ns = 0;
	return longest;
}

static void count_tick(struct sl_loop *l, uint64_t ns)
{
	l->busy_ns += ns;
	if (ns > l->longest_ns)
		l->longest_ns = ns;
}

static uint32_t to_epoll(unsigned wanted)
{
	return (wanted & SL_READ ? EPOLLIN : 0) | (wanted & SL_WRITE ? EPOLLOUT : 0) |
	       (wanted & SL_EXCLUSIVE ? EPOLLEXCLUSIVE : 0);
}

static unsigned from_epoll(uint32_t events)
{
	return (events & EPOLLIN ? SL_READ : 0) | (events & EPOLLOUT ? SL_WRITE : 0) |
	       (events & EPOLLERR ? SL_ERROR : 0) | (events & EPOLLHUP ? SL_HANGUP : 0);
}

/* The event itself is what epoll gives back: no table of descriptors, and no look-up. */
static int control(struct sl_loop *l, int op, struct sl_event *ev, unsigned wanted)
{
	struct epoll_event e = {.events = to_epoll(wanted), .data.ptr = ev};

	if (epoll_ctl(l->epoll_fd, op, ev->fd, &e) < 0)
		return -SL_ESYS;
	ev->wanted = wanted;
	return 0;
}

int sl_event_add(struct sl_loop *l, struct sl_event *ev, unsigned wanted)
{
	if (ev->wanted || !wanted)
		return -SL_EINVAL;
	return control(l, EPOLL_CTL_ADD, ev, wanted);
}

int sl_event_set(struct sl_loop *l, struct sl_event *ev, unsigned wanted)
{
	if (wanted == 0) {
		sl_event_del(l, ev);
		return 0;
	}
	if (!ev->wanted)
		return control(l, EPOLL_CTL_ADD, ev, wanted);
	if (ev->wanted & SL_EXCLUSIVE) {
		/* The kernel does not modify what was added as exclusive. */
		wanted |= SL_EXCLUSIVE;
		if (wanted == ev->wanted)
			return 0;
		sl_event_del(l, ev);
		return control(l, EPOLL_CTL_ADD, ev, wanted);
	}
	return wanted == ev->wanted ? 0 : control(l, EPOLL_CTL_MOD, ev, wanted);
}

void sl_event_del(struct sl_loop *l, struct sl_event *ev)
{
	if (!ev->wanted)
		return;
	/*
	 * Fails only where the descriptor was closed too early, and then the kernel has forgotten
	 * it itself.
	 */
	(void)control(l, EPOLL_CTL_DEL, ev, 0);
	ev->wanted = 0;
	for (unsigned i = l->at_ready; i < l->n_ready; i++)
		if (l->ready[i].data.ptr == ev)
			l->ready[i].data.ptr = NULL;
}

static void run_ready(struct sl_loop *l, unsigned n)
{
	l->n_ready = n;
	for (l->at_ready = 0; l->at_ready < l->n_ready; l->at_ready++) {
		const struct epoll_event *e = &l->ready[l->at_ready];
		struct sl_event *ev = e->data.ptr;
		unsigned ready;

		if (!ev)
			continue;
		/* An earlier handler of this batch may have lost interest since. */
		ready = from_epoll(e->events) & (ev->wanted | SL_ERROR | SL_HANGUP);
		if (ready)
			ev->fn(ev, ready);
	}
	l->n_ready = 0;
}

/* Rounded up: a wait that ends before its timer would spin through the last millisecond. */
static int wait_ms(struct sl_loop *l, uint64_t now_ns, int max_wait_ms)
{
	uint64_t timers_ns = timers_due_ns(l), nested_ns = nested_due_ns(l, now_ns);
	uint64_t due_ns = timers_ns < nested_ns ? timers_ns : nested_ns;
	uint64_t ms;

	if (l->clock_ns || l->stopping || posts_pending(l) || due_ns <= now_ns)
		return 0;
	if (due_ns == LOOP_NEVER)
		return max_wait_ms;
	ms = (due_ns - now_ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS;
	if (max_wait_ms >= 0 && ms > (uint64_t)max_wait_ms)
		return max_wait_ms;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

/*
 * The clock is read before the wait as well, since handlers may have used up what was left to
 * wait.
 */
int loop_tick(struct sl_loop *l, int max_wait_ms)
{
	uint64_t now_ns = loop_clock_ns(l);
	int n = epoll_wait(l->epoll_fd, l->ready, LOOP_BATCH, wait_ms(l, now_ns, max_wait_ms));

	if (n < 0 && errno != EINTR)
		return -SL_ESYS;
	l->now_ns = loop_clock_ns(l);
	l->ticking = true;
	run_ready(l, n > 0 ? (unsigned)n : 0);
	if (l->handled)
		l->handled(l->handled_arg);
	nested_run_due(l);
	timers_run(l);
	posts_run(l);
	l->ticking = false;
	count_tick(l, loop_clock_ns(l) - l->now_ns);
	return 0;
}

/* A stop that came before the first tick counts too. */
int loop_run(struct sl_loop *l)
{
	int ret = 0;

	while (!l->stopping && ret == 0)
		ret = loop_tick(l, -1);
	l->stopping = false;
	return ret;
}

void loop_stop(struct sl_loop *l)
{
	l->stopping = true;
}
