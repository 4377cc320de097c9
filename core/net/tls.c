/*
 * net/tls.c: server contexts: what versions, ciphers and certificates a listener offers.
 *
 * One context per certificate; a certificate of another key type for the very same names joins the
 * first one's context, so that OpenSSL takes what the client can verify. The context handed out is
 * that of the first certificate and owns the others; the server name of a handshake chooses among
 * them. Sessions resume by tickets under one key for all workers: nothing is remembered here.
 * Whoever else terminates TLS on a listener (the http module) switches to this context, and gets
 * its choice of certificate and protocol with it.
 */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS "X25519:P-256:P-384"
#define TICKET_KEY_BYTES 80

/* Hangs on the first context. */
struct siblings {
	unsigned n;
	SSL_CTX *ctxs[]; /* n; the first is the owner itself */
};

struct complaint {
	char *text;
	size_t cap;
};

static int complain(const struct complaint *err, const char *fmt, ...) SL_PRINTF(2, 3);

/* OpenSSL's own error queue is emptied: it would confuse the next call. */
static int complain(const struct complaint *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(err->text, err->cap, fmt, args);
	va_end(args);
	ERR_clear_error();
	return -SL_ECONF;
}

/* ---- certificates */

/* Keys are never asked for a passphrase on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag, (void)arg;
	return -1;
}

/* For messages only; names with odd characters come out escaped. */
static const char *subject(X509 *cert, char dst[128])
{
	X509_NAME_oneline(X509_get_subject_name(cert), dst, 128);
	return dst;
}

/* A certificate that browsers would refuse is refused here, where somebody reads it. */
static int check_dates(X509 *cert, const struct complaint *err)
{
	char name[128];

	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		return complain(err, "the certificate for %s has expired", subject(cert, name));
	if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		return complain(err, "the certificate for %s is not valid yet",
				subject(cert, name));
	return 0;
}

