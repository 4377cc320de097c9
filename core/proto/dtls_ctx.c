/*
 * proto/dtls_ctx.c: DTLS contexts: an identity, and what is negotiated under it.
 *
 * Two kinds. A generation's own, for WebRTC: a fresh self-signed certificate, because with an
 * unchanged fingerprint a client would not start anew; peers show theirs. A listener's: its
 * certificates as net/tls.c has read them, with that file's choice by server name and ALPN.
 */
#include "proto/dtls_impl.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdlib.h>

/* AEAD alone, AES-128 first: of all that browsers offer the cheapest. X25519 alone would not do:
 * with ECDSA certificates OpenSSL wants their curve among the groups. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS "X25519:P-256:P-384"
/* GCM costs a third of CM with SHA-1, and the 128-bit key less than the longer one. */
#define SRTP_PROFILES                                                                              \
	"SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80:"                      \
	"SRTP_AES128_CM_SHA1_32"
#define VALID_S (30L * 86400)
#define CLOCK_SKEW_S 86400L
/* Of a peer's chain; also bounds what is collected of a message that never becomes whole. */
#define MAX_PEER_CERTS 16384

/* ---- the certificate */

/* Nothing in it tells one node from another but the key. */
static int name_cert(X509 *cert)
{
	X509_NAME *name = X509_get_subject_name(cert);
	const unsigned char *text = (const unsigned char *)"sluice";

	if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) != 1)
		return -SL_ENOMEM;
	return X509_set_issuer_name(cert, name) == 1 ? 0 : -SL_ENOMEM;
}

static int fill_cert(X509 *cert, EVP_PKEY *key)
{
	uint64_t serial;

	if (RAND_bytes((unsigned char *)&serial, sizeof serial) != 1)
		return -SL_ESYS;
	if (X509_set_version(cert, X509_VERSION_3) != 1 ||
	    ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1 | 1) != 1 ||
	    !X509_gmtime_adj(X509_getm_notBefore(cert), -CLOCK_SKEW_S) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), VALID_S) || name_cert(cert) < 0 ||
	    X509_set_pubkey(cert, key) != 1)
		return -SL_ENOMEM;
	return X509_sign(cert, key, EVP_sha256()) > 0 ? 0 : -SL_ESYS;
}

/* The context has its own references afterwards. */
static int make_identity(struct sl_dtls_ctx *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	int rc = key && cert ? fill_cert(cert, key) : -SL_ENOMEM;

	if (rc == 0 && (SSL_CTX_use_certificate(ctx->ssl, cert) != 1 ||
			SSL_CTX_use_PrivateKey(ctx->ssl, key) != 1))
		rc = -SL_ENOMEM;
	if (rc == 0)
		rc = dtls_fingerprint(cert, ctx->fingerprint);
	X509_free(cert);
	EVP_PKEY_free(key);
	return rc;
}

/* ---- what is negotiated */

static void demand_certificate(SSL_CTX *ssl)
{
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

/* Resumption would need no certificate, so sessions whose peer is known by it do not resume. */
static int set_up(struct sl_dtls_ctx *ctx)
{
	SSL_CTX *ssl = ctx->ssl;

	SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	/* Nothing longer is written; without it the buffer for it has 16 kB. */
	(void)SSL_CTX_set_max_send_fragment(ssl, DTLS_MAX_DATAGRAM);
	SSL_CTX_set_cert_verify_callback(ssl, dtls_pin_check, NULL);
	SSL_CTX_set_max_cert_list(ssl, MAX_PEER_CERTS);
	if (SSL_CTX_set_min_proto_version(ssl, DTLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ssl, CIPHERS) != 1 ||
	    SSL_CTX_set1_groups_list(ssl, GROUPS) != 1)
		return -SL_ENOMEM;
	if (ctx->use != SL_DTLS_SRTP)
		return 0;
	demand_certificate(ssl);
	return SSL_CTX_set_tlsext_use_srtp(ssl, SRTP_PROFILES) == 0 ? 0 : -SL_ENOMEM;
}

/* Asked again for a hello that sl_dtls_listen has called proven. */
static int accept_cookie(SSL *ssl, const unsigned char *cookie, unsigned len)
{
	const struct sl_dtls *s = SSL_get_app_data(ssl);

	(void)cookie;
	(void)len;
	return s->proven;
}

/* ---- life */

static struct sl_dtls_ctx *new_context(enum sl_dtls_use use)
{
	struct sl_dtls_ctx *ctx = calloc(1, sizeof *ctx);

	if (!ctx)
		return NULL;
	ctx->use = use;
	ctx->bio = dtls_bio_new();
	if (ctx->bio)
		return ctx;
	free(ctx);
	return NULL;
}

int sl_dtls_ctx_new(enum sl_dtls_use use, struct sl_dtls_ctx **ret_ctx)
{
	struct sl_dtls_ctx *ctx = new_context(use);
	int rc;

	if (!ctx)
		return -SL_ENOMEM;
	ctx->ssl = SSL_CTX_new(DTLS_method());
	rc = ctx->ssl ? set_up(ctx) : -SL_ENOMEM;
	if (rc == 0)
		rc = make_identity(ctx);
	if (rc == 0)
		*ret_ctx = ctx;
	else
		sl_dtls_ctx_free(ctx);
	ERR_clear_error();
	return rc;
}

int sl_dtls_ctx_new_server(struct ssl_ctx_st *tls, const uint8_t cookie_key[32],
			   struct sl_dtls_ctx **ret_ctx)
{
	struct sl_dtls_ctx *ctx = new_context(SL_DTLS_DATA);
	int rc;

	if (!ctx)
		return -SL_ENOMEM;
	memcpy(ctx->cookie_key, cookie_key, sizeof ctx->cookie_key);
	SSL_CTX_up_ref(tls);
	ctx->ssl = tls;
	SSL_CTX_set_cookie_verify_cb(tls, accept_cookie);
	rc = dtls_fingerprint(SSL_CTX_get0_certificate(tls), ctx->fingerprint);
	if (rc == 0)
		*ret_ctx = ctx;
	else
		sl_dtls_ctx_free(ctx);
	return rc;
}

void sl_dtls_ctx_free(struct sl_dtls_ctx *ctx)
{
	if (!ctx)
		return;
	SSL_CTX_free(ctx->ssl);
	BIO_meth_free(ctx->bio);
	OPENSSL_cleanse(ctx->cookie_key, sizeof ctx->cookie_key);
	free(ctx);
}

const char *sl_dtls_fingerprint(const struct sl_dtls_ctx *ctx)
{
	return ctx->fingerprint;
}

const struct sl_dtls_counters *sl_dtls_counters(const struct sl_dtls_ctx *ctx)
{
	return &ctx->counters;
}
