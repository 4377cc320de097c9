/*
 * tests/lib/tls_client.h: certificates for tests, and a TLS client that moves without blocking.
 */
#ifndef TESTS_LIB_TLS_CLIENT_H
#define TESTS_LIB_TLS_CLIENT_H

#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static inline struct tls_cert test_cert(const char *name)
{
	struct sl_str names[1] = {sl_str_c(name)};
	struct sl_buf cert, key;

	sl_buf_init(&cert, 0);
	sl_buf_init(&key, 0);
	sl_assert(tls_make_dev_cert(names, 1, &cert, &key) == 0);
	return (struct tls_cert){sl_buf_view(&cert),
				 sl_buf_view(&key)}; /* freed by test_cert_free */
}

static inline void test_cert_free(struct tls_cert *c)
{
	free((void *)(uintptr_t)c->cert.p);
	free((void *)(uintptr_t)c->key.p);
}

static inline struct sl_str test_bio_text(BIO *bio)
{
	char *text;
	long len = BIO_get_mem_data(bio, &text);
	char *copy = malloc((size_t)len);

	memcpy(copy, text, (size_t)len);
	BIO_free(bio);
	return (struct sl_str){copy, (size_t)len};
}

/* Any key, any time of validity; names as OpenSSL writes them ("DNS:a.example"). */
static inline struct tls_cert test_cert_of(EVP_PKEY *key, const char *names, long from_s,
					   long until_s)
{
	X509 *cert = X509_new();
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(cert), until_s);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_sha256());
	PEM_write_bio_X509(cert_bio, cert);
	PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL);
	X509_free(cert);
	return (struct tls_cert){test_bio_text(cert_bio), test_bio_text(key_bio)};
}

static inline SSL *test_tls_client(SSL_CTX *ctx, int fd, const char *name, const char *alpn)
{
	SSL *ssl = SSL_new(ctx);

	SSL_set_fd(ssl, fd);
	SSL_set_connect_state(ssl);
	if (name)
		SSL_set_tlsext_host_name(ssl, name);
	if (alpn)
		SSL_set_alpn_protos(ssl, (const uint8_t *)alpn, (unsigned)strlen(alpn));
	return ssl;
}

#endif
