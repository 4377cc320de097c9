/*
 * proto/turn_ask.h: TURN from the client's side: requests with long-term credentials, and what is
 * answered.
 */
#ifndef PROTO_TURN_ASK_H
#define PROTO_TURN_ASK_H

#include <sluice/stun.h>

enum { TURN_ASK_MAX = 1200 }; /* bytes of a request */

/* A client's credentials, and what the server wants to see with them. */
struct turn_asker {
	struct sl_str user, password; /* borrowed */
	char realm[128], nonce[256];  /* told by the server; empty: not yet */
};

struct turn_ask {
	uint16_t method;
	const struct sl_addr *peer; /* CreatePermission, Send */
	struct sl_str data;	    /* Send: an indication */
	int64_t lifetime_s;	    /* Refresh; negative: not said */
};

struct turn_told {
	unsigned error;			      /* 0: success */
	struct sl_addr relayed, mapped, peer; /* unset: not told */
	struct sl_str data;		      /* borrowed from the message */
};

/* Returns the length in dst; 0: the credentials are too long for a message. */
size_t turn_ask_write(const struct turn_asker *c, const struct turn_ask *ask,
		      const uint8_t txid[12], uint8_t dst[TURN_ASK_MAX]);
/* An answer to the transaction; keeps realm and nonce of a challenge. -SL_ENOENT: something else,
 * or its integrity is wrong. */
int turn_told_read(struct turn_asker *c, const void *data, size_t len, const uint8_t txid[12],
		   struct turn_told *ret_told);
/* A Data indication; -SL_ENOENT: something else. */
int turn_data_read(const void *data, size_t len, struct turn_told *ret_told);

#endif
