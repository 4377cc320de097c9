/*
 * event/loop_impl.h: the inside of struct sl_loop, shared by loop.c, timer.c, post.c and nested.c
 * only.
 */
#ifndef EVENT_LOOP_IMPL_H
#define EVENT_LOOP_IMPL_H

#include "base/wheel.h"
#include "event/loop.h"

#include <sys/epoll.h>

#define LOOP_BATCH 256 /* ready descriptors taken per wait */
#define LOOP_NEVER UINT64_MAX

struct sl_loop {
	int epoll_fd;
	bool stopping;
	bool ticking;	  /* inside loop_tick: now_ns is fresh */
	uint64_t now_ns;  /* time of the last wake-up */
	uint64_t busy_ns; /* outside the wait, over all ticks */
	uint64_t longest_ns; /* of one tick, since it was taken last */
	/* NULL: the system's clock */
	uint64_t (*clock_ns)(void *arg);
	void *clock_arg;
	void (*handled)(void *arg); /* NULL: nobody has asked */
	void *handled_arg;
	struct wheel wheel;
	struct sl_post posts;	/* head: for the end of this tick */
	struct sl_post running; /* head: what the end of this tick still has to run */
	struct sl_nested *nested;
	struct sl_nested *next_nested; /* cursor of nested_run_due, moved by sl_nested_del */
	unsigned at_ready, n_ready;    /* position in the batch while its handlers run */
	struct epoll_event ready[LOOP_BATCH];
};

uint64_t loop_clock_ns(const struct sl_loop *l);

/* When the timers, and the nested loops, want the loop awake; LOOP_NEVER for not at all. */
uint64_t timers_due_ns(const struct sl_loop *l);
void timers_run(struct sl_loop *l);
uint64_t nested_due_ns(struct sl_loop *l, uint64_t now_ns);
void nested_run_due(struct sl_loop *l);

void posts_init(struct sl_loop *l);
bool posts_pending(const struct sl_loop *l);
void posts_run(struct sl_loop *l);

#endif
