/*
 * net/tls_stream.h: TLS over one non-blocking socket.
 */
#ifndef NET_TLS_STREAM_H
#define NET_TLS_STREAM_H

#include <sluice/str.h>

struct ssl_st;
struct ssl_ctx_st;

/* fd: borrowed */
int tls_stream_new(struct ssl_ctx_st *ctx, int fd, struct ssl_st **ret_tls);
/* Accepts NULL */
void tls_stream_free(struct ssl_st *tls);
int tls_stream_handshake(
	struct ssl_st *tls); /* 0: done; -SL_EAGAIN; -SL_EAUTH: failed, the alert is sent */
/* Borrowed; empty: the hello named none */
struct sl_str tls_stream_server_name(const struct ssl_st *tls);
bool tls_stream_resumed(const struct ssl_st *tls);
bool tls_stream_wants_write(
	const struct ssl_st *tls); /* after -SL_EAGAIN: wait for SL_WRITE, else for SL_READ */
/* > 0: bytes; 0: end, announced by the peer; -SL_EAGAIN; -SL_ECLOSED. */
ptrdiff_t tls_stream_read(struct ssl_st *tls, void *dst, size_t cap);
ptrdiff_t tls_stream_write(struct ssl_st *tls, const void *src, size_t len);
bool tls_stream_pending(
	const struct ssl_st *tls); /* bytes wait here that the socket does not announce */
/* Says goodbye, as far as the socket takes it */
void tls_stream_shutdown(struct ssl_st *tls);

#endif