/* Intermediate certificates follow the leaf in the file. */
static int read_chain(SSL_CTX *ctx, BIO *bio, const struct complaint *err)
{
	X509 *cert;

	while ((cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		if (SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
			X509_free(cert);
			return complain(err, "a certificate of the chain cannot be used");
		}
	}
	ERR_clear_error(); /* "no more certificates" ends every chain */
	return 0;
}

/* Leaves the leaf in *ret_leaf, owned by ctx. */
static int use_certs(SSL_CTX *ctx, struct sl_str pem, X509 **ret_leaf, const struct complaint *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	int rc;

	if (!leaf) {
		BIO_free(bio);
		return complain(err, "the certificate is not readable as PEM");
	}
	rc = check_dates(leaf, err);
	if (rc == 0 && SSL_CTX_use_certificate(ctx, leaf) != 1)
		rc = complain(err, "the certificate cannot be used: %s",
			      ERR_reason_error_string(ERR_peek_error()));
	if (rc == 0)
		rc = read_chain(ctx, bio, err);
	X509_free(leaf); /* the context has its own reference */
	BIO_free(bio);
	if (rc == 0)
		*ret_leaf = leaf;
	return rc;
}

/* Checked against the leaf here, because OpenSSL's own message does not say which file is wrong. */
static int use_key(SSL_CTX *ctx, struct sl_str pem, X509 *leaf, const struct complaint *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	char name[128];
	int rc = 0;

	BIO_free(bio);
	if (!key)
		return complain(err, "the private key is not readable as PEM without a passphrase");
	if (X509_check_private_key(leaf, key) != 1)
		rc = complain(err, "the private key does not belong to the certificate for %s",
			      subject(leaf, name));
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		rc = complain(err, "the private key cannot be used: %s",
			      ERR_reason_error_string(ERR_peek_error()));
	EVP_PKEY_free(key);
	return rc;
}

/* Into the place for this type of key; a context has one for each type. */
static int use_pair(SSL_CTX *ctx, const struct tls_cert *cert, const struct complaint *err)
{
	X509 *leaf = NULL;
	int rc = use_certs(ctx, cert->cert, &leaf, err);

	return rc < 0 ? rc : use_key(ctx, cert->key, leaf, err);
}

/* ---- choices made in a handshake */

/* Preferred first. Which of them an answer needs is the business of who takes the connection. */
static const unsigned char alpn_known[] = "\x09stun.turn\x12stun.nat-discovery\x08http/1.1";

/* No common protocol is a failure, not a silent guess (RFC 7301 section 3.2). */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			   const unsigned char *in, unsigned in_len, void *arg)
{
	unsigned char *chosen;

	(void)ssl, (void)arg;
	if (SSL_select_next_proto(&chosen, out_len, alpn_known, sizeof alpn_known - 1, in,
				  in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* By subjectAltName with wildcards, as clients check it. */
static bool covers(SSL_CTX *ctx, const char *name)
{
	return X509_check_host(SSL_CTX_get0_certificate(ctx), name, 0, 0, NULL) == 1;
}

/* An unknown name gets the first certificate: the client says best what it thinks of it. */
static int choose_cert(SSL *ssl, int *alert, void *arg)
{
	const struct siblings *all = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	for (unsigned i = 0; name && i < all->n; i++) {
		if (!covers(all->ctxs[i], name))
			continue;
		SSL_set_SSL_CTX(ssl, all->ctxs[i]);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

/* ---- contexts */

/* Stateless: a worker that has never seen the session resumes it, over reloads and crashes too. */
static int set_tickets(SSL_CTX *ctx, const struct tls_opts *o)
{
	static const unsigned char id[] = "sluice";

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1) != 1)
		return -SL_ENOMEM;
	if (!o->ticket_key) {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		return SSL_CTX_set_num_tickets(ctx, 0) == 1 ? 0 : -SL_ENOMEM;
	}
	if (SSL_CTX_set_tlsext_ticket_keys(ctx, (void *)(uintptr_t)o->ticket_key,
					   TICKET_KEY_BYTES) != 1)
		return -SL_EINVAL;
	return SSL_CTX_set_num_tickets(ctx, 1) == 1 ? 0 : -SL_ENOMEM;
}

/* The output queue may move and grow between two attempts; idle connections hold no record buffers;
 * one read is for all records that are there, not two for each. */
static void set_stream_modes(SSL_CTX *ctx)
{
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
}

static int oldest_version(const struct tls_opts *o)
{
	if (o->dtls)
		return DTLS1_2_VERSION;
	return o->tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION;
}

/* What the years have taught: no compression, no renegotiation, forward secrecy and AEAD only. */
static SSL_CTX *new_context(const struct tls_opts *o)
{
	SSL_CTX *ctx = SSL_CTX_new(o->dtls ? DTLS_server_method() : TLS_server_method());

	if (!ctx)
		return NULL;
	if (!o->dtls)
		set_stream_modes(ctx);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	if (SSL_CTX_set_min_proto_version(ctx, oldest_version(o)) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, CIPHERS_12) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, GROUPS) != 1 || set_tickets(ctx, o) < 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/*
 * As encoded: the same names in another order are another set, which costs a context and no more.
 */
static const ASN1_OCTET_STRING *names_of(X509 *cert)
{
	int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);

	return at < 0 ? NULL : X509_EXTENSION_get_data(X509_get_ext(cert, at));
}

/* NULL where use_pair will complain in a moment. */
static X509 *read_leaf(struct sl_str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;

	BIO_free(bio);
	return leaf;
}

/* The same names and another kind of key: ECDSA and RSA side by side. */
static bool complements(SSL_CTX *ctx, struct sl_str pem)
{
	X509 *have = SSL_CTX_get0_certificate(ctx), *more = read_leaf(pem);
	const ASN1_OCTET_STRING *a = names_of(have), *b = more ? names_of(more) : NULL;
	bool fits = a && b && ASN1_OCTET_STRING_cmp(a, b) == 0 &&
		    EVP_PKEY_get_base_id(X509_get0_pubkey(have)) !=
			    EVP_PKEY_get_base_id(X509_get0_pubkey(more));

	X509_free(more);
	return fits;
}

/* The first place that fits, else a context of its own. */
static int add_cert(struct siblings *all, const struct tls_opts *o, const struct tls_cert *cert,
		    const struct complaint *err)
{
	SSL_CTX *ctx;
	int rc;

	for (unsigned i = 0; i < all->n; i++)
		if (complements(all->ctxs[i], cert->cert))
			return use_pair(all->ctxs[i], cert, err);
	ctx = new_context(o);
	if (!ctx)
		return complain(err, "OpenSSL cannot make a TLS context: %s",
				ERR_reason_error_string(ERR_peek_error()));
	rc = use_pair(ctx, cert, err);
	if (rc < 0)
		SSL_CTX_free(ctx);
	else
		all->ctxs[all->n++] = ctx;
	return rc;
}

static void free_siblings(struct siblings *all)
{
	for (unsigned i = 0; i < all->n; i++)
		SSL_CTX_free(all->ctxs[i]);
	free(all);
}

/* What was made before an error is freed with the list. */
int tls_context_new(const struct tls_opts *o, struct ssl_ctx_st **ret_ctx, char *err_text,
		    size_t err_cap)
{
	const struct complaint err = {err_text, err_cap};
	struct siblings *all = calloc(1, sizeof *all + (o->n_certs + 1) * sizeof(SSL_CTX *));
	int rc = o->n_certs > 0 ? 0 : complain(&err, "no certificate is given");

	if (!all)
		return -SL_ENOMEM;
	for (unsigned i = 0; rc == 0 && i < o->n_certs; i++)
		rc = add_cert(all, o, &o->certs[i], &err);
	if (rc == 0 && SSL_CTX_set_app_data(all->ctxs[0], all) != 1)
		rc = -SL_ENOMEM;
	if (rc < 0) {
		free_siblings(all);
		return rc;
	}
	SSL_CTX_set_tlsext_servername_callback(all->ctxs[0], choose_cert);
	SSL_CTX_set_tlsext_servername_arg(all->ctxs[0], all);
	*ret_ctx = all->ctxs[0];
	return 0;
}

/* The first context owns all, itself included. */
void tls_context_free(struct ssl_ctx_st *ctx)
{
	if (ctx)
		free_siblings(SSL_CTX_get_app_data(ctx));
}
