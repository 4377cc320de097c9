/*
 * recorder/work.h: what blocks, in a thread beside the loop: reading recordings for HTTP clients,
 * removing them. One thread, begun with the first job; jobs are done in order.
 */
#ifndef RECORDER_WORK_H
#define RECORDER_WORK_H

#include <sluice/loop.h>

struct work;
/* In the thread: touches nothing but arg */
typedef void work_fn(void *arg);
/* On the loop, once for each job that was taken. done: false when the thread ended before it */
typedef void work_done_fn(void *arg, bool done);

SL_MUST_CHECK int work_open(struct sl_loop *l, struct work **ret_work);
/* The job in hand is finished, the others are told that they were not. Accepts NULL */
void work_close(struct work *w);
/* -SL_EFULL: too many wait; -SL_ENOMEM, -SL_ESYS. Then nothing is called. */
SL_MUST_CHECK int work_do(struct work *w, work_fn *fn, work_done_fn *done, void *arg);

#endif
