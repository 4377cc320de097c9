/*
 * proc/tool_link.h: one way to a TURN server (UDP, TCP, TLS or DTLS) that carries whole STUN
 * messages.
 */
#ifndef PROC_TOOL_LINK_H
#define PROC_TOOL_LINK_H

#include "proto/stun_query.h"

enum link_kind { LINK_UDP, LINK_TCP, LINK_TLS, LINK_DTLS, LINK_KINDS };

struct tls_client;

struct link {
	enum link_kind kind;
	struct sl_addr server;
	int fd;
	struct tls_client *tls; /* LINK_TLS, LINK_DTLS */
	uint8_t in[4096];	/* the message shown last, and what came behind it */
	size_t n_in, n_shown;
};

/* host: for the certificate. err: why not, as the end of a sentence. */
int link_open(struct link *l, enum link_kind kind, const struct sl_addr *server, const char *host,
	      char *err, size_t err_cap);
/* Nothing gets lost on it */
bool link_is_stream(const struct link *l);
void link_close(struct link *l);
int link_send(struct link *l, const void *data, size_t len);
/* The next message, borrowed until the next call. -SL_ETIMEOUT; -SL_ECLOSED: nothing will come. */
int link_receive(struct link *l, uint64_t deadline_ns, struct sl_str *ret_message);

#endif
