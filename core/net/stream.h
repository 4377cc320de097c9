/*
 * net/stream.h: stream connections.
 *
 * stream.c accepts and destroys, proxied.c hears out balancers, preread.c finds out what a connection is, stream_io.c reads and
 * writes one that has been taken, stream_half.c pauses it and ends its directions apart. A
 * connection in its first states is this struct alone; what a speaking one needs is in struct
 * conn_io and made then.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <sluice/buf.h>
#include <sluice/conn.h>
#include "net/net.h"

#define STREAM_SCRATCH 65536
#define PEEK_MAX 16640 /* one TLS record of the largest kind: more is no beginning */

struct ssl_st;

enum conn_state {
	CONN_PROXIED,	/* a balancer has to say whose it is */
	CONN_ASKING,	/* CONN_ACCESS, perhaps suspended */
	CONN_PREREAD,	/* bytes are still in the socket */
	CONN_HANDSHAKE, /* TLS of the core */
	CONN_DECRYPTED, /* preread again, on decrypted bytes */
	CONN_OPEN,	/* taken */
	CONN_FLUSHING,	/* closed by its owner, the queue is being written */
	CONN_LINGERING, /* all is written; waits for the peer's end, so that nothing is cut off by a
			   reset */
	CONN_STOLEN,	/* the descriptor has left */
	CONN_DEAD,
};

enum conn_handshake {
	HANDSHAKE_NONE,
	HANDSHAKE_WAITS, /* with its hello unread */
	HANDSHAKE_RUNS,
	HANDSHAKE_DONE,
};

struct conn_io {
	struct sl_conn_ops ops;
	void *arg;
	struct sl_buf in, out; /* empty unless something is held */
	size_t boundary;       /* of out: where its first message begins that has not begun to leave */
	size_t committed;      /* of out: what OpenSSL has sealed and will write again */
	uint64_t active_ms;
	uint64_t n_bytes; /* read and written, for the record */
	bool taken;
	bool reads_on;		/* OpenSSL holds bytes, and this tick's turns are used up */
	bool stuck;		/* the kernel takes no more: waits for SL_WRITE */
	bool owes_drained;	/* a write was queued or refused since the last `drained` */
	bool paused;		/* by its owner */
	bool resumed;		/* in this tick: what was left over is shown again */
	bool in_ended;		/* the peer sends no more; on_end was told */
	bool ending, out_ended; /* our direction: asked for, done */
	sl_conn_end_fn *on_end; /* NULL: the peer's end closes */
};

struct acceptor {
	struct sl_event ev;
	struct sl_timer pause; /* after a failure that the next accept would only repeat */
	struct net *net;
	const struct net_listener *listener;
	unsigned n_conns;
};

struct sl_conn {
	struct sl_event ev;
	struct sl_timer timer; /* preread, idle or closing */
	struct acceptor *acceptor;
	struct sl_addr remote, local;
	struct sl_conn *prev, *next; /* all */
	struct sl_conn *next_dirty;
	struct sl_conn *prev_waiting, *next_waiting; /* W: handshake.c */
	struct conn_io *io; /* NULL until the first bytes came */
	struct ssl_st *tls; /* NULL: plain */
	uint32_t seen;	    /* preread: bytes that the handlers have been shown */
	uint8_t state, why;
	uint8_t access_at; /* the handler of CONN_ACCESS that was asked last */
	uint8_t handshake; /* enum conn_handshake. W: handshake.c */
	bool dirty;	   /* in the list for the end of the tick */
	bool waits_at_low; /* SO_RCVLOWAT is set */
	bool untold;	   /* no phase has heard of its beginning, so none hears of its end */
	bool proxied;	   /* remote and local are what a balancer said */
};
_Static_assert(sizeof(struct sl_conn) <= 256, "half-open connections are small");

struct streams {
	struct acceptor *acceptors; /* one per listener, unused for UDP */
	struct acceptor nobody;	    /* of adopted connections without a listener */
	struct sl_slab *slab;
	struct sl_conn *first, *dirty;
	unsigned n_conns;
	struct sl_post settle;
	uint8_t *scratch;	      /* what was just read, or peeked */
	struct sl_str peek;	      /* during CONN_PREREAD */
	struct sl_client_hello hello; /* of peek */
	enum { HELLO_UNREAD, HELLO_NONE, HELLO_READ } hello_is;
};

/* ---- stream.c */
int streams_open(struct net *n);
int streams_start(struct net *n);
void streams_stop_accepting(struct net *n);
/* Accepts what nobody was woken for */
void streams_look(struct net *n);
void streams_close(struct net *n);
static inline struct net *conn_net(const struct sl_conn *c)
{
	return c->acceptor->net;
}
/* In no state yet, and not in the loop; NULL: no memory */
struct sl_conn *conn_new(struct acceptor *a, int fd, const struct sl_addr *remote,
			 const struct sl_addr *local);
/* Ends without writing what waits; the connection goes when the tick ends. */
void conn_fail(struct sl_conn *c, enum sl_close_reason why);
/* Looks after it when the tick ends: writes its queue, or takes it apart. */
void conn_mark(struct sl_conn *c);
void conn_want(struct sl_conn *c, unsigned wanted);

/* Its client is known: the first phases run. */
void conn_welcome(struct sl_conn *c);
/* SO_RCVLOWAT; 0: the kernel's default of one byte */
void conn_set_low(struct sl_conn *c, unsigned bytes);

/* ---- proxied.c */
bool proxied_is(const struct net_listener *l, const struct sl_addr *remote);
void proxied_begin(struct sl_conn *c);
void proxied_ready(struct sl_conn *c);

/* ---- preread.c */
void preread_ready(struct sl_conn *c);
void preread_handshake(struct sl_conn *c);
void preread_decrypted(struct sl_conn *c);

/* ---- stream_queue.c */
void queue_prepare(const struct sl_conn *c);
/* n bytes are about to leave the queue; or none could. */
void queue_passed(struct conn_io *io, size_t n);
void queue_stuck(struct sl_conn *c);
/* For len more bytes: how many messages went for it, or -SL_EFULL. */
int queue_make_room(struct sl_conn *c, size_t len, size_t max);

/* ---- stream_io.c */
int conn_io_new(struct sl_conn *c);
void conn_io_free(struct sl_conn *c);
/* Taken just now: deliver what is there */
void conn_begin(struct sl_conn *c);
/* CONN_OPEN to CONN_LINGERING */
void conn_ready(struct sl_conn *c, unsigned ready);
void conn_settle(struct sl_conn *c);
void conn_timeout(struct sl_conn *c);
/* What the loop should watch for now */
unsigned conn_interest(const struct sl_conn *c);
/* > 0: bytes; 0: end; -SL_EAGAIN; -SL_ECLOSED. */
ptrdiff_t conn_receive(struct sl_conn *c, void *dst, size_t cap);

/* ---- stream_half.c */
static inline bool conn_may_read(const struct sl_conn *c)
{
	return c->state == CONN_OPEN && !c->io->paused && !c->io->in_ended;
}
/* The peer's direction is over */
void conn_input_ended(struct sl_conn *c);
/* The queue is empty */
void conn_end_output(struct sl_conn *c);

#endif
