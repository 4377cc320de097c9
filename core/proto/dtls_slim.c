/*
 * proto/dtls_slim.c: what is left of a session that carries no application data.
 *
 * After DTLS-SRTP's handshake the association has three things left to do: repeat its last flight
 * for a peer that has not got it (RFC 6347 section 4.2.4), say goodbye, and hear the peer's. For
 * that OpenSSL's 60 kB are given up: the keys of the record layer are derived once more (RFC 5246
 * section 6.3), and records are opened and sealed here with AES-GCM (RFC 5288). Other ciphers keep
 * the whole session; no browser makes them necessary.
 */
#include "proto/dtls_impl.h"

#include <sluice/crypto.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <stdlib.h>

enum {
	RANDOM = 32,
	MASTER_SECRET = 48,
	MAX_KEY = 32,
	SALT = 4,
	NONCE = 8,
	TAG = 16,
	OVERHEAD = NONCE + TAG,
	REPEAT_MS = 200,  /* a peer that misses a flight repeats its own in several datagrams */
	MAX_FLIGHT = 600, /* of ours with a session ticket: 300 */
	CLOSE_NOTIFY = 0,
};

struct side {
	uint8_t key[MAX_KEY], salt[SALT];
};

struct dtls_slim {
	const EVP_CIPHER *cipher;
	struct side local, remote;
	uint64_t plain_seq, seq, nonce; /* last ones used */
	uint64_t repeat_ms;		/* not before */
	size_t flight_len;
	uint8_t flight[]; /* records in plain text; their numbers are replaced */
};

/* ---- keys */

/* TLS 1.2's PRF with the hash of the cipher. */
static int expand(const SSL *ssl, const EVP_MD *md, uint8_t *dst, size_t len)
{
	static const char label[] = "key expansion";
	uint8_t secret[MASTER_SECRET], seed[sizeof label - 1 + 2 * RANDOM];
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_PRF, NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
						 (char *)(uintptr_t)EVP_MD_get0_name(md), 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret, sizeof secret),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
		OSSL_PARAM_END,
	};
	bool done;

	memcpy(seed, label, sizeof label - 1);
	(void)SSL_get_server_random(ssl, seed + sizeof label - 1, RANDOM);
	(void)SSL_get_client_random(ssl, seed + sizeof label - 1 + RANDOM, RANDOM);
	done = ctx &&
	       SSL_SESSION_get_master_key(SSL_get0_session(ssl), secret, sizeof secret) ==
		       sizeof secret &&
	       EVP_KDF_derive(ctx, dst, len, params) == 1;
	sl_wipe(secret, sizeof secret);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return done ? 0 : -SL_ENOMEM;
}

static const EVP_CIPHER *cipher_of(const SSL *ssl)
{
	switch (SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(ssl))) {
	case NID_aes_128_gcm:
		return EVP_aes_128_gcm();
	case NID_aes_256_gcm:
		return EVP_aes_256_gcm();
	default:
		return NULL;
	}
}

/* Client's key, server's key, client's salt, server's salt; AEAD ciphers have no MAC keys. */
static int derive(const struct sl_dtls *s, struct dtls_slim *m)
{
	bool client = s->role == SL_DTLS_ACTIVE;
	struct side *a = client ? &m->local : &m->remote, *b = client ? &m->remote : &m->local;
	const EVP_MD *md = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(s->ssl));
	size_t key_len = (size_t)EVP_CIPHER_get_key_length(m->cipher);
	uint8_t block[2 * (MAX_KEY + SALT)];
	int rc = md ? expand(s->ssl, md, block, 2 * (key_len + SALT)) : -SL_EUNSUPP;

	if (rc == 0) {
		memcpy(a->key, block, key_len);
		memcpy(b->key, block + key_len, key_len);
		memcpy(a->salt, block + 2 * key_len, SALT);
		memcpy(b->salt, block + 2 * key_len + SALT, SALT);
	}
	sl_wipe(block, sizeof block);
	return rc;
}

/* ---- records */

