/*
 * stun/server.h: what the files of this module share.
 *
 *     stun.c       descriptor, configuration, datagrams
 *     answer.c     what a Binding is answered; no I/O
 *     behaviour.c  discovery of NAT behaviour: answers from and to elsewhere
 *     stream.c     Binding over TCP and TLS
 */
#ifndef STUN_SERVER_H
#define STUN_SERVER_H

#include <sluice/module.h>
#include <sluice/rate.h>
#include <sluice/stun.h>

enum {
	STUN_ANSWER_MAX = 128,
	STUN_MAX_PADDING = 1500, /* the MTU of nearly every interface: makes two fragments */
};

/* Two addresses and two ports, for one address family. */
struct stun_behaviour {
	struct sl_addr primary, alternate;
};

struct stun_conf {
	struct sl_str software;
	struct sl_list behaviour; /* of struct stun_behaviour */
	int64_t rate, burst;
	uint64_t idle_timeout;
};

/* In the order of the metrics table. */
enum stun_meter {
	M_REQUESTS,
	M_STREAM_REQUESTS,
	M_RATE_LIMITED,
	M_UNKNOWN_ATTRIBUTES,
	M_MALFORMED,
	M_UNSENT,
	M_CONNECTIONS,
};

struct stun_corner {
	struct sl_addr addr;
	struct sl_udp *udp; /* a listener's: bound there, or to a wildcard */
};

/* Corner 0: primary. Bit 0 of the number is the other port, bit 1 the other address. */
struct stun_square {
	struct stun_corner corners[4];
};

/* Where a request arrived. */
struct stun_place {
	const struct stun_square *square;
	unsigned corner;
};

struct stun {
	struct sl_worker *worker;
	const struct stun_conf *conf;
	const struct sl_meter *m;
	struct sl_rate *rate;	/* NULL: no limit */
	struct sl_conn_ops ops; /* of connections */
	struct stun_square squares[2];
	unsigned n_squares; /* 0: no discovery */
};

/* The answer's length in dst, 0 for silence, -SL_EUNSUPP when the message is not for a Binding
 * server. */
int stun_answer(void *self, const struct sl_stun_msg *msg, const struct sl_addr *remote,
		uint8_t dst[STUN_ANSWER_MAX]);

/* What discovery adds to an answer (RFC 5780 section 7). */
struct stun_discovery {
	const struct sl_addr *origin, *other;
	uint16_t padding; /* bytes, 0: none */
	unsigned error;	  /* 0: success */
};
/* As stun_answer; d NULL: without discovery, whose attributes are unknown then. */
int stun_answer_more(struct stun *s, const struct sl_stun_msg *msg, const struct sl_addr *remote,
		     const struct stun_discovery *d, uint8_t *dst, size_t cap);

int behaviour_check(struct sl_conf *c, void *conf);
/* Finds the sockets; -SL_ECONF, with a line in the log, when a corner has no listener. */
int behaviour_open(struct stun *s);
/* false: not to one of the corners. */
bool behaviour_find(const struct stun *s, const struct sl_packet *p, struct stun_place *ret_place);
/* Negative: the answer could not be queued. */
int behaviour_reply(struct stun *s, const struct stun_place *place, const struct sl_packet *p,
		    const struct sl_stun_msg *msg);

void stun_stream_init(struct stun *s);
sl_conn_fn stun_preread;

#endif
