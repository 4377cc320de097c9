/*
 * proto/remb.h: how much a peer may send to us, estimated here: for peers that have no
 * transport-wide feedback and say in each packet when it left (abs-send-time).
 *
 * Sans-I/O. Told of each packet that comes; says what the peer is to be told, by REMB
 * (draft-alvestrand-rmcat-remb-03) or TMMBR (RFC 5104 section 4.2.1), and when. One for each
 * connection: all its streams share the way.
 */
#ifndef PROTO_REMB_H
#define PROTO_REMB_H

#include <sluice/err.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct remb;
int remb_new(struct remb **ret_r);
/* Accepts NULL */
void remb_free(struct remb *r);

struct remb_packet {
	uint32_t send_time;	/* of the peer: 24 bits, 6.18 seconds */
	uint32_t bytes;		/* as on the wire, IP header included */
	uint32_t payload_bytes; /* of them */
};
void remb_packet(struct remb *r, const struct remb_packet *p, uint64_t now_ns);

struct remb_say {
	uint64_t bps;	     /* on the wire, with all headers */
	uint64_t media_bps;  /* payloads alone, of packets as they are now */
	uint32_t overhead;   /* mean bytes of a packet that are not payload */
};
/* True: the peer is to be told now. Once a second, and at once when less than 97 % of what it was
 * told before is left. rtt_us: to the peer, 0: not known. */
bool remb_tick(struct remb *r, uint32_t rtt_us, uint64_t now_ns, struct remb_say *ret_say);
/* When remb_tick has something to do; UINT64_MAX: once packets have come. */
uint64_t remb_next_ns(const struct remb *r);
/* The present estimate in bits per second on the wire; 0: none yet */
uint64_t remb_bps(const struct remb *r);

#endif
