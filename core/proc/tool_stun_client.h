/*
 * proc/tool_stun_client.h: what the tools that ask STUN servers share: places, sockets,
 * transactions. All of it blocks, for these processes do nothing else.
 */
#ifndef PROC_TOOL_STUN_CLIENT_H
#define PROC_TOOL_STUN_CLIENT_H

#include "proto/stun_query.h"

enum { CLIENT_MAX_HOST = 256, CLIENT_MAX_PLACES = 2 };

struct client_place {
	char host[CLIENT_MAX_HOST];
	uint16_t port;
	struct sl_addr addrs[CLIENT_MAX_PLACES]; /* one per address family, in the order of the
						    system's choice */
	unsigned n_addrs;
};
/* HOST, HOST:PORT, [IPV6]:PORT. Prints its own error. */
int client_resolve(const char *text, uint16_t default_port, struct client_place *ret_place);

/* A socket on a port of its own, and the address this host sends from. Negative: no way there. */
int client_udp(const struct sl_addr *to, int *ret_fd, struct sl_addr *ret_local);
int client_send(int fd, const struct sl_addr *to, const void *data, size_t len);
/* Readable before the deadline (sl_clock_ns)? */
bool client_wait(int fd, uint64_t deadline_ns);

/* Sends until there is an answer, at most four times within 1.7 s; hears: the socket that it comes
 * to. -SL_ETIMEOUT. q->txid is chosen here. */
int client_ask(int fd, int hears, const struct sl_addr *to, struct stun_query *q,
	       struct stun_report *ret_report);
/* Connected before the deadline; the socket is non-blocking. -SL_ETIMEOUT, -SL_ESYS with errno. */
int client_connect(const struct sl_addr *to, uint64_t timeout_ms, int *ret_fd);

#endif
