/*
 * sip-gateway/strand.h: when what comes was captured: RTP times of one stream, by this worker's
 * clock.
 *
 * The packet that came fastest over the last seconds tells when a time of the stream gets here at
 * the earliest; jitter only ever adds to that. How much longer one stream of a party is under way
 * than its other one, its encoder included, nobody but the party knows: its sender reports
 * (RFC 3550 section 6.4.1) tie both to one clock. Pure.
 */
#ifndef SIP_GATEWAY_STRAND_H
#define SIP_GATEWAY_STRAND_H

#include <sluice/rtc.h>

struct strand { /* zeroed at first */
	bool known;
	uint32_t hz;
	struct sl_unwrap ts;
	int64_t least[2];   /* ns from RTP time to arrival: of the window before, and of this one */
	uint64_t window_ns; /* when this one began */
	bool reported;
	uint32_t report_ts; /* of the newest report, */
	int64_t report_ns;  /* and the sender's time of it */
};

/* Another stream follows. */
void strand_restart(struct strand *s);
/* One has come; retransmissions may be among them. hz: of its RTP times */
void strand_packet(struct strand *s, uint32_t ts, uint32_t hz, uint64_t now_ns);
/* ntp 0: none; the same one again costs nothing */
void strand_report(struct strand *s, const struct sl_rtc_clock *clock);
/* When something of this time gets here, the fast way. False: nothing is known */
bool strand_time(const struct strand *s, uint32_t ts, int64_t *ret_ns);
/* How much longer, in ns, what s brings is under way than what the other one does. 0: the sender
 * has not told, or what it tells makes no sense */
int64_t strand_behind(const struct strand *s, const struct strand *other);

#endif
