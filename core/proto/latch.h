/*
 * proto/latch.h: from which address the media of a line is believed to come.
 *
 * Described is not proven: behind a NAT, packets come from elsewhere. A source proves itself by the
 * first packet from the described address, by an authenticated packet, or by some packets in a row of
 * one stream. Then it is locked: who else sends is a stranger, until the description names another
 * address. But the described address is a stranger never: who was faster loses the lock to it. A
 * locked source may change its port, as NATs do, after it has been silent.
 */
#ifndef PROTO_LATCH_H
#define PROTO_LATCH_H

#include <sluice/addr.h>

struct latch {
	struct sl_addr described, locked, candidate; /* family 0: none */
	bool strict;
	uint32_t ssrc; /* of the candidate, or the locked source */
	uint16_t seq;
	unsigned in_row;
	uint64_t heard_ns; /* from the locked source */
};

struct latch_packet {
	const struct sl_addr *from;
	uint32_t ssrc;
	uint16_t seq;
	bool authentic; /* opened by keys that only the peer has */
};

/* Another address opens the lock. */
void latch_describe(struct latch *l, const struct sl_addr *address, bool strict);
enum latch_verdict { LATCH_TAKE, LATCH_MOVED /* taken; the lock is new */, LATCH_STRANGER };
enum latch_verdict latch_packet(struct latch *l, const struct latch_packet *p, uint64_t now_ns);
/* Where to send: the locked source, else the described address, else the candidate */
const struct sl_addr *latch_to(const struct latch *l);

#endif
