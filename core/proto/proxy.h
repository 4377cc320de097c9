/*
 * proto/proxy.h: the PROXY protocol's header, versions 1 and 2: what a balancer says about a
 * connection before the connection's own bytes.
 */
#ifndef PROTO_PROXY_H
#define PROTO_PROXY_H

#include <sluice/addr.h>

enum {
	PROXY_V1_MAX = 107,  /* line end included */
	PROXY_V2_HEADER = 16,
	PROXY_MAX = 4096, /* of all headers that we take; what lies behind the addresses is skipped */
};

struct proxy_header {
	size_t len; /* of all, to be taken from the stream */
	/* family 0: the connection is the balancer's own (a health check), or of a kind without
	 * addresses */
	struct sl_addr source, destination;
};

/* 0; -SL_EAGAIN: not all there yet; -SL_EPARSE: no header; -SL_ELIMIT: longer than PROXY_MAX. */
int proxy_read(const void *data, size_t len, struct proxy_header *ret_header);

#endif
