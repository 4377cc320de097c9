/*
 * http/tls.c: makes libwebsockets' TLS answer with the listener's certificates.
 *
 * The library cannot be given an SSL_CTX for a server; it makes its own and shows it once. Each
 * connection moves over to the listener's context when its ClientHello has been read, so that new
 * certificates serve the next connection, and SNI, ALPN and certificates are those of the core.
 * What a connection copies before that moment (versions, options, ticket keys) is set on the
 * library's context here. Its own servername callback asserts on a context that it did not make.
 */
#include "http.h"

#define TICKET_KEY_BYTES 80

static int on_client_hello(SSL *ssl, int *alert, void *certificates)
{
	(void)alert;
	return SSL_set_SSL_CTX(ssl, certificates) ? SSL_CLIENT_HELLO_SUCCESS
						  : SSL_CLIENT_HELLO_ERROR;
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl, (void)alert, (void)arg;
	return SSL_TLSEXT_ERR_OK;
}

int tls_prepare(SSL_CTX *ctx, SSL_CTX *certificates)
{
	unsigned char keys[TICKET_KEY_BYTES];

	SSL_CTX_set_options(ctx, SSL_CTX_get_options(certificates));
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets do it, in all workers */
	if (!SSL_CTX_set_min_proto_version(ctx, (int)SSL_CTX_get_min_proto_version(certificates)))
		return -SL_EUNSUPP;
	if (SSL_CTX_get_tlsext_ticket_keys(certificates, keys, sizeof keys) == 1)
		SSL_CTX_set_tlsext_ticket_keys(ctx, keys, sizeof keys);
	OPENSSL_cleanse(keys, sizeof keys);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	SSL_CTX_set_client_hello_cb(ctx, on_client_hello, certificates);
	return 0;
}
