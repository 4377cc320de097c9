/*
 * net/tls_connect.h: TLS of connections that we make, over a socket that is connected.
 */
#ifndef NET_TLS_CONNECT_H
#define NET_TLS_CONNECT_H

#include <sluice/conn.h>

struct ssl_st;

/* fd: borrowed. The handshake is part of the first reads and writes. */
int tls_connect_new(const struct sl_tls_client *t, const char *name, int fd,
		    struct ssl_st **ret_tls);
bool tls_connect_is_shaking(const struct ssl_st *tls);
/* Why the peer's certificate was not good enough; NULL: it was, or none was asked for. */
const char *tls_connect_doubt(const struct ssl_st *tls);

#endif
