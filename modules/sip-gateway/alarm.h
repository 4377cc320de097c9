/*
 * sip-gateway/alarm.h: the stack's timers: a heap that is told the time, so that everything above
 * it runs in virtual time, too.
 */
#ifndef SIP_ALARM_H
#define SIP_ALARM_H

#include <sluice/err.h>

struct alarm;
typedef void alarm_fn(struct alarm *a);
struct alarm { /* zero-initialise, set fn and arg, then set */
	uint64_t at_ms;
	size_t place; /* W: clock; 1 .. n, 0: not set */
	alarm_fn *fn;
	void *arg;
};

struct alarms {
	struct alarm **heap; /* from 1 */
	size_t n, cap;
	uint64_t now_ms; /* W: alarms_run */
};
void alarms_free(struct alarms *t);
/* Setting again moves it. -SL_ENOMEM: not set */
SL_MUST_CHECK int alarm_set(struct alarms *t, struct alarm *a, uint64_t delay_ms);
void alarm_cancel(struct alarms *t, struct alarm *a);
/* Runs what is due; returns when to come again, UINT64_MAX: never. */
uint64_t alarms_run(struct alarms *t, uint64_t now_ms);
uint64_t alarms_next(const struct alarms *t);

#endif
