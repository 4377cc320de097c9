/*
 * sluice/conn.h: listeners and stream connections.
 *
 * Life of a connection: accept -> a listed balancer's PROXY header -> CONN_ACCEPT -> CONN_ACCESS -> CONN_PREREAD with the first bytes,
 * still unread in the socket, so that a handler can choose the protocol on a shared port: it takes
 * the connection (sl_conn_take) or steals its descriptor (sl_conn_steal_fd). A ClientHello on a
 * listener with certificates that nobody steals is answered by the core's TLS, and CONN_PREREAD
 * runs again with the first decrypted bytes. A framed check of ICE in the clear is the core's own.
 * Nobody wants it: closed and counted. Preread that does not end in preread_timeout closes too;
 * half-open connections cost about 300 bytes.
 */
#ifndef SLUICE_CONN_H
#define SLUICE_CONN_H

#include <sluice/addr.h>
#include <sluice/worker.h>

struct ssl_ctx_st;

struct sl_listener {
	const char *name;
	uint16_t index; /* the same in all processes of a generation, and over reloads while the
			   address stays */
	bool udp;	/* else TCP */
	struct sl_addr local;	/* port and address (may be a wildcard) */
	struct ssl_ctx_st *tls; /* server context with the current certificates, for DTLS if udp;
				   NULL: plain only */
	void **confs;		/* W: registry; listen-scope configuration by module index */
};
/* All listeners of this worker. */
SL_API unsigned sl_listeners(const struct sl_worker *w,
			     const struct sl_listener *const **ret_listeners);

struct sl_conn;
/* Borrowed, as are the addresses: valid while the connection is */
SL_API const struct sl_listener *sl_conn_listener(const struct sl_conn *c);
SL_API const struct sl_addr *sl_conn_remote(const struct sl_conn *c);
SL_API const struct sl_addr *sl_conn_local(const struct sl_conn *c);
/* Remote and local are the client's and what it connected to, as a balancer's PROXY header says */
SL_API bool sl_conn_is_proxied(const struct sl_conn *c);
/* This host's own address: local, but for a proxied connection */
SL_API struct sl_addr sl_conn_bound(const struct sl_conn *c);
/* Decrypted by the core */
SL_API bool sl_conn_is_tls(const struct sl_conn *c);
/* The name in the hello of a connection decrypted by the core; empty: none, or not TLS */
SL_API struct sl_str sl_conn_server_name(const struct sl_conn *c);

/* Goes on with a connection that a handler of CONN_ACCESS has suspended by SL_AGAIN; rc is what
 * that handler says now. When its time is over before, CONN_CLOSE tells. */
SL_API void sl_conn_resume(struct sl_conn *c, int rc);

/* During CONN_PREREAD: the bytes so far (at least one). */
SL_API struct sl_str sl_conn_peek(const struct sl_conn *c);
/* What a complete ClientHello asks for; NULL when the first bytes are not one. complete false:
 * return SL_AGAIN to see more. */
struct sl_client_hello {
	bool complete;
	struct sl_str server_name;
	struct sl_str alpn; /* wire form: length-prefixed names */
};
SL_API const struct sl_client_hello *sl_conn_hello(const struct sl_conn *c);
/* Whether protocol stands in its ALPN list (RFC 7301) */
SL_API bool sl_client_hello_offers(const struct sl_client_hello *h, struct sl_str protocol);

enum sl_close_reason {
	SL_CLOSE_PEER,
	SL_CLOSE_OURS,
	SL_CLOSE_TIMEOUT,
	SL_CLOSE_LIMIT,
	SL_CLOSE_ERROR,
	SL_CLOSE_TLS,
	SL_CLOSE_DRAIN
};

