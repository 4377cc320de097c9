/*
 * proto/dtls_impl.h: what the files of the DTLS engine share.
 *
 *     dtls.c         sessions: datagrams in and out, time, the end
 *     dtls_ctx.c     contexts: certificates, what is negotiated
 *     dtls_peer.c    who the peer is: fingerprints; and the keys shared with it
 *     dtls_cookie.c  proof of a source's address, without state
 *     dtls_slim.c    what is left of a session without application data
 */
#ifndef PROTO_DTLS_IMPL_H
#define PROTO_DTLS_IMPL_H

#include <sluice/buf.h>
#include <sluice/dtls.h>

#include <openssl/ssl.h>
#include <sys/time.h>

enum {
	DTLS_RECORD_HEADER = 13,
	DTLS_CCS = 20,
	DTLS_ALERT = 21,
	DTLS_HANDSHAKE = 22,
	DTLS_MAX_DATAGRAM = 2048,
	DTLS_MAX_PLAIN = DTLS_MAX_DATAGRAM - 64, /* header, nonce and tag of any cipher fit */
	DTLS_MAX_DIGEST = 64,
};

struct sl_dtls_ctx {
	SSL_CTX *ssl;
	BIO_METHOD *bio;
	enum sl_dtls_use use;
	uint8_t cookie_key[32];
	char fingerprint[96];
	struct sl_dtls_counters counters;
};

/* What SDP says about the peer's certificate. */
struct dtls_pin {
	const EVP_MD *md; /* NULL: nothing is checked */
	uint8_t digest[DTLS_MAX_DIGEST];
	bool mismatched; /* W: the certificate's check */
};

struct dtls_slim;

struct sl_dtls {
	struct sl_dtls_ctx *ctx;
	SSL *ssl;		/* NULL: slim, or over */
	struct dtls_slim *slim; /* NULL: not */
	const struct sl_dtls_io *io;
	void *arg;
	const char *reason;
	struct dtls_pin pin;
	const uint8_t *in; /* the datagram that OpenSSL has not read yet; borrowed for a call */
	size_t in_len;
	struct timeval *timer; /* OpenSSL's, once it has told; see force_timeout */
	uint64_t now_ms, due_ms, give_up_ms, wait_ms, first_wait_ms;
	uint64_t last_nonce;  /* explicit nonce and sequence number of the last record of epoch 1 */
	uint64_t last_seq;    /* that left */
	uint64_t plain_seq;   /* and of epoch 0 */
	struct sl_buf flight; /* what left during the last call of a handshake; SRTP only */
	uint8_t state, role;
	uint8_t n_early; /* datagrams of epoch 1 while shaking hands */
	bool proven, listening, peeking, trimmed;
};

/* ---- dtls_peer.c */
int dtls_pin_set(struct dtls_pin *pin, struct sl_str hash, struct sl_str fingerprint);
/* For SSL_CTX_set_cert_verify_callback */
int dtls_pin_check(X509_STORE_CTX *store, void *arg);
int dtls_fingerprint(X509 *cert, char dst[96]);

/* ---- dtls.c */
/* The session's BIO: whole datagrams */
BIO_METHOD *dtls_bio_new(void);

/* ---- dtls_slim.c */
int dtls_slim_new(const struct sl_dtls *s, struct dtls_slim **ret_slim);
/* Accepts NULL */
void dtls_slim_free(struct dtls_slim *m);
enum sl_dtls_state dtls_slim_input(struct sl_dtls *s, const uint8_t *data, size_t len);
void dtls_slim_close(struct sl_dtls *s);

#endif
