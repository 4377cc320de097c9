/*
 * sip-gateway/nonce.c: nonces that are sealed, age, and are counted.
 *
 * What was overheard is of no use elsewhere, and nobody can fail in the name of an address at which
 * it does not hear the answers: that would have the address blocked. Ports change in NATs, so they
 * are not sealed in. Each nonce has a number of its own, since two clients behind one NAT would
 * count the uses of a common one twice.
 */
#include "nonce.h"

#include <sluice/buf.h>
#include <sluice/crypto.h>

#include <stdio.h>
#include <stdlib.h>

enum { TEXT = 24, MAC = 16 }; /* of the three numbers, in hexadecimal; in bytes */

/* Counts are a window, as of packets: bit i is the use number top - i. */
struct nonce_use {
	uint32_t number; /* of the nonce; 0: none so far */
	uint32_t top;
	uint64_t seen;
};

struct parts {
	uint32_t time, owner, number;
};

int nonces_open(struct nonces *n, const uint8_t node_key[32], uint32_t owner)
{
	struct nonce_use *uses = calloc(NONCES_KEPT, sizeof *uses);

	if (!uses)
		return -SL_ENOMEM;
	*n = (struct nonces){.owner = owner, .uses = uses};
	sl_hmac_sha256(n->key, (struct sl_str){(const char *)node_key, 32}, "sip nonce", 9);
	return 0;
}

void nonces_close(struct nonces *n)
{
	free(n->uses);
	sl_wipe(n, sizeof *n);
}

/* ---- texts */

static void write_nonce(const struct nonces *n, char dst[NONCE_LEN + 1], const struct parts *p,
			const struct sl_addr *who)
{
	struct {
		char text[TEXT];
		uint8_t family, ip[16];
	} about = {.family = who->family};
	uint8_t mac[32];

	(void)snprintf(dst, NONCE_LEN + 1, "%08x%08x%08x", (unsigned)p->time, (unsigned)p->owner,
		       (unsigned)p->number);
	memcpy(about.text, dst, sizeof about.text);
	memcpy(about.ip, who->ip, who->family == 6 ? 16 : 4);
	sl_hmac_sha256(mac, (struct sl_str){(const char *)n->key, sizeof n->key}, &about,
		       sizeof about);
	sl_hex_encode(dst + TEXT, mac, MAC);
}

static int read_parts(struct sl_str nonce, struct parts *ret_parts)
{
	uint8_t bytes[TEXT / 2];
	size_t n;

	if (nonce.len != NONCE_LEN ||
	    sl_hex_decode(bytes, sizeof bytes, (struct sl_str){nonce.p, TEXT}, &n) < 0)
		return -SL_EAUTH;
	*ret_parts = (struct parts){sl_get32(bytes), sl_get32(bytes + 4), sl_get32(bytes + 8)};
	return 0;
}

/* ---- uses */

static struct nonce_use *use_of(const struct nonces *n, const struct parts *p)
{
	struct nonce_use *u = &n->uses[p->number % NONCES_KEPT];

	return p->owner == n->owner && u->number == p->number ? u : NULL;
}

void nonce_new(struct nonces *n, char ret_nonce[NONCE_LEN + 1], const struct sl_addr *who,
	       uint64_t now_s)
{
	struct parts p = {.time = (uint32_t)(now_s & UINT32_MAX), .owner = n->owner};

	if (++n->last == 0)
		n->last = 1;
	p.number = n->last;
	n->uses[p.number % NONCES_KEPT] = (struct nonce_use){.number = p.number};
	write_nonce(n, ret_nonce, &p, who);
}

int nonce_check(const struct nonces *n, struct sl_str nonce, const struct sl_addr *who,
		uint64_t now_s, uint64_t lifetime_s)
{
	char expected[NONCE_LEN + 1];
	struct parts p;

	if (read_parts(nonce, &p) < 0)
		return -SL_EAUTH;
	write_nonce(n, expected, &p, who);
	if (!sl_mem_eq(expected, nonce.p, nonce.len))
		return -SL_EAUTH;
	if ((uint32_t)now_s - p.time > lifetime_s || !use_of(n, &p))
		return -SL_ETIMEOUT;
	return 0;
}

static int read_count(struct sl_str nc, uint32_t *ret_count)
{
	uint8_t bytes[4];
	size_t n;

	*ret_count = 0;
	if (nc.len == 0)
		return 0;
	if (nc.len != 8 || sl_hex_decode(bytes, sizeof bytes, nc, &n) < 0)
		return -SL_EPARSE;
	*ret_count = sl_get32(bytes);
	return 0;
}

int nonce_use(struct nonces *n, struct sl_str nonce, struct sl_str nc)
{
	struct nonce_use *u;
	struct parts p;
	uint32_t count, back;

	if (read_count(nc, &count) < 0)
		return -SL_EPARSE;
	u = read_parts(nonce, &p) < 0 ? NULL : use_of(n, &p);
	if (!u)
		return -SL_EEXIST;
	if (u->seen == 0 || count > u->top) {
		uint32_t step = u->seen == 0 ? 0 : count - u->top;

		u->seen = step < NONCE_WINDOW ? u->seen << step | 1 : 1;
		u->top = count;
		return 0;
	}
	back = u->top - count;
	if (back >= NONCE_WINDOW || u->seen >> back & 1)
		return -SL_EEXIST;
	u->seen |= UINT64_C(1) << back;
	return 0;
}
