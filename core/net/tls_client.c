/*
 * net/tls_client.c: a TLS client over a blocking socket, for tools that try a server.
 *
 * A certificate in doubt does not end the connection: the tool says so and goes on to find out
 * what else does not work. The socket's timeouts bound every call.
 */
#include "net/tls_client.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sluice/addr.h>

struct tls_client {
	SSL_CTX *ctx;
	SSL *ssl;
};

/* What the certificate has to name: an address, or a host, which is sent as SNI too. */
static int expect_name(SSL *ssl, const char *name)
{
	struct sl_addr a;

	if (sl_addr_parse(&a, sl_str_c(name)) == 0)
		return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), a.ip, a.family == 4 ? 4 : 16);
	return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name);
}

static int set_up(struct tls_client *t, int fd, const char *name)
{
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (!t->ctx)
		return -SL_ENOMEM;
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_NONE, NULL);
	/* Without any trusted authority every certificate is in doubt, and that is told. */
	(void)SSL_CTX_set_default_verify_paths(t->ctx);
	t->ssl = SSL_new(t->ctx);
	if (!t->ssl || !SSL_set_fd(t->ssl, fd) || !expect_name(t->ssl, name))
		return -SL_ENOMEM;
	return 0;
}

static void explain(const struct tls_client *t, int rc, char *err, size_t cap)
{
	unsigned long code = ERR_peek_last_error();

	if (code)
		snprintf(err, cap, "%s", ERR_reason_error_string(code));
	else if (SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ)
		snprintf(err, cap, "no answer to the ClientHello");
	else
		snprintf(err, cap, "the connection was closed");
}

int tls_client_open(int fd, const char *name, struct tls_client **ret_tls, char *err,
		    size_t err_cap)
{
	struct tls_client *t = calloc(1, sizeof *t);
	int rc;

	if (!t || set_up(t, fd, name) < 0) {
		snprintf(err, err_cap, "out of memory");
		tls_client_close(t);
		return -SL_ENOMEM;
	}
	ERR_clear_error();
	rc = SSL_connect(t->ssl);
	if (rc != 1) {
		explain(t, rc, err, err_cap);
		tls_client_close(t);
		return -SL_ECLOSED;
	}
	*ret_tls = t;
	return 0;
}

void tls_client_close(struct tls_client *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	free(t);
}

const char *tls_client_doubt(const struct tls_client *t)
{
	long rc = SSL_get_verify_result(t->ssl);

	return rc == X509_V_OK ? NULL : X509_verify_cert_error_string(rc);
}

ssize_t tls_client_read(struct tls_client *t, void *dst, size_t cap)
{
	int n = SSL_read(t->ssl, dst, cap > INT_MAX ? INT_MAX : (int)cap);

	if (n > 0)
		return n;
	return SSL_get_error(t->ssl, n) == SSL_ERROR_ZERO_RETURN ? 0 : -SL_ECLOSED;
}

int tls_client_write(struct tls_client *t, const void *data, size_t len)
{
	if (len > INT_MAX)
		return -SL_EINVAL;
	return SSL_write(t->ssl, data, (int)len) > 0 ? 0 : -SL_ECLOSED;
}
