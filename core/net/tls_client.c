/*
 * net/tls_client.c: a client of TLS and DTLS, for tools that try a server.
 *
 * A certificate in doubt does not end the connection: the tool says so and goes on to find out
 * what else does not work. The socket's timeouts bound every call of TLS; of DTLS only the
 * handshake waits, and sends lost flights again.
 */
#include "net/tls_client.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sluice/addr.h>
#include <sluice/clock.h>

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

static int set_up(struct tls_client *t, const SSL_METHOD *method, const char *name)
{
	t->ctx = SSL_CTX_new(method);
	if (!t->ctx)
		return -SL_ENOMEM;
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_NONE, NULL);
	/* Without any trusted authority every certificate is in doubt, and that is told. */
	(void)SSL_CTX_set_default_verify_paths(t->ctx);
	t->ssl = SSL_new(t->ctx);
	return t->ssl && expect_name(t->ssl, name) ? 0 : -SL_ENOMEM;
}

static void explain(const struct tls_client *t, int rc, char *err, size_t cap)
{
	unsigned long code = ERR_peek_last_error();

	if (code)
		snprintf(err, cap, "%s", ERR_reason_error_string(code));
	else if (SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ)
		snprintf(err, cap, "no answer to the ClientHello");
	else if (SSL_is_dtls(t->ssl))
		snprintf(err, cap, "the port is closed");
	else
		snprintf(err, cap, "the connection was closed");
}

/* NULL, with the reason in err. */
static struct tls_client *new_client(const SSL_METHOD *method, const char *name, char *err,
				     size_t cap)
{
	struct tls_client *t = calloc(1, sizeof *t);

	if (t && set_up(t, method, name) == 0)
		return t;
	tls_client_close(t);
	snprintf(err, cap, "out of memory");
	return NULL;
}

/* rc: of the last SSL_connect */
static int shaken(struct tls_client *t, int rc, struct tls_client **ret_tls, char *err, size_t cap)
{
	if (rc != 1) {
		explain(t, rc, err, cap);
		tls_client_close(t);
		return -SL_ECLOSED;
	}
	*ret_tls = t;
	return 0;
}

int tls_client_open(int fd, const char *name, struct tls_client **ret_tls, char *err,
		    size_t err_cap)
{
	struct tls_client *t = new_client(TLS_client_method(), name, err, err_cap);

	if (!t)
		return -SL_ENOMEM;
	ERR_clear_error();
	return shaken(t, SSL_set_fd(t->ssl, fd) ? SSL_connect(t->ssl) : 0, ret_tls, err, err_cap);
}

/* ---- DTLS */

static int set_datagrams(SSL *ssl, int fd)
{
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof peer;
	BIO *bio;

	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return -SL_ESYS;
	bio = BIO_new_dgram(fd, BIO_NOCLOSE);
	if (!bio)
		return -SL_ENOMEM;
	(void)BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &peer);
	SSL_set_bio(ssl, bio, bio);
	return 0;
}

/* Until something comes, the last flight is to be sent again, or the deadline. */
static void wait_for_flight(SSL *ssl, int fd, uint64_t left_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct timeval t;

	if (DTLSv1_get_timeout(ssl, &t)) {
		uint64_t flight_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000 + 1;

		left_ms = flight_ms < left_ms ? flight_ms : left_ms;
	}
	(void)poll(&p, 1, (int)left_ms); /* what cut it short shows in what follows */
	(void)DTLSv1_handle_timeout(ssl);
}

static int shake(SSL *ssl, int fd, uint64_t deadline_ms)
{
	for (;;) {
		uint64_t now_ms = sl_clock_ns() / SL_NS_PER_MS;
		int rc = SSL_connect(ssl);

		if (rc == 1 || now_ms >= deadline_ms ||
		    SSL_get_error(ssl, rc) != SSL_ERROR_WANT_READ)
			return rc;
		wait_for_flight(ssl, fd, deadline_ms - now_ms);
	}
}

int tls_client_open_dtls(int fd, const char *name, uint64_t timeout_ms, struct tls_client **ret_tls,
			 char *err, size_t err_cap)
{
	struct tls_client *t = new_client(DTLS_client_method(), name, err, err_cap);
	int rc;

	if (!t)
		return -SL_ENOMEM;
	ERR_clear_error();
	rc = set_datagrams(t->ssl, fd);
	if (rc == 0)
		rc = shake(t->ssl, fd, sl_clock_ns() / SL_NS_PER_MS + timeout_ms);
	return shaken(t, rc, ret_tls, err, err_cap);
}

void tls_client_close(struct tls_client *t)
{
	if (!t)
		return;
	if (t->ssl && SSL_is_init_finished(t->ssl))
		(void)SSL_shutdown(t->ssl); /* its answer is not waited for */
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
	switch (SSL_get_error(t->ssl, n)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
		return -SL_EAGAIN;
	default:
		return -SL_ECLOSED;
	}
}

int tls_client_write(struct tls_client *t, const void *data, size_t len)
{
	if (len > INT_MAX)
		return -SL_EINVAL;
	return SSL_write(t->ssl, data, (int)len) > 0 ? 0 : -SL_ECLOSED;
}
