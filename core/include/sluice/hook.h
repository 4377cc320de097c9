/*
 * sluice/hook.h: the phases, and how a module hooks into them.
 *
 * A module's hooks are a const table of {phase, priority, typed function}. At worker start every
 * phase becomes a flat array per scope; an empty phase is one compare. Order: priority, then the
 * order of `modules:`. A function of the wrong family does not compile.
 */
#ifndef SLUICE_HOOK_H
#define SLUICE_HOOK_H

#include <sluice/conn.h>
#include <sluice/packet.h>

/* X(NAME, family). Numbers are ABI: append only. */
#define SL_PHASES(X)                                                                               \
	X(DGRAM_GUARD, DGRAM)                                                                      \
	X(DGRAM_CONTENT, DGRAM)                                                                    \
	X(CONN_ACCEPT, CONN)                                                                       \
	X(CONN_ACCESS, CONN)                                                                       \
	X(CONN_PREREAD, CONN)                                                                      \
	X(CONN_CONTENT, CONN)                                                                      \
	X(CONN_CLOSE, CONN)                                                                        \
	X(SESS_NEW, SESSION)                                                                       \
	X(SESS_AUTH, SESSION)                                                                      \
	X(SESS_ROUTE, SESSION)                                                                     \
	X(SESS_NEGOTIATE, SESSION)                                                                 \
	X(SESS_READY, SESSION)                                                                     \
	X(SESS_UPDATE, SESSION)                                                                    \
	X(SESS_DRAIN, SESSION)                                                                     \
	X(SESS_CLOSE, SESSION)                                                                     \
	X(RTP_IN, MEDIA)                                                                           \
	X(RTP_FILTER, MEDIA)                                                                       \
	X(RTP_TAP, MEDIA)                                                                          \
	X(RTP_ROUTE, MEDIA)                                                                        \
	X(RTP_OUT, MEDIA)                                                                          \
	X(RTCP_IN, MEDIA)                                                                          \
	X(RTCP_OUT, MEDIA)                                                                         \
	X(LOG_CONN, CONN)                                                                          \
	X(LOG_SESSION, SESSION)                                                                    \
	X(ACCT_TICK, SESSION)                                                                      \
	X(EVENT, EVENT)                                                                            \
	X(TRACK_NEW, TRACK)                                                                        \
	X(TRACK_CHANGE, TRACK)                                                                     \
	X(TRACK_CLOCK, TRACK)                                                                      \
	X(TRACK_CLOSE, TRACK)

enum sl_phase {
#define X(name, family) SL_##name,
	SL_PHASES(X)
#undef X
		SL_N_PHASES
};

enum sl_family {
	SL_FAMILY_DGRAM,
	SL_FAMILY_CONN,
	SL_FAMILY_SESSION,
	SL_FAMILY_MEDIA,
	SL_FAMILY_EVENT,
	SL_FAMILY_TRACK
};

struct sl_session;
struct sl_bus_event;
struct sl_media; /* <sluice/track.h> */
struct sl_track;

/* ctx: what the module's worker_start returned. Results: enum sl_result or negative. Media
 * functions neither block nor allocate. */
typedef int sl_dgram_fn(void *ctx, struct sl_packet *p);
typedef int sl_conn_fn(void *ctx, struct sl_conn *c);
typedef int sl_session_fn(void *ctx, struct sl_session *s);
typedef int sl_media_fn(void *ctx, const struct sl_media *m);
typedef int sl_track_fn(void *ctx, struct sl_track *t);
typedef int sl_event_hook_fn(void *ctx, const struct sl_bus_event *ev);

enum sl_priority { SL_FIRST = -100, SL_EARLY = -50, SL_NORMAL = 0, SL_LATE = 50, SL_LAST = 100 };

union sl_hook_fn {
	sl_dgram_fn *dgram;
	sl_conn_fn *conn;
	sl_session_fn *session;
	sl_media_fn *media;
	sl_event_hook_fn *event;
	sl_track_fn *track;
};

struct sl_hook {
	uint16_t phase; /* SL_N_PHASES ends the table */
	int16_t priority;
	uint8_t family;
	union sl_hook_fn fn;
};

/* _Generic refuses a function of another type, the array size a phase of another family. */
#define SL_PHASE_IN(phase, first, last)                                                            \
	((phase) + 0 * sizeof(char[(phase) >= (first) && (phase) <= (last) ? 1 : -1]))
#define SL_ON_DGRAM(ph, prio, f)                                                                   \
	{                                                                                          \
		.phase = SL_PHASE_IN(ph, SL_DGRAM_GUARD, SL_DGRAM_CONTENT), .priority = (prio),    \
		.family = SL_FAMILY_DGRAM,                                                         \
		.fn.dgram = _Generic((f), sl_dgram_fn *                                            \
				     : (f))                                                        \
	}
#define SL_ON_CONN(ph, prio, f)                                                                    \
	{                                                                                          \
		.phase = SL_PHASE_IN(ph, SL_CONN_ACCEPT, SL_CONN_CLOSE), .priority = (prio),       \
		.family = SL_FAMILY_CONN,                                                          \
		.fn.conn = _Generic((f), sl_conn_fn *                                              \
				    : (f))                                                         \
	}
#define SL_ON_SESSION(ph, prio, f)                                                                 \
	{                                                                                          \
		.phase = SL_PHASE_IN(ph, SL_SESS_NEW, SL_SESS_CLOSE), .priority = (prio),          \
		.family = SL_FAMILY_SESSION,                                                       \
		.fn.session = _Generic((f), sl_session_fn *                                        \
				       : (f))                                                      \
	}
#define SL_ON_MEDIA(ph, prio, f)                                                                   \
	{                                                                                          \
		.phase = SL_PHASE_IN(ph, SL_RTP_IN, SL_RTCP_OUT), .priority = (prio),              \
		.family = SL_FAMILY_MEDIA,                                                         \
		.fn.media = _Generic((f), sl_media_fn *                                            \
				     : (f))                                                        \
	}
#define SL_ON_EVENT(prio, f)                                                                       \
	{                                                                                          \
		.phase = SL_EVENT, .priority = (prio), .family = SL_FAMILY_EVENT,                  \
		.fn.event = _Generic((f), sl_event_hook_fn *                                       \
				     : (f))                                                        \
	}
#define SL_ON_TRACK(ph, prio, f)                                                                   \
	{                                                                                          \
		.phase = SL_PHASE_IN(ph, SL_TRACK_NEW, SL_TRACK_CLOSE), .priority = (prio),        \
		.family = SL_FAMILY_TRACK,                                                         \
		.fn.track = _Generic((f), sl_track_fn *                                            \
				     : (f))                                                        \
	}
#define SL_HOOKS_END                                                                               \
	{                                                                                          \
		.phase = SL_N_PHASES                                                               \
	}

SL_API const char *sl_phase_name(unsigned phase);

#endif
