/*
 * net/tls_client.h: a client of TLS over a blocking socket, and of DTLS, for tools.
 */
#ifndef NET_TLS_CLIENT_H
#define NET_TLS_CLIENT_H

#include <sys/types.h>
#include <sluice/str.h>

struct tls_client;

/* Shakes hands over fd, which is borrowed and has timeouts. name: for SNI and the certificate. err:
 * why not. */
int tls_client_open(int fd, const char *name, struct tls_client **ret_tls, char *err,
		    size_t err_cap);
/* The same in DTLS 1.2: fd is connected and does not block; a read or write is one record. */
int tls_client_open_dtls(int fd, const char *name, uint64_t timeout_ms, struct tls_client **ret_tls,
			 char *err, size_t err_cap);
/* Says goodbye; accepts NULL */
void tls_client_close(struct tls_client *t);
/* Why a browser would not trust the certificate; NULL: it would. */
const char *tls_client_doubt(const struct tls_client *t);
/* Bytes; 0: the end; negative: an error, or nothing came in time (-SL_EAGAIN where fd does not
 * block). */
ssize_t tls_client_read(struct tls_client *t, void *dst, size_t cap);
int tls_client_write(struct tls_client *t, const void *data, size_t len);

#endif
