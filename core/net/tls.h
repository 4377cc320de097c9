/*
 * net/tls.h: server TLS contexts, the ClientHello reader and the stream filter. OpenSSL's seam for
 * streams.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <sluice/buf.h>
#include <sluice/conn.h>

struct tls_cert { /* PEM texts; key is secret */
	struct sl_str cert, key;
};
struct tls_opts {
	const struct tls_cert
		*certs; /* the first is the default, others are chosen by SNI against their SANs */
	unsigned n_certs;
	bool tls13_only;
	bool dtls; /* for datagrams: DTLS 1.2, completed by <sluice/dtls.h> */
	const uint8_t *ticket_key; /* 80 bytes, the same in all workers and generations; NULL: no
				      tickets */
};
/* err: a sentence naming what is wrong (no match of key and certificate, expired, unreadable).
 * Session resumption works across workers. */
int tls_context_new(const struct tls_opts *o, struct ssl_ctx_st **ret_ctx, char *err,
		    size_t err_cap);
void tls_context_free(struct ssl_ctx_st *ctx);
/* A self-signed ECDSA P-256 certificate for development, PEM; names: DNS names or IPs. */
int tls_make_dev_cert(const struct sl_str *names, unsigned n, struct sl_buf *ret_cert,
		      struct sl_buf *ret_key);
/* Reads a ClientHello from the first bytes of a connection, over several TLS records if need be.
 * -SL_EPARSE: not one. */
int tls_read_hello(const uint8_t *data, size_t len, struct sl_client_hello *ret_hello);

#endif
