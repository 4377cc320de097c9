/*
 * stun/server.h: what the files of this module share.
 *
 *     stun.c    descriptor, configuration, datagrams
 *     answer.c  what a Binding is answered; no I/O
 *     stream.c  Binding over TCP and TLS
 */
#ifndef STUN_SERVER_H
#define STUN_SERVER_H

#include <sluice/module.h>
#include <sluice/rate.h>
#include <sluice/stun.h>

enum { STUN_ANSWER_MAX = 128 };

struct stun_conf {
	struct sl_str software;
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

struct stun {
	struct sl_worker *worker;
	const struct stun_conf *conf;
	const struct sl_meter *m;
	struct sl_rate *rate;	/* NULL: no limit */
	struct sl_conn_ops ops; /* of connections */
};

/* The answer's length in dst, 0 for silence, -SL_EUNSUPP when the message is not for a Binding
 * server. */
int stun_answer(void *self, const struct sl_stun_msg *msg, const struct sl_addr *remote,
		uint8_t dst[STUN_ANSWER_MAX]);

void stun_stream_init(struct stun *s);
sl_conn_fn stun_preread;

#endif
