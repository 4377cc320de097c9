/*
 * net/dgram.h: UDP sockets, and how datagrams come in.
 *
 * udp.c opens and closes sockets, receive.c reads them, path.c decides whose a listener's datagram
 * is, forward.c hands it to another worker, icmp.c reads error queues.
 */
#ifndef NET_DGRAM_H
#define NET_DGRAM_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sluice/udp.h>
#include "base/fair.h"
#include "net/net.h"
#include "os/uring.h"

#define RX_BATCH 64

struct tx;

union net_sockaddr {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct sl_udp {
	struct sl_event ev;
	struct net *net;
	const struct net_listener *listener; /* NULL: a module's own socket */
	sl_udp_recv_fn *recv;
	sl_udp_error_fn *error;
	void *arg;
	struct sl_addr local;
	struct sl_udp *prev, *next; /* of all sockets; closed: next to be freed */
	struct tx *first, *last;    /* not sent yet, in order. W: txq */
	uint16_t n_waiting;	    /* their number. W: txq */
	uint8_t n_singles;	    /* so many of them must not be joined. W: txq */
	uint8_t quota;		    /* datagrams to read at the next wake-up. W: receive.c */
	uint8_t n_filled;	    /* wake-ups in a row that used the quota up. W: receive.c */
	bool gro;		    /* may bring trains. W: gro.c, with what follows */
	uint8_t n_runny;	    /* batches in a row that were mostly runs */
	uint16_t pause, last_pause; /* so many more before trains are tried again */
	uint16_t n_trains, n_segments;
	uint8_t luck;  /* whether it pays to look again. W: receive.c */
	bool wildcard; /* each datagram says its local address, and is told it */
	bool told;     /* datagrams are read with what the kernel says about them */
	bool blocked;  /* the kernel's buffer is full; waits for SL_WRITE. W: txq */
	bool dirty;    /* in txq's list of this tick. W: txq */
	bool own_port; /* a listener's, not shared with other workers: nothing is forwarded */
	bool closed;
	bool may_fragment;  /* sends without DF */
	uint8_t n_full;	    /* full batches since the last sample. W: share.c, with what follows */
	uint8_t n_calm;	    /* reads in a row that left nothing */
	uint8_t share_mode; /* enum share_mode; of a listener's */
	uint32_t share;	    /* of a module's: sl_udp_set_share; 0: none */
	sl_udp_long_fn *long_fn; /* of what does not fit into a packet. W: sl_udp_take_long */
	void *long_arg;
};
_Static_assert(sizeof(struct sl_udp) <= 256, "thousands of relays");

/* Where recvmmsg writes; packets that nobody kept stay in place for the next batch. */
struct rx {
	struct sl_packet *packets[RX_BATCH];
	struct mmsghdr msgs[RX_BATCH];
	struct iovec iov[RX_BATCH][2]; /* a packet, and for those who take it what is behind */
	union net_sockaddr names[RX_BATCH];
	struct sl_addr sender; /* of the last datagram that was read alone */
	bool same_sender;      /* as of the one before it */
	uint8_t *controls;     /* RX_BATCH pieces */
	uint8_t *trains;       /* GRO only: where coalesced datagrams land */
	struct sl_udp *due[RX_BATCH]; /* ready, to be read together. W: receive.c */
	unsigned n_due;
	struct uring_message together[RX_BATCH];
	uint8_t *longs;	       /* RX_BATCH pieces of SL_LONG_MAX; NULL: nobody takes any. W: long.c */
};

/* ---- udp.c */
/* Adopts a listener's socket; it does not read before udp_start. */
int udp_adopt(struct net *n, struct net_listener *l, struct sl_udp **ret_udp);
int udp_start(struct sl_udp *u);
/* Flushes, closes and leaves the memory to a post */
void udp_shut(struct sl_udp *u);
void udp_close_all(struct net *n);
void udp_free_closed(struct sl_post *post);
/* Changes what the loop waits for. */
void udp_want_write(struct sl_udp *u, bool wanted);

/* ---- receive.c */
int rx_open(struct net *n);
void rx_close(struct net *n);
/* What is there, at most RX_BATCH datagrams */
void udp_receive(struct sl_udp *u);
/* A module's socket is ready. false: to be read now; else it is read with the others that are, when
 * all of this wake-up are known */
bool udp_defer(struct sl_udp *u);
/* arg: struct net. Reads those */
void udp_receive_due(void *arg);
/* The same by few calls; true: there may be more. *ret_n: so many came */
bool udp_read(struct sl_udp *u, unsigned *ret_n);
/* Hands one to its socket's owner; p->udp is set. */
void udp_consume(struct sl_udp *u, struct sl_packet *p);
/* p->udp, from, local, tos and time from what recvmsg said; false: not an address of ours. */
bool rx_fill(struct sl_udp *u, struct sl_packet *p, struct msghdr *h);

/* ---- long.c */
/* Where the rest of a datagram of u lands that begins in packet i; returns the number of pieces */
unsigned long_prepare(struct sl_udp *u, unsigned i);
/* len bytes have come, too many for packet i, which says from whom */
void long_take(struct sl_udp *u, unsigned i, size_t len);
/* The same where it lies in one piece */
void long_offer(struct sl_udp *u, const struct sl_packet *p, struct sl_str data);

/* ---- gro.c */
void gro_switch(struct sl_udp *u, bool on);
/* A batch of so many was received singly: would they rather come as trains? */
void gro_consider(struct sl_udp *u, unsigned got);
/* true: there may be more */
bool gro_receive(struct sl_udp *u, unsigned *ret_n);
/* Size of rx.trains */
size_t gro_bytes(void);

/* ---- path.c */
/* A datagram of a listener. forwarded: by another worker, so never again. */
void path_take(struct net *n, struct sl_packet *p, bool forwarded);

/* The same after an association has decrypted it; p->assoc is set. */
void path_take_decrypted(struct net *n, struct sl_packet *p);

/* ---- forward.c; true: the packet has gone to its owner, or was lost on the way, counted */
bool forward_by_ufrag(struct net *n, struct sl_packet *p);
bool forward_stray(struct net *n, struct sl_packet *p);
/* New clients are for a newer generation, whether or not this worker drains yet */
bool net_is_superseded(const struct net *n);

/* ---- share.c: when more comes in than can be done, shares take turns */
enum share_mode {
	SHARE_OFF,
	SHARE_SAMPLE, /* the next read looks whose the datagrams are */
	SHARE_TURNS,  /* they are queued, and served in turns */
};

struct shares {
	struct fair *queue;    /* NULL: not needed yet */
	struct sl_timer later; /* serves what the last read left */
	uint64_t served_ns;    /* the tick that has served last */
	struct fair_vote sample;
	uint64_t mixed_ns; /* when somebody was seen beside who dominates */
	struct spent {	   /* by module's sockets, by share */
		uint64_t tick_ns;
		unsigned n;
	} spent[256];
};

/* A full batch was read: is it time to look? */
void share_consider(struct sl_udp *u);
/* In place of a plain read of a listener, in the other modes */
void share_receive(struct sl_udp *u);
/* In place of path_take, likewise */
void share_take(struct sl_udp *u, struct sl_packet *p);
/* How many datagrams a module's socket may read in this tick, at least 1; they are charged */
unsigned share_allow(struct sl_udp *u, unsigned wanted);
/* Serves what is queued; from now on nothing is */
void shares_end(struct net *n);
void shares_close(struct net *n);

/* ---- icmp.c */
void icmp_read(struct sl_udp *u);
/* Just after a datagram to this address was refused for its length */
void icmp_read_too_long(struct sl_udp *u, const struct sl_addr *to);

#endif
