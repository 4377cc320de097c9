/*
 * event/loop.h: making and running the loop of <sluice/loop.h>.
 */
#ifndef EVENT_LOOP_H
#define EVENT_LOOP_H

#include <sluice/loop.h>

int loop_new(struct sl_loop **ret_loop);
/* Accepts NULL */
void loop_free(struct sl_loop *l);
/* Until loop_stop; -SL_ESYS when epoll fails */
int loop_run(struct sl_loop *l);
void loop_stop(struct sl_loop *l);
/* One tick; waits at most max_wait_ms (-1: no bound). For tests and for tools. */
int loop_tick(struct sl_loop *l, int max_wait_ms);
/* Called in each tick once the descriptors that were ready have been handled, before timers; one for
 * a loop. For who collects what they have to say. */
void loop_on_handled(struct sl_loop *l, void (*fn)(void *arg), void *arg);
/* Before each wait and after it, for the heartbeat and the busy share of this process. */
uint64_t loop_busy_ns(const struct sl_loop *l);
/* The longest tick since the last call, without its wait */
uint64_t loop_take_longest_ns(struct sl_loop *l);
/* Tests: replace the clock; the loop then never waits for time but is told it. */
void loop_fake_clock(struct sl_loop *l, uint64_t (*now_ns)(void *arg), void *arg);

#endif
