/*
 * proto/stun_query.h: Binding from the client's side: requests, with what RFC 5780 adds, and what
 * their answers say.
 */
#ifndef PROTO_STUN_QUERY_H
#define PROTO_STUN_QUERY_H

#include <sluice/stun.h>

enum { STUN_QUERY_MAX = 64 }; /* bytes of a request */

struct stun_query {
	uint8_t txid[12];
	bool change_address, change_port; /* answer from elsewhere */
	uint16_t response_port;		  /* answer to there; 0: to where it came from */
};

/* Unset addresses: not in the answer. */
struct stun_report {
	struct sl_addr mapped, plain, origin, other; /* plain: MAPPED-ADDRESS, for all to rewrite */
	unsigned error;				     /* 0: success */
};

/* Returns the length in dst. */
size_t stun_query_write(const struct stun_query *q, uint8_t dst[STUN_QUERY_MAX]);
/* -SL_ENOENT: not the answer to this transaction. -SL_EPARSE: its answer, but useless. */
int stun_report_read(const void *data, size_t len, const uint8_t txid[12],
		     struct stun_report *ret_report);

#endif
