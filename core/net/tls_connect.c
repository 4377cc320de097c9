/*
 * net/tls_connect.c: TLS of connections that modules make: whom a certificate has to name, and who
 * may have signed it.
 *
 * The handshake runs within the first reads and writes, so that a connection of this kind is as
 * any other from its first moment; a peer whose certificate is not good enough gets no byte of what
 * waits to be sent (RFC 5922 section 7.3: a name that was looked up counts, not what DNS made of
 * it).
 */
#include "net/tls_connect.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sluice/addr.h>
#include "net/tls_stream.h"

struct sl_tls_client {
	SSL_CTX *ctx;
	bool unchecked;
};

static int complain(char *err, size_t cap, const char *sentence)
{
	const unsigned long code = ERR_peek_error();
	const char *why = code ? ERR_reason_error_string(code) : NULL;

	(void)snprintf(err, cap, "%s%s%s", sentence, why ? ": " : "", why ? why : "");
	ERR_clear_error();
	return -SL_ECONF;
}

/* Keys are never asked for a passphrase on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag, (void)arg;
	return -1;
}

static BIO *bio_of(struct sl_str pem)
{
	return BIO_new_mem_buf(pem.p, (int)pem.len);
}

/* How many could be read and used */
static unsigned add_authorities(SSL_CTX *ctx, struct sl_str pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *bio = bio_of(pem);
	unsigned n = 0;
	X509 *cert;

	while (bio && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		n += X509_STORE_add_cert(store, cert) == 1;
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error(); /* "no more certificates" ends every file */
	return n;
}

/* The leaf, and behind it what connects it with an authority */
static int use_chain(SSL_CTX *ctx, struct sl_str pem)
{
	BIO *bio = bio_of(pem);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	bool ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1;

	X509_free(cert);
	while (ok && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		ok = SSL_CTX_add0_chain_cert(ctx, cert) == 1;
		if (!ok)
			X509_free(cert);
	}
	BIO_free(bio);
	if (ok)
		ERR_clear_error();
	return ok ? 0 : -SL_ECONF;
}

static int use_key(SSL_CTX *ctx, struct sl_str pem)
{
	BIO *bio = bio_of(pem);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;

	EVP_PKEY_free(key);
	BIO_free(bio);
	return ok ? 0 : -SL_ECONF;
}

static int set_up(struct sl_tls_client *t, const struct sl_tls_client_opts *o, char *err,
		  size_t cap)
{
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (!t->ctx)
		return -SL_ENOMEM;
	(void)SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					    SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					 SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(t->ctx, o->unchecked ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (o->authorities.len == 0)
		(void)SSL_CTX_set_default_verify_paths(t->ctx); /* none: nobody is trusted */
	else if (add_authorities(t->ctx, o->authorities) == 0)
		return complain(err, cap, "there is no certificate among the authorities");
	if (o->cert.len == 0)
		return 0;
	if (use_chain(t->ctx, o->cert) < 0)
		return complain(err, cap, "our certificate cannot be used");
	return use_key(t->ctx, o->key) < 0 ? complain(err, cap, "our key cannot be used") : 0;
}

int sl_tls_client_new(const struct sl_tls_client_opts *o, struct sl_tls_client **ret_client,
		      char *err, size_t err_cap)
{
	struct sl_tls_client *t = calloc(1, sizeof *t);
	int rc;

	if (!t)
		return -SL_ENOMEM;
	t->unchecked = o->unchecked;
	ERR_clear_error();
	rc = set_up(t, o, err, err_cap);
	if (rc < 0) {
		sl_tls_client_free(t);
		return rc;
	}
	*ret_client = t;
	return 0;
}

void sl_tls_client_free(struct sl_tls_client *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* An address stands in a certificate as such, and is no name to ask for. */
static bool expect_name(SSL *ssl, const char *name)
{
	struct sl_addr a;

	if (sl_addr_parse(&a, sl_str_c(name)) == 0)
		return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), a.ip,
						 a.family == 4 ? 4 : 16) == 1;
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

int tls_connect_new(const struct sl_tls_client *t, const char *name, int fd,
		    struct ssl_st **ret_tls)
{
	struct ssl_st *ssl;
	int rc = tls_stream_new(t->ctx, fd, &ssl);

	if (rc < 0)
		return rc;
	SSL_set_connect_state(ssl);
	if (!expect_name(ssl, name)) {
		SSL_free(ssl);
		return -SL_ENOMEM;
	}
	*ret_tls = ssl;
	return 0;
}

bool tls_connect_is_shaking(const struct ssl_st *tls)
{
	return SSL_is_init_finished(tls) == 0;
}

const char *tls_connect_doubt(const struct ssl_st *tls)
{
	long rc = SSL_get_verify_result(tls);

	return rc == X509_V_OK ? NULL : X509_verify_cert_error_string(rc);
}
