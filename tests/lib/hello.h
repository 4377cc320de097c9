/*
 * tests/lib/hello.h: ClientHellos as OpenSSL makes them, and records around handshake bytes.
 */
#ifndef TESTS_LIB_HELLO_H
#define TESTS_LIB_HELLO_H

#include <sluice/buf.h>

#include <openssl/ssl.h>

/* The first flight of a client that asks for this name and offers these protocols (wire form). */
static inline size_t hello_bytes(uint8_t *dst, size_t cap, const char *name, const char *alpn)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int n;

	SSL_set_bio(ssl, in, out);
	if (name)
		SSL_set_tlsext_host_name(ssl, name);
	if (alpn)
		SSL_set_alpn_protos(ssl, (const uint8_t *)alpn, (unsigned)strlen(alpn));
	SSL_connect(ssl);
	n = BIO_read(out, dst, (int)cap);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return n > 0 ? (size_t)n : 0;
}

/* The same handshake bytes in records of at most `piece` bytes. */
static inline size_t hello_split(uint8_t *dst, const uint8_t *record, size_t len, size_t piece)
{
	size_t at = 0, left = len - 5;
	const uint8_t *from = record + 5;

	while (left > 0) {
		size_t n = left < piece ? left : piece;

		memcpy(dst + at, record, 3);
		sl_put16(dst + at + 3, (uint16_t)n);
		memcpy(dst + at + 5, from, n);
		at += 5 + n;
		from += n;
		left -= n;
	}
	return at;
}

#endif
