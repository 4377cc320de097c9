/*
 * sluice/trace.h: the flight recorder: a ring of 32-byte records per slot in shared memory, always
 * on, readable after a crash (`sluice trace`). Costs a few nanoseconds; safe in the media path.
 */
#ifndef SLUICE_TRACE_H
#define SLUICE_TRACE_H

#include <sluice/err.h>

/* X(NAME, text for %a %b). Append only: numbers are read across versions. */
#define SL_TRACE_EVENTS(X)                                                                         \
	X(NONE, "")                                                                                \
	X(WORKER_START, "worker started, generation %a, pid %b")                                   \
	X(WORKER_DRAIN, "worker drains, generation %a")                                            \
	X(WORKER_STOP, "worker stopped, sessions left %a")                                         \
	X(SESSION_NEW, "session opened, kind %a, entry %b")                                        \
	X(SESSION_CLOSE, "session closed, kind %a, reason %b")                                     \
	X(SESSION_LOST, "session lost with its owner, kind %a, slot %b")                           \
	X(CONN_ACCEPT, "connection accepted, listener %a, descriptor %b")                          \
	X(CONN_CLOSE, "connection closed, reason %a, bytes %b")                                    \
	X(FORWARD, "datagram forwarded to slot %a, bytes %b")                                      \
	X(INBOX_FULL, "inbox of slot %a full, bytes %b")                                           \
	X(BUG, "check failed at line %a")                                                          \
	X(TURN, "turn: method %a, error code %b")                                                  \
	X(SIGNAL, "signaling: type %a, bytes %b")                                                  \
	X(USER, "module event %a, %b")

enum sl_trace_event {
#define X(name, text) SL_TRACE_##name,
	SL_TRACE_EVENTS(X)
#undef X
};

/* session: low 64 bits of its sid, or 0. */
SL_API void sl_trace(uint64_t session, enum sl_trace_event event, uint64_t a, uint64_t b);

#endif
