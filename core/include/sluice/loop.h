/*
 * sluice/loop.h: the event loop of a worker: descriptors, timers, posted work.
 *
 * One loop per process, single-threaded. A tick: wait for descriptors, run their handlers, run due
 * timers, run posts (packet queues are flushed by a post). Handlers may add and remove any event,
 * their own included. Memory of events, timers and posts belongs to the caller and must be out of
 * the loop before it is freed.
 */
#ifndef SLUICE_LOOP_H
#define SLUICE_LOOP_H

#include <sluice/clock.h>
#include <sluice/err.h>

struct sl_loop;

enum sl_ready {
	SL_READ = 1,
	SL_WRITE = 2,
	SL_ERROR = 4,
	SL_HANGUP = 8,
	SL_EXCLUSIVE = 16 /* EPOLLEXCLUSIVE; with sl_event_add only */
};

struct sl_event;
typedef void sl_event_fn(struct sl_event *ev, unsigned ready);
struct sl_event {
	int fd;		 /* borrowed */
	unsigned wanted; /* W: loop; 0: not in it */
	sl_event_fn *fn; /* level-triggered; SL_ERROR and SL_HANGUP always come */
	void *arg;
};
/* Zero-initialise, set fd, fn and arg, then add. -SL_EINVAL: it is in already, or nothing is wanted;
 * -SL_ESYS: the kernel refuses (a file, a closed descriptor, too many) */
SL_API SL_MUST_CHECK int sl_event_add(struct sl_loop *l, struct sl_event *ev, unsigned wanted);
/* wanted 0 takes it out, and from there it comes back in; SL_EXCLUSIVE stays as it was added. */
SL_API SL_MUST_CHECK int sl_event_set(struct sl_loop *l, struct sl_event *ev, unsigned wanted);
/* No-op when not in it; safe inside any handler */
SL_API void sl_event_del(struct sl_loop *l, struct sl_event *ev);

struct sl_timer;
typedef void sl_timer_fn(struct sl_timer *t);
struct sl_timer {
	struct {
		void *prev, *next;
		uint64_t at_ms;
	} node; /* W: loop; the layout of struct wheel_node */
	sl_timer_fn *fn;
	void *arg;
};
/* Zero-initialise, set fn and arg, then set. Setting again moves it. Counted from the tick's time;
 * never early; at most a millisecond late when idle. */
SL_API void sl_timer_set(struct sl_loop *l, struct sl_timer *t, uint64_t delay_ms);
/* No-op when it is not set; safe inside any handler */
SL_API void sl_timer_cancel(struct sl_loop *l, struct sl_timer *t);
static inline bool sl_timer_pending(const struct sl_timer *t)
{
	return t->node.next != NULL;
}

/* Runs once at the end of this tick (or of the next, when posted by a post). Posting twice is
 * posting once. */
struct sl_post;
typedef void sl_post_fn(struct sl_post *p);
struct sl_post {
	struct sl_post *prev, *next; /* W: loop; NULL: not posted */
	sl_post_fn *fn;
	void *arg;
};
/* p->fn and p->arg are set */
SL_API void sl_post(struct sl_loop *l, struct sl_post *p);
/* No-op when it is not posted */
SL_API void sl_post_cancel(struct sl_loop *l, struct sl_post *p);

/* The tick's time: read once per wake-up. */
SL_API uint64_t sl_loop_ns(const struct sl_loop *l);
static inline uint64_t sl_loop_ms(const struct sl_loop *l)
{
	return sl_loop_ns(l) / SL_NS_PER_MS;
}

/*
 * A foreign event loop nested into ours (libuv): asked for its time-out before each wait, run after
 * each wait in which its descriptor was ready or its time-out passed. timeout_ms: -1 for none.
 */
struct sl_nested {
	struct sl_nested *next; /* W: loop */
	uint64_t due_ns;	/* W: loop; UINT64_MAX: no time-out */
	struct sl_event ev;	/* fd: the nested loop's poll descriptor */
	int (*timeout_ms)(void *arg);
	void (*run)(void *arg);
	void *arg;
};
/* ev.fd, timeout_ms, run and arg are set. -SL_ESYS */
SL_API SL_MUST_CHECK int sl_nested_add(struct sl_loop *l, struct sl_nested *n);
/* No-op when it is not in it; safe inside run */
SL_API void sl_nested_del(struct sl_loop *l, struct sl_nested *n);

#endif
