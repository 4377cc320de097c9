/*
 * net/tls_stream.c: TLS over one non-blocking socket, by OpenSSL's own socket BIO.
 *
 * Knows no connection and no loop. OpenSSL keeps errors in a queue per thread, which must be empty
 * before each call for its result to be read. Its socket BIO writes with write(2): the process
 * ignores SIGPIPE (net.c).
 */
#include "net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* The descriptor stays the caller's: SSL_set_fd does not close it. */
int tls_stream_new(struct ssl_ctx_st *ctx, int fd, struct ssl_st **ret_tls)
{
	SSL *ssl;

	ERR_clear_error();
	ssl = SSL_new(ctx);
	if (!ssl || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return -SL_ENOMEM;
	}
	SSL_set_accept_state(ssl);
	*ret_tls = ssl;
	return 0;
}

void tls_stream_free(struct ssl_st *tls)
{
	SSL_free(tls);
}

/* Either direction: the caller asks tls_stream_wants_write which. */
static bool would_block(const struct ssl_st *tls, int result)
{
	int why = SSL_get_error(tls, result);

	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

/* A failure has sent its alert already, as far as the socket took it. */
int tls_stream_handshake(struct ssl_st *tls)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(tls);
	if (result == 1)
		return 0;
	return would_block(tls, result) ? -SL_EAGAIN : -SL_EAUTH;
}

struct sl_str tls_stream_server_name(const struct ssl_st *tls)
{
	const char *name = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name);

	return name ? sl_str_c(name) : SL_STR_NULL;
}

bool tls_stream_resumed(const struct ssl_st *tls)
{
	return SSL_session_reused(tls) == 1;
}

bool tls_stream_wants_write(const struct ssl_st *tls)
{
	return SSL_want_write(tls);
}

/*
 * An end without close_notify is an end, too (SSL_OP_IGNORE_UNEXPECTED_EOF): messages carry their
 * length.
 */
ptrdiff_t tls_stream_read(struct ssl_st *tls, void *dst, size_t cap)
{
	size_t n;

	ERR_clear_error();
	if (SSL_read_ex(tls, dst, cap, &n) == 1)
		return (ptrdiff_t)n;
	switch (SSL_get_error(tls, 0)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -SL_EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return -SL_ECLOSED;
	}
}

/* One record at most; the buffer may move until the next attempt (see the modes in tls.c). */
ptrdiff_t tls_stream_write(struct ssl_st *tls, const void *src, size_t len)
{
	size_t n;

	ERR_clear_error();
	if (SSL_write_ex(tls, src, len, &n) == 1)
		return (ptrdiff_t)n;
	return would_block(tls, 0) ? -SL_EAGAIN : -SL_ECLOSED;
}

bool tls_stream_pending(const struct ssl_st *tls)
{
	return SSL_has_pending(tls) == 1;
}

void tls_stream_shutdown(struct ssl_st *tls)
{
	ERR_clear_error();
	(void)SSL_shutdown(
		tls); /* the peer's answer is not waited for, and a broken peer gets none */
	ERR_clear_error();
}
