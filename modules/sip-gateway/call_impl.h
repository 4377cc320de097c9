/*
 * sip-gateway/call_impl.h: what the files of a call share.
 */
#ifndef SIP_CALL_IMPL_H
#define SIP_CALL_IMPL_H

#include "call.h"

/* ---- call.c */
/* a is an alarm of c's; out of memory is logged, and it does not come. */
void call_arm(struct call *c, struct alarm *a, uint64_t ms);

/* ---- call_progress.c */
/* Its announcement may have been answered before. */
void call_answer_caller(struct call *c);

#endif
