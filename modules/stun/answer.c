/*
 * stun/answer.c: what a Binding request is answered (RFC 8489 sections 6.3.1, 12). No I/O.
 *
 * The shortest answer the RFC permits: XOR-MAPPED-ADDRESS alone, 32 bytes for IPv4; SOFTWARE only
 * when configured, FINGERPRINT only for those that sent one. Credentials are not asked for and not
 * looked at; integrity is not answered with integrity, because there is no key. Attributes of ICE
 * are not understood here: 420; those of RFC 5780 only where behaviour.c asks.
 */
#include "server.h"

enum { MAX_UNKNOWN = 8, N_DISCOVERY = 3 };

static int finish(struct sl_stun_writer *w, bool fingerprint)
{
	size_t len;

	if (fingerprint)
		sl_stun_put_fingerprint(w);
	if (!sl_check(sl_stun_finish(w, &len) == 0)) /* the room is made for the longest */
		return 0;
	return (int)len;
}

static void put_unknown(struct sl_stun_writer *w, const uint16_t *types, unsigned n)
{
	uint8_t list[2 * MAX_UNKNOWN];

	for (unsigned i = 0; i < n; i++)
		sl_put16(list + 2 * i, types[i]);
	sl_stun_put_error(w, 420, SL_STR_NULL);
	sl_stun_put(w, SL_STUN_UNKNOWN_ATTRIBUTES, list, 2 * (size_t)n);
}

/* The last N_DISCOVERY are known only where NAT behaviour is discovered. */
static unsigned unknown_in(const struct sl_stun_msg *msg, bool discovery,
			   uint16_t types[MAX_UNKNOWN])
{
	static const uint16_t known[] = {
		SL_STUN_MAPPED_ADDRESS,
		SL_STUN_USERNAME,
		SL_STUN_MESSAGE_INTEGRITY,
		SL_STUN_ERROR_CODE,
		SL_STUN_UNKNOWN_ATTRIBUTES,
		SL_STUN_REALM,
		SL_STUN_NONCE,
		SL_STUN_XOR_MAPPED_ADDRESS,
		SL_STUN_MESSAGE_INTEGRITY_SHA256,
		SL_STUN_PASSWORD_ALGORITHM,
		SL_STUN_USERHASH,
		SL_STUN_CHANGE_REQUEST,
		SL_STUN_PADDING,
		SL_STUN_RESPONSE_PORT,
	};
	unsigned n = SL_ARRAY_LEN(known) - (discovery ? 0 : N_DISCOVERY);

	return sl_stun_unknown(msg, known, n, types, MAX_UNKNOWN);
}

static void put_padding(struct sl_stun_writer *w, uint16_t len)
{
	static const uint8_t zeros[STUN_MAX_PADDING];

	if (len > 0)
		sl_stun_put(w, SL_STUN_PADDING, zeros, len);
}

/* The plain form of the client's address shows a gateway that rewrites what looks like one. */
static void put_discovery(struct sl_stun_writer *w, const struct sl_addr *remote,
			  const struct stun_discovery *d)
{
	sl_stun_put_addr(w, SL_STUN_MAPPED_ADDRESS, remote);
	sl_stun_put_addr(w, SL_STUN_RESPONSE_ORIGIN, d->origin);
	sl_stun_put_addr(w, SL_STUN_OTHER_ADDRESS, d->other);
	put_padding(w, d->padding);
}

static int put_success(struct stun *s, struct sl_stun_writer *w, const struct sl_addr *remote,
		       const struct stun_discovery *d, bool fingerprint)
{
	sl_stun_put_xor_addr(w, SL_STUN_XOR_MAPPED_ADDRESS, remote);
	if (d)
		put_discovery(w, remote, d);
	if (s->conf->software.len > 0)
		sl_stun_put_str(w, SL_STUN_SOFTWARE, s->conf->software);
	return finish(w, fingerprint);
}

static int put_refusal(struct stun *s, struct sl_stun_writer *w, const uint16_t *unknown,
		       unsigned n_unknown, bool fingerprint)
{
	if (n_unknown > 0) {
		sl_count(&s->m[M_UNKNOWN_ATTRIBUTES]);
		put_unknown(w, unknown, n_unknown);
	} else {
		sl_count(&s->m[M_MALFORMED]);
		sl_stun_put_error(w, 400, SL_STR_NULL);
	}
	if (s->conf->software.len > 0)
		sl_stun_put_str(w, SL_STUN_SOFTWARE, s->conf->software);
	return finish(w, fingerprint);
}

int stun_answer_more(struct stun *s, const struct sl_stun_msg *msg, const struct sl_addr *remote,
		     const struct stun_discovery *d, uint8_t *dst, size_t cap)
{
	uint16_t unknown[MAX_UNKNOWN];
	struct sl_stun_writer w;
	unsigned n_unknown;
	int fingerprint;

	if (msg->method != SL_STUN_BINDING)
		return -SL_EUNSUPP;
	if (msg->class_ == SL_STUN_INDICATION) /* keep-alives of RFC 8445 */
		return 0;
	if (msg->class_ != SL_STUN_REQUEST)
		return -SL_EUNSUPP;
	fingerprint = sl_stun_check_fingerprint(msg);
	if (fingerprint == -SL_EAUTH) {
		sl_count(&s->m[M_MALFORMED]);
		return 0;
	}
	n_unknown = unknown_in(msg, d != NULL, unknown);
	if (n_unknown > 0 || (d && d->error)) {
		sl_stun_begin(&w, dst, cap, SL_STUN_ERROR, SL_STUN_BINDING, msg->txid);
		return put_refusal(s, &w, unknown, n_unknown, fingerprint == 0);
	}
	sl_stun_begin(&w, dst, cap, SL_STUN_SUCCESS, SL_STUN_BINDING, msg->txid);
	return put_success(s, &w, remote, d, fingerprint == 0);
}

int stun_answer(void *self, const struct sl_stun_msg *msg, const struct sl_addr *remote,
		uint8_t dst[STUN_ANSWER_MAX])
{
	return stun_answer_more(self, msg, remote, NULL, dst, STUN_ANSWER_MAX);
}
