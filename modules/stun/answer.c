/*
 * stun/answer.c: what a Binding request is answered (RFC 8489 sections 6.3.1, 12). No I/O.
 *
 * The shortest answer the RFC permits: XOR-MAPPED-ADDRESS alone, 32 bytes for IPv4; SOFTWARE only
 * when configured, FINGERPRINT only for those that sent one. Credentials are not asked for and not
 * looked at; integrity is not answered with integrity, because there is no key. ICE and RFC 5780
 * attributes are not understood here: 420.
 */
#include "server.h"

enum { MAX_UNKNOWN = 8 };

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

static unsigned unknown_in(const struct sl_stun_msg *msg, uint16_t types[MAX_UNKNOWN])
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
	};

	return sl_stun_unknown(msg, known, SL_ARRAY_LEN(known), types, MAX_UNKNOWN);
}

int stun_answer(void *self, const struct sl_stun_msg *msg, const struct sl_addr *remote,
		uint8_t dst[STUN_ANSWER_MAX])
{
	struct stun *s = self;
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
	n_unknown = unknown_in(msg, unknown);
	sl_stun_begin(&w, dst, STUN_ANSWER_MAX, n_unknown ? SL_STUN_ERROR : SL_STUN_SUCCESS,
		      SL_STUN_BINDING, msg->txid);
	if (n_unknown) {
		sl_count(&s->m[M_UNKNOWN_ATTRIBUTES]);
		put_unknown(&w, unknown, n_unknown);
	} else {
		sl_stun_put_xor_addr(&w, SL_STUN_XOR_MAPPED_ADDRESS, remote);
	}
	if (s->conf->software.len > 0)
		sl_stun_put_str(&w, SL_STUN_SOFTWARE, s->conf->software);
	return finish(&w, fingerprint == 0);
}
