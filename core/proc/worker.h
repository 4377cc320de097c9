/*
 * proc/worker.h: the state of one worker process, shared by its start (worker.c) and its duties
 * (duty.c).
 */
#ifndef PROC_WORKER_H
#define PROC_WORKER_H

#include "net/net.h"
#include "proc/handoff.h"
#include "session/setup.h"

/* Counters of the process itself: module name "process". */
#define PROCESS_METERS(X)                                                                          \
	X(COUNTER, starts, "starts of this slot's process, restarts after a crash included")       \
	X(GAUGE, longest_tick_us, "longest turn of the event loop in the last ten seconds, us")     \
	X(COUNTER, bugs, "failed checks that were survived; 0 in a healthy process")               \
	X(COUNTER, log_lines, "lines written to the log")                                          \
	X(COUNTER, log_suppressed, "similar lines left out of the log")                            \
	X(COUNTER, log_lost, "lines that the log refused")                                         \
	X(COUNTER, inbox_stale, "messages meant for an earlier process of this slot")
enum { WORKER_HEARTBEAT_MS = 250, WORKER_TICKS_KEPT = 10000 / WORKER_HEARTBEAT_MS };
enum process_meter {
#define X(kind, name, help) PROCESS_##name,
	PROCESS_METERS(X)
#undef X
		PROCESS_N_METERS
};
extern const struct sl_metric process_metrics[];

struct worker {
	struct sl_worker pub;
	const struct handoff *h;
	struct setup *setup;
	struct net_listener *listeners;
	unsigned n_listeners;
	struct sl_meter *core_meters, *rtc_meters, process_meters[PROCESS_N_METERS];
	struct sl_event on_master;
	struct sl_timer heartbeat, leave_check, drain_limit;
	uint64_t busy_before_ns, beat_before_ns, counted[PROCESS_N_METERS];
	uint64_t longest_ns[WORKER_TICKS_KEPT]; /* ticks, by heartbeat */
	unsigned n_beats;
	struct gone {
		uint32_t owner;
		struct gone *next;
	} * gone; /* owners to announce once the inbox has been read */
	struct sl_post announce_gone;
	bool gone_second_look;
	bool evicted;
	struct answer *answers; /* that are being written: answer.c */
};

void worker_set_state(struct worker *w, enum worker_state state);
/* ---- duty.c: heartbeat, the master's messages, draining; begins once everything has started */
int duty_begin(struct worker *w);
void duty_end(struct worker *w);
/* ---- answer.c: the operator asks a module. Takes fd, where he waits */
void answer_begin(struct worker *w, const char *words, int fd);
void answers_close(struct worker *w);

#endif