/* Additional data is the header with the plain text's length (RFC 5246 section 6.2.3.3). */
static EVP_CIPHER_CTX *begin_record(const struct dtls_slim *m, const struct side *side,
				    const uint8_t *record, size_t plain_len, int seal)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t iv[SALT + NONCE], aad[DTLS_RECORD_HEADER];
	int n;

	memcpy(iv, side->salt, SALT);
	memcpy(iv + SALT, record + DTLS_RECORD_HEADER, NONCE);
	memcpy(aad, record + 3, 8); /* epoch and sequence number come first here */
	memcpy(aad + 8, record, 3);
	sl_put16(aad + 11, (uint16_t)plain_len);
	if (ctx && EVP_CipherInit_ex2(ctx, m->cipher, side->key, iv, seal, NULL) == 1 &&
	    EVP_CipherUpdate(ctx, NULL, &n, aad, sizeof aad) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

/* In place: the plain text is then at record + 13 + 8. Its length, or negative. */
static int open_record(const struct dtls_slim *m, const struct side *side, uint8_t *record,
		       size_t len)
{
	size_t plain_len = len - DTLS_RECORD_HEADER - OVERHEAD;
	uint8_t *text = record + DTLS_RECORD_HEADER + NONCE;
	EVP_CIPHER_CTX *ctx;
	int n, rc = -SL_EAUTH;

	if (len < DTLS_RECORD_HEADER + OVERHEAD)
		return -SL_EPARSE;
	ctx = begin_record(m, side, record, plain_len, 0);
	if (ctx && EVP_CipherUpdate(ctx, text, &n, text, (int)plain_len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, text + plain_len) == 1 &&
	    EVP_CipherFinal_ex(ctx, text + plain_len, &n) == 1)
		rc = (int)plain_len;
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}

/* Type and plain text to a whole record at dst, under the next numbers; its length, or negative. */
static int seal_record(struct dtls_slim *m, uint8_t type, const uint8_t *plain, size_t len,
		       uint8_t *dst)
{
	uint8_t *text = dst + DTLS_RECORD_HEADER + NONCE;
	EVP_CIPHER_CTX *ctx;
	int n, rc = -SL_ENOMEM;

	dst[0] = type;
	dst[1] = 0xfe;
	dst[2] = 0xfd;
	sl_put64(dst + 3, (uint64_t)1 << 48 | ++m->seq);
	sl_put16(dst + 11, (uint16_t)(len + OVERHEAD));
	sl_put64(dst + DTLS_RECORD_HEADER, ++m->nonce);
	ctx = begin_record(m, &m->local, dst, len, 1);
	if (ctx && EVP_CipherUpdate(ctx, text, &n, plain, (int)len) == 1 &&
	    EVP_CipherFinal_ex(ctx, text + len, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, text + len) == 1)
		rc = (int)(DTLS_RECORD_HEADER + len + OVERHEAD);
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}

/* ---- the last flight */

/* Records in, records out: those of epoch 1 opened with our own key, their header's length that of
 * the plain text. */
static int keep_flight(struct dtls_slim *m, uint8_t *p, size_t len)
{
	uint8_t *to = m->flight;

	while (len >= DTLS_RECORD_HEADER) {
		size_t whole = DTLS_RECORD_HEADER + (size_t)sl_get16(p + 11);
		int plain = (int)whole - DTLS_RECORD_HEADER;
		const uint8_t *text = p + DTLS_RECORD_HEADER;

		if (whole > len)
			return -SL_EPARSE;
		if (sl_get16(p + 3) != 0) {
			plain = open_record(m, &m->local, p, whole);
			text += NONCE;
		}
		if (plain < 0)
			return plain;
		memcpy(to, p, DTLS_RECORD_HEADER);
		sl_put16(to + 11, (uint16_t)plain);
		memmove(to + DTLS_RECORD_HEADER, text, (size_t)plain);
		to += DTLS_RECORD_HEADER + plain;
		p += whole;
		len -= whole;
	}
	m->flight_len = (size_t)(to - m->flight);
	return 0;
}

static size_t put_plain(struct dtls_slim *m, const uint8_t *record, size_t len, uint8_t *dst)
{
	memcpy(dst, record, len);
	sl_put64(dst + 3, ++m->plain_seq);
	return len;
}

/* As the first time but for the numbers (RFC 6347 section 4.2.4). */
static void repeat_flight(struct sl_dtls *s)
{
	struct dtls_slim *m = s->slim;
	uint8_t datagram[MAX_FLIGHT + 4 * OVERHEAD];
	size_t used = 0;

	if (m->flight_len == 0 || s->now_ms < m->repeat_ms)
		return;
	m->repeat_ms = s->now_ms + REPEAT_MS;
	for (size_t at = 0; at < m->flight_len;) {
		const uint8_t *record = m->flight + at;
		size_t plain = sl_get16(record + 11);
		int n;

		if (used + DTLS_RECORD_HEADER + plain + OVERHEAD > sizeof datagram)
			return;
		if (sl_get16(record + 3) == 0)
			n = (int)put_plain(m, record, DTLS_RECORD_HEADER + plain, datagram + used);
		else
			n = seal_record(m, record[0], record + DTLS_RECORD_HEADER, plain,
					datagram + used);
		if (n < 0)
			return;
		used += (size_t)n;
		at += DTLS_RECORD_HEADER + plain;
	}
	s->ctx->counters.retransmissions++;
	s->io->send(s->arg, datagram, used);
}

/* ---- input and the end */

/* Warnings other than goodbye mean nothing to us. */
static void heard_alert(struct sl_dtls *s, uint8_t *record, size_t len)
{
	const uint8_t *alert = record + DTLS_RECORD_HEADER + NONCE;

	if (open_record(s->slim, &s->slim->remote, record, len) != 2)
		return;
	if (alert[1] == CLOSE_NOTIFY) {
		s->state = SL_DTLS_CLOSED;
		s->reason = "closed by the peer";
	} else if (alert[0] == SSL3_AL_FATAL) {
		s->state = SL_DTLS_FAILED;
		s->reason = SSL_alert_desc_string_long(alert[1]);
	}
}

enum sl_dtls_state dtls_slim_input(struct sl_dtls *s, const uint8_t *data, size_t len)
{
	while (len >= DTLS_RECORD_HEADER && s->state == SL_DTLS_OPEN) {
		size_t whole = DTLS_RECORD_HEADER + (size_t)sl_get16(data + 11);
		uint8_t alert[64];

		if (whole > len)
			break;
		if (data[0] == DTLS_HANDSHAKE)
			repeat_flight(s);
		if (data[0] == DTLS_ALERT && sl_get16(data + 3) == 1 && whole <= sizeof alert) {
			memcpy(alert, data, whole);
			heard_alert(s, alert, whole);
		}
		data += whole;
		len -= whole;
	}
	return s->state;
}

void dtls_slim_close(struct sl_dtls *s)
{
	static const uint8_t goodbye[] = {SSL3_AL_WARNING, CLOSE_NOTIFY};
	uint8_t record[64];
	int n = seal_record(s->slim, DTLS_ALERT, goodbye, sizeof goodbye, record);

	if (n > 0)
		s->io->send(s->arg, record, (size_t)n);
}

/* A flight is ours to repeat if it left in the call that ended the handshake. */
int dtls_slim_new(const struct sl_dtls *s, struct dtls_slim **ret_slim)
{
	const EVP_CIPHER *cipher = cipher_of(s->ssl);
	struct dtls_slim *m;
	int rc;

	if (!cipher || s->flight.len > MAX_FLIGHT)
		return -SL_EUNSUPP;
	m = calloc(1, sizeof *m + s->flight.len);
	if (!m)
		return -SL_ENOMEM;
	m->cipher = cipher;
	m->plain_seq = s->plain_seq;
	m->seq = s->last_seq;
	m->nonce = s->last_nonce;
	rc = derive(s, m);
	if (rc == 0)
		rc = keep_flight(m, s->flight.p, s->flight.len);
	if (rc == 0)
		*ret_slim = m;
	else
		dtls_slim_free(m);
	return rc;
}

void dtls_slim_free(struct dtls_slim *m)
{
	if (!m)
		return;
	sl_wipe(m, sizeof *m);
	free(m);
}
