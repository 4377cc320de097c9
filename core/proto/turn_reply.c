/*
 * proto/turn_reply.c: how the TURN engine answers.
 *
 * To a sender that has proven nothing: the least the RFC permits, without reason phrase and
 * SOFTWARE, so that the server is no amplifier for spoofed sources. To others: reason, SOFTWARE,
 * MESSAGE-INTEGRITY of the request's kind. FINGERPRINT goes with whoever sent one (RFC 8489 section
 * 7). Every error is counted here, under the name of what it means.
 */
#include "proto/turn_impl.h"

static void count_error(struct sl_turn_counters *n, unsigned code)
{
	switch (code) {
	case 300:
		n->redirects++;
		break;
	case 400:
		n->bad_requests++;
		break;
	case 403:
		n->peer_refusals++;
		break;
	case 405:
		n->mobility_refusals++;
		break;
	case 420:
		n->unknown_attributes++;
		break;
	case 437:
		n->mismatches++;
		break;
	case 438:
		n->stale_nonces++;
		break;
	case 440:
	case 443:
		n->family_refusals++;
		break;
	case 441:
		n->wrong_credentials++;
		break;
	case 442:
		n->transport_refusals++;
		break;
	case 446:
	case 447:
		n->connect_failures++;
		break;
	case 486:
		n->quota_refusals++;
		break;
	case 508:
		n->capacity_refusals++;
		break;
	default: /* 401 is a challenge or a failure: turn_auth.c knows */
		break;
	}
}

void turn_reply_begin(struct turn_req *r, enum sl_stun_class class_)
{
	sl_stun_begin(&r->w, r->out->reply, r->out->reply_cap, class_, r->msg->method,
		      r->msg->txid);
}

/* With the integrity of the request: what its sender can check. */
static void sign(struct turn_req *r)
{
	const struct sl_str key = {(const char *)r->key.bytes, r->key.len};

	if (r->t->conf->software.len > 0)
		sl_stun_put_str(&r->w, SL_STUN_SOFTWARE, r->t->conf->software);
	if (r->sha256)
		sl_stun_put_integrity_sha256(&r->w, key);
	else
		sl_stun_put_integrity(&r->w, key);
}

void turn_reply_end(struct turn_req *r)
{
	struct sl_stun_attr fingerprint;
	size_t len;

	if (r->proven)
		sign(r);
	if (sl_stun_find(r->msg, SL_STUN_FINGERPRINT, &fingerprint))
		sl_stun_put_fingerprint(&r->w);
	/* Only a buffer below the promised size can be too small. */
	if (sl_check(sl_stun_finish(&r->w, &len) == 0))
		r->out->reply_len = len;
	r->out->unproven = !r->proven && r->realm->conf->auth;
}

static void error_begin(struct turn_req *r, unsigned code)
{
	count_error(&r->t->counters, code);
	turn_reply_begin(r, SL_STUN_ERROR);
	sl_stun_put_error(&r->w, code, sl_str_c(r->proven ? sl_stun_reason(code) : ""));
}

void turn_reply_error(struct turn_req *r, unsigned code)
{
	error_begin(r, code);
	turn_reply_end(r);
}

void turn_reply_challenge(struct turn_req *r, unsigned code)
{
	char nonce[TURN_COOKIE_CHARS + TURN_NONCE_CHARS + 1];
	uint8_t list[8];
	size_t n = turn_algorithms(r->realm->conf, list);

	turn_nonce(r->t, r->client, r->unix_s, nonce);
	error_begin(r, code);
	sl_stun_put_str(&r->w, SL_STUN_REALM, r->realm->conf->name);
	sl_stun_put_str(&r->w, SL_STUN_NONCE, sl_str_c(nonce));
	if (n > 0)
		sl_stun_put(&r->w, SL_STUN_PASSWORD_ALGORITHMS, list, n);
	if (r->realm->conf->n_token_keys > 0)
		sl_stun_put_str(&r->w, SL_STUN_THIRD_PARTY_AUTHORIZATION,
				r->realm->conf->token_server);
	turn_reply_end(r);
}

/* The client's own family first, which it is sure to reach (RFC 8489 section 10). */
void turn_reply_alternate(struct turn_req *r)
{
	const uint8_t own = r->client->remote.family, other = own == 4 ? 6 : 4;
	const struct sl_addr *first = turn_alternate(r, own), *second = turn_alternate(r, other);

	r->t->n_redirected++;
	error_begin(r, 300);
	if (first)
		sl_stun_put_addr(&r->w, SL_STUN_ALTERNATE_SERVER, first);
	if (second)
		sl_stun_put_addr(&r->w, SL_STUN_ALTERNATE_SERVER, second);
	if (r->t->conf->alternate_domain.len > 0)
		sl_stun_put_str(&r->w, SL_STUN_ALTERNATE_DOMAIN, r->t->conf->alternate_domain);
	turn_reply_end(r);
}

void turn_reply_unknown(struct turn_req *r, const uint16_t *types, unsigned n)
{
	uint8_t list[2 * TURN_MAX_UNKNOWN];

	for (unsigned i = 0; i < n && i < TURN_MAX_UNKNOWN; i++) {
		list[2 * i] = (uint8_t)(types[i] >> 8);
		list[2 * i + 1] = (uint8_t)types[i];
	}
	error_begin(r, 420);
	sl_stun_put(&r->w, SL_STUN_UNKNOWN_ATTRIBUTES, list, 2 * (size_t)n);
	turn_reply_end(r);
}
