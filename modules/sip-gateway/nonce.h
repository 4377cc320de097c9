/*
 * sip-gateway/nonce.h: nonces of digests: which are ours, how old they are, and what they have been
 * used for (RFC 7616 sections 3.3, 3.4 and 5.4).
 *
 * Sans-I/O. A nonce says when it was made, by which process, and as which of its nonces, sealed
 * with a key of the node. So every process of the node knows its own node's, and only the one that
 * made it knows how often it was used: to any other it is stale, which costs a client one more
 * round and asks nobody for his password again.
 *
 * What is remembered of a nonce is 16 bytes, of the last NONCES_KEPT of them. Whoever asks for more
 * makes the oldest stale before its time, and no memory is taken for it.
 */
#ifndef SIP_NONCE_H
#define SIP_NONCE_H

#include <sluice/addr.h>

enum {
	NONCE_LEN = 56, /* hexadecimal: time, process, number, 16 bytes of a MAC */
	NONCES_KEPT = 1 << 16,
	NONCE_WINDOW = 64, /* counts may come in another order over so many */
};

struct nonce_use;
struct nonces {
	uint8_t key[32];
	uint32_t owner, last;	/* the process; the number of its newest nonce */
	struct nonce_use *uses; /* owned: by number, modulo NONCES_KEPT */
};

/* owner: our owner word. -SL_ENOMEM */
SL_MUST_CHECK int nonces_open(struct nonces *n, const uint8_t node_key[32], uint32_t owner);
void nonces_close(struct nonces *n);
/* A new one for whoever is at this address, NUL-terminated; no other gets the same. */
void nonce_new(struct nonces *n, char ret_nonce[NONCE_LEN + 1], const struct sl_addr *who,
	       uint64_t now_s);
/* 0: it may be used; -SL_ETIMEOUT: of this node, but too old, another process's, or forgotten:
 * challenge with stale=true; -SL_EAUTH: not ours, or given to another address */
SL_MUST_CHECK int nonce_check(const struct nonces *n, struct sl_str nonce,
			      const struct sl_addr *who, uint64_t now_s, uint64_t lifetime_s);
/* Credentials that hold have come with one that nonce_check takes; nc: their count as it stands,
 * empty where the client does not count, which it may do once. -SL_EEXIST: that count was used
 * before; -SL_EPARSE: no count */
SL_MUST_CHECK int nonce_use(struct nonces *n, struct sl_str nonce, struct sl_str nc);

#endif