struct sl_conn_ops {
	/* Bytes arrived; returns how many were used up. The rest is shown again with more behind
	 * it. < 0 closes. */
	ptrdiff_t (*input)(void *arg, struct sl_conn *c, const uint8_t *data, size_t len);
	/* The output queue is empty again; may be NULL */
	void (*drained)(void *arg, struct sl_conn *c);
	/* The connection is gone (also after sl_conn_close); arg is not used any more. */
	void (*closed)(void *arg, struct sl_conn *c, enum sl_close_reason why);
	size_t max_input, max_output; /* bytes held; over max_input without progress: closed; over
					 max_output: -SL_EFULL */
	uint64_t idle_timeout_ms;     /* 0: none */
	/* Length of the message at data, which is whole, and whether it is media (false before the
	 * call): of that the oldest goes when the queue is full. NULL: all is kept, and what is new
	 * is refused. */
	size_t (*frame)(void *arg, const uint8_t *data, size_t len, bool *ret_media);
};
/* In CONN_PREREAD; then return SL_DONE */
SL_API void sl_conn_take(struct sl_conn *c, const struct sl_conn_ops *ops, void *arg);
/* In CONN_PREREAD of a plain connection: the caller's now; the conn is gone after SL_DONE */
SL_API int sl_conn_steal_fd(struct sl_conn *c);
/* Sent or queued whole: how many older messages were dropped for it, 0 without ops.frame; -SL_EFULL;
 * -SL_ECLOSED */
SL_API SL_MUST_CHECK int sl_conn_write(struct sl_conn *c, const void *data, size_t len);
/* Bytes that wait to be written */
SL_API size_t sl_conn_queued(const struct sl_conn *c);
/* After the queue has been written, at most 5 s; input stops now */
SL_API void sl_conn_close(struct sl_conn *c, enum sl_close_reason why);

/*
 * For who relays between two connections and must neither lose bytes nor hold more than he wants
 * to: he pauses the one while the other does not drain, and passes on the end of each direction
 * alone.
 */
/* No input until sl_conn_resume_input; what comes stays in the kernel, whose window stops the
 * sender. */
SL_API void sl_conn_pause_input(struct sl_conn *c);
/* Shows what was left over, and reads on, at the end of the tick. */
SL_API void sl_conn_resume_input(struct sl_conn *c);
/* The peer's end of its direction is told to fn instead of closing. */
typedef void sl_conn_end_fn(void *arg, struct sl_conn *c);
/* After sl_conn_take, before the end has come */
SL_API void sl_conn_on_end(struct sl_conn *c, sl_conn_end_fn *fn);
/* Ends our direction when the queue is written; nothing can be written any more. A connection both
 * of whose directions have ended closes (SL_CLOSE_PEER). */
SL_API void sl_conn_end(struct sl_conn *c);

/* A client of TLS (1.2 and 1.3), for any number of connections that a module makes. */
struct sl_tls_client;
struct sl_tls_client_opts {
	struct sl_str authorities; /* PEM; empty: the system's */
	struct sl_str cert, key;   /* PEM: ours, with its chain; empty: we show none */
	bool unchecked;		   /* whoever answers is taken for the peer */
};
/* err: a sentence */
SL_API SL_MUST_CHECK int sl_tls_client_new(const struct sl_tls_client_opts *o,
					   struct sl_tls_client **ret_client, char *err,
					   size_t err_cap);
/* Accepts NULL. Connections made with it go on. */
SL_API void sl_tls_client_free(struct sl_tls_client *t);

/* A connected stream socket from elsewhere. */
struct sl_conn_source {
	const struct sl_listener *listener; /* whose it is taken for; NULL: nobody's */
	struct sl_addr remote, local;
	int fd; /* non-blocking; the core's once it is adopted */
	/* NULL: plain. Else what is written waits for the handshake, which a peer without a
	 * certificate for tls_name (a host, or an address) fails: closed with SL_CLOSE_TLS */
	const struct sl_tls_client *tls;
	const char *tls_name;
};
/* Within closed(), after SL_CLOSE_TLS: what was wrong with the certificate; NULL: something else */
SL_API const char *sl_conn_tls_doubt(const struct sl_conn *c);
/* As if taken: ops.input is called from the next tick on. No phase runs for it. */
SL_API SL_MUST_CHECK int sl_conn_adopt(struct sl_worker *w, const struct sl_conn_source *from,
				       const struct sl_conn_ops *ops, void *arg,
				       struct sl_conn **ret_conn);

#endif
