/*
 * proto/dtls_cookie.c: proof of a source's address, without state (RFC 6347 section 4.2.1).
 *
 * Whoever says ClientHello without a cookie is answered with one and forgotten: a MAC over its
 * address and the time, which any process of the node can check. The answer has 60 bytes, a
 * ClientHello more than that or it gets none, so nobody is used against a third party. Only the
 * first fragment of a hello is read; it holds the cookie, and OpenSSL joins the rest later.
 */
#include "proto/dtls_impl.h"

#include <sluice/crypto.h>

enum {
	CLIENT_HELLO = 1,
	HELLO_VERIFY_REQUEST = 3,
	MESSAGE_HEADER = 12,
	COOKIE_BYTES = 32,
	RANDOM_BYTES = 32,
	COOKIE_LIFE_MS = 30000, /* and up to once more */
};
_Static_assert(SL_DTLS_VERIFY_BYTES == DTLS_RECORD_HEADER + MESSAGE_HEADER + 3 + COOKIE_BYTES, "");

struct hello {
	const uint8_t *sequence;    /* of the record, 6 bytes; the answer repeats it */
	const uint8_t *message_seq; /* 2 bytes */
	const uint8_t *random;
	struct sl_str cookie;
};

/* The first fragment of a ClientHello in a record of epoch 0, up to its cookie. */
static int read_hello(const void *data, size_t len, struct hello *ret_hello)
{
	struct sl_reader r = sl_reader(data, len);
	struct hello h;
	unsigned type, major, epoch, message, offset;

	type = sl_read_u8(&r);
	major = sl_read_u8(&r);
	(void)sl_read_u8(&r);
	epoch = sl_read_u16(&r);
	h.sequence = (const uint8_t *)sl_read_bytes(&r, 6).p;
	(void)sl_read_u16(&r); /* OpenSSL looks at the lengths */
	message = sl_read_u8(&r);
	(void)sl_read_bytes(&r, 3);
	h.message_seq = (const uint8_t *)sl_read_bytes(&r, 2).p;
	offset = (unsigned)sl_read_u8(&r) << 16;
	offset |= sl_read_u16(&r);
	(void)sl_read_bytes(&r, 3 + 2); /* length of the fragment, version */
	h.random = (const uint8_t *)sl_read_bytes(&r, RANDOM_BYTES).p;
	(void)sl_read_bytes(&r, sl_read_u8(&r)); /* session */
	h.cookie = sl_read_bytes(&r, sl_read_u8(&r));
	if (r.failed || type != DTLS_HANDSHAKE || major != 0xfe || epoch != 0 ||
	    message != CLIENT_HELLO || offset != 0)
		return -SL_EPARSE;
	*ret_hello = h;
	return 0;
}

static void make_cookie(const struct sl_dtls_ctx *ctx, const struct sl_addr *remote,
			uint64_t period, uint8_t ret_cookie[COOKIE_BYTES])
{
	const struct sl_str key = {(const char *)ctx->cookie_key, sizeof ctx->cookie_key};
	uint8_t time[8];
	const struct sl_str parts[] = {{(const char *)remote, sizeof *remote},
				       {(const char *)time, sizeof time}};

	sl_put64(time, period);
	sl_hmac_sha256_parts(ret_cookie, key, parts, SL_ARRAY_LEN(parts));
}

/* Of this period or the one before. */
static bool is_valid(const struct sl_dtls_ctx *ctx, const struct sl_addr *remote, uint64_t period,
		     struct sl_str cookie)
{
	uint8_t right[COOKIE_BYTES];

	for (uint64_t age = 0; age < 2 && age <= period && cookie.len == COOKIE_BYTES; age++) {
		make_cookie(ctx, remote, period - age, right);
		if (sl_mem_eq(right, cookie.p, sizeof right))
			return true;
	}
	return false;
}

/* The version in it is always 1.0 (section 4.2.1). */
static void put_verify(const struct hello *h, const uint8_t cookie[COOKIE_BYTES], uint8_t *dst)
{
	static const uint8_t head[] = {DTLS_HANDSHAKE, 0xfe, 0xff, 0, 0};
	enum { BODY = 3 + COOKIE_BYTES };
	uint8_t *p = dst;

	memcpy(p, head, sizeof head);
	memcpy(p + 5, h->sequence, 6);
	sl_put16(p + 11, MESSAGE_HEADER + BODY);
	p += DTLS_RECORD_HEADER;
	memset(p, 0, MESSAGE_HEADER);
	p[0] = HELLO_VERIFY_REQUEST;
	p[3] = p[11] = BODY;
	memcpy(p + 4, h->message_seq, 2);
	p += MESSAGE_HEADER;
	p[0] = 0xfe;
	p[1] = 0xff;
	p[2] = COOKIE_BYTES;
	memcpy(p + 3, cookie, COOKIE_BYTES);
}

int sl_dtls_listen(struct sl_dtls_ctx *ctx, const void *data, size_t len,
		   const struct sl_addr *remote, uint64_t now_ms,
		   uint8_t reply[SL_DTLS_VERIFY_BYTES], size_t *ret_len)
{
	uint64_t period = now_ms / COOKIE_LIFE_MS;
	uint8_t cookie[COOKIE_BYTES];
	struct hello h;

	if (read_hello(data, len, &h) < 0)
		return SL_DROP;
	if (is_valid(ctx, remote, period, h.cookie))
		return SL_DONE;
	if (h.cookie.len > 0)
		ctx->counters.cookies_refused++;
	if (len < SL_DTLS_VERIFY_BYTES)
		return SL_DROP;
	make_cookie(ctx, remote, period, cookie);
	put_verify(&h, cookie, reply);
	ctx->counters.cookies_sent++;
	*ret_len = SL_DTLS_VERIFY_BYTES;
	return SL_AGAIN;
}

/* A repeated hello of the handshake that made the session has its random; a new one has not. */
bool sl_dtls_restarts(const struct sl_dtls *s, const void *data, size_t len)
{
	uint8_t known[RANDOM_BYTES];
	struct hello h;

	if (!s->ssl || s->state != SL_DTLS_OPEN || read_hello(data, len, &h) < 0)
		return false;
	return SSL_get_client_random(s->ssl, known, sizeof known) == sizeof known &&
	       memcmp(known, h.random, sizeof known) != 0;
}
