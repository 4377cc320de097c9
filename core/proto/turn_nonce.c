/*
 * proto/turn_nonce.c: nonces of the TURN engine.
 *
 * A nonce is 4 bytes of time and a 64-bit SipHash-2-4 over it and the client's transport address,
 * in base64: nothing is kept per source, any worker and generation can check it, and a flood of
 * unproven requests costs 20 ns each here. Where this server offers more than RFC 5389 knows, a
 * cookie with the security features goes in front (RFC 8489 section 9.2), and what is offered is
 * part of the hash: who was told something else, by somebody in between or before a reload, is told
 * again (438). Over streams the port is left out: a client with a TCP relay opens connection after
 * connection, and keeps one nonce for the server (section 9.2.5), not for each of them.
 *
 * Called by turn_auth.c and turn_reply.c.
 */
#include "proto/turn_impl.h"

#include <sluice/buf.h>

enum { NONCE_BYTES = 12 };

/* Section 18.1; bit 0 is the rightmost (erratum 6290, and the example of appendix B.1). */
enum { PASSWORD_ALGORITHMS = 1, USERNAME_ANONYMITY = 2 };

/* Its length; 0: nothing to say. */
static size_t cookie(const struct sl_turn_realm *realm, char ret_cookie[TURN_COOKIE_CHARS + 1])
{
	static const char fixed[] = "obMatJos2";
	uint8_t features[3] = {0};

	ret_cookie[0] = '\0';
	if (realm->n_algorithms > 0)
		features[2] |= PASSWORD_ALGORITHMS;
	if (realm->userhash)
		features[2] |= USERNAME_ANONYMITY;
	if (features[2] == 0)
		return 0;
	memcpy(ret_cookie, fixed, sizeof fixed - 1);
	(void)sl_base64_encode(ret_cookie + sizeof fixed - 1, features, sizeof features);
	return TURN_COOKIE_CHARS;
}

static uint64_t nonce_mac(const struct sl_turn *t, const struct sl_turn_client *c, uint32_t time)
{
	const struct sl_turn_realm *realm = t->realms[c->realm].conf;
	uint8_t text[4 + 2 + 2 + 16 + 3] = {0};

	sl_put32(text, time);
	text[4] = c->transport;
	text[5] = c->remote.family;
	if (c->transport != TURN_PROTO_TCP)
		sl_put16(text + 6, c->remote.port);
	memcpy(text + 8, c->remote.ip, 16);
	for (unsigned i = 0; i < realm->n_algorithms; i++)
		text[24 + i] = realm->algorithms[i];
	text[26] = realm->userhash;
	return sl_siphash24(t->nonce_key, text, sizeof text);
}

void turn_nonce(const struct sl_turn *t, const struct sl_turn_client *c, uint64_t unix_s,
		char ret_nonce[TURN_COOKIE_CHARS + TURN_NONCE_CHARS + 1])
{
	size_t cookie_len = cookie(t->realms[c->realm].conf, ret_nonce);
	uint8_t raw[NONCE_BYTES];

	sl_put32(raw, (uint32_t)unix_s);
	sl_put64(raw + 4, nonce_mac(t, c, (uint32_t)unix_s));
	/* 12 bytes are always 16 characters */
	(void)sl_base64_encode(ret_nonce + cookie_len, raw, sizeof raw);
}

bool turn_nonce_is_fresh(const struct turn_req *r, struct sl_str nonce)
{
	char want[TURN_COOKIE_CHARS + 1];
	size_t cookie_len = cookie(r->realm->conf, want), len;
	uint8_t raw[NONCE_BYTES], mac[8];
	uint32_t time;

	if (nonce.len != cookie_len + TURN_NONCE_CHARS || memcmp(nonce.p, want, cookie_len) != 0)
		return false;
	nonce = (struct sl_str){nonce.p + cookie_len, TURN_NONCE_CHARS};
	if (sl_base64_decode(raw, sizeof raw, nonce, &len) < 0 || len != sizeof raw)
		return false;
	time = sl_get32(raw);
	sl_put64(mac, nonce_mac(r->t, r->client, time));
	if (!sl_mem_eq(mac, raw + 4, sizeof mac))
		return false;
	/* A time in the future wraps and is stale too. */
	return (uint32_t)r->unix_s - time <= r->t->conf->nonce_lifetime_s;
}
