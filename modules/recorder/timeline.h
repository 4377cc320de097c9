/*
 * recorder/timeline.h: from RTP times to the time of this node, in nanoseconds of its monotonic
 * clock.
 *
 * A track begins at the time its first packet came. Sender reports tie RTP times to the sender's
 * clock, which all of a participant's tracks share, and the least delay that was seen ties that
 * clock to ours; so sound and picture of one participant keep together to the millisecond, and
 * participants to within the difference of their ways here. What is learnt is slewed in.
 *
 * No report is believed alone: a sender that stalls between reading its clock and its RTP time
 * sends one that is 90 ms off, and the next is right again. Of the last three the middle one
 * counts, so that one wrong report changes nothing, a clock that was really set is followed with
 * the second report that says so, and drift is followed with a report's delay. Sans-I/O.
 */
#ifndef RECORDER_TIMELINE_H
#define RECORDER_TIMELINE_H

#include <sluice/rtc.h>

/* The sender's clock against ours: zeroed to begin with. */
struct peer_clock {
	bool known;
	int64_t offset_ns;  /* least of arrival - sender's time over the last windows */
	int64_t least[2];   /* of the window before, and this one */
	uint64_t window_ns; /* this one's beginning */
};
void peer_clock_add(struct peer_clock *c, uint64_t arrival_ns, int64_t sender_ns);

struct told { /* by a sender report */
	uint64_t ts;
	int64_t ns; /* the sender's time of ts */
};

enum { TIMELINE_REPORTS = 3 };

struct timeline {
	uint32_t hz;
	bool started;
	struct sl_unwrap unwrap;
	uint64_t anchor_ts, last_ts, last_arrival_ns;
	int64_t anchor_ns;
	struct told reports[TIMELINE_REPORTS]; /* the oldest first */
	unsigned n_reports;
	struct told sender;	   /* the one of them that counts */
	struct sl_rtc_clock early; /* a report from before the first packet; ntp 0: none */
	uint64_t wrong_since_ns;   /* far from what reports say; 0: not */
	bool resumed;		   /* and nothing has come since */
	bool anew;		   /* the next packet has nothing to do with those before */
	unsigned n_restarts;
};

/* Goes on where another process has been. */
void peer_clock_resume(struct peer_clock *c, int64_t offset_ns, uint64_t now_ns);

void timeline_init(struct timeline *t, uint32_t hz);
/* Goes on where another process has been: its frame of RTP time ts had this time. */
void timeline_resume(struct timeline *t, uint32_t ts, int64_t at_ns);
/* Of a packet whose time that process had told: it changes nothing. */
int64_t timeline_past(const struct timeline *t, uint32_t ts);
void timeline_report(struct timeline *t, const struct sl_rtc_clock *clock);
/* Packets follow whose times count in another clock, and begin at their arrival. */
void timeline_set_clock(struct timeline *t, uint32_t hz);
/* Another stream's packets follow. */
void timeline_restart(struct timeline *t);
/* Of a packet, in order. *ret_restarted: its RTP time has nothing to do with those before. */
int64_t timeline_map(struct timeline *t, struct peer_clock *c, uint32_t ts, uint64_t arrival_ns,
		     bool *ret_restarted);
/* Of 32.32 NTP */
int64_t timeline_ntp_ns(uint64_t ntp);

#endif
